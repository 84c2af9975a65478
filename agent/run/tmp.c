/* SPDX-License-Identifier: MIT */
/*
 * Where functions may write, /tmp and /dev/shm. Both are memory that counts as the function's, so
 * they are full before that is used up; and what one call leaves is no burden of the next.
 */
#include <fcntl.h>
#include <ftw.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/run/run.h"

#define OPEN_MOST   16
#define ROUNDS_MOST 64 /* each opens one more level of directories that were closed */

static const char *const mounts[] = { "/tmp", "/dev/shm" };

/* What has this many bytes of memory can fill /tmp and still work with half of them. */
void tmp_fit(uint64_t memory)
{
	const unsigned parts[] = { 2, 4 };
	char size[40];
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		snprintf(size, sizeof(size), "size=%llu", (unsigned long long)memory / parts[i]);
		mount(NULL, mounts[i], NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV, size);
	}
}

/* Inodes of a tmpfs are numbered in the order in which they are made. */
static uint64_t last_made(const char *directory)
{
	struct stat st;
	AUTO_FD int fd = sys_open(directory, O_RDWR | O_TMPFILE, 0600);
	return fd < 0 || fstat(fd, &st) < 0 ? UINT64_MAX : st.st_ino;
}

void tmp_mark(struct run *run)
{
	for (size_t i = 0; run->guest->pid1 && i < ARRAY_LEN(mounts); i++)
		run->tmp_marks[i] = last_made(mounts[i]);
}

static uint64_t mark;
static bool opened;

static int remove_left(const char *path, const struct stat *st, int type, struct FTW *level)
{
	(void)level;
	if (st->st_uid != FUNCTION_UID)
		return 0;
	if (type == FTW_DNR)
		opened |= chmod(path, 0700) == 0;
	else if (st->st_ino > mark)
		remove(path);
	return 0;
}

/* With the rights of the function, which may still have a process that moves things about. */
void tmp_clean(const struct run *run)
{
	if (!run->guest->pid1)
		return;
	setfsuid(FUNCTION_UID);
	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		mark = run->tmp_marks[i];
		opened = true;
		for (int round = 0; opened && round < ROUNDS_MOST; round++) {
			opened = false;
			nftw(mounts[i], remove_left, OPEN_MOST, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
		}
	}
	setfsuid(0);
}
