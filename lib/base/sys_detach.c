/* SPDX-License-Identifier: MIT */
/*
 * A program that no wait() of this process ever sees, nor anything that it starts.
 *
 * Two rules of Linux are in the way: who executes a program gets the exit signal SIGCHLD, and whose
 * parent dies becomes a child of init or of the nearest subreaper, either of which this process may
 * be. So there is a reaper in between. It is a child of ours with exit signal 0, which only
 * wait(__WCLONE) sees; it never executes anything, and it collects what dies below it. It shares
 * our memory, because a copy would cost a large host much, and makes plain system calls and nothing
 * else: the C library keeps notes that would be ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/sys.h"
#include "base/sys_detach.h"

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif
#if __has_attribute(no_stack_protector)
#define NO_CANARY __attribute__((no_stack_protector))
#else
#define NO_CANARY
#endif
/* Runs where the thread that it was made by, and with it the memory of that thread's variables, may
 * have ended. */
#define BARE     IN_VFORK NO_CANARY
#define MEMORY   (64u * 1024) /* a description, and above it the stack */
#define MAX_FDS  16
#define MAX_ARGS 8
#define START_MS 10000u
#define END_MS   1000u
#define LOOK_MS  50u

/* At the beginning of the reaper's memory. */
struct family {
	char *argv[MAX_ARGS + 1];
	const char *const *environment;
	int fds[MAX_FDS + 1];
	size_t fd_count;
	/* where success or failure of exec is told, once; what is open as long as the reaper lives
	 */
	int told, life;
	pid_t parent;
	unsigned fd_limit;
	char text[4096]; /* of argv */
};

/* --- system calls, without errno --- */

static inline __attribute__((always_inline)) long call4(long number, long a, long b, long c, long d)
{
	long r;
	register long r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
}

#define call3(number, a, b, c) call4(number, a, b, c, 0)

/* A clone() or clone3() whose child calls `fn`, which does not return: on the stack that it was
 * given, or further down the one of its parent. */
static inline __attribute__((always_inline)) long clone_call(
	long number, long a, long b, int (*fn)(struct family *), struct family *f)
{
	long r;
	register void *called __asm__("r12") = (void *)fn;
	register void *argument __asm__("r13") = f;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "sub $128, %%rsp\n\t" /* the red zone of a parent that shares the stack */
			 "and $-16, %%rsp\n\t"
			 "mov %%r13, %%rdi\n\t"
			 "call *%%r12\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(0), "r"(called), "r"(argument)
			 : "rcx", "r11", "memory", "cc");
	return r;
}

/* --- in the children --- */

/* close_range() is younger than the rest of what is needed (Linux 5.9). */
BARE static void close_from(const struct family *f, unsigned first)
{
	if (call3(SYS_close_range, first, ~0u, 0) == 0)
		return;
	for (unsigned fd = first; fd < f->fd_limit; fd++)
		call3(SYS_close, fd, 0, 0);
}

BARE static void fail_exec(int told, long r)
{
	int os = (int)-r;
	call3(SYS_write, told, (long)&os, sizeof(os));
	call3(SYS_exit_group, 127, 0, 0);
}

/* What the host ignores or blocks would stay so across exec. */
BARE static void reset_signals(void)
{
	/* as the kernel's struct sigaction: SIG_DFL; as a signal set: none */
	static const unsigned long nothing[8];
	for (int sig = 1; sig < NSIG; sig++)
		call4(SYS_rt_sigaction, sig, (long)nothing, 0, sizeof(nothing[0]));
	call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)nothing, 0, sizeof(nothing[0]));
}

/* A duplicate that is above all that are handed on, so that none is overwritten. */
BARE static int lift(const struct family *f, int told, long fd)
{
	long high = fd < 0 ? fd : call3(SYS_fcntl, fd, F_DUPFD, 4 + (long)f->fd_count);
	if (high < 0)
		fail_exec(told, high == -EINVAL ? -EMFILE : high); /* EINVAL: above the limit */
	return (int)high;
}

/* The descriptors become 3, 4, …; after them comes the one that tells a failure, and closes with
 * exec. */
BARE static int take_fds(const struct family *f)
{
	int high[MAX_FDS + 1], last = 3 + (int)f->fd_count;
	int told = lift(f, f->told, f->told),
	    null = lift(f, told, call4(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDWR, 0));
	for (size_t i = 0; i < f->fd_count; i++)
		high[i] = lift(f, told, f->fds[i]);
	for (int fd = 0; fd <= 2; fd++)
		call3(SYS_dup3, null, fd, 0);
	for (size_t i = 0; i < f->fd_count; i++)
		call3(SYS_dup3, high[i], 3 + (long)i, 0);
	call3(SYS_dup3, told, last, O_CLOEXEC);
	close_from(f, (unsigned)last + 1);
	return last;
}

