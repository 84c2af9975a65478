/* SPDX-License-Identifier: MIT */
/*
 * instance start, list, get, exec, pause, resume, snapshot and stop. Instances live in the daemon,
 * which does what is asked for in job.c; here are the questions, and what is shown of the
 * answers.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"

/* As of env(1) and timeout(1): few commands end with it themselves. */
#define STATUS_EXEC 125

#define KEPT_MAX (1u << 20) /* bytes of each stream that --json shows */

static struct {
	const char *name, *snapshot;
	bool no_stdin;
	uint32_t memory, vcpus, timeout_ms, grace_ms;
} given;

/* --- what is shown, of plain values --- */

static void time_text(const json_t *instance, char *out, size_t size)
{
	struct tm utc;
	time_t seconds = (time_t)(member_number(instance, "created_us") / 1000000);
	strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
}

static int show_instance(const json_t *instance)
{
	char created[32];
	if (globals.json)
		return print_json(json_incref((json_t *)instance));
	time_text(instance, created, sizeof(created));
	print_field("ID", "%s", member_text(instance, "id"));
	print_field("Name", "%s", member_text(instance, "name"));
	print_field("Function", "%s", member_text(instance, "function"));
	print_field("Version", "%lld", (long long)member_number(instance, "version"));
	print_field("State", "%s", member_text(instance, "state"));
	print_field("VM", "%s", member_text(instance, "vm"));
	print_field("Created", "%s", created);
	return STATUS_OK;
}

static void instance_row(struct table *table, const json_t *instance)
{
	char created[32];
	time_text(instance, created, sizeof(created));
	table_cell(table, "%s", member_text(instance, "name"));
	table_cell(table, "%s", member_text(instance, "id"));
	table_cell(table, "%s", member_text(instance, "function"));
	table_cell(table, "%s", member_text(instance, "state"));
	table_cell(table, "%s", created);
}

static int show_instances(const json_t *list)
{
	static const char *const headings[] = { "NAME", "ID", "FUNCTION", "STATE", "CREATED" };
	struct table table;
	size_t i;
	json_t *instance;
	if (globals.json)
		return print_json(json_incref((json_t *)list));
	table_begin(&table, ARRAY_LEN(headings), headings);
	json_array_foreach(list, i, instance) instance_row(&table, instance);
	table_end(&table);
	if (!json_array_size(list))
		note("There is no instance.");
	return STATUS_OK;
}

/* --- asking --- */

/* What was printed by a command that ran there: it is passed on at once or, of --json, kept as far
 * as it is shown. */
struct printed {
	struct bytes out, err;
	uint64_t out_total, err_total;
};

static void pass_on(struct printed *printed)
{
	if (!printed->out.len && !printed->err.len)
		return;
	progress_stop();
	if (printed->out.len)
		fwrite(printed->out.data, 1, printed->out.len, stdout);
	output_flush();
	if (printed->err.len)
		fwrite(printed->err.data, 1, printed->err.len, stderr);
	bytes_drop(&printed->out, printed->out.len);
	bytes_drop(&printed->err, printed->err.len);
}

static void take_text(struct bytes *bytes, uint64_t *total, const json_t *payload, const char *part)
{
	size_t before = bytes->len;
	wire_text_add(bytes, payload, part);
	*total += bytes->len - before;
	if (globals.json && bytes->len > KEPT_MAX)
		bytes->len = KEPT_MAX;
}

static void on_text(void *userdata, const json_t *payload)
{
	struct printed *printed = userdata;
	take_text(&printed->out, &printed->out_total, payload, "stdout");
	take_text(&printed->err, &printed->err_total, payload, "stderr");
	if (!globals.json)
		pass_on(printed);
}

static int report_reply(const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");
	return error ? report_error((int)member_number(error, "code"),
			       (int)member_number(error, "outcome"),
			       member_text(error, "message")) :
		       STATUS_OK;
}

static int ask_remote(
	struct remote *remote, json_t *request, struct printed *printed, json_t **ret_reply)
{
	bool has_input = json_is_true(json_object_get(request, "stdin"));
	remote->input = has_input ? STDIN_FILENO : -1;
	enum remote_end end = remote_ask(remote, request, NULL, 0, on_text, printed, ret_reply);
	if (remote->input_failed)
		return failure_unknown(NOVA_EIO,
			"standard input cannot be read, so the command is ended: %s",
			strerror(remote->input_failed));
	switch (end) {
	case REMOTE_REPLIED:
		return report_reply(*ret_reply);
	case REMOTE_DECLINED:
		return failure("the daemon with process id %d is stopping, and its instances end",
			(int)remote->pid);
	default:
		return failure_unknown(NOVA_ELOST,
			"the daemon with process id %d has ended, and its instances with it: what "
			"was asked for may have been done",
			(int)remote->pid);
	}
}

