/* SPDX-License-Identifier: MIT */
/**
 * @file nova/function.h
 * The platform: functions with names, and nova_invoke(), which runs one in its own microVM.
 *
 *     nova_function_opts f = NOVA_FUNCTION_OPTS_INIT;
 *     f.name = "hello", f.runtime = "python", f.code_path = "hello.py";
 *     if (nova_function_register(nova, &f, NULL, &error) == 0 &&
 *             nova_invoke(nova, "hello", "{}", NULL, &result, &error) == 0)
 *             puts(nova_result_output(result, NULL));
 *
 * Threads: any number of threads may make these calls at once, except nova_close(), which must be
 * the last. Several processes may use one state directory at the same time.
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
 * Opens the platform: state directory, store of functions and an empty pool. Starts no VM.
 * @param config settings, which are copied; NULL: the defaults, changed by the configuration file
 * and the environment
 * @param ret_nova receives the platform. Yours: free it with nova_close()
 * @return 0, or a code:
 *  - NOVA_ECONFIG: a setting cannot be understood
 *  - NOVA_ECORRUPT: the store is damaged; the message names the file, which stays as it is
 *  - NOVA_EPERM: the state directory or the store cannot be used
 *  - NOVA_ENOSPC, NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_open(const nova_config_t *config, nova_t **ret_nova, nova_error_t **error);

/**
 * Ends every VM and frees the platform. It waits some seconds at most for processes to end; the
 * kernel ends the others. No other call may be under way.
 * @param nova NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_close(nova_t *nova);

/**
 * The host context of a platform, for probes, log messages and VMs of your own.
 * @param nova NULL gives NULL
 * @return the context. Lent: it lives until nova_close(). Since 0.1.
 */
NOVA_API nova_host_t *nova_host_get(nova_t *nova);

/**
 * The pool of a platform, for nova_pool_stats() and nova_pool_tick(). Each tick also reads the
 * `min_replicas` of all functions. When this process registers or deletes a function, a tick is due
 * at once; what other processes do is seen at the next tick.
 * @param nova NULL gives NULL
 * @return the pool. Lent: it lives until nova_close(). Since 0.1.
 */
NOVA_API nova_pool_t *nova_pool_get(nova_t *nova);

/* --- functions --- */

/** In nova_function_opts.flags: replace a different function of that name. Since 0.1. */
#define NOVA_REGISTER_REPLACE 1u
/** Python: calls run in the interpreter itself, one after the other. A call finds what the one
 * before has left in the module, as on other platforms. Without this flag each call runs in a fork
 * of the interpreter as it was after the import. Since 0.1. */
#define NOVA_REGISTER_IN_PLACE 2u
/** A call finds what calls before it in the same VM have left in /tmp and /dev/shm, as on other
 * platforms. The function must then see that there is room. Without this flag these directories are
 * cleaned after each call of mode cached; what was there after the import and the hooks stays.
 * Calls in place, and calls of other modes, never clean them. Since 0.1. */
#define NOVA_REGISTER_KEEP_TMP 4u
/** The guest in which the function was loaded to find its faults (enum nova_check) becomes its
 * template, so that the first call need not load it again. It takes some 60 MB on disk; that it
 * cannot be made is logged. Since 0.1. */
#define NOVA_REGISTER_TEMPLATE 8u
/** The import of the function needs its secrets (nova/secret.h), and not only its calls: each VM
 * imports it anew, as no template may have them. Since 0.1. */
#define NOVA_REGISTER_SECRETS_AT_INIT 16u

/** Whether nova_function_register() first loads the function in a guest, to find its faults. Since
 * 0.1. */
enum nova_check {
	/** Python, if there are an engine and guest images; if the guest does not start, that is
	   logged and the function is stored */
	NOVA_CHECK_AUTO = 0,
	/** every runtime; if the guest does not start, the function is not stored */
	NOVA_CHECK_ALWAYS = 1,
	NOVA_CHECK_NEVER = 2, /**< the first call tells what is wrong, in the same words */
};

