/* SPDX-License-Identifier: MIT */
/* System calls relative to an open directory, so that nobody can exchange a parent under the
 * walker. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/base.h"

int sys_openat(int dir, const char *name, int flags, mode_t mode)
{
	int fd;
	do
		fd = openat(dir, name, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd_high(fd);
}

int sys_open_beneath(int dir, const char *path, int flags)
{
	struct open_how how = { .flags = (__u64)flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
	int fd;
	do
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && errno == EINTR);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* an older kernel or sandbox */
		return sys_openat(dir, path, flags, 0);
	return fd < 0 ? -errno : fd_high(fd);
}

int sys_lstatat(int dir, const char *name, struct stat *out)
{
	return fstatat(dir, name, out, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int sys_fstat(int fd, struct stat *out)
{
	return fstat(fd, out) < 0 ? -errno : 0;
}

int sys_readlinkat(int dir, const char *name, char **ret_target)
{
	char target[4097];
	ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	if (len == sizeof(target) - 1)
		return -ENAMETOOLONG;
	target[len] = 0;
	*ret_target = strdup(target);
	return *ret_target ? 0 : -ENOMEM;
}

int sys_mkdirat(int dir, const char *name, mode_t mode)
{
	return mkdirat(dir, name, mode) < 0 ? -errno : 0;
}

int sys_mkfifoat(int dir, const char *name, mode_t mode)
{
	return mkfifoat(dir, name, mode) < 0 ? -errno : 0;
}

int sys_symlinkat(const char *target, int dir, const char *name)
{
	return symlinkat(target, dir, name) < 0 ? -errno : 0;
}

int sys_fchmod(int fd, mode_t mode)
{
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int sys_truncate(int fd, uint64_t size)
{
	int r;
	do
		r = ftruncate(fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int fs_list_at(int dir, char ***ret_names)
{
	/* A descriptor of its own: reading entries moves the offset, and closedir() closes it. */
	int fd = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	DIR *stream = fdopendir(fd);
	if (!stream) {
		int r = -errno;
		fd_close(fd);
		return r;
	}
	int r = fs_list_stream(stream, ret_names);
	closedir(stream);
	return r;
}
