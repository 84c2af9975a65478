/* SPDX-License-Identifier: MIT */
/**
 * @file nova/key.h
 * Keys for those who call a host program over a network.
 *
 *     nova_key_opts o = NOVA_KEY_OPTS_INIT;
 *     const nova_key *key;
 *     o.name = "ci";
 *     if (nova_key_create(nova, &o, &key, &error) == 0)
 *             puts(key->text); // it is not shown again
 *
 * The library itself asks for none: a program that lets others in (novad does) checks what they
 * send. A key is "nova_" and 40 random hexadecimal digits. The store keeps its SHA-256 and its
 * beginning, by which a person recognises it; nobody can get the key back from that.
 * Any thread, and several processes, as in nova/function.h; with PostgreSQL several hosts.
 */
#ifndef NOVA_KEY_H
#define NOVA_KEY_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One key. Later releases add members at its end: `size` tells which there are. Since 0.1. */
typedef struct nova_key {
	size_t size;
	const char *name;
	/** the key itself, in what nova_key_create() gave; else NULL */
	const char *text;
	const char *prefix;  /**< its first 12 characters */
	const char *tier;    /**< a word for the host program */
	uint64_t expires_us; /**< microseconds since 1970; 0: never */
	uint64_t created_us; /**< microseconds since 1970 */
	uint64_t updated_us; /**< when it was made or revoked */
	uint32_t revoked;    /**< 1: it is not valid any more */
	uint32_t reserved;   /**< 0 */
	/** how often it may call (nova/rate.h): so many in a period; 0: no limit. The library
	 * limits nothing by itself: who checks the key does */
	uint32_t rate;
	uint32_t period_ms;
	uint32_t burst;     /**< so many at once */
	uint32_t reserved2; /**< 0 */
} nova_key;

/** What nova_key_create() makes. Since 0.1. */
typedef struct nova_key_opts {
	size_t size; /**< sizeof(nova_key_opts) */
	/** 1 to 64 letters, digits, '.', '-' and '_', beginning with a letter or digit; required */
	const char *name;
	/** what the host program makes of it, a word like the name; NULL: "default" */
	const char *tier;
	/** from when on it is not valid, in microseconds since 1970, in the future; 0: never */
	uint64_t expires_us;
	uint32_t rate;      /**< calls in a period: 1 to 1000000; 0: no limit */
	uint32_t period_ms; /**< 1 to 86400000; 0: 1000 */
	uint32_t burst;     /**< at once: 1 to 1000000; 0: as `rate` */
	uint32_t reserved;  /**< 0 */
} nova_key_opts;
#define NOVA_KEY_OPTS_INIT                                                                         \
	{                                                                                          \
		sizeof(nova_key_opts), 0, 0, 0, 0, 0, 0, 0                                         \
	}

/**
 * Makes a key. When it returns 0 the key survives a crash.
 * @param nova the platform
 * @param opts the key; required
 * @param ret_key receives it, with its text, which nobody can get again. Yours: free it with
 * nova_key_free(), which overwrites that
 * @return 0, or a code; then there is none:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_EEXIST: there is a key of that name, maybe a revoked one
 *  - NOVA_ENOTSUP: a module of the library is missing; the message names it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_key_create(
	nova_t *nova, const nova_key_opts *opts, const nova_key **ret_key, nova_error_t **error);

/**
 * Whose key that is, if it is valid now. One that was checked before is not looked up again until
 * something in the store changes.
 * @param nova the platform
 * @param text what a client has sent; any text
 * @param ret_key receives the key, without its text. Yours: free it with nova_key_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: it is no key
 *  - NOVA_EPERM: it has been revoked, or is over; the message has its name, and never the key. Or
 * the host refused something: nova_error_os() is not 0 then
 *  - NOVA_ENOTSUP: a module of the library is missing; the message names it
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_key_check(
	nova_t *nova, const char *text, const nova_key **ret_key, nova_error_t **error);

/**
 * Looks a key up by its name.
 * @param nova the platform
 * @param name its name
 * @param ret_key receives it, without its text. Yours: free it with nova_key_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_key_get(
	nova_t *nova, const char *name, const nova_key **ret_key, nova_error_t **error);

/**
 * Lists all keys by name, also those that are not valid any more.
 * @param nova the platform
 * @param ret_keys receives an array. Yours: free it with nova_key_list_free(). NULL if there are
 * none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_key_list(
	nova_t *nova, const nova_key ***ret_keys, size_t *ret_count, nova_error_t **error);

/**
 * Makes a key invalid, and keeps it in the list. Whoever checks it afterwards in this process is
 * told so; other hosts see it once the store has told them. It cannot be undone: make a new one.
 * @param nova the platform
 * @param name its name. One that has been revoked before is no error
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_key_revoke(nova_t *nova, const char *name, nova_error_t **error);

/**
 * Deletes a key, valid or not. Its name is free then.
 * @param nova the platform
 * @param name its name
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_key_delete(nova_t *nova, const char *name, nova_error_t **error);

/**
 * Frees a key object. The key stays.
 * @param key NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_key_free(const nova_key *key);

/**
 * Frees what nova_key_list() gave, with the keys in it.
 * @param keys the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_key_list_free(const nova_key **keys, size_t count);

#ifdef __cplusplus
}
#endif

#endif
