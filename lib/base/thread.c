/* SPDX-License-Identifier: MIT */
/* Waiting for other threads. */
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/stop.h"
#include "base/sys.h"
#include "base/thread.h"

void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline)
{
	const struct timespec until = ns_to_timespec(deadline);
	if (deadline == NEVER)
		pthread_cond_wait(cond, lock);
	else
		pthread_cond_timedwait(cond, lock, &until);
}

#define LOOK_MS 20u /* without a free descriptor for an event, a sleeper looks that often */

void sleeper_init(struct sleeper *s)
{
	cond_init(&s->woken);
	s->event = -1;
}

void sleeper_done(struct sleeper *s)
{
	pthread_cond_destroy(&s->woken);
	fd_close(s->event);
}

void sleeper_wake(struct sleeper *s)
{
	pthread_cond_signal(&s->woken);
	if (s->event >= 0)
		sys_event_raise(s->event);
}

bool sleeper_wait_readable(struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline,
	const struct stop *stop, int fd)
{
	bool polls = stop_may_be_asked(stop) || fd >= 0;
	if (polls && s->event < 0)
		s->event = sys_event();
	if (!polls) {
		cond_wait_until(&s->woken, lock, deadline);
		return false;
	}
	struct pollfd fds[] = { { s->event, POLLIN, 0 }, { fd, POLLIN, 0 } };
	if (s->event < 0) {
		uint64_t look = deadline_in_ms(LOOK_MS);
		cond_wait_until(&s->woken, lock, look < deadline ? look : deadline);
		return sys_poll(fds, ARRAY_LEN(fds), 0) > 0 && fds[1].revents;
	}
	pthread_mutex_unlock(lock);
	stop_poll(stop, fds, ARRAY_LEN(fds), deadline_poll_ms(deadline));
	pthread_mutex_lock(lock);
	sys_event_clear(s->event);
	return fds[1].revents;
}

void sleeper_wait(
	struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline, const struct stop *stop)
{
	sleeper_wait_readable(s, lock, deadline, stop, -1);
}
