/* SPDX-License-Identifier: MIT */
/* Sockets between processes of one machine, and descriptors sent through them. */
#ifndef NOVA_LIB_BASE_SYS_SOCKET_H
#define NOVA_LIB_BASE_SYS_SOCKET_H

#include <stdint.h>
#include <sys/types.h>

ssize_t sys_send(int fd, const void *data, size_t len, int flags); /* MSG_NOSIGNAL is added */
ssize_t sys_recv(int fd, void *out, size_t len, int flags);
int sys_shutdown_write(int fd);
/* Connects a stream; the descriptor does not block. -ENOENT, -ECONNREFUSED or -EAGAIN while nobody
 * listens, or too many wait. */
int sys_connect_unix(const char *path);
int sys_send_fds(int socket, const void *data, size_t len, const int *fds, size_t fd_count);
/* All of it, without ever blocking: -ETIMEDOUT. */
int sys_send_fds_until(int socket, const void *data, size_t len, const int *fds, size_t fd_count,
	uint64_t deadline);
/* *ret_fd becomes the one descriptor that came along, -1: none came, -EMFILE: it came and there was
 * no room for it. -ETIMEDOUT. */
ssize_t sys_recv_fd(int socket, void *out, size_t len, int *ret_fd, uint64_t deadline);

#endif
