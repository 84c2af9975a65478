/* SPDX-License-Identifier: MIT */
/* Tokens that end calls. */
#include <unistd.h>

#include "base/base.h"

struct nova_interrupt {
	int triggered; /* atomic; once set it stays so */
	int event;     /* readable from then on; shared with children by fork() */
	int process;   /* that made it */
};

int nova_interrupt_new(nova_interrupt_t **ret_interrupt, nova_error_t **error)
{
	if (!ret_interrupt)
		return nova_fail(error, NOVA_EINVAL, "nova_interrupt_new: ret_interrupt is NULL");
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
	if (interrupt && interrupt->process == getpid() && !__atomic_exchange_n(&interrupt->triggered, 1, __ATOMIC_ACQ_REL))
		sys_event_raise(interrupt->event);
}

void nova_interrupt_free(nova_interrupt_t *interrupt)
{
	if (!interrupt)
		return;
	fd_close(interrupt->event);
	free(interrupt);
}

/* --- what may end a call ---------------------------------------------------------------------------- */

bool stop_asked(const struct stop *stop)
{
	for (; stop; stop = stop->outer)
		if (stop->interrupt && __atomic_load_n(&stop->interrupt->triggered, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

int stop_check(const struct stop *stop, const char *what, nova_error_t **error)
{
	return stop_asked(stop) ? nova_fail(error, NOVA_ECANCELED, "the call was interrupted before %s", what) : 0;
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
