/* SPDX-License-Identifier: MIT */
/* Secrets: one named "s" that comes and goes. */
#include "inject.h"

static char key_file[4096];

static void remove_secret(void)
{
	nova_secret_delete(world.nova, "s", NULL);
}

static int set(nova_error_t **error)
{
	return nova_secret_set(world.nova, "s", "value", 5, error);
}

static void prepare(void)
{
	remove_secret();
	MUST(set(&world.error));
}

/* One more key, so that there is something to rotate. */
static void prepare_rotation(void)
{
	fs_unlink(world.keys);
	MUST(nova_secret_key_create(world.keys, &world.error));
	prepare();
	MUST(nova_secret_key_create(world.keys, &world.error));
}

static int rotate(nova_error_t **error)
{
	size_t count;
	return nova_secret_rotate(world.nova, &count, error);
}

static int list(nova_error_t **error)
{
	const nova_secret **secrets = NULL;
	size_t count = 0;
	int code = nova_secret_list(world.nova, &secrets, &count, error);
	nova_secret_list_free(secrets, count);
	return code < 0 || count == 1 ? code : NOVA_EAGENT;
}

static int delete (nova_error_t **error)
{
	return nova_secret_delete(world.nova, "s", error);
}

static void no_file(void)
{
	snprintf(key_file, sizeof(key_file), "%s/new.key", world.home);
	fs_unlink(key_file);
}

static int create(nova_error_t **error)
{
	return nova_secret_key_create(key_file, error);
}

const struct inject_case secret_cases[] = {
	{ "nova_secret_set", NULL, remove_secret, set, remove_secret },
	{ "nova_secret_list nova_secret_list_free", NULL, prepare, list, remove_secret },
	{ "nova_secret_delete", NULL, prepare, delete, remove_secret },
	{ "nova_secret_rotate", NULL, prepare_rotation, rotate, remove_secret },
	{ "nova_secret_key_create", NULL, no_file, create, no_file },
	{ NULL },
};
