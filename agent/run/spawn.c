/* SPDX-License-Identifier: MIT */
/* Starting a process: all that has to hold before the first instruction of foreign code. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "agent/run/run.h"

/* Not even a program with capabilities of its own, or root within a namespace, gets any back. */
static int drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

/*
 * io_uring is a second way to most of what the kernel can do, and the source of many of its faults.
 * It is as if the kernel had none: libraries then do without. Its calls have the same numbers on
 * all architectures.
 */
static int refuse_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(code), code };
	int r = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
	return r == -EINVAL ? 0 : r; /* a kernel without filters */
}

/* Functions are nobody in the guest: no capabilities, so the agent, its channel and its groups are
 * out of their reach. */
static int become_function(void)
{
	int r = drop_bounding_set();
	if (r < 0)
		return r;
	if (setgroups(0, NULL) < 0 || setresgid(FUNCTION_UID, FUNCTION_UID, FUNCTION_UID) < 0 ||
		setresuid(FUNCTION_UID, FUNCTION_UID, FUNCTION_UID) < 0)
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : refuse_io_uring();
}

static void ordinary_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	for (int n = 1; n < NSIG; n++)
		signal(n, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All but 0 to `last`; the error pipe closes itself at exec. */
static void close_above(int last)
{
	syscall(SYS_close_range, (unsigned)last + 1, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
}

static int place_descriptors(const struct launch *launch)
{
	int moved[6], count = 3;
	while (count < 6 && launch->keep[count - 3] >= 0)
		count++;
	for (int i = 0; i < count; i++) {
		int from = i < 3 ? launch->fds[i] : launch->keep[i - 3];
		moved[i] = fcntl(from, F_DUPFD_CLOEXEC, 10);
		if (moved[i] < 0)
			return -errno;
	}
	for (int i = 0; i < count; i++)
		if (dup2(moved[i], i) < 0)
			return -errno;
	close_above(count - 1);
	return 0;
}

/* In the child. Returns only if it failed. */
static int become(const struct guest *guest, const struct launch *launch)
{
	struct rlimit no_core = { 0, 0 };
	setsid();
	if (launch->cgroup_procs >= 0 && write(launch->cgroup_procs, "0", 1) < 0)
		return -errno;
	if (guest->pid1) {
		setpriority(PRIO_PROCESS, 0, 0);
		write_text("/proc/self/oom_score_adj", "0");
	} else if (launch->keep[0] < 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	}
	setrlimit(RLIMIT_CORE, &no_core);
	ordinary_signals();
	int r = place_descriptors(launch);
	if (r == 0 && launch->as_function && guest->pid1)
		r = become_function();
	if (r < 0)
		return r;
	umask(022);
	if (launch->directory && chdir(launch->directory) < 0)
		return -errno;
	environ = (char **)launch->env;
	if (launch->search)
		execvpe(launch->program, launch->argv, launch->env);
	else
		execve(launch->program, launch->argv, launch->env);
	return -errno;
}

pid_t spawn(const struct guest *guest, const struct launch *launch)
{
	int said[2], why = 0;
	int r = sys_pipe(said);
	if (r < 0)
		return r;
	pid_t pid = fork();
	if (pid == 0) {
		/* Out of the way of 0 to 5, which are about to be filled. */
		int out = fcntl(said[1], F_DUPFD_CLOEXEC, 20);
		why = become(guest, launch);
		(void)!write(out, &why, sizeof(why));
		_exit(127);
	}
	r = pid < 0 ? -errno : 0;
	fd_close(said[1]);
	if (pid > 0 && sys_read(said[0], &why, sizeof(why)) == (ssize_t)sizeof(why))
		r = why;
	fd_close(said[0]);
	return r < 0 ? r : pid;
}

/* The other end blocks, as a program expects. It belongs to the function's user, who then can open
 * /dev/stdout and the like. */
int pipe_from(int *ret_ours, int *ret_theirs)
{
	int ends[2];
	int r = sys_pipe(ends);
	if (r < 0)
		return r;
	*ret_ours = ends[0];
	*ret_theirs = ends[1];
	if (getpid() == 1 && fchown(ends[1], FUNCTION_UID, FUNCTION_UID) < 0)
		return -errno;
	return sys_set_nonblock(ends[0], true);
}

int pipe_to(int *ret_ours, int *ret_theirs)
{
	int ends[2];
	int r = sys_pipe(ends);
	if (r < 0)
		return r;
	*ret_ours = ends[1];
	*ret_theirs = ends[0];
	return sys_set_nonblock(ends[1], true);
}