/** What nova_function_register() stores. Since 0.1. */
typedef struct nova_function_opts {
	size_t size; /**< sizeof(nova_function_opts) */
	/** 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit; required */
	const char *name;
	/** "python", "node" (or "javascript"), "go", "rust", "wasm", "shell", "binary", or one of
	 * your own (nova/runtime.h); required */
	const char *runtime;
	/** file or directory with the code; exactly one of code_path and code is given */
	const char *code_path;
	const void *code; /**< or the content of one file */
	size_t code_len;
	/** Python and Node: "module.function", "package.module.function" or "path/file.function".
	 * NULL: of the module main the function handler, for Python else lambda_handler, for Node
	 * else what it exports as default; if there is none, the file is a script. A runtime of
	 * your own without a protocol: the name of the file that is run, such as "main.lua" */
	const char *handler;
	uint32_t memory_mb; /**< 64 to 65536, Python from 96, Node from 160; 0: 128, Node 256 */
	uint32_t timeout_s; /**< 1 to 86400; 0: 30 */
	uint32_t vcpus;     /**< 1 to 32; 0: 1 */
	/** VMs that nova_pool_tick() keeps warm, as a daemon has it do; at most 1000 */
	uint32_t min_replicas;
	uint64_t disk_iops;      /**< operations a second on the code disk; 0: no limit */
	uint64_t disk_bandwidth; /**< bytes a second on the code disk; 0: no limit */
	/** bytes a second into the guest; 0: no limit. Without a network it has no effect */
	uint64_t net_rx_bandwidth;
	uint64_t net_tx_bandwidth; /**< bytes a second out of the guest; likewise */
	const char *const *env;    /**< "NAME=value" strings */
	size_t env_count;
	uint32_t flags; /**< NOVA_REGISTER_… */
	/** calls that may be under way in one VM at once, 1 to 16; 0: 1. For functions that mostly
	 * wait for something outside */
	uint32_t concurrency;
	const char *network; /**< "none" or "nat", see nova_vm_opts.network; NULL: "none" */
	uint32_t check;      /**< enum nova_check */
	/** time limit of its import, at most 86400; 0: the larger of 30 and timeout_s */
	uint32_t init_timeout_s;
	/** ends the check; borrowed until the call returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	/** at most 16 "key=value" strings for lists and bills; they have no effect on a call. A key
	 * has at most 63 letters, digits and "-_./" and begins with a letter or a digit; a value
	 * has at most 255 bytes and no control characters */
	const char *const *labels;
	size_t labels_count;
	/** Python: a file such as requirements.txt; Node: a package.json with its
	 * package-lock.json beside it. The packages are installed for the guest by this host's pip
	 * or npm, and lie beside the code, of which a file of the same name wins. NULL: none */
	const char *requirements;
	/** directory or URL with the packages (Node: npm's cache, or a registry); with it no other
	 * registry is asked. NULL: the one that pip or npm is set to */
	const char *find_links;
	/** told what is being done; in the thread of the call; or NULL */
	nova_progress_fn on_progress;
	void *userdata; /**< first argument of on_progress */
	/** Of WebAssembly: at most 16 "/name=/directory" strings, a directory of the guest and the
	 * name by which the module opens it. NULL: /code and the current directory, which is /code.
	 * /tmp is always open */
	const char *const *preopens;
	size_t preopens_count;
	/** JSON of at most 64 KiB: an input that it may be called with at any time, as a rehearsal,
	 * by the VM from which others are forked (docs/hot.md), for 10 seconds at most. It has no
	 * network then and no secrets, and leaves nothing behind; only where calls are made in
	 * place is its memory, and what it has in /tmp, what the next call finds. NULL or "":
	 * nothing */
	const char *rehearse;
	/** What it replaces, or updates, must still be as it was then: its
	 * nova_function_updated_us(), which no two states of a function have in common. 0: whatever
	 * is there, if anything */
	uint64_t if_updated_us;
	/** calls of it that may begin in each `rate_period_ms`, by whoever they are and of all its
	 * versions together, up to 1000000; more fail with NOVA_ELIMIT and nova_error_retry_ms().
	 * As in nova/rate.h: over all hosts with one Redis, else in each process. A published
	 * version is counted by what the function has now. 0: no limit */
	uint32_t rate;
	uint32_t rate_period_ms; /**< up to 86400000; 0: 1000 */
	uint32_t rate_burst;     /**< calls at once after a pause, up to 1000000; 0: as `rate` */
	uint32_t reserved;       /**< 0 */
} nova_function_opts;
#define NOVA_FUNCTION_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_function_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                       \
	}
