/* SPDX-License-Identifier: MIT */
/* Opening the registry, looking functions up, listing and deleting them. What is stored is made in
 * register.c. */
#include <errno.h>

#include "registry/internal.h"

#define SUGGESTIONS 1000u

int registry_check_process(const struct registry *registry, nova_error_t **error)
{
	return registry->host ? host_check_process(registry->host, error) : 0;
}

int registry_open(struct registry *registry, const nova_config_t *config, nova_error_t **error)
{
	const struct store_ops *ops = store_find(config);
	AUTO_FREE char *home = NULL;
	int r = path_absolute(config_str(config, "home"), &home);
	if (r < 0)
		return nova_fail_os(error, r, "the state directory (setting 'home')");
	CLEANUP(blobs_closep) struct blobs *blobs = NULL;
	CLEANUP(store_closep) struct store *store = NULL;
	r = blobs_open(config, &blobs, error);
	if (r == 0)
		r = ops->open(config, &store, error);
	if (r == 0)
		r = cache_init(&registry->cache, error);
	if (r < 0)
		return r;
	registry->store = STEAL(store);
	registry->home = STEAL(home);
	registry->blobs = STEAL(blobs);
	blobs_tidy(registry);
	return 0;
}

void registry_close(struct registry *registry)
{
	if (!registry->store)
		return;
	cache_free(&registry->cache);
	store_closep(&registry->store);
	registry->store = NULL;
	blobs_closep(&registry->blobs);
	registry->blobs = NULL;
	free(STEAL(registry->home));
}

/* --- looking up --- */

static int fail_not_found(struct registry *registry, const char *name, nova_error_t **error)
{
	char **names = NULL;
	size_t count = 0;
	const char *shown = text_is_utf8(name) ? name : "(not UTF-8)", *nearest = NULL;
	if (registry->store->ops->functions->names(
		    registry->store, NULL, SUGGESTIONS, &names, &count, NULL) == 0)
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
	struct registry *registry, const char *name, nova_function_t **ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = registry->store->ops->functions->get(registry->store, name, &record, &failure);
	if (r == NOVA_ENOTFOUND)
		return fail_not_found(registry, name, error);
	if (r < 0) {
		if (error)
			*error = STEAL(failure);
		return r;
	}
	*ret = function_new(&record);
	return *ret ? 0 : nova_oom(error);
}

int registry_lookup(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error)
{
	uint64_t stamp;
	int r = registry->store->ops->stamp(registry->store, &stamp, error);
	if (r < 0)
		return r;
	nova_function_t *function = cache_get(&registry->cache, stamp, name);
	if (!function) {
		r = read_function(registry, name, &function, error);
		if (r < 0)
			return r;
		cache_put(&registry->cache, stamp, function);
	}
	*ret_function = function;
	return 0;
}

int registry_list(struct registry *registry, const struct text_list *labels,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error)
{
	struct function_record *records;
	size_t count, made = 0;
	int r = registry->store->ops->functions->list(
		registry->store, labels, &records, &count, error);
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

/* Where the code lay is no property of the function. */
const char *record_difference(const struct function_record *a, const struct function_record *b)
{
	return strcmp(a->code_hash, b->code_hash) ?
		       "code" :
		       function_config_difference(&a->config, &b->config);
}

bool record_same_version(const struct function_record *a, const struct function_record *b)
{
	return !strcmp(a->code_hash, b->code_hash) &&
	       function_config_same_version(&a->config, &b->config);
}

int registry_read_present(struct registry *registry, const char *name, struct function_record *ret,
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = registry->store->ops->functions->get(registry->store, name, ret, &failure);
	if (r < 0 && r != NOVA_ENOTFOUND && error)
		*error = STEAL(failure);
	return r == NOVA_ENOTFOUND ? 0 : r;
}

int registry_has_version(struct registry *registry, const struct function_record *record,
	bool *ret_has, nova_error_t **error)
{
	AUTO_RECORD struct function_record present = { 0 };
	int r = registry_read_present(registry, record->name, &present, error);
	*ret_has = r == 0 && present.name && record_same_version(&present, record);
	return r;
}

int registry_check_code(struct registry *registry, const char *name, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	int code = registry_lookup(registry, name, &function, error);
	if (code < 0)
		return code;
	code = registry->blobs->ops->check(registry->blobs, function->record.code_hash, error);
	return code < 0 ? nova_wrap(error, code, "function '%s'", name) : 0;
}

/* --- deleting --- */

int registry_delete(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error)
{
	AUTO_FD int lock = -1;
	fs_reserve(registry->home, true);
	bool unneeded = false, rootfs_unneeded = false;
	int r = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (r < 0)
		return r;
	r = read_function(registry, name, ret_function, error);
	if (r == 0)
		r = blob_unneeded(registry, (*ret_function)->record.code_hash, 1, &unneeded, error);
	const char *image = r == 0 ? (*ret_function)->record.config.image : "";
	if (r == 0)
		r = image_unneeded(registry, image, &rootfs_unneeded, error);
	if (r == 0)
		r = registry->store->ops->functions->remove(registry->store, name, error);
	if (r == 0 && unneeded)
		code_remove(registry, (*ret_function)->record.code_hash);
	if (r == 0 && rootfs_unneeded)
		registry->blobs->ops->remove(registry->blobs, image_blob(image), NULL);
	fs_reserve(registry->home, true);
	return r;
}
