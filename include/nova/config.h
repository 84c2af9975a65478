/* SPDX-License-Identifier: MIT */
/**
 * @file nova/config.h
 * Settings: keys with values, from a file, from the environment, or from the program.
 *
 *     nova_config_new(&config, &error);
 *     nova_config_load(config, NULL, &error); // a file, if there is one
 *     nova_config_set(config, "pool.idle_ttl", "5m", &error);
 *     nova_open(config, &nova, &error);
 *     nova_config_free(config);
 *
 * A value from nova_config_set() wins over the environment, the environment over the file, the file
 * over the default. The order of the calls does not matter. Keys have dots in them, as in
 * "pool.idle_ttl"; in the YAML or JSON file each dot is one level of nesting.
 *
 * Durations are a number and a unit: "500ms", "60s", "2m", "1h"; a bare number means seconds.
 *
 * One thread at a time may use a configuration. nova_open() and nova_host_new() copy it.
 * docs/configuration.md lists every key with its variable and default, and so does
 * nova_config_keys() at run time.
 */
#ifndef NOVA_CONFIG_H
#define NOVA_CONFIG_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova_config nova_config_t;

/** Where the value of a key came from, weakest first. Since 0.1. */
enum nova_config_source {
	NOVA_CONFIG_DEFAULT = 0,
	NOVA_CONFIG_FILE = 1,
	NOVA_CONFIG_ENV = 2,
	NOVA_CONFIG_SET = 3,
};

/**
 * Makes a configuration with the defaults alone. Reads neither files nor the environment.
 * @param ret_config receives the configuration. Yours: free it with nova_config_free()
 * @return 0, or a code:
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_config_new(nova_config_t **ret_config, nova_error_t **error);

/**
 * Frees a configuration.
 * @param config NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_config_free(nova_config_t *config);

/**
 * Reads a file in YAML or JSON. After a failure the configuration is as before.
 * @param config the configuration
 * @param path the file. NULL: the one that the variable NOVA_CONFIG names, which must exist; or
 * else the first that exists of `nova.yaml` in `$XDG_CONFIG_HOME/nova` or `~/.config/nova`, and
 * /etc/nova/nova.yaml
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such file
 *  - NOVA_EPERM: it cannot be read, or every user may write to it
 *  - NOVA_ECONFIG: it is not YAML, or has an unknown key or a bad value; the message has file,
 *    line and key
 *  - NOVA_EIO: reading failed
 * Since 0.1.
 */
NOVA_API int nova_config_load(nova_config_t *config, const char *path, nova_error_t **error);

/**
 * Takes over every environment variable that belongs to a key. After a failure the configuration
 * is as before.
 * @param config the configuration
 * @return 0, or a code:
 *  - NOVA_ECONFIG: a variable has a bad value; the message names it
 * Since 0.1.
 */
NOVA_API int nova_config_load_env(nova_config_t *config, nova_error_t **error);

/**
 * Ignores the environment: for a program that others can start, such as a service. Call it before
 * anything is loaded or set. A program with rights that its user lacks (setuid, setgid, file
 * capabilities) ignores the environment even without this call.
 *
 * nova_config_load_env() then does nothing. nova_config_load() without a path does not look at
 * NOVA_CONFIG and XDG_CONFIG_HOME. NOVA_KEEPER and NOVA_AGENT name no program. Programs are
 * searched in the directories of the system and not in PATH, and the home directory is that of the
 * user database and not HOME.
 * @param config the configuration
 * @return 0, or a code:
 *  - NOVA_EINVAL: something was loaded or set before
 * Since 0.1.
 */
NOVA_API int nova_config_ignore_environment(nova_config_t *config, nova_error_t **error);

/**
 * Sets a key.
 * @param config the configuration
 * @param key as "pool.idle_ttl"
 * @param value text; NULL: as if nova_config_set() had never been called for this key
 * @return 0, or a code:
 *  - NOVA_EINVAL: there is no such key; the message names the nearest one
 *  - NOVA_ECONFIG: a bad value
 * Since 0.1.
 */
NOVA_API int nova_config_set(
	nova_config_t *config, const char *key, const char *value, nova_error_t **error);

/**
 * The value of a key now.
 * @param config may be NULL
 * @param key as "pool.idle_ttl"
 * @return text that lives until the configuration is changed or freed, "" if the key has no
 * value; NULL for an unknown key. Since 0.1.
 */
NOVA_API const char *nova_config_get(const nova_config_t *config, const char *key);

/**
 * Where the value of a key comes from.
 * @param config the configuration
 * @param key as "pool.idle_ttl"
 * @return one of #nova_config_source, or a code:
 *  - NOVA_EINVAL: there is no such key
 * Since 0.1.
 */
NOVA_API int nova_config_source(const nova_config_t *config, const char *key);

/**
 * All keys, in the order of docs/configuration.md.
 * @return a static array that ends with NULL. Since 0.1.
 */
NOVA_API const char *const *nova_config_keys(void);

/**
 * What a key does, in one line.
 * @param key as "pool.idle_ttl"
 * @return static text; NULL for an unknown key. Since 0.1.
 */
NOVA_API const char *nova_config_describe(const char *key);

/**
 * The environment variable that belongs to a key.
 * @param key as "pool.idle_ttl"
 * @return static text; NULL if there is none. Since 0.1.
 */
NOVA_API const char *nova_config_variable(const char *key);

#ifdef __cplusplus
}
#endif
#endif
