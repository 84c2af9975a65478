/* SPDX-License-Identifier: MIT */
/* Files with holes, and the blocks that files share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/macros.h"
#include "base/sys.h"
#include "base/sys_sparse.h"

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

int sys_clone_file(int from, int to)
{
	return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

#define COPIED_AT_ONCE (1u << 20)

int sys_copy_sparse(int from, int to, uint64_t size)
{
	AUTO_FREE uint8_t *part = malloc(COPIED_AT_ONCE);
	int r = part ? 0 : -ENOMEM;
	for (uint64_t at = 0; r == 0 && at < size; at += COPIED_AT_ONCE) {
		size_t len = size - at < COPIED_AT_ONCE ? (size_t)(size - at) : COPIED_AT_ONCE;
		size_t whole = (len + 4095) & ~(size_t)4095;
		memset(part + len, 0, whole - len);
		r = sys_pread_all(from, part, len, at);
		if (r == 0)
			r = sys_pwrite_sparse(to, part, whole, at);
	}
	return r < 0 ? r : sys_truncate(to, size);
}

int sys_pwrite_sparse(int fd, const uint8_t *data, uint64_t len, uint64_t offset)
{
	static const uint8_t zeros[4096];
	int r = 0;
	for (uint64_t at = 0; r == 0 && at < len;) {
		uint64_t end = at;
		while (end < len && end - at < (1u << 20) &&
			memcmp(data + end, zeros, sizeof(zeros)))
			end += sizeof(zeros);
		if (end > at)
			r = sys_pwrite_all(fd, data + at, end - at, offset + at);
		at = end > at ? end : at + sizeof(zeros);
	}
	return r;
}
