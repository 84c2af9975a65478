/* SPDX-License-Identifier: MIT */
/* Files and directories: whole-file reads, crash-safe writes, locks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

#define TEMP_MARK   ".tmp-"
#define TEMP_DIGITS 12

char *path_join(const char *directory, const char *name)
{
	return str_format("%s/%s", directory, name);
}

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
		*ret_mtime_ns =
			(uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
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

#define LOCK_PATIENCE_MS 120000u /* what is made under a lock takes seconds */
#define LOCK_PAUSE_MS    16u

/* The kernel knows no limit for the wait, and no event. */
static int lock_until(int fd, uint64_t deadline)
{
	int r;
	for (int pause_ms = 1;
		(r = sys_flock(fd, true, false)) == -EWOULDBLOCK && !deadline_passed(deadline);) {
		poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < LOCK_PAUSE_MS ? pause_ms * 2 : pause_ms;
	}
	return r;
}

static bool is_removed(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && !st.st_nlink;
}

int fs_temp_beside(const char *path, mode_t mode, int *ret_fd, char **ret_temp)
{
	for (;;) {
		char suffix[TEMP_DIGITS + 1];
		int r = random_hex(suffix, TEMP_DIGITS);
		if (r < 0)
			return r;
		AUTO_FREE char *temp = str_format("%s" TEMP_MARK "%s", path, suffix);
		if (!temp)
			return -ENOMEM;
		AUTO_FD int fd = sys_open(temp, O_RDWR | O_CREAT | O_EXCL, mode);
		if (fd < 0)
			return fd;
		lock_until(fd, deadline_in_ms(LOCK_PATIENCE_MS)); /* says that its maker lives */
		if (is_removed(fd))
			continue; /* swept before it was locked */
		*ret_fd = STEAL_FD(fd);
		*ret_temp = STEAL(temp);
		return 0;
	}
}

static bool is_temp(const char *file, const char *name)
{
	size_t len = strlen(file), end = strlen(TEMP_MARK) + TEMP_DIGITS;
	if (len <= end || (name && (len - end != strlen(name) || !str_starts(file, name))))
		return false;
	const char *mark = file + len - end;
	return str_starts(mark, TEMP_MARK) &&
	       strspn(mark + strlen(TEMP_MARK), "0123456789abcdef") == TEMP_DIGITS;
}

void fs_sweep_temps(const char *directory, const char *name)
{
	char **names;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path =
			is_temp(names[i], name) ? path_join(directory, names[i]) : NULL;
		AUTO_FD int fd = path ? sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0) : -1;
		if (fd >= 0 && lock_until(fd, 0) == 0)
			fs_unlink(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

static int sync_directory_of(const char *path)
{
	AUTO_FREE char *directory = strdup(path);
	if (!directory)
		return -ENOMEM;
	char *slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = 0;
	AUTO_FD int fd = sys_open(slash ? directory : ".", O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? fd : sys_fsync(fd);
}

int fs_publish(int fd, const char *temp, const char *path)
{
	int r = sys_fsync(fd);
	if (r == 0)
		r = fs_rename(temp, path);
	if (r == 0)
		r = sync_directory_of(path);
	return r;
}

int fs_write_file(const char *path, const void *data, size_t len, mode_t mode)
{
	AUTO_FREE char *temp = NULL;
	AUTO_FD int fd = -1;
	int r = fs_temp_beside(path, mode, &fd, &temp);
	if (r < 0)
		return r;
	r = sys_write_all(fd, data, len);
	if (r == 0)
		r = fs_publish(fd, temp, path);
	if (r < 0)
		fs_unlink(temp);
	return r;
}

int fs_lock_until(const char *path, uint64_t deadline, int *ret_fd)
{
	for (;;) {
		AUTO_FD int fd = sys_open(path, O_RDWR | O_CREAT, 0600);
		int r = fd < 0 ? fd : lock_until(fd, deadline);
		if (r < 0)
			return r;
		if (is_removed(fd))
			continue; /* by the one that held it before */
		*ret_fd = STEAL_FD(fd);
		return 0;
	}
}

int fs_lock(const char *path, bool wait, int *ret_fd)
{
	int r = fs_lock_until(path, wait ? deadline_in_ms(LOCK_PATIENCE_MS) : 0, ret_fd);
	return wait && r == -EWOULDBLOCK ? -EBUSY : r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_into(DIR *dir, char ***names, size_t *count)
{
	size_t cap = 0;
	errno = 0; /* readdir tells a failure from the end by it alone */
	for (struct dirent *entry; (entry = readdir(dir)); errno = 0) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (*count == cap) {
			cap = cap ? cap * 2 : 16;
			char **grown = realloc(*names, cap * sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			*names = grown;
		}
		if (!((*names)[*count] = strdup(entry->d_name)))
			return -ENOMEM;
		++*count;
	}
	return -errno;
}

int fs_list_stream(DIR *dir, char ***ret_names)
{
	char **names = NULL;
	size_t count = 0;
	int r = list_into(dir, &names, &count);
	if (r < 0) {
		strv_free(names, count);
		return r;
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*ret_names = names;
	return (int)count;
}

int fs_list(const char *directory, char ***ret_names)
{
	AUTO_FD int dir = sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
	return dir < 0 ? dir : fs_list_at(dir, ret_names);
}

void strv_free(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}
