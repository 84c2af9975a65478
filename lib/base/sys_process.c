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

int sys_pidfd_open(int64_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	return fd < 0 ? -errno : fd_high(fd);
}

int sys_pidfd_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
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

static ssize_t send_once(
	int socket, const void *data, size_t len, const int *fds, size_t fd_count, int flags)
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
		sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

int sys_send_fds(int socket, const void *data, size_t len, const int *fds, size_t fd_count)
{
	ssize_t sent = send_once(socket, data, len, fds, fd_count, 0);
	return sent < 0 ? (int)sent : 0;
}

/* 0: there may be something; -ETIMEDOUT. */
static int await_socket(int socket, short events, uint64_t deadline)
{
	struct pollfd p = { socket, events, 0 };
	for (;;) {
		int n = sys_poll(&p, 1, deadline_poll_ms(deadline));
		if (n != 0)
			return n < 0 ? n : 0;
		if (deadline_passed(deadline))
			return -ETIMEDOUT;
	}
}

int sys_send_fds_until(int socket, const void *data, size_t len, const int *fds, size_t fd_count,
	uint64_t deadline)
{
	const char *at = data;
	for (;;) {
		ssize_t sent = send_once(socket, at, len, fds, fd_count, MSG_DONTWAIT);
		if (sent < 0 && sent != -EAGAIN)
			return (int)sent;
		if (sent > 0) {
			at += sent;
			len -= (size_t)sent;
			fd_count = 0; /* they went with the first byte */
		}
		if (len == 0)
			return 0;
		int r = await_socket(socket, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
}

/* There is room for two beside the header, and a sender is not to be trusted to send only one: who
 * is not wanted is closed. */
static int take_fd(struct msghdr *message)
{
	int fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int one;
			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = fd_high(one);
			else
				fd_close(one);
		}
	}
	return fd;
}

ssize_t sys_recv_fd(int socket, void *out, size_t len, int *ret_fd, uint64_t deadline)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { out, len };
	struct msghdr message;
	ssize_t got;
	for (;;) {
		message = (struct msghdr){
			.msg_iov = &io,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space),
		};
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (got >= 0)
			break;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
		int r = errno == EAGAIN ? await_socket(socket, POLLIN, deadline) : 0;
		if (r < 0)
			return r;
	}
	*ret_fd = take_fd(&message);
	if (message.msg_flags & MSG_CTRUNC) {
		fd_close(*ret_fd);
		*ret_fd = -EMFILE;
	}
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
int sys_process_memory_all(
	int64_t pid, void *local, size_t len, struct iovec *remote, size_t count, bool out)
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
