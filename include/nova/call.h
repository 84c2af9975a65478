/* SPDX-License-Identifier: MIT */
/**
 * @file nova/call.h
 * Asynchronous calls: hand in any number, go on with something else, collect each when it is
 * finished.
 *
 *     nova_queue_new(nova, NULL, &queue, &error);
 *     nova_queue_submit(queue, "hello", "{}", NULL, NULL, &error); // any number of them
 *     // when poll(2) says that nova_queue_fd(queue) is readable, until there is no call:
 *     nova_queue_collect(queue, 0, NULL, &call, &error);
 *     result = nova_call_take_result(call);
 *     nova_call_free(call);
 *
 * Whatever takes long can be a call of a queue: nova_queue_submit() performs nova_invoke(),
 * nova_queue_submit_vm_fork() performs nova_vm_fork(), and so on. Each takes what the function that
 * it performs takes, and gives what that gives: its code by nova_call_code(), its error by
 * nova_call_take_error(), what it has made by nova_call_take_result(), nova_call_take_vm() and
 * their like. Options, texts and data are copied; objects that are handed in need not outlive the
 * submit, but for those whose comment says "borrowed": these are borrowed until the call is
 * finished.
 *
 * A queue starts no thread before the first call is submitted, then one for each call that is
 * under way, up to `threads`; they are kept for later calls and end in nova_queue_free(). They
 * block every signal, so handlers of the host run in threads of the host.
 *
 * Which call is next: each call belongs to a group, and groups take turns. Calls of a function and
 * starts of its instances are one group, runs of code in one language are one, all that is done in
 * one VM is one, and starts and restores of VMs are one. The calls of a group are begun in the
 * order in which they were submitted. A group that has no call under way comes before one that has,
 * and an eighth of the threads is kept for such groups, so that one with many slow calls cannot
 * hold up all others. Calls finish, and are collected, in the order in which they end.
 *
 * In one VM, function calls and commands are under way together, as many as
 * nova_vm_init_opts.concurrency allows; an init, a fork and a snapshot are begun when the calls of
 * this queue before them are over, and those behind wait for them. So a queue may be given a whole
 * sequence at once: a command, a snapshot of what it has left, and the next command.
 *
 * The VMs may be of any context of this process (nova/host.h). Those that a queue makes are of the
 * context of its platform, and outside its pool.
 *
 * Threads: every call may be made from any thread at any time, except nova_queue_free(), which must
 * be the last on that queue, and nova_call_free(), the last on that call.
 */
#ifndef NOVA_CALL_H
#define NOVA_CALL_H

#include <nova/base.h>
#include <nova/function.h>
#include <nova/instance.h>
#include <nova/result.h>
#include <nova/run.h>
#include <nova/snapshot.h>
#include <nova/vm.h>

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
 * threads and frees the queue with every call that was not collected, as nova_call_free() does.
 * Calls that were collected live on. Within seconds; nothing is done in callbacks of the queue.
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
 * Hands in a call of a function, as nova_invoke(), and returns at once. What is wrong with the
 * request itself is reported here and not by the call.
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
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected; or, as nova_error_limit() tells, the
 * function's rate or the plan's MCUs are used up, for which collecting does not help
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something, such as a thread
 * Since 0.1.
 */
