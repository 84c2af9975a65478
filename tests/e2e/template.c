/* SPDX-License-Identifier: MIT */
/* Templates and the shells that wait at them. On engines that can be snapshotted only. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <jansson.h>

#include "platform.h"
#include "pool/pool.h"

/* --- looking --- */

/* Files of the state directory's snapshots that begin so. */
static size_t count_entries(const char *home, const char *prefix)
{
	AUTO_FREE char *root = path_join(home, "snapshots");
	char **names;
	int count = fs_list(root, &names);
	size_t found = 0;
	for (int i = 0; i < count; i++)
		found += str_starts(names[i], prefix);
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}

/* Templates of functions, or of the runtimes that they are made from. ret_last (may be NULL): the
 * directory of the last one. */
static size_t templates_of(const struct platform *p, int functions, char **ret_last)
{
	nova_snapshot_t **list;
	size_t count, found = 0;
	pool_settle_templates(p->pool, NULL);
	ck_ok(nova_template_list(nova_host_get(p->nova), &list, &count, &error));
	for (size_t i = 0; i < count; i++) {
		if (nova_snapshot_has_function(list[i]) != functions)
			continue;
		found++;
		if (ret_last) {
			free(*ret_last);
			*ret_last = strdup(nova_snapshot_path(list[i]));
		}
	}
	nova_snapshot_list_free(list, count);
	return found;
}

static size_t templates(const struct platform *p)
{
	ck_assert_uint_eq(count_entries(p->dir, ".tmp-"), 0);
	return templates_of(p, 1, NULL);
}

static char *only_template(const struct platform *p, int functions)
{
	char *path = NULL;
	ck_assert_uint_eq(templates_of(p, functions, &path), 1);
	return path;
}

#define MOST 16

static pid_t parent_of(const char *pid)
{
	AUTO_FREE char *path = str_format("/proc/%s/stat", pid);
	AUTO_BUF struct buf text = BUF_INIT(4096);
	if (fs_read_file(path, &text) < 0 || buf_append(&text, "", 1) < 0)
		return 0;
	const char *rest = strrchr((char *)text.data, ')'); /* the name before it may be anything */
	int parent = 0;
	char state = 0;
	return rest && sscanf(rest, ") %c %d", &state, &parent) == 2 && state != 'Z' ? parent : 0;
}

static pid_t keeper_of(const nova_result_t *result)
{
	AUTO_FREE char *pid = str_format("%d", (int)vmtest_vmm(nova_result_vm_id(result)));
	return parent_of(pid);
}

/* The VMMs of the platform whose keeper that is. */
static size_t vmms(pid_t keeper, pid_t pids[MOST])
{
	char **names;
	int count = fs_list("/proc", &names);
	size_t found = 0;
	ck_assert_int_gt(count, 0);
	ck_assert_int_gt(keeper, 1);
	for (int i = 0; i < count; i++)
		if (names[i][0] >= '1' && names[i][0] <= '9' && parent_of(names[i]) == keeper) {
			ck_assert_uint_lt(found, MOST);
			pids[found++] = (pid_t)atoi(names[i]);
		}
	strv_free(names, (size_t)count);
	return found;
}

