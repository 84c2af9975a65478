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

/**
 * Frees a result.
 * @param result NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_result_free(nova_result_t *result);

/**
 * The answer of the function as one JSON value in text form. What a function wrote to stdout is
 * its answer; if that is not JSON it comes as a JSON string. Up to 6 MiB as the function wrote
 * it, which as a JSON string may be more, and nested at most 512 deep.
 * @param result may be NULL
 * @param ret_len receives its bytes; may be NULL
 * @return the text, never NULL; "null" if the function failed, and for a command. Since 0.1.
 */
NOVA_API const char *nova_result_output(const nova_result_t *result, size_t *ret_len);

/**
 * What was written to stdout: of a Python handler that was called, what it printed.
 * @param result may be NULL
 * @param ret_len receives its bytes; may be NULL
 * @return the text, with a NUL behind it; it may hold NULs. Since 0.1.
 */
NOVA_API const char *nova_result_stdout(const nova_result_t *result, size_t *ret_len);

/**
 * What was written to stderr.
 * @param result may be NULL
 * @param ret_len receives its bytes; may be NULL
 * @return the text, with a NUL behind it; it may hold NULs. Since 0.1.
 */
NOVA_API const char *nova_result_stderr(const nova_result_t *result, size_t *ret_len);

/**
 * Whether stdout or stderr was longer than is kept: 1 MiB each, but 6 MiB for a function's stdout
 * that is its output; with more than that the call has failed. The rest was read and dropped.
 * @param result may be NULL
 * @return 1 or 0. Since 0.1.
 */
NOVA_API int nova_result_truncated(const nova_result_t *result);

/**
 * Why it failed, such as "exit 3: no such city".
 * @param result may be NULL
 * @return text; "" if it did not fail. Since 0.1.
 */
NOVA_API const char *nova_result_failure(const nova_result_t *result);

/**
 * The exit status of the process.
 * @param result may be NULL
 * @return 0 to 255; 128 + n if signal n ended it. Since 0.1.
 */
NOVA_API int nova_result_exit_code(const nova_result_t *result);

/**
 * The id of the request in logs and in the guest.
 * @param result may be NULL
 * @return text. Since 0.1.
 */
NOVA_API const char *nova_result_request_id(const nova_result_t *result);

/**
 * Whether a VM had to be made for the call.
 * @param result may be NULL
 * @return 1; 0 if a waiting one was used. Since 0.1.
 */
NOVA_API int nova_result_cold_start(const nova_result_t *result);

/**
 * The id of the VM that ran it.
 * @param result may be NULL
 * @return 8 hex digits. Since 0.1.
 */
NOVA_API const char *nova_result_vm_id(const nova_result_t *result);

/**
 * The id of the snapshot that the call left.
 * @param result may be NULL
 * @return 16 hex digits; "" if none. Since 0.1.
 */
NOVA_API const char *nova_result_snapshot(const nova_result_t *result);

/**
 * The id of the instance in which nova_invoke() ran it.
 * @param result may be NULL
 * @return 8 hex digits; "" if none. Since 0.1.
 */
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

/**
 * How long one part of the call took.
 * @param result may be NULL
 * @param timing one of #nova_timing
 * @return microseconds; 0 for a part that did not occur or is unknown. Since 0.1.
 */
NOVA_API uint64_t nova_result_timing_us(const nova_result_t *result, int timing);

/**
 * A result as one JSON object.
 * @param result the result
 * @return text. Yours: free it with nova_free(). NULL if there is no memory. Since 0.1.
 */
NOVA_API char *nova_result_to_json(const nova_result_t *result);

#ifdef __cplusplus
}
#endif
#endif
