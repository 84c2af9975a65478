/* SPDX-License-Identifier: MIT */
/**
 * @file nova/function.h
 * The platform: named functions in a store, and nova_invoke(), which runs one in its own microVM.
 *
 *     nova_t *nova;
 *     nova_result_t *result;
 *     nova_open(NULL, &nova, NULL);
 *     nova_invoke(nova, "hello", "{}", NULL, &result, NULL);
 *     puts(nova_result_output(result, NULL));
 *
 * Threads: every call may be made from any number of threads at once, except nova_close(), which
 * must be the last. Several processes may use one state directory at the same time.
 */
#ifndef NOVA_FUNCTION_H
#define NOVA_FUNCTION_H

#include <nova/base.h>
#include <nova/config.h>
#include <nova/host.h>
#include <nova/pool.h>
#include <nova/result.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova nova_t;
typedef struct nova_function nova_function_t;
/** See nova/instance.h. */
typedef struct nova_instance nova_instance_t;

/**
 * Opens the platform: state directory, function store and an empty pool. No VM is started yet.
 * @param config settings, copied; NULL: configuration file and environment on top of the defaults
 * @return 0; NOVA_ECONFIG; NOVA_ECORRUPT if the store is damaged (the file is named and left
 * alone); NOVA_EPERM; NOVA_ENOSPC; NOVA_EIO; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_open(const nova_config_t *config, nova_t **ret_nova, nova_error_t **error);

/** Ends every VM and frees the platform. Processes that do not end are left to the kernel after
 * some seconds. No other call may be under way. NULL is accepted. Since 0.1. */
NOVA_API void nova_close(nova_t *nova);

/** The host context inside, for probes, logging and VMs of your own. Borrowed: lives until
 * nova_close(). Since 0.1. */
NOVA_API nova_host_t *nova_host_get(nova_t *nova);

/** The pool inside, for counters and for ticking: each nova_pool_tick() also applies the
 * `min_replicas` of all functions, as they are in the store by then. What this process registers or
 * deletes makes a tick due by itself; what others do is seen when there is one. Borrowed: lives
 * until nova_close(). Since 0.1. */
NOVA_API nova_pool_t *nova_pool_get(nova_t *nova);

/* --- functions --- */

/** In nova_function_opts.flags: take the place of a function of that name that differs.
 * Since 0.1.
 */
#define NOVA_REGISTER_REPLACE 1u
/** Python: calls run in the interpreter itself, one after the other, and what one leaves in the
 * module the next one finds, as on other platforms. Without it each call is a fork of the
 * interpreter as it was after the import. Since 0.1. */
#define NOVA_REGISTER_IN_PLACE 2u
/** What a call leaves in /tmp and /dev/shm the next one of the same VM finds, as on other
 * platforms, and it is the function's to see that there is room. Without it they are cleaned after
 * each call of mode cached, but for what was there when the function's import and its hooks were
 * done. Calls in place, and those of the other modes, keep them anyway. Since 0.1. */
#define NOVA_REGISTER_KEEP_TMP 4u

/** Whether nova_function_register() has the function's module imported in a guest before it is
 * stored. Since 0.1. */
enum nova_check {
	/** Python, where an engine and guest images are found; if no guest comes up, that is logged
	   and the function stored */
	NOVA_CHECK_AUTO = 0,
	/** every runtime; if no guest comes up, the function is not stored */
	NOVA_CHECK_ALWAYS = 1,
	NOVA_CHECK_NEVER = 2, /**< what is wrong is told by the first call, in the same words */
};

