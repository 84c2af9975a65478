/* SPDX-License-Identifier: MIT */
/*
 * What all hosts take from: one script on the server, which is atomic. A host takes tokens for a
 * tenth of a second ahead, and asks for more while it has half of them: so it waits for an answer
 * only for the first of many. Where fewer than two come in that time it asks for each, so that no
 * host keeps what another could use.
 */
#include "module/redis.h"
#include "rate/internal.h"

#define AHEAD_US 100000u
#define NUMBER   24
#define TURNS    3

/* It knows the same arithmetic as buckets.c, by the server's clock. A level that is full is as good
 * as none, so it expires. */
static const char script[] =
	"if redis.replicate_commands then redis.replicate_commands() end "
	"local t = redis.call('TIME') "
	"local now = t[1] * 1000000 + t[2] "
	"local rate, period, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) "
	"local need, want = tonumber(ARGV[4]), tonumber(ARGV[5]) "
	"local most = burst * period "
	"local was = redis.call('HMGET', KEYS[1], 'level', 'at', 'period', 'burst', 'rate') "
	"local level, at, wait = tonumber(was[1]), tonumber(was[2]), 0 "
	"if not level then level = most else "
	"local p, b, r = tonumber(was[3]), tonumber(was[4]), tonumber(was[5]) "
	"level = math.min(level + math.max(0, now - at) * r, b * p) "
	"if p ~= period or b ~= burst or r ~= rate then "
	"level = (burst - math.ceil((b * p - level) / p)) * period "
	"end end "
	"local granted = math.min(want, math.floor(level / period)) "
	"if granted < need then "
	"granted = 0 wait = math.ceil((need * period - level) / rate) "
	"end "
	"level = level - granted * period "
	"redis.call('HSET', KEYS[1], 'level', string.format('%.0f', level), "
	"'at', string.format('%.0f', now), 'period', ARGV[2], 'burst', ARGV[3], 'rate', ARGV[1]) "
	"redis.call('PEXPIRE', KEYS[1], math.ceil((most - level) / rate / 1000) + 1000) "
	"return { granted, wait }";

/* So many as were needed at least, or none and when. */
static bool is_answer(const struct bucket *b, const redisReply *reply)
{
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
		reply->element[0]->type != REDIS_REPLY_INTEGER ||
		reply->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	long long granted = reply->element[0]->integer, wait = reply->element[1]->integer;
	return granted ? granted >= (long long)b->needed && granted <= (long long)b->wanted :
			 wait > 0;
}

static void on_answer(void *userdata, const redisReply *reply)
{
	struct bucket *b = userdata;
	b->settled = true;
	b->answered = is_answer(b, reply);
	pthread_mutex_lock(b->lock);
	b->asked = false;
	bool counts = b->answered && !b->stale;
	uint64_t granted = counts ? (uint64_t)reply->element[0]->integer : 0;
	b->kept = granted ? b->kept : 0;
	if (counts) {
		b->lease += granted - b->kept;
		b->denied = granted ? 0 : b->needed;
		b->denied_us = clock_ns() / 1000 + (uint64_t)reply->element[1]->integer;
	}
	pthread_mutex_unlock(b->lock);
}

void shared_forget(struct bucket *b)
{
	b->lease = b->denied = b->denied_us = 0;
	b->stale = b->asked;
}

static bool is_denied(const struct bucket *b, uint64_t tokens, uint64_t now_us)
{
	return b->denied && tokens >= b->denied && now_us < b->denied_us;
}

static uint64_t ahead(const struct rate *limit)
{
	uint64_t tokens = AHEAD_US * limit->rate / limit->period_us;
	return tokens < limit->burst ? tokens : limit->burst;
}

enum shared_result shared_take(struct bucket *b, uint64_t tokens, uint64_t *ret_wait_us)
{
	uint64_t now_us = clock_ns() / 1000;
	if (b->lease >= tokens) {
		b->lease -= tokens;
		return SHARED_TAKEN;
	}
	if (!is_denied(b, tokens - b->lease, now_us))
		return SHARED_ASK;
	*ret_wait_us = b->denied_us - now_us;
	return SHARED_LATER;
}