static void kill_and_await(pid_t pid)
{
	int end = vmtest_pidfd(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	vmtest_await_end(end);
}

/* Until the milliseconds of the idle VMs are over. */
static void end_idle(const struct platform *p)
{
	while (nova_pool_tick(p->pool) >= 0 && pool_counter(p->pool, NOVA_POOL_IDLE))
		sys_poll(NULL, 0, 1);
}

#define SOURCE "import time\nloaded = 7\ndef handler(event):\n    return loaded\n"

/* What a handle of its own on the same state directory has to do for a cold call. Whether the
 * function had to be loaded. */
static bool cold_call_loads(const struct platform *p)
{
	nova_t *other;
	nova_result_t *r;
	ck_ok(nova_open(p->config, &other, &error));
	ck_ok(platform_call(other, "f", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	ck_assert_str_eq(nova_result_output(r, NULL), "7");
	bool loads = nova_result_timing_us(r, NOVA_TIMING_INIT) > 0;
	nova_result_free(r);
	nova_close(other);
	return loads;
}

/* --- templates --- */

START_TEST(the_first_call_makes_a_template_and_other_processes_use_it)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert_uint_eq(templates(&p), 0);
	ck_assert(cold_call_loads(&p));
	ck_assert_uint_eq(templates(&p), 1);
	pid_t pid = fork();
	if (pid == 0)
		_exit(cold_call_loads(&p) ? 1 : 0);
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(templates(&p), 1);
	nova_snapshot_t **list;
	size_t count;
	ck_ok(nova_snapshot_list(nova_host_get(p.nova), &list, &count, &error));
	ck_assert_uint_eq(count, 0); /* it is nobody's snapshot */
	nova_snapshot_list_free(list, count);
	platform_close(&p);
}
END_TEST

static size_t templates_on_disk(const struct platform *p)
{
	nova_snapshot_t **list;
	size_t count, found = 0;
	ck_ok(nova_template_list(nova_host_get(p->nova), &list, &count, &error));
	for (size_t i = 0; i < count; i++)
		found += nova_snapshot_has_function(list[i]) == 1;
	nova_snapshot_list_free(list, count);
	return found;
}

static void note_template_vm(void *userdata, int level, const char *module, const char *text)
{
	const char *vm = strstr(text, ": "), *end = strstr(text, ", init ");
	(void)level;
	if (!strcmp(module, "template") && vm && end)
		snprintf(userdata, 9, "%.8s", vm + 2);
}

START_TEST(the_first_answer_comes_from_the_templates_vm_and_before_it_is_written)
{
	struct platform p = platform_open(NULL);
	char made_of[9] = "";
	nova_result_t *r;
	platform_add(p.nova, "f", "python", SOURCE);
	nova_host_set_log(nova_host_get(p.nova), note_template_vm, made_of, NOVA_LOG_DEBUG);
	ck_ok(platform_call(p.nova, "f", &r));
	ck_assert_str_eq(nova_result_output(r, NULL), "7");
	ck_assert_str_eq(nova_result_vm_id(r), made_of);
	ck_assert_uint_gt(nova_result_timing_us(r, NOVA_TIMING_INIT), 0);
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	nova_result_free(r);
	ck_assert_uint_eq(templates_on_disk(&p), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_TEMPLATE_STARTS), 1);
	nova_pool_tick(p.pool);
	ck_assert_uint_eq(templates_on_disk(&p), 1);
	nova_host_set_log(nova_host_get(p.nova), NULL, NULL, NOVA_LOG_NONE);
	/* Who looks for another finds it written, whoever ticks or not. */
	platform_add(p.nova, "g", "python", SOURCE "# g\n");
	platform_add(p.nova, "h", "python", SOURCE "# h\n");
	platform_answers(p.nova, "g", "7");
	ck_assert_uint_eq(templates_on_disk(&p), 1);
	platform_answers(p.nova, "h", "7");
	ck_assert_uint_eq(templates_on_disk(&p), 2);
	ck_ok(nova_template_build(p.nova, "h", NULL, &error));
	ck_assert_uint_eq(templates_on_disk(&p), 3);
	platform_close(&p);
}
END_TEST

static void add_with(nova_t *nova, const char *source, const char *variable, uint32_t memory_mb)
{
	const char *const env[] = { variable };
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "f";
	opts.runtime = "shell";
	opts.code = source;
	opts.code_len = strlen(source);
	opts.flags = NOVA_REGISTER_REPLACE;
	opts.env = env;
	opts.env_count = 1;
	opts.memory_mb = memory_mb;
	ck_ok(nova_function_register(nova, &opts, NULL, &error));
}

START_TEST(whatever_goes_into_a_template_makes_another_when_it_changes)
{
	struct platform p = platform_open(NULL);
	add_with(p.nova, "echo 1$A", "A=1", 128);
	platform_answers(p.nova, "f", "11");
	ck_assert_uint_eq(templates(&p), 1);
	add_with(p.nova, "echo 2$A", "A=1", 128);
	platform_answers(p.nova, "f", "21");
	ck_assert_uint_eq(templates(&p), 2);
	add_with(p.nova, "echo 2$A", "A=2", 128);
	platform_answers(p.nova, "f", "22");
	ck_assert_uint_eq(templates(&p), 3);
	add_with(p.nova, "echo 2$A", "A=2", 96);
	platform_answers(p.nova, "f", "22");
	/* another guest, so what is of no use any more has gone: the first code is not there */
	ck_assert_uint_eq(templates(&p), 3);
	add_with(p.nova, "echo 2$A", "A=2", 128); /* as before */
	platform_answers(p.nova, "f", "22");
	ck_assert_uint_eq(templates(&p), 3);
	platform_close(&p);
}
END_TEST

/* Leaves exactly `count` descriptors free while the call is made. */
static int call_with_free(nova_t *nova, int count, nova_result_t **ret_result)
{
	struct rlimit before, narrow;
	int held[512], taken = 0;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	narrow = before;
	narrow.rlim_cur = 256;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &narrow), 0);
	while (taken < 512 && (held[taken] = dup(0)) >= 0)
		taken++;
	for (int i = 0; i < count && taken; i++)
		close(held[--taken]);
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.flags = NOVA_INVOKE_FRESH;
	int code = nova_invoke(nova, "f", "{}", &opts, ret_result, &error);
	while (taken)
		close(held[--taken]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	return code;
}

