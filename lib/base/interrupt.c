/* SPDX-License-Identifier: MIT */
/* Tokens that end calls. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

struct nova_interrupt {
	int triggered; /* atomic; once set it stays so */
	int event;     /* readable from then on; shared with children by fork() */
	int process;   /* that made it */
};

int nova_interrupt_new(nova_interrupt_t **ret_interrupt, nova_error_t **error)
{
	if (ANY_NULL(error, ret_interrupt))
		return NOVA_EINVAL;
	AUTO_FREE nova_interrupt_t *interrupt = calloc(1, sizeof(*interrupt));
	if (!interrupt)
		return nova_oom(error);
	interrupt->event = sys_event();
	if (interrupt->event < 0)
		return nova_fail_os(error, interrupt->event, "event of a token");
	interrupt->process = getpid();
	*ret_interrupt = STEAL(interrupt);
	return 0;
}

/* In signal handlers too: nothing here but getpid(2), an atomic and write(2). */
void nova_interrupt_trigger(nova_interrupt_t *interrupt)
{
	if (interrupt && interrupt->process == getpid() &&
		!__atomic_exchange_n(&interrupt->triggered, 1, __ATOMIC_ACQ_REL))
		sys_event_raise(interrupt->event);
}

void nova_interrupt_free(nova_interrupt_t *interrupt)
{
	if (!interrupt)
		return;
	fd_close(interrupt->event);
	free(interrupt);
}

void interrupt_rearm(nova_interrupt_t *interrupt)
{
	__atomic_store_n(&interrupt->triggered, 0, __ATOMIC_RELEASE);
	sys_event_clear(interrupt->event);
}

/* --- what may end a call --- */

bool stop_asked(const struct stop *stop)
{
	for (; stop; stop = stop->outer)
		if (stop->interrupt &&
			__atomic_load_n(&stop->interrupt->triggered, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

int stop_check(const struct stop *stop, const char *what, nova_error_t **error)
{
	return stop_asked(stop) ? nova_fail(error, NOVA_ECANCELED,
					  "the call was interrupted before %s", what) :
				  0;
}

#define STOP_FDS   6u  /* of the caller */
#define STOP_DEPTH 4u  /* sources in a chain */
#define LOCK_MS    50  /* who waits for a lock looks at least that often */
#define LOOK_MS    20u /* without a free descriptor for an event, a sleeper looks that often */

int stop_poll(const struct stop *stop, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct pollfd all[STOP_FDS + STOP_DEPTH];
	nfds_t n = count;
	if (stop_asked(stop))
		timeout_ms = 0;
	if (count)
		memcpy(all, fds, count * sizeof(*fds));
	for (; stop && n < ARRAY_LEN(all); stop = stop->outer)
		if (stop->interrupt)
			all[n++] = (struct pollfd){ stop->interrupt->event, POLLIN, 0 };
	int r = sys_poll(all, n, timeout_ms);
	if (count)
		memcpy(fds, all, count * sizeof(*fds));
	return r;
}

static bool may_be_asked(const struct stop *stop)
{
	while (stop && !stop->interrupt)
		stop = stop->outer;
	return stop != NULL;
}

void sleeper_init(struct sleeper *s)
{
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->woken, &monotonic);
	pthread_condattr_destroy(&monotonic);
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

static void wait_for_signal(struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline)
{
	struct timespec until = { (time_t)(deadline / 1000000000u),
		(long)(deadline % 1000000000u) };
	if (deadline == NEVER)
		pthread_cond_wait(&s->woken, lock);
	else
		pthread_cond_timedwait(&s->woken, lock, &until);
}

bool sleeper_wait_readable(struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline,
	const struct stop *stop, int fd)
{
	bool polls = may_be_asked(stop) || fd >= 0;
	if (polls && s->event < 0)
		s->event = sys_event();
	if (!polls) {
		wait_for_signal(s, lock, deadline);
		return false;
	}
	struct pollfd fds[] = { { s->event, POLLIN, 0 }, { fd, POLLIN, 0 } };
	if (s->event < 0) {
		uint64_t look = deadline_in_ms(LOOK_MS);
		wait_for_signal(s, lock, look < deadline ? look : deadline);
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

int fs_lock_unless(const char *path, const struct stop *stop, uint64_t deadline, int *ret_fd)
{
	for (int pause = 1;; pause = pause < LOCK_MS / 2 ? pause * 2 : LOCK_MS) {
		int r = fs_lock(path, false, ret_fd);
		if (r != -EWOULDBLOCK || deadline_passed(deadline))
			return r;
		stop_poll(stop, NULL, 0, pause);
		if (stop_asked(stop))
			return -ECANCELED;
	}
}

int stop_import(struct stop *ret_stop, const nova_wait_opts *wait, nova_error_t **error)
{
	nova_wait_opts w;
	int code = opts_import(&w, sizeof(w), wait, "nova_wait_opts", error);
	if (code < 0)
		return code;
	*ret_stop = (struct stop){ w.interrupt, NULL };
	return stop_check(ret_stop, "it began", error);
}
