/* SPDX-License-Identifier: MIT */
/*
 * System calls without the C library: they leave errno alone, which belongs to the thread whose
 * work was interrupted, take no lock, and can be made with the TLS of any thread. A failure is a
 * negative errno.
 */
#ifndef NOVA_LIB_ZYGOTE_RAW_H
#define NOVA_LIB_ZYGOTE_RAW_H

#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

static inline long raw7(long number, long a, long b, long c, long d, long e, long f)
{
	long result = number;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long raw6(long number, long a, long b, long c, long d, long e)
{
	return raw7(number, a, b, c, d, e, 0);
}

static inline long raw(long number, long a, long b, long c)
{
	return raw6(number, a, b, c, 0, 0);
}

static inline int raw_open(const char *path, int flags)
{
	return (int)raw6(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0);
}

static inline void raw_close(int fd)
{
	if (fd >= 0)
		raw(SYS_close, fd, 0, 0);
}

static inline long raw_fcntl(int fd, int command, long argument)
{
	return raw(SYS_fcntl, fd, command, argument);
}

static inline long raw_prctl(int option, long a, long b)
{
	return raw6(SYS_prctl, option, a, b, 0, 0);
}

static inline uint64_t raw_now_ns(void)
{
	struct timespec t = { 0 };
	raw(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Until it is no longer `value`, for so long at most; for no reason, too. */
static inline void raw_wait(_Atomic uint32_t *at, uint32_t value, uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	raw6(SYS_futex, (long)at, FUTEX_WAIT_PRIVATE, (long)value, ns ? (long)&t : 0, 0);
}

static inline void raw_wake_all(_Atomic uint32_t *at)
{
	raw(SYS_futex, (long)at, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

static inline void raw_sleep_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	raw(SYS_nanosleep, (long)&t, 0, 0);
}

static inline _Noreturn void raw_exit(int status)
{
	for (;;)
		raw(SYS_exit_group, status, 0, 0);
}

#endif
