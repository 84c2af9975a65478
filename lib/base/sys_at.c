/* SPDX-License-Identifier: MIT */
/* System calls relative to an open directory, so that nobody can exchange a parent under the
 * walker. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/retry.h"
#include "base/sys.h"
#include "base/sys_at.h"

int sys_openat(int dir, const char *name, int flags, mode_t mode)
{
	return fd_high(RETRY(openat(dir, name, flags | O_CLOEXEC, mode)));
}

int sys_open_beneath(int dir, const char *path, int flags)
{
	struct open_how how = { .flags = (__u64)flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
	int fd = RETRY((int)syscall(SYS_openat2, dir, path, &how, sizeof(how)));
	if (fd == -ENOSYS || fd == -EPERM) /* an older kernel or sandbox */
		return sys_openat(dir, path, flags, 0);
	return fd_high(fd);
}

int sys_lstatat(int dir, const char *name, struct stat *out)
{
	return fstatat(dir, name, out, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
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

int sys_link_fd(int fd, int dir, const char *name)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int sys_unlinkat(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}
