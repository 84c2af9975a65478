/* SPDX-License-Identifier: MIT */
/* Fork and snapshots through the public headers alone. Run as `conform-snapshot ENGINE`. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#include <jansson.h>

#include "vm/frozen.h"
#include "vm/standby.h"
#include "conform/setting.h"

/* --- setting --- */

/* A VM whose function answers 1. */
static nova_vm_t *start_plain(const struct setting *s)
{
	return boot_function(s, "shell", "echo 1");
}

/* What a shell command in the guest prints; it succeeds. Caller frees. */
static char *sh(nova_vm_t *vm, const char *script)
{
	const char *const argv[] = { "sh", "-c", script };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	nova_result_t *result;
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_msg(nova_result_exit_code(result) == 0, "%s: %s", script,
		nova_result_stderr(result, NULL));
	char *out = strdup(nova_result_stdout(result, NULL));
	nova_result_free(result);
	return out;
}

static void says(nova_vm_t *vm, const char *script, const char *expected)
{
	AUTO_FREE char *out = sh(vm, script);
	ck_assert_str_eq(out, expected);
}

static char *call(nova_vm_t *vm)
{
	nova_result_t *result;
	ck_ok(nova_vm_invoke(vm, "{}", NULL, &result, &error));
	char *out = strdup(nova_result_output(result, NULL));
	nova_result_free(result);
	return out;
}

static void answers(nova_vm_t *vm, const char *expected)
{
	AUTO_FREE char *out = call(vm);
	ck_assert_str_eq(out, expected);
}

static nova_vm_t *fork_one(nova_vm_t *vm)
{
	nova_vm_t *child = NULL;
	ck_ok(nova_vm_fork(vm, 1, NULL, &child, &error));
	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(nova_vm_state(child), NOVA_VM_RUNNING);
	ck_assert_str_ne(nova_vm_id(child), nova_vm_id(vm));
	ck_assert_uint_gt(vm_stat(vm, NOVA_VM_STAT_STOOD_STILL_US), 0);
	return child;
}

static void kill_from_outside(nova_vm_t *vm)
{
	int end = vmtest_pidfd((pid_t)nova_vm_pid(vm));
	ck_assert_int_eq(kill((pid_t)nova_vm_pid(vm), SIGKILL), 0);
	vmtest_await_end(end);
}

/* --- fork --- */

START_TEST(children_go_on_from_the_same_instant_and_then_alone)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *children[2];
	free(sh(vm, "echo parent >/tmp/mark"));
	ck_ok(nova_vm_fork(vm, 2, NULL, children, &error));
	for (size_t i = 0; i < 2; i++) {
		vmtest_forked_as_set(children[i], s.config);
		says(children[i], "cat /tmp/mark", "parent\n");
	}
	free(sh(children[0], "echo child >>/tmp/mark"));
	free(sh(vm, "echo later >/tmp/mark"));
	says(children[1], "cat /tmp/mark", "parent\n");

	nova_vm_t *of_clone = fork_one(children[0]), *of_fork = fork_one(of_clone),
		  *again = fork_one(vm);
	says(of_clone, "cat /tmp/mark", "parent\nchild\n");
	free(sh(of_clone, "echo only here >/tmp/mark"));
	says(of_fork, "cat /tmp/mark", "parent\nchild\n");
	says(children[0], "cat /tmp/mark", "parent\nchild\n");
	says(again, "cat /tmp/mark", "later\n");
	nova_vm_t *const all[] = { vm, children[0], children[1], of_clone, of_fork, again };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		answers(all[i], "1");
	/* the parent first: the children need it no more */
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		nova_vm_free(all[i]);
	tear_down(&s);
}
END_TEST

START_TEST(eight_children_are_made_at_once_and_one_may_die_alone)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *children[8];
	ck_ok(nova_vm_fork(vm, 8, NULL, children, &error));
	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(nova_vm_id(children[i]), nova_vm_id(children[j]));
	kill_from_outside(children[3]);
	ck_fails(NOVA_ELOST, nova_vm_ping(children[3], 0, NULL, &error));
	nova_vm_t *none = NULL;
	ck_fails_with(NOVA_ELOST, nova_vm_id(children[4]),
		(nova_vm_kill(children[4]), nova_vm_fork(children[4], 1, NULL, &none, &error)));
	for (size_t i = 0; i < 8; i++)
		if (i != 3 && i != 4)
			answers(children[i], "1");
	answers(vm, "1");
	for (size_t i = 0; i < 8; i++)
		nova_vm_free(children[i]);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static void name_differs(nova_vm_t *vm, const char *other)
{
	AUTO_FREE char *name = sh(vm, "hostname; cat /etc/machine-id");
	ck_assert_str_ne(name, other);
}

/* Where the engine can, a child has not run at all when the fork is done. Whatever comes first, it
 * is somebody of its own by then. */
START_TEST(a_child_that_has_not_been_asked_yet_can_be_treated_as_any_vm)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *children[8];
	AUTO_FREE char *parent = sh(vm, "hostname; cat /etc/machine-id");
	ck_ok(nova_vm_fork(vm, 8, NULL, children, &error));
	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(nova_vm_state(children[i]), NOVA_VM_RUNNING);

	ck_ok(nova_vm_pause(children[0], NULL, &error));
	ck_assert_int_eq(nova_vm_state(children[0]), NOVA_VM_PAUSED);
	ck_fails(NOVA_EBUSY, nova_vm_ping(children[0], 0, NULL, &error));
	nova_vm_t *of_paused = fork_one(children[0]), *of_sleeping = fork_one(children[1]);
	for (int round = 0; round < 2; round++) /* the second changes nothing */
		ck_ok(nova_vm_resume(children[0], NULL, &error));
	ck_ok(nova_vm_ping(children[2], 0, NULL, &error));
	ck_ok(nova_vm_stop(children[3], 0, NULL, &error));
	kill_from_outside(children[4]);
	nova_result_t *result = NULL;
	ck_fails(NOVA_ELOST, nova_vm_invoke(children[4], "{}", NULL, &result, &error));
	nova_vm_free(children[5]);

	nova_vm_t *const alive[] = { children[0], children[1], children[2], children[6],
		children[7], of_paused, of_sleeping };
	/* who has answered may rest while siblings wait for their turn */
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < ARRAY_LEN(alive); i++)
			answers(alive[i], "1");
	for (size_t i = 0; i < ARRAY_LEN(alive); i++) {
		name_differs(alive[i], parent);
		nova_vm_free(alive[i]);
	}
	nova_vm_free(children[3]);
	nova_vm_free(children[4]);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

