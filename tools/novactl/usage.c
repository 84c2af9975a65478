/* SPDX-License-Identifier: MIT */
/* usage, bill and estimate: what was used, and what it costs. */
#include <nova/usage.h>
#include <time.h>

#include "novactl.h"

#define NANO UINT64_C(1000000000)

static struct {
	const char *by, *key, *function, *month, *mode;
	uint32_t since_ms, limit, duration_ms, memory_mb, vcpus, calls, days;
	uint64_t egress, snapshot;
} given;

static const struct opt usage_options[] = {
	{ OPT_TEXT, 0, "by", "WORDS", "what is told apart: hour, day, month, key, function [key]",
		&given.by },
	{ OPT_DURATION, 0, "since", "TIME", "only of this time, by whole hours, as in 24h",
		&given.since_ms },
	{ OPT_TEXT, 0, "key", "KEY", "only of this key", &given.key },
	{ OPT_TEXT, 0, "function", "NAME", "only of this function", &given.function },
	{ OPT_NUMBER, 'n', "limit", "N", "N rows at most (default: 1000)", &given.limit },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt bill_options[] = {
	{ OPT_TEXT, 0, "month", "YYYY-MM", "of this month, in UTC, instead of the present one",
		&given.month },
	{ OPT_TEXT, 0, "key", "KEY", "only of this key", &given.key },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct opt estimate_options[] = {
	{ OPT_NUMBER, 0, "calls", "N", "so many calls (default: 1)", &given.calls },
	{ OPT_DURATION | OPT_FROM_0, 0, "duration", "TIME", "each takes so long",
		&given.duration_ms },
	{ OPT_MEMORY, 'm', "memory", "MB", "its memory, if not that of the function",
		&given.memory_mb },
	{ OPT_NUMBER, 0, "vcpus", "N", "its processors, likewise", &given.vcpus },
	{ OPT_TEXT, 0, "mode", "MODE",
		"ephemeral, cached, checkpointed, branched or persistent (default: cached)",
		&given.mode },
	{ OPT_SIZE | OPT_FROM_0, 0, "egress", "SIZE", "each returns so much", &given.egress },
	{ OPT_SIZE | OPT_FROM_0, 0, "snapshots", "SIZE", "snapshots of that size",
		&given.snapshot },
	{ OPT_NUMBER, 0, "days", "N", "kept for so many days (default: 30)", &given.days },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* Takes a text of the library. */
static json_t *take_json(char *text)
{
	json_t *json = need(json_loads(need(text), 0, NULL));
	nova_free(text);
	return json;
}

static void dollars(uint64_t nano, char out[40])
{
	snprintf(out, 40, "$%llu.%09llu", (unsigned long long)(nano / NANO),
		(unsigned long long)(nano % NANO));
}

/* --- usage --- */

static bool take_word(const char *word, size_t len, nova_usage_list_opts *o)
{
	static const struct {
		const char *name;
		uint32_t by, period;
	} words[] = {
		{ "hour", 0, NOVA_USAGE_BY_HOUR },
		{ "day", 0, NOVA_USAGE_BY_DAY },
		{ "month", 0, NOVA_USAGE_BY_MONTH },
		{ "key", NOVA_USAGE_BY_KEY, 0 },
		{ "function", NOVA_USAGE_BY_FUNCTION, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i].name) == len && !strncmp(words[i].name, word, len)) {
			o->by |= words[i].by;
			o->period = words[i].period ? words[i].period : o->period;
			return true;
		}
	return false;
}

static int take_words(nova_usage_list_opts *o)
{
	const char *at = given.by ? given.by : "key";
	for (size_t len; *at; at += len + (at[len] == ',')) {
		len = strcspn(at, ",");
		if (!take_word(at, len, o))
			return usage_error(&verb_usage,
				"--by takes hour, day, month, key and function, with commas "
				"between");
	}
	return STATUS_OK;
}

static json_t *rows_json(const nova_usage *const *rows, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, take_json(nova_usage_to_json(rows[i])));
	return array;
}

static void start_text(uint64_t us, char out[32])
{
	time_t seconds = (time_t)(us / 1000000u);
	struct tm parts;
	snprintf(out, 32, "-");
	if (us)
		strftime(out, 32, "%Y-%m-%dT%H:00Z", gmtime_r(&seconds, &parts));
}

static void rows_table(const nova_usage *const *rows, size_t count)
{
	static const char *const headings[] = { "FROM", "KEY", "FUNCTION", "MODE", "CALLS",
		"VCPU-S", "GB-S", "EGRESS", "COST" };
	struct table table;
	char start[32], cost[40];
	table_begin(&table, ARRAY_LEN(headings), headings);
	for (size_t i = 0; i < count; i++) {
		const nova_usage *u = rows[i];
		json_t *whole = take_json(nova_usage_to_json(u));
		start_text(u->start_us, start);
		dollars(u->cost_nano, cost);
		table_cell(&table, "%s", start);
		table_cell(&table, "%s", *u->key ? u->key : "-");
		table_cell(&table, "%s", *u->function ? u->function : "-");
		table_cell(&table, "%s", json_string_value(json_object_get(whole, "mode")));
		table_cell(&table, "%llu", (unsigned long long)u->calls);
		table_cell(&table, "%.3f", (double)u->vcpu_us / 1e6);
		table_cell(&table, "%.3f", (double)u->memory_mb_us / 1024e6);
		table_cell(&table, "%llu", (unsigned long long)u->egress_bytes);
		table_cell(&table, "%s", cost);
		json_decref(whole);
	}
	table_end(&table);
}

static uint64_t since_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t us = (uint64_t)now.tv_sec * 1000000u;
	return given.since_ms ? us - given.since_ms * 1000ull : 0;
}

