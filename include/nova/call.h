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
 * Makes an empty queue. Free it before its platform is closed.
 * @param nova the platform
 * @param opts NULL: defaults
 * @param ret_queue receives the queue. Yours: free it with nova_queue_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: `threads` or `max_calls` is too large
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_queue_new(
	nova_t *nova, const nova_queue_opts *opts, nova_queue_t **ret_queue, nova_error_t **error);

/**
 * Cancels every call that is not finished, waits until nothing of them is under way, ends the
 * threads and frees the queue with every call that was not collected. Calls that were collected
 * live on. It returns within seconds.
 * @param queue NULL does nothing
 * Must be the last call on the queue. Since 0.1.
 */
NOVA_API void nova_queue_free(nova_queue_t *queue);

/**
 * A descriptor that polls readable (POLLIN) as long as nova_queue_collect() has a call to give.
 * Do not read from it and do not close it.
 * @param queue the queue
 * @return the descriptor, which lives as long as the queue, or a code:
 *  - NOVA_EINVAL: for NULL
 * Since 0.1.
 */
NOVA_API int nova_queue_fd(const nova_queue_t *queue);

/**
 * Hands in a call and returns at once. What is wrong with the request itself is reported here and
 * not by the call.
 * @param queue the queue
 * @param function name; may be NULL if the options give an instance
 * @param payload JSON text of at most 6 MiB, nested at most 512 deep; NULL: "{}"
 * @param opts as of nova_invoke(); NULL: defaults. `on_output` is called in a thread of the queue
 * and may call nova_call_cancel() for its own call
 * @param ret_call receives the call, which belongs to the queue until nova_queue_collect() gives
 * it out, and may be used until then. May be NULL
 * @return 0, and the call will be collected once; or a code, and nothing has run:
 *  - NOVA_EINVAL: the payload is not JSON, or the options contradict each other
 *  - NOVA_ETOOBIG: the payload is too long or nested too deep
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EEXIST: the name for the new snapshot is taken
 *  - NOVA_ENOTSUP: the engine takes no snapshots
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something, such as a thread
 * Since 0.1.
 */
NOVA_API int nova_queue_submit(nova_queue_t *queue, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Gives out a call that is finished, each one once, whether it succeeded, failed or was
 * cancelled.
 * @param queue the queue
 * @param timeout_ms milliseconds to wait for one; 0: not at all; UINT32_MAX: for ever
 * @param wait what may end the waiting, but no call; NULL: nothing
 * @param ret_call receives the call. Yours: free it with nova_call_free(). NULL: none is finished
 * @return 0, or a code:
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
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

/**
 * One number about a queue, as of now.
 * @param queue the queue
 * @param counter one of #nova_queue_counter
 * @return the number; 0 for an unknown one. Since 0.1.
 */
NOVA_API uint64_t nova_queue_count(nova_queue_t *queue, int counter);

/**
 * Ends a call as soon as can be. One that has not begun, or waits for a VM, is finished at once
 * with #NOVA_ECANCELED and has not run. One whose function runs has it killed in its VM, and is
 * finished a moment later with #NOVA_ECANCELED and an outcome that tells whether it ran; its
 * answer, if that is already on the way, wins. The call is collected as every other.
 * @param call the call
 * @return 0, or a code:
 *  - NOVA_EBUSY: the call was finished before, and is as it was; also after fork()
 *  - NOVA_EINVAL: for NULL
 * Since 0.1.
 */
NOVA_API int nova_call_cancel(nova_call_t *call);

/**
 * Whether a call is finished.
 * @param call may be NULL
 * @return 1 or 0. Since 0.1.
 */
NOVA_API int nova_call_is_finished(const nova_call_t *call);

/**
 * What nova_invoke() would have returned.
 * @param call may be NULL
 * @return 0 or a code of nova_invoke(), or:
 *  - NOVA_EBUSY: the call is not finished
 *  - NOVA_EINVAL: for NULL
 * Since 0.1.
 */
NOVA_API int nova_call_code(const nova_call_t *call);

/**
 * The result of a call, once.
 * @param call may be NULL
 * @return the result. Yours: free it with nova_result_free(). NULL if the call is not finished,
 * the result was taken, or nova_invoke() would have given none. Since 0.1.
 */
NOVA_API nova_result_t *nova_call_take_result(nova_call_t *call);

/**
 * The error of a call that failed, once.
 * @param call may be NULL
 * @return the error. Yours: free it with nova_error_free(). NULL otherwise. Since 0.1.
 */
NOVA_API nova_error_t *nova_call_take_error(nova_call_t *call);

/**
 * The `userdata` of the options that a call was submitted with.
 * @param call may be NULL
 * @return as it was given. Since 0.1.
 */
NOVA_API void *nova_call_userdata(const nova_call_t *call);

/**
 * The id of the request of a call: known from nova_queue_submit() on, and the same that logs and
 * the guest see.
 * @param call may be NULL
 * @return text that lives as long as the call. Since 0.1.
 */
NOVA_API const char *nova_call_request_id(const nova_call_t *call);

/**
 * Frees a call, with its result and error if they were not taken. One that was not collected is
 * cancelled, and will not be.
 * @param call NULL does nothing
 * Must be the last call on that call. Since 0.1.
 */
NOVA_API void nova_call_free(nova_call_t *call);

#ifdef __cplusplus
}
#endif
#endif
