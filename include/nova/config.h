/* SPDX-License-Identifier: MIT */
/**
 * @file nova/config.h
 * Settings: one table of keys, each of which can come from a file, the environment or the program.
 *
 * A value set with nova_config_set() wins over the environment, the environment over the file, the
 * file over the default, whatever the order of the calls. Keys are written with dots, as in
 * "pool.idle_ttl"; in the YAML (or JSON) file each dot is one level of nesting.
 *
 * Durations are a number and a unit: "500ms", "60s", "2m", "1h"; a bare number means seconds.
 *
 * A config object may be used by one thread at a time. nova_open() and nova_host_new() copy it.
 * docs/configuration.md lists every key with its variable and default; nova_config_keys() lists
 * them at run time.
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

/** A config with nothing but defaults. Reads neither files nor environment.
 * @return 0; NOVA_ENOMEM. Since 0.1. */
NOVA_API int nova_config_new(nova_config_t **ret_config, nova_error_t **error);

/** Frees the config. NULL is accepted. Since 0.1. */
NOVA_API void nova_config_free(nova_config_t *config);

/**
 * Reads a YAML or JSON file.
 * @param path the file; NULL: the variable NOVA_CONFIG, else `nova.yaml` in the user's
 * configuration directory (`$XDG_CONFIG_HOME/nova`, `~/.config/nova`), else /etc/nova/nova.yaml.
 * The file that NOVA_CONFIG names must exist; it is no error if there is neither of the other two
 * @return 0; NOVA_ENOTFOUND; NOVA_EPERM if anybody may write in it; NOVA_ECONFIG with file, line
 * and key if it is not YAML, has an unknown key or a value of the wrong kind (the config is then
 * unchanged). Since 0.1.
 */
NOVA_API int nova_config_load(nova_config_t *config, const char *path, nova_error_t **error);

/** Takes over every variable of the environment that belongs to a key.
 * @return 0; NOVA_ECONFIG naming the variable (the config is then unchanged). Since 0.1. */
NOVA_API int nova_config_load_env(nova_config_t *config, nova_error_t **error);

/**
 * For a program that must not do what its environment says, such as a service that others can
 * start: with this config nothing is taken from it. nova_config_load_env() takes nothing,
 * nova_config_load() without a path does not look at NOVA_CONFIG and XDG_CONFIG_HOME, NOVA_KEEPER
 * and NOVA_AGENT name no program, programs are searched in the usual system directories instead of
 * PATH, and the home directory is that of the user database instead of HOME. To be called before
 * anything is loaded or set.
 *
 * A program that runs with rights its user lacks (setuid, setgid, file capabilities) ignores the
 * environment without this call.
 * @return 0; NOVA_EINVAL if something has been loaded or set already. Since 0.1.
 */
NOVA_API int nova_config_ignore_environment(nova_config_t *config, nova_error_t **error);

/** Sets a key. `value` NULL takes an earlier nova_config_set() of the key back.
 * @return 0; NOVA_EINVAL for an unknown key (the nearest is named); NOVA_ECONFIG for a bad value.
 * Since 0.1. */
NOVA_API int nova_config_set(
	nova_config_t *config, const char *key, const char *value, nova_error_t **error);

/** The value in force as text, or NULL for an unknown key. A key without a value gives "".
 * Lives until the config is changed or freed. Since 0.1. */
NOVA_API const char *nova_config_get(const nova_config_t *config, const char *key);

/** Where that value came from, one of #nova_config_source; NOVA_EINVAL for an unknown key. Since
 * 0.1. */
NOVA_API int nova_config_source(const nova_config_t *config, const char *key);

/** A NULL-terminated array of all keys, in the order of the documentation. Static. Since 0.1. */
NOVA_API const char *const *nova_config_keys(void);

/** One line that says what the key does, or NULL for an unknown key. Static. Since 0.1. */
NOVA_API const char *nova_config_describe(const char *key);

/** The variable of the environment that belongs to the key, or NULL. Static. Since 0.1. */
NOVA_API const char *nova_config_variable(const char *key);

#ifdef __cplusplus
}
#endif
#endif
