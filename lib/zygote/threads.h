/* SPDX-License-Identifier: MIT */
/* Every thread of the program, but for the one that takes orders, is known here. */
#ifndef NOVA_LIB_ZYGOTE_THREADS_H
#define NOVA_LIB_ZYGOTE_THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_THREADS    128
#define THREAD_SCRATCH 2048

/* Of struct sched_attr, as Linux 5.3 has it. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t clamp_low, clamp_high;
};

/* What the kernel keeps of a thread and a new one does not inherit. What the frame of a signal
 * holds comes back with it: registers, mask, alternate stack. */
struct attributes {
	void *robust;
	size_t robust_len;
	long slack;
	uint64_t gs;
	long io_priority;
	uint64_t processors[16];
	struct scheduling scheduling;
	char name[16];
};

enum rest {
	REST_NONE,  /* it was in the middle of something */
	REST_LOCK,  /* it waits for a lock that someone else holds */
	REST_OWNER, /* it holds a lock that knows it by its number */
	REST_CALL,  /* it waited in a system call, and nothing is half done */
};

struct thread {
	_Atomic int32_t tid;     /* 0: free, CLAIMED: not ready yet */
	_Atomic uint32_t stands; /* the round in which it has come to a stand */
	uint32_t told;           /* the round in which it was told to */
	uintptr_t self;          /* its struct pthread, the base of its TLS */
	void *frame;             /* struct ucontext of the signal that stopped it */
	enum rest rest;
	struct attributes has;
	int failed; /* in a child: 0 or the errno of what could not be restored */
	uint8_t scratch[THREAD_SCRATCH] __attribute__((aligned(64)));
};

extern struct thread threads[MAX_THREADS];
/* Counts what happens to them, and wakes whoever waits for that. */
extern _Atomic uint32_t thread_events;

/* The calling thread; NULL: not known. */
struct thread *thread_mine(void);
/* Of the main thread, which nobody has created. */
void thread_enter(void);
void thread_event(void);
/* 0: no thread, or one that is not ready. */
int thread_tid(const struct thread *thread);

/* All but 33, which the C library uses when a program of several threads changes its user. What was
 * blocked before. */
uint64_t thread_block_signals(void);
/* A thread that is not in the list, and gets no signal of the program's: not one, from its first
 * moment on. 0, or an error number. */
int thread_create_hidden(void *(*function)(void *), void *argument, bool detached, void **ret);

#endif
