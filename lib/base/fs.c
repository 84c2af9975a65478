/* SPDX-License-Identifier: MIT */
/* Files and directories by their paths. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/sys.h"
#include "base/sys_at.h"
#include "base/text.h"

int fs_mkdirs(const char *path, mode_t mode)
{
	AUTO_FREE char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *slash = copy + 1; slash[-1]; slash++) {
		if (*slash && *slash != '/')
			continue;
		char kept = *slash;
		*slash = 0;
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*slash = kept;
		if (!kept)
			break;
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int make_own(const char *path)
{
	struct stat st;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	AUTO_FD int fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ELOOP || fd == -ENOTDIR || fd == -EACCES)
		return -EPERM;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

/* Nobody else can take away or put in what is below a directory that only we may write in. */
int fs_make_private(const char *path)
{
	AUTO_FREE char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	if (!slash || slash == parent)
		return parent ? -EINVAL : -ENOMEM;
	*slash = 0;
	int r = make_own(parent);
	return r < 0 ? r : make_own(path);
}

static int remove_at(int dir, const char *name);

/* One block of names. 1: there may be more; 0: there were none. */
static int remove_some(int dir)
{
	_Alignas(struct dirent64) char block[2048];
	ssize_t len = syscall(SYS_getdents64, dir, block, sizeof(block));
	int found = 0;
	if (len < 0)
		return -errno;
	for (ssize_t at = 0; at < len;) {
		const struct dirent64 *entry = (const struct dirent64 *)(block + at);
		at += entry->d_reclen;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		int r = remove_at(dir, entry->d_name);
		if (r < 0)
			return r;
		found = 1;
	}
	return found || len > 0 ? 1 : 0;
}

static int remove_content(int dir)
{
	int r;
	do
		r = remove_some(dir);
	while (r > 0);
	return r;
}

/* Without memory of its own, so that it works when there is none. */
static int remove_at(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	AUTO_FD int fd = sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int r = fd < 0 ? fd : remove_content(fd);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int fs_remove_tree(const char *path)
{
	return remove_at(AT_FDCWD, path);
}

void fs_remove_empty(const char *path)
{
	rmdir(path);
}

/* The lock goes last, and with it the directory. */
int fs_remove_locked(const char *path)
{
	char **names;
	int count = fs_list(path, &names), r = 0;
	if (count < 0)
		return count == -ENOENT ? 0 : count;
	for (int i = 0; r == 0 && i < count; i++) {
		AUTO_FREE char *entry = path_join(path, names[i]);
		if (strcmp(names[i], FS_LOCK_NAME))
			r = entry ? fs_remove_tree(entry) : -ENOMEM;
	}
	strv_free(names, (size_t)count);
	return r < 0 ? r : fs_remove_tree(path);
}

int fs_exists(const char *path)
{
	if (access(path, F_OK) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

int fs_stat(const char *path, uint64_t *ret_size, uint64_t *ret_mtime_ns)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	if (ret_mtime_ns)
		*ret_mtime_ns = timespec_to_ns(&st.st_mtim);
	return 0;
}

int fs_set_mtime(const char *path, uint64_t mtime_ns)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, ns_to_timespec(mtime_ns) };
	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int fs_set_atime(const char *path, uint64_t atime_us)
{
	const struct timespec times[2] = { us_to_timespec((int64_t)atime_us),
		{ .tv_nsec = UTIME_OMIT } };
	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int fs_stat_use(const char *path, uint64_t *ret_bytes, uint64_t *ret_atime_us)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_blocks * 512;
	*ret_atime_us = (uint64_t)timespec_to_us(&st.st_atim);
	return 0;
}

int fs_unlink(const char *path)
{
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int fs_rename(const char *from, const char *to)
{
	return rename(from, to) < 0 ? -errno : 0;
}

int fs_read_file(const char *path, struct buf *out)
{
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	uint8_t block[4096];
	for (;;) {
		ssize_t got = sys_read(fd, block, sizeof(block));
		if (got <= 0)
			return (int)got;
		int r = buf_append(out, block, (size_t)got);
		if (r < 0)
			return r;
	}
}

int fs_chmod(const char *path, mode_t mode)
{
	return chmod(path, mode) < 0 ? -errno : 0;
}

int fs_make_file(const char *path, mode_t mode)
{
	/* Not by open(): the close would drop the locks of another thread that is as far already.
	 */
	int r = mknod(path, S_IFREG | mode, 0) < 0 ? -errno : 0;
	if (r == -EEXIST)
		return 0;
	if (r < 0) { /* a file system, or a sandbox, without it */
		AUTO_FD int fd = sys_open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
		if (fd < 0)
			return fd == -EEXIST ? 0 : fd;
	}
	return fs_chmod(path, mode); /* the umask may have taken away what the owner needs */
}

int fs_make_own(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return st.st_mode & (S_IRWXG | S_IRWXO) ? fs_chmod(path, st.st_mode & S_IRWXU) : 0;
}

int fs_open_to_writers(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	bool counts = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode); /* not a pipe or /dev/null */
	return counts ? (int)(st.st_mode & (S_IWGRP | S_IWOTH)) : 0;
}

int fs_writable(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int fs_is_directory(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode);
}

uint64_t fs_disk_size(const char *path)
{
	struct statvfs fs;
	return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_blocks * fs.f_frsize : 0;
}

bool fs_allows_devices(const char *path)
{
	struct statvfs fs;
	return statvfs(path, &fs) == 0 && !(fs.f_flag & ST_NODEV);
}
