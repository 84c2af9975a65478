/* SPDX-License-Identifier: MIT */
/**
 * @file nova/job.h
 * Calls that outlive who has asked for them: they wait in Redis (settings redis.*) until a host
 * that uses the same server has time.
 *
 *     nova_job_t *job;
 *     nova_job_submit(nova, "resize", "{\"image\":7}", NULL, &job, &error); // anywhere
 *     puts(nova_job_id(job));
 *     nova_job_free(job);
 *     while (nova_job_perform(nova, 1000, NULL, &job, &error) == 0) // wherever there is time
 *             nova_job_free(job); // NULL: there was none within a second
 *
 * A job is performed at least once. Whoever takes it has it for as long as its lease lasts; one
 * that has not ended by then is given to the next who asks, as whoever had it has died. An attempt
 * that fails is followed by another one, up to `attempts`; what fails then, or could only fail
 * again, is dead: it is kept for a while, and its id stands in the stream nova:jobs:dead. What a
 * host has not even begun, as its store is away, its disk full or its VMs are all in use, is no
 * attempt: the job waits, up to a minute, and the host takes none for up to 10 s. Nor is it one if
 * the rate of the function is used up: the job waits, and the host takes others. Two
 * submits with the same function and `key` are one job. Jobs are as safe as what the server keeps.
 *
 * For calls of this process alone there is nova/call.h, which needs no server. Any thread.
 */
#ifndef NOVA_JOB_H
#define NOVA_JOB_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A job as it was at one moment. Immutable. */
typedef struct nova_job nova_job_t;

/** How far a job is. Since 0.1. */
enum nova_job_state {
	NOVA_JOB_WAITING = 0, /**< nobody has it; if it has an error, that of its last attempt */
	NOVA_JOB_RUNNING = 1, /**< somebody has taken it */
	NOVA_JOB_DONE = 2,    /**< its function has answered */
	NOVA_JOB_DEAD = 3,    /**< it has failed for good */
};

/** Options of nova_job_submit(). Since 0.1. */
typedef struct nova_job_opts {
	size_t size; /**< sizeof(nova_job_opts) */
	/** 1 to 200 bytes of UTF-8: a job of this function and key is submitted once, as long as it
	 * is kept; NULL: each is another one */
	const char *key;
	uint32_t attempts; /**< at most 100; 0: 3 */
	/** for how long it belongs to whoever has taken it: 1000 to 86400000; 0: the time limit of
	 * the function and five minutes */
	uint32_t lease_ms;
	uint32_t keep_s; /**< for how long it is kept once it has ended, up to 2592000; 0: 86400 */
	uint32_t reserved; /**< 0 */
	/** as `key` of nova_invoke_opts: to whom its usage belongs; NULL: nobody */
	const char *usage_key;
	/** as nova_invoke_opts; NULL: nothing */
	const char *client_context;
	/** whose the job is, 1 to 200 bytes of UTF-8: told by nova_job_to_json(), and jobs of
	 * others with the same `key` are other jobs; NULL: nobody's */
	const char *owner;
	/** "KEY=VALUE": a label that the function must have whenever it is performed, else the job
	 * is dead; with an empty VALUE: none of that key. For who gives functions owners by labels:
	 * one that was deleted, and registered anew by somebody else, is not called. NULL: whatever
	 * has the name then */
	const char *if_label;
} nova_job_opts;
#define NOVA_JOB_OPTS_INIT                                                                         \
	{                                                                                          \
		sizeof(nova_job_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0                                   \
	}

/**
 * Hands in a call of a function.
 * @param nova the platform
 * @param function name, which may have a version or an alias: as of nova_invoke()
 * @param payload JSON text of at most 6 MiB; NULL: "{}"
 * @param opts NULL: defaults
 * @param ret_job receives the job: as it was handed in, or, if there is one of that key, as it is.
 * Yours: free it with nova_job_free(). May be NULL
 * @return 0, and the server has it; or a code, and it will not be performed, unless it is NOVA_EIO:
 *  - NOVA_EINVAL: a bad option, or the payload is not JSON
 *  - NOVA_ETOOBIG: the payload is too long
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EEXIST: there is a job of that function, owner and key with another payload
 *  - NOVA_ELIMIT: 100000 jobs wait or are under way
 *  - NOVA_EIO: the server cannot be reached, or refuses. If it was lost in between nobody knows:
 *    submit again, with a key
 *  - NOVA_EPERM: the server refuses the password or the database
 *  - NOVA_ENOTSUP: no Redis is set
 *  - NOVA_ECORRUPT: what the server answers is no job
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_job_submit(nova_t *nova, const char *function, const char *payload,
	const nova_job_opts *opts, nova_job_t **ret_job, nova_error_t **error);

/**
 * Takes a job and performs it, as nova_invoke(): one that somebody has had for longer than its
 * lease, or the one that waits for the longest time. What comes of it is kept with the job. The id
 * of the request is that of the job.
 * @param nova the platform
 * @param wait_ms milliseconds to wait for one; 0: not at all
 * @param wait what ends the waiting and the call, after which the job waits again; NULL: nothing
 * @param ret_job receives the job as it has come out: #NOVA_JOB_DONE, #NOVA_JOB_WAITING for the
 * next attempt, #NOVA_JOB_DEAD, or #NOVA_JOB_RUNNING if its lease was over and somebody else has
 * it. Yours: free it with nova_job_free(). NULL: there was none, or
 * this host rests after it has failed
 * @return 0, also if the function failed; or a code:
 *  - NOVA_EIO: the server cannot be reached, or refuses. What a job has come to could not be told
 *    for 10 s: it is performed again once its lease is over
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EPERM, NOVA_ENOTSUP, NOVA_ECORRUPT, NOVA_EBUSY, NOVA_ENOMEM: as of nova_job_submit()
 * Since 0.1.
 */
NOVA_API int nova_job_perform(nova_t *nova, uint32_t wait_ms, const nova_wait_opts *wait,
	nova_job_t **ret_job, nova_error_t **error);

/**
 * A job as it is now.
 * @param nova the platform
 * @param id as of nova_job_id()
 * @param ret_job receives the job. Yours: free it with nova_job_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none, or none any more
 *  - NOVA_EINVAL: the text is no id
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOTSUP, NOVA_ECORRUPT, NOVA_EBUSY, NOVA_ENOMEM: as of
 *    nova_job_submit()
 * Since 0.1.
 */
NOVA_API int nova_job_get(nova_t *nova, const char *id, nova_job_t **ret_job, nova_error_t **error);

/** Options of nova_job_list(). Since 0.1. */
typedef struct nova_job_list_opts {
	size_t size;          /**< sizeof(nova_job_list_opts) */
	const char *function; /**< of this one, and of its versions and aliases; NULL: of all */
	const char *owner;    /**< of this one, 1 to 200 bytes; "": nobody's; NULL: of all */
	/** what the page before gave as `ret_next`; 0: begin with the newest */
	uint64_t cursor;
	uint32_t states; /**< in these: bits 1 << one of #nova_job_state; 0: in all */
	uint32_t limit;  /**< as many at most, up to 1000; 0: 100 */
	const nova_interrupt_t *interrupt; /**< ends the call; may be NULL */
} nova_job_list_opts;
#define NOVA_JOB_LIST_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_job_list_opts), 0, 0, 0, 0, 0, 0                                       \
	}

