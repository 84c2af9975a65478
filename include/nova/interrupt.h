/* SPDX-License-Identifier: MIT */
/**
 * @file nova/interrupt.h
 * A token that ends calls, for example from a signal handler or from another thread.
 *
 *     nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
 *     nova_interrupt_new(&stop, &error);
 *     opts.interrupt = stop;
 *     signal(SIGINT, on_signal); // it calls nova_interrupt_trigger(stop)
 *     nova_invoke(nova, "hello", "{}", &opts, &result, &error); // NOVA_ECANCELED after Ctrl-C
 *
 * Every call that may have to wait for a VM, for a guest or for its turn takes a token: in its
 * options or, if it has none, in #nova_wait_opts. Calls that work on files of this host, and calls
 * that end something within a time limit (nova_instance_stop(), nova_pool_drain(), every `_free`
 * and `_close`), take none.
 *
 * A call whose token is triggered returns #NOVA_ECANCELED as soon as possible, or its ordinary
 * result if it has that already. If nothing had been sent to the guest, the outcome is
 * #NOVA_OUTCOME_NEVER_RAN. Otherwise what runs in the guest is killed, as by nova_vm_cancel(), and
 * the outcome is #NOVA_OUTCOME_RAN, or #NOVA_OUTCOME_UNKNOWN if the agent gives no answer. Nothing
 * is left behind, and the object of the call can be used again.
 */
#ifndef NOVA_INTERRUPT_H
#define NOVA_INTERRUPT_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One token may serve any number of calls at once, in any threads. */
typedef struct nova_interrupt nova_interrupt_t;

/**
 * Makes a token that is not triggered.
 * @param ret_interrupt receives the token. Yours: free it with nova_interrupt_free()
 * @return 0, or a code:
 *  - NOVA_EIO: no descriptor is free
 *  - NOVA_ENOMEM: no memory
 * Any thread. Since 0.1.
 */
NOVA_API int nova_interrupt_new(nova_interrupt_t **ret_interrupt, nova_error_t **error);

/**
 * Ends all calls that have the token now, and each that gets it later: it stays triggered. It may
 * be triggered before the call, and more than once. In a child made by fork() it does nothing to a
 * token of the parent.
 * @param interrupt NULL does nothing
 * Any thread; async-signal-safe. Since 0.1.
 */
NOVA_API void nova_interrupt_trigger(nova_interrupt_t *interrupt);

/**
 * Frees a token. No call may have it any more, and no signal handler may trigger it.
 * @param interrupt NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_interrupt_free(nova_interrupt_t *interrupt);

/** Options of calls that may wait and have no other options. NULL: the defaults. Since 0.1. */
typedef struct nova_wait_opts {
	size_t size; /**< sizeof(nova_wait_opts) */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	void *userdata; /**< given back by nova_call_userdata(), and not used otherwise */
} nova_wait_opts;
#define NOVA_WAIT_OPTS_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_wait_opts), 0, 0                                                       \
	}

#ifdef __cplusplus
}
#endif
#endif
