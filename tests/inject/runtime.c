/* SPDX-License-Identifier: MIT */
/* Runtimes that are data. */
#include "inject.h"

static char *rootfs;

static void make_rootfs(void)
{
	static const char *const directories[] = { "dev", "proc", "sys", "run", "tmp", "code",
		"bin" };
	AUTO_FREE char *tree = path_join(world.home, "tree");
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		AUTO_FREE char *path = path_join(tree, directories[i]);
		MUST(fs_mkdirs(path, 0755));
	}
	AUTO_FREE char *shell = path_join(tree, "bin/sh");
	MUST(fs_write_file(shell, "#!", 2, 0755));
	free(rootfs);
	rootfs = path_join(world.home, "own.ext4");
	opts.source = tree;
	MUST(nova_disk_build(rootfs, &opts, &world.error));
}

static int register_runtime(nova_error_t **error)
{
	static const char *const argv[] = { "/bin/sh", "{file}", "{input}" };
	nova_runtime_opts opts = NOVA_RUNTIME_OPTS_INIT;
	opts.name = "own";
	opts.rootfs = rootfs;
	opts.argv = argv;
	opts.argv_count = ARRAY_LEN(argv);
	const nova_runtime *runtime = NULL;
	int code = nova_runtime_register(world.nova, &opts, &runtime, error);
	bool whole = code < 0 || (!strcmp(runtime->name, "own") && runtime->argv_count == 3);
	nova_runtime_free(runtime);
	return whole ? code : NOVA_EAGENT;
}

static void delete_runtime(void)
{
	nova_runtime_delete(world.nova, "own", NULL);
}

static void prepare_runtime(void)
{
	MUST(register_runtime(&world.error));
}

static int get_runtime(nova_error_t **error)
{
	const nova_runtime *runtime = NULL;
	int code = nova_runtime_get(world.nova, "own", &runtime, error);
	bool whole = code < 0 || strlen(runtime->rootfs_hash) == 64;
	nova_runtime_free(runtime);
	return whole ? code : NOVA_EAGENT;
}

static int list_runtimes(nova_error_t **error)
{
	const nova_runtime **runtimes = NULL;
	size_t count = 0;
	int code = nova_runtime_list(world.nova, &runtimes, &count, error);
	bool whole = code < 0 || !strcmp(runtimes[count - 1]->name, "own");
	nova_runtime_list_free(runtimes, count);
	return whole ? code : NOVA_EAGENT;
}

static int check_runtime(nova_error_t **error)
{
	return nova_runtime_check(world.nova, "own", error);
}

static int delete_it(nova_error_t **error)
{
	return nova_runtime_delete(world.nova, "own", error);
}

const struct inject_case runtime_cases[] = {
	{ "nova_runtime_register", make_rootfs, NULL, register_runtime, delete_runtime,
		.slow = true },
	{ "nova_runtime_get nova_runtime_free", make_rootfs, prepare_runtime, get_runtime,
		delete_runtime },
	{ "nova_runtime_list nova_runtime_list_free", make_rootfs, prepare_runtime, list_runtimes,
		delete_runtime },
	{ "nova_runtime_check", make_rootfs, prepare_runtime, check_runtime, delete_runtime,
		.slow = true },
	{ "nova_runtime_delete", make_rootfs, prepare_runtime, delete_it, delete_runtime },
	{ NULL },
};
