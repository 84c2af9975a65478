/* SPDX-License-Identifier: MIT */
/* What the daemon says of itself, and that it is to stop. */
#include <unistd.h>

#include "daemon.h"

/* All counters of the pool by their names. */
static json_t *pool_json(nova_pool_t *pool)
{
	static const char *const names[] = {
		[NOVA_POOL_IDLE] = "idle",
		[NOVA_POOL_BUSY] = "busy",
		[NOVA_POOL_STARTING] = "starting",
		[NOVA_POOL_HITS] = "hits",
		[NOVA_POOL_MISSES] = "misses",
		[NOVA_POOL_EXPIRED] = "expired",
		[NOVA_POOL_DISCARDED] = "discarded",
		[NOVA_POOL_PAUSED] = "paused",
		[NOVA_POOL_STANDBY] = "standby",
		[NOVA_POOL_WAITING] = "waiting",
		[NOVA_POOL_MEMORY_MB] = "memory_mb",
		[NOVA_POOL_RESUMED] = "resumed",
		[NOVA_POOL_SHARED] = "shared",
		[NOVA_POOL_BOOTS] = "boots",
		[NOVA_POOL_TEMPLATE_STARTS] = "template_starts",
		[NOVA_POOL_STANDBY_STARTS] = "standby_starts",
		[NOVA_POOL_START_FAILURES] = "start_failures",
		[NOVA_POOL_WAITS] = "waits",
		[NOVA_POOL_TIMEOUTS] = "timeouts",
		[NOVA_POOL_QUEUE_FULL] = "queue_full",
		[NOVA_POOL_TOO_LARGE] = "too_large",
		[NOVA_POOL_MOST_VMS] = "most_vms",
		[NOVA_POOL_HELD_BACK] = "held_back",
		[NOVA_POOL_ZYGOTES] = "zygotes",
		[NOVA_POOL_HOT_STARTS] = "hot_starts",
		[NOVA_POOL_HOT_FALLBACKS] = "hot_fallbacks",
		[NOVA_POOL_PARKED] = "parked",
		[NOVA_POOL_CANCELED] = "canceled",
		[NOVA_POOL_EVICTED] = "evicted",
	};
	uint64_t values[ARRAY_LEN(names)] = { 0 };
	json_t *all = need(json_object());
	nova_pool_stats(pool, values, ARRAY_LEN(values));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_object_set_new(all, names[i], json_integer((json_int_t)values[i]));
	return all;
}

/* What could not be counted is left out. */
static json_t *templates_json(nova_host_t *host)
{
	static const char *const names[] = {
		[NOVA_TEMPLATE_COUNT] = "count",
		[NOVA_TEMPLATE_BASES] = "bases",
		[NOVA_TEMPLATE_BYTES] = "bytes",
		[NOVA_TEMPLATE_LIMIT_BYTES] = "limit_bytes",
	};
	uint64_t values[ARRAY_LEN(names)];
	json_t *all = need(json_object());
	if (nova_template_stats(host, values, ARRAY_LEN(values), NULL) < 0)
		return all;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_object_set_new(all, names[i], json_integer((json_int_t)values[i]));
	return all;
}

static json_t *latency_json(nova_pool_t *pool, int latency)
{
	static const double percents[] = { 50, 90, 99 };
	json_t *value = need(json_object());
	for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
		char name[16];
		uint64_t us = nova_pool_percentile_us(pool, latency, percents[i]);
		snprintf(name, sizeof(name), "p%.0f_us", percents[i]);
		json_object_set_new(value, name, json_integer((json_int_t)us));
	}
	return value;
}

static json_t *latencies_json(nova_pool_t *pool)
{
	return json_pack("{s:o,s:o,s:o,s:o}", "warm", latency_json(pool, NOVA_POOL_LATENCY_WARM),
		"resumed", latency_json(pool, NOVA_POOL_LATENCY_RESUMED), "cold",
		latency_json(pool, NOVA_POOL_LATENCY_COLD), "wait",
		latency_json(pool, NOVA_POOL_LATENCY_WAIT));
}

/* The buckets that are not empty; -1: no limit. */
static json_t *histogram_json(nova_pool_t *pool, int latency)
{
	json_t *rows = need(json_array());
	int count = nova_pool_histogram(pool, latency, NULL, NULL, 0);
	size_t room = count < 0 ? 0 : (size_t)count;
	uint64_t *limits = need(calloc(2 * room + 1, sizeof(*limits))), *calls = limits + room;
	nova_pool_histogram(pool, latency, limits, calls, room);
	for (size_t i = 0; i < room; i++) {
		json_int_t limit = limits[i] == UINT64_MAX ? -1 : (json_int_t)limits[i];
		if (calls[i])
			json_array_append_new(rows, need(json_pack("{s:I,s:I}", "under_us", limit,
							    "calls", (json_int_t)calls[i])));
	}
	free(limits);
	return rows;
}

static json_t *histograms_json(nova_pool_t *pool)
{
	return need(
		json_pack("{s:o,s:o,s:o,s:o}", "warm", histogram_json(pool, NOVA_POOL_LATENCY_WARM),
			"resumed", histogram_json(pool, NOVA_POOL_LATENCY_RESUMED), "cold",
			histogram_json(pool, NOVA_POOL_LATENCY_COLD), "wait",
			histogram_json(pool, NOVA_POOL_LATENCY_WAIT)));
}

static json_t *status_json(const struct daemon *daemon)
{
	struct jobs *jobs = server_jobs(daemon->server);
	nova_queue_t *queue = jobs_queue(jobs);
	nova_pool_t *pool = nova_pool_get(daemon->nova);
	nova_host_t *host = nova_host_get(daemon->nova);
	uint64_t waiting = nova_queue_count(queue, NOVA_QUEUE_WAITING);
	uint64_t under_way = nova_queue_count(queue, NOVA_QUEUE_UNDER_WAY);
	return need(json_pack("{s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:{s:I,s:I},s:o,s:o,s:o,s:o}",
		"pid", (int)getpid(), "version", nova_version(), "home", nova_host_home(host),
		"socket", server_socket(daemon->server), "engine",
		nova_config_get(daemon->config, "engine"), "uptime_s",
		(json_int_t)((now_ms() - daemon->started) / 1000), "clients",
		(json_int_t)server_connections(daemon->server), "calls",
		(json_int_t)jobs_submitted(jobs), "queue", "waiting", (json_int_t)waiting,
		"under_way", (json_int_t)under_way, "pool", pool_json(pool), "templates",
		templates_json(host), "latency", need(latencies_json(pool)), "histogram",
		histograms_json(pool)));
}

static void answer_status(struct job *job)
{
	json_object_set_new(job_reply(job), "status", status_json(job_userdata(job)));
}

const struct job_verb served_status = {
	.name = "status",
	.answer = answer_status,
};

static void answer_stop(struct job *job)
{
	char why[64];
	const struct daemon *daemon = job_userdata(job);
	snprintf(why, sizeof(why), "process %d asks for it", (int)job_pid(job));
	server_stop(daemon->server, why);
}

const struct job_verb served_stop = {
	.name = "stop",
	.answer = answer_stop,
};
