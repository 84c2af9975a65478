/* SPDX-License-Identifier: MIT */
/* The calls of nova/usage.h. */
#include <nova/usage.h>

#include "json/json.h"
#include "platform/meter.h"

#define LIMIT_DEFAULT  1000u
#define LIMIT_MOST     10000u
#define MEMORY_DEFAULT 128u
#define MEMORY_MOST    65536u
#define VCPUS_MOST     32u
#define BY_ALL         (NOVA_USAGE_BY_KEY | NOVA_USAGE_BY_FUNCTION)

static int fail_size(nova_error_t **error)
{
	return nova_fail(error, NOVA_ETOOBIG,
		"this comes to more than can be counted: ask for less time, or fewer calls");
}

/* --- lists --- */

struct usage_own {
	nova_usage is; /* first: what others see of it */
	char *key, *function;
};

void nova_usage_list_free(const nova_usage **usage, size_t count)
{
	for (size_t i = 0; usage && i < count; i++) {
		struct usage_own *own = (struct usage_own *)(uintptr_t)usage[i];
		if (own) {
			free(own->key);
			free(own->function);
		}
		free(own);
	}
	free(usage);
}

static uint64_t start_of(uint64_t period, uint32_t kind)
{
	return kind == NOVA_USAGE_EVER     ? 0 :
	       kind == NOVA_USAGE_BY_MONTH ? usage_month_begin_us(period) :
					     period * USAGE_HOUR_US;
}

/* Takes the texts of the record. */
static int usage_new(const struct usage_rates *rates, uint32_t period, struct usage_record *r,
	const nova_usage **ret, nova_error_t **error)
{
	struct usage_cost cost;
	uint64_t mcu;
	if (!usage_cost_of(rates, r, 1, &cost) || !usage_mcu_of(r, 1, &mcu))
		return fail_size(error);
	struct usage_own *own = calloc(1, sizeof(*own));
	if (!own)
		return nova_oom(error);
	own->key = STEAL(r->key);
	own->function = STEAL(r->function);
	own->is = (nova_usage){
		.size = sizeof(nova_usage),
		.start_us = start_of(r->hour, period),
		.key = own->key,
		.function = own->function,
		.calls = r->amounts[USAGE_CALLS],
		.vcpu_us = r->amounts[USAGE_VCPU_US],
		.memory_mb_us = r->amounts[USAGE_MEMORY_MB_US],
		.disk_mb_us = r->amounts[USAGE_DISK_MB_US],
		.gpu_us = r->amounts[USAGE_GPU_US],
		.egress_bytes = r->amounts[USAGE_EGRESS],
		.ingress_bytes = r->amounts[USAGE_INGRESS],
		.snapshot_kb_s = r->amounts[USAGE_SNAPSHOT_KB_S],
		.lost = r->amounts[USAGE_LOST],
		.cost_nano = cost.subtotal,
		.mcu_micro = mcu,
		.mode = r->mode,
	};
	*ret = &own->is;
	return 0;
}

static int give(const struct usage_rates *rates, uint32_t period, struct usage_record *records,
	size_t count, const nova_usage ***ret, size_t *ret_count, nova_error_t **error)
{
	int code = 0;
	const nova_usage **all = count ? calloc(count, sizeof(*all)) : NULL;
	if (count && !all)
		code = nova_oom(error);
	for (size_t i = 0; i < count && code == 0; i++)
		code = usage_new(rates, period, &records[i], &all[i], error);
	if (code < 0) {
		nova_usage_list_free(all, all ? count : 0);
		return code;
	}
	*ret = all;
	*ret_count = count;
	return 0;
}

static int check_list(const nova_usage_list_opts *o, nova_error_t **error)
{
	int code = opts_text("key", o->key, error);
	if (code == 0)
		code = opts_text("function", o->function, error);
	if (code == 0)
		code = opts_most("since_us", o->since_us, INT64_MAX, error);
	if (code == 0)
		code = opts_most("until_us", o->until_us, INT64_MAX, error);
	if (code == 0)
		code = opts_most("by", o->by, BY_ALL, error);
	if (code == 0)
		code = opts_most("period", o->period, NOVA_USAGE_BY_MONTH, error);
	if (code == 0)
		code = opts_most("limit", o->limit, LIMIT_MOST, error);
	if (code == 0 && o->after && (!o->after->key || !o->after->function))
		code = nova_fail(error, NOVA_EINVAL, "after: key and function are texts");
	if (code == 0 && o->after)
		code = opts_text("after.key", o->after->key, error);
	if (code == 0 && o->after)
		code = opts_text("after.function", o->after->function, error);
	return code < 0 ? code : opts_reserved(o->reserved, "nova_usage_list_opts", error);
}