/* It shares its memory with the reaper, and leaves `f` as it is. */
BARE static int execute(struct family *f)
{
	int told = take_fds(f);
	reset_signals();
	fail_exec(told, call3(SYS_execve, (long)f->argv[0], (long)f->argv, (long)f->environment));
	return 0;
}

/* Of all descriptors only `life` stays, as 0. */
BARE static void keep_life_only(const struct family *f)
{
	if (f->life != 0)
		call3(SYS_dup3, f->life, 0, 0);
	close_from(f, 1);
}

/* "/proc/self/task/<our number>/children": where /proc belongs to another PID namespace, its
 * numbers are not ours, and this does not exist. */
BARE static long open_children(void)
{
	char path[64], digits[16];
	size_t len = 0, count = 0;
	for (const char *from = "/proc/self/task/"; *from;)
		path[len++] = *from++;
	for (long pid = call3(SYS_getpid, 0, 0, 0); pid; pid /= 10)
		digits[count++] = (char)('0' + pid % 10);
	while (count)
		path[len++] = digits[--count];
	for (const char *from = "/children"; *from;)
		path[len++] = *from++;
	path[len] = 0;
	return call4(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
}

/* Whatever is below us is to end: what a child leaves comes to us when it ends, and then it is its
 * turn. */
BARE static void kill_children(void)
{
	char list[1024];
	long fd = open_children();
	long len = fd < 0 ? 0 : call3(SYS_read, fd, (long)list, sizeof(list)), pid = 0;
	for (long i = 0; i < len; i++) {
		if (list[i] >= '0' && list[i] <= '9') {
			pid = pid * 10 + (list[i] - '0');
		} else if (pid) { /* it is there until we collect it, so the number is nobody else's
				   */
			call3(SYS_kill, pid, SIGKILL, 0);
			pid = 0;
		}
	}
	if (fd >= 0)
		call3(SYS_close, fd, 0, 0);
}

BARE static void prepare_reaper(void)
{
	const unsigned long all = ~0ul, dfl[4] = { 0 };
	call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof(all));
	/* ignored, it would leave nothing to collect */
	call4(SYS_rt_sigaction, SIGCHLD, (long)dfl, 0, sizeof(all));
	call3(SYS_setsid, 0, 0, 0);
	call3(SYS_chdir, (long)"/", 0, 0);
	call3(SYS_prctl, PR_SET_NAME, (long)"nova-reaper", 0);
	call3(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0);
	call3(SYS_prctl, PR_SET_PDEATHSIG, SIGHUP, 0);
}

/* SIGCHLD: something has ended; SIGTERM: all is to end; SIGHUP: a thread of the parent has ended,
 * or the parent, which another parent tells. */
BARE static void collect(const struct family *f, long program)
{
	const unsigned long awaited =
		1ul << (SIGCHLD - 1) | 1ul << (SIGHUP - 1) | 1ul << (SIGTERM - 1);
	for (bool ending = false;;) {
		long r;
		while ((r = call4(SYS_wait4, -1, 0, WNOHANG | __WALL, 0)) > 0)
			ending |= r == program;
		if (r == -ECHILD)
			return;
		if (call3(SYS_getppid, 0, 0, 0) != f->parent) {
			call3(SYS_write, 0, (long)"", 1); /* who reads `life` is told */
			return;
		}
		if (ending)
			kill_children();
		ending |= call4(SYS_rt_sigtimedwait, (long)&awaited, 0, 0, sizeof(awaited)) ==
			  SIGTERM;
	}
}

BARE static int reap(struct family *f)
{
	static const int well = 0;
	prepare_reaper();
	long program = clone_call(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, execute, f);
	if (program < 0)
		fail_exec(f->told, program);
	/* if it could not be executed, that has been told before */
	call3(SYS_write, f->told, (long)&well, sizeof(well));
	keep_life_only(f);
	collect(f, program);
	call3(SYS_exit_group, 0, 0, 0);
	return 0;
}

/* --- in the parent --- */

static int describe(struct family *f, const char *const *argv, const char *const *environment,
	const int *fds, size_t fd_count)
{
	struct rlimit limit;
	size_t count = 0, used = 0;
	if (fd_count > MAX_FDS)
		return -EINVAL;
	for (; argv[count]; count++) {
		size_t len = strlen(argv[count]) + 1;
		if (count == MAX_ARGS || used + len > sizeof(f->text))
			return -E2BIG;
		f->argv[count] = memcpy(f->text + used, argv[count], len);
		used += len;
	}
	memcpy(f->fds, fds, fd_count * sizeof(*fds));
	f->fd_count = fd_count;
	f->environment = environment;
	f->parent = getpid();
	f->fd_limit = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1u << 20 ?
			      (unsigned)limit.rlim_cur :
			      1u << 20;
	return 0;
}

