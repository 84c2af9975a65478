/* SPDX-License-Identifier: MIT */
/* Functions whose VMs are forked: docs/hot.md, "Zygotes in the pool". A call that goes the classic
 * way says why, and is a failure here unless a test asked for it. */
#include <signal.h>

#include <jansson.h>

#include "hot.h"
#include "pool/internal.h"
#include "vm/object.h"

/* --- calls, each in a VM that nobody has used --- */

static nova_result_t *call_fresh(struct platform *p, const char *name)
{
	nova_invoke_opts o = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *r;
	o.flags = NOVA_INVOKE_FRESH;
	ck_ok(nova_invoke(p->nova, name, "{}", &o, &r, &error));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	return r;
}

static void calls_classic(struct platform *p, const char *name, const char *why)
{
	nova_result_t *r = call_fresh(p, name);
	ck_assert_str_eq(nova_result_path(r), "classic");
	ck_assert_ptr_nonnull(strstr(nova_result_path_why(r), why));
	nova_result_free(r);
}

/* Threads on a busy host may not come to rest in all the time there is: the classic way is right
 * then, and says so. What such a call returns; caller frees. */
static json_t *calls_in(struct platform *p, const char *name, const char *path)
{
	for (uint64_t deadline = deadline_in_ms(120000); !deadline_passed(deadline);) {
		nova_result_t *r = call_fresh(p, name);
		bool is_so = !strcmp(nova_result_path(r), path);
		json_t *output = json_loads(nova_result_output(r, NULL), JSON_DECODE_ANY, NULL);
		ck_assert(is_so ? !*nova_result_path_why(r) :
				  vmtest_host_was_busy(nova_result_path_why(r)));
		nova_result_free(r);
		if (is_so)
			return output;
		json_decref(output);
		sys_poll(NULL, 0, 100);
	}
	ck_abort_msg("no call has come from a zygote");
}

static json_t *calls_hot(struct platform *p, const char *name)
{
	return calls_in(p, name, "hot");
}

/* --- zygotes --- */

/* Those that stand for functions, or for runtimes; the last is the one that was used last. */
static size_t stand(struct platform *p, bool of_runtime, pid_t *ret_last)
{
	size_t count = 0;
	*ret_last = 0;
	pthread_mutex_lock(&p->pool->lock);
	for (struct link *l = p->pool->zygotes.next; l != &p->pool->zygotes; l = l->next) {
		struct group_zygote *z = &CONTAINER_OF(l, struct group, zygote.stands)->zygote;
		if (z->of_runtime != of_runtime)
			continue;
		*ret_last = (pid_t)nova_vm_pid(z->slot->vm);
		count++;
	}
	pthread_mutex_unlock(&p->pool->lock);
	return count;
}

/* The process of the one that was used last; 0: no function has one. */
static pid_t zygote_of(struct platform *p)
{
	pid_t pid;
	stand(p, false, &pid);
	return pid;
}

static void tick_until_stands(struct platform *p, bool of_runtime, size_t count)
{
	pid_t pid;
	while (nova_pool_tick(p->pool), stand(p, of_runtime, &pid) != count)
		sys_poll(NULL, 0, 5);
}

/* Its first call; from then on it stands. */
static void make_zygote(struct platform *p, const char *name)
{
	pid_t pid;
	size_t before = stand(p, false, &pid);
	nova_result_free(call_fresh(p, name));
	tick_until_stands(p, false, before + 1);
}

static unsigned long processor_ticks(pid_t pid)
{
	unsigned long user = 0, system = 0;
	AUTO_FREE char *path = str_format("/proc/%d/stat", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *line = buf_steal_str(&text);
	ck_assert_int_eq(
		sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			&user, &system),
		2);
	return user + system;
}

static void stands_still(pid_t pid)
{
	unsigned long before = processor_ticks(pid);
	sys_poll(NULL, 0, 500);
	ck_assert_uint_le(processor_ticks(pid), before + 1);
}