/* Takes the request. STATUS_OK with a reply that is no error, else it is told why. */
static int ask(json_t *request, struct printed *printed, json_t **ret_reply)
{
	int status;
	struct remote remote;
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	if (!request)
		return usage_error(NULL, "an argument is not UTF-8");
	if (!config) {
		json_decref(request);
		return status;
	}
	if (globals.no_daemon || !remote_connect(&remote, config, true)) {
		json_decref(request);
		return instances_need_daemon();
	}
	status = ask_remote(&remote, request, printed, ret_reply);
	remote_close(&remote);
	return status;
}

static int ask_and_show(json_t *request, const char *member, int (*show)(const json_t *))
{
	struct printed printed = { 0 };
	json_t *reply = NULL;
	int status = ask(request, &printed, &reply);
	if (status == STATUS_OK && show)
		status = show(json_object_get(reply, member));
	json_decref(reply);
	return status;
}

/* --- the verbs --- */

static int start_run(char **args, int count)
{
	(void)count;
	json_t *request = json_pack("{s:s,s:s,s:s*,s:s*,s:I,s:I}", "verb", "instance start",
		"function", args[0], "name", given.name, "snapshot", given.snapshot, "memory_mb",
		(json_int_t)given.memory, "vcpus", (json_int_t)given.vcpus);
	progress_start("starting microVM");
	struct printed printed = { 0 };
	json_t *reply = NULL;
	int status = ask(request, &printed, &reply);
	progress_stop();
	if (status == STATUS_OK)
		status = show_instance(json_object_get(reply, "instance"));
	json_decref(reply);
	return status;
}

static int list_run(char **args, int count)
{
	(void)args;
	(void)count;
	return ask_and_show(
		json_pack("{s:s}", "verb", "instance list"), "instances", show_instances);
}

static int about(const char *verb, const char *name)
{
	return ask_and_show(
		json_pack("{s:s,s:s}", "verb", verb, "name", name), "instance", show_instance);
}

static int get_run(char **args, int count)
{
	(void)count;
	return about("instance get", args[0]);
}

static int show_stats(const json_t *stats)
{
	static const struct {
		const char *member, *label;
	} lines[] = { { "pss", "Fair share" }, { "private", "Private" }, { "shared", "Shared" },
		{ "rss", "Resident" }, { "cpu_us", "CPU time" }, { "start_us", "VMM start" },
		{ "boot_us", "Boot" }, { "init_us", "Init" }, { "stood_still_us", "Stood still" },
		{ "merged", "Merged" } };
	if (globals.json)
		return print_json(json_incref((json_t *)stats));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		double value = (double)member_number(stats, lines[i].member);
		bool is_time = strstr(lines[i].member, "_us");
		print_field(lines[i].label, is_time ? "%.1f ms" : "%.1f MB",
			value / (is_time ? 1e3 : 1e6));
	}
	return STATUS_OK;
}

static int stats_run(char **args, int count)
{
	(void)count;
	return ask_and_show(json_pack("{s:s,s:s}", "verb", "instance stats", "name", args[0]),
		"stats", show_stats);
}

static int pause_run(char **args, int count)
{
	(void)count;
	return about("instance pause", args[0]);
}

static int resume_run(char **args, int count)
{
	(void)count;
	return about("instance resume", args[0]);
}

static int show_snapshot(const json_t *id)
{
	if (globals.json)
		return print_json(json_pack("{s:O}", "snapshot", id));
	print_field("Snapshot", "%s", json_string_value(id));
	return STATUS_OK;
}

static int snapshot_run(char **args, int count)
{
	(void)count;
	return ask_and_show(json_pack("{s:s,s:s,s:s*}", "verb", "instance snapshot", "name",
				    args[0], "snapshot", given.name),
		"snapshot", show_snapshot);
}