struct caller {
	nova_vm_t *vm;
	int pipe[2];
	char *output;
};

static void tell(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data, (void)len;
	ck_assert_int_eq(sys_write_all(((struct caller *)userdata)->pipe[1], "x", 1), 0);
}

static void *call_slowly(void *userdata)
{
	struct caller *c = userdata;
	nova_result_t *result = NULL;
	if (nova_vm_invoke(c->vm, "{}",
		    &(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = 60000,
			    .on_output = tell, .userdata = c },
		    &result, NULL) == 0)
		c->output = strdup(nova_result_stdout(result, NULL));
	nova_result_free(result);
	return NULL;
}

START_TEST(a_fork_during_a_call_waits_for_its_end)
{
	struct setting s = set_up();
	struct caller c = {
		.vm = start_function(
			&s, "shell", "echo begun; sleep 2; echo done; echo seen >/tmp/seen"),
	};
	pthread_t thread;
	char byte;
	ck_assert_int_eq(sys_pipe(c.pipe), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, call_slowly, &c), 0);
	ck_assert_int_eq(sys_read(c.pipe[0], &byte, 1), 1);
	nova_vm_t *child = fork_one(c.vm);
	pthread_join(thread, NULL);
	ck_assert_str_eq(c.output, "begun\ndone\n");
	AUTO_FREE char *out = call(child);
	ck_assert_ptr_nonnull(strstr(out, "done"));
	free(c.output);
	fd_close(c.pipe[0]);
	fd_close(c.pipe[1]);
	nova_vm_free(child);
	nova_vm_free(c.vm);
	tear_down(&s);
}
END_TEST

/* A booted VM first, which becomes a clone by it, then that clone. */
START_TEST(a_paused_vm_can_be_forked_and_stays_paused)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	for (int round = 0; round < 2; round++) {
		ck_ok(nova_vm_pause(vm, NULL, &error));
		nova_vm_t *child = fork_one(vm);
		ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_PAUSED);
		answers(child, "1");
		ck_fails(NOVA_EBUSY, nova_vm_ping(vm, 0, NULL, &error));
		ck_ok(nova_vm_resume(vm, NULL, &error));
		answers(vm, "1");
		nova_vm_free(child);
	}
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* Killed from outside, by its owner, ended already; as a booted VM and as a clone. */
START_TEST(a_dead_vm_cannot_be_forked)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *child = fork_one(vm), *second = fork_one(child),
		  *none[3] = { NULL };
	nova_vm_t *booted = start_plain(&s);
	ck_fails_with(NOVA_EINVAL, "1000", nova_vm_fork(vm, 0, NULL, none, &error));
	ck_fails_with(NOVA_EINVAL, "1000", nova_vm_fork(vm, 1001, NULL, none, &error));
	ck_fails(NOVA_EINVAL, nova_vm_fork(NULL, 1, NULL, none, &error));
	ck_fails(NOVA_EINVAL, nova_vm_fork(vm, 1, NULL, NULL, &error));
	kill_from_outside(vm);
	ck_fails_with(NOVA_ELOST, nova_vm_id(vm), nova_vm_fork(vm, 1, NULL, none, &error));
	ck_fails_with(NOVA_ELOST, nova_vm_id(vm), nova_vm_fork(vm, 1, NULL, none, &error));
	nova_vm_kill(child);
	ck_fails_with(NOVA_ELOST, nova_vm_id(child), nova_vm_fork(child, 3, NULL, none, &error));
	ck_fails(NOVA_ELOST, nova_vm_snapshot(child, NULL, NULL, &error));
	nova_vm_kill(booted);
	ck_fails_with(NOVA_ELOST, nova_vm_id(booted), nova_vm_fork(booted, 1, NULL, none, &error));
	ck_ok(nova_vm_stop(second, 20000, NULL, &error));
	ck_fails_with(NOVA_ELOST, nova_vm_id(second), nova_vm_fork(second, 1, NULL, none, &error));
	ck_assert_ptr_null(none[0]);
	nova_vm_free(vm);
	nova_vm_free(child);
	nova_vm_free(second);
	nova_vm_free(booted);
	tear_down(&s);
}
END_TEST

struct killer {
	nova_vm_t *vm;
	long after_us;
};

static void *kill_soon(void *userdata)
{
	const struct killer *k = userdata;
	nanosleep(&(struct timespec){ 0, k->after_us * 1000 }, NULL);
	nova_vm_kill(k->vm);
	return NULL;
}

/* At several points of the fork; whatever comes of it, the parent is dead afterwards and nothing
 * else is left. */
START_TEST(a_parent_killed_while_it_forks_is_dead_and_leaves_nothing)
{
	struct setting s = set_up();
	nova_vm_t *source = start_plain(&s);
	for (int round = 0; round < 8; round++) {
		nova_vm_t *vm = round == 7 ? source : fork_one(source), *children[2] = { NULL };
		struct killer k = { vm, round == 7 ? 10000 : round * 2500 };
		pthread_t thread;
		ck_assert_int_eq(pthread_create(&thread, NULL, kill_soon, &k), 0);
		int code = nova_vm_fork(vm, 2, NULL, children, &error);
		pthread_join(thread, NULL);
		ck_assert_msg(code == 0 || code == NOVA_ELOST, "%s", nova_error_message(error));
		ck_assert_int_eq(!children[0], code < 0);
		nova_error_free(error);
		error = NULL;
		for (int i = 0; code == 0 && i < 2; i++) {
			answers(children[i], "1");
			nova_vm_free(children[i]);
		}
		ck_fails(NOVA_ELOST, nova_vm_ping(vm, 0, NULL, &error));
		nova_vm_free(vm);
	}
	tear_down(&s);
}
END_TEST