static bool host_gives_huge_pages_if_asked(void)
{
	AUTO_BUF struct buf text = BUF_INIT(256);
	return fs_read_file("/sys/kernel/mm/transparent_hugepage/enabled", &text) == 0 &&
	       memmem(text.data, text.len, "[madvise]", 9);
}

/* The one mapping that is written and executed. */
static void may_have_huge_pages_for_what_it_translates(pid_t pid)
{
	AUTO_FREE char *path = str_format("/proc/%d/smaps", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(4u << 20);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *maps = buf_steal_str(&text);
	const char *translated = strstr(maps, " rwxp ");
	ck_assert_ptr_nonnull(translated);
	const char *eligible = strstr(translated, "THPeligible:");
	ck_assert_int_eq(strtol(eligible + strlen("THPeligible:"), NULL, 10), 1);
}

static struct platform open_hot(const char *zygotes)
{
	return platform_open("pool.hot", "auto", "pool.hot_patience", HOT_PATIENCE, "pool.zygotes",
		zygotes, "pool.standby", "0", NULL);
}

/* --- what a child is --- */

#define WHO                                                                                        \
	"import os, random, time\n"                                                                \
	"calls = 0\n"                                                                              \
	"def handler(event):\n"                                                                    \
	"    global calls\n"                                                                       \
	"    calls += 1\n"                                                                         \
	"    return [calls, time.time(), os.uname().nodename, os.urandom(8).hex(),\n"              \
	"            random.random(), open('/etc/machine-id').read()]\n"

static void is_the_first_call_now(json_t *told)
{
	double now = (double)clock_unix_us() / 1e6;
	ck_assert_int_eq(json_integer_value(json_array_get(told, 0)), 1);
	ck_assert_double_le(json_number_value(json_array_get(told, 1)), now + 2);
	ck_assert_double_ge(json_number_value(json_array_get(told, 1)), now - 60);
}

START_TEST(a_second_call_is_answered_by_a_fork_that_is_somebody_of_its_own)
{
	struct platform p = open_hot("auto");
	platform_add(p.nova, "f", "python", WHO);
	calls_classic(&p, "f", "no zygote stands yet for the function");
	tick_until_stands(&p, false, 1);
	stands_still(zygote_of(&p));
	if (host_gives_huge_pages_if_asked())
		may_have_huge_pages_for_what_it_translates(zygote_of(&p));
	json_t *one = calls_hot(&p, "f"), *other = calls_hot(&p, "f");
	is_the_first_call_now(one);
	is_the_first_call_now(other);
	for (size_t i = 2; i < 6; i++)
		ck_assert(!json_equal(json_array_get(one, i), json_array_get(other, i)));
	json_decref(one);
	json_decref(other);
	ck_assert_uint_ge(pool_counter(p.pool, NOVA_POOL_HOT_STARTS), 2);
	platform_close(&p);
}
END_TEST

/* A zygote opens nothing that its children would share. */
#define HOOKS                                                                                      \
	"state = []\n"                                                                             \
	"def before_snapshot():\n    state.clear()\n"                                              \
	"def after_restore():\n    state.append('open')\n"                                         \
	"def handler(event):\n    return state\n"
#define DRAWS                                                                                      \
	"import uuid\ndrawn = str(uuid.uuid4())\n"                                                 \
	"def handler(event):\n    return drawn\n"

START_TEST(functions_with_hooks_and_those_that_draw_are_whole_in_each_child)
{
	struct platform p = open_hot("auto");
	platform_add(p.nova, "hooks", "python", HOOKS);
	platform_add(p.nova, "draws", "python", DRAWS);
	make_zygote(&p, "hooks");
	json_t *open = json_pack("[s]", "open");
	for (int i = 0; i < 2; i++) {
		json_t *state = calls_hot(&p, "hooks");
		ck_assert(json_equal(state, open));
		json_decref(state);
	}
	make_zygote(&p, "draws");
	json_t *one = calls_hot(&p, "draws"), *other = calls_hot(&p, "draws");
	ck_assert(json_is_string(one) && !json_equal(one, other));
	json_decref(one);
	json_decref(other);
	json_decref(open);
	platform_close(&p);
}
END_TEST

/* --- clones that are forked ahead --- */

static void tick_until_parked(struct platform *p, uint64_t count)
{
	while (nova_pool_tick(p->pool), pool_counter(p->pool, NOVA_POOL_PARKED) != count)
		sys_poll(NULL, 0, 5);
}

static nova_vm_t *parked_one(struct platform *p)
{
	return CONTAINER_OF(p->pool->parked.next, struct slot, age)->vm;
}

/* Of the processes that are there to be forked, or have been, and their keeper. */
static size_t descriptors_of(const char *pid)
{
	char **names;
	AUTO_FREE char *path = str_format("/proc/%s/fd", pid);
	int count = fs_list(path, &names);
	ck_assert_int_gt(count, 0);
	strv_free(names, (size_t)count);
	return (size_t)count;
}

START_TEST(a_call_is_answered_by_a_clone_that_was_forked_ahead)
{
	struct platform p = platform_open("pool.hot", "auto", "pool.hot_patience", HOT_PATIENCE,
		"pool.standby", "4", "pool.max_vms", "32", NULL);
	platform_add(p.nova, "f", "python", WHO);
	make_zygote(&p, "f");
	size_t before = descriptors_of("self");
	tick_until_parked(&p, 4);
	ck_assert_uint_le(descriptors_of("self"), before + 3 * 4);
	stands_still((pid_t)nova_vm_pid(parked_one(&p)));
	nova_result_t *r = call_fresh(&p, "f");
	ck_assert_str_eq(nova_result_path(r), "parked");
	ck_assert_str_eq(nova_result_path_why(r), "");
	json_t *one = json_loads(nova_result_output(r, NULL), JSON_DECODE_ANY, NULL);
	nova_result_free(r);
	json_t *other = calls_in(&p, "f", "parked");
	is_the_first_call_now(one);
	is_the_first_call_now(other);
	for (size_t i = 2; i < 6; i++)
		ck_assert(!json_equal(json_array_get(one, i), json_array_get(other, i)));
	json_decref(one);
	json_decref(other);
	tick_until_parked(&p, 4);
	pid_t pid = (pid_t)nova_vm_pid(parked_one(&p));
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
	json_decref(calls_in(&p, "f", "parked"));
	platform_close(&p);
}
END_TEST

/* --- the end of a zygote --- */

static void answers_hot(struct platform *p, const char *name, int output)
{
	json_t *told = calls_hot(p, name);
	ck_assert_int_eq(json_integer_value(told), output);
	json_decref(told);
}

START_TEST(a_zygote_that_was_killed_costs_no_call_and_is_replaced)
{
	struct platform p = open_hot("auto");
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	make_zygote(&p, "f");
	pid_t pid = zygote_of(&p);
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
	calls_classic(&p, "f", "is dead");
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_HOT_FALLBACKS), 1);
	tick_until_stands(&p, false, 1);
	ck_assert_int_ne(zygote_of(&p), pid);
	answers_hot(&p, "f", 1);
	platform_close(&p);
}
END_TEST

