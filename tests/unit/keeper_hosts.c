/* SPDX-License-Identifier: MIT */
/* Hosts that collect every process they can get, and hosts whose kernel lacks calls: each in a
 * process of its own. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "keeper.h"

#define HANG_MS 100000u

static volatile sig_atomic_t children_told; /* SIGCHLD that came */

static void count_child(int sig)
{
	(void)sig;
	children_told++;
}

/* --- what each host does --- */

static void check_nobody_seen(void)
{
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(children_told, 0);
}

/* Leaves a process behind that has turned its back on everybody; it is alive as long as the pipe is
 * open. */
static const char *const parent_of_a_stray[] = { "/bin/sh", "-c",
	"setsid sleep 1000 & echo x >&3; exec sleep 1000", NULL };

static struct process spawn_watched(struct setting *s, const char *const *argv, int *ret_pipe)
{
	int ends[2];
	char byte[2];
	struct process process;
	ck_assert_int_eq(sys_pipe(ends), 0);
	struct spawn spawn = { .argv = argv, .fds = &ends[1], .fd_count = 1 };
	ck_ok(keeper_spawn(s->keeper, &spawn, &process, &error));
	fd_close(ends[1]);
	ck_assert_int_eq(sys_read(ends[0], byte, 2), 2);
	*ret_pipe = ends[0];
	return process;
}

static void await_closed(int pipe)
{
	struct pollfd p = { pipe, POLLIN, 0 };
	char byte;
	ck_assert_int_eq(poll(&p, 1, HANG_MS), 1);
	ck_assert_int_eq(sys_read(pipe, &byte, 1), 0);
	fd_close(pipe);
}

/* A child that ends by itself, one that is killed, a keeper that is killed with a stray below it,
 * and the end of it all. */
static void live_as_host(void)
{
	static const char *const ends_soon[] = { "/bin/true", NULL };
	struct setting s = set_up();
	struct process process;
	struct spawn spawn = { .argv = ends_soon };
	int pipe, status;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert(process_wait(&process, deadline_in_ms(HANG_MS)));
	process_done(&process, &status);
	ck_assert_int_eq(status, 0);
	check_nobody_seen();
	spawn.argv = sleeper;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert_int_eq(process_stop(&process, true), 0);
	ck_assert_int_eq(process_stop(&process, false), 0);
	process_kill(&process);
	process_done(&process, &status);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_nobody_seen();
	process = spawn_watched(&s, parent_of_a_stray, &pipe);
	ck_assert_int_eq(kill(parent_of(process.pid), SIGKILL), 0);
	await_closed(pipe);
	process_done(&process, NULL);
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	process_done(&process, NULL);
	check_nobody_seen();
	process = spawn_watched(&s, parent_of_a_stray, &pipe);
	tear_down(&s);
	await_closed(pipe);
	fd_close(process.pidfd);
	check_nobody_seen();
}

/* --- hosts that collect --- */

static void *collect_for_ever(void *unused)
{
	for (;;)
		if (waitpid(-1, NULL, 0) > 0)
			children_told++;
	return unused;
}

static void be_ordinary(void)
{
	live_as_host();
}

static void be_subreaper(void)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	live_as_host();
}

static void be_greedy(void)
{
	pthread_t thread;
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, collect_for_ever, NULL), 0);
	live_as_host();
}

static void ignore_children(void)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	signal(SIGCHLD, SIG_IGN);
	live_as_host();
}

/* As in a container, with a /proc of its own. */
static void be_init(void)
{
	ck_assert_int_eq(getpid(), 1);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("proc", "/proc", "proc", 0, NULL), 0);
	live_as_host();
}

/* In a child, so that its signals, its limits and its children are its own; as PID 1 of a namespace
 * if need be. */
static void in_host(void (*host)(void), int flags)
{
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid < 0 && errno == EPERM)
		return; /* not this user's to have */
	if (pid == 0) {
		signal(SIGCHLD, count_child);
		host();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "the host ended with status 0x%x", status);
}

static const struct {
	void (*host)(void);
	int flags;
} hosts[] = {
	{ be_ordinary, 0 },
	{ be_subreaper, 0 },
	{ be_greedy, 0 },
	{ ignore_children, 0 },
	{ be_init, CLONE_NEWPID | CLONE_NEWNS },
};

START_TEST(a_host_sees_no_child_and_no_signal_whatever_it_is)
{
	in_host(hosts[_i].host, hosts[_i].flags);
}
END_TEST

/* --- hosts without some calls --- */

static const int lacking[][4] = {
	{ SYS_pidfd_open },
	{ SYS_pidfd_open, SYS_pidfd_send_signal },
	{ SYS_clone3 },
	{ SYS_close_range },
	{ SYS_pidfd_open, SYS_pidfd_send_signal, SYS_clone3, SYS_close_range },
};

/* As a kernel that does not know it, for us and all below us. */
static void take_away(int call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(code), code };
	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int chosen;

static void be_old(void)
{
	for (size_t i = 0; i < ARRAY_LEN(lacking[0]) && lacking[chosen][i]; i++)
		take_away(lacking[chosen][i]);
	live_as_host();
}

START_TEST(an_old_kernel_is_enough)
{
	chosen = _i;
	in_host(be_old, 0);
}
END_TEST

static Suite *hosts_suite(void)
{
	Suite *suite = suite_create("keeper-hosts");
	TCase *tc = tcase_create("hosts");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(
		tc, a_host_sees_no_child_and_no_signal_whatever_it_is, 0, ARRAY_LEN(hosts));
	tcase_add_loop_test(tc, an_old_kernel_is_enough, 0, ARRAY_LEN(lacking));
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(hosts_suite)
