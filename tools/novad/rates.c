/* SPDX-License-Identifier: MIT */
/*
 * Rates of keys (nova/rate.h). To take from one that hosts share may wait for their Redis, so a job
 * does it while the request waits: one job at a time, for all that have come since the one before.
 */
#include <stdlib.h>
#include <string.h>

#include <nova/rate.h>

#include "http.h"

struct taking {
	TAILQ_ENTRY(taking) all;
	struct exchange *exchange; /* NULL: it has gone */
};

TAILQ_HEAD(takings, taking);
static struct takings coming = TAILQ_HEAD_INITIALIZER(coming);
static struct takings under_way = TAILQ_HEAD_INITIALIZER(under_way);

/* --- the job --- */

static uint32_t number_of(const json_t *limit, const char *name)
{
	return (uint32_t)json_integer_value(json_object_get(limit, name));
}

/* For how many milliseconds there is none; 0: it was taken. What has nothing to do with the key (no
 * memory) locks nobody out. */
static uint64_t take_one(nova_t *nova, const json_t *limit)
{
	uint64_t wait_ms = 0;
	nova_rate_opts opts = NOVA_RATE_OPTS_INIT;
	opts.name = json_string_value(json_object_get(limit, "name"));
	opts.rate = number_of(limit, "rate");
	opts.period_ms = number_of(limit, "period_ms");
	opts.burst = number_of(limit, "burst");
	bool none = nova_rate_take(nova, &opts, &wait_ms, NULL) == NOVA_ELIMIT;
	return !none ? 0 : wait_ms ? wait_ms : 1;
}

static void take(struct job *job)
{
	size_t i;
	json_t *limit, *waits = need(json_array());
	json_array_foreach(json_object_get(job_options(job), "limits"), i, limit)
		json_array_append_new(
			waits, json_integer((json_int_t)take_one(job_nova(job), limit)));
	job_answer(job, waits);
}

static const struct job_verb verb_take = { .name = "take from rates", .work = take };

static json_t *limit_of(const struct key *key)
{
	char name[8 + 2 * sizeof(key->hash)] = "apikey:";
	hex_of(name + strlen(name), key->hash, sizeof(key->hash));
	return need(json_pack("{s:s,s:I,s:I,s:I}", "name", name, "rate", (json_int_t)key->rate,
		"period_ms", (json_int_t)key->period_ms, "burst", (json_int_t)key->burst));
}

/* --- who waits for it --- */

static void on_woken(void *userdata)
{
	(void)userdata; /* it prints nothing */
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	(void)userdata, (void)part, (void)data, (void)len;
}

static void begin(struct novad *novad);

static void on_end(void *userdata, const json_t *reply)
{
	size_t i = 0;
	struct taking *taking;
	struct novad *novad = userdata;
	const json_t *waits = json_object_get(reply, "body");
	while ((taking = TAILQ_FIRST(&under_way)) != NULL) {
		struct exchange *x = taking->exchange;
		TAILQ_REMOVE(&under_way, taking, all);
		free(taking);
		uint64_t wait_ms = (uint64_t)json_integer_value(json_array_get(waits, i++));
		if (!x)
			continue;
		x->taking = NULL;
		x->has_taken = true;
		x->wait_ms = wait_ms;
		x->go_on(x);
	}
	if (!TAILQ_EMPTY(&coming))
		begin(novad);
}

static void begin(struct novad *novad)
{
	static const struct job_asker asker = { on_woken, on_text, on_end, NULL };
	struct job_request request = { .verb = &verb_take };
	struct taking *taking;
	json_t *limits = need(json_array());
	json_t *options = need(json_pack("{s:o}", "limits", limits));
	while ((taking = TAILQ_FIRST(&coming)) != NULL) {
		TAILQ_REMOVE(&coming, taking, all);
		if (!taking->exchange) {
			free(taking);
			continue;
		}
		TAILQ_INSERT_TAIL(&under_way, taking, all);
		json_array_append_new(limits, limit_of(taking->exchange->key));
	}
	request.options = options;
	if (!TAILQ_EMPTY(&under_way)) /* else all have gone */
		job_begin(server_jobs(novad->server), &request, &asker, novad);
	json_decref(options);
}

void rate_take(struct exchange *x, void (*go_on)(struct exchange *exchange))
{
	struct taking *taking = need(calloc(1, sizeof(*taking)));
	taking->exchange = x;
	x->taking = taking;
	x->go_on = go_on;
	TAILQ_INSERT_TAIL(&coming, taking, all);
	if (TAILQ_EMPTY(&under_way))
		begin(x->novad);
}

void rate_forget(struct exchange *x)
{
	if (x->taking)
		x->taking->exchange = NULL;
	x->taking = NULL;
}

static void free_all(struct takings *takings)
{
	struct taking *taking;
	while ((taking = TAILQ_FIRST(takings)) != NULL) {
		TAILQ_REMOVE(takings, taking, all);
		free(taking);
	}
}

void rates_free(void)
{
	free_all(&coming);
	free_all(&under_way);
}