static pid_t parent_of(pid_t pid)
{
	int parent = 0;
	AUTO_FREE char *path = str_format("/proc/%d/stat", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *line = buf_steal_str(&text);
	ck_assert_int_eq(sscanf(strrchr(line, ')'), ") %*c %d", &parent), 1);
	return parent;
}

/* A parked clone ends with its keeper, as does whatever is being born. */
START_TEST(keepers_that_were_killed_are_no_reason_against_forks)
{
	struct platform p = platform_open("pool.hot", "auto", "pool.hot_patience", HOT_PATIENCE,
		"pool.standby", "1", "pool.max_vms", "32", NULL);
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	for (int i = 0; i < 3; i++) {
		make_zygote(&p, "f");
		tick_until_parked(&p, 1);
		pid_t keeper = parent_of(zygote_of(&p));
		int end = vmtest_pidfd(keeper);
		ck_assert_int_eq(kill(keeper, SIGKILL), 0);
		vmtest_await_end(end);
		nova_result_t *r = call_fresh(&p, "f");
		ck_assert_str_eq(nova_result_output(r, NULL), "1");
		nova_result_free(r);
		while (nova_pool_tick(p.pool), zygote_of(&p))
			sys_poll(NULL, 0, 5);
	}
	make_zygote(&p, "f");
	json_decref(calls_in(&p, "f", "parked"));
	platform_close(&p);
}
END_TEST

static bool last_one_has_run_a_program(struct platform *p)
{
	pthread_mutex_lock(&p->pool->lock);
	struct link *last = p->pool->zygotes.prev;
	const nova_vm_t *vm = CONTAINER_OF(last, struct group, zygote.stands)->zygote.slot->vm;
	bool has = vm->program_begun && !*vm->rehearsal;
	pthread_mutex_unlock(&p->pool->lock);
	return has;
}

START_TEST(the_zygote_of_a_program_has_run_another_one)
{
	struct platform p = open_hot("auto");
	platform_add(p.nova, "f", "shell", "echo \"{\\\"left\\\": \\\"$(ls /tmp)\\\"}\"\n");
	make_zygote(&p, "f");
	ck_assert(last_one_has_run_a_program(&p));
	json_t *told = calls_hot(&p, "f");
	ck_assert_str_eq(json_string_value(json_object_get(told, "left")), "");
	json_decref(told);
	platform_close(&p);
}
END_TEST

START_TEST(another_version_of_a_function_never_comes_from_the_zygote_of_the_former)
{
	struct platform p = open_hot("auto");
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	make_zygote(&p, "f");
	answers_hot(&p, "f", 1);
	int end = vmtest_pidfd(zygote_of(&p));
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 2\n");
	vmtest_await_end(end);
	ck_assert_int_eq(zygote_of(&p), 0);
	make_zygote(&p, "f");
	answers_hot(&p, "f", 2);
	platform_close(&p);
}
END_TEST

/* That of a runtime wants the place, too. */
static pid_t stands_alone(struct platform *p, const char *name, pid_t other)
{
	pid_t pid;
	do {
		nova_result_free(call_fresh(p, name));
		sys_poll(NULL, 0, 500);
		nova_pool_tick(p->pool);
		ck_assert_uint_le(pool_counter(p->pool, NOVA_POOL_ZYGOTES), 1);
		pid = zygote_of(p);
	} while (!pid || pid == other);
	return pid;
}

START_TEST(with_a_limit_of_one_the_function_called_later_has_the_zygote)
{
	struct platform p = open_hot("1");
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	platform_add(p.nova, "g", "python", "def handler(event):\n    return 2\n");
	pid_t first = stands_alone(&p, "f", 0);
	ck_assert_int_ne(stands_alone(&p, "g", first), first);
	answers_hot(&p, "g", 2);
	calls_classic(&p, "f", "no zygote stands yet");
	platform_close(&p);
}
END_TEST

/* --- others need the room of a zygote --- */

static void has_room_for(struct platform *p, uint32_t vms)
{
	pthread_mutex_lock(&p->pool->lock);
	p->pool->max_vms = vms;
	pthread_mutex_unlock(&p->pool->lock);
}

/* What else happens while a zygote is forked: once. */
static void (*meanwhile)(void);
static struct platform *of;

int __real_vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **e);
int __wrap_vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **e);
int __wrap_vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **e)
{
	if (meanwhile)
		STEAL(meanwhile)();
	return __real_vm_zygote_fork(zygote, code_disk, stop, ret_vm, why, e);
}

