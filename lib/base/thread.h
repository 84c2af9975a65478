/* SPDX-License-Identifier: MIT */
/* Waiting for other threads, with deadlines of clock_ns(). */
#ifndef NOVA_LIB_BASE_THREAD_H
#define NOVA_LIB_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/stop.h"

struct stop;

/* A condition variable for cond_wait_until(). */
void cond_init(pthread_cond_t *cond);
/* Until it is signalled or the deadline has passed; or for no reason. */
void cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline);

/* A thread that waits for other threads, under their lock. A condition variable, unless something
 * may end the waiting: then it is an event, which can be polled along with that. */
struct sleeper {
	pthread_cond_t woken;
	int event; /* -1: none yet */
};
void sleeper_init(struct sleeper *s);
void sleeper_done(struct sleeper *s);
void sleeper_wake(struct sleeper *s); /* with the lock */
/* Until it is woken, the deadline has passed or it is asked to stop; or for no reason. */
void sleeper_wait(
	struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline, const struct stop *stop);
/* The same, or until `fd` (-1: none) can be read from: true then. */
bool sleeper_wait_readable(struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline,
	const struct stop *stop, int fd);

#endif
