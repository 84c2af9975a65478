/* SPDX-License-Identifier: MIT */
/* What the suites of the registry share: one open registry in a directory of its own, and a pool
 * that only takes notes. */
#ifndef NOVA_TESTS_REGISTRY_H
#define NOVA_TESTS_REGISTRY_H

#include "hash/hash.h"
#include "platform/platform.h"
#include "settings.h"
#include "test.h"

static nova_error_t *error;
static char *dir;
static nova_config_t *config; /* for what functions keep, which goes with them */
static struct nova nova;
static char forgotten[256];

/* Stands in for the pool's (see meson.build). */
void __wrap_nova_pool_forget(nova_pool_t *pool, const char *key);
void __wrap_nova_pool_forget(nova_pool_t *pool, const char *key)
{
	(void)pool;
	snprintf(forgotten, sizeof(forgotten), "%s", key);
}

void __wrap_pool_want_tick(nova_pool_t *pool);
void __wrap_pool_want_tick(nova_pool_t *pool)
{
	(void)pool;
}

static inline int open_registry(struct nova *n)
{
	*n = (struct nova){ 0 };
	AUTO_FREE char *home = path_join(dir, "home");
	int code = registry_open_in(&n->registry, home, &error);
	if (code == 0)
		kv_init(&n->kv, n->registry.store, config);
	return code;
}

static inline void close_registry(struct nova *n)
{
	kv_done(&n->kv);
	registry_close(&n->registry);
}

static inline void set_up(void)
{
	dir = test_dir();
	AUTO_FREE char *home = path_join(dir, "home");
	config = settings_of(home);
	ck_ok(open_registry(&nova));
}

static inline void tear_down(void)
{
	close_registry(&nova);
	nova_config_free(config);
	nova_error_free(error);
	test_dir_remove(dir);
}

static inline nova_function_opts opts_of(const char *name, const char *code)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = "python";
	o.code = code;
	o.code_len = strlen(code);
	return o;
}

static inline int add(struct nova *n, const char *name, const char *code, uint32_t flags)
{
	nova_function_opts o = opts_of(name, code);
	o.flags = flags;
	return nova_function_register(n, &o, NULL, &error);
}

static inline char *disk_path(const char *hash)
{
	char *path;
	ck_ok(nova.registry.blobs->ops->get(nova.registry.blobs, hash, &path, &error));
	return path;
}

static inline bool has_disk(const char *hash)
{
	return nova.registry.blobs->ops->has(nova.registry.blobs, hash, &error) == 1;
}

static inline char *disks(void)
{
	return path_join(nova.registry.home, "disks");
}

/* Every record has its image, whole; every image has a record; nothing else lies there. */
static void ck_consistent(void)
{
	nova_function_t **functions;
	size_t count;
	char **names, hash[SHA256_HEX];
	ck_ok(nova_function_list(&nova, NULL, &functions, &count, &error));
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *path = disk_path(nova_function_code_hash(functions[i]));
		ck_assert_int_eq(sha256_file_hex(path, hash), 0);
		ck_assert_str_eq(hash, nova_function_code_hash(functions[i]));
	}
	AUTO_FREE char *room = disks();
	int files = fs_list(room, &names);
	ck_assert_int_ge(files, 0);
	for (int f = 0; f < files; f++) {
		bool known = !strcmp(names[f], ".lock");
		for (size_t i = 0; i < count; i++)
			known |= str_starts(names[f], nova_function_code_hash(functions[i]));
		ck_assert_msg(known, "%s is nobody's", names[f]);
	}
	strv_free(names, (size_t)files);
	nova_function_list_free(functions, count);
}

static inline char *write_code(const char *name, const void *data, size_t len)
{
	char *path = path_join(dir, name);
	ck_assert_int_eq(fs_write_file(path, data, len, 0755), 0);
	return path;
}

#endif