static void another_caller_finds_no_room(void)
{
	nova_invoke_opts o = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *r = NULL;
	o.flags = NOVA_INVOKE_FRESH;
	o.queue_timeout_ms = 1;
	ck_failed(NOVA_ELIMIT, NOVA_OUTCOME_NEVER_RAN, "pool.queue_timeout",
		nova_invoke(of->nova, "f", "{}", &o, &r, &error));
}

static void all_of_its_group_are_forgotten(void)
{
	const struct link *last = of->pool->zygotes.prev;
	AUTO_FREE char *key = strdup(CONTAINER_OF(last, struct group, zygote.stands)->key);
	nova_pool_forget(of->pool, key);
}

START_TEST(a_zygote_that_is_being_forked_makes_no_place_for_others)
{
	struct platform p = open_hot("1");
	of = &p;
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	pid_t zygote = stands_alone(&p, "f", 0);
	has_room_for(&p, 2);
	do
		meanwhile = another_caller_finds_no_room;
	while (answers_hot(&p, "f", 1), meanwhile);
	ck_assert_int_eq(zygote_of(&p), zygote);
	platform_close(&p);
}
END_TEST

START_TEST(a_call_whose_zygote_ends_meanwhile_is_told_so)
{
	struct platform p = open_hot("auto");
	of = &p;
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	make_zygote(&p, "f");
	nova_result_t *r = NULL;
	for (meanwhile = all_of_its_group_are_forgotten; meanwhile;) {
		nova_result_free(r);
		r = call_fresh(&p, "f");
	}
	ck_assert_str_eq(nova_result_output(r, NULL), "1");
	ck_assert_str_eq(
		nova_result_path_why(r), "the function's zygote was ended while it was forked");
	nova_result_free(r);
	platform_close(&p);
}
END_TEST

