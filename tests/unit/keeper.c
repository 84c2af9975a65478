/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "keeper.h"

START_TEST(a_child_is_given_its_descriptors_and_nothing_else)
{
	struct setting s = set_up();
	int pair[2], stray = open("/dev/null", O_RDONLY); /* inheritable on purpose */
	ck_assert_int_eq(sys_pipe(pair), 0);
	const char *const argv[] = { "/bin/sh", "-c",
		"ls /proc/self/fd | tr '\\n' ' '; echo given >&3", NULL };
	struct spawn spawn = { .argv = argv, .fds = &pair[1], .fd_count = 1 };
	struct process process;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	fd_close(pair[1]);
	ck_assert(process_wait(&process, NEVER));
	int status;
	process_done(&process, &status);
	ck_assert_int_eq(status, 0);
	AUTO_BUF struct buf out = BUF_INIT(1000);
	for (ssize_t got; (got = sys_read(pair[0], buf_reserve(&out, 100), 100)) > 0;)
		out.len += (size_t)got;
	AUTO_FREE char *text = buf_steal_str(&out);
	/* 4 is the directory that ls reads. */
	ck_assert_str_eq(text, "0 1 2 3 4 given\n");
	fd_close(pair[0]);
	fd_close(stray);
	tear_down(&s);
}
END_TEST

START_TEST(the_host_program_sees_no_children)
{
	struct setting s = set_up();
	struct process process;
	struct spawn spawn = { .argv = sleeper };
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	process_done(&process, NULL);
	tear_down(&s);
}
END_TEST

START_TEST(the_keeper_has_nothing_of_the_environment_of_the_host)
{
	setenv("NOVA_SECRET_KEY", "5ec2e7", 1);
	struct setting s = set_up();
	struct process process;
	struct spawn spawn = { .argv = sleeper };
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	AUTO_FREE char *path = str_format("/proc/%d/environ", (int)parent_of(process.pid));
	AUTO_BUF struct buf all = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(path, &all), 0);
	ck_assert_ptr_nonnull(memmem(all.data, all.len, "PATH=", 5));
	ck_assert_ptr_null(memmem(all.data, all.len, "5ec2e7", 6));
	process_done(&process, NULL);
	tear_down(&s);
}
END_TEST

START_TEST(a_missing_program_is_named)
{
	struct setting s = set_up();
	const char *const argv[] = { "/no/such/vmm", NULL };
	struct spawn spawn = { .argv = argv };
	struct process process;
	ck_fails_with(
		NOVA_ENOTFOUND, "/no/such/vmm", keeper_spawn(s.keeper, &spawn, &process, &error));
	tear_down(&s);
}
END_TEST

START_TEST(the_exit_status_is_reported_and_a_kill_shows_as_signal)
{
	struct setting s = set_up();
	const char *const argv[] = { "/bin/sh", "-c", "exit 7", NULL };
	struct spawn spawn = { .argv = argv };
	struct process process;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert(process_wait(&process, NEVER));
	int status;
	process_done(&process, &status);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	spawn.argv = sleeper;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert(!process_wait(&process, deadline_in_ms(10)));
	process_kill(&process);
	process_done(&process, &status);
	ck_assert(WIFSIGNALED(status));
	tear_down(&s);
}
END_TEST

START_TEST(freeing_the_keeper_ends_children_and_removes_the_run_directory)
{
	struct setting s = set_up();
	struct process process;
	struct spawn spawn = { .argv = sleeper };
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	keeper_free(STEAL(s.keeper));
	ck_assert(process_wait(&process, NEVER));
	ck_assert(!fs_exists(s.run_dir));
	fd_close(process.pidfd);
	tear_down(&s);
}
END_TEST

