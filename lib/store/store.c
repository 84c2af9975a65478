/* SPDX-License-Identifier: MIT */
#include "store/store.h"

static const struct store_ops *const all_stores[] = { &store_sqlite };

int store_find(const char *name, const struct store_ops **ret_ops, nova_error_t **error)
{
	for (size_t i = 0; i < ARRAY_LEN(all_stores); i++)
		if (!strcmp(all_stores[i]->name, name)) {
			*ret_ops = all_stores[i];
			return 0;
		}
	return nova_fail(error, NOVA_ENOTSUP,
		"the function store '%s' is not part of libnova " NOVA_VERSION_STRING
		"; set 'store' to sqlite",
		name);
}
