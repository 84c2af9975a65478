/* SPDX-License-Identifier: MIT */
/* Sockets between processes of one machine, and descriptors sent through them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/retry.h"
#include "base/sys.h"
#include "base/sys_socket.h"

#define MAX_SENT_FDS 16

ssize_t sys_send(int fd, const void *data, size_t len, int flags)
{
	return RETRY(send(fd, data, len, flags | MSG_NOSIGNAL));
}

ssize_t sys_recv(int fd, void *out, size_t len, int flags)
{
	return RETRY(recv(fd, out, len, flags));
}

int sys_shutdown_write(int fd)
{
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd_high(fd);
}

int sys_connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	/* Without blocking: a listener whose queue is full would hold us for ever. */
	AUTO_FD int fd = new_socket();
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return STEAL_FD(fd);
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
