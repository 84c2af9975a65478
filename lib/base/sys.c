/* SPDX-License-Identifier: MIT */
/* System calls on descriptors: one wrapper each, -errno out, close-on-exec from birth. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/retry.h"
#include "base/sys.h"

void fd_close(int fd)
{
	if (fd >= 0)
		close(fd); /* on Linux the descriptor is gone even after EINTR */
}

int fd_high(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int r = high >= 0 ? high : errno == EINVAL ? -EMFILE : -errno; /* EINVAL: above the limit */
	close(fd);
	return r;
}

static int both_high(int fds[2])
{
	for (int i = 0; i < 2; i++)
		fds[i] = fd_high(fds[i]);
	int r = fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : 0;
	if (r < 0) {
		fd_close(fds[0]);
		fd_close(fds[1]);
	}
	return r;
}

int sys_open(const char *path, int flags, mode_t mode)
{
	return fd_high(RETRY(open(path, flags | O_CLOEXEC, mode)));
}

ssize_t sys_read(int fd, void *out, size_t len)
{
	return RETRY(read(fd, out, len));
}

ssize_t sys_write(int fd, const void *data, size_t len)
{
	return RETRY(write(fd, data, len));
}

int sys_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len) {
		ssize_t put = sys_write(fd, at, len);
		if (put < 0)
			return (int)put;
		at += put;
		len -= (size_t)put;
	}
	return 0;
}

int sys_pread_all(int fd, void *out, size_t len, uint64_t offset)
{
	uint8_t *at = out;
	while (len) {
		ssize_t got = RETRY(pread(fd, at, len, (off_t)offset));
		if (got < 0)
			return (int)got;
		if (got == 0)
			return -ENODATA;
		at += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

int sys_pwrite_all(int fd, const void *data, size_t len, uint64_t offset)
{
	const uint8_t *at = data;
	while (len) {
		ssize_t put = RETRY(pwrite(fd, at, len, (off_t)offset));
		if (put < 0)
			return (int)put;
		at += put;
		offset += (uint64_t)put;
		len -= (size_t)put;
	}
	return 0;
}

int sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int n = poll(fds, count, timeout_ms);
	if (n >= 0)
		return n;
	if (errno != EINTR)
		return -errno;
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = 0;
	return 0;
}

bool sys_await_readable(int fd, uint64_t deadline)
{
	struct pollfd p = { fd, POLLIN, 0 };
	do {
		if (sys_poll(&p, 1, deadline_poll_ms(deadline)) > 0)
			return true;
	} while (!deadline_passed(deadline));
	return false;
}

bool sys_has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

int sys_socketpair(int type, int ret_fds[2])
{
	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno :
									  both_high(ret_fds);
}

int sys_pipe(int ret_fds[2])
{
	return pipe2(ret_fds, O_CLOEXEC) < 0 ? -errno : both_high(ret_fds);
}

int sys_memfd(const char *name)
{
	return fd_high(RETRY(memfd_create(name, MFD_CLOEXEC)));
}

int sys_event(void)
{
	return fd_high(RETRY(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

void sys_event_raise(int fd)
{
	static const uint64_t one = 1;
	int kept = errno; /* the caller may be a signal handler */
	sys_write(fd, &one, sizeof(one));
	errno = kept;
}

void sys_event_clear(int fd)
{
	uint64_t count;
	sys_read(fd, &count, sizeof(count));
}

int sys_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int sys_timer_open(void)
{
	return fd_high(RETRY(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)));
}

int sys_timer_set(int fd, uint64_t when)
{
	struct itimerspec at = { .it_value = ns_to_timespec(when == NEVER ? 0 : when) };
	if (when == 0)
		at.it_value.tv_nsec = 1; /* zero would be never */
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL) < 0 ? -errno : 0;
}

int sys_fsync(int fd)
{
	return RETRY(fsync(fd));
}

int sys_fstat(int fd, struct stat *out)
{
	return fstat(fd, out) < 0 ? -errno : 0;
}

int sys_fchmod(int fd, mode_t mode)
{
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int sys_set_owner(int fd, uint32_t uid, uint32_t gid, mode_t mode)
{
	return fchown(fd, (uid_t)uid, (gid_t)gid) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

int sys_truncate(int fd, uint64_t size)
{
	return RETRY(ftruncate(fd, (off_t)size));
}

int sys_dup(int fd)
{
	return RETRY(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

void *sys_map(int fd, uint64_t offset, size_t len, bool writable)
{
	void *at = mmap(NULL, len, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd,
		(off_t)offset);
	return at == MAP_FAILED ? NULL : at;
}

void sys_unmap(void *at, size_t len)
{
	if (at)
		munmap(at, len);
}

int sys_lock_byte(int fd, uint64_t at)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1
	};
	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

int sys_flock(int fd, bool exclusive, bool wait)
{
	return RETRY(flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)));
}

void sys_write_behind(int fd)
{
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
