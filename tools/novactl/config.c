/* SPDX-License-Identifier: MIT */
/* config: every setting, its value and where that comes from. */
#include "novactl.h"

static const char *source_of(const nova_config_t *config, const char *key)
{
	static const char *const names[] = { "default", "file", "environment", "command line" };
	return names[nova_config_source(config, key)];
}

/* What nobody should read over a shoulder, or in a log. */
static const char *value_of(const nova_config_t *config, const char *key)
{
	const char *value = nova_config_get(config, key);
	bool secret = strstr(key, "password") || strstr(key, "dsn");
	return secret && *value ? "(set)" : value;
}

static json_t *setting_json(const nova_config_t *config, const char *key)
{
	const char *variable = nova_config_variable(key);
	return need(json_pack("{s:s,s:s,s:s,s:s,s:s}", "key", key, "value", value_of(config, key),
		"source", source_of(config, key), "variable", variable ? variable : "", "purpose",
		nova_config_describe(key)));
}

static int show(const nova_config_t *config)
{
	static const char *const headings[] = { "KEY", "VALUE", "FROM", "VARIABLE" };
	struct table table;
	json_t *array = need(json_array());
	for (const char *const *key = nova_config_keys(); *key; key++)
		json_array_append_new(array, setting_json(config, *key));
	if (globals.json)
		return print_json(array);
	json_decref(array);
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (const char *const *key = nova_config_keys(); *key; key++) {
		const char *value = value_of(config, *key), *variable = nova_config_variable(*key);
		table_cell(&table, "%s", *key);
		table_cell(&table, "%s", *value ? value : "-");
		table_cell(&table, "%s", source_of(config, *key));
		table_cell(&table, "%s", variable ? variable : "-");
	}
	table_end(&table);
	return STATUS_OK;
}

static int run(char **args, int count)
{
	(void)args, (void)count;
	int status;
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	return config ? show(config) : status;
}

const struct verb verb_config = {
	.name = "config",
	.args = "",
	.purpose = "Show every setting: its value, where that comes from, and its variable.",
	.examples = "  novactl config\n  novactl config --json\n",
	.notes = "Passwords are not shown.\n",
	.run = run,
};