START_TEST(a_moment_without_descriptors_leaves_the_template_in_place)
{
	struct platform p = platform_open_empty(NULL);
	nova_t *other;
	nova_result_t *r = NULL;
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert(cold_call_loads(&p));
	AUTO_FREE char *path = only_template(&p, 1);
	AUTO_FREE char *runtime = only_template(&p, 0);
	for (int count = 1; count <= 13; count += 3) {
		ck_ok(nova_open(p.config, &other, &error)); /* one that has not read it yet */
		int code = call_with_free(other, count, &r);
		ck_assert_msg(code == 0 || nova_error_os(error) == EMFILE, "with %d free: %s (%s)",
			count, nova_code_name(code), nova_error_message(error));
		nova_result_free(STEAL(r));
		nova_error_free(STEAL(error));
		nova_close(other);
		ck_assert_int_eq(fs_exists(path), 1);
		ck_assert_int_eq(fs_exists(runtime), 1);
	}
	ck_assert(!cold_call_loads(&p));
	platform_close(&p);
}
END_TEST

/* Images like the real ones, with an initramfs of their own: the same bytes, but a new file. */
static void make_images(const char *real, const char *images)
{
	static const char *const same[] = { "MANIFEST", "kernel/vmlinux", "rootfs" };
	AUTO_FREE char *kernel = path_join(images, "kernel"),
		       *from = path_join(real, "kernel/initramfs.cpio"),
		       *to = path_join(images, "kernel/initramfs.cpio");
	AUTO_BUF struct buf content = BUF_INIT(256u << 20);
	ck_assert_int_eq(fs_mkdirs(kernel, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		AUTO_FREE char *target = path_join(real, same[i]),
			       *link = path_join(images, same[i]);
		if (!fs_exists(link))
			ck_assert_int_eq(symlink(target, link), 0);
	}
	ck_assert_int_eq(fs_read_file(from, &content), 0);
	ck_assert_int_eq(fs_write_file(to, content.data, content.len, 0644), 0);
}

START_TEST(another_agent_makes_another_template)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *images = path_join(p.dir, "images"),
		       *real = strdup(nova_host_images(nova_host_get(p.nova)));
	make_images(real, images);
	ck_ok(nova_config_set(p.config, "images", images, &error));
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert(cold_call_loads(&p));
	ck_assert(!cold_call_loads(&p));
	make_images(real, images);
	ck_assert(cold_call_loads(&p));
	ck_assert_uint_eq(templates(&p), 1); /* the former can be of no use any more */
	platform_close(&p);
}
END_TEST

static void flip(const char *directory, const char *name)
{
	uint8_t byte;
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FD int fd = sys_open(path, O_RDWR, 0);
	ck_assert_int_eq(sys_pread_all(fd, &byte, 1, 5000), 0);
	byte ^= 1;
	ck_assert_int_eq(sys_pwrite_all(fd, &byte, 1, 5000), 0);
}

START_TEST(a_damaged_template_is_made_anew_unseen)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert(cold_call_loads(&p));
	AUTO_FREE char *template = only_template(&p, 1),
		       *manifest = path_join(template, "manifest.json"),
		       *pages = path_join(template, "pages");
	for (int damage = 0; damage < 4; damage++) {
		if (damage < 2)
			flip(template, damage ? "state" : "pages");
		else
			ck_assert_int_eq(fs_unlink(damage == 2 ? manifest : pages), 0);
		ck_assert_msg(cold_call_loads(&p), "damage %d was not seen", damage);
		ck_assert_uint_eq(templates(&p), 1);
		ck_assert(!cold_call_loads(&p));
	}
	platform_close(&p);
}
END_TEST

/* A QEMU that ends at once if it finds the file `die`, which it removes. */
static char *frail_qemu(const char *dir)
{
	char *program = path_join(dir, "frail-qemu");
	AUTO_FREE char *script = str_format(
		"#!/bin/sh\ncase \"$*\" in\n*-nodefaults*) rm %s/die 2>/dev/null && exit 1 ;;\n"
		"esac\nexec qemu-system-x86_64 \"$@\"\n",
		dir);
	ck_assert_int_eq(fs_write_file(program, script, strlen(script), 0755), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0); /* the VMM runs as somebody else */
	return program;
}

START_TEST(a_template_whose_clone_has_died_is_kept)
{
	char *dir = test_dir();
	AUTO_FREE char *program = frail_qemu(dir), *die = path_join(dir, "die");
	struct platform p = platform_open("qemu.binary", program, NULL);
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert(cold_call_loads(&p));
	ck_assert_int_eq(fs_write_file(die, "", 0, 0666), 0);
	ck_assert(!cold_call_loads(&p));
	ck_assert(!fs_exists(die));
	ck_assert(!cold_call_loads(&p));
	platform_close(&p);
	test_dir_remove(dir);
}
END_TEST

#define WHO                                                                                        \
	"import os, random, secrets, tempfile, time, uuid\n"                                       \
	"def handler(event):\n"                                                                    \
	"    return [os.urandom(8).hex(), random.random(), secrets.token_hex(8), "                 \
	"str(uuid.uuid4()), next(tempfile._get_candidate_names()),"                                \
	" open('/proc/sys/kernel/hostname').read(), open('/etc/machine-id').read(), "              \
	"time.time()]\n"

