/* SPDX-License-Identifier: MIT */
/**
 * @file nova/kv.h
 * What a function keeps between its calls: values under keys, and files with a type.
 *
 *     const nova_kv_entry *entry;
 *     if (nova_kv_get(nova, "hello", "greeting", &entry, &error) == 0) {
 *             puts(entry->value);
 *             nova_kv_entry_free(entry);
 *     }
 *
 * Each function has a space of its own, which all its versions share, and which goes with it when
 * it is deleted. It is in the store, so all hosts that share that have the same, no VM has a copy
 * of it, and no snapshot takes it back. A function reaches its own space, and no other, while it
 * runs. The settings `kv.*` say how much of it there may be. docs/kv.md has more.
 *
 * Any thread, and several processes, as in nova/function.h. In these calls `function` is its name,
 * also with a version or an alias.
 */
#ifndef NOVA_KV_H
#define NOVA_KV_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- values under keys --- */

/** A key with its value. Later releases add members at its end: `size` tells which there are. Since
 * 0.1. */
typedef struct nova_kv_entry {
	size_t size;
	const char *key;
	const void *value;   /**< with a NUL behind it; NULL in what a list gives */
	size_t value_len;    /**< bytes of the value */
	uint64_t version;    /**< each change makes it higher; none is given twice; under 2^53 */
	uint64_t expires_us; /**< in microseconds since 1970; 0: never */
} nova_kv_entry;

/** Flags of nova_kv_put_opts. Since 0.1. */
enum nova_kv_flags {
	NOVA_KV_NEW = 1 << 0, /**< the key is not to be there */
};

/** What is put under a key, and when. Since 0.1. */
typedef struct nova_kv_put_opts {
	size_t size;       /**< sizeof(nova_kv_put_opts) */
	const char *key;   /**< required: 1 to 512 bytes of UTF-8, no control characters */
	const void *value; /**< any bytes, at most the setting `kv.max_value`; NULL: none */
	size_t value_len;  /**< their number */
	/** after so many milliseconds the key is not there any more, at most 10 years; 0: it stays
	 */
	uint64_t ttl_ms;
	uint64_t if_version; /**< the version that it is to have; 0: any, or none */
	uint32_t flags;      /**< bits of #nova_kv_flags */
	uint32_t reserved;   /**< 0 */
} nova_kv_put_opts;
#define NOVA_KV_PUT_OPTS_INIT                                                                      \
	{                                                                                          \
		sizeof(nova_kv_put_opts), 0, 0, 0, 0, 0, 0, 0                                      \
	}

/** Which are listed, of keys or of files. Since 0.1. */
typedef struct nova_kv_list_opts {
	size_t size;        /**< sizeof(nova_kv_list_opts) */
	const char *prefix; /**< those that begin with it; NULL: all */
	const char *after;  /**< the last one of the page before; NULL: begin at the beginning */
	uint32_t limit;     /**< as many at most, up to 1000; 0: 100 */
	uint32_t reserved;  /**< 0 */
} nova_kv_list_opts;
#define NOVA_KV_LIST_OPTS_INIT                                                                     \
	{                                                                                          \
		sizeof(nova_kv_list_opts), 0, 0, 0, 0                                              \
	}

/**
 * Puts a value under a key. When it returns 0 that survives a crash.
 * @param nova the platform
 * @param function whose
 * @param opts the key, the value, and when it is put
 * @param ret_version receives the version that it has now; may be NULL
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a bad key or option; the message names it
 *  - NOVA_ETOOBIG: the value is too long
 *  - NOVA_EEXIST: the key is there (#NOVA_KV_NEW)
 *  - NOVA_EBUSY: it does not have the version `if_version`; or after fork()
 *  - NOVA_ELIMIT: the function has as many keys, or bytes, as the settings `kv.max_keys` and
 *    `kv.max_total` give it
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_ENOTSUP: a newer libnova wrote it, or a module of the library is missing
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_kv_put(nova_t *nova, const char *function, const nova_kv_put_opts *opts,
	uint64_t *ret_version, nova_error_t **error);

/**
 * Gets what is under a key.
 * @param nova the platform
 * @param function whose
 * @param key the key
 * @param ret_entry receives it. Yours: free it with nova_kv_entry_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such key, or function; the message tells which
 *  - NOVA_EINVAL: a bad key
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_kv_get(nova_t *nova, const char *function, const char *key,
	const nova_kv_entry **ret_entry, nova_error_t **error);

/**
 * Deletes a key.
 * @param nova the platform
 * @param function whose
 * @param key the key
 * @param if_version the version that it is to have; 0: any
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_ENOTFOUND: there is no such key, or function; the message tells which
 *  - NOVA_EINVAL: a bad key
 *  - NOVA_EBUSY: it does not have that version; or after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_kv_delete(nova_t *nova, const char *function, const char *key,
	uint64_t if_version, nova_error_t **error);

/**
 * Lists keys in the order of their bytes, without their values. There may be more if there are as
 * many as the limit.
 * @param nova the platform
 * @param function whose
 * @param opts which; NULL: the first 100
 * @param ret_entries receives an array. Yours: free it with nova_kv_list_free(). NULL if there are
 * none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_kv_list(nova_t *nova, const char *function, const nova_kv_list_opts *opts,
	const nova_kv_entry ***ret_entries, size_t *ret_count, nova_error_t **error);

/**
 * Frees what nova_kv_get() gave.
 * @param entry the entry; NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_kv_entry_free(const nova_kv_entry *entry);

/**
 * Frees what nova_kv_list() gave, with the entries in it.
 * @param entries the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_kv_list_free(const nova_kv_entry **entries, size_t count);

/* --- files --- */

