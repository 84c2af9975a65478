/* SPDX-License-Identifier: MIT */
#undef _FILE_OFFSET_BITS /* both names of a function are defined here */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "points.h"

static struct {
	int armed; /* atomic, like the countdown */
	long countdown;
	enum family family;
	unsigned variant;
	struct point point;
} state;

static __thread bool inside; /* what the hooks call themselves is not counted */

void points_arm(enum family family, unsigned nth, unsigned variant)
{
	void *warm[2];
	backtrace(warm, 2); /* allocates at its first use */
	state.family = family;
	state.variant = variant;
	state.countdown = nth;
	state.point = (struct point){ .hit = false };
	__atomic_store_n(&state.armed, 1, __ATOMIC_SEQ_CST);
}

struct point points_disarm(void)
{
	__atomic_store_n(&state.armed, 0, __ATOMIC_SEQ_CST);
	return state.point;
}

void point_print(const struct point *point)
{
	fprintf(stderr, "%s() failed with %s at", point->function, strerrorname_np(point->os));
	for (int i = 2; i < point->depth; i++) {
		Dl_info info = { 0 };
		if (dladdr(point->trace[i], &info) && info.dli_fname)
			fprintf(stderr, " %s+0x%lx",
				strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 :
							       info.dli_fname,
				(unsigned long)((char *)point->trace[i] - (char *)info.dli_fbase -
						1));
	}
	fputc('\n', stderr);
}

static bool counts(enum family family)
{
	return !inside && __atomic_load_n(&state.armed, __ATOMIC_ACQUIRE) && state.family == family;
}

/* Whether one of the innermost callers is of this library. */
static bool comes_from(const struct point *point, const char *library, int most)
{
	Dl_info info = { 0 };
	for (int i = 1; i < point->depth && i < most; i++)
		if (dladdr(point->trace[i], &info) && info.dli_fname &&
			strstr(info.dli_fname, library))
			return true;
	return false;
}

/* libext2fs 1.47 ends the program when some of its own allocations fail
 * (ext2fs_create_inode_cache(), ext2fs_super_and_bgd_loc2()), and the address sanitizer when it
 * cannot ask for a new thread's stack. */
static bool is_spared(const struct point *point)
{
	return comes_from(point, "libext2fs", 8) || comes_from(point, "libasan", 8);
}

