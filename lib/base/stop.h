/* SPDX-License-Identifier: MIT */
/*
 * What may end a call: the token of its caller and, around it, whatever else may end the work: the
 * queue that runs it, the pool that it starts a VM for. Each of those who call one another adds its
 * own on its stack and passes the chain down; every wait looks at all of it. NULL: nothing ends the
 * call.
 *
 * To end others' waits, have a nova_interrupt_t, put it around what they do, and trigger it.
 */
#ifndef NOVA_LIB_BASE_STOP_H
#define NOVA_LIB_BASE_STOP_H

#include <poll.h>
#include <stdbool.h>

#include <nova/interrupt.h>

struct stop {
	const nova_interrupt_t *interrupt; /* NULL: none here */
	const struct stop *outer;
};
bool stop_asked(const struct stop *stop);
/* Whether there is a token in it at all. */
bool stop_may_be_asked(const struct stop *stop);
/* NOVA_ECANCELED once it is asked: for between two steps. `what` is what has not been done: "the
 * microVM was started". */
int stop_check(const struct stop *stop, const char *what, nova_error_t **error);
/* As sys_poll(), but returns as well when it is asked to stop: look with stop_asked(). For at most
 * 6 descriptors. */
int stop_poll(const struct stop *stop, struct pollfd *fds, nfds_t count, int timeout_ms);
/* The token in the options of a call that has no others. NOVA_ECANCELED if it is triggered already.
 */
int stop_import(struct stop *ret_stop, const nova_wait_opts *wait, nova_error_t **error);
/* as if it was never triggered; nobody may have it now */
void interrupt_rearm(nova_interrupt_t *interrupt);

#endif