/** What nova_function_register() stores. Since 0.1. */
typedef struct nova_function_opts {
	size_t size; /**< sizeof(nova_function_opts) */
	/** 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit; required */
	const char *name;
	/** "python", "go", "rust", "wasm", "shell" or "binary"; required */
	const char *runtime;
	/** file or directory with the code; exactly one of code_path and code is given */
	const char *code_path;
	const void *code; /**< or the content of one file */
	size_t code_len;
	/** Python: "module.function", "package.module.function" or "path/file.function"; it must be
	 * there. NULL: of module main the function handler, else lambda_handler, else the file is a
	 * script */
	const char *handler;
	uint32_t memory_mb; /**< 64 to 65536, for Python from 96; 0: 128 */
	uint32_t timeout_s; /**< 1 to 86400; 0: 30 */
	uint32_t vcpus;     /**< 1 to 32; 0: 1 */
	/** VMs that nova_pool_tick() keeps warm, as a daemon has it do; at most 1000 */
	uint32_t min_replicas;
	uint64_t disk_iops;      /**< operations a second on the code disk; 0: no limit */
	uint64_t disk_bandwidth; /**< bytes a second on the code disk; 0: no limit */
	/** bytes a second into the guest; 0: no limit. Without network it says nothing */
	uint64_t net_rx_bandwidth;
	uint64_t net_tx_bandwidth; /**< bytes a second out of the guest; 0: no limit. The same */
	const char *const *env;    /**< "NAME=value" strings */
	size_t env_count;
	uint32_t flags; /**< NOVA_REGISTER_… */
	/** calls that may be under way in one VM at once, 1 to 16: for functions that mostly wait
	 * for others; 0: 1 */
	uint32_t concurrency;
	const char *network; /**< "none" or "nat", see nova_vm_opts.network; NULL: "none" */
	uint32_t check;      /**< enum nova_check */
	/** time limit of its import, at most 86400; 0: 30, or timeout_s if that is more */
	uint32_t init_timeout_s;
	/** ends the check; borrowed until the call returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	/** at most 16 "key=value" strings that tell functions apart in lists and bills, and mean
	 * nothing to the library: keys of at most 63 letters, digits and "-_./" that begin with a
	 * letter or a digit, values of at most 255 bytes without control characters */
	const char *const *labels;
	size_t labels_count;
} nova_function_opts;
#define NOVA_FUNCTION_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_function_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
			0, 0, 0, 0, 0, 0                                                           \
	}

/**
 * Stores a function. Its code is copied into a code disk under the state directory, so the original
 * may change or go away. Registering the very same thing again succeeds and changes nothing. A
 * function that is new, or differs, is checked first (enum nova_check), which takes as long as a
 * clone and its import, and at the very first a boot.
 * @param ret_function the stored function, to be freed; may be NULL
 * @return 0; NOVA_EINVAL naming the bad field; NOVA_EEXIST if a different function has the name;
 * NOVA_ENOTFOUND, NOVA_EPERM for the code; NOVA_EFUNCTION if its module cannot be imported or has
 * no such handler, with file, line and the nearest name; NOVA_ECANCELED; with #NOVA_CHECK_ALWAYS
 * the codes of nova_vm_start() and nova_vm_init(); NOVA_ETOOBIG; NOVA_ENOSPC; NOVA_EIO. On failure
 * nothing is stored. Since 0.1.
 */
NOVA_API int nova_function_register(nova_t *nova, const nova_function_opts *opts,
	nova_function_t **ret_function, nova_error_t **error);

/** Looks a function up. @return 0; NOVA_ENOTFOUND (the nearest name is offered); NOVA_EIO;
 * NOVA_ECORRUPT. Since 0.1. */
NOVA_API int nova_function_get(
	nova_t *nova, const char *name, nova_function_t **ret_function, nova_error_t **error);

/** All functions, by name. Free the array with nova_function_list_free(). An empty list is NULL
 * with count 0.
 * @return 0; NOVA_EIO; NOVA_ECORRUPT; NOVA_ENOMEM. Since 0.1. */
NOVA_API int nova_function_list(
	nova_t *nova, nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error);

/** Deletes a function; its warm VMs end, calls under way finish. @return 0; NOVA_ENOTFOUND;
 * NOVA_EIO. Since 0.1. */
NOVA_API int nova_function_delete(nova_t *nova, const char *name, nova_error_t **error);

/** Frees one function. NULL is accepted. Since 0.1. */
NOVA_API void nova_function_free(nova_function_t *function);

/** Frees what nova_function_list() gave, functions included. Since 0.1. */
NOVA_API void nova_function_list_free(nova_function_t **functions, size_t count);

