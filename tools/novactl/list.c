/* SPDX-License-Identifier: MIT */
/* list, get and delete: what is in the store. */
#include "novactl.h"

static struct {
	const char *format, *after;
	struct text_list labels;
	uint32_t limit;
	bool force, versions;
} given;

static const struct opt list_options[] = {
	{ OPT_TEXT, 'o', "output", "FORMAT", "table, wide, name, json or yaml [table]",
		&given.format },
	{ OPT_LIST, 'l', "label", "KEY[=VALUE]",
		"only functions that have this label; repeatable, at most 16", &given.labels },
	{ OPT_TEXT, 0, "after", "NAME", "only functions whose names come behind this one",
		&given.after },
	{ OPT_NUMBER, 'n', "limit", "N", "at most so many [all]", &given.limit },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt get_options[] = {
	{ OPT_TEXT, 'o', "output", "FORMAT", "text, json or yaml [text]", &given.format },
	{ OPT_FLAG, 'v', "versions", NULL, "its published versions and its aliases, too",
		&given.versions },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt delete_options[] = {
	{ OPT_FLAG, 'f', "force", NULL,
		"also with published versions, aliases and instances; no error if\n"
		"there is no such function",
		&given.force },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static bool known_format(const char *const *formats, size_t count)
{
	for (size_t i = 0; given.format && i < count; i++)
		if (!strcmp(formats[i], given.format))
			return true;
	return !given.format;
}

static void narrow_row(struct table *table, const nova_function_t *f)
{
	table_cell(table, "%s", nova_function_name(f));
	table_cell(table, "%s", nova_function_text(f, "runtime", 0));
	table_cell(table, "%s", nova_function_text(f, "handler", 0));
	table_cell(table, "%u MB", (unsigned)nova_function_number(f, "memory_mb"));
	table_cell(table, "%u s", (unsigned)nova_function_number(f, "timeout_s"));
	table_cell(table, "%u", nova_function_version(f));
}

static void wide_row(struct table *table, const nova_function_t *f)
{
	narrow_row(table, f);
	table_cell(table, "%u", (unsigned)nova_function_number(f, "vcpus"));
	table_cell(table, "%u", (unsigned)nova_function_number(f, "min_replicas"));
	table_cell(table, "%s", nova_function_id(f));
	table_cell(table, "%.12s", nova_function_code_hash(f));
	table_cell(table, "%s", nova_function_code_path(f));
}

static void list_table(nova_function_t *const *functions, size_t count, bool wide)
{
	static const char *const headings[] = { "NAME", "RUNTIME", "HANDLER", "MEMORY", "TIMEOUT",
		"VERSION", "VCPUS", "MIN", "ID", "HASH", "CODE" };
	struct table table;
	table_begin(&table, wide ? ARRAY_LEN(headings) : 6, headings);
	for (size_t i = 0; i < count; i++)
		(wide ? wide_row : narrow_row)(&table, functions[i]);
	table_end(&table);
}

static json_t *list_json(nova_function_t *const *functions, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, need(function_json(functions[i])));
	return array;
}

static int list_print(nova_function_t *const *functions, size_t count)
{
	int status = STATUS_OK;
	if (print_structured(list_json(functions, count), given.format, &status))
		return status;
	if (given.format && !strcmp(given.format, "name")) {
		for (size_t i = 0; i < count; i++)
			puts(nova_function_name(functions[i]));
		return STATUS_OK;
	}
	list_table(functions, count, given.format && !strcmp(given.format, "wide"));
	if (!count)
		note(given.labels.count ? "No function has these labels." :
					  "There is no function yet. See 'novactl help register'.");
	return STATUS_OK;
}

static int list_run(char **args, int count)
{
	static const char *const formats[] = { "table", "wide", "name", "json", "yaml" };
	(void)args;
	(void)count;
	int status;
	if (!known_format(formats, ARRAY_LEN(formats)))
		return usage_error(&verb_list, "-o: '%s' is not table, wide, name, json or yaml",
			given.format);
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	nova_function_t **functions = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	nova_function_list_opts opts = NOVA_FUNCTION_LIST_OPTS_INIT;
	opts.labels = given.labels.items;
	opts.labels_count = given.labels.count;
	opts.after = given.after;
	opts.limit = given.limit;
	if (nova_function_list(nova, &opts, &functions, &found, &error) != 0)
		return report(error);
	status = list_print(functions, found);
	nova_function_list_free(functions, found);
	return status;
}

struct versions {
	nova_function_t **list;
	const nova_alias **aliases;
	size_t count, alias_count;
};

static void versions_done(struct versions *v)
{
	nova_function_list_free(v->list, v->count);
	nova_alias_list_free(v->aliases, v->alias_count);
}

/* Of the function by its plain name; that of a version has none. */
static int versions_of(nova_t *nova, const char *name, struct versions *v, nova_error_t **error)
{
	if (!given.versions)
		return 0;
	int code = nova_function_list_versions(nova, name, &v->list, &v->count, error);
	return code ? code : nova_alias_list(nova, name, &v->aliases, &v->alias_count, error);
}

static json_t *get_json(const nova_function_t *function, const struct versions *v)
{
	json_t *json = need(function_json(function));
	if (!given.versions)
		return json;
	json_object_set_new(json, "versions", list_json(v->list, v->count));
	json_object_set_new(json, "aliases", aliases_json(v->aliases, v->alias_count));
	return json;
}

static void get_show(const nova_function_t *function, const struct versions *v)
{
	function_show(function);
	for (size_t i = 0; i < v->count; i++)
		print_field("Published", "%u (%.12s)", nova_function_version(v->list[i]),
			nova_function_code_hash(v->list[i]));
	if (v->alias_count)
		aliases_table(v->aliases, v->alias_count);
}

static int get_run(char **args, int count)
{
	static const char *const formats[] = { "text", "json", "yaml" };
	(void)count;
	int status;
	if (!known_format(formats, ARRAY_LEN(formats)))
		return usage_error(&verb_get, "-o: '%s' is not text, json or yaml", given.format);
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	CLEANUP(function_freep) nova_function_t *function = NULL;
	nova_error_t *error = NULL;
	CLEANUP(versions_done) struct versions versions = { NULL, NULL, 0, 0 };
	if (nova_function_get(nova, args[0], &function, &error) != 0 ||
		versions_of(nova, args[0], &versions, &error) != 0)
		return report(error);
	status = STATUS_OK;
	if (!print_structured(get_json(function, &versions), given.format, &status))
		get_show(function, &versions);
	return status;
}

/* Every name is tried; the first failure decides the status. */
static int delete_run(char **args, int count)
{
	int status = STATUS_OK;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	json_t *deleted = need(json_array());
	const uint32_t flags = given.force ? NOVA_DELETE_FORCE : 0;
	for (int i = 0; i < count; i++) {
		nova_error_t *error = NULL;
		int code = nova_function_delete(nova, args[i], flags, &error);
		if (code == 0) {
			json_array_append_new(deleted, json_string(args[i]));
			note("Deleted %s.", args[i]);
		} else if (code == NOVA_ENOTFOUND && given.force) {
			nova_error_free(error);
		} else {
			int failed = report(error);
			status = status ? status : failed;
		}
	}
	if (globals.json)
		print_json(json_pack("{s:o}", "deleted", deleted));
	else
		json_decref(deleted);
	return status;
}

const struct verb verb_list = {
	.name = "list",
	.alias = "ls",
	.args = "",
	.purpose = "Show all functions.",
	.examples = "  novactl list\n  novactl list -o wide\n"
		    "  novactl list --label team=search --json\n",
	.options = list_options,
	.run = list_run,
};

const struct verb verb_get = {
	.name = "get",
	.args = "NAME",
	.purpose = "Show everything about one function.",
	.examples = "  novactl get hello\n  novactl get hello -o yaml\n",
	.options = get_options,
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = get_run,
};

const struct verb verb_delete = {
	.name = "delete",
	.alias = "rm",
	.args = "NAME...",
	.purpose = "Delete functions and their stored code.",
	.examples = "  novactl delete hello\n  novactl rm -f old-one old-two\n",
	.options = delete_options,
	.min_args = 1,
	.max_args = 1000,
	.completes_functions = true,
	.run = delete_run,
};
