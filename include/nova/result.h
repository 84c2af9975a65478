/* SPDX-License-Identifier: MIT */
/**
 * @file nova/result.h
 * The result of a call or a command: answer, output, exit code, times.
 *
 *     if (nova_invoke(nova, "hello", "{}", NULL, &result, &error) == 0)
 *             puts(nova_result_output(result, NULL)); // JSON
 *     else if (result)
 *             puts(nova_result_failure(result)); // it ran and failed
 *     nova_result_free(result);
 *
 * A result never changes; any thread may read it.
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
 * The answer of a function: the text of one JSON value. Of a Python handler it is what it returned,
 * of all others what they wrote to stdout; if that is not JSON, it comes as a JSON string. It has
 * at most 6 MiB as the function wrote it, and is nested at most 512 deep.
 * @param result may be NULL
 * @param ret_len receives its bytes; may be NULL
 * @return the text, never NULL; "null" if the function failed, and for a command. Since 0.1.
 */
NOVA_API const char *nova_result_output(const nova_result_t *result, size_t *ret_len);

/**
 * What was written to stdout; of a Python handler, what it printed.
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
 * Whether stdout or stderr was longer than is kept, so that the rest is lost: 1 MiB each. A
 * function whose answer is its stdout has 6 MiB there; a call with more fails.
 * @param result may be NULL
 * @return 1 or 0. Since 0.1.
 */
NOVA_API int nova_result_truncated(const nova_result_t *result);

/**
 * Why it failed, for example "exit 3: no such city".
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
 * Whether a VM had to be started for the call.
 * @param result may be NULL
 * @return 1; 0 if one was there. Since 0.1.
 */
NOVA_API int nova_result_cold_start(const nova_result_t *result);

/**
 * The id of the VM that ran it.
 * @param result may be NULL
 * @return 8 hex digits. Since 0.1.
 */
NOVA_API const char *nova_result_vm_id(const nova_result_t *result);

/**
 * The id of the snapshot that was taken after the call.
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

/**
 * Which version of the function ran: of an alias that two share the one that was taken.
 * @param result may be NULL
 * @return the number of the published version; 0: the function as it was then, or code that is run
 * once. Since 0.1.
 */
NOVA_API uint32_t nova_result_version(const nova_result_t *result);

/**
 * How the VM that ran it had come to be (docs/hot.md).
 * @param result may be NULL
 * @return "hot": forked off a process that stood ready; "parked": the same, done ahead of the call;
 *  "classic": any other way. Since 0.1.
 */
NOVA_API const char *nova_result_path(const nova_result_t *result);

/**
 * Why it was not "hot" or "parked".
 * @param result may be NULL
 * @return text for people; "" if it was, or nobody has tried. Since 0.1.
 */
NOVA_API const char *nova_result_path_why(const nova_result_t *result);

/** The parts of the time that a call takes. Since 0.1. */
enum nova_timing {
	NOVA_TIMING_TOTAL = 0,  /**< the whole call */
	NOVA_TIMING_LOOKUP = 1, /**< to find the function in the store */
	NOVA_TIMING_QUEUE = 2,  /**< to wait for a VM that others use, or for room */
	NOVA_TIMING_START = 3,  /**< to start the VMM process */
	NOVA_TIMING_BOOT =
		4, /**< to boot the guest until its agent is ready, or to load a snapshot */
	NOVA_TIMING_INIT = 5, /**< to give the agent the function: to find and import its code */
	NOVA_TIMING_EXEC = 6, /**< from the request to the answer */
	/** of EXEC, the time of the function itself, by the clock of the guest */
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