START_TEST(clones_of_one_template_are_told_apart_and_told_the_time)
{
	struct platform p = platform_open("pool.idle_ttl", "1ms", NULL);
	platform_add(p.nova, "f", "python", WHO);
	json_t *answers[3] = { NULL };
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		nova_result_t *result;
		ck_ok(platform_call(p.nova, "f", &result));
		ck_assert_int_eq(nova_result_cold_start(result), 1);
		answers[i] = json_loads(nova_result_output(result, NULL), 0, NULL);
		double now = (double)clock_unix_us() / 1e6,
		       there = json_real_value(json_array_get(answers[i], 7));
		ck_assert_msg(there > now - 60 && there < now + 60,
			"the guest's clock says %f, ours %f", there, now);
		for (size_t other = 0; other < i; other++)
			for (size_t what = 0; what < 7; what++)
				ck_assert_msg(!json_equal(json_array_get(answers[i], what),
						      json_array_get(answers[other], what)),
					"clones %zu and %zu agree in %zu", i, other, what);
		nova_result_free(result);
		end_idle(&p);
	}
	ck_assert_uint_eq(templates(&p), 1);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		json_decref(answers[i]);
	platform_close(&p);
}
END_TEST

static void ck_hook_fails(const struct platform *p, const char *words)
{
	nova_result_t *r;
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN, words, platform_call(p->nova, "f", &r));
	ck_assert_ptr_null(r);
	ck_assert_uint_eq(pool_counter(p->pool, NOVA_POOL_BOOTS), 0);
}

START_TEST(a_hook_that_fails_is_the_failure_of_the_call_and_not_of_the_template)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "python",
		"def after_restore():\n    raise ValueError('no database')\n" SOURCE);
	for (int i = 0; i < 2; i++) {
		ck_hook_fails(&p, "after_restore: ValueError: no database (handler, line 2)");
		ck_assert_uint_eq(templates(&p), 1);
	}
	platform_add(p.nova, "f", "python",
		"def before_snapshot():\n    raise ValueError('still busy')\n" SOURCE);
	ck_hook_fails(&p, "before_snapshot: ValueError: still busy (handler, line 2)");
	platform_close(&p);
}
END_TEST

START_TEST(processes_that_race_for_a_template_make_one)
{
	struct platform p = platform_open(NULL);
	int gate[2];
	pid_t pids[4];
	char byte;
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert_int_eq(sys_pipe(gate), 0);
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			fd_close(gate[1]);
			(void)sys_read(gate[0], &byte, 1); /* until all are there */
			_exit(cold_call_loads(&p) ? 10 : 20);
		}
	}
	fd_close(gate[0]);
	fd_close(gate[1]);
	int made = 0;
	for (int i = 0; i < 4; i++) {
		int status = -1;
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status) &&
			  (WEXITSTATUS(status) == 10 || WEXITSTATUS(status) == 20));
		made += WEXITSTATUS(status) == 10;
	}
	ck_assert_int_eq(made, 1);
	ck_assert_uint_eq(templates(&p), 1);
	ck_assert_uint_eq(count_entries(p.dir, ".make-"), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_template_that_finds_no_room_on_disk_still_serves_its_process)
{
	struct platform p = platform_open_empty("pool.idle_ttl", "1ms", NULL);
	AUTO_FREE char *root = path_join(p.dir, "snapshots");
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert_int_eq(fs_mkdirs(root, 0700), 0);
	/* otherwise we may not mount here */
	if (mount("none", root, "tmpfs", 0, "size=4m,mode=0700") == 0) {
		platform_answers(p.nova, "f", "7");
		ck_assert_uint_eq(templates(&p), 0);
		end_idle(&p);
		platform_answers(p.nova, "f", "7");
		ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MISSES), 2);
		ck_assert_uint_eq(templates(&p), 0);
		ck_assert_int_eq(umount(root), 0);
	}
	ck_assert(cold_call_loads(&p));
	ck_assert_uint_eq(templates(&p), 1);
	platform_close(&p);
}
END_TEST

/* As many as fit, and a part of one. */
static nova_t *open_with_room_for(const struct platform *p, uint64_t functions)
{
	nova_t *own;
	uint64_t stats[NOVA_TEMPLATE_LIMIT_BYTES + 1], one = 0;
	nova_snapshot_t **list;
	size_t count;
	nova_host_t *host = nova_host_get(p->nova);
	ck_ok(nova_template_list(host, &list, &count, &error));
	for (size_t i = 0; i < count; i++)
		if (*nova_snapshot_base(list[i]))
			one = nova_snapshot_disk_bytes(list[i]);
	nova_snapshot_list_free(list, count);
	ck_assert_uint_gt(one, 0);
	ck_assert_int_gt(nova_template_stats(host, stats, ARRAY_LEN(stats), &error), 0);
	uint64_t most = stats[NOVA_TEMPLATE_BYTES] + (functions - 1) * one + one / 2;
	AUTO_FREE char *limit = str_format("%llu", (unsigned long long)(most >> 20) + 1);
	ck_ok(nova_config_set(p->config, "pool.templates_disk", limit, &error));
	ck_ok(nova_open(p->config, &own, &error));
	return own;
}

