/* SPDX-License-Identifier: MIT */
/**
 * @file nova/version.h
 * Versions and aliases: what callers can rely on while a function is being changed.
 *
 *     if (nova_function_publish(nova, "api", &function, &error) == 0) {
 *             nova_alias_opts a = NOVA_ALIAS_OPTS_INIT;
 *             a.function = "api", a.name = "prod", a.version = 1;
 *             nova_alias_set(nova, &a, NULL, &error);
 *     }
 *     nova_invoke(nova, "api:prod", "{}", NULL, &result, &error);
 *
 * The rules are those of AWS Lambda. A function by its name ("api", or "api:latest") is what was
 * registered or updated last. To publish it keeps a copy of its record and code that never changes,
 * under the number of its version ("api:3"). An alias is a name for such a version ("api:prod"), or
 * for two that share the calls. To roll back is to point the alias at an earlier version; what is
 * latest goes only forwards. Numbers of versions that were not published are left out.
 *
 * Each of these names is accepted wherever a function is named: invoke, get, check, instances,
 * templates. A call is that of the version which the name stood for when it began. Calls of one
 * version use its VMs, by whichever name they came; `min_replicas` counts for what is latest.
 * Any thread, and several processes, as in nova/function.h.
 */
#ifndef NOVA_VERSION_H
#define NOVA_VERSION_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Publishes a function as it is now. If that was done before and nothing has changed since, it is
 * the same version, and nothing is done.
 * @param nova the platform
 * @param name name of the function, without a version
 * @param ret_function receives the version. Yours: free it with nova_function_free(). May be NULL
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a version or an alias is named
 *  - NOVA_EBUSY: others change it again and again; or after fork()
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_publish(
	nova_t *nova, const char *name, nova_function_t **ret_function, nova_error_t **error);

/**
 * Lists the published versions of a function by their numbers. nova_function_delete() deletes one.
 * @param nova the platform
 * @param name name of the function, without a version
 * @param ret_functions receives an array. Yours: free it with nova_function_list_free(). NULL if
 * there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a version or an alias is named
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_function_list_versions(nova_t *nova, const char *name,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error);

/** One alias. Later releases add members at its end: `size` tells which there are. Since 0.1. */
typedef struct nova_alias {
	size_t size;
	const char *function; /**< name of the function */
	const char *name;
	uint32_t version;
	uint32_t second;     /**< the version that shares its calls; 0: none does */
	uint32_t weight;     /**< of 100 calls so many go to the second one */
	uint32_t reserved;   /**< 0 */
	uint64_t created_us; /**< microseconds since 1970 */
	uint64_t updated_us;
} nova_alias;

/** What nova_alias_set() stores. Since 0.1. */
typedef struct nova_alias_opts {
	size_t size;          /**< sizeof(nova_alias_opts) */
	const char *function; /**< name of the function, without a version; required */
	/** 1 to 64 letters, digits, '-' and '_', beginning with a letter; not "latest"; required */
	const char *name;
	uint32_t version; /**< published version that it points at; required */
	/** another one that shares its calls, by chance: of 100 as many as `weight`; 0: none */
	uint32_t second;
	uint32_t weight;   /**< 1 to 99 with `second`, else 0 */
	uint32_t reserved; /**< 0 */
} nova_alias_opts;
#define NOVA_ALIAS_OPTS_INIT                                                                       \
	{                                                                                          \
		sizeof(nova_alias_opts), 0, 0, 0, 0, 0, 0                                          \
	}

/**
 * Makes an alias, or points it elsewhere. Each call that begins afterwards goes there.
 * @param nova the platform
 * @param opts the alias; required
 * @param ret_alias receives it. Yours: free it with nova_alias_free(). May be NULL
 * @return 0, or a code; then nothing has changed:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_ENOTFOUND: there is no such function, or it has no such version
 *  - NOVA_EBUSY: the version was deleted meanwhile; or after fork()
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_alias_set(nova_t *nova, const nova_alias_opts *opts, const nova_alias **ret_alias,
	nova_error_t **error);

/**
 * Looks an alias up.
 * @param nova the platform
 * @param function name of the function, without a version
 * @param name name of the alias
 * @param ret_alias receives it. Yours: free it with nova_alias_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EINVAL: a version or an alias is named as the function
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_alias_get(nova_t *nova, const char *function, const char *name,
	const nova_alias **ret_alias, nova_error_t **error);

/**
 * Lists the aliases of a function by name.
 * @param nova the platform
 * @param function name of the function, without a version
 * @param ret_aliases receives an array. Yours: free it with nova_alias_list_free(). NULL if there
 * are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such function
 *  - NOVA_EINVAL: a version or an alias is named as the function
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_alias_list(nova_t *nova, const char *function, const nova_alias ***ret_aliases,
	size_t *ret_count, nova_error_t **error);

/**
 * Deletes an alias. The versions that it pointed at stay.
 * @param nova the platform
 * @param function name of the function, without a version
 * @param name name of the alias
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none of that name
 *  - NOVA_EINVAL: a version or an alias is named as the function
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_alias_delete(
	nova_t *nova, const char *function, const char *name, nova_error_t **error);

/**
 * Frees an alias object. The alias stays.
 * @param alias NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_alias_free(const nova_alias *alias);

/**
 * Frees what nova_alias_list() gave, with the aliases in it.
 * @param aliases the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_alias_list_free(const nova_alias **aliases, size_t count);

#ifdef __cplusplus
}
#endif

#endif
