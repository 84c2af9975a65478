/* SPDX-License-Identifier: MIT */
/* What it says of itself: that it lives, that it serves, its numbers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "routes.h"

static struct MHD_Response *ready_text(const char *type, const char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	need(response);
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	return response;
}

void direct_health(struct exchange *exchange)
{
	static struct MHD_Response *ready;
	if (!ready)
		ready = ready_text("application/json", "{\"status\":\"ok\"}");
	exchange_answer_ready(exchange, 200, ready);
}

/* Whoever is drained does not get as far as this: the gate has refused it. */
void direct_ready(struct exchange *exchange)
{
	direct_health(exchange);
}

/* --- numbers: https://prometheus.io/docs/instrumenting/exposition_formats/ --- */

static void put(struct bytes *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct bytes *out, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	bytes_add(out, text, (size_t)len);
}

static void put_one(
	struct bytes *out, const char *name, const char *type, const char *help, double value)
{
	put(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void put_requests(struct bytes *out, const struct novad *novad)
{
	const uint64_t *counters = novad->counters;
	put(out, "# HELP novad_requests_total Requests answered, by class of status.\n"
		 "# TYPE novad_requests_total counter\n");
	for (int class = 1; class <= 5; class ++)
		put(out, "novad_requests_total{class=\"%dxx\"} %llu\n", class,
			(unsigned long long)counters[COUNTER_1XX + class - 1]);
	put(out,
		"# HELP novad_request_seconds Time from the head of a request to its answer.\n"
		"# TYPE novad_request_seconds summary\n"
		"novad_request_seconds_sum %.6f\nnovad_request_seconds_count %llu\n",
		(double)counters[COUNTER_MICROSECONDS] / 1e6,
		(unsigned long long)counters[COUNTER_REQUESTS]);
	put_one(out, "novad_abandoned_total", "counter", "Requests whose client went away.",
		(double)counters[COUNTER_ABANDONED]);
	put_one(out, "novad_shed_total", "counter",
		"Requests refused because too much is under way.", (double)counters[COUNTER_SHED]);
	put_one(out, "novad_slow_total", "counter", "Connections that took too long.",
		(double)counters[COUNTER_TIMEOUTS]);
	put_one(out, "novad_dropped_total", "counter",
		"Asynchronous calls that failed and were not begun again, as too many waited.",
		(double)counters[COUNTER_DROPPED]);
	put_one(out, "novad_connections", "gauge", "Connections now.", (double)novad->connections);
	put_one(out, "novad_calls", "gauge", "Requests under way now.", (double)novad->calls);
	put_one(out, "novad_body_bytes", "gauge", "Bodies in memory now.",
		(double)novad->body_bytes);
}

static void put_pool(struct bytes *out, const struct novad *novad)
{
	static const struct {
		int counter;
		const char *name, *type, *help;
	} rows[] = {
		{ NOVA_POOL_IDLE, "nova_pool_idle", "gauge", "VMs that wait for a call." },
		{ NOVA_POOL_BUSY, "nova_pool_busy", "gauge", "VMs that run a call." },
		{ NOVA_POOL_STARTING, "nova_pool_starting", "gauge", "VMs that start." },
		{ NOVA_POOL_WAITING, "nova_pool_waiting", "gauge", "Calls that wait for a VM." },
		{ NOVA_POOL_HITS, "nova_pool_hits_total", "counter", "Calls that found a VM." },
		{ NOVA_POOL_MISSES, "nova_pool_misses_total", "counter",
			"Calls for which a VM was started." },
		{ NOVA_POOL_START_FAILURES, "nova_pool_start_failures_total", "counter",
			"VMs that did not start." },
		{ NOVA_POOL_TIMEOUTS, "nova_pool_timeouts_total", "counter",
			"Calls for which there was no VM in time." },
	};
	uint64_t values[64] = { 0 };
	nova_pool_stats(nova_pool_get(novad->nova), values, ARRAY_LEN(values));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		put_one(out, rows[i].name, rows[i].type, rows[i].help,
			(double)values[rows[i].counter]);
}

void direct_metrics(struct exchange *exchange)
{
	struct bytes out = { 0 };
	put_requests(&out, exchange_novad(exchange));
	put_pool(&out, exchange_novad(exchange));
	exchange_answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}