/* They count until their processes have been awaited, which a tick does. */
START_TEST(vms_that_were_killed_make_place_before_a_zygote_does)
{
	struct platform p = open_hot("1");
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	pid_t zygote = stands_alone(&p, "f", 0);
	has_room_for(&p, 4);
	ck_assert_int_ge(nova_pool_fd(p.pool), 0);
	for (int i = 0; i < 8; i++)
		answers_hot(&p, "f", 1);
	ck_assert_int_eq(zygote_of(&p), zygote);
	platform_close(&p);
}
END_TEST

/* --- zygotes of runtimes --- */

#define RUN_TIMEOUT_MS 600000

/* Code that is run once; the result is the caller's. */
static nova_result_t *run(struct platform *p, const char *language, const char *code)
{
	nova_run_opts o = NOVA_RUN_OPTS_INIT;
	nova_result_t *r;
	o.timeout_ms = RUN_TIMEOUT_MS;
	ck_ok(nova_run(p->nova, language, code, &o, &r, &error));
	return r;
}

static nova_result_t *runs_hot(struct platform *p, const char *language, const char *code)
{
	for (uint64_t deadline = deadline_in_ms(120000); !deadline_passed(deadline);) {
		nova_result_t *r = run(p, language, code);
		if (!strcmp(nova_result_path(r), "hot"))
			return r;
		ck_assert(vmtest_host_was_busy(nova_result_path_why(r)));
		nova_result_free(r);
		sys_poll(NULL, 0, 100);
	}
	ck_abort_msg("nothing has run in a fork of the runtime's zygote");
}

static void runtime_stands(struct platform *p)
{
	nova_result_t *r = run(p, "python", "print(1)");
	ck_assert_str_eq(nova_result_path(r), "classic");
	ck_assert_str_eq(nova_result_path_why(r), "no zygote stands yet for the runtime");
	nova_result_free(r);
	tick_until_stands(p, true, 1);
}

