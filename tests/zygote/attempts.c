/* SPDX-License-Identifier: MIT */
/* What a guest that has taken over its VMM would try. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/kcmp.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
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

/* Those that are forked of one have one user, who may do all this to all of them. */
static void try_memory_of_others(void)
{
	pid_t other = getppid();
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };
	require_forbidden(ptrace(PTRACE_ATTACH, other, NULL, NULL));
	require_forbidden(process_vm_writev(other, &here, 1, &there, 1, 0));
	require_forbidden(process_vm_readv(other, &here, 1, &there, 1, 0));
	require_forbidden(syscall(SYS_kcmp, other, getpid(), KCMP_VM, 0, 0));
	require_forbidden(syscall(SYS_migrate_pages, other, 0, NULL, NULL));
	require_forbidden(syscall(SYS_move_pages, other, 0, NULL, NULL, NULL, 0));
	require_forbidden(syscall(440 /* process_madvise */, -1, NULL, 0, 0, 0));
}

static void try_signals(void)
{
	pid_t other = getppid();
	struct f_owner_ex owner = { F_OWNER_PID, other };
	require_forbidden(kill(other, SIGTERM));
	require_forbidden(syscall(SYS_tgkill, other, other, SIGTERM));
	require_forbidden(syscall(SYS_tkill, other, SIGTERM));
	require_forbidden(syscall(SYS_pidfd_open, other, 0));
	require_forbidden(syscall(SYS_pidfd_send_signal, -1, SIGTERM, NULL, 0));
	require_forbidden(syscall(438 /* pidfd_getfd */, -1, 0, 0));
	require_forbidden(syscall(SYS_rt_sigqueueinfo, other, SIGTERM, NULL));
	require_forbidden(syscall(SYS_rt_tgsigqueueinfo, other, other, SIGTERM, NULL));
	require_forbidden(fcntl(PROGRAM_COMMAND, F_SETOWN, other));
	require_forbidden(fcntl(PROGRAM_COMMAND, F_SETOWN_EX, &owner));
	require_forbidden(fcntl(PROGRAM_COMMAND, F_SETSIG, SIGTERM));
	require_forbidden(ioctl(PROGRAM_COMMAND, FIOSETOWN, &other));
	require_forbidden(ioctl(PROGRAM_COMMAND, SIOCSPGRP, &other));
}

static void try_resources_of_others(void)
{
	pid_t other = getppid();
	struct rlimit limit;
	struct sched_param param = { 0 };
	uint32_t attr[12] = { sizeof(
		attr) }; /* the header of its type and that of the others clash */
	cpu_set_t cpus;
	require(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	require_forbidden(prlimit(other, RLIMIT_NOFILE, NULL, &limit));
	require_forbidden(setpriority(PRIO_PROCESS, (id_t)other, 0));
	require_forbidden(setpriority(PRIO_USER, 0, 0));
	require_forbidden(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, other, 0));
	require_forbidden(syscall(SYS_ioprio_set, IOPRIO_WHO_USER, 0, 0));
	require_forbidden(sched_setaffinity(other, sizeof(cpus), &cpus));
	require_forbidden(sched_setscheduler(other, SCHED_OTHER, &param));
	require_forbidden(sched_setparam(other, &param));
	require_forbidden(syscall(SYS_sched_setattr, other, attr, 0));
	require_forbidden(prctl(62 /* PR_SCHED_CORE */, 2 /* _SHARE_TO */, other, 0, 0));
	/* its own, which the C library reads of each thread's stack */
	require(getrlimit(RLIMIT_STACK, &limit) == 0);
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
	try_memory_of_others();
	try_signals();
	try_resources_of_others();
	try_memory();
	try_rights();
	/* and it works on */
	require(pthread_create(&thread, NULL, nothing, NULL) == 0);
	require(pthread_join(thread, NULL) == 0);
	require(pthread_kill(pthread_self(), SIGUSR1) == 0);
}
