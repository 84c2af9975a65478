/* SPDX-License-Identifier: MIT */
/* logs and stats: what calls have left behind. */
#include <poll.h>
#include <time.h>

#include "novactl.h"

#define LIMIT     20u
#define AWAY_MS   500
#define FOLLOW_MS 3600000u /* one look waits so long for another record */

static struct {
	bool all, runs, follow, errors;
	uint32_t since_ms, limit, before;
	const char *request;
} given;

static const struct opt logs_options[] = {
	{ OPT_FLAG, 'a', "all", NULL, "of all functions", &given.all },
	{ OPT_FLAG, 0, "runs", NULL, "of code that 'novactl run' ran", &given.runs },
	{ OPT_FLAG, 'f', "follow", NULL, "go on with what comes, until a signal", &given.follow },
	{ OPT_FLAG, 0, "errors", NULL, "only of calls that failed", &given.errors },
	{ OPT_DURATION, 0, "since", "TIME", "only of calls that began in this time, as in 10m",
		&given.since_ms },
	{ OPT_TEXT, 0, "request", "ID", "only of this request", &given.request },
	{ OPT_NUMBER, 'n', "limit", "N", "the last N, up to 1000 (default: 20)", &given.limit },
	{ OPT_NUMBER, 0, "before", "NUMBER", "the last ones before this record (see --json)",
		&given.before },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt stats_options[] = {
	{ OPT_DURATION, 0, "since", "TIME", "only calls that began in this time, as in 24h",
		&given.since_ms },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static uint64_t since_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t us = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
	return given.since_ms ? us - given.since_ms * 1000ull : 0;
}

/* "2026-11-30T03:04:05.678Z" */
static void format_time(uint64_t us, char out[32])
{
	time_t seconds = (time_t)(us / 1000000u);
	struct tm parts;
	char text[24];
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));
	snprintf(out, 32, "%s.%03uZ", text, (unsigned)(us / 1000u % 1000u));
}

/* --- one record --- */

static json_t *record_json(const nova_invocation *r)
{
	char started[32];
	format_time(r->started_us, started);
	return need(json_pack("{sI sI ss ss ss ss ss ss ss so so sI sI sI sI sI sI sI sb sb}",
		"number", (json_int_t)r->number, "version", (json_int_t)r->version, "request_id",
		r->request_id, "function", r->function, "function_id", r->function_id, "runtime",
		r->runtime, "instance", r->instance, "path", r->path, "started", started, "stdout",
		need(text_json(r->out, r->out_len)), "stderr", need(text_json(r->err, r->err_len)),
		"started_us", (json_int_t)r->started_us, "duration_us", (json_int_t)r->duration_us,
		"input_size", (json_int_t)r->input_size, "output_size", (json_int_t)r->output_size,
		"memory_peak", (json_int_t)r->memory_peak, "lost", (json_int_t)r->lost, "code",
		(json_int_t)r->code, "cold", (int)r->cold, "cut", (int)r->cut));
}

static json_t *whole_json(const nova_invocation *r)
{
	json_t *object = record_json(r);
	json_object_set_new(
		object, "outcome", need(json_string(r->code ? nova_code_name(r->code) : "ok")));
	json_object_set_new(object, "error", need(text_json(r->error, strlen(r->error))));
	return object;
}

/* Each line behind a mark. What a guest prints must not steer a terminal. */
static void show_text(const char *mark, const char *text, size_t len)
{
	struct bytes tame = { 0 };
	bytes_add(&tame, text, len);
	text_tame(tame.data, len, true);
	for (const char *at = tame.data, *end = at + len; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((newline ? newline : end) - at);
		printf("%s%.*s\n", mark, (int)line, at);
		at += line + 1;
	}
	bytes_free(&tame);
}

