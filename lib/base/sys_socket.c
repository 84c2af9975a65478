/* SPDX-License-Identifier: MIT */
/* Unix sockets that exist by name, and what a file system knows of a file besides its bytes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"

int sys_connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	/* Without blocking: a listener whose queue is full would hold us for ever. */
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return STEAL_FD(fd);
}

int64_t sys_next_data(int fd, uint64_t from)
{
	off_t at = lseek(fd, (off_t)from, SEEK_DATA);
	return at < 0 ? -errno : at;
}

int64_t sys_next_hole(int fd, uint64_t from)
{
	off_t at = lseek(fd, (off_t)from, SEEK_HOLE);
	return at < 0 ? -errno : at;
}
