/* SPDX-License-Identifier: MIT */
/* Opening the registry, and what is asked of records. They are looked up in lookup.c, made in
 * register.c and update.c. */
#include <errno.h>

#include "registry/internal.h"

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
	CLEANUP(store_closep) struct store *store = NULL;
	CLEANUP(blobs_closep) struct blobs *blobs = NULL;
	r = blobs_open(config, &blobs, error);
	if (r == 0)
		r = ops->open(config, &store, error);
	if (r == 0)
		r = blobs_share(&blobs, store, config, error);
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
	blobs_closep(&registry->blobs);
	registry->blobs = NULL;
	store_closep(&registry->store);
	registry->store = NULL;
	free(STEAL(registry->home));
}

/* --- what is stored --- */

int registry_list(struct registry *registry, const struct function_filter *filter,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error)
{
	struct function_record *records;
	int r = registry->store->ops->functions->list(
		registry->store, filter, &records, ret_count, error);
	return r < 0 ? r : functions_new(records, *ret_count, ret_functions, error);
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

bool registry_has_key(struct registry *registry, const struct function_record *record)
{
	AUTO_RECORD struct function_record present = { 0 };
	bool published = false;
	struct store *store = registry->store;
	if (store->ops->versions->has(store, record->id, record->version, &published, NULL) < 0 ||
		published)
		return true;
	return registry_read_present(registry, record->name, &present, NULL) == 0 && present.name &&
	       present.version == record->version && !strcmp(present.id, record->id);
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
