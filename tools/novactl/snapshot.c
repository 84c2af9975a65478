/* SPDX-License-Identifier: MIT */
/* snapshot list, delete and prune, and what they share with the templates. */
#include <time.h>

#include "novactl.h"

static json_t *snapshot_json(const nova_snapshot_t *s)
{
	return json_pack("{s:s,s:s,s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s}", "id", nova_snapshot_id(s),
		"name", nova_snapshot_name(s), "has_function", nova_snapshot_has_function(s),
		"draws", nova_snapshot_draws(s), "base", nova_snapshot_base(s), "parent",
		nova_snapshot_parent(s), "created_us", (json_int_t)nova_snapshot_created_us(s),
		"used_us", (json_int_t)nova_snapshot_used_us(s), "life_time_s",
		(json_int_t)nova_snapshot_life_time_s(s), "disk_bytes",
		(json_int_t)nova_snapshot_disk_bytes(s), "path", nova_snapshot_path(s));
}

static void time_cell(struct table *table, uint64_t us)
{
	char text[32];
	struct tm utc;
	time_t seconds = (time_t)(us / 1000000);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
	table_cell(table, "%s", text);
}

static void snapshot_row(struct table *table, const nova_snapshot_t *s)
{
	const char *base = nova_snapshot_base(s), *parent = nova_snapshot_parent(s),
		   *draws = nova_snapshot_draws(s);
	uint64_t life = nova_snapshot_life_time_s(s);
	table_cell(table, "%s", nova_snapshot_name(s));
	table_cell(table, "%s", nova_snapshot_id(s));
	table_cell(table, "%s%s",
		nova_snapshot_has_function(s) ? "a function" :
		*draws                        ? "no function: it draws " :
						"no function",
		draws);
	table_cell(table, "%.1f MB", (double)nova_snapshot_disk_bytes(s) / 1e6);
	time_cell(table, nova_snapshot_created_us(s));
	time_cell(table, nova_snapshot_used_us(s));
	table_cell(table, life ? "%llu s" : "-", (unsigned long long)life);
	table_cell(table, "%s", *parent ? parent : "-");
	table_cell(table, "%s", *base ? base : "-");
}

static int print(nova_snapshot_t *const *list, size_t count, const char *none)
{
	static const char *const headings[] = { "NAME", "ID", "HOLDS", "ON DISK", "CREATED", "USED",
		"LIFE", "PARENT", "BASE" };
	if (globals.json) {
		json_t *array = need(json_array());
		for (size_t i = 0; i < count; i++)
			json_array_append_new(array, need(snapshot_json(list[i])));
		return print_json(array);
	}
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++)
		snapshot_row(&table, list[i]);
	table_end(&table);
	if (!count)
		note("%s", none);
	return STATUS_OK;
}

static int pruned(size_t count, const char *what)
{
	if (globals.json)
		return print_json(json_pack("{s:I}", "pruned", (json_int_t)count));
	note("Deleted %zu %s%s.", count, what, count == 1 ? "" : "s");
	return STATUS_OK;
}

int snapshots_list(snapshot_list_fn list, const char *none)
{
	int status;
	nova_snapshot_t **found = NULL;
	size_t count = 0;
	nova_error_t *error = NULL;
	CLEANUP(host_unrefp) nova_host_t *host = session_host(&status);
	if (!host)
		return status;
	if (list(host, &found, &count, &error) != 0)
		return report(error);
	status = print(found, count, none);
	nova_snapshot_list_free(found, count);
	return status;
}

int snapshots_prune(snapshot_prune_fn prune, const char *what)
{
	int status;
	size_t count = 0;
	nova_error_t *error = NULL;
	CLEANUP(host_unrefp) nova_host_t *host = session_host(&status);
	if (!host)
		return status;
	if (prune(host, &count, &error) != 0)
		return report(error);
	return pruned(count, what);
}

int each_name(char **names, int count, const char *member,
	int (*one)(void *userdata, const char *name), void *userdata)
{
	int status = STATUS_OK;
	json_t *done = need(json_array());
	for (int i = 0; i < count && !interrupted(); i++) {
		int r = one(userdata, names[i]);
		if (r == STATUS_OK)
			json_array_append_new(done, json_string(names[i]));
		else if (status == STATUS_OK && r != LEFT_OUT)
			status = r;
	}
	if (globals.json)
		print_json(json_pack("{s:o}", member, done));
	else
		json_decref(done);
	return status;
}

int each_in_nova(
	char **names, int count, const char *member, int (*one)(void *nova, const char *name))
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? each_name(names, count, member, one, nova) : status;
}

static int list_run(char **args, int count)
{
	(void)args, (void)count;
	return snapshots_list(nova_snapshot_list, "There is no snapshot.");
}

static int delete_one(void *host, const char *name)
{
	nova_error_t *error = NULL;
	if (nova_snapshot_delete(host, name, &error) != 0)
		return report(error);
	note("Deleted %s.", name);
	return STATUS_OK;
}

static int delete_run(char **args, int count)
{
	int status;
	CLEANUP(host_unrefp) nova_host_t *host = session_host(&status);
	return host ? each_name(args, count, "deleted", delete_one, host) : status;
}

static int prune_run(char **args, int count)
{
	(void)args, (void)count;
	return snapshots_prune(nova_snapshot_prune, "snapshot");
}

const struct verb verb_snapshot_list = {
	.name = "snapshot list",
	.args = "",
	.purpose = "Show the snapshots of VMs on disk.",
	.examples = "  novactl snapshot list\n  novactl snapshot list --json\n",
	.run = list_run,
};

const struct verb verb_snapshot_delete = {
	.name = "snapshot delete",
	.args = "NAME...",
	.purpose = "Delete snapshots, by name or id.",
	.examples = "  novactl snapshot delete before-upgrade\n",
	.notes = "A snapshot that a VM runs on, or that another is based on, stays.\n",
	.min_args = 1,
	.max_args = 1000,
	.run = delete_run,
};

const struct verb verb_snapshot_prune = {
	.name = "snapshot prune",
	.args = "",
	.purpose = "Delete the snapshots whose life time is over.",
	.examples = "  novactl snapshot prune\n",
	.run = prune_run,
};
