/* SPDX-License-Identifier: MIT */
/* Over TCP. The library of Redis would do it without O_CLOEXEC. */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "redis/redis.h"

/* -ENOENT: there is none of this family. */
static int connect_family(int family, const char *host, const char *port)
{
	struct addrinfo *found, hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -ENOENT;
	int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1;
	int opened = socket(family, flags, IPPROTO_TCP);
	AUTO_FD int fd = opened < 0 ? -errno : fd_high(opened);
	int r = fd < 0 ? fd : connect(fd, found->ai_addr, found->ai_addrlen) < 0 ? -errno : 0;
	freeaddrinfo(found);
	if (r < 0 && r != -EINPROGRESS)
		return r;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return STEAL_FD(fd);
}

int redis_connect(const char *host, const char *port)
{
	int fd = connect_family(AF_INET, host, port);
	return fd < 0 ? connect_family(AF_INET6, host, port) : fd;
}

int redis_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}
