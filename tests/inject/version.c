/* SPDX-License-Identifier: MIT */
/* Updates, published versions and aliases, of a function "v" that comes and goes. */
#include "inject.h"

static void remove_function(void)
{
	nova_function_delete(world.nova, "v", NOVA_DELETE_FORCE, NULL);
}

static void prepare(void)
{
	remove_function();
	MUST(world_register("v", "", &world.error));
}

static int publish(nova_error_t **error)
{
	nova_function_t *f = NULL;
	int code = nova_function_publish(world.nova, "v", &f, error);
	bool whole = code < 0 || nova_function_version(f) == 1;
	nova_function_free(f);
	return whole ? code : NOVA_EAGENT;
}

static int set(nova_error_t **error)
{
	const nova_alias_opts opts = { sizeof(opts), .function = "v", .name = "a", .version = 1 };
	const nova_alias *alias = NULL;
	int code = nova_alias_set(world.nova, &opts, &alias, error);
	bool whole = code < 0 || alias->version == 1;
	nova_alias_free(alias);
	return whole ? code : NOVA_EAGENT;
}

static void prepare_version(void)
{
	prepare();
	MUST(publish(&world.error));
}

static void prepare_alias(void)
{
	prepare_version();
	MUST(set(&world.error));
}

static int update(nova_error_t **error)
{
	const nova_function_opts change = { sizeof(change), .memory_mb = 100 };
	nova_function_update_opts opts = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	nova_function_t *f = NULL;
	opts.change = &change;
	int code = nova_function_update(world.nova, "v", &opts, &f, error);
	bool whole = code < 0 || nova_function_number(f, "memory_mb") == 100;
	nova_function_free(f);
	return whole ? code : NOVA_EAGENT;
}

static int list(nova_error_t **error)
{
	nova_function_t **versions = NULL;
	size_t count = 0;
	int code = nova_function_list_versions(world.nova, "v", &versions, &count, error);
	nova_function_list_free(versions, count);
	return code == 0 && count != 1 ? NOVA_EAGENT : code;
}

static int get(nova_error_t **error)
{
	nova_function_t *f = NULL;
	int code = nova_function_get(world.nova, "v:a", &f, error);
	nova_function_free(f);
	return code;
}

static int get_nothing(nova_error_t **error)
{
	nova_function_t *f = NULL;
	return nova_function_get(world.nova, "v:b", &f, error);
}

static int get_alias(nova_error_t **error)
{
	const nova_alias *alias = NULL;
	int code = nova_alias_get(world.nova, "v", "a", &alias, error);
	nova_alias_free(alias);
	return code;
}

static int list_aliases(nova_error_t **error)
{
	const nova_alias **aliases = NULL;
	size_t count = 0;
	int code = nova_alias_list(world.nova, "v", &aliases, &count, error);
	nova_alias_list_free(aliases, count);
	return code == 0 && count != 1 ? NOVA_EAGENT : code;
}

static int delete_alias(nova_error_t **error)
{
	return nova_alias_delete(world.nova, "v", "a", error);
}

static int delete_version(nova_error_t **error)
{
	return nova_function_delete(world.nova, "v:1", NOVA_DELETE_FORCE, error);
}

static int delete_all(nova_error_t **error)
{
	return nova_function_delete(world.nova, "v", NOVA_DELETE_FORCE, error);
}

static int delete_seen(nova_error_t **error)
{
	nova_function_t *seen = NULL;
	nova_function_delete_opts opts = NOVA_FUNCTION_DELETE_OPTS_INIT;
	int code = nova_function_get(world.nova, "v", &seen, error);
	opts.flags = NOVA_DELETE_FORCE;
	opts.if_updated_us = nova_function_updated_us(seen);
	nova_function_free(seen);
	return code ? code : nova_function_delete_with(world.nova, "v", &opts, error);
}

const struct inject_case version_cases[] = {
	{ "nova_function_update", NULL, prepare, update, remove_function, .slow = true },
	{ "nova_function_publish", NULL, prepare, publish, remove_function },
	{ "nova_function_list_versions", NULL, prepare_version, list, remove_function },
	{ "nova_function_get", NULL, prepare_alias, get, remove_function },
	{ "nova_function_get", NULL, prepare_alias, get_nothing, remove_function,
		.expected = NOVA_ENOTFOUND },
	{ "nova_alias_set", NULL, prepare_version, set, remove_function },
	{ "nova_alias_get nova_alias_free", NULL, prepare_alias, get_alias, remove_function },
	{ "nova_alias_list nova_alias_list_free", NULL, prepare_alias, list_aliases,
		remove_function },
	{ "nova_alias_delete", NULL, prepare_alias, delete_alias, remove_function },
	{ "nova_function_delete", NULL, prepare_alias, delete_version, remove_function },
	{ "nova_function_delete", NULL, prepare_alias, delete_all, remove_function },
	{ "nova_function_delete_with", NULL, prepare_alias, delete_seen, remove_function },
	{ NULL },
};
