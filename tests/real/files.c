/* SPDX-License-Identifier: MIT */
/* What VMs and their guests leave on the host's disks. */
#include <signal.h>
#include <sys/stat.h>

#include "engine/engine.h"
#include "real.h"

/* --- what a guest writes --- */

/* Bytes on disk of everything below a directory, links left out. */
static uint64_t bytes_below(const char *directory)
{
	char **names;
	int count = fs_list(directory, &names);
	uint64_t sum = 0;
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		struct stat st;
		if (lstat(path, &st) == 0)
			sum += S_ISDIR(st.st_mode) ? bytes_below(path) :
						     (uint64_t)st.st_blocks * 512;
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return sum;
}

/* Size of what the one name in the directory with that ending leads to; 0: there is none. */
static uint64_t size_of(const char *directory, const char *ending)
{
	char **names;
	int count = fs_list(directory, &names);
	uint64_t size = 0;
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		if (strstr(names[i], ending))
			ck_assert_int_eq(fs_stat(path, &size, NULL), 0);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return size;
}

static size_t console_length(nova_vm_t *vm)
{
	AUTO_FREE char *text = nova_vm_console(vm);
	return strlen(text);
}

/* Loops: with a console where _i is odd, in a jail from 2 on. */
START_TEST(a_guest_that_floods_its_serial_port_fills_no_disk)
{
	bool console = _i % 2;
	AUTO_FREE char *parent = test_dir(), *logs = path_join(parent, "logs");
	struct setting s = set_up(_i >= 2, "firecracker.log_dir", logs, "firecracker.console",
		console ? "on" : "off", NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	uint64_t before = bytes_below(s.dir);
	/* With a console it is more than what is kept of one. */
	for (int i = 0; i < times(1, 25); i++)
		call(vm, console ? "{\"print\":1500}" : "{\"print\":400}");
	ck_assert_uint_le(bytes_below(s.dir), before + (128u << 10));
	ck_assert_uint_le(bytes_below(parent), 16u << 10); /* links */
	ck_assert_uint_le(console_length(vm), CONSOLE_KEPT);
	ck_assert_uint_le(size_of(logs, ".log"), console ? CONSOLE_KEPT : 4096);
	if (console || !strcmp(engine, "qemu"))
		ck_assert_uint_gt(console_length(vm), 1024);
	nova_vm_free(vm);
	tear_down(&s);
	fs_remove_tree(parent);
}
END_TEST

/* --- what stays --- */

#define ID      8
#define VM_MOST 1024

/* Those that have been, with those that failed to start: messages of the module vm begin with it.
 */
static char ids[VM_MOST][ID + 1];
static size_t id_count;

static void note_id(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level;
	if (!strcmp(module, "vm") && strspn(text, "0123456789abcdef") == ID && id_count < VM_MOST)
		memcpy(ids[id_count++], text, ID);
}

static bool is_of_ours(const char *name)
{
	for (size_t i = 0; i < id_count; i++)
		if (strstr(name, ids[i]))
			return true;
	return false;
}

/* Names of files, one a line: all below a directory, or those in it that are of our VMs. */
static void list(struct buf *into, const char *directory, bool all)
{
	char **names;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		AUTO_FREE char *line = str_format("%s\n", path);
		if (all || is_of_ours(names[i]))
			ck_assert_int_eq(buf_append_str(into, line), 0);
		if (all && fs_is_directory(path) == 1)
			list(into, path, true);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

/* The control groups that a keeper has made, in both hierarchies. */
static void list_groups(struct buf *into, pid_t keeper)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file("/proc/self/cgroup", &text), 0);
	AUTO_FREE char *lines = buf_steal_str(&text), *prefix = str_format("nova-%d-", (int)keeper);
	char *save = NULL;
	for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool memory = strstr(line, ":memory:") != NULL;
		AUTO_FREE char *group = str_format(
			"/sys/fs/cgroup%s%s", memory ? "/memory" : "", strchr(line, '/'));
		char **names;
		int count = memory || str_starts(line, "0::") ? fs_list(group, &names) : -1;
		for (int i = 0; i < count; i++)
			if (str_starts(names[i], prefix))
				buf_append_str(into, names[i]);
		if (count >= 0)
			strv_free(names, (size_t)count);
	}
}

