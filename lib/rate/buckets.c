/* SPDX-License-Identifier: MIT */
/* The arithmetic of one bucket, and all buckets by their names. */
#include "rate/internal.h"

#define BUCKETS_MOST 100000u

static int64_t most_of(const struct rate *limit)
{
	return (int64_t)(limit->burst * limit->period_us);
}

/* What has come since. */
static void refill(struct level *l, uint64_t now_us)
{
	uint64_t missing = (uint64_t)(most_of(&l->limit) - l->is), passed = now_us - l->at_us;
	/* as long as that fills it at most: the product fits */
	uint64_t full_in = missing / l->limit.rate + 1;
	uint64_t gained = (passed < full_in ? passed : full_in) * l->limit.rate;
	l->is += (int64_t)(gained < missing ? gained : missing);
}

/* What has been used stays used, in whole tokens. */
static int64_t changed_level(const struct level *l, const struct rate *limit)
{
	int64_t period = (int64_t)l->limit.period_us;
	int64_t used = (most_of(&l->limit) - l->is + period - 1) / period;
	return ((int64_t)limit->burst - used) * (int64_t)limit->period_us;
}

bool level_let_in(struct level *l, const struct rate *limit, uint64_t now_us)
{
	bool is_new = !l->limit.rate;
	bool changed = !is_new && memcmp(&l->limit, limit, sizeof(*limit)) != 0;
	if (is_new)
		l->is = most_of(limit);
	else
		refill(l, now_us);
	if (changed)
		l->is = changed_level(l, limit);
	l->limit = *limit;
	l->at_us = now_us;
	return changed;
}

uint64_t level_take(struct level *l, uint64_t tokens)
{
	int64_t wanted = (int64_t)(tokens * l->limit.period_us);
	if (wanted > l->is)
		return ((uint64_t)(wanted - l->is) + l->limit.rate - 1) / l->limit.rate;
	l->is -= wanted;
	return 0;
}

/* --- all of them --- */

int buckets_init(struct buckets *b)
{
	list_init(&b->used);
	return table_init(&b->all);
}

static void drop(struct buckets *b, struct bucket *bucket)
{
	link_remove(&bucket->used);
	table_remove(&b->all, &bucket->node);
	free(bucket);
}

void buckets_done(struct buckets *b)
{
	struct link *first;
	while ((first = list_first(&b->used)))
		drop(b, CONTAINER_OF(first, struct bucket, used));
	table_done(&b->all);
}

static struct bucket *find(const struct buckets *b, const char *name)
{
	uint64_t hash = hash_text(name);
	for (struct table_node *n = table_bucket(&b->all, hash); n; n = n->next) {
		struct bucket *bucket = CONTAINER_OF(n, struct bucket, node);
		if (n->hash == hash && !strcmp(bucket->name, name))
			return bucket;
	}
	return NULL;
}

/* One about which a question is under way must stay, as must one that somebody uses. */
static void make_room(struct buckets *b)
{
	struct link *l = b->used.next;
	while (b->all.count >= BUCKETS_MOST && l != &b->used) {
		struct bucket *bucket = CONTAINER_OF(l, struct bucket, used);
		l = l->next;
		if (!bucket->asked && !bucket->users)
			drop(b, bucket);
	}
}

struct bucket *bucket_get(struct buckets *b, const char *name)
{
	struct bucket *bucket = find(b, name);
	size_t len = strlen(name) + 1;
	if (bucket) {
		link_remove(&bucket->used);
	} else {
		make_room(b);
		bucket = calloc(1, sizeof(*bucket) + len);
		if (!bucket)
			return NULL;
		memcpy(bucket->name, name, len);
		table_add(&b->all, &bucket->node, hash_text(name));
	}
	list_append(&b->used, &bucket->used);
	return bucket;
}
