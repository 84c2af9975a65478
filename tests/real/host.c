/* SPDX-License-Identifier: MIT */
/* What a VMM does to its host. */
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "real.h"

#define GROUPS "/sys/fs/cgroup"

/* A host of version 2 in a mount namespace of our own, with the group that a jailer once made. */
static bool be_a_cgroup2_host(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		umount2(GROUPS, MNT_DETACH) == 0 && mount("cgroup2", GROUPS, "cgroup2", 0, NULL) == 0 &&
		(fs_exists(GROUPS "/firecracker") || mkdir(GROUPS "/firecracker", 0755) == 0);
}

/* The group of version 2 that a process is in; caller frees. */
static char *group_of(pid_t pid)
{
	AUTO_FREE char *path = str_format("/proc/%d/cgroup", (int)pid);
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *lines = buf_steal_str(&text);
	char *line = strstr(lines, "0::");
	ck_assert_ptr_nonnull(line);
	line[strcspn(line, "\n")] = 0;
	return strdup(line);
}

START_TEST(a_vmm_stays_in_the_control_group_that_it_was_started_in)
{
	if (strcmp(engine, "firecracker") || !be_a_cgroup2_host()) {
		fprintf(stderr, "# SKIP %s: no hierarchy of version 2 can be mounted\n", __func__);
		return;
	}
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	AUTO_FREE char *group = group_of((pid_t)nova_vm_pid(vm));
	ck_assert_msg(!strstr(group, "/firecracker"), "it is in %s", group);
	nova_vm_free(vm);
	tear_down(&s);
	rmdir(GROUPS "/firecracker");
}
END_TEST

/* --- another processor ------------------------------------------------------------------------ */

/* In a mount namespace of our own. */
static bool pretend_another_processor(const char *dir)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	AUTO_FREE char *path = path_join(dir, "cpuinfo");
	ck_assert_int_eq(fs_read_file("/proc/cpuinfo", &text), 0);
	uint8_t *flag = memmem(text.data, text.len, " lm ", 4);
	ck_assert_ptr_nonnull(flag);
	memcpy(flag, " l2 ", 4);
	ck_assert_int_eq(fs_write_file(path, text.data, text.len, 0600), 0);
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount(path, "/proc/cpuinfo", NULL, MS_BIND, NULL) == 0;
}

START_TEST(a_snapshot_of_another_processor_is_not_restored)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL), *restored = NULL;
	nova_snapshot_t *snapshot;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	ck_ok(nova_vm_snapshot(vm, &opts, &snapshot, &error));
	ck_ok(nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	is_call(restored, 1);
	nova_vm_free(restored);
	if (pretend_another_processor(s.dir))
		ck_fails(NOVA_ESTALE,
			nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	else
		printf("# SKIP %s: /proc/cpuinfo cannot be covered\n", __func__);
	nova_snapshot_free(snapshot);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

void add_host_tests(TCase *tc, int variants)
{
	tcase_add_loop_test(tc, a_vmm_stays_in_the_control_group_that_it_was_started_in, 0, variants);
	tcase_add_loop_test(tc, a_snapshot_of_another_processor_is_not_restored, 0, variants);
}