/* The first fork of a booted VM replaces its VMM: a kill in that moment must reach the new one. */
START_TEST(a_booted_vm_killed_in_its_first_fork_is_dead)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *child = NULL;
	struct killer k = { vm, _i * 12000 };
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, kill_soon, &k), 0);
	int code = nova_vm_fork(vm, 1, NULL, &child, &error);
	pthread_join(thread, NULL);
	ck_assert_msg(code == 0 || code == NOVA_ELOST, "%s", nova_error_message(error));
	nova_error_free(error);
	error = NULL;
	ck_fails(NOVA_ELOST, nova_vm_ping(vm, 0, NULL, &error));
	nova_vm_free(child);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- who a clone is --- */

#define IDENTITY                                                                                   \
	"import os, random, secrets, tempfile, uuid, time\n"                                       \
	"def handler(event):\n"                                                                    \
	"    return [os.urandom(8).hex(), str(uuid.uuid4()), random.random(), "                    \
	"secrets.token_hex(8), tempfile.mktemp(),\n"                                               \
	"            str(uuid.uuid1()), os.uname().nodename]\n"

static void all_differ(json_t *const *lists, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			for (size_t k = 0; k < json_array_size(lists[i]); k++) {
				AUTO_FREE char *text =
					json_dumps(json_array_get(lists[i], k), JSON_ENCODE_ANY);
				ck_assert_msg(!json_equal(json_array_get(lists[i], k),
						      json_array_get(lists[j], k)),
					"clones %zu and %zu: value %zu is %s", i, j, k, text);
			}
}

static json_t *identity(nova_vm_t *vm)
{
	AUTO_FREE char *out = call(vm), *machine = sh(vm, "cat /run/machine-id"),
		       *host = sh(vm, "hostname"),
		       *kernel = sh(vm, "cat /proc/sys/kernel/random/uuid");
	AUTO_FREE char *expected = str_format("nova-%s\n", nova_vm_id(vm));
	ck_assert_uint_eq(strlen(machine), 33);
	ck_assert_str_eq(host, expected);
	json_t *list = json_loads(out, 0, NULL);
	ck_assert_uint_eq(json_array_size(list), 7);
	json_array_append_new(list, json_string(machine));
	json_array_append_new(list, json_string(kernel));
	return list;
}

static nova_vm_t *restore(nova_host_t *host, const char *name)
{
	nova_snapshot_t *snapshot;
	nova_vm_t *vm = NULL;
	ck_ok(nova_snapshot_open(host, name, &snapshot, &error));
	ck_ok(nova_vm_restore(host, snapshot, NULL, &vm, &error));
	nova_snapshot_free(snapshot);
	return vm;
}

static void take(nova_vm_t *vm, const char *name)
{
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = name;
	ck_ok(nova_vm_snapshot(vm, &opts, NULL, &error));
}

START_TEST(siblings_are_different_machines)
{
	struct setting s = set_up();
	nova_vm_t *vms[6] = { start_function(&s, "python", IDENTITY) };
	json_t *lists[ARRAY_LEN(vms)];
	ck_ok(nova_vm_fork(vms[0], 2, NULL, &vms[1], &error));
	take(vms[0], "one");
	vms[3] = restore(s.host, "one");
	vms[4] = restore(s.host, "one");
	vms[5] = fork_one(vms[3]);
	for (size_t i = 1; i < ARRAY_LEN(vms); i++)
		lists[i] = identity(vms[i]);
	AUTO_FREE char *out = call(vms[0]);
	lists[0] = json_loads(out, 0, NULL);
	all_differ(lists, ARRAY_LEN(vms));
	for (size_t i = 0; i < ARRAY_LEN(vms); i++) {
		json_decref(lists[i]);
		nova_vm_free(vms[i]);
	}
	tear_down(&s);
}
END_TEST

static void clock_is_right(nova_vm_t *vm)
{
	AUTO_FREE char *text = sh(vm, "date +%s");
	long long off = atoll(text) - (long long)(clock_unix_us() / 1000000u);
	ck_assert_msg(off >= -10 && off <= 10, "the clock of the guest is %lld s off", off);
}

START_TEST(a_clock_set_back_by_hours_is_right_in_clones)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	AUTO_FREE char *set = str_format(
		"date -s @%llu", (unsigned long long)(clock_unix_us() / 1000000u - 3u * 3600u));
	free(sh(vm, set));
	nova_vm_t *child = fork_one(vm);
	clock_is_right(child);
	free(sh(vm, set));
	take(vm, "past");
	nova_vm_free(vm);
	nova_vm_free(child);
	vm = restore(s.host, "past");
	clock_is_right(vm);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- on disk --- */

static bool has_file(const nova_snapshot_t *snapshot, const char *name)
{
	AUTO_FREE char *path = path_join(nova_snapshot_path(snapshot), name);
	return fs_exists(path);
}

