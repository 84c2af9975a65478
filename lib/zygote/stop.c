/* SPDX-License-Identifier: MIT */
/*
 * A signal brings each thread into a handler, where it waits. The kernel's frame on its stack holds
 * all that a thread needs to go on, in this process or, later, in a child.
 *
 * To stand is not enough: a thread may have been interrupted anywhere. In a child threads have
 * other numbers, so none may be on its way to write its number somewhere, or hold a lock that has
 * it. Hence each must have been waiting in a system call; the frame shows that. If one has not, all
 * go on, and a little later it is tried again.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "zygote/locks.h"
#include "zygote/proc.h"
#include "zygote/raw.h"
#include "zygote/stop.h"
#include "zygote/threads.h"

/* The C library keeps it for pthread_cancel() and lets nobody block it, while programs (QEMU) block
 * all others. The C library's own handler is set by the first call of pthread_cancel(). */
#define STOP_SIGNAL 32
#define ATTEMPT_NS  (50 * 1000000ull) /* for all to come; whoever does not was never waiting */
/* Before the next attempt. Each disturbs the threads, so on a busy host they need longer to come to
 * rest again. */
#define FIRST_NAP_NS   (200 * 1000ull)
#define LONGEST_NAP_NS (10 * 1000000ull)
#define PATIENCE_MS    200
#define PAGE_MASK      4095u

/* The kernel's own form: the C library's sigaction() refuses this signal. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
#define KERNEL_SA_RESTORER 0x04000000ul

void context_restorer(void);

static _Atomic uint32_t gate; /* the round that stands; 0: none */
static uint32_t last_round;

/* --- in a thread that is stopped --- */

/* Not across the edge of a page, beyond which there may be nothing. */
static bool is_syscall(const uint8_t *code)
{
	return ((uintptr_t)code & PAGE_MASK) != PAGE_MASK && code[0] == 0x0f && code[1] == 0x05;
}

static enum rest rest_in_futex(const greg_t *r)
{
	long operation = r[REG_RSI] & FUTEX_CMD_MASK;
	if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
		return REST_NONE;
	/* The way in which the C library waits for a mutex, and for nothing else. */
	if (r[REG_RSI] == FUTEX_WAIT_PRIVATE && r[REG_RDX] == 2)
		return REST_LOCK;
	return REST_CALL;
}

/* Of calls that are made anew after a signal: the kernel has set the thread back to the call. */
static enum rest rest_before_call(const greg_t *r)
{
	switch (r[REG_RAX]) {
	case SYS_futex:
		return rest_in_futex(r);
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
		return REST_CALL;
	}
	return REST_NONE;
}

static enum rest rest_of(const greg_t *r)
{
	const uint8_t *at = (const uint8_t *)r[REG_RIP];
	enum rest rest = REST_NONE;
	if (r[REG_RAX] == -EINTR && ((uintptr_t)at & PAGE_MASK) >= 2 && is_syscall(at - 2))
		rest = REST_CALL;
	else if (r[REG_RAX] >= 0 && is_syscall(at))
		rest = rest_before_call(r);
	return rest == REST_CALL && locks_held() ? REST_OWNER : rest;
}

static void note_attributes(struct attributes *has)
{
	raw(SYS_get_robust_list, 0, (long)&has->robust, (long)&has->robust_len);
	has->slack = raw_prctl(PR_GET_TIMERSLACK, 0, 0);
	raw_prctl(PR_GET_NAME, (long)has->name, 0);
	raw(SYS_arch_prctl, ARCH_GET_GS, (long)&has->gs, 0);
	has->io_priority = raw(SYS_ioprio_get, 1 /* of a thread */, 0, 0);
	raw(SYS_sched_getaffinity, 0, sizeof(has->processors), (long)has->processors);
	raw6(SYS_sched_getattr, 0, (long)&has->scheduling, sizeof(has->scheduling), 0, 0);
}

/* It never returns into the interrupted code of a child: there the frame is all that is used. */
static void stand(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	struct thread *t = thread_mine();
	uint32_t round = gate;
	if (!t || !round) /* a signal that came too late */
		return;
	t->frame = context;
	t->rest = rest_of(((const ucontext_t *)context)->uc_mcontext.gregs);
	note_attributes(&t->has);
	t->stands = round;
	thread_event();
	while (gate == round)
		raw_wait(&gate, round, 0);
}

/* --- in the thread that takes orders --- */

