/* SPDX-License-Identifier: MIT */
/*
 * The door of config: what other rooms ask a nova_config_t.
 *
 * A config is a table of keys with four layers of values; the strongest layer that holds one wins,
 * so the order of calls does not matter. Every value is checked and brought into its final form
 * when it is set, so the getters cannot fail. Asking for a key that does not exist gives "" or 0;
 * keys are literals of this library.
 */
#ifndef NOVA_LIB_CONFIG_H
#define NOVA_LIB_CONFIG_H

#include <nova/config.h>

#include "base/base.h"

const char *config_str(const nova_config_t *config, const char *key);
uint64_t config_u64(const nova_config_t *config, const char *key); /* integer keys */
uint64_t config_ms(const nova_config_t *config, const char *key);  /* duration keys */
/* Whether the value in force is that of a variable, one of those that the key has of its own. */
bool config_came_from(const nova_config_t *config, const char *key, const char *variable);
/* False after nova_config_ignore_environment(): HOME and PATH, too, do not count then. */
bool config_environment(const nova_config_t *config);

/* A second config with the same values in every layer. */
int config_copy(const nova_config_t *config, nova_config_t **ret_copy, nova_error_t **error);

/* What nova_open(NULL) and nova_host_new(NULL) use: defaults, the configuration file, the
 * environment. */
int config_standard(nova_config_t **ret_config, nova_error_t **error);

/* Takes the text of a YAML or JSON file; `origin` names it in errors. On failure nothing is
 * changed. */
int config_parse(nova_config_t *config, const char *origin, const void *text, size_t len,
	nova_error_t **error);

#define CONFIG_MAX_FILE (1u << 20)

#endif
