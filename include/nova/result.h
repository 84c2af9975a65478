/* SPDX-License-Identifier: MIT */
/**
 * @file nova/result.h
 * What came of running something in a guest. Immutable; may be read from any thread.
 */
#ifndef NOVA_RESULT_H
#define NOVA_RESULT_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova_result nova_result_t;

/** Frees the result. NULL is accepted. Since 0.1. */
NOVA_API void nova_result_free(nova_result_t *result);

/** The function's answer as one JSON value in text form, never NULL. What a function wrote to
 * stdout is the answer; if that is not JSON it comes as a JSON string. Up to 6 MiB as the function
 * wrote it, which as a JSON string may be more (6 MiB of quotes are 12 MiB), and nested at most 512
 * deep. "null" if it failed, or for a command. `ret_len` may be NULL. Since 0.1. */
NOVA_API const char *nova_result_output(const nova_result_t *result, size_t *ret_len);

/** What was written to stdout, NUL-terminated (the text may hold NULs: use the length). For a
 * Python handler that was called, what it printed; its return value is the output. Since 0.1. */
NOVA_API const char *nova_result_stdout(const nova_result_t *result, size_t *ret_len);

/** What was written to stderr. Since 0.1. */
NOVA_API const char *nova_result_stderr(const nova_result_t *result, size_t *ret_len);

/** 1 if stdout or stderr was longer than the cap (the rest was read and dropped): 1 MiB each, but 6
 * MiB for a function's stdout that is its output; with more than that the call has failed. Since
 * 0.1. */
NOVA_API int nova_result_truncated(const nova_result_t *result);

/** Why it failed, such as "exit 3: no such city"; "" if it did not. Since 0.1. */
NOVA_API const char *nova_result_failure(const nova_result_t *result);

/** Exit status of the process; 128 + n if signal n ended it. 0 on success. Since 0.1. */
NOVA_API int nova_result_exit_code(const nova_result_t *result);

/** 8 hex digits that name this request in logs and in the guest. Since 0.1. */
NOVA_API const char *nova_result_request_id(const nova_result_t *result);

/** 1 if a VM had to be made for this call, 0 if a waiting one was used. Since 0.1. */
NOVA_API int nova_result_cold_start(const nova_result_t *result);

/** Identifier of the VM that ran it. Since 0.1. */
NOVA_API const char *nova_result_vm_id(const nova_result_t *result);

/** Id of the snapshot that was taken after the call, or "". Since 0.1. */
NOVA_API const char *nova_result_snapshot(const nova_result_t *result);

/** Id of the instance that ran it, or "". Since 0.1. */
NOVA_API const char *nova_result_instance(const nova_result_t *result);

/** The parts that the time of a call is made of. Since 0.1. */
enum nova_timing {
	NOVA_TIMING_TOTAL = 0,  /**< whole call, as its caller saw it */
	NOVA_TIMING_LOOKUP = 1, /**< finding the function in the store */
	NOVA_TIMING_QUEUE = 2,  /**< waiting for a VM that others use, or for room */
	NOVA_TIMING_START = 3,  /**< VMM process started and answering */
	NOVA_TIMING_BOOT = 4,   /**< guest running until the agent is ready, or snapshot loaded */
	NOVA_TIMING_INIT = 5,   /**< agent given the function: code found, interpreter warm */
	NOVA_TIMING_EXEC = 6,   /**< request sent until answer received */
	/** of that, the time the function itself took, by the guest's clock */
	NOVA_TIMING_GUEST = 7,
};

/** Microseconds of one part; 0 for a part that did not occur or is unknown. Since 0.1. */
NOVA_API uint64_t nova_result_timing_us(const nova_result_t *result, int timing);

/** Same as nova_result_timing_us(result, NOVA_TIMING_TOTAL) rounded to milliseconds. Since 0.1. */
NOVA_API uint64_t nova_result_duration_ms(const nova_result_t *result);

/** The whole result as one JSON object. Free with nova_free(); NULL when out of memory. Since 0.1.
 */
NOVA_API char *nova_result_to_json(const nova_result_t *result);

#ifdef __cplusplus
}
#endif
#endif