/* Every name is tried; the first failure decides the status. */
static int stop_run(char **args, int count)
{
	int status = STATUS_OK;
	json_t *stopped = need(json_array());
	for (int i = 0; i < count; i++) {
		int failed =
			ask_and_show(json_pack("{s:s,s:s,s:I}", "verb", "instance stop", "name",
					     args[i], "grace_ms", (json_int_t)given.grace_ms),
				NULL, NULL);
		status = status ? status : failed;
		if (failed)
			continue;
		json_array_append_new(stopped, json_string(args[i]));
		note("Stopped %s.", args[i]);
	}
	if (globals.json)
		print_json(json_pack("{s:o}", "stopped", stopped));
	else
		json_decref(stopped);
	return status;
}

/* Without the beginning of a character that was cut. */
static json_t *shown(const struct bytes *bytes, uint64_t total)
{
	size_t len = bytes->len, cut = len;
	for (int i = 0; total > len && i < 3 && cut && (bytes->data[cut - 1] & 0xc0) == 0x80; i++)
		cut--;
	unsigned char lead = total > len && cut ? (unsigned char)bytes->data[cut - 1] : 0;
	size_t needs = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
	if (len - cut + 1 < needs)
		len = cut - 1;
	return json_stringn(len ? bytes->data : "", len);
}

static int exec_show_json(int code, const struct printed *printed)
{
	bool cut = printed->out_total > printed->out.len || printed->err_total > printed->err.len;
	json_t *value = json_pack("{s:i,s:o,s:o,s:b,s:I,s:I}", "exit_code", code, "stdout",
		shown(&printed->out, printed->out_total), "stderr",
		shown(&printed->err, printed->err_total), "truncated", cut, "stdout_bytes",
		(json_int_t)printed->out_total, "stderr_bytes", (json_int_t)printed->err_total);
	int status = value ? print_json(value) :
			     report_error(NOVA_EIO, NOVA_OUTCOME_RAN,
				     "what the command printed is not UTF-8: ask without --json");
	return status ? STATUS_EXEC : code;
}

/* The command's own streams and status become this one's. */
static int exec_show(const json_t *reply, const struct printed *printed)
{
	int code = (int)member_number(reply, "exit_code");
	return globals.json ? exec_show_json(code, printed) : code;
}

/* A closed one has been replaced by something that cannot be read. */
static bool gives_stdin(void)
{
	return !given.no_stdin && (fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) != O_WRONLY;
}

static int console_run(char **args, int count)
{
	(void)count;
	struct printed printed = { 0 };
	json_t *reply = NULL, *text = NULL;
	int status = ask(json_pack("{s:s,s:s}", "verb", "instance console", "name", args[0]),
		&printed, &reply);
	if (status == STATUS_OK && globals.json)
		text = shown(&printed.out, printed.out_total);
	if (text)
		status = print_json(json_pack("{s:o}", "console", text));
	else if (status == STATUS_OK && globals.json)
		status = failure("what the console printed is not UTF-8: ask without --json");
	json_decref(reply);
	bytes_free(&printed.out);
	return status;
}

static int exec_run(char **args, int count)
{
	struct printed printed = { 0 };
	json_t *reply = NULL, *argv = words_json((const char *const *)args + 1, (size_t)count - 1);
	json_t *request = json_pack("{s:s,s:s,s:I,s:b,s:o}", "verb", "instance exec", "name",
		args[0], "timeout_ms", (json_int_t)given.timeout_ms, "stdin", gives_stdin(), "argv",
		argv);
	progress_start("running");
	int status = ask(request, &printed, &reply);
	progress_stop();
	if (status == STATUS_OK)
		status = exec_show(reply, &printed);
	else if (status != STATUS_TIMEOUT)
		status = STATUS_EXEC;
	json_decref(reply);
	bytes_free(&printed.out);
	bytes_free(&printed.err);
	return status;
}