/** Bytes that the packages of nova_function_opts.requirements may be together. Since 0.1. */
#define NOVA_REQUIREMENTS_MAX (250u << 20)

/**
 * Stores a function. Its code is copied, so the original may change or go away. To register the
 * same function again changes nothing. A function that is new or different is checked first (enum
 * nova_check): that takes as long as a first call of it.
 * Packages (`requirements`) are installed by a program of the library, as wheels; the source of a
 * package that has none is built, if that makes a wheel for every machine. What was installed is
 * kept in the state directory and found again by the content of the file and the guest's Python.
 * A module of WebAssembly is compiled by the first guest that has it, which is that of the first
 * call, or that of #NOVA_CHECK_ALWAYS: registering needs no engine. The machine code is kept beside
 * the code, and later guests are given it, if their root filesystem and processor are the same.
 * @param nova the platform
 * @param opts the function; required
 * @param ret_function receives the stored function. Yours: free it with nova_function_free(). May
 * be NULL
 * @return 0, or a code; then nothing is stored:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_EEXIST: a different function has the name, and #NOVA_REGISTER_REPLACE is not set
 *  - NOVA_ENOTFOUND, NOVA_EPERM: the code cannot be read; there is no such package, or no pip
 *  - NOVA_ENOTSUP: the engine cannot keep a limit that is asked for
 *  - NOVA_EFUNCTION: the module cannot be imported or has no such handler; the message has file,
 *    line and the nearest name
 *  - NOVA_ETOOBIG: the code is too large, or the packages over #NOVA_REQUIREMENTS_MAX
 *  - NOVA_ECORRUPT: a package does not have the hash that the requirements give
 *  - NOVA_ECANCELED: by the token
 *  - with #NOVA_CHECK_ALWAYS the codes of nova_vm_start() and nova_vm_init()
 *  - NOVA_EBUSY: it is not what `if_updated_us` says, or not there any more; or after fork()
 *  - NOVA_EIO: the host refused something, or the registry of packages cannot be reached
 *  - NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_register(nova_t *nova, const nova_function_opts *opts,
	nova_function_t **ret_function, nova_error_t **error);

/** What nova_function_update() changes. Since 0.1. */
typedef struct nova_function_update_opts {
	size_t size; /**< sizeof(nova_function_update_opts) */
	/** what is to be another: members that are 0 or NULL stay as they are, and so does `name`,
	 * which is NULL. A list, such as `env`, is replaced as a whole. Code that is given replaces
	 * the code and its packages; another runtime needs code. The flags
	 * #NOVA_REGISTER_IN_PLACE, #NOVA_REGISTER_KEEP_TMP and #NOVA_REGISTER_SECRETS_AT_INIT are
	 * added, #NOVA_REGISTER_TEMPLATE and `check` are as in nova_function_register(). NULL:
	 * nothing but `reset` */
	const nova_function_opts *change;
	/** names of properties that are to have their defaults again, as "env" or "handler"; also
	 * "in_place", "keep_tmp" and "secrets_at_init" */
	const char *const *reset;
	size_t reset_count;
} nova_function_update_opts;
#define NOVA_FUNCTION_UPDATE_OPTS_INIT                                                             \
	{                                                                                          \
		sizeof(nova_function_update_opts), 0, 0, 0                                         \
	}

