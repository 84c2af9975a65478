/* SPDX-License-Identifier: MIT */
/* Numbers for the host program. */
#include "pool/internal.h"

/* --- counters --- */

int nova_pool_stats(nova_pool_t *pool, uint64_t *ret_values, size_t room)
{
	if (!pool || !ret_values)
		return NOVA_EINVAL;
	int code = host_check_process(pool->host, NULL);
	if (code < 0)
		return code;
	uint64_t standby = standby_count(pool->host), values[POOL_COUNTERS];
	pthread_mutex_lock(&pool->lock);
	memcpy(values, pool->counters, sizeof(values));
	values[NOVA_POOL_MEMORY_MB] = pool->memory_mb;
	values[NOVA_POOL_MOST_VMS] = pool->max_vms;
	pthread_mutex_unlock(&pool->lock);
	values[NOVA_POOL_STANDBY] = standby;
	memcpy(ret_values, values, sizeof(*values) * (room < POOL_COUNTERS ? room : POOL_COUNTERS));
	return POOL_COUNTERS;
}

/* --- latencies --- */

/* buckets for each power of two, so that one is at most an eighth wider than its lower end */
#define STEPS 8u

/* Below STEPS there is a bucket for each microsecond. */
static size_t bucket_of(uint64_t us)
{
	if (us < STEPS)
		return us;
	unsigned power = 63u - (unsigned)__builtin_clzll(us);
	size_t bucket = (power - 2u) * STEPS + (us >> (power - 3u)) - STEPS;
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* What the bucket's values are less than. */
static uint64_t limit_of(size_t bucket)
{
	if (bucket == LATENCY_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket < STEPS)
		return bucket + 1;
	return (uint64_t)(bucket % STEPS + STEPS + 1) << (bucket / STEPS - 1);
}

void latency_note(nova_pool_t *pool, int latency, uint64_t begin_ns)
{
	__atomic_fetch_add(
		&pool->latency[latency].counts[bucket_of(us_since(begin_ns))], 1, __ATOMIC_RELAXED);
}

int nova_pool_histogram(
	nova_pool_t *pool, int latency, uint64_t *ret_limits_us, uint64_t *ret_counts, size_t room)
{
	if (!pool || latency < 0 || latency >= (int)LATENCIES)
		return NOVA_EINVAL;
	int code = host_check_process(pool->host, NULL);
	if (code < 0)
		return code;
	for (size_t i = 0; i < LATENCY_BUCKETS && i < room; i++) {
		if (ret_limits_us)
			ret_limits_us[i] = limit_of(i);
		if (ret_counts)
			ret_counts[i] = __atomic_load_n(
				&pool->latency[latency].counts[i], __ATOMIC_RELAXED);
	}
	return LATENCY_BUCKETS;
}

uint64_t nova_pool_percentile_us(nova_pool_t *pool, int latency, double percent)
{
	uint64_t counts[LATENCY_BUCKETS], total = 0, seen = 0;
	if (nova_pool_histogram(pool, latency, NULL, counts, LATENCY_BUCKETS) < 0)
		return 0;
	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		total += counts[i];
	if (!total)
		return 0;
	double wanted = (double)total * (percent < 0 ? 0 : percent > 100 ? 100 : percent) / 100;
	for (size_t i = 0; i < LATENCY_BUCKETS - 1; i++) {
		seen += counts[i];
		if (seen && (double)seen >= wanted)
			return limit_of(i) - 1;
	}
	return limit_of(LATENCY_BUCKETS - 2);
}
