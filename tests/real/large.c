/* SPDX-License-Identifier: MIT */
/* A guest with much memory, of which it has touched little. */
#include <sys/stat.h>

#include "engine/firecracker/firecracker.h"
#include "real.h"

#define LARGE_MB   1024u
#define MEMORY     "/proc/self/fd/7" /* as an unjailed VMM sees it */
#define STATE      "/proc/self/fd/8"
#define TOUCHED_MB 64u /* and it is less */

static nova_vm_t *start_large(struct setting *s)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.memory_mb = LARGE_MB;
	nova_vm_t *vm = start_with(s, &opts);
	is_call(vm, 1);
	return vm;
}

/* The API socket of the only VM. */
static char *api_socket(const char *directory)
{
	char **names;
	ck_assert_int_eq(fs_list(directory, &names), 1);
	char *path = path_join(directory, names[0]);
	strv_free(names, 1);
	return path;
}

static void ask(struct fc_api *api, const char *method, const char *path, const char *body)
{
	ck_ok(fc_call(api, method, path, body, deadline_in_ms(120000), NULL, &error));
}

/* How long a booted guest stands still for a snapshot that is asked for past the library, in us. */
static uint64_t still_us(const char *kind)
{
	AUTO_FREE char *sockets = test_dir();
	struct setting s = set_up(false, "firecracker.socket_dir", sockets, NULL);
	nova_vm_t *vm = start_large(&s);
	pid_t pid = (pid_t)nova_vm_pid(vm);
	struct process process = { .pid = pid, .pidfd = vmtest_pidfd(pid) };
	struct fc_api api = { .socket = api_socket(sockets), .process = &process };
	AUTO_FREE char *body =
		str_format("{\"snapshot_path\":\"" STATE "\",\"mem_file_path\":\"" MEMORY
			   "\",\"snapshot_type\":\"%s\"}",
			kind);
	uint64_t begin = clock_ns();
	ask(&api, "PATCH", "/vm", "{\"state\":\"Paused\"}");
	ask(&api, "PUT", "/snapshot/create", body);
	ask(&api, "PATCH", "/vm", "{\"state\":\"Resumed\"}");
	uint64_t us = (clock_ns() - begin) / 1000;
	fc_api_done(&api);
	fd_close(process.pidfd);
	nova_vm_free(vm);
	tear_down(&s);
	fs_remove_tree(sockets);
	return us;
}

/* Megabytes that the memory file of a VM's base really has. */
static uint64_t base_mb(nova_vm_t *vm)
{
	struct stat st;
	AUTO_FREE char *path = str_format("/proc/%d/fd/7", (int)nova_vm_pid(vm));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, (uint64_t)LARGE_MB << 20);
	return (uint64_t)st.st_blocks * 512 >> 20;
}

START_TEST(the_first_snapshot_of_a_large_guest_writes_only_what_it_has_touched)
{
	uint64_t full = still_us("Full"), diff = still_us("Diff");
	struct setting s = set_up(false, NULL);
	nova_vm_t *vm = start_large(&s), *restored;
	nova_snapshot_t *snapshot;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	ck_ok(nova_vm_snapshot(vm, &opts, &snapshot, &error));
	printf("# note: a guest of %u MB stands still for its first snapshot: Full %llu us, Diff "
	       "%llu us (1/%llu), and as a whole %llu us; its base has %llu MB\n",
		LARGE_MB, (unsigned long long)full, (unsigned long long)diff,
		(unsigned long long)(full / diff),
		(unsigned long long)vm_stat(vm, NOVA_VM_STAT_STOOD_STILL_US),
		(unsigned long long)base_mb(vm));
	fflush(stdout);
	ck_assert_uint_lt(base_mb(vm), TOUCHED_MB);
	is_call(vm, 2);
	ck_ok(nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	is_call(restored, 2);
	nova_vm_free(vm);
	nova_vm_free(restored);
	nova_snapshot_free(snapshot);
	tear_down(&s);
}
END_TEST

void add_large_tests(TCase *tc)
{
	if (!strcmp(engine, "firecracker"))
		tcase_add_test(
			tc, the_first_snapshot_of_a_large_guest_writes_only_what_it_has_touched);
}