static size_t add_many(const struct platform *p, char names[][16], size_t room)
{
	const char *is_long = getenv("NOVA_TEST_LONG");
	size_t count = is_long && *is_long ? room : 4;
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *source = str_format(SOURCE "# %zu\n", i);
		snprintf(names[i], 16, "f%zu", i);
		platform_add(p->nova, names[i], "python", source);
	}
	return count;
}

START_TEST(many_functions_called_once_each_stay_within_the_limit_and_answer)
{
	struct platform p = platform_open_empty("pool.idle_ttl", "1ms", NULL), own = p;
	char names[200][16];
	uint64_t stats[NOVA_TEMPLATE_LIMIT_BYTES + 1];
	size_t count = add_many(&p, names, ARRAY_LEN(names));
	platform_answers(p.nova, names[0], "7");
	end_idle(&p);
	own.nova = open_with_room_for(&p, 2);
	own.pool = nova_pool_get(own.nova);
	nova_host_t *host = nova_host_get(own.nova);
	for (size_t i = 1; i <= count; i++) {
		platform_answers(own.nova, names[i % count], "7");
		ck_assert_int_gt(nova_template_stats(host, stats, ARRAY_LEN(stats), &error), 0);
		ck_assert_uint_le(stats[NOVA_TEMPLATE_BYTES], stats[NOVA_TEMPLATE_LIMIT_BYTES]);
		ck_assert_uint_eq(stats[NOVA_TEMPLATE_BASES], 1);
		end_idle(&own);
	}
	ck_assert_uint_lt(stats[NOVA_TEMPLATE_COUNT], count + 1);
	nova_close(own.nova);
	platform_close(&p);
}
END_TEST

START_TEST(without_templates_functions_boot)
{
	struct platform p = platform_open("pool.templates", "off", NULL);
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert(cold_call_loads(&p));
	ck_assert(cold_call_loads(&p));
	ck_assert_uint_eq(templates(&p), 0);
	platform_close(&p);
}
END_TEST

/* --- the templates of runtimes --- */

static void count_boots(void *userdata, int level, const char *module, const char *text)
{
	(void)level;
	if (!strcmp(module, "vm") && strstr(text, " booted on "))
		__atomic_add_fetch((int *)userdata, 1, __ATOMIC_SEQ_CST);
}

static void answers_python(const struct platform *p, const char *name, const char *source,
	const char *variable, const char *output)
{
	const char *const env[] = { variable };
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = name;
	opts.runtime = "python";
	opts.code = source;
	opts.code_len = strlen(source);
	opts.env = env;
	opts.env_count = variable ? 1 : 0;
	opts.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(p->nova, &opts, NULL, &error));
	platform_answers(p->nova, name, output);
}

START_TEST(only_the_first_function_of_a_runtime_boots)
{
	struct platform p = platform_open_empty(NULL);
	int boots = 0;
	nova_host_set_log(nova_host_get(p.nova), count_boots, &boots, NOVA_LOG_INFO);
	answers_python(&p, "one", "def handler(event):\n    return 1\n", NULL, "1");
	ck_assert_int_eq(boots, 1);
	ck_assert_uint_eq(templates_of(&p, 0, NULL), 1);
	/* A larger disk than the first one's: its size is read anew. */
	AUTO_FREE char *large =
		str_format("X = '%0200000d'\ndef handler(event):\n    return len(X)\n", 0);
	answers_python(&p, "two", large, NULL, "200000");
	answers_python(&p, "env",
		"import os, sys\ndef handler(event):\n    return [os.environ['WHO'], "
		"len(sys.argv), os.getcwd(), __name__]\n",
		"WHO=me", "[\"me\", 1, \"/code\", \"main\"]");
	answers_python(&p, "zone", "import time\ndef handler(event):\n    return time.timezone\n",
		"TZ=XYZ5", "18000");
	/* This counts only when an interpreter starts: it gets one of its own. */
	answers_python(&p, "flags",
		"import sys\ndef handler(event):\n    return [sys.flags.optimize, "
		"sys.flags.hash_randomization]\n",
		"PYTHONOPTIMIZE=2", "[2, 1]");
	ck_assert_int_eq(boots, 1);
	ck_assert_uint_eq(templates_of(&p, 0, NULL), 1);
	ck_assert_uint_eq(templates(&p), 5);
	/* Another kind of guest. */
	platform_add(p.nova, "sh", "shell", "echo 3");
	platform_answers(p.nova, "sh", "3");
	ck_assert_int_eq(boots, 2);
	platform_add(p.nova, "sh2", "shell", "ls /code");
	platform_answers(p.nova, "sh2", "\"handler\\nlost+found\"");
	ck_assert_int_eq(boots, 2);
	ck_assert_uint_eq(templates_of(&p, 0, NULL), 2);
	nova_host_set_log(nova_host_get(p.nova), NULL, NULL, NOVA_LOG_NONE);
	platform_close(&p);
}
END_TEST

