/* SPDX-License-Identifier: MIT */
/* Keys: one named "k" that comes and goes; and limits. */
#include "inject.h"

static char key_text[64];

static void remove_key(void)
{
	nova_key_delete(world.nova, "k", NULL);
}

static int create(nova_error_t **error)
{
	const nova_key_opts opts = { sizeof(opts), .name = "k" };
	const nova_key *key = NULL;
	int code = nova_key_create(world.nova, &opts, &key, error);
	bool whole = code < 0 || (key->text && strlen(key->text) < sizeof(key_text));
	if (code == 0 && whole)
		memcpy(key_text, key->text, strlen(key->text) + 1);
	nova_key_free(key);
	return whole ? code : NOVA_EAGENT;
}

static void prepare(void)
{
	remove_key();
	MUST(create(&world.error));
}

static int check(nova_error_t **error)
{
	const nova_key *key = NULL;
	int code = nova_key_check(world.nova, key_text, &key, error);
	bool whole = code < 0 || !strcmp(key->name, "k");
	nova_key_free(key);
	return whole ? code : NOVA_EAGENT;
}

static int check_other(nova_error_t **error)
{
	const nova_key *key = NULL;
	return nova_key_check(world.nova, "nova_x", &key, error);
}

static int get(nova_error_t **error)
{
	const nova_key *key = NULL;
	int code = nova_key_get(world.nova, "k", &key, error);
	nova_key_free(key);
	return code;
}

static int list(nova_error_t **error)
{
	const nova_key **keys = NULL;
	size_t count = 0;
	int code = nova_key_list(world.nova, &keys, &count, error);
	nova_key_list_free(keys, count);
	return code < 0 || count == 1 ? code : NOVA_EAGENT;
}

static int revoke(nova_error_t **error)
{
	return nova_key_revoke(world.nova, "k", error);
}

static int delete (nova_error_t **error)
{
	return nova_key_delete(world.nova, "k", error);
}

static int take(nova_error_t **error)
{
	static unsigned number; /* a new bucket each time */
	char name[16];
	snprintf(name, sizeof(name), "%u", number++);
	const nova_rate_opts opts = { sizeof(opts), .name = name, .rate = 1 };
	return nova_rate_take(world.nova, &opts, NULL, error);
}

static int take_none(nova_error_t **error)
{
	const nova_rate_opts opts = { sizeof(opts), .name = "none", .rate = 1,
		.period_ms = 86400000 };
	nova_rate_take(world.nova, &opts, NULL, NULL);
	return nova_rate_take(world.nova, &opts, NULL, error);
}

const struct inject_case key_cases[] = {
	{ "nova_key_create", NULL, remove_key, create, remove_key },
	{ "nova_key_check nova_key_free", NULL, prepare, check, remove_key },
	{ "nova_key_check", NULL, prepare, check_other, remove_key, .expected = NOVA_ENOTFOUND },
	{ "nova_key_get", NULL, prepare, get, remove_key },
	{ "nova_key_list nova_key_list_free", NULL, prepare, list, remove_key },
	{ "nova_key_revoke", NULL, prepare, revoke, remove_key },
	{ "nova_key_delete", NULL, prepare, delete, remove_key },
	{ "nova_rate_take", NULL, NULL, take, NULL },
	{ "nova_rate_take", NULL, NULL, take_none, NULL, .expected = NOVA_ELIMIT },
	{ NULL },
};
