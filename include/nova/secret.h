/* SPDX-License-Identifier: MIT */
/**
 * @file nova/secret.h
 * Values that functions are given and nobody else: passwords, tokens.
 *
 *     const char *const env[] = { "DB_PASSWORD=$SECRET:db" };
 *     nova_function_opts function = NOVA_FUNCTION_OPTS_INIT;
 *     nova_secret_set(nova, "db", "correct horse", 13, &error);
 *     function.env = env; // when it is called it finds the value in DB_PASSWORD
 *     function.env_count = 1;
 *
 * The store has them encrypted (AES-256-GCM) by a key that is not in it: a file named by the
 * setting `secret.key_file`, or the variable NOVA_SECRET_KEY. There may be several keys: the first
 * one encrypts, and each one decrypts what it has encrypted. There is no call that gives a value
 * back. docs/secrets.md tells who sees a value, and when.
 *
 * Any thread, and several processes, as in nova/function.h; with PostgreSQL several hosts, each of
 * which needs the key.
 */
#ifndef NOVA_SECRET_H
#define NOVA_SECRET_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A secret, without its value. Later releases add members at its end: `size` tells which there
 * are. Since 0.1. */
typedef struct nova_secret {
	size_t size;
	const char *name;
	const char *key_id;  /**< which key it is encrypted with: 16 hexadecimal digits */
	uint64_t created_us; /**< microseconds since 1970 */
	uint64_t updated_us; /**< when its value was set last */
} nova_secret;

/**
 * Sets a secret, new or not, to a value. When it returns 0 that survives a crash. Calls that begin
 * afterwards get the new value; on other hosts once the store has told them.
 * @param nova the platform
 * @param name 1 to 64 letters, digits, '.', '-' and '_', beginning with a letter or digit
 * @param value UTF-8 without NUL, at most 65536 bytes. It is not kept; wipe it yourself
 * @param value_len its length; 0: it is empty
 * @return 0, or a code; then nothing has changed, unless the keys could not be read again behind
 * it: set it once more:
 *  - NOVA_EINVAL: a bad name, or the value has a NUL or is not UTF-8
 *  - NOVA_ETOOBIG: the value is too long
 *  - NOVA_ECONFIG: there is no key, or what was given is none; the message says how to get one
 *  - NOVA_EPERM: others can read the file with the key; or the host refused something
 *  - NOVA_ENOTSUP: a module of the library is missing; the message names it
 *  - NOVA_EBUSY: after fork(); or the keys change all the time
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_ENOTFOUND, NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something (the first:
 * the file with the key is not there)
 * Since 0.1.
 */
NOVA_API int nova_secret_set(
	nova_t *nova, const char *name, const void *value, size_t value_len, nova_error_t **error);

/**
 * Lists all secrets by name, without their values. No key is needed for it.
 * @param nova the platform
 * @param ret_secrets receives an array. Yours: free it with nova_secret_list_free(). NULL if there
 * are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_secret_list(
	nova_t *nova, const nova_secret ***ret_secrets, size_t *ret_count, nova_error_t **error);

/**
 * Deletes a secret. Functions that name it fail from then on, before they run, with a message that
 * says so.
 * @param nova the platform
 * @param name its name
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_secret_delete(nova_t *nova, const char *name, nova_error_t **error);

/**
 * Encrypts with the first key whatever is encrypted with another. Secrets can be used meanwhile.
 * One after the other is done: if it is interrupted, call it again, and it goes on. When it
 * returns 0 the other keys are not needed any more.
 * @param nova the platform
 * @param ret_count receives how many there were, also when it fails; may be NULL
 * @return 0, or a code; then all have been done but those that could not be decrypted:
 *  - NOVA_ECONFIG: the message names a secret and the key that is missing; or there is no key
 *  - NOVA_ECORRUPT: a secret, or the store, is damaged; the message names it
 *  - NOVA_EPERM: others can read the file with the key; or the host refused something
 *  - NOVA_ENOTSUP: a module of the library is missing; the message names it
 *  - NOVA_EBUSY: after fork(); or somebody goes on setting secrets with another key
 *  - NOVA_ENOTFOUND, NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_secret_rotate(nova_t *nova, size_t *ret_count, nova_error_t **error);

/**
 * Puts a new key before those that a file has. The file is made (mode 0600) if it is not there, and
 * else replaced at once. Threads and processes that do so at once wait for each other, and all keys
 * are there. Keep a copy of it apart from the store: without it no secret can be read.
 * @param path the file. Its directory exists
 * @return 0, or a code; then the file is as it was:
 *  - NOVA_ECONFIG: the file has something else in it, or no room for one more (16 keys)
 *  - NOVA_EBUSY: others have been at it for two minutes
 *  - NOVA_EPERM: others can read it; or the host refused something
 *  - NOVA_ENOTSUP: a module of the library is missing; the message names it
 *  - NOVA_ENOTFOUND, NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_secret_key_create(const char *path, nova_error_t **error);

/**
 * Frees what nova_secret_list() gave, with the secrets in it.
 * @param secrets the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_secret_list_free(const nova_secret **secrets, size_t count);

#ifdef __cplusplus
}
#endif

#endif