/**
 * Changes a function in place, and only what is given. What another process changes at the same
 * time is kept, too. The function is at a new version then, unless nothing but labels or
 * `min_replicas` has changed; versions that were published stay as they are.
 * @param nova the platform
 * @param name name of the function
 * @param opts what to change; required
 * @param ret_function receives the function as it is then. Yours: free it with
 * nova_function_free(). May be NULL
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a bad option; another runtime without code; a published version, which never
 *    changes
 *  - NOVA_EBUSY: it is not what `if_updated_us` says; or others change it again and again
 *  - the other codes of nova_function_register()
 * Since 0.1.
 */
NOVA_API int nova_function_update(nova_t *nova, const char *name,
	const nova_function_update_opts *opts, nova_function_t **ret_function,
	nova_error_t **error);

/**
 * Looks a function up.
 * @param nova the platform
 * @param name name of the function; with a version or an alias behind it (nova/version.h): the
 * function as it was then
 * @param ret_function receives the function. Yours: free it with nova_function_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name; the message has the nearest one
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_get(
	nova_t *nova, const char *name, nova_function_t **ret_function, nova_error_t **error);

/** Options of nova_function_list(). Since 0.1. */
typedef struct nova_function_list_opts {
	size_t size; /**< sizeof(nova_function_list_opts) */
	/** only functions that have all of these labels: "key=value", or "key" for any value; at
	 * most 16 */
	const char *const *labels;
	size_t labels_count;
	/** only functions whose names come behind this one, which need not be there: the last one
	 * of the page before; NULL: from the beginning */
	const char *after;
	uint32_t limit;    /**< at most so many; 0: all */
	uint32_t reserved; /**< 0 */
} nova_function_list_opts;
#define NOVA_FUNCTION_LIST_OPTS_INIT                                                               \
	{                                                                                          \
		sizeof(nova_function_list_opts), 0, 0, 0, 0, 0                                     \
	}

/**
 * Lists functions by name, in the order of its bytes.
 * @param nova the platform
 * @param opts which ones; NULL: all
 * @param ret_functions receives an array. Yours: free it with nova_function_list_free(). NULL if
 * there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad label or `after`; the message names it
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_list(nova_t *nova, const nova_function_list_opts *opts,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error);

/** In the flags of nova_function_delete(): also what somebody may be using. Since 0.1. */
#define NOVA_DELETE_FORCE 1u

/**
 * Deletes a function, or one published version of it ("name:3"). Its warm VMs end; calls under way
 * finish.
 * What others may count on is left alone without #NOVA_DELETE_FORCE: a function that has published
 * versions; a version that an alias points at; and what an instance of this platform runs. With it
 * a function goes with its versions and aliases, and a version with the aliases that point at
 * nothing else; instances run on. What its calls have left in the log (nova/invocation.h) stays.
 * @param nova the platform
 * @param name name of the function, or of a version
 * @param flags 0 or #NOVA_DELETE_FORCE
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EINVAL: it is an alias (nova_alias_delete()); unknown flags
 *  - NOVA_EBUSY: somebody may be using it, which the message names; or after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_delete(
	nova_t *nova, const char *name, uint32_t flags, nova_error_t **error);

/** Options of nova_function_delete_with(). Since 0.1. */
typedef struct nova_function_delete_opts {
	size_t size; /**< sizeof(nova_function_delete_opts) */
	/** only if it is as somebody has seen it: this is its nova_function_updated_us(), as in
	 * nova_function_opts. 0: whatever is there */
	uint64_t if_updated_us;
	uint32_t flags;    /**< 0 or #NOVA_DELETE_FORCE */
	uint32_t reserved; /**< 0 */
} nova_function_delete_opts;
#define NOVA_FUNCTION_DELETE_OPTS_INIT                                                             \
	{                                                                                          \
		sizeof(nova_function_delete_opts), 0, 0, 0                                         \
	}

