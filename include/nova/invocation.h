/* SPDX-License-Identifier: MIT */
/**
 * @file nova/invocation.h
 * The log of calls: what each call of a function has left behind.
 *
 *     const nova_invocation **found = NULL;
 *     size_t count = 0;
 *     nova_invocation_list(nova, NULL, &found, &count, &error);
 *     for (size_t i = 0; i < count; i++)
 *             printf("%s %s\n", found[i]->request_id, found[i]->error);
 *     nova_invocation_list_free(found, count);
 *
 * Each call of nova_invoke(), nova_run() and what was submitted instead leaves one record, once it
 * has come to its end, whether it succeeded, failed, timed out, was cancelled or lost its VM. A
 * call that is refused at once, because of its name or its options, leaves none.
 *
 * A call does not wait for its record to be written. That is done half a second later by
 * nova_pool_tick(), or by the thread of the pool (setting `pool.thread`); by nova_close(); by a
 * reader of the same context; and, if none of these comes for a second, by the next call after its
 * end. So a crash loses the calls of the last second at most. The log may fail (no room, no rights,
 * a damaged or locked file): no call does because of that. It is said once in the log of messages,
 * records wait in memory as long as there is room, and what had none is counted in the next one.
 *
 * The records are in log.db in the state directory, or in the database that several hosts share
 * (`postgres`), and are there for all who use the same. How long is said by the settings
 * `log.retention_age` and `log.retention_size`; docs/logs.md has more. Deleting a function leaves
 * its records.
 */
#ifndef NOVA_INVOCATION_H
#define NOVA_INVOCATION_H

#include <nova/function.h>
#include <nova/interrupt.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One record. Later releases add members at its end: `size` tells which there are. Since 0.1. */
typedef struct nova_invocation {
	size_t size;
	uint64_t number; /**< later records have higher ones; some are left out */
	const char *request_id;
	const char *function;    /**< its name; "": code that nova_run() ran */
	const char *function_id; /**< what stays when it is replaced; "" likewise */
	const char *runtime;
	const char *instance; /**< id of the instance that it ran in; "": none */
	const char *path;     /**< as nova_result_path() */
	const char *error;    /**< the message of its error; "": it succeeded */
	/** the last bytes of what was written to stdout, with a NUL behind them; may hold NULs */
	const void *out;
	size_t out_len;
	const void *err; /**< the same of stderr */
	size_t err_len;
	uint64_t started_us;  /**< when it was accepted, in microseconds since 1970 */
	uint64_t duration_us; /**< from then until its end, with all waiting */
	uint64_t input_size;  /**< bytes of the payload; 0: none was given */
	uint64_t output_size; /**< bytes of the answer, as JSON */
	/** the most memory that its process took, in bytes; 0: not known */
	uint64_t memory_peak;
	uint64_t lost;    /**< so many calls ended before it whose records had no room */
	uint32_t version; /**< of the function; 0: of nova_run() */
	int code;         /**< what the call returned: 0, or one of #nova_code */
	uint32_t cold;    /**< 1: a VM was started for it */
	uint32_t cut;     /**< 1: it wrote more to stdout or stderr than there is here */
} nova_invocation;

/** A page ends, before its limit, behind the record with which what its calls have printed has so
 * many bytes: then there may be more. Since 0.1. */
#define NOVA_INVOCATION_PAGE_BYTES (16u << 20)

/** The order of a list. Since 0.1. */
enum nova_invocation_order {
	NOVA_INVOCATION_NEWEST = 0, /**< those that were written last come first */
	NOVA_INVOCATION_OLDEST = 1,
};