/* Runs in a process of its own, which ends with 0 if the snapshot goes on there with that mark. */
static void restored_elsewhere(const struct setting *s, const char *name, const char *mark)
{
	pid_t pid = fork();
	if (pid == 0) {
		nova_host_t *host;
		ck_ok(nova_host_new(s->config, &host, &error));
		nova_vm_t *vm = restore(host, name);
		says(vm, "cat /tmp/mark", mark);
		answers(vm, "1");
		nova_vm_free(vm);
		nova_host_unref(host);
		_exit(0);
	}
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_snapshot_goes_on_later_and_elsewhere_and_can_be_chained)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	free(sh(vm, "echo one >/tmp/mark"));
	nova_snapshot_t *first, *second, *third, *found;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = "first";
	ck_ok(nova_vm_snapshot(vm, &opts, &first, &error));
	answers(vm, "1");
	nova_vm_free(vm);
	ck_assert_str_eq(nova_snapshot_name(first), "first");
	ck_assert_str_eq(nova_snapshot_base(first), "");
	ck_assert(has_file(first, "memory") && !has_file(first, "pages"));
	ck_ok(nova_snapshot_open(s.host, nova_snapshot_id(first), &found, &error));
	ck_assert_str_eq(nova_snapshot_path(found), nova_snapshot_path(first));
	nova_snapshot_free(found);
	restored_elsewhere(&s, "first", "one\n");

	nova_host_t *other;
	ck_ok(nova_host_new(s.config, &other, &error));
	vm = restore(other, "first");
	free(sh(vm, "echo two >>/tmp/mark"));
	ck_ok(nova_vm_snapshot(vm, NULL, &second, &error));
	ck_assert_str_eq(nova_snapshot_name(second), nova_snapshot_id(second));
	ck_assert_str_eq(nova_snapshot_base(second), nova_snapshot_id(first));
	ck_assert(has_file(second, "pages") && !has_file(second, "memory"));
	ck_assert_uint_lt(nova_snapshot_disk_bytes(second), nova_snapshot_disk_bytes(first) / 2);
	nova_vm_free(vm);
	vm = restore(s.host, nova_snapshot_id(second));
	says(vm, "cat /tmp/mark", "one\ntwo\n");
	free(sh(vm, "echo three >>/tmp/mark"));
	opts.name = "third";
	ck_ok(nova_vm_snapshot(vm, &opts, &third, &error));
	ck_assert_str_eq(nova_snapshot_base(third), nova_snapshot_id(first));
	restored_elsewhere(&s, "third", "one\ntwo\nthree\n");

	nova_snapshot_t **list;
	size_t count;
	ck_ok(nova_snapshot_list(s.host, &list, &count, &error));
	ck_assert_uint_eq(count, 3);
	ck_assert_str_eq(nova_snapshot_name(list[0]), "first");
	ck_assert_str_eq(nova_snapshot_name(list[2]), "third");
	nova_snapshot_list_free(list, count);

	ck_fails_with(NOVA_EBUSY, "'first' is the base of snapshot '",
		nova_snapshot_delete(s.host, "first", &error));
	/* the VM that came from it needs only the base */
	ck_ok(nova_snapshot_delete(s.host, nova_snapshot_id(second), &error));
	ck_ok(nova_snapshot_delete(s.host, "third", &error));
	ck_fails_with(
		NOVA_EBUSY, "'first' is in use", nova_snapshot_delete(s.host, "first", &error));
	answers(vm, "1");
	nova_vm_free(vm);
	ck_ok(nova_snapshot_delete(s.host, "first", &error));
	ck_fails_with(NOVA_ENOTFOUND, "first", nova_snapshot_delete(s.host, "first", &error));
	ck_fails_with(NOVA_ENOTFOUND, "first", nova_snapshot_open(s.host, "first", &found, &error));
	ck_fails(NOVA_ENOTFOUND, nova_vm_restore(s.host, first, NULL, &vm, &error));
	nova_snapshot_free(first);
	nova_snapshot_free(second);
	nova_snapshot_free(third);
	nova_host_unref(other);
	tear_down(&s);
}
END_TEST

static void flip(const char *directory, const char *name);
static void restore_fails(nova_host_t *host, const char *name, int expected, const char *part);

/* Whole memory, and pages upon it; damaged and cut off. */
START_TEST(a_compressed_snapshot_is_smaller_and_goes_on_as_any)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	nova_snapshot_t *plain, *small, *chained;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	free(sh(vm, "echo one >/tmp/mark"));
	ck_ok(nova_vm_snapshot(vm, &opts, &plain, &error));
	opts.name = "small";
	opts.compress = NOVA_COMPRESS_ON;
	ck_ok(nova_vm_snapshot(vm, &opts, &small, &error));
	opts.compress = 3;
	ck_fails_with(NOVA_EINVAL, "compress", nova_vm_snapshot(vm, &opts, NULL, &error));
	nova_vm_free(vm);
	ck_assert(has_file(small, "memory.zst") && !has_file(small, "memory"));
	ck_assert_uint_lt(nova_snapshot_disk_bytes(small) * 2, nova_snapshot_disk_bytes(plain));

	vm = restore(s.host, "small");
	says(vm, "cat /tmp/mark", "one\n");
	free(sh(vm, "echo two >>/tmp/mark"));
	opts.name = "chained";
	opts.compress = NOVA_COMPRESS_ON;
	ck_ok(nova_vm_snapshot(vm, &opts, &chained, &error));
	ck_fails_with(NOVA_EBUSY, "'small'", nova_snapshot_delete(s.host, "small", &error));
	nova_vm_free(vm);
	ck_assert_str_eq(nova_snapshot_base(chained), nova_snapshot_id(small));
	ck_assert(has_file(chained, "pages.zst"));
	vm = restore(s.host, "chained");
	says(vm, "cat /tmp/mark", "one\ntwo\n");
	nova_vm_t *child = fork_one(vm);
	says(child, "cat /tmp/mark", "one\ntwo\n");
	answers(child, "1");
	nova_vm_free(child);
	nova_vm_free(vm);

	flip(nova_snapshot_path(small), "memory.zst");
	restore_fails(s.host, "chained", NOVA_ECORRUPT, "memory.zst");
	flip(nova_snapshot_path(small), "memory.zst");
	AUTO_FREE char *pages = path_join(nova_snapshot_path(chained), "pages.zst");
	AUTO_FD int fd = sys_open(pages, O_RDWR, 0);
	ck_assert_int_eq(sys_truncate(fd, 1000), 0);
	restore_fails(s.host, "chained", NOVA_ECORRUPT, "pages.zst");
	nova_snapshot_free(plain);
	nova_snapshot_free(small);
	nova_snapshot_free(chained);
	tear_down(&s);
}
END_TEST

/* --- what does not fit --- */

static char *manifest_path(const nova_snapshot_t *snapshot)
{
	return path_join(nova_snapshot_path(snapshot), "manifest.json");
}

