/* SPDX-License-Identifier: MIT */
/* Whether something may be done now. */
#include "rate/internal.h"

struct rates {
	pthread_mutex_t lock;
	struct buckets buckets;
	struct redis *redis; /* NULL: this host's own limits */
};

int rates_open(const nova_config_t *config, const struct logger *log, struct rates **ret,
	nova_error_t **error)
{
	static const struct redis_use use = { "this host goes on by itself", 1u << 20 };
	struct rates *rates = calloc(1, sizeof(*rates));
	if (!rates)
		return nova_oom(error);
	pthread_mutex_init(&rates->lock, NULL);
	int code = buckets_init(&rates->buckets) < 0 ? nova_oom(error) : 0;
	if (code == 0)
		code = redis_open(config, &use, log, &rates->redis, error);
	if (code < 0)
		rates_close(rates);
	else
		*ret = rates;
	return code;
}

void rates_close(struct rates *rates)
{
	if (!rates)
		return;
	redis_close(rates->redis); /* which answers buckets */
	buckets_done(&rates->buckets);
	pthread_mutex_destroy(&rates->lock);
	free(rates);
}

/* This host's own level goes along with what all share, so that a server that is lost gives nobody
 * a full bucket. With the lock. */
static int take(struct rates *rates, const char *name, const struct rate *limit, uint64_t tokens,
	uint64_t *ret_wait_us)
{
	struct bucket *b = bucket_get(&rates->buckets, name);
	if (!b)
		return NOVA_ENOMEM;
	if (level_let_in(&b->level, limit, clock_ns() / 1000))
		shared_forget(b);
	uint64_t all = tokens + b->owed;
	tokens = all < limit->burst ? all : limit->burst;
	int shared = rates->redis ? shared_take(rates->redis, b, limit, tokens, ret_wait_us) : -1;
	if (shared == 0)
		return NOVA_ELIMIT;
	uint64_t wait_us = level_take(&b->level, tokens);
	if (shared > 0 || !wait_us) {
		b->owed = all - tokens;
		return 0;
	}
	*ret_wait_us = wait_us;
	return NOVA_ELIMIT;
}

int rates_take(struct rates *rates, const char *name, const struct rate *limit, uint64_t tokens,
	uint64_t *ret_wait_us)
{
	pthread_mutex_lock(&rates->lock);
	int code = take(rates, name, limit, tokens, ret_wait_us);
	pthread_mutex_unlock(&rates->lock);
	return code;
}

void rates_owe(struct rates *rates, const char *name, uint64_t tokens)
{
	pthread_mutex_lock(&rates->lock);
	struct bucket *b = bucket_get(&rates->buckets, name);
	if (b && b->owed < UINT32_MAX)
		b->owed += tokens;
	pthread_mutex_unlock(&rates->lock);
}
