/* SPDX-License-Identifier: MIT */
/* Platforms whose keeper stands still, and hosts whose table of descriptors is full. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "platform.h"

static pid_t keeper_of(const struct platform *p)
{
	char **names;
	pid_t found = 0;
	int count = fs_list("/proc", &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *comm = str_format("/proc/%s/comm", names[i]),
			       *cmdline = str_format("/proc/%s/cmdline", names[i]);
		AUTO_BUF struct buf name = BUF_INIT(64), line = BUF_INIT(1u << 20);
		if (fs_read_file(comm, &name) == 0 && name.len == 12 &&
			!memcmp(name.data, "nova-keeper\n", 12) &&
			fs_read_file(cmdline, &line) == 0 && line.len &&
			memmem(line.data, line.len, p->dir, strlen(p->dir)))
			found = (pid_t)strtol(names[i], NULL, 10);
	}
	ck_assert_int_gt(found, 1);
	strv_free(names, (size_t)count);
	return found;
}

START_TEST(a_platform_whose_keeper_stands_still_closes_all_the_same)
{
	struct platform p = platform_open(NULL);
	platform_add(p.nova, "f", "shell", "#!/bin/sh\necho 1\n");
	platform_answers(p.nova, "f", "1");
	pid_t keeper = keeper_of(&p);
	int end = vmtest_pidfd(keeper);
	ck_assert_int_eq(kill(keeper, SIGSTOP), 0);
	uint64_t limit = deadline_in_ms(50000);
	platform_close(&p); /* and nothing is left */
	ck_assert_msg(!deadline_passed(limit),
		"it took more than ten times the five seconds that it may take");
	vmtest_await_end(end);
}
END_TEST

struct table {
	struct rlimit before;
	int fds[512];
	size_t count;
};

static void fill_table(struct table *t, size_t left)
{
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &t->before), 0);
	struct rlimit low = { ARRAY_LEN(t->fds), t->before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	t->count = 0;
	for (int fd; (fd = dup(2)) >= 0;)
		t->fds[t->count++] = fd;
	while (left--)
		fd_close(t->fds[--t->count]);
}

static void empty_table(struct table *t)
{
	while (t->count)
		fd_close(t->fds[--t->count]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &t->before), 0);
}

static size_t open_fds(void)
{
	char **names;
	int count = fs_list("/proc/self/fd", &names);
	strv_free(names, (size_t)count);
	return (size_t)count;
}

START_TEST(a_vm_for_which_descriptors_are_missing_leaves_nothing_and_harms_no_other)
{
	struct platform p = platform_open(NULL);
	nova_vm_t *other = NULL, *vm = NULL;
	struct table table;
	int code = -1;
	ck_ok(nova_vm_start(nova_host_get(p.nova), NULL, &other, &error));
	for (size_t left = 0; code < 0; left += is_fake() ? 1 : 3) {
		ck_assert_uint_lt(left, 64);
		size_t before = open_fds();
		fill_table(&table, left);
		code = nova_vm_start(nova_host_get(p.nova), NULL, &vm, &error);
		empty_table(&table);
		if (code < 0) {
			ck_assert_msg(nova_error_os(error) == EMFILE, "with %zu left: %s", left,
				nova_error_message(error));
			ck_assert_uint_eq(open_fds(), before);
		}
		nova_error_free(error);
		error = NULL;
		ck_assert_int_eq(nova_vm_state(other), NOVA_VM_RUNNING);
	}
	ck_ok(nova_vm_ping(vm, 60000, NULL, &error));
	nova_vm_free(vm);
	nova_vm_free(other);
	platform_close(&p);
}
END_TEST

TCase *keeper_cases(void)
{
	TCase *tc = tcase_create("keeper");
	tcase_add_test(tc, a_platform_whose_keeper_stands_still_closes_all_the_same);
	tcase_add_test(
		tc, a_vm_for_which_descriptors_are_missing_leaves_nothing_and_harms_no_other);
	return tc;
}
