/* SPDX-License-Identifier: MIT */
/* Unix sockets that exist by name, and what a file system knows of a file besides its bytes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/base.h"

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

int sys_link_fd(int fd, int dir, const char *name)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int sys_clone_file(int from, int to)
{
	return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

int sys_set_owner(int fd, uint32_t uid, uint32_t gid, mode_t mode)
{
	return fchown(fd, (uid_t)uid, (gid_t)gid) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

int sys_unlinkat(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

bool fs_allows_devices(const char *path)
{
	struct statvfs fs;
	return statvfs(path, &fs) == 0 && !(fs.f_flag & ST_NODEV);
}
