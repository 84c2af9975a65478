/* SPDX-License-Identifier: MIT */
/* Aliases: names for published versions. */
#include "registry/internal.h"

struct alias {
	nova_alias is; /* first: what others see of it */
	struct alias_record record;
};

void nova_alias_free(const nova_alias *alias)
{
	struct alias *own = (struct alias *)(uintptr_t)alias;
	if (own)
		alias_record_clear(&own->record);
	free(own);
}

void nova_alias_list_free(const nova_alias **aliases, size_t count)
{
	for (size_t i = 0; aliases && i < count; i++)
		nova_alias_free(aliases[i]);
	free(aliases);
}

/* Takes the content of the record. NULL: out of memory, and it is as it was. */
static const nova_alias *alias_new(struct alias_record *record)
{
	struct alias *alias = malloc(sizeof(*alias));
	if (!alias)
		return NULL;
	alias->record = *record;
	memset(record, 0, sizeof(*record));
	const struct alias_record *r = &alias->record;
	alias->is = (nova_alias){
		.size = sizeof(nova_alias),
		.function = r->name,
		.name = r->alias,
		.version = r->version,
		.second = r->second,
		.weight = r->weight,
		.created_us = r->created_us,
		.updated_us = r->updated_us,
	};
	return &alias->is;
}

static int take(struct alias_record *record, const nova_alias **ret, nova_error_t **error)
{
	*ret = alias_new(record);
	return *ret ? 0 : nova_oom(error);
}

/* --- setting --- */

static int check_presence(const nova_alias_opts *o, nova_error_t **error)
{
	if (!o->function || !o->name)
		return nova_fail(
			error, NOVA_EINVAL, "%s: required", o->function ? "name" : "function");
	return opts_reserved(o->reserved, "nova_alias_opts", error);
}

static int record_from_opts(struct alias_record *r, const struct split_name *split,
	const nova_alias_opts *o, nova_error_t **error)
{
	r->name = strdup(split->base);
	r->alias = strdup(o->name);
	r->version = o->version;
	r->second = o->second;
	r->weight = o->weight;
	r->created_us = r->updated_us = clock_unix_us();
	return r->name && r->alias ? alias_record_check(r, NOVA_EINVAL, error) : nova_oom(error);
}

/* Both versions must be there; the first one has the function's id. An alias that takes another's
 * place has its age. */
static int find_versions(struct registry *registry, struct alias_record *r, nova_error_t **error)
{
	AUTO_ALIAS_RECORD struct alias_record present = { NULL };
	AUTO_FUNCTION nova_function_t *first = NULL, *second = NULL;
	int code = read_version(registry, r->name, r->version, &first, error);
	if (code == 0 && r->second)
		code = read_version(registry, r->name, r->second, &second, error);
	if (code < 0)
		return code;
	r->id = strdup(first->record.id);
	if (registry->store->ops->aliases->get(
		    registry->store, r->name, r->alias, &present, NULL) == 0)
		r->created_us = present.created_us;
	return r->id ? 0 : nova_oom(error);
}

static int put(struct registry *registry, const struct alias_record *r, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = registry->store->ops->aliases->put(registry->store, r, &failure);
	if (code == NOVA_EBUSY)
		return nova_fail(error, NOVA_EBUSY,
			"a version of '%s' was deleted meanwhile; choose another one", r->name);
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

int registry_set_alias(struct registry *registry, const nova_alias_opts *o,
	const nova_alias **ret_alias, nova_error_t **error)
{
	AUTO_ALIAS_RECORD struct alias_record record = { NULL };
	struct split_name split;
	int code = check_presence(o, error);
	if (code == 0)
		code = name_plain(registry, o->function, "name", &split, error);
	if (code == 0)
		code = record_from_opts(&record, &split, o, error);
	if (code == 0)
		code = find_versions(registry, &record, error);
	const nova_alias *alias = code == 0 ? alias_new(&record) : NULL;
	if (!alias)
		return code < 0 ? code : nova_oom(error);
	code = put(registry, &((const struct alias *)alias)->record, error);
	if (code < 0)
		nova_alias_free(alias);
	else
		*ret_alias = alias;
	return code;
}

/* --- looking and deleting --- */

int registry_get_alias(struct registry *registry, const char *function, const char *name,
	const nova_alias **ret_alias, nova_error_t **error)
{
	AUTO_ALIAS_RECORD struct alias_record record = { NULL };
	struct split_name split;
	int code = name_plain(registry, function, "name", &split, error);
	if (code == 0)
		code = registry->store->ops->aliases->get(
			registry->store, split.base, name, &record, error);
	return code < 0 ? code : take(&record, ret_alias, error);
}

int registry_list_aliases(struct registry *registry, const char *function,
	const nova_alias ***ret_aliases, size_t *ret_count, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	struct alias_record *records;
	struct split_name split;
	size_t count, made = 0;
	int code = name_plain(registry, function, "name", &split, error);
	if (code == 0)
		code = read_function(registry, split.base, &found, error);
	if (code == 0)
		code = registry->store->ops->aliases->list(
			registry->store, split.base, &records, &count, error);
	if (code < 0)
		return code;
	const nova_alias **all = count ? calloc(count, sizeof(*all)) : NULL;
	while (all && made < count && (all[made] = alias_new(&records[made])))
		made++;
	alias_record_list_free(records, count);
	if (made < count) {
		nova_alias_list_free(all, made);
		return nova_oom(error);
	}
	*ret_aliases = all;
	*ret_count = count;
	return 0;
}

int registry_delete_alias(
	struct registry *registry, const char *function, const char *name, nova_error_t **error)
{
	struct split_name split;
	int code = name_plain(registry, function, "name", &split, error);
	return code < 0 ? code :
			  registry->store->ops->aliases->remove(
				  registry->store, split.base, name, error);
}
