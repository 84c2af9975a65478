/* SPDX-License-Identifier: MIT */
/* Files that are replaced so that a crash leaves the old or the new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/macros.h"
#include "base/random.h"
#include "base/sys.h"
#include "base/text.h"

#define TEMP_MARK   ".tmp-"
#define TEMP_DIGITS 12

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
		lock_fd_until(fd, deadline_in_ms(LOCK_PATIENCE_MS)); /* says that its maker lives */
		if (lock_is_removed(fd))
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
		if (fd >= 0 && lock_fd_until(fd, 0) == 0)
			fs_unlink(path);
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

int fs_open_parent(const char *path)
{
	AUTO_FREE char *directory = strdup(path);
	if (!directory)
		return -ENOMEM;
	char *slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = 0;
	return sys_open(slash ? directory : ".", O_RDONLY | O_DIRECTORY, 0);
}

int fs_sync_name(const char *path)
{
	AUTO_FD int fd = fs_open_parent(path);
	return fd < 0 ? fd : sys_fsync(fd);
}

int fs_publish(int fd, const char *temp, const char *path)
{
	int r = sys_fsync(fd);
	if (r == 0)
		r = fs_rename(temp, path);
	if (r == 0)
		r = fs_sync_name(path);
	return r;
}

int fs_unlink_durably(const char *path)
{
	int r = fs_unlink(path);
	return r < 0 ? r : fs_sync_name(path);
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
