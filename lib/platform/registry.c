/* SPDX-License-Identifier: MIT */
/* Opening the registry, looking functions up, listing and deleting them. What is stored is made in
 * register.c. */
#include <errno.h>

#include "platform/registry.h"

#define SUGGESTIONS 1000u

static bool is_disk_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == SHA256_HEX - 1 &&
	       !strcmp(name + SHA256_HEX - 1, ".ext4");
}

int registry_check_process(const struct nova *nova, nova_error_t **error)
{
	return nova->host ? host_check_process(nova->host, error) : 0;
}

char *registry_disk_path(const struct nova *nova, const char *code_hash)
{
	return str_format("%s/%s.ext4", nova->disks, code_hash);
}

int registry_lock(struct nova *nova, bool wait, int *ret_fd)
{
	AUTO_FREE char *path = path_join(nova->disks, ".lock");
	return path ? fs_lock(path, wait, ret_fd) : -ENOMEM;
}

void registry_drop_disk(struct nova *nova, const char *code_hash)
{
	AUTO_FREE char *path = NULL;
	if (registry_doomed_disk(nova, code_hash, 0, &path, NULL) == 0 && path)
		fs_unlink(path);
}

int registry_doomed_disk(struct nova *nova, const char *code_hash, uint64_t leaving,
	char **ret_path, nova_error_t **error)
{
	uint64_t users;
	int r = nova->store->ops->count_code_users(nova->store, code_hash, &users, error);
	if (r < 0 || users > leaving)
		return r;
	*ret_path = registry_disk_path(nova, code_hash);
	return *ret_path ? 0 : nova_oom(error);
}

/* What a killed process left behind. Whoever holds the lock is the only one who can be building, so
 * every unfinished image is then a left-over; if somebody else holds it, tidying is for the next
 * time. */
static void tidy(struct nova *nova)
{
	AUTO_FD int lock = -1;
	char **names;
	if (registry_lock(nova, false, &lock) < 0)
		return;
	int count = fs_list(nova->disks, &names);
	for (int i = 0; i < count; i++) {
		if (str_starts(names[i], REGISTRY_UNFINISHED)) {
			AUTO_FREE char *path = path_join(nova->disks, names[i]);
			if (path)
				fs_unlink(path);
		} else if (is_disk_name(names[i])) {
			names[i][SHA256_HEX - 1] = 0;
			registry_drop_disk(nova, names[i]);
		}
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

int registry_open(struct nova *nova, const char *store_name, nova_error_t **error)
{
	const struct store_ops *ops;
	int r = store_find(store_name, &ops, error);
	if (r < 0)
		return r;
	AUTO_FREE char *disks = path_join(nova->home, "disks");
	if (!disks)
		return nova_oom(error);
	r = fs_mkdirs(disks, 0700);
	if (r < 0)
		return nova_fail_os(
			error, r, "cannot make the state directory %s (setting 'home')", disks);
	CLEANUP(store_closep) struct store *store = NULL;
	r = ops->open(nova->home, &store, error);
	if (r == 0)
		r = cache_init(&nova->cache, error);
	if (r < 0)
		return r;
	nova->store = STEAL(store);
	nova->disks = STEAL(disks);
	tidy(nova);
	return 0;
}

void registry_close(struct nova *nova)
{
	if (!nova->store)
		return;
	cache_free(&nova->cache);
	store_closep(&nova->store);
	nova->store = NULL;
	free(STEAL(nova->disks));
}

/* --- looking up --- */

static int fail_not_found(struct nova *nova, const char *name, nova_error_t **error)
{
	char **names = NULL;
	size_t count = 0;
	const char *shown = text_is_utf8(name) ? name : "(not UTF-8)", *nearest = NULL;
	if (nova->store->ops->names(nova->store, SUGGESTIONS, &names, &count, NULL) == 0)
		nearest = str_nearest(name, (const char *const *)names);
	int r = nearest ? nova_fail(error, NOVA_ENOTFOUND,
				  "there is no function '%.80s'; did you mean '%s'?", shown,
				  nearest) :
			  nova_fail(error, NOVA_ENOTFOUND,
				  "there is no function '%.80s'; register it first", shown);
	strv_free(names, count);
	return r;
}

static int read_function(
	struct nova *nova, const char *name, nova_function_t **ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = nova->store->ops->get(nova->store, name, &record, &failure);
	if (r == NOVA_ENOTFOUND)
		return fail_not_found(nova, name, error);
	if (r < 0) {
		if (error)
			*error = STEAL(failure);
		return r;
	}
	*ret = function_new(&record);
	return *ret ? 0 : nova_oom(error);
}

int registry_lookup(
	struct nova *nova, const char *name, nova_function_t **ret_function, nova_error_t **error)
{
	uint64_t stamp;
	int r = nova->store->ops->stamp(nova->store, &stamp, error);
	if (r < 0)
		return r;
	nova_function_t *function = cache_get(&nova->cache, stamp, name);
	if (!function) {
		r = read_function(nova, name, &function, error);
		if (r < 0)
			return r;
		cache_put(&nova->cache, stamp, function);
	}
	*ret_function = function;
	return 0;
}

int nova_function_get(
	nova_t *nova, const char *name, nova_function_t **ret_function, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name, ret_function))
		return NOVA_EINVAL;
	int r = registry_check_process(nova, error);
	return r < 0 ? r : registry_lookup(nova, name, ret_function, error);
}

int nova_function_list(
	nova_t *nova, nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error)
{
	if (ANY_NULL(error, nova, ret_functions, ret_count))
		return NOVA_EINVAL;
	int r = registry_check_process(nova, error);
	if (r < 0)
		return r;
	struct function_record *records;
	size_t count, made = 0;
	r = nova->store->ops->list(nova->store, &records, &count, error);
	if (r < 0)
		return r;
	nova_function_t **functions = count ? calloc(count, sizeof(nova_function_t *)) : NULL;
	while (functions && made < count && (functions[made] = function_new(&records[made])))
		made++;
	record_list_free(records, count);
	if (made < count) {
		nova_function_list_free(functions, made);
		return nova_oom(error);
	}
	*ret_functions = functions;
	*ret_count = count;
	return 0;
}

/* --- deleting --- */

void registry_forget_vms(struct nova *nova, const struct function_record *record)
{
	char key[FUNCTION_POOL_KEY];
	function_pool_key(record, key);
	if (nova->pool)
		nova_pool_forget(nova->pool, key);
}

void registry_tell_pool(struct nova *nova)
{
	if (nova->pool)
		pool_want_tick(nova->pool);
}

/* Record and image. *ret_function is what it was. */
static int remove_stored(
	struct nova *nova, const char *name, nova_function_t **ret_function, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	fs_reserve(nova->home, true);
	int r = registry_lock(nova, true, &lock);
	if (r < 0)
		return nova_fail_os(error, r, "cannot lock %s", nova->disks);
	AUTO_FREE char *disk = NULL;
	r = read_function(nova, name, ret_function, error);
	if (r == 0)
		r = registry_doomed_disk(nova, (*ret_function)->record.code_hash, 1, &disk, error);
	if (r == 0)
		r = nova->store->ops->remove(nova->store, name, error);
	if (r == 0 && disk)
		fs_unlink(disk);
	fs_reserve(nova->home, true);
	return r;
}

int nova_function_delete(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	AUTO_FUNCTION nova_function_t *function = NULL;
	int r = registry_check_process(nova, error);
	if (r == 0)
		r = remove_stored(nova, name, &function, error);
	if (r < 0)
		return r;
	registry_forget_vms(nova, &function->record);
	registry_tell_pool(nova);
	return 0;
}