/**
 * As nova_function_delete(), with more to say. Whether it is as it was seen is looked at by what
 * deletes it, in one step: nothing that somebody changes meanwhile is lost.
 * @param nova the platform
 * @param name name of the function, or of a version
 * @param opts how; NULL: as nova_function_delete() without flags
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_EBUSY: it is not what `if_updated_us` says, or goes meanwhile; or as there
 *  - the other codes of nova_function_delete()
 * Since 0.1.
 */
NOVA_API int nova_function_delete_with(nova_t *nova, const char *name,
	const nova_function_delete_opts *opts, nova_error_t **error);

/**
 * Reads the stored code of a function, all of it, to see whether it is still as it was registered.
 * A call finds out by itself that somebody has written to it, and fails with #NOVA_ECORRUPT; this
 * also finds what a bad disk has changed.
 * @param nova the platform
 * @param name name of the function
 * @return 0, or a code:
 *  - NOVA_ECORRUPT: it is damaged; to register the function again mends it
 *  - NOVA_ENOTFOUND: there is no function of that name, or its code is gone
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_check(nova_t *nova, const char *name, nova_error_t **error);

/**
 * Frees a function object. The function stays registered.
 * @param function NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_function_free(nova_function_t *function);

/**
 * Frees what nova_function_list() gave, with the functions in it.
 * @param functions the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_function_list_free(nova_function_t **functions, size_t count);

/**
 * The id of a function.
 * @param f may be NULL
 * @return a UUID. Since 0.1.
 */
NOVA_API const char *nova_function_id(const nova_function_t *f);

/**
 * The name of a function.
 * @param f may be NULL
 * @return the name. Since 0.1.
 */
NOVA_API const char *nova_function_name(const nova_function_t *f);

/**
 * Where the code of a function came from.
 * @param f may be NULL
 * @return the path as given, made absolute; "" if it came from memory. Since 0.1.
 */
NOVA_API const char *nova_function_code_path(const nova_function_t *f);

/**
 * A hash of the code of a function.
 * @param f may be NULL
 * @return 64 hex digits: SHA-256 of its code disk. Since 0.1.
 */
NOVA_API const char *nova_function_code_hash(const nova_function_t *f);

/**
 * The version of a function.
 * @param f may be NULL
 * @return 1, and one more each time that it is replaced or updated. A change of labels or of
 * `min_replicas` alone makes no new version (#NOVA_PROPERTY_BESIDE), and its VMs stay. Since 0.1.
 */
NOVA_API uint32_t nova_function_version(const nova_function_t *f);

/**
 * When a function was first registered.
 * @param f may be NULL
 * @return microseconds since 1970. Since 0.1.
 */
NOVA_API uint64_t nova_function_created_us(const nova_function_t *f);

/**
 * When a function was last registered.
 * @param f may be NULL
 * @return microseconds since 1970. Since 0.1.
 */
NOVA_API uint64_t nova_function_updated_us(const nova_function_t *f);

/**
 * The value of a property that is a number: "memory_mb", "timeout_s", "vcpus" and so on
 * (nova/property.h, docs/configuration.md).
 * @param f may be NULL
 * @param property its name
 * @return the value in the unit of the property; 0 for every other name. Since 0.1.
 */
NOVA_API uint64_t nova_function_number(const nova_function_t *f, const char *property);

/**
 * The value of a property that is a text, a choice or a list: "runtime", "handler", "network",
 * "env" and so on (nova/property.h, docs/configuration.md).
 * @param f may be NULL
 * @param property its name
 * @param index of a list the entry, from 0 on; else 0
 * @return text that lives as long as the function; NULL behind the last entry, and for every
 * other name. Since 0.1.
 */
NOVA_API const char *nova_function_text(
	const nova_function_t *f, const char *property, size_t index);

/**
 * A function as one JSON object.
 * @param f the function
 * @return text. Yours: free it with nova_free(). NULL if there is no memory. Since 0.1.
 */
NOVA_API char *nova_function_to_json(const nova_function_t *f);

