/* SPDX-License-Identifier: MIT */
/*
 * Users for VMMs. Each gets one that owns nothing and that no other VMM of this machine has: a byte
 * of one file is locked for it. The kernel gives the lock back when the descriptor has gone,
 * whoever had it.
 */
#include <errno.h>
#include <fcntl.h>

#include "engine/user.h"

/* The first that can be written; all that run here see the same. */
static const char *const files[] = { "/run/nova-users.lock", "/dev/shm/nova-users.lock" };

/* In /dev/shm anybody may have made it. */
static int open_locks(void)
{
	int fd = -ENOENT;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct stat st;
		fd = sys_open(files[i], O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
		if (fd >= 0 && sys_fstat(fd, &st) == 0 && st.st_uid == 0)
			return fd;
		fd_close(fd);
	}
	return fd < 0 ? fd : -EPERM;
}

int vmm_user_take(
	uint32_t first, uint32_t count, uint32_t *ret_uid, int *ret_lock, nova_error_t **error)
{
	uint32_t start;
	int r = random_bytes(&start, sizeof(start));
	AUTO_FD int fd = r < 0 ? r : open_locks();
	if (fd < 0)
		return nova_fail_os(error, fd, "no user can be reserved for a VMM in %s or %s",
			files[0], files[1]);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = first + (uint32_t)(((uint64_t)start + i) % count);
		r = sys_lock_byte(fd, number);
		if (r == 0) {
			*ret_uid = number;
			*ret_lock = STEAL_FD(fd);
			return 0;
		}
		if (r != -EAGAIN && r != -EACCES)
			break;
	}
	if (r == -EAGAIN || r == -EACCES)
		return nova_fail(
			error, NOVA_EBUSY, "no user is left for a VMM: all %u are taken", count);
	return nova_fail_os(error, r, "lock of a user for a VMM");
}
