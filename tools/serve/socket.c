/* SPDX-License-Identifier: MIT */
/* Sockets and pipes, as the system has them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve.h"

#define BACKLOG 128

static void close_keeping_errno(int fd)
{
	int saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
}

/* --- addresses --- */

/* An address holds 107 bytes of path; a longer one goes by its directory, opened, which must stay
 * open as long as the address is used. */
static bool address_of(const char *path, struct sockaddr_un *address, int *ret_directory)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_directory = -1;
	if (strlen(path) < sizeof(address->sun_path)) {
		memcpy(address->sun_path, path, strlen(path));
		return true;
	}
	const char *slash = strrchr(path, '/');
	char *directory = need(slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("."));
	*ret_directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(directory);
	if (*ret_directory < 0)
		return false;
	int len = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s",
		*ret_directory, slash ? slash + 1 : path);
	errno = ENAMETOOLONG;
	return len > 0 && (size_t)len < sizeof(address->sun_path);
}

/* Only a socket that nobody listens at any more makes room. */
static bool make_room(const char *path)
{
	struct stat status;
	if (lstat(path, &status) != 0)
		return errno == ENOENT;
	int other = S_ISSOCK(status.st_mode) ? socket_connect(path, 1000) : -1;
	if (other >= 0 || !S_ISSOCK(status.st_mode)) {
		close_keeping_errno(other);
		errno = other >= 0 ? EADDRINUSE : EEXIST;
		return false;
	}
	return unlink(path) == 0;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address;
	int directory, fd = -1;
	bool done = address_of(path, &address, &directory) &&
		    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) >= 0 &&
		    /* Before there is a name, so that at no time anybody else can connect. */
		    fchmod(fd, 0600) == 0 &&
		    bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    listen(fd, BACKLOG) == 0;
	close_keeping_errno(directory);
	if (done)
		return fd;
	close_keeping_errno(fd);
	return -1;
}

/* It gets its name when it listens: who finds it can connect. */
int socket_listen(const char *path)
{
	char *early;
	int fd = -1;
	if (asprintf(&early, "%s.new", path) < 0)
		need(NULL);
	if (make_room(path) && (unlink(early) == 0 || errno == ENOENT))
		fd = listen_at(early);
	if (fd >= 0 && rename(early, path) != 0) {
		close_keeping_errno(fd);
		fd = -1;
	}
	free(early);
	return fd;
}

int socket_connect(const char *path, uint32_t timeout_ms)
{
	struct sockaddr_un address;
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	int directory, fd = -1;
	bool done = address_of(path, &address, &directory) &&
		    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 &&
		    /* Connecting waits where the server is too busy to accept; this bounds it. */
		    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
		    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close_keeping_errno(directory);
	if (done)
		return fd;
	close_keeping_errno(fd);
	return -1;
}

int socket_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? -2 : -1;
}

static bool only_later(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static ssize_t socket_send(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n >= 0 ? n : only_later() ? 0 : -1;
}

bool outgoing_flush(struct outgoing *out, int fd)
{
	struct bytes *bytes = &out->bytes;
	ssize_t n = 0;
	while (out->sent < bytes->len &&
		(n = socket_send(fd, bytes->data + out->sent, bytes->len - out->sent)) > 0)
		out->sent += (size_t)n;
	/* Not at every step: what stays has to be moved. */
	if (out->sent == bytes->len || out->sent > bytes->len / 2) {
		bytes_drop(bytes, out->sent);
		out->sent = 0;
	}
	return n >= 0;
}

size_t outgoing_left(const struct outgoing *out)
{
	return out->bytes.len - out->sent;
}

ssize_t socket_receive(int fd, void *out, size_t len)
{
	ssize_t n = recv(fd, out, len, MSG_DONTWAIT);
	return n > 0 ? n : n < 0 && only_later() ? 0 : -1;
}

ssize_t input_read(int fd, void *out, size_t len)
{
	ssize_t n = read(fd, out, len);
	return n < 0 && only_later() ? -2 : n;
}

bool pipe_make(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	return fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0;
}

ssize_t pipe_write(int fd, const void *data, size_t len)
{
	ssize_t n = write(fd, data, len);
	return n >= 0 ? n : only_later() ? 0 : -1;
}

bool socket_peer_allowed(int fd, pid_t *ret_pid, uid_t *ret_uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	*ret_pid = peer.pid;
	*ret_uid = peer.uid;
	/* Root could do without asking whatever it asks for. */
	return peer.uid == geteuid() || peer.uid == 0;
}
