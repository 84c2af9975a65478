/* SPDX-License-Identifier: MIT */
/*
 * Idempotency-Key: who asks again, with the same key and the same body, gets the first answer, and
 * nothing runs twice. Kept in memory, for a day and within bounds, and only what has begun: an
 * answer that nothing ran is no answer to keep.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "http.h"

#define KEPT_MAX   10000
#define BYTES_MAX  (64u << 20)
#define LIFE_MS    86400000
#define LENGTH_MAX 255

struct kept {
	TAILQ_ENTRY(kept) all; /* the oldest first; none while it is under way */
	char *name;
	unsigned char hash[32]; /* of what is asked for */
	bool done;
	int64_t until_ms;
	unsigned status;
	const char *type, *outcome;
	struct bytes out;
	json_t *headers;
};

static struct {
	void *tree;
	TAILQ_HEAD(, kept) done;
	size_t count, bytes;
} table = { .done = TAILQ_HEAD_INITIALIZER(table.done) };

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct kept *)a)->name, ((const struct kept *)b)->name);
}

static void forget(struct kept *kept)
{
	if (kept->done)
		TAILQ_REMOVE(&table.done, kept, all);
	tdelete(kept, &table.tree, compare);
	table.count--;
	table.bytes -= kept->out.len + strlen(kept->name);
	bytes_free(&kept->out);
	json_decref(kept->headers);
	free(kept->name);
	free(kept);
}

static void make_room(void)
{
	int64_t now = now_ms();
	for (struct kept *kept; (kept = TAILQ_FIRST(&table.done)) != NULL;) {
		if (table.count < KEPT_MAX && table.bytes < BYTES_MAX && kept->until_ms > now)
			return;
		forget(kept);
	}
}

static bool is_key(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len && len <= LENGTH_MAX;
}

/* Keys of different callers, and of different things asked for, have nothing to do with another. */
static char *name_of(const struct exchange *x, const char *key)
{
	char *name, who[65] = ""; /* not its name, which may change or be given twice */
	if (x->key)
		hex_of(who, x->key->hash, sizeof(x->key->hash));
	if (asprintf(&name, "%s\n%s\n%s\n%s\n%s", who, x->sandbox, x->path,
		    x->search ? x->search : "", key) < 0)
		need(NULL);
	return name;
}

/* What its job is to do: a form has become its bytes and their places, and how Amazon's clients
 * want a function called stands in the head. */
static void hash_of(const struct exchange *x, unsigned char hash[32])
{
	gnutls_hash_hd_t state;
	json_t *rest = need(json_pack("{s:b,s:s*,s:O*,s:O*,s:O*}", "detached", (int)x->detached,
		"verb", x->verb ? x->verb->name : NULL, "parts",
		json_object_get(x->options, "parts"), "tail", json_object_get(x->options, "tail"),
		"client_context", json_object_get(x->options, "client_context")));
	char *text = need(json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS));
	if (gnutls_hash_init(&state, GNUTLS_DIG_SHA256) < 0)
		need(NULL);
	gnutls_hash(state, text, strlen(text) + 1);
	if (x->body.len)
		gnutls_hash(state, x->body.data, x->body.len);
	gnutls_hash_deinit(state, hash);
	json_decref(rest);
	free(text);
}

static void replay(struct exchange *x, const struct kept *kept)
{
	struct bytes copy = { 0 };
	bytes_add(&copy, kept->out.data, kept->out.len);
	json_decref(x->headers);
	x->headers = json_deep_copy(kept->headers);
	exchange_header_add(x, "Idempotency-Replayed", "true");
	exchange_answer(x, kept->status, kept->type, &copy);
	x->outcome = kept->outcome;
}

static void answer_known(struct exchange *x, const struct kept *known, const unsigned char *hash)
{
	if (memcmp(known->hash, hash, sizeof(known->hash)) != 0)
		exchange_problem(
			x, 422, "key_reused", "this Idempotency-Key was used with another body");
	else if (!known->done)
		exchange_problem(x, 409, "under_way",
			"what was asked with this Idempotency-Key is still under way");
	else
		replay(x, known);
}

bool idempotency_begin(struct exchange *x)
{
	unsigned char hash[32];
	const char *key = exchange_header(x, "Idempotency-Key");
	if (!key || strcmp(x->method, "POST") != 0)
		return true;
	if (!is_key(key)) {
		exchange_problem(
			x, 400, "invalid", "Idempotency-Key is not 1 to %d characters", LENGTH_MAX);
		return false;
	}
	make_room();
	hash_of(x, hash);
	struct kept *kept = need(calloc(1, sizeof(*kept)));
	kept->name = name_of(x, key);
	struct kept **found = need(tsearch(kept, &table.tree, compare));
	if (*found != kept) {
		answer_known(x, *found, hash);
		free(kept->name);
		free(kept);
		return false;
	}
	memcpy(kept->hash, hash, sizeof(hash));
	table.count++;
	table.bytes += strlen(kept->name);
	x->kept = kept;
	return true;
}

void idempotency_end(struct exchange *x)
{
	struct kept *kept = x->kept;
	if (!kept)
		return;
	x->kept = NULL;
	bool nothing_ran = x->outcome && !strcmp(x->outcome, "never_ran");
	if (!x->answered || nothing_ran) {
		forget(kept);
		return;
	}
	kept->done = true;
	kept->until_ms = now_ms() + LIFE_MS;
	kept->status = x->status;
	kept->type = x->type;
	kept->outcome = x->outcome;
	kept->headers = json_deep_copy(x->headers);
	bytes_add(&kept->out, x->out.data, x->out.len);
	table.bytes += kept->out.len;
	TAILQ_INSERT_TAIL(&table.done, kept, all);
}

/* Those under way are ended by their exchanges, which are over. */
void idempotency_free(void)
{
	for (struct kept *kept; (kept = TAILQ_FIRST(&table.done)) != NULL;)
		forget(kept);
}