NOVA_API int nova_queue_submit(nova_queue_t *queue, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in code that is run once, as nova_run(), and returns at once. What is wrong with the code
 * itself is reported here as far as it is seen without running it.
 * @param queue the queue
 * @param language as of nova_run()
 * @param code as of nova_run()
 * @param opts as of nova_run(); NULL: defaults. `on_output` is called in a thread of the queue and
 * may call nova_call_cancel() for its own call
 * @param ret_call as of nova_queue_submit()
 * @return 0, and the call will be collected once; or a code, and nothing has run:
 *  - NOVA_EINVAL, NOVA_ETOOBIG: as of nova_run()
 *  - NOVA_ENOTSUP: no engine can be used, or it cannot do what is asked
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something, such as a thread
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_run(nova_queue_t *queue, const char *language, const char *code,
	const nova_run_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in the start of a VM, as nova_vm_start(): nova_call_take_vm() gives it.
 * @param queue the queue
 * @param opts as of nova_vm_start(); NULL: defaults
 * @param ret_call as of nova_queue_submit()
 * @return 0, and the call will be collected once; or a code, and nothing was done:
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something, such as a thread
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_start(nova_queue_t *queue, const nova_vm_opts *opts,
	nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in a restore, as nova_vm_restore(): nova_call_take_vm() gives the VM.
 * @param queue the queue
 * @param snapshot the snapshot; may be freed when this returns
 * @param wait as of nova_vm_restore(); NULL: defaults
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), for instance:
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_restore(nova_queue_t *queue, const nova_snapshot_t *snapshot,
	const nova_wait_opts *wait, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in giving a VM its function, as nova_vm_init().
 * @param queue the queue
 * @param vm the VM. May be freed, and then the call fails with #NOVA_ELOST; the same holds for all
 * calls below that have a VM
 * @param opts as of nova_vm_init(); required
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), for instance:
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_init(nova_queue_t *queue, nova_vm_t *vm,
	const nova_vm_init_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in a call of the function of a VM, as nova_vm_invoke(): nova_call_take_result() gives what
 * came of it. What is wrong with the request itself is reported here and not by the call.
 * @param queue the queue
 * @param vm the VM, also one that is lent by an instance
 * @param payload as of nova_vm_invoke()
 * @param opts as of nova_vm_invoke(); NULL: defaults. `on_output` is called in a thread of the
 * queue
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), or:
 *  - NOVA_EINVAL: the payload is not JSON, or the request id is none
 *  - NOVA_ETOOBIG: the payload is too long or nested too deep
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_invoke(nova_queue_t *queue, nova_vm_t *vm, const char *payload,
	const nova_vm_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in a command in a VM, as nova_vm_command(): nova_call_take_result() gives what came of it.
 * What is wrong with the request itself is reported here and not by the call.
 * @param queue the queue
 * @param vm the VM, also one that is lent by an instance
 * @param opts as of nova_vm_command(); required. `stdin_fd` is borrowed until the call is finished;
 * it is read, and `on_output` is called, in a thread of the queue
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), or:
 *  - NOVA_EINVAL: a bad option
 *  - NOVA_ETOOBIG: stdin is too long
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_command(nova_queue_t *queue, nova_vm_t *vm,
	const nova_vm_command_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in a fork of a VM, as nova_vm_fork(): nova_call_take_vm() gives the children one by one.
 * @param queue the queue
 * @param vm the VM
 * @param count 1 to 1000
 * @param wait as of nova_vm_fork(); NULL: defaults
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), or:
 *  - NOVA_EINVAL: a bad count
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_fork(nova_queue_t *queue, nova_vm_t *vm, size_t count,
	const nova_wait_opts *wait, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in a snapshot of a VM, as nova_vm_snapshot(): nova_call_take_snapshot() gives it.
 * @param queue the queue
 * @param vm the VM, also one that is lent by an instance
 * @param opts as of nova_vm_snapshot(); NULL: defaults
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), for instance:
 *  - NOVA_ELIMIT: `max_calls` are submitted and not collected
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_vm_snapshot(nova_queue_t *queue, nova_vm_t *vm,
	const nova_snapshot_opts *opts, nova_call_t **ret_call, nova_error_t **error);

/**
 * Hands in the start of an instance, as nova_instance_start(): nova_call_take_instance() gives a
 * handle.
 * @param queue the queue
 * @param opts as of nova_instance_start(); required
 * @param ret_call as of nova_queue_submit()
 * @return as nova_queue_submit_vm_start(), or:
 *  - NOVA_EINVAL: no function is given
 * Since 0.1.
 */
NOVA_API int nova_queue_submit_instance_start(nova_queue_t *queue, const nova_instance_opts *opts,
	nova_call_t **ret_call, nova_error_t **error);

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
 * Ends a call as soon as can be. One that has not begun, or waits for a VM of the pool, is finished
 * at once with #NOVA_ECANCELED and has not run. One whose function or command runs has it killed in
 * its VM, and is finished a moment later with #NOVA_ECANCELED and an outcome that tells whether it
 * ran; its answer, if that is already on the way, wins. One that makes something else is finished a
 * moment later, too, and nothing of it is left, if it was not made already. The call is collected
 * as every other.
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
 * What the function that a call performs has returned: nova_invoke(), nova_vm_fork() and so on.
 * @param call may be NULL
 * @return 0 or a code of that function, or:
 *  - NOVA_EBUSY: the call is not finished
 *  - NOVA_EINVAL: for NULL
 * Since 0.1.
 */
NOVA_API int nova_call_code(const nova_call_t *call);

/**
 * The result of a function or command, once.
 * @param call may be NULL
 * @return the result. Yours: free it with nova_result_free(). NULL if the call is not finished,
 * the result was taken, or there is none. Since 0.1.
 */
NOVA_API nova_result_t *nova_call_take_result(nova_call_t *call);

/**
 * A VM that a call has made, each once: of a fork the children, in their order.
 * @param call may be NULL
 * @return the VM. Yours: free it with nova_vm_free(). NULL if the call is not finished, all were
 * taken, or there are none. Since 0.1.
 */
NOVA_API nova_vm_t *nova_call_take_vm(nova_call_t *call);

/**
 * The snapshot that a call has made, once.
 * @param call may be NULL
 * @return the snapshot. Yours: free it with nova_snapshot_free(). NULL if the call is not finished,
 * the snapshot was taken, or there is none. Since 0.1.
 */
NOVA_API nova_snapshot_t *nova_call_take_snapshot(nova_call_t *call);

/**
 * The instance that a call has started, once.
 * @param call may be NULL
 * @return a handle. Yours: free it with nova_instance_free(). NULL if the call is not finished, the
 * handle was taken, or there is none. Since 0.1.
 */
NOVA_API nova_instance_t *nova_call_take_instance(nova_call_t *call);

/**
 * The error of a call that failed, once.
 * @param call may be NULL
 * @return the error. Yours: free it with nova_error_free(). NULL otherwise. Since 0.1.
 */
NOVA_API nova_error_t *nova_call_take_error(nova_call_t *call);

/**
 * The `userdata` of the options that a call was submitted with; of a restore and a fork that of
 * nova_wait_opts.
 * @param call may be NULL
 * @return as it was given. Since 0.1.
 */
NOVA_API void *nova_call_userdata(const nova_call_t *call);

/**
 * The id of the request of a function call: known from the submit on, and the same that logs and
 * the guest see.
 * @param call may be NULL
 * @return text that lives as long as the call; "" for every other call. Since 0.1.
 */
NOVA_API const char *nova_call_request_id(const nova_call_t *call);

/**
 * Frees a call, with its error and what it has made if that was not taken: VMs end, but a snapshot
 * stays on disk, and an instance stays until it is stopped. One that was not collected is
 * cancelled, and will not be.
 * @param call NULL does nothing
 * Must be the last call on that call. Since 0.1.
 */
NOVA_API void nova_call_free(nova_call_t *call);

#ifdef __cplusplus
}
#endif
#endif
