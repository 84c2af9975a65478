/* SPDX-License-Identifier: MIT */
/* The directory in which a server is found, and the lock by which there is one at most. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve.h"

/* Who only looks whether a place is held has its lock for a moment. */
#define LOOKS   3
#define LOOK_MS 10

static char *lock_of(const char *directory)
{
	char *path;
	if (asprintf(&path, "%s/lock", directory) < 0)
		need(NULL);
	return path;
}

bool place_make(const char *directory)
{
	struct stat status;
	if ((mkdir(directory, 0700) != 0 && errno != EEXIST) || lstat(directory, &status) != 0)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(status.st_mode) && chmod(directory, 0700) == 0;
}

int place_lock(const char *directory)
{
	char *path = lock_of(directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(path);
	if (fd < 0)
		return -2;
	int r = flock(fd, LOCK_EX | LOCK_NB);
	for (int i = 0; r != 0 && errno == EWOULDBLOCK && i < LOOKS; i++) {
		poll(NULL, 0, LOOK_MS);
		r = flock(fd, LOCK_EX | LOCK_NB);
	}
	if (r == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return why == EWOULDBLOCK ? -1 : -2;
}

/* A shared lock, for a moment, which is all that a look takes. */
bool place_is_held(const char *directory)
{
	char *path = lock_of(directory);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(path);
	if (fd < 0)
		return false;
	bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

bool place_tell(int lock, const char *socket)
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

bool place_holder(const char *directory, pid_t *ret_pid, char **ret_socket)
{
	char *path = lock_of(directory), *line = NULL;
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
