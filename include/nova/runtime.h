/* SPDX-License-Identifier: MIT */
/**
 * @file nova/runtime.h
 * Runtimes: what the code of a function is run by. Some are built in; more are data, which consist
 * of a root filesystem and of a command line.
 *
 *     const char *argv[] = { "/usr/bin/lua5.4", "{file}", "{input}" };
 *     nova_runtime_opts r = NOVA_RUNTIME_OPTS_INIT;
 *     r.name = "lua", r.rootfs = "./lua.ext4", r.argv = argv, r.argv_count = 3;
 *     if (nova_runtime_register(nova, &r, NULL, &error) == 0)
 *             puts("lua is what a function's runtime can be now");
 *
 * docs/runtimes.md shows how a root filesystem is made.
 */
#ifndef NOVA_RUNTIME_H
#define NOVA_RUNTIME_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One runtime. Later releases add members at its end: `size` tells which there are. Since 0.1. */
typedef struct nova_runtime {
	size_t size;
	const char *name;
	const char *alias;        /**< another name of it; NULL: it has none */
	uint32_t built_in;        /**< 1: it cannot be replaced or deleted */
	uint32_t memory_mb;       /**< what a function has that does not say; 0: as others */
	uint32_t least_memory_mb; /**< what a function must have */
	uint32_t timeout_s;       /**< what a function has that does not say; 0: as others */
	uint32_t init_timeout_s;  /**< likewise */
	uint32_t reserved;        /**< 0 */
	/** the file that the root filesystem was copied from, or the name of a guest image */
	const char *rootfs;
	const char *rootfs_hash; /**< SHA-256 of the copy; NULL: it is a guest image */
	/** name of the runtime whose interpreter, started once, serves all calls of a VM; "none":
	 * each call starts a program */
	const char *protocol;
	/** its command line, as in nova_runtime_opts; of a built-in one not told (0) */
	const char *const *argv;
	size_t argv_count;
	uint64_t created_us; /**< microseconds since 1970; 0: it is built in */
} nova_runtime;

/** In nova_runtime_opts.flags: take the place of another runtime of that name. Since 0.1. */
#define NOVA_RUNTIME_REPLACE 1u

/** Bytes that the file of a root filesystem may have. Since 0.1. */
#define NOVA_RUNTIME_ROOTFS_MAX (16ull << 30)

/** What nova_runtime_register() stores. Since 0.1. */
typedef struct nova_runtime_opts {
	size_t size; /**< sizeof(nova_runtime_opts) */
	/** at most 32 letters, digits, '-', '_' and '.', beginning with a letter; not that of a
	 * runtime which is built in; required */
	const char *name;
	/** an ext4 file, by a path with a '/' in it, which is copied; or the name of a guest image
	 * such as "base", which each host has for itself; required */
	const char *rootfs;
	/**
	 * The command line, at most 32 entries of 4096 bytes together. The first is a program, by
	 * its absolute path in the root filesystem. In each, "{file}" becomes the path of the
	 * function's file, "{code}" that of the directory with its code, and "{input}" that of a
	 * file with the payload; without "{input}" the program reads the payload on stdin. "{{" and
	 * "}}" are braces. The output is what it prints on stdout, as with the runtime shell.
	 * The function's file is `handler`, as which code that is one file is stored; if there is
	 * none it is the one that nova_function_opts.handler names, such as "main.lua".
	 * With a protocol: the interpreter and its options, without placeholders; none: the
	 * interpreter is looked for where the protocol's own runtime has it.
	 */
	const char *const *argv;
	size_t argv_count;
	/** "python" or "node": its interpreter is kept, with the module loaded, as in the runtime
	 * of that name; "none" or NULL: each call starts a program */
	const char *protocol;
	uint32_t memory_mb; /**< what a function has that does not say, 64 to 65536; 0: as others */
	uint32_t timeout_s; /**< likewise, at most 86400 */
	uint32_t init_timeout_s; /**< likewise, at most 86400 */
	uint32_t flags;          /**< #NOVA_RUNTIME_REPLACE */
} nova_runtime_opts;
#define NOVA_RUNTIME_OPTS_INIT                                                                     \
	{                                                                                          \
		sizeof(nova_runtime_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0                               \
	}

/**
 * Stores a runtime. Its root filesystem is looked into, without mounting it, and copied: the
 * original may change or go away. To register the same again changes nothing, but puts a copy that
 * is gone or damaged back.
 *
 * A function keeps what its runtime was when the function was registered. A runtime that takes the
 * place of another (#NOVA_RUNTIME_REPLACE) is that of functions which are registered afterwards; to
 * register a function again with it makes a new version of the function.
 * @param nova the platform
 * @param opts the runtime; required
 * @param ret_runtime receives the stored runtime. Yours: free it with nova_runtime_free(). May be
 * NULL
 * @return 0, or a code; then nothing is stored:
 *  - NOVA_EINVAL: a bad option, such as an unknown placeholder or protocol; the message names it
 *  - NOVA_EEXIST: the name is that of a runtime which is built in, or differs from this one and
 *    #NOVA_RUNTIME_REPLACE is not set
 *  - NOVA_ENOTFOUND: there is no such file, image, or program in the root filesystem
 *  - NOVA_ECORRUPT: the file is no ext4 filesystem, cut short, or has not the directories that a
 *    guest mounts on
 *  - NOVA_ETOOBIG: it is larger than #NOVA_RUNTIME_ROOTFS_MAX
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_runtime_register(nova_t *nova, const nova_runtime_opts *opts,
	const nova_runtime **ret_runtime, nova_error_t **error);

/**
 * Looks a runtime up, built in or not.
 * @param nova the platform
 * @param name its name, or its other name
 * @param ret_runtime receives the runtime. Yours: free it with nova_runtime_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name; the message has the nearest one
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_runtime_get(
	nova_t *nova, const char *name, const nova_runtime **ret_runtime, nova_error_t **error);

/**
 * Lists all runtimes: those that are built in, then the others by name.
 * @param nova the platform
 * @param ret_runtimes receives an array. Yours: free it with nova_runtime_list_free()
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_runtime_list(
	nova_t *nova, const nova_runtime ***ret_runtimes, size_t *ret_count, nova_error_t **error);

/**
 * Deletes a runtime that no function has.
 * @param nova the platform
 * @param name its name
 * @return 0, or a code:
 *  - NOVA_EINVAL: it is built in
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EBUSY: functions have it, which the message names; or after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_runtime_delete(nova_t *nova, const char *name, nova_error_t **error);

/**
 * Reads the root filesystem of a runtime, all of it, to see whether it is still as it was
 * registered. Of a guest image its checksum is checked, if the file has changed since the last time
 * and this host's engine has guests.
 * @param nova the platform
 * @param name its name
 * @return 0, or a code:
 *  - NOVA_ECORRUPT: it is damaged; to register the runtime again mends it
 *  - NOVA_ENOTFOUND: there is no runtime of that name, or its root filesystem is gone
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOMEM: as of nova_runtime_register()
 * Since 0.1.
 */
NOVA_API int nova_runtime_check(nova_t *nova, const char *name, nova_error_t **error);

/**
 * Frees a runtime. It stays registered.
 * @param runtime NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_runtime_free(const nova_runtime *runtime);

/**
 * Frees what nova_runtime_list() gave, with the runtimes in it.
 * @param runtimes the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_runtime_list_free(const nova_runtime **runtimes, size_t count);

#ifdef __cplusplus
}
#endif
#endif
