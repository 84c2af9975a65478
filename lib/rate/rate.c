/* SPDX-License-Identifier: MIT */
/* Whether something may be done now. */
#include "rate/internal.h"

int rates_open(const nova_config_t *config, const struct logger *log, struct rates **ret,
	nova_error_t **error)
{
	static const struct redis_use use = { "this host goes on by itself", 1u << 20 };
	struct rates *rates = calloc(1, sizeof(*rates));
	if (!rates)
		return nova_oom(error);
	pthread_mutex_init(&rates->lock, NULL);
	pthread_mutex_init(&rates->shared.turn, NULL);
	rates->shared.lock = &rates->lock;
	int code = buckets_init(&rates->buckets) < 0 ? nova_oom(error) : 0;
	if (code == 0)
		code = redis_open(config, &use, log, &rates->shared.redis, error);
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
	redis_close(rates->shared.redis); /* which answers buckets */
	buckets_done(&rates->buckets);
	pthread_mutex_destroy(&rates->shared.turn);
	pthread_mutex_destroy(&rates->lock);
	free(rates);
}

/* With the lock, which is given back while the server is asked: others go on meanwhile. */
static enum shared_result take_shared(struct rates *rates, struct bucket *b,
	const struct rate *limit, uint64_t tokens, uint64_t *ret_wait_us)
{
	struct shared *shared = &rates->shared;
	if (!shared->redis)
		return SHARED_AWAY;
	enum shared_result result = shared_take(b, tokens, ret_wait_us);
	bool asks = result == SHARED_ASK;
	if (!asks && !b->asked && !(result == SHARED_TAKEN && shared_runs_low(b, limit)))
		return result;
	pthread_mutex_unlock(&rates->lock);
	if (asks)
		result = shared_get(shared, b, limit, tokens, ret_wait_us);
	shared_go_on(shared, b, limit, result == SHARED_TAKEN);
	pthread_mutex_lock(&rates->lock);
	return result;
}

/* This host's own level goes along with what all share, so that a server that is lost gives nobody
 * a full bucket. With the lock. */
static bool take(struct rates *rates, struct bucket *b, const struct rate *limit, uint64_t tokens,
	uint64_t *ret_wait_us)
{
	if (level_let_in(&b->level, limit, clock_ns() / 1000))
		shared_forget(b);
	uint64_t owed = b->owed, all = tokens + owed;
	b->owed = 0; /* nobody else pays for them, too */
	tokens = all < limit->burst ? all : limit->burst;
	enum shared_result shared = take_shared(rates, b, limit, tokens, ret_wait_us);
	if (level_let_in(&b->level, limit, clock_ns() / 1000))
		shared_forget(b); /* another limit has come in meanwhile */
	uint64_t wait_us = shared == SHARED_LATER ? 0 : level_take(&b->level, tokens);
	bool taken = shared == SHARED_TAKEN || (shared == SHARED_AWAY && !wait_us);
	b->owed += taken ? all - tokens : owed;
	if (shared == SHARED_AWAY && wait_us)
		*ret_wait_us = wait_us;
	return taken;
}

int rates_take(struct rates *rates, const char *name, const struct rate *limit, uint64_t tokens,
	uint64_t *ret_wait_us)
{
	bool taken = false;
	pthread_mutex_lock(&rates->lock);
	struct bucket *b = bucket_get(&rates->buckets, name);
	if (b) {
		b->users++;
		taken = take(rates, b, limit, tokens, ret_wait_us);
		b->users--;
	}
	pthread_mutex_unlock(&rates->lock);
	return !b ? NOVA_ENOMEM : taken ? 0 : NOVA_ELIMIT;
}

void rates_owe(struct rates *rates, const char *name, uint64_t tokens)
{
	pthread_mutex_lock(&rates->lock);
	struct bucket *b = bucket_get(&rates->buckets, name);
	if (b && b->owed < UINT32_MAX)
		b->owed += tokens;
	pthread_mutex_unlock(&rates->lock);
}
