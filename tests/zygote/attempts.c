/* SPDX-License-Identifier: MIT */
/* What a guest that has taken over its VMM would try. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

/* Not one of them, and the reason is the filter's. */
#define require_forbidden(call) require((errno = 0, (call) < 0 && errno == EPERM))

static void *nothing(void *unused)
{
	return unused;
}

static void try_processes(void)
{
	char name[] = "true", *const arguments[] = { name, NULL };
	require_forbidden(fork());
	require_forbidden(syscall(SYS_vfork));
	require_forbidden(syscall(SYS_clone, SIGCHLD | CLONE_VM, NULL, NULL, NULL, 0));
	require_forbidden(execve("/bin/true", arguments, arguments));
	require_forbidden(unshare(CLONE_NEWUSER));
	require(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
}

static void try_others(void)
{
	pid_t other = getppid();
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };
	require_forbidden(ptrace(PTRACE_ATTACH, other, NULL, NULL));
	require_forbidden(process_vm_writev(other, &here, 1, &there, 1, 0));
	require_forbidden(process_vm_readv(other, &here, 1, &there, 1, 0));
	require_forbidden(kill(other, SIGTERM));
	require_forbidden(syscall(SYS_tgkill, other, other, SIGTERM));
	require_forbidden(syscall(SYS_tkill, other, SIGTERM));
	require_forbidden(syscall(SYS_pidfd_open, other, 0));
	require_forbidden(syscall(SYS_rt_sigqueueinfo, other, SIGTERM, NULL));
}

/* The one from which it was forked is another's child, like the driver. */
static void try_memory(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		return; /* this kernel has no way to forbid it */
	require(open(path, O_RDWR) < 0 && errno == EACCES);
	require(open("/proc/self/maps", O_RDONLY) >= 0);
}

static void try_rights(void)
{
	require_forbidden(socket(AF_UNIX, SOCK_STREAM, 0));
	require_forbidden(socket(AF_INET, SOCK_STREAM, 0));
	require_forbidden(syscall(SYS_setresuid, 0, 0, 0));
	require_forbidden(syscall(SYS_setgroups, 0, NULL));
	require_forbidden(chroot("/"));
}

void attempts_fail(void)
{
	pthread_t thread;
	try_processes();
	try_others();
	try_memory();
	try_rights();
	/* and it works on */
	require(pthread_create(&thread, NULL, nothing, NULL) == 0);
	require(pthread_join(thread, NULL) == 0);
	require(pthread_kill(pthread_self(), SIGUSR1) == 0);
}
