/* SPDX-License-Identifier: MIT */
#include <asm/prctl.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "zygote/raw.h"
#include "zygote/revive.h"
#include "zygote/threads.h"

#ifndef ARCH_SHSTK_STATUS
#define ARCH_SHSTK_STATUS 0x5005
#endif
/* Where it is looked for in struct pthread, which is larger in every version. */
#define NUMBER_FROM 0x40u
#define NUMBER_TO   0x700u
/* What makes a thread of a process, as the C library does it. */
#define AS_A_THREAD                                                                                \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
		CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

/* Of the C library since 2.35; before it does not use restartable sequences. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));
#define RSEQ_SIZE      32u
#define RSEQ_SIGNATURE 0x53053053
struct rseq_area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t section;
};

void context_resume(void *frame) __attribute__((noreturn));
long context_clone(unsigned long flags, void *stack_end, int *tid, uintptr_t tls, void *argument,
	void (*function)(void *));

static size_t number_offset;
static _Atomic uint32_t revived, gate;

/* --- what is assumed of the C library and the processor --- */

int *revive_number(const void *tls)
{
	return (int *)((uintptr_t)tls + number_offset);
}

/* The place must hold the number of two threads, and no other place may. */
static void *find_number(void *main_thread)
{
	const char *mine = (const char *)pthread_self(), *other = main_thread;
	int tid = (int)raw(SYS_gettid, 0, 0, 0), pid = (int)raw(SYS_getpid, 0, 0, 0);
	size_t found = 0, count = 0;
	for (size_t at = NUMBER_FROM; at < NUMBER_TO; at += sizeof(int))
		if (*(const int *)(mine + at) == tid && *(const int *)(other + at) == pid) {
			found = at;
			count++;
		}
	return (void *)(count == 1 ? found : 0);
}

int revive_begin(struct reason *reason)
{
	uint64_t shadow_stack = 0;
	raw(SYS_arch_prctl, ARCH_SHSTK_STATUS, (long)&shadow_stack, 0);
	if (shadow_stack)
		return refuse(
			reason, "the program has shadow stacks, which no thread can be given");
	if (&__rseq_size && __rseq_size > RSEQ_SIZE)
		return refuse(reason, "the C library uses restartable sequences of another form");
	void *offset = NULL;
	int r = thread_create_hidden(find_number, (void *)pthread_self(), false, &offset);
	if (r != 0)
		return refuse(reason, "no thread can be started (errno %d)", r);
	if (!offset)
		return refuse(reason, "where the C library keeps a thread's number was not found");
	number_offset = (size_t)offset;
	return 0;
}

int revive_check(struct reason *reason)
{
	for (const struct thread *t = threads; t < threads + MAX_THREADS; t++)
		if (thread_tid(t) && *revive_number((void *)t->self) != thread_tid(t))
			return refuse(reason, "thread %d has its number elsewhere", thread_tid(t));
	return 0;
}

int revive_check_niceness(struct reason *reason)
{
	struct scheduling own = { 0 };
	raw6(SYS_sched_getattr, 0, (long)&own, sizeof(own), 0, 0);
	for (const struct thread *t = threads; t < threads + MAX_THREADS; t++)
		if (thread_tid(t) && t->has.scheduling.nice < own.nice)
			return refuse(reason,
				"thread '%s' is less nice than its program, which another user may "
				"not make it again",
				t->has.name);
	return 0;
}

/* --- in a thread that is revived, on a stack of its own, with all signals blocked --- */

/* Only if it was registered before. */
static long restore_rseq(const struct thread *t)
{
	if (!&__rseq_size || !__rseq_size)
		return 0;
	struct rseq_area *area = (struct rseq_area *)(t->self + (uintptr_t)__rseq_offset);
	if ((int32_t)area->cpu_id < 0)
		return 0;
	area->cpu_id_start = 0;
	area->cpu_id = (uint32_t)-1;
	area->section = 0;
	return raw6(SYS_rseq, (long)area, RSEQ_SIZE, 0, RSEQ_SIGNATURE, 0);
}

/* A filter of system calls may forbid to set what was set before it, so only what differs is. */
static long restore_scheduling(const struct attributes *has)
{
	struct attributes now = { 0 };
	long r = raw6(SYS_sched_getattr, 0, (long)&now.scheduling, sizeof(now.scheduling), 0, 0);
	if (r == 0 && memcmp(&now.scheduling, &has->scheduling, sizeof(now.scheduling)) != 0)
		r = raw(SYS_sched_setattr, 0, (long)&has->scheduling, 0);
	if (r < 0)
		return r;
	raw(SYS_sched_getaffinity, 0, sizeof(now.processors), (long)now.processors);
	if (memcmp(now.processors, has->processors, sizeof(now.processors)) != 0)
		r = raw(SYS_sched_setaffinity, 0, sizeof(has->processors), (long)has->processors);
	if (r == 0 && has->io_priority != raw(SYS_ioprio_get, 1, 0, 0))
		r = raw(SYS_ioprio_set, 1, 0, has->io_priority);
	return r;
}

static long restore(const struct thread *t)
{
	long r = 0;
	if (t->has.robust)
		r = raw(SYS_set_robust_list, (long)t->has.robust, (long)t->has.robust_len, 0);
	if (r == 0 && t->has.gs)
		r = raw(SYS_arch_prctl, ARCH_SET_GS, (long)t->has.gs, 0);
	if (r == 0)
		r = raw_prctl(PR_SET_TIMERSLACK, t->has.slack, 0);
	if (r == 0)
		r = raw_prctl(PR_SET_NAME, (long)t->has.name, 0);
	if (r == 0)
		r = restore_rseq(t);
	return r == 0 ? restore_scheduling(&t->has) : r;
}

static void revive(void *at)
{
	struct thread *t = at;
	t->failed = (int)-restore(t);
	t->tid = (int32_t)raw(SYS_gettid, 0, 0, 0);
	revived++;
	raw_wake_all(&revived);
	while (gate)
		raw_wait(&gate, 1, 0);
	context_resume(t->frame);
}

/* --- in the thread that takes orders --- */

static int make_threads(uint32_t *ret_count, struct reason *reason)
{
	for (struct thread *t = threads; t < threads + MAX_THREADS; t++) {
		if (!thread_tid(t))
			continue;
		long r = context_clone(AS_A_THREAD, t->scratch + THREAD_SCRATCH,
			revive_number((void *)t->self), t->self, t, revive);
		if (r < 0)
			return refuse(reason, "thread '%s' could not be made (errno %d)",
				t->has.name, (int)-r);
		++*ret_count;
	}
	return 0;
}

int revive_all(struct reason *reason)
{
	uint32_t count = 0;
	revived = 0;
	gate = 1;
	if (make_threads(&count, reason) < 0)
		return -1;
	for (uint32_t now; (now = revived) < count;)
		raw_wait(&revived, now, 0);
	for (const struct thread *t = threads; t < threads + MAX_THREADS; t++)
		if (thread_tid(t) && t->failed)
			return refuse(reason, "thread '%s' is not what it was (errno %d)",
				t->has.name, t->failed);
	gate = 0;
	raw_wake_all(&gate);
	return 0;
}
