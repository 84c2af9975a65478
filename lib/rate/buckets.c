/* SPDX-License-Identifier: MIT */
/* The arithmetic of one bucket, and all buckets by their names. */
#include "rate/internal.h"

#define BUCKETS_MOST 100000u

/* What has been used stays used. */
static uint64_t changed_level(const struct level *l, const struct rate *limit)
{
	uint64_t used = l->limit.burst - l->is / l->limit.period_us;
	return used < limit->burst ? (limit->burst - used) * limit->period_us : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void level_let_in(struct level *l, const struct rate *limit, uint64_t now_us)
{
	uint64_t most = limit->burst * limit->period_us;
	if (!l->limit.rate)
		l->is = most;
	else if (memcmp(&l->limit, limit, sizeof(*limit)) != 0)
		l->is = changed_level(l, limit);
	else {
		/* as long as that fills it at most: the product fits */
		uint64_t full_in = (most - l->is) / limit->rate + 1;
		l->is = least(most, l->is + least(now_us - l->at_us, full_in) * limit->rate);
	}
	l->limit = *limit;
	l->at_us = now_us;
}

uint64_t level_take(struct level *l, uint64_t tokens)
{
	uint64_t wanted = tokens * l->limit.period_us;
	if (wanted > l->is)
		return (wanted - l->is + l->limit.rate - 1) / l->limit.rate;
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

/* One about which a question is under way must stay. */
static void make_room(struct buckets *b)
{
	struct link *l = b->used.next;
	while (b->all.count >= BUCKETS_MOST && l != &b->used) {
		struct bucket *bucket = CONTAINER_OF(l, struct bucket, used);
		l = l->next;
		if (!bucket->asked)
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