static const struct opt start_options[] = {
	{ OPT_TEXT, 'n', "name", "NAME", "what to call it [its id]", &given.name },
	{ OPT_TEXT, 0, "snapshot", "NAME", "go on from a snapshot of the function",
		&given.snapshot },
	{ OPT_MEMORY, 'm', "memory", "MB", "memory of its VM [the function's]", &given.memory },
	{ OPT_NUMBER, 0, "vcpus", "N", "processors of its VM [the function's]", &given.vcpus },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt exec_options[] = {
	{ OPT_DURATION, 't', "timeout", "SECONDS", "time limit of the command [30]",
		&given.timeout_ms },
	{ OPT_FLAG, 'n', "no-stdin", NULL, "leave stdin alone; the command's is empty",
		&given.no_stdin },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt stop_options[] = {
	{ OPT_DURATION, 0, "grace", "SECONDS", "how long calls under way may go on [2]",
		&given.grace_ms },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt snapshot_options[] = {
	{ OPT_TEXT, 'n', "name", "NAME", "what to call the snapshot [its id]", &given.name },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

const struct verb verb_instance_start = {
	.name = "instance start",
	.args = "FUNCTION",
	.purpose = "Start a VM of a function that stays until it is stopped.",
	.examples = "  novactl instance start shop --name session-7\n"
		    "  novactl invoke shop --instance session-7\n",
	.notes = "Instances live in the daemon: 'novactl daemon' starts it.\n",
	.options = start_options,
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = start_run,
};

const struct verb verb_instance_list = {
	.name = "instance list",
	.args = "",
	.purpose = "Show the instances.",
	.examples = "  novactl instance list\n  novactl instance list --json\n",
	.run = list_run,
};

const struct verb verb_instance_get = {
	.name = "instance get",
	.args = "NAME",
	.purpose = "Show one instance, by name or id.",
	.examples = "  novactl instance get session-7\n",
	.min_args = 1,
	.max_args = 1,
	.run = get_run,
};

const struct verb verb_instance_stats = {
	.name = "instance stats",
	.args = "NAME",
	.purpose = "Show what an instance costs: memory, processor time, and what its start took.",
	.examples = "  novactl instance stats session-7\n",
	.notes = "Fair share: memory that several processes use is counted in parts. Private: what "
		 "comes free\nwhen it ends.\n",
	.min_args = 1,
	.max_args = 1,
	.run = stats_run,
};

const struct verb verb_instance_console = {
	.name = "instance console",
	.args = "NAME",
	.purpose = "Show the last 64 KiB that the console of an instance printed.",
	.examples = "  novactl instance console session-7\n",
	.min_args = 1,
	.max_args = 1,
	.run = console_run,
};

const struct verb verb_instance_exec = {
	.name = "instance exec",
	.args = "NAME -- COMMAND...",
	.purpose = "Run a command in an instance.",
	.examples = "  novactl instance exec session-7 -- ls -l /tmp\n"
		    "  novactl instance exec session-7 -- tar x -C /tmp < files.tar\n",
	.notes = "What it prints and its exit status become those of novactl, whose stdin it gets, "
		 "however much\nit is and while it runs. In a loop that reads its lines from "
		 "there, use -n. No shell is involved.\n"
		 "With --json the first MiB of each stream is shown; \"truncated\" says if that is "
		 "not all, and\n\"stdout_bytes\" and \"stderr_bytes\" how much it was.\n"
		 "Statuses that are not the command's: 124 if its time was over, 125 if novactl "
		 "could not run it,\n126 and 127 if it cannot be executed or is not there.\n",
	.options = exec_options,
	.own_status = STATUS_EXEC,
	.min_args = 2,
	.max_args = 1000,
	.run = exec_run,
};

const struct verb verb_instance_pause = {
	.name = "instance pause",
	.args = "NAME",
	.purpose = "Stop the processors of an instance; nothing in it is lost.",
	.examples = "  novactl instance pause session-7\n",
	.min_args = 1,
	.max_args = 1,
	.run = pause_run,
};

const struct verb verb_instance_resume = {
	.name = "instance resume",
	.args = "NAME",
	.purpose = "Let a paused instance go on.",
	.examples = "  novactl instance resume session-7\n",
	.min_args = 1,
	.max_args = 1,
	.run = resume_run,
};

const struct verb verb_instance_snapshot = {
	.name = "instance snapshot",
	.args = "NAME",
	.purpose = "Take a snapshot of an instance, from which calls and instances can go on.",
	.examples = "  novactl instance snapshot session-7 --name before-order\n"
		    "  novactl invoke shop --snapshot before-order\n",
	.options = snapshot_options,
	.min_args = 1,
	.max_args = 1,
	.run = snapshot_run,
};

const struct verb verb_instance_stop = {
	.name = "instance stop",
	.args = "NAME...",
	.purpose = "End instances, by name or id.",
	.examples = "  novactl instance stop session-7\n",
	.options = stop_options,
	.min_args = 1,
	.max_args = 1000,
	.run = stop_run,
};
