/* SPDX-License-Identifier: MIT */
/* Deleting functions and versions, with the blobs that nobody needs then. */
#include "registry/internal.h"

/* What else goes with a function; the list is sorted. */
struct doomed {
	struct function_record *versions;
	size_t count;
};

static void doomed_done(struct doomed *doomed)
{
	record_list_free(doomed->versions, doomed->count);
}

static int leave(struct registry *registry, const struct function_record *record,
	const struct doomed *doomed, struct text_list *ret_hashes, nova_error_t **error)
{
	AUTO_FREE const struct function_record **gone = calloc(doomed->count + 1, sizeof(*gone));
	if (!gone)
		return nova_oom(error);
	gone[0] = record;
	for (size_t i = 0; i < doomed->count; i++)
		gone[i + 1] = &doomed->versions[i];
	return blobs_leave(registry, gone, doomed->count + 1, ret_hashes, error);
}

static void remove_blobs(struct registry *registry, const struct text_list *hashes)
{
	for (size_t i = 0; i < hashes->count; i++)
		code_remove(registry, hashes->items[i]);
}

static int fail_has_versions(const char *name, const struct doomed *doomed, nova_error_t **error)
{
	return nova_fail(error, NOVA_EBUSY,
		"function '%s' has %zu published version%s, which callers may name; delete them "
		"first, or all of it at once (NOVA_DELETE_FORCE)",
		name, doomed->count, doomed->count == 1 ? "" : "s");
}

/* Whether it is as it was seen; of a version, which never changes, that is all. */
static int check_seen(const nova_function_delete_opts *opts, const nova_function_t *function,
	nova_error_t **error)
{
	const struct function_record *record = &function->record;
	return !opts->if_updated_us || record->updated_us == opts->if_updated_us ?
		       0 :
		       fail_changed(record->name, error);
}

static int delete_function(struct registry *registry, const char *name,
	const nova_function_delete_opts *opts, nova_function_t **ret_function, nova_error_t **error)
{
	bool force = opts->flags & NOVA_DELETE_FORCE;
	CLEANUP(doomed_done) struct doomed doomed = { NULL, 0 };
	CLEANUP(text_list_done) struct text_list hashes = { NULL, 0 };
	struct store *store = registry->store;
	int r = read_function(registry, name, ret_function, error);
	if (r == 0)
		r = check_seen(opts, *ret_function, error);
	if (r == 0)
		r = store->ops->versions->list(store, name, &doomed.versions, &doomed.count, error);
	if (r == 0 && doomed.count && !force)
		r = fail_has_versions(name, &doomed, error);
	if (r == 0)
		r = leave(registry, &(*ret_function)->record, &doomed, &hashes, error);
	if (r == 0)
		r = store->ops->functions->remove(store, name, force, opts->if_updated_us, error);
	if (r == 0)
		remove_blobs(registry, &hashes);
	return r;
}

/* The aliases that point at a version, for the message. */
static int fail_has_alias(
	struct registry *registry, const char *name, uint32_t version, nova_error_t **error)
{
	struct alias_record *aliases = NULL;
	size_t count = 0;
	const char *first = "?";
	registry->store->ops->aliases->list(registry->store, name, &aliases, &count, NULL);
	for (size_t i = 0; i < count; i++)
		if (aliases[i].version == version || aliases[i].second == version)
			first = aliases[i].alias;
	int r = nova_fail(error, NOVA_EBUSY,
		"version %u of function '%s' is what the alias '%s' points at; point it at "
		"another one first, or delete it with the version (NOVA_DELETE_FORCE)",
		version, name, first);
	alias_record_list_free(aliases, count);
	return r;
}

static int delete_version(struct registry *registry, const struct split_name *split,
	const nova_function_delete_opts *opts, nova_function_t **ret_function, nova_error_t **error)
{
	bool force = opts->flags & NOVA_DELETE_FORCE;
	CLEANUP(text_list_done) struct text_list hashes = { NULL, 0 };
	AUTO_ERROR nova_error_t *failure = NULL;
	const struct doomed none = { NULL, 0 };
	struct store *store = registry->store;
	int r = read_version(registry, split->base, split->version, ret_function, error);
	if (r == 0)
		r = check_seen(opts, *ret_function, error);
	if (r == 0)
		r = leave(registry, &(*ret_function)->record, &none, &hashes, error);
	if (r < 0)
		return r;
	r = store->ops->versions->remove(store, split->base, split->version, force, &failure);
	if (r == NOVA_EBUSY)
		return fail_has_alias(registry, split->base, split->version, error);
	if (r < 0 && error)
		*error = STEAL(failure);
	if (r == 0)
		remove_blobs(registry, &hashes);
	return r;
}

static int delete_named(struct registry *registry, const struct split_name *split,
	const nova_function_delete_opts *opts, nova_function_t **ret_function, nova_error_t **error)
{
	if (split->version)
		return delete_version(registry, split, opts, ret_function, error);
	if (!split->qualifier)
		return delete_function(registry, split->base, opts, ret_function, error);
	return nova_fail(error, NOVA_EINVAL,
		"name: '%.80s' is an alias of '%s', which nova_alias_delete() deletes",
		text_is_utf8(split->qualifier) ? split->qualifier : "(not UTF-8)", split->base);
}

int registry_delete(struct registry *registry, const char *name,
	const nova_function_delete_opts *opts, nova_function_t **ret_function, nova_error_t **error)
{
	AUTO_FD int lock = -1;
	struct split_name split;
	int r = name_split(registry, name, &split, error);
	if (r < 0)
		return r;
	fs_reserve(registry->home, true);
	r = registry->blobs->ops->lock(registry->blobs, true, &lock, error);
	if (r < 0)
		return r;
	r = delete_named(registry, &split, opts, ret_function, error);
	fs_reserve(registry->home, true);
	return r;
}