static void show(const nova_invocation *r)
{
	char started[32];
	format_time(r->started_us, started);
	if (r->lost)
		printf("(the records of %llu calls had no room)\n", (unsigned long long)r->lost);
	printf("%s  %s", started, *r->function ? r->function : "(run)");
	if (r->version)
		printf(":%u", r->version);
	printf("  %s  %.1f ms%s  %s\n", r->code ? nova_code_name(r->code) : "ok",
		(double)r->duration_us / 1e3, r->cold ? "  cold" : "", r->request_id);
	show_text("  error: ", r->error, strlen(r->error));
	show_text("  stdout: ", r->out, r->out_len);
	show_text("  stderr: ", r->err, r->err_len);
	if (r->cut)
		puts("  (there was more, which was not kept)");
}

/* --- lists --- */

/* It has ended before its limit, as it is large. */
static bool is_full(const nova_invocation *const *page, size_t count)
{
	size_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += page[i]->out_len + page[i]->err_len;
	return bytes >= NOVA_INVOCATION_PAGE_BYTES;
}

/* The newest come first, and are shown last. */
static int show_page(const nova_invocation *const *page, size_t count)
{
	int status = STATUS_OK;
	json_t *array = need(json_array());
	for (size_t i = count; i-- > 0;)
		if (globals.json)
			json_array_append_new(array, whole_json(page[i]));
		else
			show(page[i]);
	if (globals.json)
		return print_json(array);
	json_decref(array);
	return status;
}

/* One to a line, as there is no end. */
static void show_next(const nova_invocation *r)
{
	if (!globals.json) {
		show(r);
		return;
	}
	json_t *object = whole_json(r);
	print_json_value(object, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* A server that is away comes back: until then it is asked again. */
static int wait_for_store(nova_error_t *error, bool *away)
{
	if (interrupted()) {
		nova_error_free(error);
		return STATUS_OK;
	}
	if (nova_error_code(error) != NOVA_EIO)
		return report(error);
	if (!*away)
		session_say(NOVA_LOG_ERROR, "log", "%s; waiting until it is back",
			nova_error_message(error));
	*away = true;
	nova_error_free(error);
	poll(NULL, 0, AWAY_MS);
	return STATUS_OK;
}

static int follow(nova_t *nova, nova_invocation_list_opts *o)
{
	o->order = NOVA_INVOCATION_OLDEST;
	o->limit = 0;
	o->wait_ms = FOLLOW_MS;
	o->interrupt = interruptible();
	bool away = false;
	while (!interrupted() && !ferror(stdout)) {
		const nova_invocation **found = NULL;
		size_t count = 0;
		nova_error_t *error = NULL;
		if (nova_invocation_list(nova, o, &found, &count, &error) != 0) {
			int status = wait_for_store(error, &away);
			if (status != STATUS_OK)
				return status;
			continue;
		}
		away = false;
		for (size_t i = 0; i < count; i++)
			show_next(found[i]);
		if (count)
			o->cursor = found[count - 1]->number;
		nova_invocation_list_free(found, count);
		output_flush();
	}
	return STATUS_OK;
}

/* "name:3" is a version of it. */
static const char *split_version(char *name, uint32_t *ret_version)
{
	char *colon = strrchr(name, ':'), *end;
	if (!colon || colon[1] < '1' || colon[1] > '9')
		return name;
	unsigned long version = strtoul(colon + 1, &end, 10);
	if (*end || version > UINT32_MAX)
		return name;
	*colon = 0;
	*ret_version = (uint32_t)version;
	return name;
}

static int check_words(int count)
{
	if (count + given.all + given.runs != 1)
		return usage_error(
			&verb_logs, "one of FUNCTION, --all and --runs says of what to show");
	if (given.follow && given.before)
		return usage_error(&verb_logs, "--follow and --before do not go together");
	return STATUS_OK;
}

static int logs_run(char **args, int count)
{
	int status = check_words(count);
	if (status != STATUS_OK)
		return status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	nova_invocation_list_opts o = NOVA_INVOCATION_LIST_OPTS_INIT;
	o.function = count ? split_version(args[0], &o.version) : given.runs ? "" : NULL;
	o.request_id = given.request;
	o.since_us = since_us();
	o.errors = given.errors;
	o.limit = given.limit ? given.limit : LIMIT;
	o.cursor = given.before;
	const nova_invocation **found = NULL;
	size_t found_count = 0;
	nova_error_t *error = NULL;
	if (nova_invocation_list(nova, &o, &found, &found_count, &error) != 0)
		return report(error);
	for (size_t i = found_count; given.follow && i-- > 0;)
		show_next(found[i]);
	if (!given.follow)
		status = show_page(found, found_count);
	if (!found_count && !given.follow)
		note("There is no record of such a call.");
	else if (found_count < o.limit && !given.follow && is_full(found, found_count))
		note("There may be earlier ones: --before %llu.",
			(unsigned long long)found[found_count - 1]->number);
	o.cursor = found_count ? found[0]->number : 0;
	nova_invocation_list_free(found, found_count);
	output_flush();
	return given.follow ? follow(nova, &o) : status;
}

/* --- stats --- */

static json_t *summary_json(const nova_invocation_summary *s)
{
	return need(json_pack("{ss sI sI sI sI sI sI sI}", "function", s->function, "calls",
		(json_int_t)s->calls, "errors", (json_int_t)s->errors, "cold", (json_int_t)s->cold,
		"p50_us", (json_int_t)s->p50_us, "p95_us", (json_int_t)s->p95_us, "p99_us",
		(json_int_t)s->p99_us, "longest_us", (json_int_t)s->longest_us));
}

static json_t *summaries_json(const nova_invocation_summary *const *all, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, summary_json(all[i]));
	return array;
}

static void summaries_table(const nova_invocation_summary *const *all, size_t count)
{
	static const char *const headings[] = { "FUNCTION", "CALLS", "ERRORS", "COLD", "P50", "P95",
		"P99", "LONGEST" };
	struct table table;
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		const nova_invocation_summary *s = all[i];
		const uint64_t times[] = { s->p50_us, s->p95_us, s->p99_us, s->longest_us };
		table_cell(&table, "%s", *s->function ? s->function : "(run)");
		table_cell(&table, "%llu", (unsigned long long)s->calls);
		table_cell(&table, "%llu", (unsigned long long)s->errors);
		table_cell(&table, "%.1f %%", 100.0 * (double)s->cold / (double)s->calls);
		for (size_t t = 0; t < ARRAY_LEN(times); t++)
			table_cell(&table, "%.1f ms", (double)times[t] / 1e3);
	}
	table_end(&table);
}

