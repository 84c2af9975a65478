/* SPDX-License-Identifier: MIT */
/* Publishing: an immutable copy of a function's record, with the number that it has. */
#include "registry/internal.h"

#define TRIES 10

static int keep_blobs(
	struct registry *registry, const struct function_record *r, nova_error_t **error)
{
	int code = blob_keep(registry, r->code_hash, error);
	return code < 0 ? code : blob_keep(registry, image_blob(r->config.image), error);
}

/* Somebody else may change the function between two looks. */
static int publish(
	struct registry *registry, const char *name, uint32_t *ret_version, nova_error_t **error)
{
	struct store *store = registry->store;
	for (int tries = 1;; tries++) {
		AUTO_FUNCTION nova_function_t *function = NULL;
		AUTO_ERROR nova_error_t *failure = NULL;
		int r = read_function(registry, name, &function, error);
		if (r == 0)
			r = keep_blobs(registry, &function->record, error);
		if (r < 0)
			return r;
		r = store->ops->versions->publish(store, &function->record, &failure);
		if (r == NOVA_EBUSY && tries < TRIES)
			continue;
		*ret_version = function->record.version;
		if (r < 0 && error)
			*error = STEAL(failure);
		return r;
	}
}

int registry_publish(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error)
{
	AUTO_FD int lock = -1; /* the function's blobs stay meanwhile */
	struct split_name split;
	uint32_t version = 0;
	int r = name_plain(registry, name, "publish", &split, error);
	if (r == 0)
		r = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (r == 0)
		r = publish(registry, split.base, &version, error);
	return r < 0 ? r : read_version(registry, split.base, version, ret_function, error);
}

int registry_list_versions(struct registry *registry, const char *name,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	struct function_record *records;
	struct split_name split;
	struct store *store = registry->store;
	int r = name_plain(registry, name, "list the versions of", &split, error);
	if (r == 0)
		r = store->ops->versions->list(store, split.base, &records, ret_count, error);
	if (r < 0)
		return r;
	if (!*ret_count && (r = read_function(registry, split.base, &function, error)) < 0)
		return r;
	r = functions_new(records, *ret_count, ret_functions, error);
	for (size_t i = 0; r == 0 && i < *ret_count; i++)
		(*ret_functions)[i]->published = true;
	return r;
}
