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
	b->asked = false;
	b->settled = true;
	b->answered = is_answer(b, reply);
	if (!b->answered || b->stale)
		return;
	uint64_t granted = (uint64_t)reply->element[0]->integer;
	b->lease += granted;
	b->denied = granted ? 0 : b->needed;
	b->denied_us = clock_ns() / 1000 + (uint64_t)reply->element[1]->integer;
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

/* False: the server is away. */
static bool ask(struct redis *redis, struct bucket *b, const struct rate *limit, uint64_t need,
	uint64_t want)
{
	b->needed = need;
	b->wanted = need > want ? need : want;
	b->stale = false;
	const uint64_t numbers[] = { limit->rate, limit->period_us, limit->burst, b->needed,
		b->wanted };
	char texts[ARRAY_LEN(numbers)][NUMBER];
	AUTO_FREE char *key = str_format("nova:rl:%s", b->name);
	const char *words[4 + ARRAY_LEN(numbers)] = { "EVAL", script, "1", key };
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(texts[i], NUMBER, "%llu", (unsigned long long)numbers[i]);
		words[4 + i] = texts[i];
	}
	b->asked = true;
	b->settled = b->answered = false;
	if (key && redis_send(redis, words, ARRAY_LEN(words), on_answer, b))
		return true;
	b->asked = false;
	return false;
}

/* Until there are so many tokens, or it is known when there will be: the answer to another question
 * may have to come first. */
static bool get_lease(struct redis *redis, struct bucket *b, const struct rate *limit,
	uint64_t tokens, uint64_t portion)
{
	bool there = true;
	for (int turn = 0; there && turn < TURNS && b->lease < tokens &&
			   !is_denied(b, tokens - b->lease, clock_ns() / 1000);
		turn++) {
		there = b->asked || ask(redis, b, limit, tokens - b->lease, portion);
		if (there)
			redis_await(redis, &b->settled);
		there = there && b->answered;
	}
	return there;
}

int shared_take(struct redis *redis, struct bucket *b, const struct rate *limit, uint64_t tokens,
	uint64_t *ret_wait_us)
{
	uint64_t portion = ahead(limit);
	redis_step(redis);
	if (!get_lease(redis, b, limit, tokens, portion))
		return -1;
	uint64_t now_us = clock_ns() / 1000;
	if (b->lease < tokens) {
		*ret_wait_us = b->denied_us > now_us ? b->denied_us - now_us : 1;
		return 0;
	}
	b->lease -= tokens;
	if (portion > 1 && b->lease < portion / 2 && !b->asked && !is_denied(b, 1, now_us))
		ask(redis, b, limit, 1, portion);
	return 1;
}