static void edit_manifest(const nova_snapshot_t *snapshot, const char *key, json_t *value)
{
	AUTO_FREE char *path = manifest_path(snapshot);
	json_t *json = json_load_file(path, 0, NULL);
	ck_assert_ptr_nonnull(json);
	ck_assert_int_eq(json_object_set_new(json, key, value), 0);
	ck_assert_int_eq(json_dump_file(json, path, 0), 0);
	json_decref(json);
}

static void restore_fails(nova_host_t *host, const char *name, int expected, const char *part)
{
	nova_snapshot_t *snapshot = NULL;
	nova_vm_t *vm = NULL;
	int code = nova_snapshot_open(host, name, &snapshot, &error);
	if (code == 0)
		code = nova_vm_restore(host, snapshot, NULL, &vm, &error);
	ck_fails_with(expected, part, code);
	ck_assert_ptr_null(vm);
	nova_snapshot_free(snapshot);
}

static void flip(const char *directory, const char *name)
{
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FD int fd = sys_open(path, O_RDWR, 0);
	uint8_t byte;
	ck_assert_int_eq(sys_pread_all(fd, &byte, 1, 100), 0);
	byte ^= 1;
	ck_assert_int_eq(sys_pwrite_all(fd, &byte, 1, 100), 0);
}

START_TEST(a_snapshot_that_does_not_fit_is_refused_by_name)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	nova_snapshot_t *base, *chained;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	AUTO_FREE char *code = path_join(s.dir, "shell.ext4"), *away = path_join(s.dir, "away");
	opts.name = "base";
	ck_ok(nova_vm_snapshot(vm, &opts, &base, &error));
	nova_vm_free(vm);
	vm = restore(s.host, "base");
	opts.name = "chained";
	opts.life_time_s = 3600;
	ck_ok(nova_vm_snapshot(vm, &opts, &chained, &error));
	nova_vm_free(vm);

	ck_assert_int_eq(fs_rename(code, away), 0);
	restore_fails(s.host, "chained", NOVA_ESTALE, code);
	AUTO_BUF struct buf content = BUF_INIT(64u << 20);
	ck_assert_int_eq(fs_read_file(away, &content), 0);
	ck_assert_int_eq(fs_write_file(code, content.data, content.len, 0600), 0);
	restore_fails(s.host, "chained", NOVA_ESTALE, "code disk");
	ck_assert_int_eq(fs_rename(away, code), 0);

	size_t pruned = 9;
	ck_ok(nova_snapshot_prune(s.host, &pruned, &error));
	ck_assert_uint_eq(pruned, 0);
	edit_manifest(base, "life_time_s", json_integer(1));
	edit_manifest(base, "created_us", json_integer(1));
	ck_ok(nova_snapshot_prune(s.host, &pruned, &error));
	ck_assert_uint_eq(pruned, 0); /* it is a base */

	edit_manifest(base, "rootfs_identity", json_string("1:2:3"));
	restore_fails(s.host, "base", NOVA_ESTALE, "root filesystem");
	edit_manifest(base, "engine_identity", json_string("qemu 0.1 of long ago"));
	restore_fails(s.host, "base", NOVA_ESTALE, "qemu 0.1 of long ago, here is ");
	edit_manifest(base, "engine", json_string("warp"));
	restore_fails(s.host, "base", NOVA_ESTALE, "warp");

	flip(nova_snapshot_path(base), "memory");
	restore_fails(s.host, "chained", NOVA_ECORRUPT, "memory");
	flip(nova_snapshot_path(base), "memory");
	vm = restore(s.host, "chained");
	answers(vm, "1");
	nova_vm_free(vm);
	flip(nova_snapshot_path(chained), "state");
	restore_fails(s.host, "chained", NOVA_ECORRUPT, "state");
	flip(nova_snapshot_path(chained), "state");
	ck_assert_int_eq(fs_remove_tree(nova_snapshot_path(base)), 0);
	restore_fails(s.host, "chained", NOVA_ENOTFOUND, "the base of snapshot 'chained'");
	edit_manifest(chained, "created_us", json_integer(1));
	ck_ok(nova_snapshot_prune(s.host, &pruned, &error));
	ck_assert_uint_eq(pruned, 1);
	ck_fails(NOVA_ENOTFOUND, nova_snapshot_delete(s.host, "chained", &error));
	nova_snapshot_free(base);
	nova_snapshot_free(chained);
	tear_down(&s);
}
END_TEST

static size_t unfinished(const char *dir)
{
	AUTO_FREE char *root = path_join(dir, "snapshots");
	char **names;
	int count = fs_list(root, &names);
	size_t found = 0;
	for (int i = 0; i < count; i++)
		found += str_starts(names[i], ".tmp-");
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}

