/* SPDX-License-Identifier: MIT */
/* Tokens that end calls. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nova/interrupt.h>

#include "base/error.h"
#include "base/macros.h"
#include "base/stop.h"
#include "base/sys.h"

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

#define STOP_FDS   6u /* of the caller */
#define STOP_DEPTH 4u /* sources in a chain */

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

bool stop_may_be_asked(const struct stop *stop)
{
	while (stop && !stop->interrupt)
		stop = stop->outer;
	return stop != NULL;
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