/** Which records are listed. Since 0.1. */
typedef struct nova_invocation_list_opts {
	size_t size;            /**< sizeof(nova_invocation_list_opts) */
	const char *function;   /**< of this one, by its name; "": of nova_run(); NULL: of all */
	const char *request_id; /**< with this id; NULL: with any */
	uint64_t since_us; /**< that began at this time, in microseconds since 1970, or later */
	uint64_t until_us; /**< that began before; 0: at any time */
	/** `number` of the record at which the page before has ended; 0: begin at the beginning */
	uint64_t cursor;
	uint32_t version; /**< of the function; 0: any */
	int code;         /**< that returned this one of #nova_code; 0: any */
	uint32_t errors;  /**< 1: only those that failed */
	uint32_t order;   /**< one of #nova_invocation_order */
	/** as many at most, up to 1000, and fewer if these are large
	 * (#NOVA_INVOCATION_PAGE_BYTES); 0: 100 */
	uint32_t limit;
	/** if there are none yet, wait so long for one to be written, up to a day */
	uint32_t wait_ms;
	const nova_interrupt_t *interrupt; /**< ends the waiting; may be NULL */
} nova_invocation_list_opts;
#define NOVA_INVOCATION_LIST_OPTS_INIT                                                             \
	{                                                                                          \
		sizeof(nova_invocation_list_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0              \
	}

/**
 * Lists records. The next page begins at the `number` of the last record of this one (`cursor`). To
 * follow what comes, ask for #NOVA_INVOCATION_OLDEST behind the newest record that you have, with
 * `wait_ms`.
 * @param nova the platform
 * @param opts which; NULL: the last 100
 * @param ret_invocations receives an array. Yours: free it with nova_invocation_list_free(). NULL
 * if there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_ECANCELED: by its token
 *  - NOVA_ECORRUPT: the log is damaged, or something else
 *  - NOVA_ENOTSUP: a newer libnova wrote it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_invocation_list(nova_t *nova, const nova_invocation_list_opts *opts,
	const nova_invocation ***ret_invocations, size_t *ret_count, nova_error_t **error);

/**
 * Frees what nova_invocation_list() gave, with the records in it.
 * @param invocations the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_invocation_list_free(const nova_invocation **invocations, size_t count);

/** What the calls of one function were like. As nova_invocation, it may grow. Since 0.1. */
typedef struct nova_invocation_summary {
	size_t size;
	const char *function; /**< its name; "": code that nova_run() ran */
	uint64_t calls;
	uint64_t errors; /**< of these */
	uint64_t cold;   /**< for so many of them a VM was started */
	/** half of them took no longer, in microseconds with all waiting */
	uint64_t p50_us;
	uint64_t p95_us;
	uint64_t p99_us;
	uint64_t longest_us;
} nova_invocation_summary;

/** Which calls are counted. Since 0.1. */
typedef struct nova_invocation_summary_opts {
	size_t size;          /**< sizeof(nova_invocation_summary_opts) */
	const char *function; /**< of this one, by its name; "": of nova_run(); NULL: of all */
	uint64_t since_us;    /**< that began at this time, in microseconds since 1970, or later */
	uint64_t until_us;    /**< that began before; 0: at any time */
} nova_invocation_summary_opts;
#define NOVA_INVOCATION_SUMMARY_OPTS_INIT                                                          \
	{                                                                                          \
		sizeof(nova_invocation_summary_opts), 0, 0, 0                                      \
	}

/**
 * Counts calls by function, by the records that there are.
 * @param nova the platform
 * @param opts which; NULL: all
 * @param ret_summaries receives an array, by name. Yours: free it with
 * nova_invocation_summaries_free(). NULL if there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_ECORRUPT: the log is damaged, or something else
 *  - NOVA_ENOTSUP: a newer libnova wrote it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_invocation_summarize(nova_t *nova, const nova_invocation_summary_opts *opts,
	const nova_invocation_summary ***ret_summaries, size_t *ret_count, nova_error_t **error);

/**
 * Frees what nova_invocation_summarize() gave.
 * @param summaries the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_invocation_summaries_free(
	const nova_invocation_summary **summaries, size_t count);

#ifdef __cplusplus
}
#endif

#endif