START_TEST(names_are_checked_and_unique)
{
	struct setting s = set_up();
	static const char *const bad[] = { "", "a b", ".hidden", "-x", "a/b", "template:x",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	nova_vm_t *vm = start_plain(&s);
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		opts.name = bad[i];
		ck_fails_with(NOVA_EINVAL, "no name", nova_vm_snapshot(vm, &opts, NULL, &error));
	}
	take(vm, "x.Y-1_");
	opts.name = "x.Y-1_";
	ck_fails_with(NOVA_EEXIST, "x.Y-1_", nova_vm_snapshot(vm, &opts, NULL, &error));
	ck_assert_uint_eq(unfinished(s.dir), 0);
	nova_snapshot_t **list;
	size_t count;
	ck_ok(nova_snapshot_list(s.host, &list, &count, &error));
	ck_assert_uint_eq(count, 1);
	nova_snapshot_list_free(list, count);
	ck_ok(nova_snapshot_delete(s.host, "x.Y-1_", &error));
	take(vm, "x.Y-1_");
	answers(vm, "1");
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_full_disk_is_told_and_nothing_half_made_stays)
{
	struct setting s = set_up();
	AUTO_FREE char *root = path_join(s.dir, "snapshots");
	nova_vm_t *vm = start_plain(&s);
	ck_assert_int_eq(fs_mkdirs(root, 0700), 0);
	/* otherwise we may not mount here */
	if (mount("none", root, "tmpfs", 0, "size=4m,mode=0700") == 0) {
		ck_fails_with(NOVA_ENOSPC, "snapshot", nova_vm_snapshot(vm, NULL, NULL, &error));
		ck_assert_uint_eq(unfinished(s.dir), 0);
		nova_snapshot_t **list;
		size_t count;
		ck_ok(nova_snapshot_list(s.host, &list, &count, &error));
		ck_assert_uint_eq(count, 0);
		nova_snapshot_list_free(list, count);
		ck_assert_int_eq(umount(root), 0);
	}
	answers(vm, "1");
	take(vm, "now");
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* In another process, which lives until it is killed. It tells of each. */
static void snapshot_for_ever(const struct setting *s, int told)
{
	nova_host_t *host;
	ck_ok(nova_host_new(s->config, &host, &error));
	nova_vm_t *vm = restore(host, "base");
	for (;;) {
		ck_ok(nova_vm_snapshot(vm, NULL, NULL, &error));
		ck_assert_int_eq(sys_write(told, "1", 1), 1);
	}
}

/* Some time after its first one is there. */
static void kill_in_snapshots(const struct setting *s, int ms)
{
	int ends[2];
	ck_assert_int_eq(sys_pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0)
		snapshot_for_ever(s, ends[1]);
	struct pollfd first = { ends[0], POLLIN, 0 };
	ck_assert_int_eq(sys_poll(&first, 1, 60000), 1);
	sys_poll(NULL, 0, ms);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	fd_close(ends[0]);
	fd_close(ends[1]);
}

START_TEST(a_process_killed_while_it_writes_leaves_whole_snapshots_only)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	take(vm, "base");
	nova_vm_free(vm);
	for (int round = 0; round < 5; round++)
		kill_in_snapshots(&s, 137 * round);
	nova_snapshot_t **list, *one;
	size_t count;
	ck_ok(nova_snapshot_list(s.host, &list, &count, &error));
	ck_assert_uint_gt(count, 1);
	for (size_t i = 0; i < count; i++) {
		ck_ok(nova_snapshot_open(s.host, nova_snapshot_id(list[i]), &one, &error));
		nova_snapshot_free(one);
	}
	for (size_t i = 0; i < count; i += count / 3 + 1) {
		vm = restore(s.host, nova_snapshot_name(list[i]));
		answers(vm, "1");
		nova_vm_free(vm);
	}
	vm = restore(s.host, nova_snapshot_name(list[count - 1]));
	take(vm, "sweeper");
	ck_assert_uint_eq(unfinished(s.dir), 0);
	nova_vm_free(vm);
	nova_snapshot_list_free(list, count);
	tear_down(&s);
}
END_TEST

/* --- standby --- */

/* A fork of the process itself takes none. */
static struct setting set_up_classic(void)
{
	struct setting s = { .dir = vmtest_take_home() };
	s.config = vmtest_config(s.dir);
	ck_ok(nova_config_set(s.config, "pool.hot", "off", &error));
	ck_ok(nova_host_new(s.config, &s.host, &error));
	return s;
}

