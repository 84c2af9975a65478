/* SPDX-License-Identifier: MIT */
/*
 * A file that holds some room on the disk while there is plenty of it. When the disk is full it is
 * given back, a step at a time, as others may take what is given: to delete things, which is what a
 * full disk calls for, needs a little room at first.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/reserve.h"
#include "base/sys.h"
#include "base/text.h"

#define RESERVE_NAME  ".reserve"
#define RESERVE_BYTES (512u << 10)
#define STEP_BYTES    (96u << 10) /* what one opening or deletion may need */
#define BLOCK         4096u

static uint64_t free_bytes(const char *directory)
{
	struct statvfs fs;
	if (statvfs(directory, &fs) < 0)
		return 0;
	return (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
}

static uint64_t size_of(const char *path)
{
	uint64_t size = 0;
	fs_stat(path, &size, NULL);
	return size;
}

static void fill(const char *path, uint64_t bytes)
{
	AUTO_FD int fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd >= 0 && posix_fallocate(fd, 0, (off_t)bytes) != 0)
		(void)!ftruncate(fd, 0); /* then that little is free as well */
}

/* Takes room for the file until it has `want` bytes, if `left` stay free. */
static void take(const char *directory, const char *path, uint64_t want, uint64_t left)
{
	uint64_t held = size_of(path);
	if (held < want && held + free_bytes(directory) >= want + left)
		fill(path, want);
}

void fs_reserve(const char *directory, bool working)
{
	AUTO_FREE char *path = path_join(directory, RESERVE_NAME);
	if (!path)
		return;
	uint64_t room = free_bytes(directory), held = size_of(path), all = held + room;
	if (!working)
		take(directory, path, all < RESERVE_BYTES ? all / BLOCK * BLOCK : RESERVE_BYTES, 0);
	else if (room >= STEP_BYTES)
		take(directory, path, RESERVE_BYTES, RESERVE_BYTES);
	else if (held)
		(void)!truncate(path, held > STEP_BYTES ? (off_t)(held - STEP_BYTES) : 0);
}

bool fs_reserve_is_spent(const char *directory)
{
	AUTO_FREE char *path = path_join(directory, RESERVE_NAME);
	if (!path || !fs_exists(path))
		return false;
	take(directory, path, RESERVE_BYTES, RESERVE_BYTES);
	return size_of(path) < RESERVE_BYTES;
}
