/* SPDX-License-Identifier: MIT */
/* version publish, list and delete; alias set, list, delete and rollback. */
#include "novactl.h"

static struct {
	uint32_t second, weight;
	bool force;
} given;

static const struct opt delete_options[] = {
	{ OPT_FLAG, 'f', "force", NULL, "also if an alias points at it", &given.force },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt set_options[] = {
	{ OPT_NUMBER, 0, "second", "VERSION", "another version that shares the calls",
		&given.second },
	{ OPT_NUMBER, 0, "weight", "N", "of 100 calls so many go to the second, 1 to 99",
		&given.weight },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void alias_freep(const nova_alias **alias)
{
	nova_alias_free(*alias);
}

/* 0 after telling that it is no number. */
static uint32_t version_of(const struct verb *verb, const char *word)
{
	char *end;
	unsigned long number = *word >= '0' && *word <= '9' ? strtoul(word, &end, 10) : 0;
	if (number && number <= UINT32_MAX && !*end)
		return (uint32_t)number;
	usage_error(verb, "'%s' is no number of a version", word);
	return 0;
}

/* --- versions --- */

static int publish_run(char **args, int count)
{
	(void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	CLEANUP(function_freep) nova_function_t *function = NULL;
	nova_error_t *error = NULL;
	if (nova_function_publish(nova, args[0], &function, &error) != 0)
		return report(error);
	status = STATUS_OK;
	if (!print_structured(function_json(function), NULL, &status)) {
		function_show(function);
		note("Next: novactl invoke %s:%u, or novactl alias set %s prod %u", args[0],
			nova_function_version(function), args[0], nova_function_version(function));
	}
	return status;
}

static void versions_table(nova_function_t *const *versions, size_t count)
{
	static const char *const headings[] = { "VERSION", "RUNTIME", "HANDLER", "MEMORY", "HASH",
		"CODE" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		const nova_function_t *f = versions[i];
		table_cell(&table, "%u", nova_function_version(f));
		table_cell(&table, "%s", nova_function_text(f, "runtime", 0));
		table_cell(&table, "%s", nova_function_text(f, "handler", 0));
		table_cell(&table, "%u MB", (unsigned)nova_function_number(f, "memory_mb"));
		table_cell(&table, "%.12s", nova_function_code_hash(f));
		table_cell(&table, "%s", nova_function_code_path(f));
	}
	table_end(&table);
}

static json_t *versions_json(nova_function_t *const *versions, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, need(function_json(versions[i])));
	return array;
}

static int list_run(char **args, int count)
{
	(void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	nova_function_t **versions = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	if (nova_function_list_versions(nova, args[0], &versions, &found, &error) != 0)
		return report(error);
	if (!print_structured(versions_json(versions, found), NULL, &status))
		versions_table(versions, found);
	if (!found)
		note("No version of it has been published.");
	nova_function_list_free(versions, found);
	return status;
}

static int delete_one(void *userdata, const char *name)
{
	nova_error_t *error = NULL;
	uint32_t flags = given.force ? NOVA_DELETE_FORCE : 0;
	if (nova_function_delete(userdata, name, flags, &error) != 0)
		return report(error);
	note("Deleted %s.", name);
	return STATUS_OK;
}

static int delete_run(char **args, int count)
{
	int status;
	char name[160], *names[] = { name };
	(void)count;
	uint32_t version = version_of(&verb_version_delete, args[1]);
	if (!version)
		return STATUS_USAGE;
	snprintf(name, sizeof(name), "%.130s:%u", args[0], version);
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? each_name(names, 1, "deleted", delete_one, nova) : status;
}

/* --- aliases --- */

static json_t *alias_json(const nova_alias *a)
{
	return need(json_pack("{s:s, s:s, s:I, s:I, s:I}", "function", a->function, "name", a->name,
		"version", (json_int_t)a->version, "second", (json_int_t)a->second, "weight",
		(json_int_t)a->weight));
}

json_t *aliases_json(const nova_alias *const *aliases, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, alias_json(aliases[i]));
	return array;
}

void aliases_table(const nova_alias *const *aliases, size_t count)
{
	static const char *const headings[] = { "ALIAS", "VERSION", "SECOND", "WEIGHT" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		const nova_alias *a = aliases[i];
		table_cell(&table, "%s", a->name);
		table_cell(&table, "%u", a->version);
		table_cell(&table, a->second ? "%u" : "-", a->second);
		table_cell(&table, a->second ? "%u" : "-", a->weight);
	}
	table_end(&table);
}

static int set(nova_t *nova, const nova_alias_opts *opts)
{
	CLEANUP(alias_freep) const nova_alias *alias = NULL;
	nova_error_t *error = NULL;
	int status = STATUS_OK;
	if (nova_alias_set(nova, opts, &alias, &error) != 0)
		return report(error);
	if (!print_structured(alias_json(alias), NULL, &status))
		aliases_table(&alias, 1);
	return status;
}

static int set_run(char **args, int count)
{
	int status;
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	(void)count;
	opts.function = args[0];
	opts.name = args[1];
	opts.version = version_of(&verb_alias_set, args[2]);
	opts.second = given.second;
	opts.weight = given.weight;
	if (!opts.version)
		return STATUS_USAGE;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? set(nova, &opts) : status;
}

static int list_aliases_run(char **args, int count)
{
	(void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	const nova_alias **aliases = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	if (nova_alias_list(nova, args[0], &aliases, &found, &error) != 0)
		return report(error);
	if (!print_structured(aliases_json(aliases, found), NULL, &status))
		aliases_table(aliases, found);
	nova_alias_list_free(aliases, found);
	return status;
}

struct of_function {
	nova_t *nova;
	const char *name;
};

static int delete_alias(void *userdata, const char *name)
{
	const struct of_function *of = userdata;
	nova_error_t *error = NULL;
	if (nova_alias_delete(of->nova, of->name, name, &error) != 0)
		return report(error);
	note("Deleted %s.", name);
	return STATUS_OK;
}

static int delete_alias_run(char **args, int count)
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	struct of_function of = { nova, args[0] };
	return nova ? each_name(args + 1, count - 1, "deleted", delete_alias, &of) : status;
}

/* The greatest published version below that one; 0: there is none. */
static int version_before(
	nova_t *nova, const char *name, uint32_t version, uint32_t *ret, nova_error_t **error)
{
	nova_function_t **versions = NULL;
	size_t count = 0;
	int code = nova_function_list_versions(nova, name, &versions, &count, error);
	*ret = 0;
	for (size_t i = 0; i < count; i++)
		if (nova_function_version(versions[i]) < version)
			*ret = nova_function_version(versions[i]);
	nova_function_list_free(versions, count);
	return code;
}

static int rollback_run(char **args, int count)
{
	int status;
	(void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	CLEANUP(alias_freep) const nova_alias *alias = NULL;
	nova_error_t *error = NULL;
	nova_alias_opts opts = NOVA_ALIAS_OPTS_INIT;
	opts.function = args[0];
	opts.name = args[1];
	if (nova_alias_get(nova, args[0], args[1], &alias, &error) != 0 ||
		version_before(nova, args[0], alias->version, &opts.version, &error) != 0)
		return report(error);
	return opts.version ? set(nova, &opts) :
			      failure("there is no published version before %u", alias->version);
}

/* --- the verbs --- */

const struct verb verb_version_publish = {
	.name = "version publish",
	.args = "NAME",
	.purpose = "Keep a copy of a function as it is now that never changes.",
	.examples = "  novactl version publish hello\n  novactl invoke hello:3\n",
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = publish_run,
};

const struct verb verb_version_list = {
	.name = "version list",
	.args = "NAME",
	.purpose = "Show the published versions of a function.",
	.examples = "  novactl version list hello\n",
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = list_run,
};

const struct verb verb_version_delete = {
	.name = "version delete",
	.args = "NAME VERSION",
	.purpose = "Delete a published version of a function.",
	.examples = "  novactl version delete hello 3\n",
	.options = delete_options,
	.min_args = 2,
	.max_args = 2,
	.completes_functions = true,
	.run = delete_run,
};

const struct verb verb_alias_set = {
	.name = "alias set",
	.args = "NAME ALIAS VERSION",
	.purpose = "Give a published version a name, or point that name elsewhere.",
	.examples = "  novactl alias set hello prod 3\n"
		    "  novactl alias set hello prod 3 --second 4 --weight 10\n"
		    "  novactl invoke hello:prod\n",
	.options = set_options,
	.min_args = 3,
	.max_args = 3,
	.completes_functions = true,
	.run = set_run,
};

const struct verb verb_alias_list = {
	.name = "alias list",
	.args = "NAME",
	.purpose = "Show the aliases of a function.",
	.examples = "  novactl alias list hello\n",
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = list_aliases_run,
};

const struct verb verb_alias_delete = {
	.name = "alias delete",
	.args = "NAME ALIAS...",
	.purpose = "Delete aliases of a function; the versions stay.",
	.examples = "  novactl alias delete hello prod\n",
	.min_args = 2,
	.max_args = 1000,
	.completes_functions = true,
	.run = delete_alias_run,
};

const struct verb verb_alias_rollback = {
	.name = "alias rollback",
	.args = "NAME ALIAS",
	.purpose = "Point an alias at the published version before its own.",
	.examples = "  novactl alias rollback hello prod\n",
	.min_args = 2,
	.max_args = 2,
	.completes_functions = true,
	.run = rollback_run,
};