static void hear(void *userdata, const char *what)
{
	char **told = userdata;
	free(*told);
	*told = strdup(what);
}

START_TEST(a_prepared_runtime_is_made_once_and_its_functions_do_not_boot)
{
	struct platform p = platform_open_empty("pool.templates_disk", "1G", NULL);
	nova_template_opts opts = NOVA_TEMPLATE_OPTS_INIT;
	AUTO_FREE char *told = NULL, *root = path_join(p.dir, "snapshots");
	int made = 9, boots = 0;
	opts.on_progress = hear;
	opts.userdata = &told;
	ck_fails_with(NOVA_EINVAL, "did you mean 'shell'",
		nova_template_prepare(p.nova, "shel", &opts, &made, &error));
	/* a template that cannot be kept would be of no use; otherwise we may not mount here */
	ck_assert_int_eq(fs_mkdirs(root, 0700), 0);
	if (mount("none", root, "tmpfs", 0, "size=4m,mode=0700") == 0) {
		ck_fails_with(NOVA_ENOSPC, "No space left",
			nova_template_prepare(p.nova, "shell", &opts, &made, &error));
		ck_assert_uint_eq(templates(&p) + templates_of(&p, 0, NULL), 0);
		ck_assert_uint_eq(count_entries(p.dir, ".make-"), 0);
		ck_assert_int_eq(umount(root), 0);
	}
	ck_assert_int_eq(made, 9);
	ck_ok(nova_template_prepare(p.nova, "shell", &opts, &made, &error));
	ck_assert_int_eq(made, 1);
	ck_assert_str_eq(told, "making the template of shell, 10 s or more, once");
	free(STEAL(told));
	ck_ok(nova_template_prepare(p.nova, "binary", &opts, &made, &error)); /* the same guest */
	ck_assert_int_eq(made, 0);
	ck_assert_ptr_null(told);
	nova_host_set_log(nova_host_get(p.nova), count_boots, &boots, NOVA_LOG_INFO);
	platform_add(p.nova, "f", "shell", "echo 7");
	nova_invoke_opts call = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result;
	call.on_progress = hear;
	call.userdata = &told;
	ck_ok(nova_invoke(p.nova, "f", "{}", &call, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), "7");
	nova_result_free(result);
	ck_assert_str_eq(told, "loading f into a template, once");
	ck_assert_uint_eq(templates(&p), 1);
	/* The look at a function leaves its template, if it is to. */
	nova_function_opts looked_at = NOVA_FUNCTION_OPTS_INIT;
	looked_at.name = "g";
	looked_at.runtime = "shell";
	looked_at.code = "echo 8";
	looked_at.code_len = strlen(looked_at.code);
	looked_at.check = NOVA_CHECK_ALWAYS;
	looked_at.flags = NOVA_REGISTER_TEMPLATE;
	ck_ok(nova_function_register(p.nova, &looked_at, NULL, &error));
	ck_assert_uint_eq(templates(&p), 2);
	free(STEAL(told));
	ck_ok(nova_invoke(p.nova, "g", "{}", &call, &result, &error));
	ck_assert_str_eq(nova_result_output(result, NULL), "8");
	nova_result_free(result);
	ck_assert_ptr_null(told); /* nothing had to be loaded */
	ck_assert_uint_eq(templates(&p), 2);
	ck_assert_int_eq(boots, 0);
	nova_host_set_log(nova_host_get(p.nova), NULL, NULL, NOVA_LOG_NONE);
	platform_close(&p);
}
END_TEST

START_TEST(a_function_that_cannot_be_loaded_is_told_so_without_a_boot)
{
	struct platform p = platform_open(NULL);
	nova_result_t *result = NULL;
	int boots = 0;
	answers_python(&p, "good", "def handler(event):\n    return 1\n", NULL, "1");
	nova_host_set_log(nova_host_get(p.nova), count_boots, &boots, NOVA_LOG_INFO);
	platform_add(p.nova, "bad", "python", "import nothing_of_that_name\n");
	ck_fails_with(
		NOVA_EFUNCTION, "nothing_of_that_name", platform_call(p.nova, "bad", &result));
	ck_assert_int_eq(boots, 0);
	nova_host_set_log(nova_host_get(p.nova), NULL, NULL, NOVA_LOG_NONE);
	platform_close(&p);
}
END_TEST

