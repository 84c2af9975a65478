/* SPDX-License-Identifier: MIT */
#include "store/store.h"

/* A database that was asked for by a variable of libnova, a file or a call is to be used; one that
 * is only in DATABASE_URL may be there for something else. */
static bool has_database(const nova_config_t *config)
{
	return nova_config_source(config, "postgres.dsn") != NOVA_CONFIG_DEFAULT &&
	       !config_came_from(config, "postgres.dsn", "DATABASE_URL");
}

const struct store_ops *store_find(const nova_config_t *config)
{
	const char *name = config_str(config, "store");
	bool postgres = !strcmp(name, "auto") ? has_database(config) : !strcmp(name, "postgres");
	return postgres ? &store_postgres : &store_sqlite;
}
