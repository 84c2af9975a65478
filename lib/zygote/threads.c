/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "zygote/next.h"
#include "zygote/raw.h"
#include "zygote/threads.h"

#define CLAIMED (-1)

struct thread threads[MAX_THREADS];
_Atomic uint32_t thread_events;
static __thread struct thread *mine;

struct thread *thread_mine(void)
{
	return mine;
}

int thread_tid(const struct thread *thread)
{
	int tid = thread->tid;
	return tid == CLAIMED ? 0 : tid;
}

void thread_event(void)
{
	thread_events++;
	raw_wake_all(&thread_events);
}

static struct thread *claim(void)
{
	for (struct thread *t = threads; t < threads + MAX_THREADS; t++) {
		int32_t none = 0;
		if (atomic_compare_exchange_strong(&t->tid, &none, CLAIMED))
			return t;
	}
	return NULL;
}

/* One that finds no place runs as well, but the process cannot be forked as long as it does. */
void thread_enter(void)
{
	struct thread *t = claim();
	if (!t)
		return;
	t->self = (uintptr_t)pthread_self();
	mine = t;
	t->tid = (int32_t)raw(SYS_gettid, 0, 0, 0);
	thread_event();
}

/* What follows (destructors of its data, its stack) is done by a thread that is not known, so that
 * nobody touches what it gives back; until it has ended there is no fork. */
static void leave(void *unused)
{
	(void)unused;
	struct thread *t = mine;
	mine = NULL;
	if (!t)
		return;
	t->tid = 0;
	thread_event();
}

struct start {
	void *(*function)(void *);
	void *argument;
};

static void *run(void *at)
{
	struct start start = *(struct start *)at;
	free(at);
	void *result;
	thread_enter();
	pthread_cleanup_push(leave, NULL);
	result = start.function(start.argument);
	pthread_cleanup_pop(1);
	return result;
}

typedef int create_call(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static create_call *next_create(void)
{
	static void *_Atomic known;
	return (create_call *)next_function(&known, "pthread_create", NULL);
}

INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
	void *(*function)(void *), void *argument)
{
	struct start *start = malloc(sizeof(*start));
	if (!start)
		return EAGAIN;
	*start = (struct start){ function, argument };
	int r = next_create()(thread, attributes, run, start);
	if (r != 0)
		free(start);
	return r;
}

uint64_t thread_block_signals(void)
{
	uint64_t all = ~(1ull << 32), before = 0;
	raw6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all), 0);
	return before;
}

int thread_create_hidden(void *(*function)(void *), void *argument, bool detached, void **ret)
{
	pthread_t thread;
	uint64_t before = thread_block_signals();
	int r = next_create()(&thread, NULL, function, argument);
	raw6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0);
	if (r != 0)
		return r;
	return detached ? pthread_detach(thread) : pthread_join(thread, ret);
}
