/* SPDX-License-Identifier: MIT */
/*
 * A filter of system calls for a program that has all it needs: no new processes and programs, no
 * sockets, no other user, and nothing that reaches other processes. QEMU's own (-sandbox) has to
 * leave in a zygote what a fork and a change of user need; this takes it away again.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "zygote/raw.h"
#include "zygote/rights.h"

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif

#define STOP_SIGNAL 32
#define X32_BIT     0x40000000u
#define NEW_SPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)
#define ALLOWED    SECCOMP_RET_ALLOW
#define FORBIDDEN  (SECCOMP_RET_ERRNO | EPERM)
#define MISSING    (SECCOMP_RET_ERRNO | ENOSYS)
#define AT(member) (uint32_t) offsetof(struct seccomp_data, member)

/* The filter that is on, here and in all children. */
static enum { NO_FILTER, FERTILE, WHOLE } filter;

static const uint16_t forbidden[] = {
	/* programs and processes; clone is looked at more closely */
	SYS_execve, SYS_execveat, SYS_fork, SYS_vfork, SYS_unshare, SYS_setns,
	/* others */
	SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_kill, SYS_tkill,
	SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_open, SYS_pidfd_send_signal,
	438 /* pidfd_getfd */, 440 /* process_madvise */, SYS_migrate_pages, SYS_move_pages,
	SYS_setpriority,
	/* the network, and the host */
	SYS_socket, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_open_by_handle_at,
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_add_key,
	SYS_request_key, SYS_keyctl, SYS_init_module, SYS_finit_module, SYS_delete_module,
	SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_personality,
	/* other users */
	SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid,
	SYS_setgroups, SYS_setfsuid, SYS_setfsgid, SYS_capset
};

struct program {
	struct sock_filter code[256];
	uint16_t len;
};

static void add(struct program *p, uint16_t code, uint32_t k)
{
	p->code[p->len++] = (struct sock_filter)BPF_STMT(code, k);
}

/* Where the value that was loaded is `k`, has one of the bits of it, or is not less. */
static void add_if(struct program *p, uint16_t test, uint32_t k, uint32_t answer)
{
	p->code[p->len++] = (struct sock_filter)BPF_JUMP((BPF_JMP | BPF_K) | test, k, 0, 1);
	add(p, BPF_RET | BPF_K, answer);
}

static void load(struct program *p, uint32_t at)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, at);
}

/* Begins what is for one call alone; its length is filled in by end_call(). */
static uint16_t begin_call(struct program *p, uint32_t number)
{
	p->code[p->len] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 0);
	return p->len++;
}

static void skip_to_here(struct program *p, uint16_t from)
{
	p->code[from].jf = (uint8_t)(p->len - from - 1);
}

static void end_call(struct program *p, uint16_t at, uint32_t otherwise)
{
	add(p, BPF_RET | BPF_K, otherwise);
	skip_to_here(p, at);
}

/* Threads as ever; processes only as this room makes them. */
static void filter_clone(struct program *p, bool fertile)
{
	uint16_t call = begin_call(p, SYS_clone);
	load(p, AT(args[0]));
	if (fertile)
		add_if(p, BPF_JEQ, FORK_FLAGS, ALLOWED);
	add_if(p, BPF_JSET, NEW_SPACES, FORBIDDEN);
	add_if(p, BPF_JSET, CLONE_THREAD, ALLOWED);
	end_call(p, call, FORBIDDEN);
	/* its flags lie in memory; the C library makes do with the other one */
	add_if(p, BPF_JEQ, SYS_clone3, MISSING);
}

/* A process knows its own number, but not those of its children: where there may be some, it is the
 * signals that count, of which one stops threads, and QEMU uses the other between them. */
static void filter_tgkill(struct program *p, bool fertile)
{
	uint16_t call = begin_call(p, SYS_tgkill);
	load(p, fertile ? AT(args[2]) : AT(args[0]));
	if (fertile) {
		add_if(p, BPF_JEQ, STOP_SIGNAL, ALLOWED);
		add_if(p, BPF_JEQ, SIGUSR1, ALLOWED);
	} else {
		add_if(p, BPF_JEQ, (uint32_t)raw(SYS_getpid, 0, 0, 0), ALLOWED);
	}
	end_call(p, call, FORBIDDEN);
}

/* What can be done to others, among much that cannot, is told by one argument of these. */
static const struct {
	uint16_t call;
	uint32_t argument, value;
} forbidden_values[] = {
	/* who gets a signal when a descriptor is ready, and which */
	{ SYS_fcntl, AT(args[1]), F_SETOWN },
	{ SYS_fcntl, AT(args[1]), F_SETOWN_EX },
	{ SYS_fcntl, AT(args[1]), F_SETSIG },
	{ SYS_ioctl, AT(args[1]), FIOSETOWN },
	{ SYS_ioctl, AT(args[1]), SIOCSPGRP },
	{ SYS_prctl, AT(args[0]), PR_SCHED_CORE },
};

