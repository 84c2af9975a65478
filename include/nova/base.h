/* SPDX-License-Identifier: MIT */
/**
 * @file nova/base.h
 * What every other header needs: version, error codes, the error object, log levels.
 *
 *     if (nova_open(NULL, &nova, &error) != 0) {
 *             fprintf(stderr, "%s: %s\n", nova_code_name(nova_error_code(error)),
 *                     nova_error_message(error));
 *             nova_error_free(error);
 *     }
 *
 * The rules of the whole library:
 *
 * Failures. A call that can fail returns `int`: 0 (#NOVA_OK), or a negative code of #nova_code.
 * Its last parameter is `nova_error_t **error`. Pass NULL if the code is enough. Otherwise, on
 * failure only, `*error` receives an object that you free with nova_error_free(). Do not pass the
 * address of an error that you have not freed: it would be lost. Every call can also fail with
 * #NOVA_EINVAL for an argument that is missing, #NOVA_EABI for an option struct, and #NOVA_ENOMEM.
 *
 * Results come back through parameters called `ret_...`. They are written only if the call
 * succeeds. nova_invoke(), calls like it and nova_vm_merge() differ, and say so.
 *
 * Ownership. Strings and buffers that you hand in are copied before the call returns. Strings that
 * you get belong to the object that they came from and live as long as it does, unless the comment
 * says that you free them.
 *
 * Objects are opaque; a call for each thing tells what they know. Many numbers, such as counters,
 * come in an array, in the order of an enum; later releases add some at its end. A struct that the
 * library hands out (nova_property) is constant and begins with `size`, as option structs do.
 *
 * NULL never crashes. A call that returns a code and needs what is NULL fails with #NOVA_EINVAL and
 * a message that names call and argument. A call that tells something gives what stands for
 * nothing: 0, NULL, "" (or the text in its comment), #NOVA_VM_DEAD; where 0 has a meaning, -1 or
 * #NOVA_EINVAL. A call that returns nothing does nothing. Options and `ret_...` may be NULL where
 * their comment says so.
 *
 * Option structs begin with `size_t size`: set it to `sizeof` the struct, best with the `_INIT`
 * macro. A member that is zero has its documented default. If the struct is larger than this
 * library knows, and its unknown part is not zero, the call fails with #NOVA_EABI: nothing that you
 * ask for is ignored.
 *
 * Threads. Any thread may make any call, unless its comment or the top of its header says
 * otherwise. The library never prints, exits, changes directory or installs a signal handler, never
 * aborts because of an argument, and starts no thread that you did not ask for.
 *
 * Text is UTF-8. Times are in the unit in which the name ends (`_ms`, `_us`, `_s`). Sizes are
 * bytes, unless the name ends in `_mb`: mebibytes.
 */
#ifndef NOVA_BASE_H
#define NOVA_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NOVA_API __attribute__((visibility("default")))
#else
#define NOVA_API
#endif

#define NOVA_VERSION_MAJOR  0
#define NOVA_VERSION_MINOR  1
#define NOVA_VERSION_PATCH  0
#define NOVA_VERSION_STRING "0.1.0"

/**
 * The version of the loaded library. Compare it with #NOVA_VERSION_STRING to see whether headers
 * and library belong together.
 * @return "MAJOR.MINOR.PATCH"; static text, never freed. Since 0.1.
 */
NOVA_API const char *nova_version(void);

/**
 * Every code that a call can return. The list is closed within a major version: a code never
 * changes its meaning and a retired number is never used again. Since 0.1.
 */
enum nova_code {
	NOVA_OK = 0,
	NOVA_EINVAL = -1,    /**< a bad argument, name, flag or combination; nothing was done */
	NOVA_ENOMEM = -2,    /**< out of memory */
	NOVA_ENOTFOUND = -3, /**< no function, file, image or VM of that name */
	NOVA_EEXIST = -4,    /**< the name is taken by something else */
	NOVA_EBUSY = -5,     /**< the state of the object forbids this now */
	NOVA_ENOTSUP = -6,   /**< not available with this engine or on this host */
	NOVA_EIO = -7,       /**< the operating system refused; see nova_error_os() */
	NOVA_EPERM = -8,     /**< missing rights */
	NOVA_ENOSPC = -9,    /**< no space left where something had to be written */
	NOVA_ETOOBIG = -10,  /**< over a documented size limit */
	NOVA_ECORRUPT = -11, /**< a file, image or database is damaged or not what it claims */
	/** an option struct has a size or content this library does not know */
	NOVA_EABI = -12,
	NOVA_ECONFIG = -13, /**< a configuration file, variable or setting cannot be understood */
	/** the virtual machine monitor did not start, or refused a command */
	NOVA_EENGINE = -14,
	/** the agent in the guest did not answer in time, or not in its protocol */
	NOVA_EAGENT = -15,
	NOVA_ELIMIT = -16,    /**< a limit on VMs, memory, queue or waiting time was reached */
	NOVA_ECANCELED = -17, /**< cancelled by the caller, or because the object is closing */
	NOVA_EFUNCTION = -18, /**< the function ran and failed */
	NOVA_ETIMEDOUT = -19, /**< the function ran, exceeded its time limit and was killed */
	NOVA_ELOST = -20,     /**< the VM was lost while the function may have been running */
	NOVA_ESTALE = -21,    /**< a snapshot or template does not fit this host or these inputs */
};