START_TEST(forks_and_restores_take_vmms_on_standby_and_a_useless_one_costs_nothing)
{
	struct setting s = set_up_classic();
	nova_vm_t *vm = start_plain(&s), *children[3];
	ck_fails_with(NOVA_EINVAL, "1000", nova_vm_park(vm, 1001, 0, NULL, &error));
	/* it was booted: it is a clone of itself from now on */
	ck_ok(nova_vm_park(vm, 2, 0, NULL, &error));
	int64_t pid = nova_vm_pid(vm);
	ck_assert_uint_eq(standby_count(s.host), 2);
	ck_ok(nova_vm_fork(vm, 3, NULL, children, &error)); /* one more than wait */
	ck_assert_int_eq(nova_vm_pid(vm), pid);
	ck_assert_uint_eq(standby_count(s.host), 0);
	for (size_t i = 0; i < 3; i++)
		answers(children[i], "1");

	ck_ok(nova_vm_park(children[0], 2, 0, NULL, &error));
	struct frozen *place = NULL;
	ck_ok(vm_origin(children[0], NULL, &place, &error));
	struct machine *shell = standby_take(s.host, place);
	ck_assert_ptr_nonnull(shell);
	machine_free(place->ops, shell);
	ck_assert_uint_eq(standby_count(s.host), 1);
	nova_vm_t *child = fork_one(children[0]);
	ck_assert_uint_eq(standby_count(s.host), 0);
	answers(child, "1");
	nova_vm_free(child);

	take(vm, "one");
	child = restore(s.host, "one");
	ck_ok(nova_vm_park(child, 1, 0, NULL, &error));
	nova_vm_free(child);
	child = restore(s.host, "one");
	ck_assert_uint_eq(standby_count(s.host), 0);
	answers(child, "1");
	ck_ok(nova_vm_park(child, 1, 0, NULL, &error));
	nova_vm_free(child);
	/* what waits for clones of it does not keep it */
	ck_ok(nova_snapshot_delete(s.host, "one", &error));
	ck_assert_uint_eq(standby_count(s.host), 0);

	ck_ok(nova_vm_park(vm, 2, 0, NULL, &error));
	ck_ok(nova_vm_park(vm, 0, 0, NULL, &error));
	ck_assert_uint_eq(standby_count(s.host), 0);
	ck_ok(nova_vm_park(vm, 1, 0, NULL, &error)); /* left to the end of the context */
	frozen_unref(place);
	for (size_t i = 0; i < 3; i++)
		nova_vm_free(children[i]);
	kill_from_outside(vm);
	ck_fails_with(NOVA_ELOST, nova_vm_id(vm), nova_vm_park(vm, 1, 0, NULL, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static void read_text(char *path, char text[4096])
{
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	ssize_t got = sys_read(fd, text, 4095);
	ck_assert_int_gt(got, 0);
	text[got] = 0;
	free(path);
}

/* The process that the keeper of this VM has started beside it. */
static pid_t the_other_vmm(nova_vm_t *vm)
{
	char text[4096], *rest;
	int keeper = 0;
	read_text(str_format("/proc/%d/stat", (int)nova_vm_pid(vm)), text);
	ck_assert_int_eq(sscanf(strrchr(text, ')'), ") %*c %d", &keeper), 1);
	read_text(str_format("/proc/%d/task/%d/children", keeper, keeper), text);
	pid_t found = 0;
	for (char *at = text; *at >= '0' && *at <= '9'; at = rest + (*rest == ' ')) {
		pid_t pid = (pid_t)strtol(at, &rest, 10);
		ck_assert(pid == nova_vm_pid(vm) || !found);
		found = pid == nova_vm_pid(vm) ? found : pid;
	}
	return found;
}

static void *fork_it(void *userdata)
{
	nova_vm_t **pair = userdata;
	nova_error_t *failure = NULL;
	if (nova_vm_fork(pair[0], 1, NULL, &pair[1], &failure) < 0)
		fprintf(stderr, "%s\n", nova_error_message(failure));
	nova_error_free(failure);
	return NULL;
}

/* It stands still while it is parked, and is killed once the fork has taken it. */
START_TEST(a_shell_that_dies_in_the_hands_of_a_fork_is_replaced)
{
	struct setting s = set_up_classic();
	nova_vm_t *pair[2] = { start_plain(&s), NULL };
	pthread_t thread;
	ck_ok(nova_vm_park(pair[0], 1, 0, NULL, &error));
	pid_t shell = the_other_vmm(pair[0]);
	ck_assert_int_eq(kill(shell, SIGSTOP), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, fork_it, pair), 0);
	while (standby_count(s.host))
		sys_poll(NULL, 0, 1);
	ck_assert_int_eq(kill(shell, SIGKILL), 0);
	pthread_join(thread, NULL);
	ck_assert_ptr_nonnull(pair[1]);
	answers(pair[1], "1");
	answers(pair[0], "1");
	nova_vm_free(pair[1]);
	nova_vm_free(pair[0]);
	tear_down(&s);
}
END_TEST

/* --- killed --- */

/* In another process, until it is killed: each step of restore, park, fork and snapshot, again and
 * again. */
static void clone_for_ever(const struct setting *s)
{
	nova_host_t *host;
	ck_ok(nova_host_new(s->config, &host, &error));
	for (;;) {
		nova_vm_t *vm = restore(host, "base"), *children[2];
		ck_ok(nova_vm_park(vm, 1, 0, NULL, &error));
		ck_ok(nova_vm_fork(vm, 2, NULL, children, &error));
		ck_ok(nova_vm_snapshot(children[0], NULL, NULL, &error));
		nova_vm_free(children[0]);
		nova_vm_free(children[1]);
		nova_vm_free(vm);
	}
}

enum { ROUNDS = 8 };

START_TEST(a_process_killed_while_it_restores_or_forks_leaves_nothing)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	take(vm, "base");
	nova_vm_free(vm);
	pid_t dead[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pid = fork();
		if (pid == 0)
			clone_for_ever(&s);
		sys_poll(NULL, 0, 40 + 83 * round);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status), "the clones failed");
		dead[round] = pid;
	}
	/* their keepers take the time that the kernel takes to end VMs */
	for (int round = 0; round < ROUNDS; round++) {
		AUTO_FREE char *directory = str_format("%s/run/%d-", s.dir, (int)dead[round]);
		vmtest_await_none(directory);
	}
	nova_snapshot_t **list, *one;
	size_t count;
	ck_ok(nova_snapshot_list(s.host, &list, &count, &error));
	for (size_t i = 0; i < count; i++) {
		ck_ok(nova_snapshot_open(s.host, nova_snapshot_id(list[i]), &one, &error));
		nova_snapshot_free(one);
		if (strcmp(nova_snapshot_name(list[i]), "base") != 0)
			/* the dead hold nothing */
			ck_ok(nova_snapshot_delete(s.host, nova_snapshot_id(list[i]), &error));
	}
	nova_snapshot_list_free(list, count);
	ck_ok(nova_snapshot_delete(s.host, "base", &error));
	nova_host_t *next; /* sweeps the run directories of the dead */
	ck_ok(nova_host_new(s.config, &next, &error));
	nova_host_unref(next);
	tear_down(&s);
}
END_TEST

/* --- branches --- */

START_TEST(branches_of_a_fork_are_merged_into_one)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *branches[2], *merged = NULL;
	free(sh(vm,
		"cd /tmp; echo 1 >kept; echo 1 >changed; echo 1 >gone; mkdir d; echo 1 >d/old"));
	ck_ok(nova_vm_fork(vm, 2, NULL, branches, &error));
	free(sh(branches[0], "cd /tmp; echo first >changed; rm gone; head -c 3000000 /dev/urandom "
			     ">large; mkdir -p n/m; ln -s ../../kept n/m/link"));
	free(sh(branches[1], "cd /tmp; echo second >d/new; chmod 600 kept; mkfifo pipe"));
	nova_merge_t *report;
	nova_merge_opts opts = { sizeof(opts), .branches = branches, .branch_count = 2 };
	ck_ok(nova_vm_merge(vm, &opts, &merged, &report, &error));
	ck_assert_uint_eq(nova_merge_conflicts(report), 0);
	AUTO_FREE char *sum = sh(branches[0], "sha256sum /tmp/large");
	says(merged, "sha256sum /tmp/large", sum);
	says(merged, "cd /tmp; cat changed kept d/* n/m/link; ls; stat -c '%a %u' kept large",
		"first\n1\nsecond\n1\n1\nchanged\nd\nkept\nlarge\nn\n600 1000\n644 1000\n");
	says(vm, "cd /tmp; cat changed gone; ls", "1\n1\nchanged\nd\ngone\nkept\n");
	answers(merged, "1");
	nova_merge_free(report);
	nova_vm_free(merged);

	free(sh(branches[1], "sleep 1; echo other >/tmp/changed"));
	merged = NULL;
	ck_fails_with(
		NOVA_EEXIST, "'/tmp/changed'", nova_vm_merge(vm, &opts, &merged, &report, &error));
	ck_assert(!merged && nova_merge_count(report) == 1 && nova_merge_branch(report, 0) == -1);
	nova_merge_free(report);
	opts.on_conflict = NOVA_MERGE_LATEST;
	ck_ok(nova_vm_merge(vm, &opts, &merged, &report, &error));
	says(merged, "cat /tmp/changed", "other\n");
	nova_merge_free(report);
	nova_vm_free(merged);
	merged = NULL;
	opts.on_conflict = NOVA_MERGE_REFUSE;
	nova_vm_kill(branches[1]);
	ck_fails_with(NOVA_ELOST, nova_vm_id(branches[1]),
		nova_vm_merge(vm, &opts, &merged, &report, &error));
	ck_assert(!merged && !report);
	nova_vm_free(branches[0]);
	nova_vm_free(branches[1]);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