/* All that a program can see of what was there before it. */
#define LOOK                                                                                       \
	"import json, os, sys\n"                                                                   \
	"def tree(top):\n"                                                                         \
	"    return sorted(os.path.join(at, name) for at, directories, files in os.walk(top)\n"    \
	"                  for name in directories + files)\n"                                     \
	"def comm(pid):\n"                                                                         \
	"    name = open(f'/proc/{pid}/comm').read().strip()\n"                                    \
	"    return 'kworker' if name.startswith('kworker') else name\n"                           \
	"kernel = [p for p in os.listdir('/proc') if p.isdigit()]\n"                               \
	"print(json.dumps([\n"                                                                     \
	"    sorted(sys.modules), [tree(top) for top in ('/tmp', '/dev/shm', '/run', '/code')],\n" \
	"    sorted((k, v) for k, v in os.environ.items() if k != 'NOVA_REQUEST_ID'),\n"           \
	"    open('/proc/self/mountinfo').read(), sys.path, sys.argv, os.getcwd(),\n"              \
	"    sorted(filter(lambda name: name != 'kworker', map(comm, kernel))),\n"                 \
	"    [os.getpid(), os.getppid(), os.getsid(0), os.getpgid(0), os.getuid()],\n"             \
	"    [p for p in tree('/sys/fs/cgroup/nova') if os.path.isdir(p)],\n"                      \
	"    sorted(os.listdir('/proc/self/fd'))]))\n"

static const char *const looks[][2] = {
	{ "python", LOOK },
	{ "shell", "cat /proc/self/mountinfo; ls -AR /tmp /dev/shm /run /code; echo $$ $PPID; "
		   "env | grep -v REQUEST_ID | sort; ls /sys/fs/cgroup/nova; ls /proc/$$/fd" },
};

START_TEST(what_a_runtimes_zygote_has_rehearsed_leaves_nothing_in_its_children)
{
	const char *language = looks[_i][0], *look = looks[_i][1];
	struct platform p = open_hot("auto");
	nova_result_t *classic = run(&p, language, look);
	ck_assert_str_eq(nova_result_path(classic), "classic");
	tick_until_stands(&p, true, 1);
	pid_t pid;
	stand(&p, true, &pid);
	stands_still(pid);
	for (int i = 0; i < 2; i++) {
		nova_result_t *hot = runs_hot(&p, language, look);
		ck_assert_str_eq(nova_result_stdout(hot, NULL), nova_result_stdout(classic, NULL));
		nova_result_free(hot);
	}
	nova_result_free(classic);
	platform_close(&p);
}
END_TEST

START_TEST(a_new_functions_first_call_is_a_fork_and_its_template_is_as_any)
{
	struct platform p = open_hot("auto");
	runtime_stands(&p);
	platform_add(p.nova, "f", "python", WHO);
	json_t *first = calls_hot(&p, "f");
	is_the_first_call_now(first);
	tick_until_stands(&p, false, 1);
	json_t *second = calls_hot(&p, "f");
	is_the_first_call_now(second);
	for (size_t i = 2; i < 6; i++)
		ck_assert(!json_equal(json_array_get(first, i), json_array_get(second, i)));
	json_decref(first);
	json_decref(second);
	pool_settle_templates(p.pool, NULL);
	nova_close(STEAL(p.nova)); /* of the one on disk, by another that has no zygotes */
	ck_ok(nova_config_set(p.config, "pool.hot", "off", &error));
	ck_ok(nova_open(p.config, &p.nova, &error));
	p.pool = nova_pool_get(p.nova);
	json_t *third;
	nova_result_t *r = call_fresh(&p, "f");
	third = json_loads(nova_result_output(r, NULL), 0, NULL);
	is_the_first_call_now(third);
	json_decref(third);
	nova_result_free(r);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_TEMPLATE_STARTS), 1);
	platform_close(&p);
}
END_TEST

START_TEST(code_of_several_owners_runs_in_forks_that_know_nothing_of_each_other)
{
	static const char leaves[] =
		"import os\nprint(os.path.exists('/tmp/left'), len(os.listdir('/code')))\n"
		"open('/tmp/left', 'w')\n";
	struct platform p = open_hot("auto");
	runtime_stands(&p);
	for (int i = 0; i < 3; i++) {
		nova_result_t *r = runs_hot(&p, "python", leaves);
		ck_assert_str_eq(nova_result_stdout(r, NULL), "False 2\n");
		nova_result_free(r);
	}
	pid_t pid;
	stand(&p, true, &pid);
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
	nova_result_t *r = run(&p, "python", leaves);
	ck_assert_str_eq(nova_result_path(r), "classic");
	ck_assert_ptr_nonnull(strstr(nova_result_path_why(r), "is dead"));
	nova_result_free(r);
	tick_until_stands(&p, true, 1);
	nova_result_free(runs_hot(&p, "python", leaves));
	platform_close(&p);
}
END_TEST

