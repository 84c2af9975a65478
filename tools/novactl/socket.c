/* SPDX-License-Identifier: MIT */
/* The daemon's socket and lock, as the system has them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

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

int socket_listen(const char *path)
{
	struct sockaddr_un address;
	int directory, fd = -1;
	bool done = address_of(path, &address, &directory) && make_room(path) &&
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

int socket_connect(const char *path, uint32_t timeout_ms)
{
	struct sockaddr_un address;
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	int directory, fd = -1;
	bool done = address_of(path, &address, &directory) &&
		    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 &&
		    /* Connecting waits where the daemon is too busy to accept; this bounds it. */
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

ssize_t socket_send(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n >= 0 ? n : only_later() ? 0 : -1;
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

/* --- the lock --- */

static char *join(const char *directory, const char *name)
{
	char *path;
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		need(NULL);
	return path;
}

char *daemon_directory(const char *home, bool make)
{
	struct stat status;
	char *path = join(home, "daemon");
	if (!make)
		return path;
	if ((mkdir(path, 0700) == 0 || errno == EEXIST) && lstat(path, &status) == 0) {
		if (S_ISDIR(status.st_mode) && chmod(path, 0700) == 0)
			return path;
		if (!S_ISDIR(status.st_mode))
			errno = ENOTDIR;
	}
	free(path);
	return NULL;
}

int daemon_lock(const char *directory)
{
	char *path = join(directory, "lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(path);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd < 0 ? -2 : fd;
	bool taken = errno == EWOULDBLOCK;
	close_keeping_errno(fd);
	return taken ? -1 : -2;
}

bool daemon_lock_tell(int lock, const char *socket)
{
	char *text = NULL;
	if (ftruncate(lock, 0) != 0)
		return false;
	if (!socket)
		return true;
	int len = asprintf(&text, "%d\n%s\n", (int)getpid(), socket);
	if (len < 0)
		need(NULL);
	bool done = pwrite(lock, text, (size_t)len, 0) == len;
	free(text);
	return done;
}

bool daemon_lock_read(const char *directory, pid_t *ret_pid, char **ret_socket)
{
	char *path = join(directory, "lock"), *line = NULL;
	size_t capacity = 0;
	FILE *in = fopen(path, "re");
	free(path);
	if (!in)
		return false;
	long pid = getline(&line, &capacity, in) > 0 ? strtol(line, NULL, 10) : 0;
	ssize_t len = pid > 0 ? getline(&line, &capacity, in) : -1;
	fclose(in);
	/* Without its newline it is still being written. */
	if (len < 2 || line[len - 1] != '\n') {
		free(line);
		return false;
	}
	line[len - 1] = 0;
	*ret_pid = (pid_t)pid;
	*ret_socket = line;
	return true;
}

/* --- processes --- */

int process_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

void process_await(int process)
{
	struct pollfd ended = { process, POLLIN, 0 };
	while (poll(&ended, 1, -1) < 0 && errno == EINTR)
		;
}

/* --- the service manager --- */

void service_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = 0; /* an abstract name */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nobody there: then nobody waits for it. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	close(fd);
}
