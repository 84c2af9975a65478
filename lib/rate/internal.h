/* SPDX-License-Identifier: MIT */
/* Inside rate only. */
#ifndef NOVA_LIB_RATE_INTERNAL_H
#define NOVA_LIB_RATE_INTERNAL_H

#include "rate/rate.h"
#include "redis/redis.h"

/* --- buckets.c --- */

/* In units of which a token is `period_us`: so many times `rate` come in a microsecond, and nothing
 * is rounded. */
struct level {
	int64_t is; /* below 0: more has been used than the present limit allows */
	uint64_t at_us;
	struct rate limit;
};
/* One that was not used before is full. True: the limit is another than before. */
bool level_let_in(struct level *level, const struct rate *limit, uint64_t now_us);
/* 0: they are taken; else the microseconds until they can be. */
uint64_t level_take(struct level *level, uint64_t tokens);

struct bucket {
	struct table_node node;
	struct link used; /* among all, the one that was used last at the end */
	struct level level;
	uint64_t owed; /* tokens, by the next one who takes */

	/* what all hosts share */
	uint64_t lease;     /* tokens that were taken ahead */
	uint64_t denied_us; /* until then there are not so many: */
	uint64_t denied;
	uint64_t needed, wanted; /* by the question that is under way, or was the last */
	bool stale;              /* it was asked for another limit */
	bool asked, settled;     /* it is under way; it is no more */
	bool answered;           /* it was not lost */
	char name[];
};

struct buckets {
	struct table all;
	struct link used;
};
int buckets_init(struct buckets *buckets); /* 0 or -ENOMEM */
void buckets_done(struct buckets *buckets);
/* NULL: out of memory. It stays until another is wanted. */
struct bucket *bucket_get(struct buckets *buckets, const char *name);

/* --- shared.c --- */

/* The limit is another: what was taken ahead is void. */
void shared_forget(struct bucket *bucket);
/* 1: they were taken from what all hosts share; 0: not before *ret_wait_us; -1: the server is away.
 */
int shared_take(struct redis *redis, struct bucket *bucket, const struct rate *limit,
	uint64_t tokens, uint64_t *ret_wait_us);

#endif
