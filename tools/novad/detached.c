/* SPDX-License-Identifier: MIT */
/*
 * Calls that nobody waits for: who has asked is answered as soon as they have begun. What comes of
 * them is in the log of calls. They are counted as calls until they have ended, and when the server
 * stops they have the time of all others.
 */
#include <stdlib.h>

#include "http.h"

struct detached {
	LIST_ENTRY(detached) all;
	struct exchange *exchange; /* who has asked; NULL: it has been answered */
	struct novad *novad;
	struct key *key;
	struct job *job;
	size_t held;
};

static LIST_HEAD(, detached) calls;
static size_t count;

static void on_woken(void *userdata)
{
	const struct detached *call = userdata;
	job_pass_on(call->job);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	(void)userdata, (void)part, (void)data, (void)len;
}

static void on_end(void *userdata, const json_t *reply)
{
	struct detached *call = userdata;
	if (call->exchange) {
		exchange_answer_job(call->exchange, reply);
	} else {
		LIST_REMOVE(call, all);
		count--;
		call->novad->calls--;
		call->novad->body_bytes -= call->held;
		if (call->key)
			call->key->calls--;
	}
	free(call);
}

/* What the exchange has counted is the call's own from now on. */
static void take_over(struct detached *call, struct exchange *x)
{
	call->exchange = NULL;
	call->key = x->key;
	call->held = x->held;
	x->held = 0;
	x->admitted = false;
	LIST_INSERT_HEAD(&calls, call, all);
	count++;
}

void detached_begin(struct exchange *x, struct jobs *jobs, struct job_request *request)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	struct detached *call = need(calloc(1, sizeof(*call)));
	struct bytes none = { 0 };
	call->exchange = x;
	call->novad = x->novad;
	struct job *job = job_begin(jobs, request, &asker, call);
	if (!job)
		return; /* it has ended, and is gone */
	call->job = job;
	take_over(call, x);
	exchange_answer(x, 202, "application/json", &none);
}

size_t detached_count(void)
{
	return count;
}

void detached_free(void)
{
	for (struct detached *call; (call = LIST_FIRST(&calls)) != NULL;) {
		LIST_REMOVE(call, all);
		free(call);
	}
	count = 0;
}