START_TEST(a_keeper_that_was_killed_takes_its_children_along_and_is_replaced)
{
	struct setting s = set_up();
	struct process first, second;
	struct spawn spawn = { .argv = sleeper };
	ck_ok(keeper_spawn(s.keeper, &spawn, &first, &error));
	pid_t parent = parent_of(first.pid);
	ck_assert_int_eq(kill(parent, SIGKILL), 0);
	ck_ok(keeper_spawn(s.keeper, &spawn, &second, &error));
	ck_assert(process_wait(&first, 0)); /* two keepers do not share a directory */
	ck_assert_int_ne(parent_of(second.pid), parent);
	process_done(&first, NULL);
	process_done(&second, NULL);
	tear_down(&s);
}
END_TEST

/* The host program: makes a child and waits to be killed. */
static void be_a_host(const char *dir, int out)
{
	AUTO_FREE char *run_dir = path_join(dir, "run"), *lock = path_join(run_dir, "lock");
	struct keeper *keeper;
	struct process process;
	int lock_fd;
	struct spawn spawn = { .argv = sleeper };
	if (fs_mkdirs(run_dir, 0700) < 0 || fs_lock(lock, false, &lock_fd) < 0 ||
		keeper_new(run_dir, lock_fd, &keeper, NULL) < 0 ||
		keeper_spawn(keeper, &spawn, &process, NULL) < 0)
		_exit(1);
	if (fork() == 0)
		pause(); /* holds copies of all descriptors, as a careless host's worker does */
	if (write(out, &process.pid, sizeof(process.pid)) < 0)
		_exit(1);
	pause();
}

START_TEST(after_kill_9_of_the_host_nothing_is_left)
{
	char *dir = test_dir();
	int pair[2];
	ck_assert_int_eq(sys_pipe(pair), 0);
	pid_t host = fork();
	if (host == 0) {
		setpgid(0, 0);
		be_a_host(dir, pair[1]);
		_exit(1);
	}
	int64_t pid = 0;
	ck_assert_int_eq(sys_read(pair[0], &pid, sizeof(pid)), sizeof(pid));
	ck_assert(pid_exists(pid));
	kill(host, SIGKILL);
	ck_assert_int_eq(waitpid(host, NULL, 0), host);
	AUTO_FREE char *run_dir = path_join(dir, "run");
	/* The keeper removes the directory last, so its absence is the event to wait for. */
	for (uint64_t until = deadline_in_ms(20000); fs_exists(run_dir) && !deadline_passed(until);)
		poll(NULL, 0, 5);
	ck_assert(!fs_exists(run_dir));
	ck_assert(!pid_exists(pid));
	kill(-host, SIGKILL);
	fd_close(pair[0]);
	fd_close(pair[1]);
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_root_host_can_hand_the_child_to_another_user)
{
	if (geteuid() != 0)
		return; /* the other half of this behaviour, EPERM, is the kernel's */
	struct setting s = set_up();
	const char *const argv[] = { "/bin/sh", "-c",
		"test $(id -u) = 12345 && test \"$(id -G)\" = '12346 77' && grep -q "
		"'NoNewPrivs:.1' /proc/self/status",
		NULL };
	struct spawn spawn = {
		.argv = argv, .change_user = true, .uid = 12345, .gid = 12346, .gid2 = 77
	};
	struct process process;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert(process_wait(&process, NEVER));
	int status;
	process_done(&process, &status);
	ck_assert_int_eq(status, 0);
	tear_down(&s);
}
END_TEST

static Suite *keeper_suite(void)
{
	Suite *suite = suite_create("keeper");
	TCase *tc = tcase_create("keeper");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_child_is_given_its_descriptors_and_nothing_else);
	tcase_add_test(tc, the_host_program_sees_no_children);
	tcase_add_test(tc, the_keeper_has_nothing_of_the_environment_of_the_host);
	tcase_add_test(tc, a_missing_program_is_named);
	tcase_add_test(tc, the_exit_status_is_reported_and_a_kill_shows_as_signal);
	tcase_add_test(tc, freeing_the_keeper_ends_children_and_removes_the_run_directory);
	tcase_add_test(tc, a_keeper_that_was_killed_takes_its_children_along_and_is_replaced);
	tcase_add_test(tc, after_kill_9_of_the_host_nothing_is_left);
	tcase_add_test(tc, a_root_host_can_hand_the_child_to_another_user);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(keeper_suite)