static uint64_t period_at(uint64_t start_us, uint32_t kind)
{
	return kind == NOVA_USAGE_BY_MONTH ? usage_month_of(start_us) : start_us / USAGE_HOUR_US;
}

static int look(nova_t *nova, const struct usage_filter *filter, struct usage_record **ret,
	size_t *ret_count, nova_error_t **error)
{
	struct store *store;
	int code = meter_borrow(nova->meter, &store, error);
	if (code < 0)
		return code;
	code = store->ops->usage->list(store, filter, ret, ret_count, error);
	meter_give_back(nova->meter, code);
	return code;
}

static int list(nova_t *nova, const nova_usage_list_opts *o, const nova_usage ***ret,
	size_t *ret_count, nova_error_t **error)
{
	const nova_usage *last = o->after;
	const struct usage_record after = {
		.hour = last ? period_at(last->start_us, o->period) : 0,
		.key = (char *)(uintptr_t)(last ? last->key : ""),
		.function = (char *)(uintptr_t)(last ? last->function : ""),
		.mode = last ? last->mode : 0,
	};
	const struct usage_filter filter = {
		.since_hour = o->since_us / USAGE_HOUR_US,
		.until_hour = o->until_us ? o->until_us / USAGE_HOUR_US : INT64_MAX,
		.key = o->key,
		.function = o->function,
		.period = (enum usage_period)o->period,
		.by_key = o->by & NOVA_USAGE_BY_KEY,
		.by_function = o->by & NOVA_USAGE_BY_FUNCTION,
		.by_mode = true, /* prices depend on it */
		.after = last ? &after : NULL,
		.most = o->limit ? o->limit : LIMIT_DEFAULT,
	};
	struct usage_record *found = NULL;
	size_t count = 0;
	const struct usage_rates *rates;
	const struct usage_plan *plan;
	int code = meter_rates(nova->meter, &rates, &plan, error);
	if (code == 0)
		code = look(nova, &filter, &found, &count, error);
	if (code == 0)
		code = give(rates, o->period, found, count, ret, ret_count, error);
	usage_record_list_free(found, count);
	return code;
}

int nova_usage_list(nova_t *nova, const nova_usage_list_opts *opts, const nova_usage ***ret_usage,
	size_t *ret_count, nova_error_t **error)
{
	nova_usage_list_opts o;
	if (ANY_NULL(error, nova, ret_usage, ret_count))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_usage_list_opts", error);
	if (code == 0)
		code = check_list(&o, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : list(nova, &o, ret_usage, ret_count, error);
}

/* --- bills --- */

struct bill_own {
	nova_bill is; /* first */
	char tier[USAGE_WORD], plan[USAGE_WORD];
};

void nova_bill_free(const nova_bill *bill)
{
	free((void *)(uintptr_t)bill);
}

static uint64_t sum_of(const struct usage_record *records, size_t count, enum usage_amount which)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += records[i].amounts[which];
	return sum;
}

static void fill_costs(nova_bill *b, const struct usage_cost *cost, const struct usage_tier *tier)
{
	b->cpu_nano = cost->items[PRICE_VCPU_SECOND];
	b->memory_nano = cost->items[PRICE_GB_SECOND];
	b->gpu_nano = cost->items[PRICE_GPU_HOUR];
	b->snapshot_nano = cost->items[PRICE_SNAPSHOT_GB_MONTH];
	b->egress_nano = cost->items[PRICE_EGRESS_GB];
	b->ingress_nano = cost->items[PRICE_INGRESS_GB];
	b->subtotal_nano = cost->subtotal;
	b->discount_percent = (uint32_t)tier->percent;
	b->discount_nano = usage_discount(tier, cost->subtotal);
	b->total_nano = b->subtotal_nano - b->discount_nano;
}