/* Whether this is the point that fails; then errno is set. */
static bool hit(const char *function, int os)
{
	if (__atomic_sub_fetch(&state.countdown, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	struct point point = { .hit = true, .function = function, .os = os };
	inside = true;
	point.depth = backtrace(point.trace, 32);
	bool spared = state.family == MEMORY && is_spared(&point);
	inside = false;
	if (spared) {
		__atomic_store_n(&state.countdown, 1, __ATOMIC_RELEASE);
		return false;
	}
	state.point = point;
	errno = os;
	return true;
}

static int one_of(int a, int b)
{
	return state.variant % 2 ? b : a;
}

static bool fails(const char *function, int os)
{
	return counts(SYSTEM) && hit(function, os);
}

/* Data moves from and to files and sockets; what else there is (events, timers, devices) refuses
 * nothing. */
static bool move_fails(const char *function, int fd, bool out)
{
	if (counts(INTERRUPT))
		return hit(function, EINTR);
	struct stat st;
	if (!counts(SYSTEM) || fstat(fd, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return hit(function, out ? one_of(ENOSPC, EIO) : EIO);
	return S_ISSOCK(st.st_mode) && hit(function, out ? ENOBUFS : ENOMEM);
}

static bool open_fails(const char *function)
{
	return counts(INTERRUPT) ? hit(function, EINTR) : fails(function, one_of(EMFILE, ENFILE));
}

/* --- memory: where the address sanitizer is built in, its functions are the real ones --- */

#define MEMORY_FUNCTION(type, name, parameters, arguments)                                         \
	extern type __libc_##name parameters __attribute__((weak));                                \
	extern type __interceptor_##name parameters __attribute__((weak));                         \
	type name parameters                                                                       \
	{                                                                                          \
		if (counts(MEMORY) && hit(#name, ENOMEM))                                          \
			return NULL;                                                               \
		return __interceptor_##name ? __interceptor_##name arguments :                     \
					      __libc_##name arguments;                             \
	}

MEMORY_FUNCTION(void *, malloc, (size_t size), (size))
MEMORY_FUNCTION(void *, calloc, (size_t count, size_t size), (count, size))
MEMORY_FUNCTION(void *, realloc, (void *old, size_t size), (old, size))

extern void *__libc_memalign(size_t alignment, size_t size) __attribute__((weak));
extern void *__interceptor_aligned_alloc(size_t alignment, size_t size) __attribute__((weak));
void *aligned_alloc(size_t alignment, size_t size)
{
	if (counts(MEMORY) && hit("aligned_alloc", ENOMEM))
		return NULL;
	return __interceptor_aligned_alloc ? __interceptor_aligned_alloc(alignment, size) :
					     __libc_memalign(alignment, size);
}

/* The sanitizer's own would allocate past the above. */
char *strndup(const char *text, size_t most)
{
	size_t len = strnlen(text, most);
	char *copy = malloc(len + 1);
	if (copy) {
		memcpy(copy, text, len);
		copy[len] = 0;
	}
	return copy;
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);
	return copy ? memcpy(copy, text, size) : NULL;
}

/* --- system calls --- */

#define REAL(name)                                                                                 \
	static __typeof__(name) *real;                                                             \
	if (!real) {                                                                               \
		bool was = inside;                                                                 \
		inside = true;                                                                     \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                                \
		inside = was;                                                                      \
	}

#define SYSTEM_CALL(type, name, parameters, arguments, failure, condition)                         \
	type name parameters                                                                       \
	{                                                                                          \
		REAL(name)                                                                         \
		return (condition) ? failure : real arguments;                                     \
	}

#define OPEN_CALL(name, parameters, arguments)                                                     \
	int name parameters                                                                        \
	{                                                                                          \
		REAL(name)                                                                         \
		mode_t mode = 0;                                                                   \
		va_list rest;                                                                      \
		va_start(rest, flags);                                                             \
		if (flags & (O_CREAT | __O_TMPFILE))                                               \
			mode = va_arg(rest, mode_t);                                               \
		va_end(rest);                                                                      \
		return open_fails(#name) ? -1 : real arguments;                                    \
	}

OPEN_CALL(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN_CALL(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN_CALL(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPEN_CALL(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
SYSTEM_CALL(
	DIR *, opendir, (const char *path), (path), NULL, fails("opendir", one_of(EMFILE, ENFILE)))

#define MOVE_CALL(name, out, parameters, arguments)                                                \
	SYSTEM_CALL(ssize_t, name, parameters, arguments, -1, move_fails(#name, fd, out))

MOVE_CALL(read, false, (int fd, void *to, size_t len), (fd, to, len))
MOVE_CALL(pread, false, (int fd, void *to, size_t len, off_t at), (fd, to, len, at))
MOVE_CALL(pread64, false, (int fd, void *to, size_t len, off64_t at), (fd, to, len, at))
MOVE_CALL(write, true, (int fd, const void *from, size_t len), (fd, from, len))
MOVE_CALL(pwrite, true, (int fd, const void *from, size_t len, off_t at), (fd, from, len, at))
MOVE_CALL(pwrite64, true, (int fd, const void *from, size_t len, off64_t at), (fd, from, len, at))
MOVE_CALL(send, true, (int fd, const void *from, size_t len, int flags), (fd, from, len, flags))
MOVE_CALL(recv, false, (int fd, void *to, size_t len, int flags), (fd, to, len, flags))
MOVE_CALL(sendmsg, true, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
MOVE_CALL(recvmsg, false, (int fd, struct msghdr *message, int flags), (fd, message, flags))

#define MAP_CALL(name, off)                                                                        \
	SYSTEM_CALL(void *, name,                                                                  \
		(void *at, size_t len, int protection, int flags, int fd, off offset),             \
		(at, len, protection, flags, fd, offset), MAP_FAILED,                              \
		fd >= 0 && fails(#name, ENOMEM))
MAP_CALL(mmap, off_t)
MAP_CALL(mmap64, off64_t)
SYSTEM_CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1,
	fails("socket", one_of(EMFILE, ENFILE)))
SYSTEM_CALL(int, socketpair, (int domain, int type, int protocol, int fds[2]),
	(domain, type, protocol, fds), -1, fails("socketpair", one_of(EMFILE, ENFILE)))
SYSTEM_CALL(int, pipe2, (int fds[2], int flags), (fds, flags), -1,
	fails("pipe2", one_of(EMFILE, ENFILE)))
SYSTEM_CALL(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1,
	fails("memfd_create", one_of(EMFILE, ENOMEM)))
SYSTEM_CALL(int, eventfd, (unsigned value, int flags), (value, flags), -1,
	fails("eventfd", one_of(EMFILE, ENFILE)))
SYSTEM_CALL(int, timerfd_create, (int clock, int flags), (clock, flags), -1,
	fails("timerfd_create", one_of(EMFILE, ENFILE)))
SYSTEM_CALL(int, flock, (int fd, int what), (fd, what), -1,
	counts(INTERRUPT) ? hit("flock", EINTR) : fails("flock", ENOLCK))
SYSTEM_CALL(int, rename, (const char *from, const char *to), (from, to), -1,
	fails("rename", one_of(EIO, ENOSPC)))
SYSTEM_CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), -1,
	fails("mkdir", one_of(ENOSPC, EIO)))
SYSTEM_CALL(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), -1,
	fails("mkdirat", one_of(ENOSPC, EIO)))
SYSTEM_CALL(int, ftruncate, (int fd, off_t size), (fd, size), -1,
	fails("ftruncate", one_of(ENOSPC, EIO)))
SYSTEM_CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), -1,
	fails("ftruncate64", one_of(ENOSPC, EIO)))

/* Nothing here has to outlive a crash of the machine, and waiting for its disk would take most of
 * the time. */
int fsync(int fd)
{
	(void)fd;
	return counts(INTERRUPT) && hit("fsync", EINTR) ? -1 : fails("fsync", EIO) ? -1 : 0;
}

int fdatasync(int fd)
{
	(void)fd;
	return fails("fdatasync", EIO) ? -1 : 0;
}

/* Returns what went wrong; errno is not its business. */
int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	REAL(pthread_create)
	return fails("pthread_create", EAGAIN) ? EAGAIN : real(thread, attributes, run, argument);
}

int fcntl(int fd, int command, ...)
{
	REAL(fcntl)
	va_list rest;
	va_start(rest, command);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	return (command == F_DUPFD || command == F_DUPFD_CLOEXEC) && fails("fcntl", EMFILE) ?
		       -1 :
		       real(fd, command, argument);
}

int __clone(int (*run)(void *), void *stack, int flags, void *argument, ...);
int __clone(int (*run)(void *), void *stack, int flags, void *argument, ...)
{
	REAL(__clone)
	return fails("clone", EAGAIN) ? -1 : real(run, stack, flags, argument);
}