NOVA_API const char *nova_function_id(const nova_function_t *f);      /**< UUID. Since 0.1. */
NOVA_API const char *nova_function_name(const nova_function_t *f);    /**< Since 0.1. */
NOVA_API const char *nova_function_runtime(const nova_function_t *f); /**< Since 0.1. */
/** As it was named; else what the check has found, as in "main.lambda_handler"; else
 * "main.handler". Since 0.1. */
NOVA_API const char *nova_function_handler(const nova_function_t *f);
/** as given, absolute; "" if from memory. Since 0.1. */
NOVA_API const char *nova_function_code_path(const nova_function_t *f);
/** 64 hex digits: SHA-256 of the code disk. Since 0.1. */
NOVA_API const char *nova_function_code_hash(const nova_function_t *f);
NOVA_API uint32_t nova_function_memory_mb(const nova_function_t *f);        /**< Since 0.1. */
NOVA_API uint32_t nova_function_timeout_s(const nova_function_t *f);        /**< Since 0.1. */
NOVA_API uint32_t nova_function_vcpus(const nova_function_t *f);            /**< Since 0.1. */
NOVA_API uint32_t nova_function_min_replicas(const nova_function_t *f);     /**< Since 0.1. */
NOVA_API uint32_t nova_function_concurrency(const nova_function_t *f);      /**< Since 0.1. */
NOVA_API uint64_t nova_function_disk_iops(const nova_function_t *f);        /**< Since 0.1. */
NOVA_API uint64_t nova_function_disk_bandwidth(const nova_function_t *f);   /**< Since 0.1. */
NOVA_API uint64_t nova_function_net_rx_bandwidth(const nova_function_t *f); /**< Since 0.1. */
NOVA_API uint64_t nova_function_net_tx_bandwidth(const nova_function_t *f); /**< Since 0.1. */
/** "none" or "nat". Since 0.1. */
NOVA_API const char *nova_function_network(const nova_function_t *f);
/** 1, and one more with each replacement. Since 0.1. */
NOVA_API uint32_t nova_function_version(const nova_function_t *f);
/** microseconds since 1970. Since 0.1. */
NOVA_API uint64_t nova_function_created_us(const nova_function_t *f);
/** microseconds since 1970. Since 0.1. */
NOVA_API uint64_t nova_function_updated_us(const nova_function_t *f);
NOVA_API size_t nova_function_env_count(const nova_function_t *f); /**< Since 0.1. */
/** "NAME=value"; NULL past the end. Since 0.1. */
NOVA_API const char *nova_function_env(const nova_function_t *f, size_t i);
/** A property by its name (nova/property.h) if it is a number, else 0. Since 0.1. */
NOVA_API uint64_t nova_function_number(const nova_function_t *f, const char *property);
/** A property by its name if it is a text or a choice (index 0), or an entry of a list; NULL behind
 * the last, and for every other name. Since 0.1. */
NOVA_API const char *nova_function_text(
	const nova_function_t *f, const char *property, size_t index);
/** The whole function as one JSON object. Free with nova_free(); NULL when out of memory. Since
 * 0.1. */
NOVA_API char *nova_function_to_json(const nova_function_t *f);

/**
 * Makes what the first call of a function would have to make, so that it need not: its template,
 * where the engine can have one. The VM made on the way waits in the pool afterwards.
 * @return 0; NOVA_ENOTSUP if the engine takes no snapshots, or they are switched off (setting
 * `pool.templates`); NOVA_ENOTFOUND; NOVA_EFUNCTION if the code cannot be loaded; the codes of
 * nova_pool_acquire(). Since 0.1.
 */
NOVA_API int nova_template_build(
	nova_t *nova, const char *function, const nova_wait_opts *wait, nova_error_t **error);

/* --- the main job --- */

/** Bits of nova_invoke_opts.flags. Since 0.1. */
enum nova_invoke_flags {
	/** in a VM that nobody has used before; it ends after the call */
	NOVA_INVOKE_FRESH = 1,
	/** a call that succeeds leaves a snapshot of its VM: the result names it. The VM is a fresh
	   one, unless the call goes on from a snapshot or runs in an instance */
	NOVA_INVOKE_CHECKPOINT = 2,
};