static int stats_run(char **args, int count)
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	nova_invocation_summary_opts o = NOVA_INVOCATION_SUMMARY_OPTS_INIT;
	o.function = count ? args[0] : NULL;
	o.since_us = since_us();
	const nova_invocation_summary **found = NULL;
	size_t found_count = 0;
	nova_error_t *error = NULL;
	if (nova_invocation_summarize(nova, &o, &found, &found_count, &error) != 0)
		return report(error);
	if (!print_structured(summaries_json(found, found_count), NULL, &status))
		summaries_table(found, found_count);
	if (!found_count)
		note("There is no record of such a call.");
	nova_invocation_summaries_free(found, found_count);
	return status;
}

const struct verb verb_logs = {
	.name = "logs",
	.args = "FUNCTION | --all | --runs",
	.purpose = "Show what calls have left: outcome, times, output, errors",
	.examples = "novactl logs hello\n"
		    "novactl logs hello:3 --since 10m --errors\n"
		    "novactl logs --all --follow --json\n",
	.notes = "A call is shown once it has ended, the newest ones last. How long records are\n"
		 "kept is said by the settings log.retention_age and log.retention_size.\n",
	.options = logs_options,
	.max_args = 1,
	.completes_functions = true,
	.run = logs_run,
};

const struct verb verb_stats = {
	.name = "stats",
	.args = "[FUNCTION]",
	.purpose = "Count calls, errors, cold starts and times by function",
	.examples = "novactl stats\n"
		    "novactl stats hello --since 24h --json\n",
	.notes = "By the records that 'novactl logs' shows. COLD is the share of the calls for\n"
		 "which a VM was started; of 100 calls 95 took no longer than P95.\n",
	.options = stats_options,
	.max_args = 1,
	.completes_functions = true,
	.run = stats_run,
};
