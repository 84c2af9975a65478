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
	size_t users;  /* who wait for the server */

	/* what all hosts share */
	uint64_t lease;     /* tokens that were taken ahead */
	uint64_t denied_us; /* until then there are not so many: */
	uint64_t denied;
	bool stale; /* the question was asked for another limit */
	bool asked; /* it is under way; changed by who has the turn, too */

	/* of who has the turn: the question that is under way, or was the last */
	uint64_t needed, wanted;
	uint64_t kept; /* of what is granted, for who waits for it */
	bool settled;  /* it is no more under way */
	bool answered; /* it was not lost */
	pthread_mutex_t *lock;
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

/* The server, and whose turn it is to ask: who has it may wait for an answer, while others spend
 * what was taken ahead. The turn is taken before the lock, never with it. */
struct shared {
	struct redis *redis; /* NULL: there is none */
	pthread_mutex_t turn;
	pthread_mutex_t *lock; /* of the buckets */
};

enum shared_result {
	SHARED_AWAY,  /* there is no server now */
	SHARED_TAKEN, /* from what all hosts share */
	SHARED_LATER, /* not before *ret_wait_us */
	SHARED_ASK,   /* nobody knows but the server */
};

/* With the lock. The limit is another: what was taken ahead is void. */
void shared_forget(struct bucket *bucket);
/* With the lock: without asking. */
enum shared_result shared_take(struct bucket *bucket, uint64_t tokens, uint64_t *ret_wait_us);
/* With the lock: whether it is time to take more ahead. */
bool shared_runs_low(const struct bucket *bucket, const struct rate *limit);
/* Without the lock, by a user of the bucket: waits for its turn and the answer. Never SHARED_ASK.
 */
enum shared_result shared_get(struct shared *shared, struct bucket *bucket,
	const struct rate *limit, uint64_t tokens, uint64_t *ret_wait_us);
/* Likewise: takes up what has come, and may ask for more, unless it is somebody else's turn. */
void shared_go_on(
	struct shared *shared, struct bucket *bucket, const struct rate *limit, bool may_ask);

/* --- rate.c --- */

struct rates {
	pthread_mutex_t lock;
	struct buckets buckets;
	struct shared shared; /* without a server: this host's own limits */
};

#endif