/* Everything that there is of ours; caller frees. */
static char *listing(const struct setting *s, pid_t keeper)
{
	static const char *const places[] = { "/tmp", "/tmp/nova", "/tmp/nova/sockets",
		"/tmp/nova/vsock", "/tmp/nova/logs", "/dev/shm", "/var/tmp", "/run" };
	struct buf text = BUF_INIT(1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		list(&text, places[i], false);
	list(&text, s->dir, true); /* with the jails */
	list_groups(&text, keeper);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return (char *)text.data;
}

static void end_in_peace(struct setting *s)
{
	nova_vm_t *vm = start(s, NULL);
	is_call(vm, 1);
	ck_ok(nova_vm_stop(vm, 60000, NULL, &error));
	nova_vm_free(vm);
}

static void end_with_a_child(struct setting *s)
{
	nova_vm_t *vm = start(s, NULL), *child = fork_one(vm);
	is_call(child, 1);
	call(vm, "{\"print\":20}");
	nova_vm_free(vm);
	nova_vm_free(child);
}

static void end_by_a_kill(struct setting *s)
{
	nova_vm_t *vm = start(s, NULL);
	nova_result_t *result = NULL;
	ck_assert_int_eq(kill((pid_t)nova_vm_pid(vm), SIGKILL), 0);
	ck_fails(NOVA_ELOST, nova_vm_invoke(vm, "{}", NULL, &result, &error));
	nova_vm_free(vm);
}

static void end_by_a_fault(struct setting *s)
{
	nova_vm_t *vm = start(s, NULL);
	nova_result_t *result = NULL;
	ck_fails(NOVA_ELOST, nova_vm_invoke(vm, "{\"fault\":1}", NULL, &result, &error));
	nova_vm_free(vm);
}

/* Of a VMM that refuses what it is to run: a kernel that is none, or a directory for a disk. What
 * it says to that is told. */
static void fail_to_start(struct setting *s)
{
	nova_host_t *host;
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	nova_vm_t *vm = NULL;
	AUTO_FREE char *kernel = path_join(s->dir, ".reserve");
	ck_ok(nova_config_set(s->config, "firecracker.kernel", kernel, &error));
	ck_ok(nova_host_new(s->config, &host, &error));
	nova_host_set_log(host, note_id, NULL, NOVA_LOG_DEBUG);
	opts.memory_mb = 64;
	opts.code_disk = strcmp(engine, "qemu") ? NULL : s->dir;
	ck_fails_with(NOVA_EENGINE, opts.code_disk ? "it said: " : "Invalid Elf magic",
		nova_vm_start(host, &opts, &vm, &error));
	nova_host_unref(host);
}

START_TEST(vms_leave_no_file_however_they_end)
{
	static void (*const ways[])(struct setting * s) = {
		end_in_peace,
		end_with_a_child,
		end_by_a_kill,
		end_by_a_fault,
		fail_to_start,
	};
	struct setting s = set_up_seen(_i == 1);
	nova_host_set_log(s.host, note_id, NULL, NOVA_LOG_DEBUG);
	AUTO_FREE char *runs = path_join(s.dir, "run");
	end_with_a_child(&s); /* what this finds out of the VMM is kept */
	pid_t keeper = vmtest_process(runs);
	AUTO_FREE char *before = listing(&s, keeper);
	int vms = times(8, 100);
	for (int i = 0; i < vms; i++)
		ways[i % (int)ARRAY_LEN(ways)](&s);
	AUTO_FREE char *after = listing(&s, keeper);
	ck_assert_uint_ge(id_count, (size_t)vms);
	ck_assert_str_eq(after, before);
	tear_down(&s);
}
END_TEST

void add_file_tests(TCase *tc, int variants)
{
	tcase_add_loop_test(tc, a_guest_that_floods_its_serial_port_fills_no_disk, 0, 2 * variants);
	tcase_add_loop_test(tc, vms_leave_no_file_however_they_end, 0, variants);
}
