/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>

#include <nova/module.h>

#include "module/module.h"

#ifndef NOVA_LEFT_OUT
#define NOVA_LEFT_OUT "" /* the names of modules that were not built */
#endif

static const struct known {
	const char *name, *what;
} known[MODULES] = {
	[MODULE_COMPRESS] = { "compress", "compressed kernels and snapshots" },
	[MODULE_CRYPTO] = { "crypto", "checksums" },
	[MODULE_CURL] = { "curl", "the engine firecracker" },
	[MODULE_EXT2FS] = { "ext2fs", "disk images" },
	[MODULE_NETLINK] = { "netlink", "guests with a network" },
	[MODULE_POSTGRES] = { "postgres", "functions in PostgreSQL" },
	[MODULE_REDIS] = { "redis", "what hosts share in Redis" },
	[MODULE_SQLITE] = { "sqlite", "the store of functions" },
	[MODULE_YAML] = { "yaml", "files of settings" },
};

/* Each is set once, by whoever comes first: code that was loaded belongs to the process. */
static const struct module_table *loaded[MODULES];

static const struct module_table *loaded_one(enum module module)
{
	return __atomic_load_n(&loaded[module], __ATOMIC_ACQUIRE);
}

const void *module_table(enum module module)
{
	const struct module_table *m = loaded_one(module);
	return m ? m->table : NULL;
}

const char *module_contents(enum module module)
{
	const struct module_table *m = loaded_one(module);
	return m ? m->contents : "";
}

static int find(const struct known *k, char **ret_path, nova_error_t **error)
{
	/* Where it is installed; beside the library, as in a Python package; in the build tree. */
	static const char *const places[] = { "nova/", "", "module/" };
	AUTO_FREE char *file = str_format("nova-%s.so", k->name);
	int r = file ? library_beside(places, ARRAY_LEN(places), file, ret_path) : -ENOMEM;
	if (r == -ENOENT && strstr(NOVA_LEFT_OUT, k->name))
		return nova_fail(error, NOVA_ENOTSUP,
			"this libnova was built without its module %s, for %s: build it with "
			"-D%s=enabled",
			file, k->what, k->name);
	if (r == -ENOENT)
		return nova_fail(error, NOVA_ENOTSUP,
			"libnova's module %s, for %s, is not installed: put it into the directory "
			"nova beside libnova.so",
			file, k->what);
	return r < 0 ? nova_fail_os(error, r, "looking for libnova's module %s", k->name) : 0;
}

static int fail_loading(const char *path, nova_error_t **error)
{
	const char *why = dlerror();
	return nova_fail(error, NOVA_ENOTSUP, "libnova's module '%s' cannot be loaded: %s", path,
		why ? why : "no reason given");
}

static int open_file(
	const struct known *k, const char *path, void **ret_handle, nova_error_t **error)
{
	int code = module_check(path, k->name, error);
	if (code < 0)
		return code;
	int r = sys_load(path, ret_handle);
	return r == 0        ? 0 :
	       r == -ELIBACC ? fail_loading(path, error) :
			       nova_fail_os(error, r, "loading '%s'", path);
}

static int load(const struct known *k, const char *functions, const struct module_table **ret,
	nova_error_t **error)
{
	AUTO_FREE char *path = NULL, *symbol = str_format("nova_module_%s", k->name);
	void *handle = NULL;
	int code = symbol ? find(k, &path, error) : nova_oom(error);
	if (code == 0)
		code = open_file(k, path, &handle, error);
	if (code < 0)
		return code;
	*ret = dlsym(handle, symbol);
	if (!*ret)
		return fail_loading(path, error);
	if (strcmp((*ret)->functions, functions) != 0)
		return nova_fail(error, NOVA_EABI,
			"'%s' was built from other sources than libnova: install both from the "
			"same build",
			path);
	return 0;
}

const char *nova_module_name(size_t i)
{
	return i < MODULES ? known[i].name : NULL;
}

const char *nova_module_purpose(size_t i)
{
	return i < MODULES ? known[i].what : NULL;
}

int module_load(enum module module, const char *functions, nova_error_t **error)
{
	if (loaded_one(module))
		return 0;
	const struct module_table *m = module_builtin(module);
	int code = m ? 0 : load(&known[module], functions, &m, error);
	/* Whoever comes second has the same table. */
	if (code == 0)
		__atomic_store_n(&loaded[module], m, __ATOMIC_RELEASE);
	return code;
}
