/* SPDX-License-Identifier: MIT */
/*
 * Keys that the store has (nova/key.h). Asking it may take its time, so a job does that while the
 * request waits; known.c has what it has said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "http.h"

#define ASKING_MAX 64u /* at once: who guesses keys gets no thread for each */

static size_t asking;

static void hash_of(const char *text, unsigned char out[32])
{
	gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), out);
}

/* No header has a line feed in it, so that a name is no key. */
static void hash_of_name(const char *name, unsigned char out[32])
{
	char text[80];
	snprintf(text, sizeof(text), "name\n%.66s", name);
	hash_of(text, out);
}

struct key *stored_find(const char *text)
{
	unsigned char hash[32];
	hash_of(text, hash);
	return known_find(hash);
}

struct key *stored_named(const char *name)
{
	unsigned char hash[32];
	hash_of_name(name, hash);
	return known_find(hash);
}

/* Another key of the same name, made when this one had been deleted, is another one. */
void stored_key_of(struct key *key, const nova_key *stored)
{
	char text[200];
	snprintf(text, sizeof(text), "%s\n%s\n%llu", stored->name, stored->prefix,
		(unsigned long long)stored->created_us);
	hash_of(text, key->hash);
	snprintf(key->name, sizeof(key->name), "%s", stored->name);
	key->admin = !strcmp(stored->tier, "admin");
	key->rate = stored->rate;
	key->period_ms = stored->period_ms;
	key->burst = stored->burst;
}

/* --- asking --- */

static json_t *key_json(const nova_key *stored)
{
	struct key key = { .calls = 0 };
	char hash[65];
	stored_key_of(&key, stored);
	hex_of(hash, key.hash, sizeof(key.hash));
	return json_pack("{s:s,s:s,s:b,s:I,s:I,s:I}", "name", key.name, "hash", hash, "admin",
		(int)key.admin, "rate", (json_int_t)key.rate, "period_ms",
		(json_int_t)key.period_ms, "burst", (json_int_t)key.burst);
}

static uint32_t number_of(const json_t *found, const char *name)
{
	return (uint32_t)json_integer_value(json_object_get(found, name));
}

static void read_key(struct key *key, const json_t *found)
{
	size_t len = sizeof(key->hash);
	const char *hash = json_string_value(json_object_get(found, "hash"));
	gnutls_datum_t hex = { (unsigned char *)(uintptr_t)hash, (unsigned)strlen(hash) };
	gnutls_hex_decode(&hex, key->hash, &len);
	snprintf(key->name, sizeof(key->name), "%s",
		json_string_value(json_object_get(found, "name")));
	key->admin = json_is_true(json_object_get(found, "admin"));
	key->rate = number_of(found, "rate");
	key->period_ms = number_of(found, "period_ms");
	key->burst = number_of(found, "burst");
}

/* The host's trouble is no answer. */
static bool is_refusal(int code, const nova_error_t *error)
{
	return code == NOVA_ENOTFOUND || (code == NOVA_EPERM && !nova_error_os(error));
}

bool stored_is_over(const nova_key *key)
{
	return key->revoked ||
	       (key->expires_us && key->expires_us / 1000000 <= (uint64_t)time(NULL));
}

static int ask(struct job *job, const nova_key **ret_key, nova_error_t **error)
{
	const char *key = job_text(job, "key");
	return key ? nova_key_check(job_nova(job), key, ret_key, error) :
		     nova_key_get(job_nova(job), job_text(job, "name"), ret_key, error);
}

static void check(struct job *job)
{
	nova_error_t *error = NULL;
	const nova_key *key = NULL;
	int code = ask(job, &key, &error);
	if (code == 0 && stored_is_over(key)) /* only of one that was asked for by its name */
		job_answer(job, json_pack("{s:s}", "refused", SIGNATURE_UNKNOWN));
	else if (code == 0)
		job_answer(job, key_json(key));
	else if (is_refusal(code, error))
		job_answer(job, json_pack("{s:s}", "refused", nova_error_message(error)));
	else
		job_fail_by(job, error);
	nova_key_free(key);
	nova_error_free(error);
}

static const struct job_verb verb_check = { .name = "check a key", .work = check };

/* One key that the store is asked for, by however many requests. */
struct lookup {
	LIST_ENTRY(lookup) all;
	LIST_HEAD(, exchange) waiting;
	unsigned char hash[32];
	struct job *job;
};

static LIST_HEAD(, lookup) lookups;

static void on_woken(void *userdata)
{
	const struct lookup *lookup = userdata;
	job_pass_on(lookup->job);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	(void)userdata, (void)part, (void)data, (void)len;
}

static void tell(struct exchange *x, struct key *key, const json_t *reply)
{
	const json_t *body = json_object_get(reply, "body");
	const char *refused = json_string_value(json_object_get(body, "refused"));
	exchange_take_key(x, key);
	if (refused)
		x->refused = need(strdup(refused));
	else if (!body)
		exchange_answer_job(x, reply);
	else if (!key)
		exchange_problem(x, 503, "overloaded", "too many keys have called");
	stored_forget(x);
	x->go_on(x);
}

static void on_end(void *userdata, const json_t *reply)
{
	struct lookup *lookup = userdata;
	struct exchange *x;
	const json_t *body = json_object_get(reply, "body");
	struct key found = { .calls = 0 }, *key = NULL;
	if (json_object_get(body, "name")) {
		read_key(&found, body);
		key = known_note(lookup->hash, &found);
	}
	LIST_REMOVE(lookup, all);
	asking--;
	while ((x = LIST_FIRST(&lookup->waiting)) != NULL)
		tell(x, key, reply);
	free(lookup);
}

void stored_forget(struct exchange *x)
{
	if (x->is_asking)
		LIST_REMOVE(x, asking);
	x->is_asking = false;
}

static struct lookup *find_lookup(const unsigned char hash[32])
{
	struct lookup *lookup;
	LIST_FOREACH(lookup, &lookups, all)
	if (!memcmp(lookup->hash, hash, 32))
		return lookup;
	return NULL;
}

static void wait_for(struct exchange *x, struct lookup *lookup)
{
	LIST_INSERT_HEAD(&lookup->waiting, x, asking);
	x->is_asking = true;
}

bool stored_ask(struct exchange *x, void (*go_on)(struct exchange *exchange))
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	struct job_request request = { .verb = &verb_check, .options = x->offered };
	unsigned char hash[32];
	const char *text = json_string_value(json_object_get(x->offered, "key"));
	if (text)
		hash_of(text, hash);
	else
		hash_of_name(json_string_value(json_object_get(x->offered, "name")), hash);
	struct lookup *lookup = find_lookup(hash);
	x->go_on = go_on;
	if (lookup) {
		wait_for(x, lookup);
		return true;
	}
	if (asking == ASKING_MAX) {
		exchange_problem(x, 503, "overloaded", "too many keys are being looked up");
		return false;
	}
	lookup = need(calloc(1, sizeof(*lookup)));
	memcpy(lookup->hash, hash, sizeof(hash));
	LIST_INSERT_HEAD(&lookups, lookup, all);
	asking++;
	wait_for(x, lookup);
	struct job *job = job_begin(server_jobs(x->novad->server), &request, &asker, lookup);
	if (job)
		lookup->job = job; /* else it is over */
	return true;
}