/* Where clone3() is missing (before Linux 5.3, under valgrind, in old sandboxes) the reaper has a
 * copy of our memory instead. */
static int start_reaper(struct family *f)
{
	struct clone_args args = {
		.flags = CLONE_VM,
		.stack = (uintptr_t)f + sizeof(*f),
		.stack_size = MEMORY - sizeof(*f),
	};
	args.stack = (args.stack + 63) & ~(uint64_t)63;
	args.stack_size = (uintptr_t)f + MEMORY - args.stack;
	sigset_t all, before;
	sigfillset(&all);
	/* no handler of the host may run in a child that shares its memory */
	pthread_sigmask(SIG_BLOCK, &all, &before);
	long pid = clone_call(SYS_clone3, (long)&args, sizeof(args), reap, f);
	if (pid < 0)
		pid = clone_call(SYS_clone, 0, 0, reap, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return (int)pid;
}

/* Until the program runs, or could not be executed. */
static int await_exec(int told)
{
	uint64_t deadline = deadline_in_ms(START_MS);
	struct pollfd p = { told, POLLIN, 0 };
	int os = 0, n;
	do
		n = sys_poll(&p, 1, deadline_poll_ms(deadline));
	while (n == 0 && !deadline_passed(deadline));
	if (n <= 0)
		return n < 0 ? n : -ETIMEDOUT;
	ssize_t got = sys_read(told, &os, sizeof(os));
	return got == (ssize_t)sizeof(os) ? -os : got < 0 ? (int)got : -ESRCH;
}

static int start(struct family *f, struct detached *d)
{
	int told[2], life[2];
	int r = sys_pipe(life);
	if (r < 0)
		return r;
	d->life = life[0];
	AUTO_FD int life_end = f->life = life[1];
	f->fds[f->fd_count++] = life[0];
	r = sys_pipe(told);
	if (r < 0)
		return r;
	AUTO_FD int told_begin = told[0], told_end = f->told = told[1];
	d->reaper = r = start_reaper(f);
	fd_close(STEAL_FD(life_end));
	fd_close(STEAL_FD(told_end));
	return r < 0 ? r : await_exec(told_begin);
}

int sys_detached_start(const char *const *argv, const char *const *environment, const int *fds,
	size_t fd_count, struct detached *ret)
{
	struct detached d = DETACHED_NONE;
	d.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (d.memory == MAP_FAILED)
		return -errno;
	int r = describe(d.memory, argv, environment, fds, fd_count);
	if (r == 0)
		r = start(d.memory, &d);
	if (r == 0)
		*ret = d;
	else if (!sys_detached_end(&d, deadline_in_ms(END_MS)))
		fd_close(d.life); /* its memory may still be in use, and stays */
	return r;
}

/* Without collecting it. */
static bool has_ended(int64_t reaper)
{
	siginfo_t info = { .si_pid = 0 };
	return waitid(P_PID, (id_t)reaper, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 ||
	       info.si_pid > 0;
}

bool sys_detached_wait(const struct detached *d, uint64_t deadline)
{
	struct pollfd p = { d->life, 0, 0 };
	while (d->reaper > 0 && !has_ended(d->reaper)) {
		/* A fork of this process may hold a copy of what ought to close. */
		uint64_t slice = deadline_in_ms(LOOK_MS);
		if (deadline_passed(deadline))
			return false;
		int n = sys_poll(&p, 1, deadline_poll_ms(slice < deadline ? slice : deadline));
		if (n > 0)
			return true;
	}
	return true;
}

void sys_detached_kill(const struct detached *d)
{
	if (d->reaper > 0) {
		kill((pid_t)d->reaper, SIGTERM);
		kill((pid_t)d->reaper, SIGCONT); /* if somebody has stopped it */
	}
}

bool sys_detached_end(struct detached *d, uint64_t deadline)
{
	if (!sys_detached_wait(d, deadline))
		return false;
	/* it closes its files a moment before it can be waited for, and nothing holds it up */
	if (d->reaper > 0)
		while (waitpid((pid_t)d->reaper, NULL, __WALL) < 0 && errno == EINTR)
			;
	if (d->memory)
		munmap(d->memory, MEMORY);
	fd_close(d->life);
	*d = (struct detached)DETACHED_NONE;
	return true;
}