static int bill_new(nova_t *nova, const struct usage_record *records, size_t count,
	struct bill_own **ret, nova_error_t **error)
{
	struct usage_cost cost;
	uint64_t mcu, overage = 0;
	const struct usage_rates *rates;
	const struct usage_plan *plan;
	int code = meter_rates(nova->meter, &rates, &plan, error);
	if (code < 0)
		return code;
	if (!usage_cost_of(rates, records, count, &cost) || !usage_mcu_of(records, count, &mcu) ||
		(plan && !usage_overage(rates, plan, mcu, &overage)))
		return fail_size(error);
	struct bill_own *own = calloc(1, sizeof(*own));
	if (!own)
		return nova_oom(error);
	const struct usage_tier *tier = usage_tier_of(rates, cost.subtotal);
	snprintf(own->tier, sizeof(own->tier), "%s", tier->name);
	snprintf(own->plan, sizeof(own->plan), "%s", plan ? plan->name : "");
	own->is = (nova_bill){
		.size = sizeof(nova_bill),
		.calls = sum_of(records, count, USAGE_CALLS),
		.lost = sum_of(records, count, USAGE_LOST),
		.mcu_micro = mcu,
		.plan_mcu = plan ? plan->mcu : 0,
		.plan_nano = plan ? plan->price : 0,
		.overage_nano = overage,
		.tier = own->tier,
		.plan = own->plan,
	};
	fill_costs(&own->is, &cost, tier);
	*ret = own;
	return 0;
}

int nova_usage_bill(nova_t *nova, const nova_usage_bill_opts *opts, const nova_bill **ret_bill,
	nova_error_t **error)
{
	nova_usage_bill_opts o;
	if (ANY_NULL(error, nova, ret_bill))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_usage_bill_opts", error);
	if (code == 0)
		code = opts_text("key", o.key, error);
	if (code == 0)
		code = opts_most("time_us", o.time_us, 1ull << 56, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code < 0)
		return code;
	uint64_t month = usage_month_of(o.time_us ? o.time_us : clock_unix_us());
	uint64_t start_us = usage_month_begin_us(month), end_us = usage_month_begin_us(month + 1);
	const struct usage_filter filter = {
		.since_hour = start_us / USAGE_HOUR_US,
		.until_hour = end_us / USAGE_HOUR_US,
		.key = o.key,
		.period = USAGE_BY_DAY,
		.by_mode = true,
		.most = USAGE_OF_MONTH,
	};
	struct usage_record *found = NULL;
	struct bill_own *own = NULL;
	size_t count = 0;
	code = look(nova, &filter, &found, &count, error);
	if (code == 0)
		code = bill_new(nova, found, count, &own, error);
	usage_record_list_free(found, count);
	if (code < 0)
		return code;
	own->is.start_us = start_us;
	own->is.end_us = end_us;
	*ret_bill = &own->is;
	return 0;
}

/* --- estimates --- */

/* What is not given is as the function has it. */
static int fill_machine(nova_t *nova, nova_usage_estimate_opts *o, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	int code =
		o->function ? registry_lookup(&nova->registry, o->function, &function, error) : 0;
	if (code < 0)
		return code;
	if (!o->memory_mb)
		o->memory_mb =
			function ? function->record.config.machine.memory_mb : MEMORY_DEFAULT;
	if (!o->vcpus)
		o->vcpus = function ? function->record.config.machine.vcpus : 1;
	return 0;
}

static int check_estimate(const nova_usage_estimate_opts *o, nova_error_t **error)
{
	int code = opts_most("memory_mb", o->memory_mb, MEMORY_MOST, error);
	if (code == 0)
		code = opts_most("vcpus", o->vcpus, VCPUS_MOST, error);
	if (code == 0)
		code = opts_most("mode", o->mode, NOVA_USAGE_MODES - 1, error);
	return code < 0 ? code : opts_reserved(o->reserved, "nova_usage_estimate_opts", error);
}

static bool times(uint64_t a, uint64_t b, uint64_t c, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret) && !__builtin_mul_overflow(*ret, c, ret) &&
	       *ret <= INT64_MAX;
}

