/* SPDX-License-Identifier: MIT */
/* Locks that are files. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/macros.h"
#include "base/stop.h"
#include "base/sys.h"

#define LOCK_PAUSE_MS 16u
#define LOCK_LOOK_MS  50 /* who may be stopped looks at least that often */

/* The kernel knows no limit for the wait, and no event. */
int lock_fd_until(int fd, uint64_t deadline)
{
	int r;
	for (int pause_ms = 1;
		(r = sys_flock(fd, true, false)) == -EWOULDBLOCK && !deadline_passed(deadline);) {
		poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < LOCK_PAUSE_MS ? pause_ms * 2 : pause_ms;
	}
	return r;
}

bool lock_is_removed(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && !st.st_nlink;
}

int fs_lock_until(const char *path, uint64_t deadline, int *ret_fd)
{
	for (;;) {
		AUTO_FD int fd = sys_open(path, O_RDWR | O_CREAT, 0600);
		int r = fd < 0 ? fd : lock_fd_until(fd, deadline);
		if (r < 0)
			return r;
		if (lock_is_removed(fd))
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

int fs_lock_unless(const char *path, const struct stop *stop, uint64_t deadline, int *ret_fd)
{
	for (int pause = 1;; pause = pause < LOCK_LOOK_MS / 2 ? pause * 2 : LOCK_LOOK_MS) {
		int r = fs_lock(path, false, ret_fd);
		if (r != -EWOULDBLOCK || deadline_passed(deadline))
			return r;
		stop_poll(stop, NULL, 0, pause);
		if (stop_asked(stop))
			return -ECANCELED;
	}
}
