/* SPDX-License-Identifier: MIT */
/*
 * Keys that the store has said to be valid, so that it need not be asked for them again at once.
 * All of this is the loop's.
 */
#include <stdlib.h>
#include <string.h>

#include "novad.h"

#define HOLDS_MS 1000
#define BUCKETS  1024u
#ifndef KNOWN_MAX
#define KNOWN_MAX 100000u /* keys at once; those that nobody holds any more make room */
#endif

struct known_key {
	struct key is;
	struct known_key *next;
};

/* What a key was asked for by: itself, or its name. Both lead to the same one. */
struct answer {
	unsigned char asked[32]; /* the hash of that */
	struct key *key;
	struct answer *next;
	int64_t until; /* it need not be asked for before */
};

static struct known_key *keys[BUCKETS];
static struct answer *answers[BUCKETS];
static size_t keys_count, answers_count;

static size_t bucket_of(const unsigned char hash[32])
{
	return (hash[0] | hash[1] << 8) % BUCKETS;
}

static struct answer **answer_of(const unsigned char hash[32])
{
	struct answer **at = &answers[bucket_of(hash)];
	while (*at && memcmp((*at)->asked, hash, 32) != 0)
		at = &(*at)->next;
	return at;
}

static struct known_key **key_of(const unsigned char hash[32])
{
	struct known_key **at = &keys[bucket_of(hash)];
	while (*at && memcmp((*at)->is.hash, hash, 32) != 0)
		at = &(*at)->next;
	return at;
}

struct key *known_find(const unsigned char hash[32])
{
	struct answer *answer = *answer_of(hash);
	return answer && now_ms() < answer->until ? answer->key : NULL;
}

/* NULL: there are too many. One that is there has what it may have from now on. */
static struct key *note_key(const struct key *found)
{
	struct known_key **at = key_of(found->hash), *key = *at;
	if (!key && keys_count == KNOWN_MAX)
		return NULL;
	if (!key) {
		*at = key = need(calloc(1, sizeof(*key)));
		keys_count++;
	}
	key_change(&key->is, found);
	return &key->is;
}

static void forget_answers(int64_t now)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct answer **at = &answers[i], *answer; (answer = *at) != NULL;) {
			if (now < answer->until) {
				at = &answer->next;
				continue;
			}
			*at = answer->next;
			key_release(answer->key);
			free(answer);
			answers_count--;
		}
}

static void make_room(void)
{
	if (keys_count < KNOWN_MAX && answers_count < 2 * KNOWN_MAX)
		return;
	forget_answers(now_ms());
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct known_key **at = &keys[i], *key; (key = *at) != NULL;) {
			if (key->is.holders) {
				at = &key->next;
				continue;
			}
			*at = key->next;
			free(key);
			keys_count--;
		}
}

struct key *known_note(const unsigned char hash[32], const struct key *found)
{
	make_room();
	struct answer **at = answer_of(hash), *answer = *at;
	struct key *key = answer || answers_count < 2 * KNOWN_MAX ? note_key(found) : NULL;
	if (!key)
		return NULL;
	if (!answer) {
		*at = answer = need(calloc(1, sizeof(*answer)));
		memcpy(answer->asked, hash, 32);
		answers_count++;
	}
	key_hold(key);
	key_release(answer->key);
	answer->key = key;
	answer->until = now_ms() + HOLDS_MS;
	return key;
}

void known_free(void)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct answer *answer; (answer = answers[i]) != NULL;) {
			answers[i] = answer->next;
			free(answer);
		}
		for (struct known_key *key; (key = keys[i]) != NULL;) {
			keys[i] = key->next;
			free(key);
		}
	}
	keys_count = answers_count = 0;
}