/* What its import draws is no part of the template, which leaves the import to each clone. */
START_TEST(a_clone_imports_within_the_limit_that_its_function_has_now)
{
	struct platform p = platform_open("pool.idle_ttl", "1ms", NULL);
	static const char source[] = "import time, uuid\n"
				     "token = uuid.uuid4()\n"
				     "time.sleep(2)\n"
				     "def handler(event): return 1\n";
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	nova_result_t *result = NULL;
	o.name = "f";
	o.runtime = "python";
	o.code = source;
	o.code_len = sizeof(source) - 1;
	o.flags = NOVA_REGISTER_REPLACE;
	o.check = NOVA_CHECK_NEVER;
	ck_ok(nova_function_register(p.nova, &o, NULL, &error));
	platform_answers(p.nova, "f", "1");
	end_idle(&p);
	o.init_timeout_s = 1;
	ck_ok(nova_function_register(p.nova, &o, NULL, &error));
	ck_fails_with(
		NOVA_EFUNCTION, "took longer than 1000 ms", platform_call(p.nova, "f", &result));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BOOTS), 0);
	platform_close(&p);
}
END_TEST

START_TEST(a_damaged_runtime_template_is_made_anew)
{
	struct platform p = platform_open_empty(NULL);
	int boots = 0;
	answers_python(&p, "one", "def handler(event):\n    return 1\n", NULL, "1");
	nova_host_set_log(nova_host_get(p.nova), count_boots, &boots, NOVA_LOG_INFO);
	AUTO_FREE char *first = only_template(&p, 0),
		       *place = path_join(p.dir, "snapshots/.code-later");
	flip(first, "memory");
	answers_python(&p, "two", "def handler(event):\n    return 2\n", NULL, "2");
	ck_assert_int_eq(boots, 1);
	/* Without its placeholder it does not fit any more. */
	ck_assert_int_eq(fs_unlink(place), 0);
	answers_python(&p, "three", "def handler(event):\n    return 3\n", NULL, "3");
	ck_assert_int_eq(boots, 2);
	nova_host_set_log(nova_host_get(p.nova), NULL, NULL, NOVA_LOG_NONE);
	platform_close(&p);
}
END_TEST

START_TEST(functions_that_race_for_a_runtime_template_boot_once)
{
	struct platform p = platform_open_empty(NULL);
	static const char *const names[] = { "one", "two", "three" };
	pid_t pids[ARRAY_LEN(names)];
	int boots = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		/* the same code would have the same template */
		AUTO_FREE char *source = str_format(SOURCE "# %s\n", names[i]);
		platform_add(p.nova, names[i], "python", source);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			nova_t *own;
			ck_ok(nova_open(p.config, &own, &error));
			nova_host_set_log(nova_host_get(own), count_boots, &boots, NOVA_LOG_INFO);
			platform_answers(own, names[i], "7");
			nova_close(own);
			_exit(boots);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int status = -1;
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		boots += WEXITSTATUS(status);
	}
	ck_assert_int_eq(boots, 1);
	ck_assert_uint_eq(templates_of(&p, 0, NULL), 1);
	ck_assert_uint_eq(templates(&p), 3);
	platform_close(&p);
}
END_TEST

START_TEST(pruning_sees_a_changed_kernel_or_agent)
{
	struct platform p = platform_open_empty(NULL);
	size_t pruned = 9;
	AUTO_FREE char *images = path_join(p.dir, "images"),
		       *real = strdup(nova_host_images(nova_host_get(p.nova)));
	make_images(real, images);
	ck_ok(nova_config_set(p.config, "images", images, &error));
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert(cold_call_loads(&p));
	ck_ok(nova_template_prune(nova_host_get(p.nova), 0, &pruned, &error));
	ck_assert_uint_eq(pruned, 0);
	make_images(real, images);
	ck_ok(nova_template_prune(nova_host_get(p.nova), 0, &pruned, &error));
	ck_assert_uint_eq(pruned, 2);
	ck_assert_uint_eq(templates(&p) + templates_of(&p, 0, NULL), 0);
	platform_close(&p);
}
END_TEST

/* --- shells --- */

/* Where zygotes stand, parked clones take their place. */
static struct platform open_with_shells(void)
{
	return platform_open("pool.hot", "off", "pool.standby", "2", "pool.idle_ttl", "1ms", NULL);
}

/* The idle VM ends with the next tick, so that the call after it is a cold one. */
static void call_and_tick(const struct platform *p, pid_t *ret_keeper)
{
	nova_result_t *r;
	ck_ok(platform_call(p->nova, "f", &r));
	ck_assert_str_eq(nova_result_output(r, NULL), "7");
	if (ret_keeper)
		*ret_keeper = keeper_of(r);
	nova_result_free(r);
	end_idle(p);
}

/* Those that died soon after their start are replaced a second after it. */
static void await_shells(const struct platform *p, pid_t keeper, pid_t shells[MOST])
{
	while (vmms(keeper, shells) < 2) {
		int64_t ms = nova_pool_tick(p->pool);
		ck_assert_int_ge(ms, 0);
		sys_poll(NULL, 0, ms < 1000 ? (int)ms : 1000);
	}
}

