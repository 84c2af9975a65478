/* SPDX-License-Identifier: MIT */
/* System calls on processes, and descriptors sent between them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

#define MAX_SENT_FDS 16

size_t sys_processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

int sys_pidfd_open_self(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd < 0)
		return -errno;
	return fd;
}

int sys_pidfd_open(int64_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	return fd < 0 ? -errno : fd;
}

int sys_pidfd_kill(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 ? -errno : 0;
}

int sys_pidfd_stop(int pidfd, bool stop)
{
	return syscall(SYS_pidfd_send_signal, pidfd, stop ? SIGSTOP : SIGCONT, NULL, 0) < 0 ? -errno : 0;
}

int sys_process_cpu_us(int64_t pid, uint64_t *ret_us)
{
	clockid_t clock;
	struct timespec used;
	int r = clock_getcpuclockid((pid_t)pid, &clock);
	if (r)
		return -r;
	if (clock_gettime(clock, &used) < 0)
		return -errno;
	*ret_us = (uint64_t)used.tv_sec * 1000000u + (uint64_t)used.tv_nsec / 1000u;
	return 0;
}

int sys_shutdown_write(int fd)
{
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

int sys_send_fds(int socket, const void *data, size_t len, const int *fds, size_t fd_count)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * MAX_SENT_FDS)];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec io = { (void *)data, len };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
	if (fd_count > MAX_SENT_FDS)
		return -EINVAL;
	if (fd_count) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	ssize_t sent;
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

ssize_t sys_recv_fd(int socket, void *out, size_t len, int *ret_fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { out, len };
	struct msghdr message = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)
	};
	ssize_t got;
	do
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return got;
}

/* Leaves of the places what is behind the first `done` bytes; how many of them are used up. */
static size_t iov_consume(struct iovec *iov, size_t count, size_t done)
{
	size_t i = 0;
	for (; i < count && done >= iov[i].iov_len; i++)
		done -= iov[i].iov_len;
	if (i < count) {
		iov[i].iov_base = (char *)iov[i].iov_base + done;
		iov[i].iov_len -= done;
	}
	return i;
}

/* One call moves less than 2 GiB, and may move less than it was asked for. */
int sys_process_memory_all(int64_t pid, void *local, size_t len, struct iovec *remote, size_t count, bool out)
{
	uint8_t *at = local;
	while (len) {
		struct iovec here = { at, len };
		ssize_t moved = out ? process_vm_readv((pid_t)pid, &here, 1, remote, count, 0) :
				      process_vm_writev((pid_t)pid, &here, 1, remote, count, 0);
		if (moved <= 0)
			return moved < 0 ? -errno : -EFAULT;
		size_t used = iov_consume(remote, count, (size_t)moved);
		remote += used;
		count -= used;
		at += moved;
		len -= (size_t)moved;
	}
	return 0;
}

/* --- a program without ties to this process ------------------------------------------------------------------- */

struct detached {
	const char *const *argv;
	const int *fds;
	size_t fd_count;
	volatile int error; /* set by the children, which share our memory */
	uint8_t *inner_stack;
};

#define STACK_SIZE (32u * 1024)

/* The children share our memory, so they make system calls and nothing else: the C library's wrappers, and a sanitizer's even
 * more, keep notes that would be the parent's. For the same reason it is not clone() that is called: the thread sanitizer takes that
 * for a fork with memory of its own. */
extern int __clone(int (*fn)(void *), void *stack, int flags, void *argument, ...);

IN_VFORK static void child_fail(struct detached *d)
{
	d->error = errno;
	syscall(SYS_exit_group, 127);
}

/* What the host ignores or blocks would stay so across exec. */
IN_VFORK static void child_reset_signals(void)
{
	const unsigned long nothing[8] = { 0 }; /* as the kernel's struct sigaction: SIG_DFL; as a signal set: none */
	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, nothing, NULL, sizeof(nothing[0]));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, nothing, NULL, sizeof(nothing[0]));
}

IN_VFORK static int child_exec(void *argument)
{
	struct detached *d = argument;
	long high[MAX_SENT_FDS];
	for (size_t i = 0; i < d->fd_count; i++)
		if ((high[i] = syscall(SYS_fcntl, d->fds[i], F_DUPFD, 64)) < 0)
			child_fail(d);
	long null = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
	null = null < 0 ? null : syscall(SYS_fcntl, null, F_DUPFD, 64);
	for (int fd = 0; fd <= 2; fd++)
		if (syscall(SYS_dup3, null, fd, 0) < 0)
			child_fail(d);
	for (size_t i = 0; i < d->fd_count; i++)
		if (syscall(SYS_dup3, high[i], 3 + (int)i, 0) < 0)
			child_fail(d);
	if (syscall(SYS_close_range, 3 + (unsigned)d->fd_count, ~0u, 0) < 0)
		child_fail(d);
	child_reset_signals();
	syscall(SYS_execve, d->argv[0], d->argv, environ);
	child_fail(d);
	return 127;
}

IN_VFORK static int child_between(void *argument)
{
	struct detached *d = argument;
	if (__clone(child_exec, d->inner_stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, d) < 0)
		child_fail(d);
	syscall(SYS_exit_group, 0);
	return 0;
}

int sys_spawn_detached(const char *const *argv, const int *fds, size_t fd_count)
{
	if (fd_count > MAX_SENT_FDS)
		return -EINVAL;
	AUTO_FREE uint8_t *stacks = aligned_alloc(16, STACK_SIZE * 2);
	if (!stacks)
		return -ENOMEM;
	struct detached d = { argv, fds, fd_count, 0, stacks + STACK_SIZE };
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before); /* no handler of the host may run in a child that shares its memory */
	/* Exit signal 0: the process between never shows in the host's wait() calls and sends no SIGCHLD. */
	int pid = __clone(child_between, stacks + STACK_SIZE, CLONE_VM | CLONE_VFORK, &d);
	int r = pid < 0 ? -errno : 0;
	if (pid > 0)
		while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r < 0 ? r : -d.error;
}
