/* SPDX-License-Identifier: MIT */
/*
 * Prices, in whole numbers: sums are exact, in 128 bits, and divided once at the end. GB are 2^30
 * bytes, as memory is in MiB; a month of storage has 30 days.
 */
#include "usage/usage.h"

__extension__ typedef unsigned __int128 wide;

#define MILLION  1000000u
#define HOUR_S   3600u
#define MB_OF_GB 1024u

/* --- sums --- */

static bool add_product(wide *sum, wide a, wide b, wide c)
{
	wide product;
	return !__builtin_mul_overflow(a, b, &product) &&
	       !__builtin_mul_overflow(product, c, &product) &&
	       !__builtin_add_overflow(*sum, product, sum);
}

/* Half of one upwards. */
static bool divide(wide sum, wide by, uint64_t *ret)
{
	wide rounded;
	if (__builtin_add_overflow(sum, by / 2, &rounded) || rounded / by > INT64_MAX)
		return false;
	*ret = (uint64_t)(rounded / by);
	return true;
}

static wide sum_of(const struct usage_record *records, size_t count, enum usage_amount which)
{
	wide sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += records[i].amounts[which];
	return sum;
}

/* --- dollars --- */

/* What a price is for, and whether how it was run counts. */
static const struct {
	enum usage_amount amount;
	bool by_mode;
	uint64_t unit; /* so many make one of what the price is for */
} items[PRICES] = {
	[PRICE_VCPU_SECOND] = { USAGE_VCPU_US, true, MILLION },
	[PRICE_GB_SECOND] = { USAGE_MEMORY_MB_US, true, (uint64_t)MB_OF_GB *MILLION },
	[PRICE_GPU_HOUR] = { USAGE_GPU_US, true, (uint64_t)HOUR_S *MILLION },
	[PRICE_SNAPSHOT_GB_MONTH] = { USAGE_SNAPSHOT_KB_S, false, (1ull << 20) * USAGE_MONTH },
	[PRICE_EGRESS_GB] = { USAGE_EGRESS, false, 1ull << 30 },
	[PRICE_INGRESS_GB] = { USAGE_INGRESS, false, 1ull << 30 },
};

static bool cost_item(const struct usage_rates *rates, enum usage_price which,
	const struct usage_record *records, size_t count, uint64_t *ret)
{
	wide sum = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t mode = records[i].mode;
		uint64_t times = items[which].by_mode && mode ? rates->multipliers[mode] : 1000;
		if (!add_product(&sum, records[i].amounts[items[which].amount],
			    rates->prices[which], times))
			return false;
	}
	return divide(sum, (wide)items[which].unit * 1000, ret);
}

bool usage_cost_of(const struct usage_rates *rates, const struct usage_record *records,
	size_t count, struct usage_cost *ret)
{
	uint64_t all = 0;
	for (int i = 0; i < PRICES; i++)
		if (!cost_item(rates, (enum usage_price)i, records, count, &ret->items[i]) ||
			__builtin_add_overflow(all, ret->items[i], &all) || all > INT64_MAX)
			return false;
	ret->subtotal = all;
	return true;
}

const struct usage_tier *usage_tier_of(const struct usage_rates *rates, uint64_t subtotal)
{
	size_t at = rates->tiers_count - 1;
	while (at && rates->tiers[at].from > subtotal)
		at--;
	return &rates->tiers[at];
}

uint64_t usage_discount(const struct usage_tier *tier, uint64_t subtotal)
{
	return (uint64_t)(((wide)subtotal * tier->percent + 50) / 100);
}

/* --- MCUs: the largest of vCPU-h, GB-h / 4 and disk GB-h / 16, and snapshot TB-h / 5 --- */

#define GB_PER_MCU      4u
#define DISK_PER_MCU    16u
#define COMPUTE_DIVISOR ((uint64_t)HOUR_S * MB_OF_GB * DISK_PER_MCU) /* to millionths */
#define STORAGE_DIVISOR ((uint64_t)HOUR_S * 5 * (1ull << 30))        /* KiB of a TB */

static wide larger(wide a, wide b)
{
	return a > b ? a : b;
}

bool usage_mcu_of(const struct usage_record *records, size_t count, uint64_t *ret)
{
	wide vcpu = sum_of(records, count, USAGE_VCPU_US);
	wide memory = sum_of(records, count, USAGE_MEMORY_MB_US);
	wide disk = sum_of(records, count, USAGE_DISK_MB_US);
	wide snapshot = sum_of(records, count, USAGE_SNAPSHOT_KB_S);
	wide compute = larger(
		vcpu * MB_OF_GB * DISK_PER_MCU, larger(memory * (DISK_PER_MCU / GB_PER_MCU), disk));
	/* the first divisor divides the second */
	wide sum = compute * (STORAGE_DIVISOR / COMPUTE_DIVISOR) + snapshot * MILLION;
	return divide(sum, STORAGE_DIVISOR, ret);
}

bool usage_overage(const struct usage_rates *rates, const struct usage_plan *plan,
	uint64_t mcu_micro, uint64_t *ret)
{
	wide has = (wide)plan->mcu * MILLION;
	wide over = mcu_micro > has ? mcu_micro - has : 0;
	return divide(over * rates->mcu_overage, MILLION, ret);
}