int stop_begin(struct reason *reason)
{
	struct kernel_action action = { stand, SA_SIGINFO | SA_RESTART | KERNEL_SA_RESTORER,
		context_restorer, ~0ull };
	long r = raw6(SYS_rt_sigaction, STOP_SIGNAL, (long)&action, 0, sizeof(action.mask), 0);
	return r < 0 ? refuse(reason, "the signal for stopping cannot be had (errno %d)", (int)-r) :
		       0;
}

static int check_signal(struct reason *reason)
{
	struct kernel_action action = { 0 };
	raw6(SYS_rt_sigaction, STOP_SIGNAL, 0, (long)&action, sizeof(action.mask), 0);
	if (action.handler == stand)
		return 0;
	return refuse(
		reason, "the program has taken signal %d, as pthread_cancel() does", STOP_SIGNAL);
}

/* Tells those that do not know yet; how many do not stand. The first of them is told. */
static uint32_t tell_all(uint32_t round, int *ret_late)
{
	uint32_t missing = 0;
	int pid = (int)raw(SYS_getpid, 0, 0, 0);
	for (struct thread *t = threads; t < threads + MAX_THREADS; t++) {
		int tid = thread_tid(t);
		if (!tid || t->stands == round)
			continue;
		if (missing++ == 0)
			*ret_late = tid;
		if (t->told != round)
			raw(SYS_tgkill, pid, tid, STOP_SIGNAL);
		t->told = round;
	}
	return missing;
}

static int await_all(uint32_t round, struct reason *reason)
{
	uint64_t end = raw_now_ns() + ATTEMPT_NS;
	for (;;) {
		uint32_t events = thread_events;
		int late = 0;
		if (tell_all(round, &late) == 0)
			return 0;
		uint64_t now = raw_now_ns();
		if (now >= end)
			return refuse(reason, "thread %d does not stop", late);
		raw_wait(&thread_events, events, end - now);
	}
}

static bool is_known(int tid)
{
	for (const struct thread *t = threads; t < threads + MAX_THREADS; t++)
		if (thread_tid(t) == tid)
			return true;
	return tid == (int)raw(SYS_gettid, 0, 0, 0);
}

/* A thread that begins or ends is for a moment not known, too. */
static int check_known(struct reason *reason)
{
	struct proc_list list;
	if (!proc_list_open(&list, "/proc/self/task"))
		return refuse(reason, "/proc/self/task cannot be read");
	int tid, r = 0;
	while (r == 0 && proc_list_next(&list, &tid))
		if (!is_known(tid))
			r = refuse(reason, "thread %d is not known", tid);
	proc_list_close(&list);
	return r;
}

static int check_rest(struct stop_result *result, struct reason *reason)
{
	static const char *const why[] = {
		[REST_NONE] = "is in the middle of something",
		[REST_LOCK] = "waits for a lock",
		[REST_OWNER] = "holds a lock that knows it by its number",
	};
	result->threads = 0;
	for (const struct thread *t = threads; t < threads + MAX_THREADS; t++) {
		int tid = thread_tid(t);
		if (tid && t->rest != REST_CALL)
			return refuse(reason, "thread %d (%s) %s", tid, t->has.name, why[t->rest]);
		result->threads += tid != 0;
	}
	return 0;
}

static int attempt(struct stop_result *result, struct reason *reason)
{
	uint32_t round = ++last_round ? last_round : ++last_round;
	gate = round;
	if (await_all(round, reason) == 0 && check_known(reason) == 0 &&
		check_rest(result, reason) == 0)
		return 0;
	stop_release();
	return -1;
}

int stop_all(uint32_t patience_ms, struct stop_result *ret, struct reason *reason)
{
	uint64_t patience_ns = (patience_ms ? patience_ms : PATIENCE_MS) * 1000000ull;
	uint64_t end = raw_now_ns() + patience_ns;
	*ret = (struct stop_result){ 0 };
	if (check_signal(reason) < 0)
		return -1;
	for (uint64_t nap = FIRST_NAP_NS;; nap = nap < LONGEST_NAP_NS ? 2 * nap : nap) {
		ret->attempts++;
		if (attempt(ret, reason) == 0)
			return 0;
		if (raw_now_ns() + nap >= end)
			return -1;
		raw_sleep_ns(nap);
	}
}

void stop_release(void)
{
	gate = 0;
	raw_wake_all(&gate);
}
