/* SPDX-License-Identifier: MIT */
/* Settings with a state directory, for what is opened by them. */
#ifndef NOVA_TESTS_SETTINGS_H
#define NOVA_TESTS_SETTINGS_H

#include "registry/registry.h"

static inline nova_config_t *settings_of(const char *home)
{
	nova_config_t *config;
	if (nova_config_new(&config, NULL) < 0 || nova_config_set(config, "home", home, NULL) < 0)
		abort();
	return config;
}

static inline int store_open_in(const struct store_ops *ops, const char *home,
	struct store **ret_store, nova_error_t **ret_error)
{
	nova_config_t *config = settings_of(home);
	int code = ops->open(config, ret_store, ret_error);
	nova_config_free(config);
	return code;
}

static inline int registry_open_in(
	struct registry *registry, const char *home, nova_error_t **ret_error)
{
	nova_config_t *config = settings_of(home);
	int code = registry_open(registry, config, ret_error);
	nova_config_free(config);
	return code;
}

#endif
