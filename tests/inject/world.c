/* SPDX-License-Identifier: MIT */
#include "inject.h"
#include "unit/test.h"

struct world world;

void must(int code, const char *what)
{
	ck_assert_msg(code >= 0, "set-up: %s: %s: %s", what, nova_code_name(code),
		nova_error_message(world.error));
}

static void set(const char *key, const char *value)
{
	MUST(nova_config_set(world.config, key, value, &world.error));
}

int world_register(const char *name, const char *extra, nova_error_t **error)
{
	char code[256], env[256];
	snprintf(code, sizeof(code), "#!/bin/sh\n# %s\nprintf x >>\"$MARK\"\necho '{}'\n", extra);
	snprintf(env, sizeof(env), "MARK=%s", world.mark);
	const char *const variables[] = { env, "OTHER=1" };
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = name;
	opts.runtime = "shell";
	opts.code = code;
	opts.code_len = strlen(code);
	opts.env = variables;
	opts.env_count = ARRAY_LEN(variables);
	opts.flags = NOVA_REGISTER_REPLACE;
	return nova_function_register(world.nova, &opts, NULL, error);
}

const char *world_run_code(const char *code)
{
	static char text[512]; /* memory would be refused */
	snprintf(text, sizeof(text), "printf x >>'%s'; %s", world.mark, code);
	return text;
}

void world_open(void)
{
	world = (struct world){ .home = test_dir() };
	world.mark = path_join(world.home, "mark");
	AUTO_FREE char *cache = path_join(world.home, "cache");
	setenv("XDG_CACHE_HOME", cache, 1);
	MUST(fs_write_file(world.mark, "", 0, 0600));
	MUST(nova_config_new(&world.config, &world.error));
	set("home", world.home);
	set("engine", "fake");
	set("log.calls", "off"); /* a caller writes now and then: no two attempts would be alike */
	world.keys = path_join(world.home, "secret.key");
	MUST(nova_secret_key_create(world.keys, &world.error));
	set("secret.key_file", world.keys);
	MUST(nova_open(world.config, &world.nova, &world.error));
	world.host = nova_host_get(world.nova);
	world.pool = nova_pool_get(world.nova);
	MUST(world_register("f", "", &world.error));
}

void world_close(void)
{
	world_vm_free();
	nova_close(world.nova);
	nova_config_free(world.config);
	test_dir_remove(world.home);
	free(world.mark);
	free(world.keys);
}

char *world_code(const char *extra)
{
	char code[256];
	char *path = path_join(world.home, "code.ext4");
	snprintf(code, sizeof(code), "#!/bin/sh\n# %s\nprintf x >>\"$MARK\"\necho '{}'\n", extra);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = code;
	opts.data_len = strlen(code);
	MUST(nova_disk_build(path, &opts, &world.error));
	return path;
}

void world_vm(void)
{
	if (world.vm && nova_vm_state(world.vm) == NOVA_VM_RUNNING)
		return;
	world_vm_free();
	AUTO_FREE char *code = world_code(""), *env = str_format("MARK=%s", world.mark);
	const char *const variables[] = { env };
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.code_disk = code;
	MUST(nova_vm_start(world.host, &opts, &world.vm, &world.error));
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "shell";
	init.env = variables;
	init.env_count = ARRAY_LEN(variables);
	MUST(nova_vm_init(world.vm, &init, &world.error));
}

void world_vm_free(void)
{
	nova_vm_free(STEAL(world.vm));
}
