/* SPDX-License-Identifier: MIT */
/* System calls on processes. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/sys_process.h"

size_t sys_processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

int sys_pidfd_open(int64_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	return fd < 0 ? -errno : fd_high(fd);
}

int sys_pidfd_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

int sys_process_cpu_us(int64_t pid, uint64_t *ret_us)
{
	clockid_t clock;
	struct timespec used;
	int r = clock_getcpuclockid((pid_t)pid, &clock);
	if (r)
		return -r;
	if (clock_gettime(clock, &used) < 0)
		return -errno;
	*ret_us = timespec_to_ns(&used) / 1000u;
	return 0;
}

/* Leaves of the places what is behind the first `done` bytes; how many of them are used up. */
static size_t iov_consume(struct iovec *iov, size_t count, size_t done)
{
	size_t i = 0;
	for (; i < count && done >= iov[i].iov_len; i++)
		done -= iov[i].iov_len;
	if (i < count) {
		iov[i].iov_base = (char *)iov[i].iov_base + done;
		iov[i].iov_len -= done;
	}
	return i;
}

/* One call moves less than 2 GiB, and may move less than it was asked for. */
int sys_process_memory_all(
	int64_t pid, void *local, size_t len, struct iovec *remote, size_t count, bool out)
{
	uint8_t *at = local;
	while (len) {
		struct iovec here = { at, len };
		ssize_t moved = out ? process_vm_readv((pid_t)pid, &here, 1, remote, count, 0) :
				      process_vm_writev((pid_t)pid, &here, 1, remote, count, 0);
		if (moved <= 0)
			return moved < 0 ? -errno : -EFAULT;
		size_t used = iov_consume(remote, count, (size_t)moved);
		remote += used;
		count -= used;
		at += moved;
		len -= (size_t)moved;
	}
	return 0;
}
