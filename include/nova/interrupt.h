/* SPDX-License-Identifier: MIT */
/**
 * @file nova/interrupt.h
 * A token that ends calls: from a signal handler, a time limit, or the thread that gave up waiting.
 *
 *     static nova_interrupt_t *stop;
 *     static void on_sigint(int number) { nova_interrupt_trigger(stop); }
 *
 *     nova_interrupt_new(&stop, NULL);
 *     opts.interrupt = stop;
 *     nova_invoke(nova, "hello", "{}", &opts, &result, &error); // NOVA_ECANCELED after Ctrl-C
 *
 * The rule: every call that may have to wait for a VM, for its guest or for its turn takes a token,
 * in its options or, if it has none of its own, in #nova_wait_opts. Calls that work on files of
 * this host (such as nova_function_register()) or that end something within a time of their own
 * (nova_instance_stop(), nova_pool_drain(), every `_free` and `_close`) take none.
 *
 * A call whose token is triggered returns #NOVA_ECANCELED as soon as can be, or its ordinary result
 * if it had one already. Its outcome is true: #NOVA_OUTCOME_NEVER_RAN if nothing had been sent to
 * the guest; otherwise what runs in the guest is killed, as by nova_vm_cancel(), and the outcome is
 * #NOVA_OUTCOME_RAN, or #NOVA_OUTCOME_UNKNOWN where the agent gives no answer. Nothing is left
 * behind, and what the call was made on can be used again.
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
 * come before the call, and more than once. In a child made by fork() it does nothing to a token
 * of the parent.
 * @param interrupt NULL does nothing
 * Any thread; async-signal-safe. Since 0.1.
 */
NOVA_API void nova_interrupt_trigger(nova_interrupt_t *interrupt);

/**
 * Frees a token that no call has any more, and that no handler can trigger.
 * @param interrupt NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_interrupt_free(nova_interrupt_t *interrupt);

/** Options of calls that may wait and have no others. NULL stands for the defaults. Since 0.1. */
typedef struct nova_wait_opts {
	size_t size; /**< sizeof(nova_wait_opts) */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_wait_opts;
#define NOVA_WAIT_OPTS_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_wait_opts), 0                                                          \
	}

#ifdef __cplusplus
}
#endif
#endif
