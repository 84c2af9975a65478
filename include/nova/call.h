/* SPDX-License-Identifier: MIT */
/**
 * @file nova/call.h
 * Asynchronous calls: hand in any number, go on with something else, collect each when it is
 * finished.
 *
 *     nova_queue_new(nova, NULL, &queue, NULL);
 *     for (i = 0; i < 100; i++)
 *             nova_queue_submit(queue, "hello", "{}", &opts, NULL, NULL);
 *     ... poll(2) on nova_queue_fd(queue) among whatever else the program waits for ...
 *     while (nova_queue_collect(queue, 0, NULL, &call, NULL) == 0 && call) {
 *             result = nova_call_take_result(call);
 *             ...
 *             nova_call_free(call);
 *     }
 *
 * A queue starts no thread before the first nova_queue_submit(), then one for each call that is
 * under way, up to `threads`; they are kept for later calls and end in nova_queue_free(). They
 * block every signal, so handlers of the host run in threads of the host.
 *
 * Which call is next: functions take turns, and the calls of one function keep their order. A
 * function that has no call under way comes before one that has, and an eighth of the threads is
 * kept for such functions, so that one with many slow calls cannot hold up all others. Calls
 * finish, and are collected, in the order in which their functions end.
 *
 * Threads: every call may be made from any thread at any time, except nova_queue_free(), which must
 * be the last on that queue, and nova_call_free(), the last on that call.
 */
#ifndef NOVA_CALL_H
#define NOVA_CALL_H

#include <nova/base.h>
#include <nova/function.h>
#include <nova/result.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova_queue nova_queue_t;
typedef struct nova_call nova_call_t;

/** Options of nova_queue_new(). Since 0.1. */
typedef struct nova_queue_opts {
	size_t size;      /**< sizeof(nova_queue_opts) */
	uint32_t threads; /**< calls that may be under way at once, at most 4096; 0: 64 */
	/** calls that are submitted and not collected, at most 10,000,000; 0: 10000 */
	uint32_t max_calls;
} nova_queue_opts;
#define NOVA_QUEUE_OPTS_INIT                                                                       \
	{                                                                                          \
		sizeof(nova_queue_opts), 0, 0                                                      \
	}

/**
 * Makes an empty queue. It must be freed before its platform is closed.
 * @param opts NULL: defaults
 * @return 0; NOVA_EINVAL; NOVA_EABI; NOVA_EBUSY in a fork of the process that opened the platform;
 * NOVA_EIO; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_queue_new(
	nova_t *nova, const nova_queue_opts *opts, nova_queue_t **ret_queue, nova_error_t **error);

/**
 * Cancels every call that is not finished, waits until nothing of them is under way, ends the
 * threads and frees the queue together with every call that was not collected. Calls that were
 * collected live on. Starts of VMs and functions that are under way are ended, so it returns within
 * seconds. NULL is accepted. Since 0.1.
 */
NOVA_API void nova_queue_free(nova_queue_t *queue);

/** A descriptor that polls readable (POLLIN) as long as nova_queue_collect() has a call to give.
 * Owned by the queue: do not read from it and do not close it. Since 0.1. */
NOVA_API int nova_queue_fd(const nova_queue_t *queue);

/**
 * Hands in a call. It never waits for a VM; what is wrong with the request itself is reported here
 * and not by the call.
 * @param opts     as of nova_invoke(); NULL: defaults. on_output is called in a thread of the
 * queue; it may call nova_call_cancel() for its own call
 * @param ret_call receives the call; may be NULL. It belongs to the queue until
 * nova_queue_collect() gives it out; until then it is good for everything that is said of a call
 * below
 * @return 0, and the call will be collected once; NOVA_ELIMIT if `max_calls` are submitted and not
 * collected; NOVA_EINVAL (payload is not JSON, options), NOVA_ETOOBIG, NOVA_ENOTFOUND (no such
 * function), NOVA_ECORRUPT, NOVA_EBUSY in a fork, NOVA_EIO (no thread can be started), NOVA_ENOMEM.
 * Since 0.1.
 */
NOVA_API int nova_queue_submit(nova_queue_t *queue, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Gives out a call that is finished, each one once, whether it succeeded, failed or was cancelled.
 * @param timeout_ms how long to wait for one; 0: not at all; UINT32_MAX: for ever
 * @param wait       a token that ends the waiting, but no call; NULL: none
 * @param ret_call   yours, to be freed with nova_call_free(); NULL: none is finished
 * @return 0; NOVA_EINVAL; NOVA_ECANCELED by the token; NOVA_EBUSY in a fork. Since 0.1.
 */
NOVA_API int nova_queue_collect(nova_queue_t *queue, uint32_t timeout_ms,
	const nova_wait_opts *wait, nova_call_t **ret_call, nova_error_t **error);

/** What nova_queue_count() tells. Since 0.1. */
enum nova_queue_counter {
	NOVA_QUEUE_WAITING = 0, /**< calls that no thread has begun */
	/** calls that a thread is busy with: one for a moment longer that was cancelled while it
	   waited for a VM */
	NOVA_QUEUE_UNDER_WAY = 1,
	NOVA_QUEUE_FINISHED = 2, /**< calls that can be collected */
	NOVA_QUEUE_THREADS = 3,  /**< threads that were started */
};

/** One number of now; 0 for an unknown one. Since 0.1. */
NOVA_API uint64_t nova_queue_count(nova_queue_t *queue, int counter);

/**
 * Ends a call as soon as can be. One that has not begun, or waits for a VM, is finished at once
 * with #NOVA_ECANCELED and has not run. One whose function is running has it killed in its VM, and
 * the call is finished a moment later with #NOVA_ECANCELED and an outcome that tells whether it
 * ran; its answer, if that is already on the way, wins. The call is collected as every other.
 * @return 0; NOVA_EBUSY if the call was finished before: nothing has changed. NOVA_EINVAL for NULL.
 * Since 0.1.
 */
NOVA_API int nova_call_cancel(nova_call_t *call);

/** 1 if the call is finished, 0 if not. Since 0.1. */
NOVA_API int nova_call_is_finished(const nova_call_t *call);

/** What nova_invoke() would have returned: 0 or a code; NOVA_EBUSY as long as the call is not
 * finished. Since 0.1. */
NOVA_API int nova_call_code(const nova_call_t *call);

/** The result, once: from then on it is yours. NULL as long as the call is not finished, and where
 * nova_invoke() would have given none. Since 0.1. */
NOVA_API nova_result_t *nova_call_take_result(nova_call_t *call);

/** The error of a call that failed, once: from then on it is yours. NULL otherwise. Since 0.1. */
NOVA_API nova_error_t *nova_call_take_error(nova_call_t *call);

/** `userdata` of the options that nova_queue_submit() was given. Since 0.1. */
NOVA_API void *nova_call_userdata(const nova_call_t *call);

/** The id of its request: known from nova_queue_submit() on, and the same that logs and the guest
 * see. Lives as long as the call. Since 0.1. */
NOVA_API const char *nova_call_request_id(const nova_call_t *call);

/** Frees a call, with its result and error if they were not taken. One that was not collected is
 * cancelled, and will not be. NULL is accepted. Since 0.1. */
NOVA_API void nova_call_free(nova_call_t *call);

#ifdef __cplusplus
}
#endif
#endif