static bool fill_amounts(const nova_usage_estimate_opts *o, uint64_t amounts[USAGE_AMOUNTS])
{
	uint64_t calls = o->calls ? o->calls : 1;
	amounts[USAGE_CALLS] = calls;
	amounts[USAGE_GPU_US] = o->gpu_us;
	return calls <= INT64_MAX && o->gpu_us <= INT64_MAX &&
	       times(calls, o->duration_us, o->vcpus, &amounts[USAGE_VCPU_US]) &&
	       times(calls, o->duration_us, o->memory_mb, &amounts[USAGE_MEMORY_MB_US]) &&
	       times(calls, o->duration_us, o->disk_mb, &amounts[USAGE_DISK_MB_US]) &&
	       times(calls, o->egress_bytes, 1, &amounts[USAGE_EGRESS]) &&
	       times(calls, o->ingress_bytes, 1, &amounts[USAGE_INGRESS]) &&
	       times(o->snapshot_kb, o->snapshot_life_s, 1, &amounts[USAGE_SNAPSHOT_KB_S]);
}

int nova_usage_estimate(nova_t *nova, const nova_usage_estimate_opts *opts,
	const nova_bill **ret_bill, nova_error_t **error)
{
	nova_usage_estimate_opts o;
	struct bill_own *own = NULL;
	if (ANY_NULL(error, nova, opts, ret_bill))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_usage_estimate_opts", error);
	if (code == 0)
		code = check_estimate(&o, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = fill_machine(nova, &o, error);
	if (code < 0)
		return code;
	struct usage_record record = { .mode = o.mode ? o.mode : NOVA_USAGE_CACHED };
	if (!fill_amounts(&o, record.amounts))
		return fail_size(error);
	code = bill_new(nova, &record, 1, &own, error);
	if (code == 0)
		*ret_bill = &own->is;
	return code;
}

/* --- as JSON --- */

char *nova_usage_to_json(const nova_usage *u)
{
	AUTO_JSON json_t *all =
		!u ? NULL :
		     json_pack("{sI ss ss ss sI sI sI sI sI sI sI sI sI sI sI}", "start_us",
			     (json_int_t)u->start_us, "key", u->key, "function", u->function,
			     "mode", usage_mode_name(u->mode), "calls", (json_int_t)u->calls,
			     "vcpu_us", (json_int_t)u->vcpu_us, "memory_mb_us",
			     (json_int_t)u->memory_mb_us, "disk_mb_us", (json_int_t)u->disk_mb_us,
			     "gpu_us", (json_int_t)u->gpu_us, "egress_bytes",
			     (json_int_t)u->egress_bytes, "ingress_bytes",
			     (json_int_t)u->ingress_bytes, "snapshot_kb_s",
			     (json_int_t)u->snapshot_kb_s, "lost", (json_int_t)u->lost, "cost_nano",
			     (json_int_t)u->cost_nano, "mcu_micro", (json_int_t)u->mcu_micro);
	return all ? json_dumps(all, JSON_COMPACT) : NULL;
}

char *nova_bill_to_json(const nova_bill *b)
{
	AUTO_JSON json_t *all =
		!b ? NULL :
		     json_pack("{sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI ss ss sI}",
			     "start_us", (json_int_t)b->start_us, "end_us", (json_int_t)b->end_us,
			     "calls", (json_int_t)b->calls, "lost", (json_int_t)b->lost, "cpu_nano",
			     (json_int_t)b->cpu_nano, "memory_nano", (json_int_t)b->memory_nano,
			     "gpu_nano", (json_int_t)b->gpu_nano, "snapshot_nano",
			     (json_int_t)b->snapshot_nano, "egress_nano",
			     (json_int_t)b->egress_nano, "ingress_nano",
			     (json_int_t)b->ingress_nano, "subtotal_nano",
			     (json_int_t)b->subtotal_nano, "discount_nano",
			     (json_int_t)b->discount_nano, "total_nano", (json_int_t)b->total_nano,
			     "mcu_micro", (json_int_t)b->mcu_micro, "plan_mcu",
			     (json_int_t)b->plan_mcu, "plan_nano", (json_int_t)b->plan_nano,
			     "overage_nano", (json_int_t)b->overage_nano, "tier", b->tier, "plan",
			     b->plan, "discount_percent", (json_int_t)b->discount_percent);
	return all ? json_dumps(all, JSON_COMPACT) : NULL;
}