/* --- children that never come up --- */

static int stillborn; /* so many of the next ones die before they are used */

static void kill_and_await(nova_vm_t *vm)
{
	pid_t pid = (pid_t)nova_vm_pid(vm);
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
}

static int make_stillborn(void *userdata, const struct runtime_clone *what, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **e)
{
	struct platform *p = userdata;
	const struct template_clones own = p->pool->clones;
	runtimes_init(p->pool);
	int code = p->pool->clones.make(p->pool->clones.userdata, what, stop, ret_vm, why, e);
	p->pool->clones = own;
	if (code == 1 && stillborn-- > 0)
		kill_and_await(*ret_vm);
	return code;
}

int __real_vm_exec(nova_vm_t *vm, const struct vm_exec *exec, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **e);
int __wrap_vm_exec(nova_vm_t *vm, const struct vm_exec *exec, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **e);
int __wrap_vm_exec(nova_vm_t *vm, const struct vm_exec *exec, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **e)
{
	if (vm_path(vm) == VM_PATH_HOT && stillborn > 0) {
		stillborn--;
		kill_and_await(vm);
	}
	return __real_vm_exec(vm, exec, stop, ret_result, e);
}

#define BLAMED "zygote has just failed, and it rests"

START_TEST(code_whose_fork_never_comes_up_is_run_the_classic_way_and_the_zygote_rests)
{
	struct platform p = open_hot("auto");
	runtime_stands(&p);
	p.pool->clones = (struct template_clones){ make_stillborn, &p };
	nova_result_t *r = NULL;
	for (stillborn = 1; stillborn > 0;) {
		nova_result_free(r);
		r = run(&p, "python", "print(1)");
	}
	ck_assert_str_eq(nova_result_stdout(r, NULL), "1\n");
	ck_assert_str_eq(nova_result_path(r), "classic");
	nova_result_free(r);
	runtimes_init(p.pool);
	r = run(&p, "python", "print(2)");
	ck_assert_str_eq(nova_result_stdout(r, NULL), "2\n");
	ck_assert_ptr_nonnull(strstr(nova_result_path_why(r), BLAMED));
	nova_result_free(r);
	nova_result_free(runs_hot(&p, "python", "print(3)"));
	platform_close(&p);
}
END_TEST

START_TEST(code_that_has_been_given_to_a_fork_is_not_run_again_when_that_dies)
{
	struct platform p = open_hot("auto");
	runtime_stands(&p);
	nova_run_opts o = NOVA_RUN_OPTS_INIT;
	nova_result_t *r = NULL;
	o.timeout_ms = RUN_TIMEOUT_MS;
	int code = 0;
	for (stillborn = 1; stillborn > 0;) {
		nova_result_free(r);
		code = nova_run(p.nova, "python", "print(1)", &o, &r, &error);
	}
	ck_assert_int_eq(code, NOVA_ELOST);
	ck_assert_ptr_null(r);
	nova_error_free(STEAL(error));
	platform_close(&p);
}
END_TEST

START_TEST(a_call_whose_fork_never_comes_up_is_answered_the_classic_way)
{
	struct platform p = open_hot("auto");
	platform_add(p.nova, "f", "python", "def handler(event):\n    return 1\n");
	make_zygote(&p, "f");
	nova_result_t *r = NULL;
	for (stillborn = 1; stillborn > 0;) {
		nova_result_free(r);
		r = call_fresh(&p, "f");
	}
	ck_assert_str_eq(nova_result_output(r, NULL), "1");
	ck_assert_str_eq(nova_result_path(r), "classic");
	ck_assert_ptr_nonnull(strstr(nova_result_path_why(r), BLAMED));
	nova_result_free(r);
	answers_hot(&p, "f", 1);
	platform_close(&p);
}
END_TEST

