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

void add_host_tests(TCase *tc, int variants)
{
	tcase_add_loop_test(tc, a_vmm_stays_in_the_control_group_that_it_was_started_in, 0, variants);
}
