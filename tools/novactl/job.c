/* SPDX-License-Identifier: MIT */
/* job: calls that wait in Redis until a host has time. */
#include <nova/job.h>
#include <poll.h>

#include "novactl.h"

#define SLICE_MS  60000u /* of waiting without an end */
#define AWAY_MS   500
#define LIST_MOST 100u
#define PAGE_MOST 1000u

static struct {
	const char *payload, *key;
	uint32_t attempts, lease_ms, keep_ms, wait_ms, most;
	const char *owner;
	struct text_list states;
} given = { .payload = "{}", .wait_ms = UINT32_MAX };

static const struct opt submit_options[] = {
	{ OPT_TEXT, 'p', "payload", "JSON", "the event; @FILE reads a file, - standard input [{}]",
		&given.payload },
	{ OPT_TEXT, 'k', "key", "TEXT", "one job for all who submit this function with this key",
		&given.key },
	{ OPT_NUMBER, 0, "attempts", "N", "how often it is tried, up to 100 [3]", &given.attempts },
	{ OPT_DURATION, 0, "lease", "TIME",
		"after this time whoever has taken it counts as dead [the function's time limit "
		"and 5 minutes]",
		&given.lease_ms },
	{ OPT_DURATION, 0, "keep", "TIME", "how long it is kept once it has ended [24h]",
		&given.keep_ms },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt list_options[] = {
	{ OPT_LIST, 's', "state", "STATE",
		"only those that are waiting, running, done or dead; may be repeated",
		&given.states },
	{ OPT_TEXT, 0, "owner", "TEXT", "only those of this owner; '' is nobody", &given.owner },
	{ OPT_NUMBER, 'n', "limit", "N", "N at most [100]", &given.most },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt work_options[] = {
	{ OPT_DURATION | OPT_FROM_0, 'w', "wait", "TIME",
		"end when there was no job for so long [never]", &given.wait_ms },
	{ OPT_NUMBER, 'n', "limit", "N", "end after N jobs [never]", &given.most },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void job_freep(nova_job_t **job)
{
	nova_job_free(*job);
}

/* --- what is shown of one --- */

static json_t *job_json(const nova_job_t *job)
{
	char *text = need(nova_job_to_json(job));
	json_t *json = need(json_loads(text, JSON_DECODE_ANY, NULL));
	nova_free(text);
	return json;
}

/* As the library has it: its numbers keep every digit. */
static void print_job(const nova_job_t *job)
{
	char *text = need(nova_job_to_json(job));
	print_json_text(text, strlen(text));
	nova_free(text);
}

static void show_job(const nova_job_t *job)
{
	json_t *json = job_json(job);
	size_t len = 0;
	const char *output = nova_job_output(job, &len);
	print_field("Id", "%s", nova_job_id(job));
	print_field("Function", "%s", member_text(json, "function"));
	print_field("State", "%s", member_text(json, "state"));
	print_field("Attempts", "%d of %d", (int)member_number(json, "attempts"),
		(int)member_number(json, "most_attempts"));
	if (*member_text(json, "key"))
		print_field("Key", "%s", member_text(json, "key"));
	if (*nova_job_error(job))
		print_field("Error", "%s", nova_job_error(job));
	if (output)
		print_json_text(output, len);
	json_decref(json);
}

/* One line of a worker. */
static void tell_job(const nova_job_t *job)
{
	json_t *json = job_json(job);
	if (globals.json) {
		char *text = need(nova_job_to_json(job));
		print_json_line(text);
		nova_free(text);
	} else {
		print_line("%s %s %s%s%s", nova_job_id(job), member_text(json, "function"),
			member_text(json, "state"), *nova_job_error(job) ? ": " : "",
			nova_job_error(job));
	}
	json_decref(json);
	output_flush();
}

/* --- submit, get --- */

static int submit(const char *function, const char *payload)
{
	int status;
	nova_job_opts opts = NOVA_JOB_OPTS_INIT;
	CLEANUP(job_freep) nova_job_t *job = NULL;
	nova_error_t *error = NULL;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	opts.key = given.key;
	opts.attempts = given.attempts;
	opts.lease_ms = given.lease_ms;
	opts.keep_s = given.keep_ms / 1000;
	if (nova_job_submit(nova, function, payload, &opts, &job, &error) != 0)
		return report(error);
	if (globals.json)
		print_job(job);
	else
		puts(nova_job_id(job));
	return STATUS_OK;
}

static int submit_run(char **args, int count)
{
	int status;
	size_t len;
	(void)count;
	if (given.keep_ms % 1000)
		return usage_error(&verb_job_submit, "--keep is a number of whole seconds");
	char *payload = payload_read(given.payload, &len, &status);
	if (!payload)
		return status;
	status = submit(args[0], payload);
	free(payload);
	return status;
}

static int get_run(char **args, int count)
{
	int status;
	CLEANUP(job_freep) nova_job_t *job = NULL;
	nova_error_t *error = NULL;
	(void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (nova_job_get(nova, args[0], &job, &error) != 0)
		return report(error);
	if (globals.json)
		print_job(job);
	else
		show_job(job);
	return STATUS_OK;
}

/* --- list --- */

/* As the bits of nova_job_list_opts. */
static int read_states(uint32_t *ret_states)
{
	static const char *const words[] = { "waiting", "running", "done", "dead" };
	*ret_states = 0;
	for (size_t i = 0; i < given.states.count; i++) {
		size_t state = 0;
		while (state < ARRAY_LEN(words) && strcmp(words[state], given.states.items[i]))
			state++;
		if (state == ARRAY_LEN(words))
			return usage_error(&verb_job_list,
				"--state is waiting, running, done or dead, and not '%s'",
				given.states.items[i]);
		*ret_states |= 1u << state;
	}
	return STATUS_OK;
}

/* Pages of the library's until there are as many as are wanted. */
static int collect(nova_t *nova, nova_job_list_opts *opts, json_t *all)
{
	const size_t most = given.most ? given.most : LIST_MOST;
	nova_error_t *error = NULL;
	opts->interrupt = interruptible();
	do {
		nova_job_t **jobs = NULL;
		size_t count = 0, left = most - json_array_size(all);
		opts->limit = left < PAGE_MOST ? (uint32_t)left : PAGE_MOST;
		if (nova_job_list(nova, opts, &jobs, &count, &opts->cursor, &error) != 0)
			return report(error);
		for (size_t i = 0; i < count; i++)
			json_array_append_new(all, job_json(jobs[i]));
		nova_job_list_free(jobs, count);
	} while (opts->cursor && json_array_size(all) < most);
	return STATUS_OK;
}

static void show_jobs(const json_t *all)
{
	static const char *const headings[] = { "ID", "FUNCTION", "STATE", "ATTEMPTS", "SUBMITTED",
		"OWNER" };
	struct table table;
	const json_t *job;
	size_t i;
	table_begin(&table, ARRAY_LEN(headings), headings);
	json_array_foreach(all, i, job)
	{
		table_cell(&table, "%s", member_text(job, "id"));
		table_cell(&table, "%s", member_text(job, "function"));
		table_cell(&table, "%s", member_text(job, "state"));
		table_cell(&table, "%d of %d", (int)member_number(job, "attempts"),
			(int)member_number(job, "most_attempts"));
		table_day(&table, (uint64_t)member_number(job, "submitted_us"));
		table_cell(&table, "%s", member_text(job, "owner"));
	}
	table_end(&table);
}

static int list_run(char **args, int count)
{
	nova_job_list_opts opts = NOVA_JOB_LIST_OPTS_INIT;
	int status = read_states(&opts.states);
	if (status != STATUS_OK)
		return status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	opts.function = count ? args[0] : NULL;
	opts.owner = given.owner;
	json_t *all = need(json_array());
	status = collect(nova, &opts, all);
	if (status == STATUS_OK && !print_structured(json_incref(all), NULL, &status))
		show_jobs(all);
	if (status == STATUS_OK && opts.cursor)
		note("There may be more: --limit.");
	json_decref(all);
	return status;
}

/* --- work --- */

struct work {
	nova_t *nova;
	uint32_t done;
	bool begun, away; /* the server has answered once; it is known to be away */
};

/* A server that was there comes back; one that was never there is a mistake. */
static int wait_for_server(struct work *work, nova_error_t *error)
{
	if (!work->begun || nova_error_code(error) != NOVA_EIO)
		return report(error);
	if (!work->away)
		session_say(NOVA_LOG_ERROR, "job", "%s; waiting until it is back",
			nova_error_message(error));
	work->away = true;
	nova_error_free(error);
	poll(NULL, 0, AWAY_MS);
	return STATUS_OK;
}

/* *ret_end: there is nothing more to do. */
static int work_once(struct work *work, bool *ret_end)
{
	const nova_wait_opts wait = { sizeof(wait), .interrupt = interruptible() };
	bool endless = given.wait_ms == UINT32_MAX;
	CLEANUP(job_freep) nova_job_t *job = NULL;
	nova_error_t *error = NULL;
	int code = nova_job_perform(
		work->nova, endless ? SLICE_MS : given.wait_ms, &wait, &job, &error);
	if (code != 0 && interrupted()) {
		nova_error_free(error);
		return STATUS_OK;
	}
	if (code != 0)
		return wait_for_server(work, error);
	work->begun = true;
	work->away = false;
	if (job)
		tell_job(job);
	work->done += job != NULL;
	*ret_end = (!job && !endless) || (given.most && work->done == given.most);
	return STATUS_OK;
}

static int work_run(char **args, int count)
{
	int status;
	bool end = false;
	(void)args, (void)count;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	struct work work = { .nova = nova };
	while (status == STATUS_OK && !end && !interrupted() && !ferror(stdout))
		status = work_once(&work, &end);
	return status;
}

/* --- the verbs --- */

const struct verb verb_job_submit = {
	.name = "job submit",
	.args = "FUNCTION",
	.purpose = "Hand in a call for whichever host has time, and print its id.",
	.examples = "  novactl job submit resize --payload '{\"image\": 7}' --key 'image 7'\n",
	.notes =
		"It waits in Redis (--redis), and survives whoever has asked for it. A submit that "
		"was cut off\n"
		"can be repeated if it has a key.\n",
	.options = submit_options,
	.completes_functions = true,
	.min_args = 1,
	.max_args = 1,
	.run = submit_run,
};

const struct verb verb_job_get = {
	.name = "job get",
	.args = "ID",
	.purpose = "Show how far a job is, and what has come of it.",
	.examples = "  novactl job get 6f1c2b1e-5d0c-4f0e-9d6e-0a4c6e2a9f10 --json\n",
	.min_args = 1,
	.max_args = 1,
	.run = get_run,
};

const struct verb verb_job_list = {
	.name = "job list",
	.args = "[FUNCTION]",
	.purpose = "List jobs, the one that was handed in last first.",
	.examples = "  novactl job list\n"
		    "  novactl job list resize --state dead --limit 20 --json\n",
	.notes = "Without what they were given and have answered: 'novactl job get' has that. What "
		 "has ended\n"
		 "is listed as long as it is kept.\n",
	.options = list_options,
	.completes_functions = true,
	.max_args = 1,
	.run = list_run,
};

const struct verb verb_job_work = {
	.name = "job work",
	.args = "",
	.purpose = "Perform jobs, one after the other, until a signal comes.",
	.examples = "  novactl job work\n"
		    "  novactl job work --wait 10s --json\n",
	.notes =
		"Each is told of in a line, with --json as an object. However they come out, the "
		"exit status\n"
		"is 0. A job that a signal ends waits again. Several may work at once, on one host "
		"and on many.\n",
	.options = work_options,
	.run = work_run,
};