/* Of calls in place the next one sees what they were asked, of others nothing. */
#define KEEPS                                                                                      \
	"import os\n"                                                                              \
	"asked = []\n"                                                                             \
	"def handler(event):\n"                                                                    \
	"    if os.path.exists('/tmp/left'):\n        asked.append('left')\n"                      \
	"    asked.append(event)\n"                                                                \
	"    open('/tmp/left', 'w').close()\n"                                                     \
	"    if event == 'fail':\n        raise ValueError(event)\n"                               \
	"    return asked\n"

static void add_that_rehearses(struct platform *p, const char *code, const char *input)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "python";
	o.code = code;
	o.code_len = strlen(code);
	o.rehearse = input;
	o.flags = NOVA_REGISTER_REPLACE;
	ck_ok(nova_function_register(p->nova, &o, NULL, &error));
}

static void a_fork_was_asked(struct platform *p, const char *what)
{
	make_zygote(p, "f");
	json_t *said = calls_hot(p, "f");
	AUTO_FREE char *text = json_dumps(said, JSON_COMPACT);
	ck_assert_str_eq(text, what);
	json_decref(said);
}

START_TEST(a_zygote_rehearses_with_the_input_that_the_user_gives)
{
	static const char in_place[] = "__nova_in_place__ = True\n" KEEPS;
	struct platform p = open_hot("auto");
	add_that_rehearses(&p, in_place, "{\"a\": [1]}");
	a_fork_was_asked(&p, "[{\"a\":[1]},\"left\",{}]");
	/* another input is for another zygote, also one that the function fails with */
	add_that_rehearses(&p, in_place, "\"fail\"");
	a_fork_was_asked(&p, "[\"fail\",\"left\",{}]");
	add_that_rehearses(&p, KEEPS, "1");
	a_fork_was_asked(&p, "[{}]");
	add_that_rehearses(&p,
		"def handler(event):\n    return 'x' * 2000000 if event is None else event\n",
		"null");
	a_fork_was_asked(&p, "{}");
	platform_close(&p);
}
END_TEST

TCase *zygote_cases(void)
{
	TCase *tc = tcase_create("zygotes");
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, a_second_call_is_answered_by_a_fork_that_is_somebody_of_its_own);
	tcase_add_test(tc, functions_with_hooks_and_those_that_draw_are_whole_in_each_child);
	tcase_add_test(tc, a_call_is_answered_by_a_clone_that_was_forked_ahead);
	tcase_add_test(tc, a_zygote_that_was_killed_costs_no_call_and_is_replaced);
	tcase_add_test(tc, keepers_that_were_killed_are_no_reason_against_forks);
	tcase_add_test(tc, the_zygote_of_a_program_has_run_another_one);
	tcase_add_test(tc, another_version_of_a_function_never_comes_from_the_zygote_of_the_former);
	tcase_add_test(tc, with_a_limit_of_one_the_function_called_later_has_the_zygote);
	tcase_add_test(tc, a_zygote_that_is_being_forked_makes_no_place_for_others);
	tcase_add_test(tc, a_call_whose_zygote_ends_meanwhile_is_told_so);
	tcase_add_test(tc, vms_that_were_killed_make_place_before_a_zygote_does);
	tcase_add_loop_test(tc, what_a_runtimes_zygote_has_rehearsed_leaves_nothing_in_its_children,
		0, ARRAY_LEN(looks));
	tcase_add_test(tc, a_new_functions_first_call_is_a_fork_and_its_template_is_as_any);
	tcase_add_test(
		tc, code_whose_fork_never_comes_up_is_run_the_classic_way_and_the_zygote_rests);
	tcase_add_test(tc, code_that_has_been_given_to_a_fork_is_not_run_again_when_that_dies);
	tcase_add_test(tc, a_call_whose_fork_never_comes_up_is_answered_the_classic_way);
	tcase_add_test(tc, code_of_several_owners_runs_in_forks_that_know_nothing_of_each_other);
	tcase_add_test(tc, a_zygote_rehearses_with_the_input_that_the_user_gives);
	return tc;
}
