/* SPDX-License-Identifier: MIT */
/* runtime add, list, show and remove: what functions are run by. */
#include "novactl.h"

static struct {
	const char *rootfs, *protocol;
	uint32_t memory_mb, timeout_ms, init_timeout_ms;
	bool replace;
} given;

static const struct opt add_options[] = {
	{ OPT_TEXT, 0, "rootfs", "PATH",
		"ext4 file, by a path with a '/' in it, which is copied; or the\n"
		"name of a guest image, such as base (required)",
		&given.rootfs },
	{ OPT_TEXT, 0, "protocol", "NAME",
		"python or node: the interpreter is kept with the module loaded;\n"
		"none: each call starts a program [none]",
		&given.protocol },
	{ OPT_MEMORY, 'm', "memory", "MB", "memory of functions that do not say",
		&given.memory_mb },
	{ OPT_DURATION, 't', "timeout", "TIME", "time limit of their calls", &given.timeout_ms },
	{ OPT_DURATION | OPT_FROM_0, 0, "init-timeout", "TIME", "time limit of their imports",
		&given.init_timeout_ms },
	{ OPT_FLAG, 0, "replace", NULL, "take the place of another runtime of that name",
		&given.replace },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void runtime_freep(const nova_runtime **runtime)
{
	nova_runtime_free(*runtime);
}

/* --- showing --- */

static json_t *argv_json(const nova_runtime *r)
{
	json_t *argv = need(json_array());
	for (size_t i = 0; i < r->argv_count; i++)
		json_array_append_new(argv, need(json_string(r->argv[i])));
	return argv;
}

static json_t *runtime_json(const nova_runtime *r)
{
	return need(json_pack("{s:s, s:s?, s:b, s:s, s:s?, s:s, s:o, s:I, s:I, s:I, s:I}", "name",
		r->name, "alias", r->alias, "built_in", (int)r->built_in, "rootfs", r->rootfs,
		"rootfs_hash", r->rootfs_hash, "protocol", r->protocol, "argv", argv_json(r),
		"memory_mb", (json_int_t)r->memory_mb, "least_memory_mb",
		(json_int_t)r->least_memory_mb, "timeout_s", (json_int_t)r->timeout_s,
		"init_timeout_s", (json_int_t)r->init_timeout_s));
}

static void show_number(const char *label, uint32_t number, const char *unit)
{
	if (number)
		print_field(label, "%u %s", number, unit);
	else
		print_field(label, "as others");
}

static void runtime_show(const nova_runtime *r)
{
	print_field("Name", "%s", r->name);
	if (r->alias)
		print_field("Alias", "%s", r->alias);
	print_field("Kind", "%s", r->built_in ? "built in" : "your own");
	print_field("Root files", "%s", r->rootfs);
	if (r->rootfs_hash)
		print_field("Root hash", "%s", r->rootfs_hash);
	print_field("Protocol", "%s", r->protocol);
	for (size_t i = 0; i < r->argv_count; i++)
		print_field("Command", "%s", r->argv[i]);
	show_number("Memory", r->memory_mb, "MB");
	print_field("At least", "%u MB", r->least_memory_mb);
	show_number("Timeout", r->timeout_s, "seconds");
	show_number("Init timeout", r->init_timeout_s, "seconds");
}

static int print_runtime(const nova_runtime *r)
{
	int status = STATUS_OK;
	if (!print_structured(runtime_json(r), NULL, &status))
		runtime_show(r);
	return status;
}

/* --- verbs --- */

static uint32_t seconds(uint32_t ms)
{
	return ms / 1000 + (ms % 1000 != 0);
}

static int add_run(char **args, int count)
{
	int status;
	if (!given.rootfs)
		return usage_error(&verb_runtime_add,
			"--rootfs is required: an ext4 file, or the name of a guest image");
	nova_runtime_opts opts = NOVA_RUNTIME_OPTS_INIT;
	opts.name = args[0];
	opts.rootfs = given.rootfs;
	opts.argv = (const char *const *)(args + 1);
	opts.argv_count = (size_t)count - 1;
	opts.protocol = given.protocol;
	opts.memory_mb = given.memory_mb;
	opts.timeout_s = seconds(given.timeout_ms);
	opts.init_timeout_s = seconds(given.init_timeout_ms);
	opts.flags = given.replace ? NOVA_RUNTIME_REPLACE : 0;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	CLEANUP(runtime_freep) const nova_runtime *runtime = NULL;
	nova_error_t *error = NULL;
	progress_start("copying the root filesystem");
	int code = nova_runtime_register(nova, &opts, &runtime, &error);
	progress_stop();
	if (code != 0)
		return report(error);
	status = print_runtime(runtime);
	if (!globals.json)
		note("Next: novactl register NAME --runtime %s --code PATH", args[0]);
	return status;
}

static void list_table(const nova_runtime *const *runtimes, size_t count)
{
	static const char *const headings[] = { "NAME", "KIND", "ROOTFS", "PROTOCOL", "COMMAND" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		const nova_runtime *r = runtimes[i];
		table_cell(&table, "%s", r->name);
		table_cell(&table, "%s", r->built_in ? "built in" : "own");
		table_cell(&table, "%s", r->rootfs);
		table_cell(&table, "%s", r->protocol);
		table_cell(&table, "%s%s", r->argv_count ? r->argv[0] : "",
			r->argv_count > 1 ? " ..." : "");
	}
	table_end(&table);
}

static int list_run(char **args, int count)
{
	(void)args, (void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	const nova_runtime **runtimes = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	if (nova_runtime_list(nova, &runtimes, &found, &error) != 0)
		return report(error);
	json_t *array = need(json_array());
	for (size_t i = 0; i < found; i++)
		json_array_append_new(array, runtime_json(runtimes[i]));
	if (!print_structured(array, NULL, &status))
		list_table(runtimes, found);
	nova_runtime_list_free(runtimes, found);
	return status;
}

static int show_run(char **args, int count)
{
	(void)count;
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	CLEANUP(runtime_freep) const nova_runtime *runtime = NULL;
	nova_error_t *error = NULL;
	if (nova_runtime_get(nova, args[0], &runtime, &error) != 0)
		return report(error);
	return print_runtime(runtime);
}

static int remove_one(void *nova, const char *name)
{
	nova_error_t *error = NULL;
	if (nova_runtime_delete(nova, name, &error) != 0)
		return report(error);
	note("Removed %s.", name);
	return STATUS_OK;
}

static int remove_run(char **args, int count)
{
	return each_in_nova(args, count, "removed", remove_one);
}

const struct verb verb_runtime_add = {
	.name = "runtime add",
	.args = "NAME [-- PROGRAM [ARG...]]",
	.purpose =
		"Store a runtime of your own: a root filesystem, and the command line of a call.",
	.examples =
		"  novactl runtime add lua --rootfs ./lua.ext4 -- /usr/bin/lua5.4 {file} {input}\n"
		"  novactl runtime add awk --rootfs base -- /usr/bin/awk -f {file}\n"
		"  novactl runtime add ml --rootfs ./ml.ext4 --protocol python --memory 512\n",
	.notes =
		"{file} becomes the path of the function's file, {code} that of the directory with "
		"its code,\n{input} that of a file with the payload; without it the program reads "
		"the "
		"payload on stdin.\nA function keeps what its runtime was when it was "
		"registered.\n",
	.options = add_options,
	.min_args = 1,
	.max_args = 33,
	.run = add_run,
};

const struct verb verb_runtime_list = {
	.name = "runtime list",
	.args = "",
	.purpose = "Show all runtimes, those that are built in first.",
	.examples = "  novactl runtime list\n  novactl runtime list --json\n",
	.run = list_run,
};

const struct verb verb_runtime_show = {
	.name = "runtime show",
	.args = "NAME",
	.purpose = "Show everything about one runtime.",
	.examples = "  novactl runtime show python\n",
	.min_args = 1,
	.max_args = 1,
	.run = show_run,
};

const struct verb verb_runtime_remove = {
	.name = "runtime remove",
	.args = "NAME...",
	.purpose = "Delete runtimes of your own.",
	.examples = "  novactl runtime remove lua\n",
	.notes = "A runtime that functions have stays.\n",
	.min_args = 1,
	.max_args = 1000,
	.run = remove_run,
};