START_TEST(shells_are_kept_used_and_replaced)
{
	struct platform p = open_with_shells();
	pid_t keeper, shells[MOST], now[MOST];
	platform_add(p.nova, "f", "python", SOURCE);
	call_and_tick(&p, &keeper);
	ck_assert_uint_eq(vmms(keeper, shells), 2);

	nova_result_t *r;
	ck_ok(platform_call(p.nova, "f", &r));
	ck_assert_int_eq(nova_result_cold_start(r), 1);
	ck_assert_uint_eq(vmms(keeper, now), 2); /* one of them is the VM now */
	ck_assert(now[0] == shells[0] && now[1] == shells[1]);
	nova_result_free(r);
	end_idle(&p);
	ck_assert_uint_eq(vmms(keeper, shells), 2);

	kill_and_await(shells[_i]); /* the one that would be next, or the other */
	call_and_tick(&p, NULL);
	await_shells(&p, keeper, shells);
	kill_and_await(shells[0]);
	kill_and_await(shells[1]);
	call_and_tick(&p, NULL);
	await_shells(&p, keeper, shells);
	/* the death of a shell says nothing about the template */
	ck_assert_uint_eq(templates(&p), 1);

	int ends[2] = { vmtest_pidfd(shells[0]), vmtest_pidfd(shells[1]) };
	if (_i == 1) {
		ck_ok(nova_function_delete(
			p.nova, "f", 0, &error)); /* they are of no use any more */
		ck_assert_uint_eq(vmms(keeper, shells), 0);
	}
	platform_close(&p);
	vmtest_await_end(ends[0]);
	vmtest_await_end(ends[1]);
}
END_TEST

START_TEST(shells_end_with_a_process_that_is_killed)
{
	struct platform p = open_with_shells();
	int tell[2];
	pid_t keeper = 0, shells[MOST];
	platform_add(p.nova, "f", "python", SOURCE);
	ck_assert_int_eq(sys_pipe(tell), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct platform own = { .config = p.config };
		ck_ok(nova_open(p.config, &own.nova, &error));
		own.pool = nova_pool_get(own.nova);
		call_and_tick(&own, &keeper);
		ck_assert_int_eq(sys_write_all(tell[1], &keeper, sizeof(keeper)), 0);
		for (;;)
			pause();
	}
	ck_assert_int_eq(sys_read(tell[0], &keeper, sizeof(keeper)), sizeof(keeper));
	ck_assert_uint_eq(vmms(keeper, shells), 2);
	int ends[2] = { vmtest_pidfd(shells[0]), vmtest_pidfd(shells[1]) };
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	vmtest_await_end(ends[0]);
	vmtest_await_end(ends[1]);
	fd_close(tell[0]);
	fd_close(tell[1]);
	nova_t *next; /* sweeps what the dead one left */
	ck_ok(nova_open(p.config, &next, &error));
	nova_close(next);
	platform_close(&p);
}
END_TEST

TCase *template_cases(void)
{
	TCase *tc = tcase_create("templates");
	if (is_fake())
		return tc;
	tcase_add_test(tc, the_first_call_makes_a_template_and_other_processes_use_it);
	tcase_add_test(tc, the_first_answer_comes_from_the_templates_vm_and_before_it_is_written);
	tcase_add_test(tc, whatever_goes_into_a_template_makes_another_when_it_changes);
	tcase_add_test(tc, a_moment_without_descriptors_leaves_the_template_in_place);
	tcase_add_test(tc, another_agent_makes_another_template);
	tcase_add_test(tc, a_damaged_template_is_made_anew_unseen);
	tcase_add_test(tc, a_template_whose_clone_has_died_is_kept);
	tcase_add_test(tc, clones_of_one_template_are_told_apart_and_told_the_time);
	tcase_add_test(tc, a_hook_that_fails_is_the_failure_of_the_call_and_not_of_the_template);
	tcase_add_test(tc, processes_that_race_for_a_template_make_one);
	tcase_add_test(tc, a_template_that_finds_no_room_on_disk_still_serves_its_process);
	tcase_add_test(tc, many_functions_called_once_each_stay_within_the_limit_and_answer);
	tcase_add_test(tc, without_templates_functions_boot);
	return tc;
}

TCase *runtime_cases(void)
{
	TCase *tc = tcase_create("runtimes");
	if (is_fake())
		return tc;
	tcase_add_test(tc, only_the_first_function_of_a_runtime_boots);
	tcase_add_test(tc, a_prepared_runtime_is_made_once_and_its_functions_do_not_boot);
	tcase_add_test(tc, a_function_that_cannot_be_loaded_is_told_so_without_a_boot);
	tcase_add_test(tc, a_clone_imports_within_the_limit_that_its_function_has_now);
	tcase_add_test(tc, a_damaged_runtime_template_is_made_anew);
	tcase_add_test(tc, functions_that_race_for_a_runtime_template_boot_once);
	tcase_add_test(tc, pruning_sees_a_changed_kernel_or_agent);
	return tc;
}

TCase *standby_cases(void)
{
	TCase *tc = tcase_create("shells");
	if (is_fake())
		return tc;
	tcase_add_loop_test(tc, shells_are_kept_used_and_replaced, 0, 2);
	tcase_add_test(tc, shells_end_with_a_process_that_is_killed);
	return tc;
}