static int usage_run(char **args, int count)
{
	(void)args, (void)count;
	nova_usage_list_opts o = NOVA_USAGE_LIST_OPTS_INIT;
	int status = take_words(&o);
	if (status != STATUS_OK)
		return status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	o.since_us = since_us();
	o.key = given.key;
	o.function = given.function;
	o.limit = given.limit;
	const nova_usage **rows = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	if (nova_usage_list(nova, &o, &rows, &found, &error) != 0)
		return report(error);
	if (!print_structured(rows_json(rows, found), NULL, &status))
		rows_table(rows, found);
	if (!found)
		note("Nothing was recorded: usage.record=on has it be.");
	nova_usage_list_free(rows, found);
	return status;
}

/* --- bills --- */

static void line(const char *what, uint64_t nano)
{
	char text[40];
	dollars(nano, text);
	printf("%-22s %20s\n", what, text);
}

static void bill_show(const nova_bill *b)
{
	char discount[64];
	snprintf(discount, sizeof(discount), "Discount (%s, %u %%)", b->tier, b->discount_percent);
	line("vCPUs", b->cpu_nano);
	line("Memory", b->memory_nano);
	if (b->gpu_nano)
		line("GPUs", b->gpu_nano);
	line("Snapshots", b->snapshot_nano);
	line("Egress", b->egress_nano);
	if (b->ingress_nano)
		line("Ingress", b->ingress_nano);
	line(discount, b->discount_nano);
	line("Total", b->total_nano);
	printf("%-22s %20.6f\n", "MCUs", (double)b->mcu_micro / 1e6);
	if (*b->plan) {
		snprintf(discount, sizeof(discount), "Plan %s, %llu MCUs", b->plan,
			(unsigned long long)b->plan_mcu);
		line(discount, b->plan_nano);
		line("MCUs beyond", b->overage_nano);
	}
	if (b->lost)
		printf("(the usage of %llu calls could not be recorded)\n",
			(unsigned long long)b->lost);
}

/* Takes the bill. */
static int bill_print(const nova_bill *bill)
{
	int status = STATUS_OK;
	if (!print_structured(take_json(nova_bill_to_json(bill)), NULL, &status))
		bill_show(bill);
	nova_bill_free(bill);
	return status;
}

/* The beginning of a month, or 0: it is none. */
static uint64_t month_us(const char *text)
{
	struct tm parts = { 0 };
	const char *end = strptime(text, "%Y-%m", &parts);
	parts.tm_mday = 1;
	return end && !*end && parts.tm_year >= 70 ? (uint64_t)timegm(&parts) * 1000000u + 1 : 0;
}

static int bill_run(char **args, int count)
{
	(void)args, (void)count;
	int status;
	nova_usage_bill_opts o = NOVA_USAGE_BILL_OPTS_INIT;
	o.key = given.key;
	if (given.month && !(o.time_us = month_us(given.month)))
		return usage_error(&verb_bill, "--month is a month as 2026-11");
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	const nova_bill *bill = NULL;
	nova_error_t *error = NULL;
	return nova_usage_bill(nova, &o, &bill, &error) ? report(error) : bill_print(bill);
}

/* --- estimates --- */

static bool take_mode(nova_usage_estimate_opts *o)
{
	static const char *const modes[] = { "ephemeral", "cached", "checkpointed", "branched",
		"persistent" };
	if (!given.mode)
		return true;
	for (uint32_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(modes[i], given.mode))
			o->mode = i + 1;
	return o->mode;
}

static int estimate_run(char **args, int count)
{
	int status;
	nova_usage_estimate_opts o = NOVA_USAGE_ESTIMATE_OPTS_INIT;
	if (!take_mode(&o))
		return usage_error(&verb_estimate,
			"--mode takes ephemeral, cached, checkpointed, branched or persistent");
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	o.function = count ? args[0] : NULL;
	o.calls = given.calls;
	o.duration_us = given.duration_ms * 1000ull;
	o.memory_mb = given.memory_mb;
	o.vcpus = given.vcpus;
	o.egress_bytes = given.egress;
	o.snapshot_kb = given.snapshot / 1024u;
	o.snapshot_life_s = (given.days ? given.days : 30) * 86400ull;
	const nova_bill *bill = NULL;
	nova_error_t *error = NULL;
	return nova_usage_estimate(nova, &o, &bill, &error) ? report(error) : bill_print(bill);
}

/* --- the verbs --- */

const struct verb verb_usage = {
	.name = "usage",
	.args = "",
	.purpose = "Show what calls, instances and snapshots have used",
	.examples = "novactl usage --by day,key,function --since 168h\n"
		    "novactl usage --key ci --json\n",
	.notes = "It is recorded with the setting usage.record. COST is without discounts.\n",
	.options = usage_options,
	.run = usage_run,
};

const struct verb verb_bill = {
	.name = "bill",
	.args = "",
	.purpose = "Show what a month costs",
	.examples = "novactl bill\n"
		    "novactl bill --month 2026-11 --key ci --json\n",
	.notes = "There are two ways to charge: the total, or the plan of the setting usage.plan "
		 "with\n"
		 "what goes beyond it. With --json money is in nano-dollars.\n",
	.options = bill_options,
	.run = bill_run,
};

const struct verb verb_estimate = {
	.name = "estimate",
	.args = "[FUNCTION]",
	.purpose = "Show what calls would cost",
	.examples = "novactl estimate hello --calls 1000000 --duration 200ms\n"
		    "novactl estimate --memory 4G --vcpus 2 --duration 720h --mode persistent\n",
	.options = estimate_options,
	.max_args = 1,
	.completes_functions = true,
	.run = estimate_run,
};