/** Options of nova_template_build() and nova_template_prepare(). Since 0.1. */
typedef struct nova_template_opts {
	size_t size; /**< sizeof(nova_template_opts) */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	/** told what is being made and how long that took last time, as in "making the template of
	 * python, about 9 s, once"; not called if nothing has to be made; NULL: nobody is told */
	nova_progress_fn on_progress;
	void *userdata; /**< first argument of on_progress */
} nova_template_opts;
#define NOVA_TEMPLATE_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_template_opts), 0, 0, 0                                                \
	}

/**
 * Makes the template of a function now, and not at its first call. The VM that is needed for it
 * waits in the pool afterwards.
 * @param nova the platform
 * @param function name of the function
 * @param opts NULL: the defaults
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such function or guest image
 *  - NOVA_ENOTSUP: the engine takes no snapshots, or templates are switched off (setting
 *    `pool.templates`)
 *  - NOVA_EFUNCTION: its code cannot be loaded
 *  - NOVA_ECANCELED: by the token
 *  - the other codes of nova_pool_acquire()
 * Since 0.1.
 */
NOVA_API int nova_template_build(
	nova_t *nova, const char *function, const nova_template_opts *opts, nova_error_t **error);

/**
 * Makes the template of a runtime, which is a guest that has booted, unless it is there. All
 * functions of the runtime, and of others with the same root filesystem, begin with it, if they
 * have the machine of a function that asks for none; so the first call of each need not boot.
 * Templates belong to the state directory, and so to its user.
 * @param nova the platform
 * @param runtime as of nova_function_opts
 * @param opts NULL: the defaults
 * @param ret_made receives 1 if it was made, and 0 if it was there; may be NULL
 * @return 0, or a code:
 *  - NOVA_EINVAL: there is no such runtime
 *  - NOVA_ENOTFOUND: its guest image is missing; the message has the command that makes it
 *  - NOVA_ENOTSUP: the engine takes no snapshots, or templates are switched off (setting
 *    `pool.templates`)
 *  - NOVA_EBUSY: another process has been making it for longer than the setting
 *    `pool.queue_timeout`; or after fork()
 *  - NOVA_EENGINE, NOVA_EAGENT, NOVA_ELOST, NOVA_ETIMEDOUT: the guest did not come up
 *  - NOVA_ENOSPC, NOVA_EPERM: there is no room for it, or it may not be written
 *  - NOVA_ELIMIT: templates may not take that much of the disk (setting `pool.templates_disk`)
 *  - NOVA_ECANCELED: by the token
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_template_prepare(nova_t *nova, const char *runtime,
	const nova_template_opts *opts, int *ret_made, nova_error_t **error);

/* --- calling functions --- */

/** Bits of nova_invoke_opts.flags. Since 0.1. */
enum nova_invoke_flags {
	/** in a VM that nobody has used before, and that ends after the call */
	NOVA_INVOKE_FRESH = 1,
	/** take a snapshot of the VM after a call that succeeds: nova_result_snapshot() has its id.
	   The VM is a fresh one, unless `snapshot` or `instance` is set */
	NOVA_INVOKE_CHECKPOINT = 2,
	/** call it as a program: with `args` and a stdin instead of a payload, which must be NULL.
	   Not of runtimes whose interpreter is kept: Python, Node, those of your own with their
	   protocols. What it prints is nova_result_stdout(). Guests of an image that is older than
	   this library refuse it */
	NOVA_INVOKE_PROGRAM = 4,
};

/**
 * Options of nova_invoke() and nova_queue_submit(); docs/modes.md explains them. Without `flags`,
 * `snapshot` and `instance` a call runs in a VM of the pool, which then waits for more calls. Since
 * 0.1.
 */
