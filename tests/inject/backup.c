/* SPDX-License-Identifier: MIT */
/* An archive of the world, and a platform of its own into which it is imported. */
#include "inject.h"

static char archive[4096], home[4096];
static nova_t *target;

static void remove_archive(void)
{
	snprintf(archive, sizeof(archive), "%s/all.tar.gz", world.home);
	fs_unlink(archive);
}

static int export_all(nova_error_t **error)
{
	return nova_export(world.nova, archive, error);
}

static void make(void)
{
	remove_archive();
	MUST(export_all(&world.error));
}

static void close_target(void)
{
	nova_close(STEAL(target));
	fs_remove_tree(home);
}

static void open_target(void)
{
	snprintf(home, sizeof(home), "%s/target", world.home);
	MUST(nova_config_set(world.config, "home", home, &world.error));
	MUST(nova_open(world.config, &target, &world.error));
	MUST(nova_config_set(world.config, "home", world.home, &world.error));
}

static int import_all(nova_error_t **error)
{
	return nova_import(target, archive, 0, error);
}

const struct inject_case backup_cases[] = {
	{ "nova_export", NULL, remove_archive, export_all, remove_archive, .slow = true },
	{ "nova_import", make, open_target, import_all, close_target, .slow = true },
	{ NULL },
};
