/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <threads.h>

#include "zygote/locks.h"
#include "zygote/next.h"

static __thread uint32_t held;

uint32_t locks_held(void)
{
	return held;
}

/* The C library's types: 1 is recursive, 2 checks for errors, and the bits are robust, inherits
 * and protects. What it has beyond (adaptive, shared) knows no owner. */
static bool by_number(const pthread_mutex_t *mutex)
{
	int kind = mutex->__data.__kind;
	return (kind & 3) == PTHREAD_MUTEX_RECURSIVE || (kind & 3) == PTHREAD_MUTEX_ERRORCHECK ||
	       (kind & (16 | 32 | 64));
}

static int locked(const pthread_mutex_t *mutex, int r)
{
	if ((r == 0 || r == EOWNERDEAD) && by_number(mutex))
		held++;
	return r;
}

typedef int mutex_call(pthread_mutex_t *);
typedef int mutex_until(pthread_mutex_t *, const struct timespec *);
typedef int mutex_clock(pthread_mutex_t *, clockid_t, const struct timespec *);

INTERPOSED int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static void *_Atomic known;
	mutex_call *next = (mutex_call *)next_function(&known, "pthread_mutex_lock", NULL);
	return locked(mutex, next(mutex));
}

INTERPOSED int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	static void *_Atomic known;
	mutex_call *next = (mutex_call *)next_function(&known, "pthread_mutex_trylock", NULL);
	return locked(mutex, next(mutex));
}

INTERPOSED int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
	static void *_Atomic known;
	mutex_until *next = (mutex_until *)next_function(&known, "pthread_mutex_timedlock", NULL);
	return locked(mutex, next(mutex, until));
}

INTERPOSED int pthread_mutex_clocklock(
	pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	static void *_Atomic known;
	mutex_clock *next = (mutex_clock *)next_function(&known, "pthread_mutex_clocklock", NULL);
	return locked(mutex, next(mutex, clock, until));
}

INTERPOSED int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	static void *_Atomic known;
	mutex_call *next = (mutex_call *)next_function(&known, "pthread_mutex_unlock", NULL);
	bool counts = by_number(mutex); /* afterwards it may be gone */
	int r = next(mutex);
	if (r == 0 && counts)
		held--;
	return r;
}

/* --- whoever waits for a condition does not hold the mutex --- */

typedef int cond_wait(pthread_cond_t *, pthread_mutex_t *);
typedef int cond_until(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
typedef int cond_clock(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);

/* Before it is given up, it must not be counted any more: the wait is one call, in which a fork
 * may come. What is not at rest is not forked, so too early does no harm. */
static uint32_t give_up(const pthread_mutex_t *mutex)
{
	uint32_t count = by_number(mutex) ? 1 : 0;
	held -= count;
	return count;
}

INTERPOSED int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	static void *_Atomic known;
	cond_wait *next = (cond_wait *)next_function(&known, "pthread_cond_wait", "GLIBC_2.3.2");
	uint32_t count = give_up(mutex);
	int r = next(cond, mutex);
	held += count;
	return r;
}

INTERPOSED int pthread_cond_timedwait(
	pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	static void *_Atomic known;
	cond_until *next =
		(cond_until *)next_function(&known, "pthread_cond_timedwait", "GLIBC_2.3.2");
	uint32_t count = give_up(mutex);
	int r = next(cond, mutex, until);
	held += count;
	return r;
}

INTERPOSED int pthread_cond_clockwait(
	pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	static void *_Atomic known;
	cond_clock *next = (cond_clock *)next_function(&known, "pthread_cond_clockwait", NULL);
	uint32_t count = give_up(mutex);
	int r = next(cond, mutex, clock, until);
	held += count;
	return r;
}

/* --- read-write locks: a writer is known by its number, a reader is not --- */

typedef int rwlock_call(pthread_rwlock_t *);
typedef int rwlock_until(pthread_rwlock_t *, const struct timespec *);
typedef int rwlock_clock(pthread_rwlock_t *, clockid_t, const struct timespec *);

static int locked_for_writing(int r)
{
	held += r == 0;
	return r;
}

INTERPOSED int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	static void *_Atomic known;
	rwlock_call *next = (rwlock_call *)next_function(&known, "pthread_rwlock_wrlock", NULL);
	return locked_for_writing(next(lock));
}

INTERPOSED int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	static void *_Atomic known;
	rwlock_call *next = (rwlock_call *)next_function(&known, "pthread_rwlock_trywrlock", NULL);
	return locked_for_writing(next(lock));
}

INTERPOSED int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	static void *_Atomic known;
	rwlock_until *next =
		(rwlock_until *)next_function(&known, "pthread_rwlock_timedwrlock", NULL);
	return locked_for_writing(next(lock, until));
}

INTERPOSED int pthread_rwlock_clockwrlock(
	pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
	static void *_Atomic known;
	rwlock_clock *next =
		(rwlock_clock *)next_function(&known, "pthread_rwlock_clockwrlock", NULL);
	return locked_for_writing(next(lock, clock, until));
}

INTERPOSED int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	static void *_Atomic known;
	rwlock_call *next = (rwlock_call *)next_function(&known, "pthread_rwlock_unlock", NULL);
	bool writer = lock->__data.__cur_writer != 0; /* others cannot hold it meanwhile */
	int r = next(lock);
	held -= r == 0 && writer;
	return r;
}

/* --- those of C11, which are the same inside --- */

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "a mtx_t is a pthread_mutex_t");

typedef int mtx_call(mtx_t *);
typedef int mtx_until(mtx_t *, const struct timespec *);

static int mtx_locked(mtx_t *mutex, int r)
{
	held += r == thrd_success && by_number((const pthread_mutex_t *)mutex);
	return r;
}

INTERPOSED int mtx_lock(mtx_t *mutex)
{
	static void *_Atomic known;
	mtx_call *next = (mtx_call *)next_function(&known, "mtx_lock", NULL);
	return mtx_locked(mutex, next(mutex));
}

INTERPOSED int mtx_trylock(mtx_t *mutex)
{
	static void *_Atomic known;
	mtx_call *next = (mtx_call *)next_function(&known, "mtx_trylock", NULL);
	return mtx_locked(mutex, next(mutex));
}

INTERPOSED int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict until)
{
	static void *_Atomic known;
	mtx_until *next = (mtx_until *)next_function(&known, "mtx_timedlock", NULL);
	return mtx_locked(mutex, next(mutex, until));
}

INTERPOSED int mtx_unlock(mtx_t *mutex)
{
	static void *_Atomic known;
	mtx_call *next = (mtx_call *)next_function(&known, "mtx_unlock", NULL);
	bool counts = by_number((const pthread_mutex_t *)mutex);
	int r = next(mutex);
	held -= r == thrd_success && counts;
	return r;
}