typedef struct nova_invoke_opts {
	size_t size;         /**< sizeof(nova_invoke_opts) */
	uint32_t timeout_ms; /**< time limit of the function; 0: the function's own */
	/** how long the call waits for a VM; 0: the setting `pool.queue_timeout` */
	uint32_t queue_timeout_ms;
	const char *request_id;   /**< at most 64 letters, digits, '-' and '_'; NULL: one is made */
	nova_output_fn on_output; /**< called with output as it comes, or NULL */
	/** handed to on_output and on_progress, and given back by nova_call_userdata() */
	void *userdata;
	uint32_t flags;    /**< enum nova_invoke_flags */
	uint32_t reserved; /**< 0 */
	/** name or id of a snapshot of this function: the call runs in a VM that goes on from it,
	 * and that ends after the call; NULL: none */
	const char *snapshot;
	/** as #NOVA_INVOKE_CHECKPOINT, with a name for the snapshot; NULL: none */
	const char *checkpoint_name;
	/** the call runs in this instance, which stays; not with `snapshot` or #NOVA_INVOKE_FRESH.
	 * You may free the handle as soon as nova_invoke() or nova_queue_submit() has returned.
	 * NULL: none */
	nova_instance_t *instance;
	/** ends the call and kills the function; borrowed until the call returns, of
	 * nova_queue_submit() until it is finished; NULL: nothing does */
	nova_interrupt_t *interrupt;
	/** told what the call has to wait for before the function runs, as that of
	 * nova_template_opts; NULL: nobody is told */
	nova_progress_fn on_progress;
	/** to whom its usage belongs (nova/usage.h), and whose share of a plan it takes: at most 64
	 * bytes of UTF-8, without control characters; NULL: nobody */
	const char *key;
	/** what the caller tells besides the payload, as AWS Lambda's ClientContext: the text of a
	 * JSON object, of at most 4096 bytes. A handler has it in its context (`client_context` in
	 * Python, `clientContext` in Node), another program in its variable NOVA_CLIENT_CONTEXT.
	 * Guests of an image that is older than this library are not told. NULL: nothing */
	const char *client_context;
	/** with #NOVA_INVOKE_PROGRAM, as all below: its arguments, UTF-8; as a list of JSON they
	 * may have 32 KiB */
	const char *const *args;
	size_t args_count;
	const void *stdin_data; /**< bytes for its stdin, at most 4 MiB; NULL: it is empty */
	size_t stdin_len;
	/** of WebAssembly: the export that is called instead of "_start", at most 255 bytes. Then
	 * the arguments are its parameters, as numbers, and what it returns is printed on a line of
	 * its own, the last. NULL: "_start" */
	const char *start;
	/** of WebAssembly: what a module finds as its own name, its argument 0, at most 255 bytes;
	 * NULL: it is not told */
	const char *program_name;
} nova_invoke_opts;
#define NOVA_INVOKE_OPTS_INIT                                                                      \
	{                                                                                          \
		sizeof(nova_invoke_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0                                                                          \
	}

/**
 * Runs a function in a microVM and waits for its answer.
 *
 * If it fails, nova_error_outcome() tells whether the function ran.
 *
 * @param nova the platform
 * @param function name; may be NULL if the options give an instance
 * @param payload JSON text of at most 6 MiB, nested at most 512 deep; NULL: "{}"
 * @param opts NULL: defaults
 * @param ret_result receives the result if the function ran, also if it failed; else NULL. Yours:
 * free it with nova_result_free()
 * @param error see nova/base.h
 * @return 0 if the function ran and succeeded, or a code. It did not run:
 *  - NOVA_EINVAL: the payload or the client's context is not JSON, the options contradict each
 * other, the function is none that is called as a program, or the snapshot or instance is of
 * another function
 *  - NOVA_ETOOBIG: the payload, that context, the arguments or stdin are too long, or nested too
 * deep
 *  - NOVA_ENOTFOUND: no such function, guest image or snapshot
 *  - NOVA_EEXIST: the name for the new snapshot is taken
 *  - NOVA_ESTALE: the snapshot is of another version of the function, or of another engine
 *  - NOVA_ENOTSUP: no engine can be used, or the engine takes no snapshots
 *  - NOVA_ELIMIT: no VM was free in time, too many calls wait, or the VM is too large; or the
 * function's rate or what the plan has is used up: see nova_error_limit()
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