/**
 * Lists jobs, the one that was handed in last first: those that wait or are under way, and those
 * that have ended, as long as they are kept. They are without their payloads, outputs and client
 * contexts, for which there is nova_job_get(). A page may have fewer than the limit, or none,
 * though there are more: what it looks at is bounded, and so are its bytes. Jobs that are handed in
 * meanwhile do not move the next page. A job that an earlier libnova, without lists, has handed in
 * is there from when somebody begins it.
 * @param nova the platform
 * @param opts which; NULL: the first 100
 * @param ret_jobs receives an array. Yours: free it with nova_job_list_free(). NULL if there are
 * none
 * @param ret_count receives their number
 * @param ret_next receives the cursor of the next page; 0: this is the last one
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOTSUP, NOVA_ECORRUPT, NOVA_EBUSY, NOVA_ENOMEM: as of
 *    nova_job_submit()
 * Since 0.1.
 */
NOVA_API int nova_job_list(nova_t *nova, const nova_job_list_opts *opts, nova_job_t ***ret_jobs,
	size_t *ret_count, uint64_t *ret_next, nova_error_t **error);

/**
 * Frees what nova_job_list() gave, with the jobs in it.
 * @param jobs the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_job_list_free(nova_job_t **jobs, size_t count);

/**
 * The id of a job.
 * @param job may be NULL
 * @return 36 characters, that live as long as the job; "" for NULL. Since 0.1.
 */
NOVA_API const char *nova_job_id(const nova_job_t *job);

/**
 * Whose a job is.
 * @param job may be NULL
 * @return as nova_job_opts.owner; "": nobody's, and for NULL. It lives as long as the job. Since
 * 0.1.
 */
NOVA_API const char *nova_job_owner(const nova_job_t *job);

/**
 * How far a job is.
 * @param job may be NULL
 * @return one of #nova_job_state; NOVA_EINVAL for NULL. Since 0.1.
 */
NOVA_API int nova_job_state(const nova_job_t *job);

/**
 * What the function has answered.
 * @param job may be NULL
 * @param ret_len receives the length. NULL: you do not ask
 * @return JSON text that lives as long as the job; NULL: there is none, or the job is from a list.
 * Since 0.1.
 */
NOVA_API const char *nova_job_output(const nova_job_t *job, size_t *ret_len);

/**
 * Why the last attempt failed.
 * @param job may be NULL
 * @return text that lives as long as the job; "": it did not. Since 0.1.
 */
NOVA_API const char *nova_job_error(const nova_job_t *job);

/**
 * A job as one JSON object: id, function, state, key, owner, usage_key, attempts, most_attempts,
 * lease_ms, submitted_us, ended_us, client_context, payload, output, error.
 * @param job the job
 * @return text. Yours: free it with nova_free(). NULL if there is no memory. Since 0.1.
 */
NOVA_API char *nova_job_to_json(const nova_job_t *job);

/**
 * Frees a job, which goes on as it does.
 * @param job NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_job_free(nova_job_t *job);

#ifdef __cplusplus
}
#endif

#endif