/**
 * Options of nova_invoke() and nova_queue_submit(): docs/modes.md. Without `flags`, `snapshot` and
 * `instance` a call runs in a VM of the pool, which then waits for further calls. Since 0.1.
 */
typedef struct nova_invoke_opts {
	size_t size;         /**< sizeof(nova_invoke_opts) */
	uint32_t timeout_ms; /**< time limit of the function; 0: the function's own */
	/** how long the call waits for a VM; 0: the setting `pool.queue_timeout` */
	uint32_t queue_timeout_ms;
	const char *request_id;   /**< at most 64 letters, digits, '-' and '_'; NULL: one is made */
	nova_output_fn on_output; /**< called with output as it comes, or NULL */
	void *userdata;    /**< handed to on_output, and given back by nova_call_userdata() */
	uint32_t flags;    /**< enum nova_invoke_flags */
	uint32_t reserved; /**< 0 */
	/** name or id of a snapshot of this function that the call goes on from, in a VM of its
	 * own, which ends after the call; NULL: none */
	const char *snapshot;
	/** name of the snapshot that the call leaves, and that it is to leave one; NULL: its id */
	const char *checkpoint_name;
	/** runs in this instance, which stays; not with a snapshot or #NOVA_INVOKE_FRESH. The
	 * caller may free its handle as soon as the call returns. NULL: none */
	nova_instance_t *instance;
	/** ends the call and kills the function; borrowed until the call returns, of
	 * nova_queue_submit() until it is finished; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_invoke_opts;
#define NOVA_INVOKE_OPTS_INIT                                                                      \
	{                                                                                          \
		sizeof(nova_invoke_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                          \
	}

/**
 * Runs a function in a microVM and waits for its answer.
 *
 * The error tells by nova_error_outcome() whether the function did not run, ran and failed, or
 * whether that is unknown.
 *
 * @param nova the platform
 * @param function name; may be NULL if the options give an instance
 * @param payload JSON text of at most 6 MiB, nested at most 512 deep; NULL: "{}"
 * @param opts NULL: defaults
 * @param ret_result receives the result if the function ran, also if it failed; else NULL. Yours:
 * free it with nova_result_free()
 * @param error see nova/base.h
 * @return 0 if the function ran and succeeded, or a code. It did not run:
 *  - NOVA_EINVAL: the payload is not JSON, the options contradict each other, or the snapshot or
 * instance is of another function
 *  - NOVA_ETOOBIG: the payload is too long or nested too deep
 *  - NOVA_ENOTFOUND: no such function, guest image or snapshot
 *  - NOVA_EEXIST: the name for the new snapshot is taken
 *  - NOVA_ESTALE: the snapshot is of another version of the function, or of another engine
 *  - NOVA_ENOTSUP: no engine can be used, or the engine takes no snapshots
 *  - NOVA_ELIMIT: no VM was free in time, too many calls wait, or the VM is too large
 *  - NOVA_EBUSY: the instance is paused, another process makes the template, or after fork()
 *  - NOVA_ELOST: the instance has ended
 *  - NOVA_ECANCELED: by the token, or the platform is closing
 *  - NOVA_EFUNCTION: the code of the function cannot be loaded
 *  - NOVA_EENGINE, NOVA_EAGENT: the VM did not start
 *  - NOVA_ECORRUPT: an image, a snapshot or the code is damaged
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_EPERM, NOVA_ENOMEM: the host refused something
 *
 * It ran:
 *  - NOVA_EFUNCTION: it raised an error, or its exit code is not 0
 *  - NOVA_ETIMEDOUT: it was killed at its time limit
 *  - NOVA_ECANCELED: it was killed by the token
 *  - a code of nova_vm_snapshot(): it succeeded, but its snapshot could not be taken
 *
 * It may have run:
 *  - NOVA_ELOST: the VM ended during the call
 *  - NOVA_EAGENT: the guest gave no answer
 *
 * Any thread. Since 0.1.
 */
NOVA_API int nova_invoke(nova_t *nova, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_result_t **ret_result, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