static void filter_values(struct program *p)
{
	for (size_t i = 0; i < sizeof(forbidden_values) / sizeof(forbidden_values[0]); i++) {
		uint16_t call = begin_call(p, forbidden_values[i].call);
		load(p, forbidden_values[i].argument);
		add_if(p, BPF_JEQ, forbidden_values[i].value, FORBIDDEN);
		load(p, AT(nr));
		skip_to_here(p, call);
	}
}

/* Their first argument is a process or a thread; 0 is the one that asks, as the C library does for
 * its limits, and a thread that is revived. */
static const uint16_t for_itself[] = { SYS_prlimit64, SYS_sched_setparam, SYS_sched_setscheduler,
	SYS_sched_setattr, SYS_sched_setaffinity };

static void filter_resources(struct program *p)
{
	for (size_t i = 0; i < sizeof(for_itself) / sizeof(for_itself[0]); i++) {
		uint16_t call = begin_call(p, for_itself[i]);
		load(p, AT(args[0]));
		add_if(p, BPF_JEQ, 0, ALLOWED);
		end_call(p, call, FORBIDDEN);
	}
	uint16_t call = begin_call(p, SYS_ioprio_set);
	load(p, AT(args[1]));
	add_if(p, BPF_JGT, 0, FORBIDDEN);
	load(p, AT(args[0]));
	add_if(p, BPF_JEQ, IOPRIO_WHO_PROCESS, ALLOWED);
	end_call(p, call, FORBIDDEN);
}

static void make_filter(struct program *p, bool fertile)
{
	load(p, AT(arch));
	p->code[p->len++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	add(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	load(p, AT(nr));
	add_if(p, BPF_JGE, X32_BIT, MISSING);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		add_if(p, BPF_JEQ, forbidden[i], FORBIDDEN);
	filter_clone(p, fertile);
	filter_tgkill(p, fertile);
	filter_values(p);
	filter_resources(p);
	add(p, BPF_RET | BPF_K, ALLOWED);
}

/* One, and at last another that leaves nothing, however many generations there were. */
static int put_filter_on(bool fertile, unsigned flags, struct reason *reason)
{
	if (filter == (fertile ? FERTILE : WHOLE))
		return 0;
	struct program p = { .len = 0 };
	make_filter(&p, fertile);
	struct sock_fprog program = { p.len, p.code };
	long r = raw_prctl(PR_SET_NO_NEW_PRIVS, 1, 0);
	if (r == 0)
		r = raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, (long)&program);
	if (r > 0)
		return refuse(reason, "thread %d has another filter than the others", (int)r);
	if (r < 0)
		return refuse(reason, "the filter cannot be put on (errno %d)", (int)-r);
	filter = fertile ? FERTILE : WHOLE;
	return 0;
}

/* A domain of its own: of others it sees no memory by /proc, whoever's user they have, but of those
 * that are forked from it. Kernels before 5.13, and some later ones, have no Landlock; the filter
 * of a container may forbid it. */
static int leave_others(struct reason *reason)
{
	const uint64_t handled = LANDLOCK_ACCESS_FS_MAKE_CHAR; /* something that nobody does */
	long fd = raw(SYS_landlock_create_ruleset, (long)&handled, sizeof(handled), 0);
	if (fd == -ENOSYS || fd == -EOPNOTSUPP || fd == -EPERM)
		return 0;
	long r = fd < 0 ? fd : raw_prctl(PR_SET_NO_NEW_PRIVS, 1, 0);
	if (r == 0)
		r = raw(SYS_landlock_restrict_self, fd, 0, 0);
	raw_close((int)fd);
	return r == 0 ? 0 : refuse(reason, "it cannot be kept from others (errno %d)", (int)-r);
}

static int become(const struct zygote_order *o, struct reason *reason)
{
	uint32_t group = o->extra_gid;
	long r = raw(SYS_setgroups, group ? 1 : 0, (long)&group, 0);
	if (r == 0)
		r = raw(SYS_setresgid, o->gid, o->gid, o->gid);
	if (r == 0)
		r = raw(SYS_setresuid, o->uid, o->uid, o->uid);
	/* who is to be forked again must be able to look at itself in /proc */
	if (r == 0)
		r = raw_prctl(PR_SET_DUMPABLE, o->flags & ZYGOTE_FERTILE ? 1 : 0, 0);
	return r == 0 ? 0 :
			refuse(reason, "it cannot become user %d (errno %d)", (int)o->uid, (int)-r);
}

int rights_take(const struct zygote_order *o, struct reason *reason)
{
	if (o->flags & ZYGOTE_USER && become(o, reason) < 0)
		return -1;
	if (!(o->flags & ZYGOTE_FILTER))
		return 0;
	int r = leave_others(reason);
	return r == 0 ? put_filter_on(o->flags & ZYGOTE_FERTILE, 0, reason) : r;
}

int rights_confine(struct reason *reason)
{
	if (filter == WHOLE)
		return refuse(reason, "it has the whole filter, and cannot be forked");
	return put_filter_on(true, SECCOMP_FILTER_FLAG_TSYNC, reason);
}