/**
 * Whether the caller's function ran, whatever else an error says. Since 0.1.
 */
enum nova_outcome {
	NOVA_OUTCOME_NEVER_RAN = 0, /**< not one instruction of it: safe to try again */
	NOVA_OUTCOME_RAN = 1,       /**< it ran, and this is its failure */
	/** it was sent and no answer came: it may have run, wholly or in part */
	NOVA_OUTCOME_UNKNOWN = 2,
};

/** One failure. It never changes; any thread may read it. */
typedef struct nova_error nova_error_t;

/**
 * The code that the failed call returned.
 * @param error may be NULL
 * @return a code of #nova_code, never 0; for NULL 0. Since 0.1.
 */
NOVA_API int nova_error_code(const nova_error_t *error);

/**
 * What failed, with the name of the thing, and what to do about it: one sentence on one line.
 * @param error may be NULL
 * @return text that lives as long as the error, never NULL; for NULL "". Since 0.1.
 */
NOVA_API const char *nova_error_message(const nova_error_t *error);

/**
 * The errno of the operating system that was the reason of the failure.
 * @param error may be NULL
 * @return an errno; 0 if there was none, and for NULL. Since 0.1.
 */
NOVA_API int nova_error_os(const nova_error_t *error);

/**
 * Whether the code that the call was to run in a guest did run. Calls that run nothing give
 * #NOVA_OUTCOME_NEVER_RAN.
 * @param error may be NULL
 * @return one of #nova_outcome. Since 0.1.
 */
NOVA_API int nova_error_outcome(const nova_error_t *error);

/** What a #NOVA_ELIMIT is a limit of. Since 0.1. */
enum nova_limit {
	NOVA_LIMIT_HOST = 0, /**< what all who call share: VMs, memory, places to wait, time */
	/** what the plan has (settings `usage.plan` and `usage.limit`): MCUs of a month, or what a
	 * key may hold at a time */
	NOVA_LIMIT_PLAN = 1,
	/** how often it may be: a rate that is used up, of a function or of nova_rate_take();
	 * nova_error_retry_ms() tells when it is not any more */
	NOVA_LIMIT_RATE = 2,
};

/**
 * Which limit was reached.
 * @param error may be NULL
 * @return one of #nova_limit; of other codes, and for NULL, #NOVA_LIMIT_HOST. Since 0.1.
 */
NOVA_API int nova_error_limit(const nova_error_t *error);

/** Of nova_error_retry_ms(): waiting does not help. Since 0.1. */
#define NOVA_RETRY_NEVER UINT64_MAX

/**
 * When it is worth trying again, where that is known: for a rate that is used up (nova/rate.h,
 * nova_function_opts.rate).
 * @param error may be NULL
 * @return milliseconds from the failure on, at least 1; #NOVA_RETRY_NEVER: on this host, as it is
 * set up, it fails again whenever it is tried (a VM that has no room); 0: nobody knows, and for
 * NULL. Since 0.1.
 */
NOVA_API uint64_t nova_error_retry_ms(const nova_error_t *error);

/**
 * Frees an error.
 * @param error NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_error_free(nova_error_t *error);

/**
 * The name of a code, such as "NOVA_ENOTFOUND".
 * @param code a code of #nova_code, or 0
 * @return static text; "NOVA_E?" for a number that is not in the list. Since 0.1.
 */
NOVA_API const char *nova_code_name(int code);

/**
 * Frees a text or buffer of which the comment says "free it with nova_free()".
 * @param memory NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_free(void *memory);

/** Levels of a log message. Since 0.1. */
enum nova_log_level {
	NOVA_LOG_NONE = 0, /**< as a limit: no messages at all */
	/** something was lost or left behind, and no call returns it as an error */
	NOVA_LOG_ERROR = 1,
	NOVA_LOG_WARN = 2,  /**< it works, but is less safe or slower than it could be */
	NOVA_LOG_INFO = 3,  /**< decisions: engine chosen, VM started, VM thrown away */
	NOVA_LOG_DEBUG = 4, /**< every step */
};

/** As the level of nova_host_set_log(): what the setting `log.level` says, for each module. Since
 * 0.1. */
#define NOVA_LOG_AS_SET (-1)

/**
 * Reads a filter of log messages: a level, and levels of modules, as in
 * "warn,pool=debug,store=info". The levels are none (or off), error, warn, info and debug (or
 * trace); of what is said twice the last holds.
 * @param filter the text, as the setting `log.level` has it
 * @param module name of a module, as a #nova_log_fn is told it; NULL: the one that may say most
 * @param otherwise what holds for modules of which the filter says nothing
 * @return one of #nova_log_level; or NOVA_EINVAL: it is no filter. Since 0.1.
 */
NOVA_API int nova_log_filter_level(const char *filter, const char *module, int otherwise);

/**
 * Receives log messages. `module` is a short name such as "qemu" or "pool", `text` one line without
 * a newline. Both may be used until the function returns. It is called by any thread that is inside
 * a call of the library. It must not call the library: locks are held.
 */
typedef void (*nova_log_fn)(void *userdata, int level, const char *module, const char *text);

/**
 * Is told what a call that takes its time is doing now, in a few words without a newline, which die
 * when the function returns. It is called in the thread of the call and must not call the library
 * back, but for nova_interrupt_trigger().
 */
typedef void (*nova_progress_fn)(void *userdata, const char *what);

#ifdef __cplusplus
}
#endif
#endif
