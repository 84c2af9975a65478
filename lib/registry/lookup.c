/* SPDX-License-Identifier: MIT */
/* From a name to a function: as it is now, a published version of it, or what an alias stands for.
 */
#include "registry/internal.h"

#define SUGGESTIONS 1000u

/* --- names --- */

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

/* 0: it is no number that a version can have. */
static uint32_t version_of(const char *text)
{
	uint64_t number = 0;
	for (; is_digit(*text) && number <= UINT32_MAX; text++)
		number = number * 10 + (uint64_t)(*text - '0');
	return *text || number > UINT32_MAX ? 0 : (uint32_t)number;
}

int name_split(
	struct registry *registry, const char *name, struct split_name *ret, nova_error_t **error)
{
	size_t len = strcspn(name, ":");
	*ret = (struct split_name){ .qualifier = name[len] ? name + len + 1 : NULL };
	if (len > RECORD_NAME_MAX)
		return fail_not_found(registry, name, error);
	memcpy(ret->base, name, len);
	if (ret->qualifier && !strcmp(ret->qualifier, ALIAS_LATEST))
		ret->qualifier = NULL;
	ret->version = ret->qualifier ? version_of(ret->qualifier) : 0;
	return 0;
}

int name_plain(struct registry *registry, const char *name, const char *doing,
	struct split_name *ret, nova_error_t **error)
{
	int r = name_split(registry, name, ret, error);
	if (r < 0 || !ret->qualifier)
		return r;
	return nova_fail(error, NOVA_EINVAL,
		"name: '%.130s' is a published version, or an alias; %s the function by its name, "
		"'%s'",
		text_is_utf8(name) ? name : "(not UTF-8)", doing, ret->base);
}

/* --- reading --- */

/* Hands on all failures but that something is not there. */
static int hand_on(int code, nova_error_t **failure, nova_error_t **error)
{
	if (code < 0 && code != NOVA_ENOTFOUND && error)
		*error = STEAL(*failure);
	return code;
}

static int make(
	struct function_record *record, bool published, nova_function_t **ret, nova_error_t **error)
{
	*ret = function_new(record);
	if (*ret)
		(*ret)->published = published;
	return *ret ? 0 : nova_oom(error);
}

int read_function(
	struct registry *registry, const char *name, nova_function_t **ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = hand_on(
		registry->store->ops->functions->get(registry->store, name, &record, &failure),
		&failure, error);
	if (r == NOVA_ENOTFOUND)
		return fail_not_found(registry, name, error);
	return r < 0 ? r : make(&record, false, ret, error);
}

/* The function has no such version or alias, or is not there itself. */
static int fail_no_qualifier(
	struct registry *registry, const char *name, const char *qualifier, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	struct alias_record *aliases = NULL;
	size_t count = 0;
	int r = read_function(registry, name, &function, error);
	if (r < 0)
		return r;
	registry->store->ops->aliases->list(registry->store, name, &aliases, &count, NULL);
	AUTO_FREE const char **names = calloc(count + 1, sizeof(*names));
	for (size_t i = 0; names && i < count; i++)
		names[i] = aliases[i].alias;
	const char *nearest = names ? str_nearest(qualifier, names) : NULL;
	const char *shown = text_is_utf8(qualifier) ? qualifier : "(not UTF-8)";
	r = nearest ? nova_fail(error, NOVA_ENOTFOUND,
			      "function '%s' has no version or alias '%.80s'; did you mean '%s'?",
			      name, shown, nearest) :
		      nova_fail(error, NOVA_ENOTFOUND,
			      "function '%s' has no version or alias '%.80s'; publish it first "
			      "(nova_function_publish), or leave ':%.80s' out",
			      name, shown, shown);
	alias_record_list_free(aliases, count);
	return r;
}

int read_version(struct registry *registry, const char *name, uint32_t version,
	nova_function_t **ret, nova_error_t **error)
{
	AUTO_RECORD struct function_record record = { 0 };
	AUTO_ERROR nova_error_t *failure = NULL;
	char number[16];
	snprintf(number, sizeof(number), "%u", version);
	int r = hand_on(registry->store->ops->versions->get(
				registry->store, name, version, &record, &failure),
		&failure, error);
	if (r == NOVA_ENOTFOUND)
		return fail_no_qualifier(registry, name, number, error);
	return r < 0 ? r : make(&record, true, ret, error);
}

static int read_alias(struct registry *registry, const struct split_name *split,
	struct named_function *ret, nova_error_t **error)
{
	AUTO_ALIAS_RECORD struct alias_record alias = { NULL };
	AUTO_ERROR nova_error_t *failure = NULL;
	int r = hand_on(registry->store->ops->aliases->get(
				registry->store, split->base, split->qualifier, &alias, &failure),
		&failure, error);
	if (r == NOVA_ENOTFOUND)
		return fail_no_qualifier(registry, split->base, split->qualifier, error);
	if (r == 0)
		r = read_version(registry, split->base, alias.version, &ret->function, error);
	if (r == 0 && alias.second)
		r = read_version(registry, split->base, alias.second, &ret->second, error);
	ret->weight = alias.weight;
	return r;
}

static int read_named(struct registry *registry, const char *name, struct named_function *ret,
	nova_error_t **error)
{
	struct split_name split;
	int r = name_split(registry, name, &split, error);
	if (r < 0)
		return r;
	if (split.version)
		return read_version(registry, split.base, split.version, &ret->function, error);
	return split.qualifier ? read_alias(registry, &split, ret, error) :
				 read_function(registry, split.base, &ret->function, error);
}

int registry_lookup(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error)
{
	CLEANUP(named_function_clear) struct named_function named = { .function = NULL };
	uint64_t stamp;
	int r = registry->store->ops->stamp(registry->store, &stamp, error);
	if (r < 0)
		return r;
	*ret_function = cache_get(&registry->cache, stamp, name);
	if (*ret_function)
		return 0;
	r = read_named(registry, name, &named, error);
	if (r == 0)
		*ret_function = cache_put(&registry->cache, stamp, name, &named);
	return r;
}

int functions_new(
	struct function_record *records, size_t count, nova_function_t ***ret, nova_error_t **error)
{
	size_t made = 0;
	nova_function_t **functions = count ? calloc(count, sizeof(nova_function_t *)) : NULL;
	while (functions && made < count && (functions[made] = function_new(&records[made])))
		made++;
	record_list_free(records, count);
	if (made < count) {
		nova_function_list_free(functions, made);
		return nova_oom(error);
	}
	*ret = functions;
	return 0;
}