static void ck_parent(const struct setting *s, const char *name, const char *parent_name)
{
	nova_snapshot_t *one, *parent = NULL;
	ck_ok(nova_snapshot_open(s->host, name, &one, &error));
	if (parent_name)
		ck_ok(nova_snapshot_open(s->host, parent_name, &parent, &error));
	ck_assert_str_eq(nova_snapshot_parent(one), parent ? nova_snapshot_id(parent) : "");
	nova_snapshot_free(one);
	nova_snapshot_free(parent);
}

START_TEST(snapshots_know_the_branch_that_they_grow_on)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s);
	take(vm, "first");
	take(vm, "second");
	nova_vm_free(vm);
	vm = restore(s.host, "first");
	nova_vm_t *child = fork_one(vm);
	take(child, "branch");
	take(vm, "other");
	nova_vm_free(child);
	nova_vm_free(vm);
	ck_parent(&s, "first", NULL);
	ck_parent(&s, "second", "first");
	ck_parent(&s, "branch", "first");
	ck_parent(&s, "other", "first");
	tear_down(&s);
}
END_TEST

/* --- engines that cannot --- */

START_TEST(an_engine_that_cannot_says_so)
{
	struct setting s = set_up();
	nova_vm_t *vm = start_plain(&s), *child = NULL;
	nova_snapshot_t *snapshot = NULL;
	ck_fails_with(NOVA_ENOTSUP, "fake", nova_vm_fork(vm, 1, NULL, &child, &error));
	ck_fails_with(NOVA_ENOTSUP, "fake", nova_vm_park(vm, 1, 0, NULL, &error));
	ck_fails_with(NOVA_ENOTSUP, "fake", nova_vm_snapshot(vm, NULL, &snapshot, &error));
	ck_fails_with(NOVA_ENOTSUP, "fake",
		nova_vm_merge(vm,
			&(nova_merge_opts){
				sizeof(nova_merge_opts), .branches = &vm, .branch_count = 1 },
			&child, NULL, &error));
	ck_assert(!child && !snapshot && !vm_stat(vm, NOVA_VM_STAT_STOOD_STILL_US));
	answers(vm, "1");
	nova_vm_free(vm);
	ck_fails_with(
		NOVA_ENOTFOUND, "none", nova_snapshot_open(s.host, "none", &snapshot, &error));
	ck_fails_with(NOVA_ENOTFOUND, "none", nova_snapshot_delete(s.host, "none", &error));
	ck_ok(nova_snapshot_prune(s.host, NULL, &error));
	tear_down(&s);
}
END_TEST

static TCase *new_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);
	tcase_set_timeout(tc, 180);
	suite_add_tcase(suite, tc);
	return tc;
}

static Suite *snapshot_suite(void)
{
	Suite *suite = suite_create("snapshot");
	if (is_fake()) {
		tcase_add_test(new_case(suite, "unable"), an_engine_that_cannot_says_so);
		return suite;
	}
	TCase *tc = new_case(suite, "fork");
	tcase_add_test(tc, children_go_on_from_the_same_instant_and_then_alone);
	tcase_add_test(tc, eight_children_are_made_at_once_and_one_may_die_alone);
	tcase_add_test(tc, a_child_that_has_not_been_asked_yet_can_be_treated_as_any_vm);
	tcase_add_test(tc, a_fork_during_a_call_waits_for_its_end);
	tcase_add_test(tc, a_paused_vm_can_be_forked_and_stays_paused);
	tcase_add_test(tc, a_dead_vm_cannot_be_forked);
	tcase_add_test(tc, a_parent_killed_while_it_forks_is_dead_and_leaves_nothing);
	tcase_add_loop_test(tc, a_booted_vm_killed_in_its_first_fork_is_dead, 0, 4);
	tc = new_case(suite, "identity");
	tcase_add_test(tc, siblings_are_different_machines);
	tcase_add_test(tc, a_clock_set_back_by_hours_is_right_in_clones);
	tc = new_case(suite, "disk");
	tcase_add_test(tc, a_snapshot_goes_on_later_and_elsewhere_and_can_be_chained);
	tcase_add_test(tc, a_snapshot_that_does_not_fit_is_refused_by_name);
	tcase_add_test(tc, a_full_disk_is_told_and_nothing_half_made_stays);
	tcase_add_test(tc, a_process_killed_while_it_writes_leaves_whole_snapshots_only);
	tcase_add_test(new_case(suite, "killed"),
		a_process_killed_while_it_restores_or_forks_leaves_nothing);
	tc = vmtest_case_of_guests("store", 180);
	tcase_add_test(tc, names_are_checked_and_unique);
	tcase_add_test(tc, branches_of_a_fork_are_merged_into_one);
	tcase_add_test(tc, snapshots_know_the_branch_that_they_grow_on);
	tcase_add_test(tc, a_compressed_snapshot_is_smaller_and_goes_on_as_any);
	suite_add_tcase(suite, tc);
	tc = new_case(suite, "standby");
	tcase_add_test(tc, forks_and_restores_take_vmms_on_standby_and_a_useless_one_costs_nothing);
	tcase_add_test(tc, a_shell_that_dies_in_the_hands_of_a_fork_is_replaced);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, snapshot_suite);
}
