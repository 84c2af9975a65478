/* SPDX-License-Identifier: MIT */
/* Over TCP. The library of Redis would do it without O_CLOEXEC. */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "redis/redis.h"

int redis_resolve(struct redis_address *a, nova_error_t **error)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int r = getaddrinfo(a->host, a->port, &hints, &a->all);
	a->next = a->all;
	return r == 0 ? 0 :
			nova_fail(error, r == EAI_NONAME ? NOVA_EINVAL : NOVA_EIO,
				"redis.addr: '%s' cannot be looked up: %s", a->host,
				gai_strerror(r));
}

int redis_connect(struct redis_address *a, bool *ret_last)
{
	const struct addrinfo *to = a->next;
	*ret_last = !to->ai_next;
	a->next = to->ai_next ? to->ai_next : a->all;
	int flags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1;
	int opened = socket(to->ai_family, flags, IPPROTO_TCP);
	AUTO_FD int fd = opened < 0 ? -errno : fd_high(opened);
	int r = fd < 0 ? fd : connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? -errno : 0;
	if (r < 0 && r != -EINPROGRESS)
		return r;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return STEAL_FD(fd);
}

int redis_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}