bool shared_runs_low(const struct bucket *b, const struct rate *limit)
{
	uint64_t portion = ahead(limit);
	return portion > 1 && b->lease < portion / 2 && !is_denied(b, 1, clock_ns() / 1000);
}

/* --- with the turn --- */

/* With the lock, too. */
static void begin_question(struct shared *shared, struct bucket *b, uint64_t need, uint64_t kept)
{
	b->needed = need;
	b->kept = kept;
	b->lock = shared->lock;
	b->settled = b->answered = b->stale = false;
	b->asked = true;
}

/* False: the server is away. */
static bool send_question(struct shared *shared, struct bucket *b, const struct rate *limit)
{
	uint64_t portion = ahead(limit);
	b->wanted = b->needed > portion ? b->needed : portion;
	const uint64_t numbers[] = { limit->rate, limit->period_us, limit->burst, b->needed,
		b->wanted };
	char texts[ARRAY_LEN(numbers)][NUMBER];
	AUTO_FREE char *key = str_format("nova:rl:%s", b->name);
	const char *words[4 + ARRAY_LEN(numbers)] = { "EVAL", script, "1", key };
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(texts[i], NUMBER, "%llu", (unsigned long long)numbers[i]);
		words[4 + i] = texts[i];
	}
	if (key && redis_send(shared->redis, words, ARRAY_LEN(words), on_answer, b))
		return true;
	on_answer(b, NULL);
	return false;
}

/* What there is of the lease is put by with what is asked for, so that nobody else spends it
 * meanwhile. */
static enum shared_result ask(
	struct shared *shared, struct bucket *b, const struct rate *limit, uint64_t have)
{
	if (send_question(shared, b, limit))
		redis_await(shared->redis, &b->settled);
	pthread_mutex_lock(shared->lock);
	bool taken = b->kept > 0;
	if (!taken && !b->stale)
		b->lease += have;
	pthread_mutex_unlock(shared->lock);
	return taken ? SHARED_TAKEN : b->answered ? SHARED_ASK : SHARED_AWAY;
}

static enum shared_result take_or_ask(struct shared *shared, struct bucket *b,
	const struct rate *limit, uint64_t tokens, uint64_t *ret_wait_us)
{
	pthread_mutex_lock(shared->lock);
	enum shared_result result = shared_take(b, tokens, ret_wait_us);
	bool asks = result == SHARED_ASK, waits = asks && b->asked;
	uint64_t have = b->lease;
	if (asks && !waits) {
		b->lease = 0;
		begin_question(shared, b, tokens - have, tokens - have);
	}
	pthread_mutex_unlock(shared->lock);
	if (asks && !waits)
		return ask(shared, b, limit, have);
	if (waits)
		redis_await(shared->redis, &b->settled);
	return waits && !b->answered ? SHARED_AWAY : result;
}

/* The answer to another question may have to come first. */
enum shared_result shared_get(struct shared *shared, struct bucket *b, const struct rate *limit,
	uint64_t tokens, uint64_t *ret_wait_us)
{
	enum shared_result result = SHARED_ASK;
	pthread_mutex_lock(&shared->turn);
	redis_step(shared->redis);
	for (int turn = 0; turn < TURNS && result == SHARED_ASK; turn++)
		result = take_or_ask(shared, b, limit, tokens, ret_wait_us);
	pthread_mutex_unlock(&shared->turn);
	if (result != SHARED_ASK)
		return result;
	*ret_wait_us = 1;
	return SHARED_LATER;
}

/* After a refusal nothing is taken ahead: it would be less for who waits, and the answer would be
 * taken for how long that has to be. */
void shared_go_on(struct shared *shared, struct bucket *b, const struct rate *limit, bool may_ask)
{
	if (pthread_mutex_trylock(&shared->turn) != 0)
		return;
	redis_step(shared->redis);
	pthread_mutex_lock(shared->lock);
	bool asks = may_ask && !b->asked && shared_runs_low(b, limit);
	if (asks)
		begin_question(shared, b, 1, 0);
	pthread_mutex_unlock(shared->lock);
	if (asks)
		send_question(shared, b, limit);
	pthread_mutex_unlock(&shared->turn);
}