/** A file that a function keeps. Later releases add members at its end: `size` tells which there
 * are. Since 0.1. */
typedef struct nova_file {
	size_t size;
	const char *name;
	const char *type;    /**< such as "image/png" */
	const char *sha256;  /**< of the content: 64 hexadecimal digits */
	const void *data;    /**< with a NUL behind it; NULL in what a list gives */
	size_t data_len;     /**< bytes of the content */
	uint64_t updated_us; /**< when it was put, in microseconds since 1970 */
} nova_file;

/** A file that is put. Since 0.1. */
typedef struct nova_file_put_opts {
	size_t size; /**< sizeof(nova_file_put_opts) */
	const char *
		name; /**< required: 1 to 255 bytes of UTF-8, as keys; '/' is a byte as any other */
	/** its media type, 1 to 127 printable characters of ASCII; NULL:
	 * "application/octet-stream" */
	const char *type;
	const void *data; /**< the content, at most the setting `kv.max_file`; NULL: none */
	size_t data_len;  /**< its bytes */
} nova_file_put_opts;
#define NOVA_FILE_PUT_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_file_put_opts), 0, 0, 0, 0                                             \
	}

/**
 * Puts a file; one of that name is replaced. When it returns 0 that survives a crash. Of equal
 * contents of a function one is kept, whatever their names.
 * @param nova the platform
 * @param function whose
 * @param opts the file
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a bad name or type
 *  - NOVA_ETOOBIG: the content is too long
 *  - NOVA_ELIMIT: the function has as many files, or bytes, as the settings `kv.max_files` and
 *    `kv.max_total` give it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_file_put(
	nova_t *nova, const char *function, const nova_file_put_opts *opts, nova_error_t **error);

/**
 * Gets a file.
 * @param nova the platform
 * @param function whose
 * @param name of the file
 * @param ret_file receives it. Yours: free it with nova_file_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such file, or function; the message tells which
 *  - NOVA_EINVAL: a bad name
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_file_get(nova_t *nova, const char *function, const char *name,
	const nova_file **ret_file, nova_error_t **error);

/**
 * Deletes a file.
 * @param nova the platform
 * @param function whose
 * @param name of the file
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_ENOTFOUND: there is no such file, or function; the message tells which
 *  - NOVA_EINVAL: a bad name
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_file_delete(
	nova_t *nova, const char *function, const char *name, nova_error_t **error);

/**
 * Lists files in the order of the bytes of their names, without their contents. There may be more
 * if there are as many as the limit.
 * @param nova the platform
 * @param function whose
 * @param opts which; NULL: the first 100
 * @param ret_files receives an array. Yours: free it with nova_file_list_free(). NULL if there are
 * none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT, NOVA_ENOTSUP, NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: as of
 *    nova_kv_put()
 * Since 0.1.
 */
NOVA_API int nova_file_list(nova_t *nova, const char *function, const nova_kv_list_opts *opts,
	const nova_file ***ret_files, size_t *ret_count, nova_error_t **error);

/**
 * Frees what nova_file_get() gave.
 * @param file the file; NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_file_free(const nova_file *file);

/**
 * Frees what nova_file_list() gave, with the files in it.
 * @param files the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_file_list_free(const nova_file **files, size_t count);

#ifdef __cplusplus
}
#endif

#endif
