/* SPDX-License-Identifier: MIT */
/* Rate cards: JSON, all of whose members are needed, and no others known. */
#include <errno.h>

#include "json/json.h"
#include "usage/usage.h"

#include "usage/rates-default.h"

#define CARD_MOST       (1u << 20)
#define PRICE_MOST      (1ull << 40) /* about a thousand dollars */
#define MULTIPLIER_MOST 100000u
#define AMOUNT_MOST     (1ull << 60)
#define MCU_MOST        (1ull << 32)

static const char *const price_names[PRICES] = {
	[PRICE_VCPU_SECOND] = "vcpu_second",
	[PRICE_GB_SECOND] = "gb_second",
	[PRICE_GPU_HOUR] = "gpu_hour",
	[PRICE_SNAPSHOT_GB_MONTH] = "snapshot_gb_month",
	[PRICE_EGRESS_GB] = "egress_gb",
	[PRICE_INGRESS_GB] = "ingress_gb",
};
static const char *const mode_names[NOVA_USAGE_MODES] = {
	[NOVA_USAGE_STORAGE] = "storage",
	[NOVA_USAGE_EPHEMERAL] = "ephemeral",
	[NOVA_USAGE_CACHED] = "cached",
	[NOVA_USAGE_CHECKPOINTED] = "checkpointed",
	[NOVA_USAGE_BRANCHED] = "branched",
	[NOVA_USAGE_PERSISTENT] = "persistent",
};

const char *usage_mode_name(uint32_t mode)
{
	return mode < NOVA_USAGE_MODES ? mode_names[mode] : "";
}

/* A card, and where something of it is wrong. */
struct card {
	const char *origin;
	nova_error_t **error;
};

static int fail(const struct card *card, const char *where, const char *what)
{
	return nova_fail(card->error, NOVA_ECONFIG, "%s: '%s' %s", card->origin, where, what);
}

/* An object of so many members. */
static int check_object(
	const struct card *card, const json_t *object, const char *where, size_t count)
{
	if (!json_is_object(object))
		return fail(card, where, "is missing, or no object");
	return json_object_size(object) == count ?
		       0 :
		       fail(card, where, "has members that are not known, or lacks some");
}

static int take_number(const struct card *card, const json_t *object, const char *name,
	uint64_t most, uint64_t *ret)
{
	const json_t *value = json_object_get(object, name);
	json_int_t number = json_integer_value(value);
	if (!json_is_integer(value) || number < 0 || (uint64_t)number > most)
		return fail(card, name, "is missing, or no whole number in its range");
	*ret = (uint64_t)number;
	return 0;
}

static int take_name(const struct card *card, const json_t *object, char out[USAGE_WORD])
{
	const char *text = json_string_value(json_object_get(object, "name"));
	if (!text || !*text || strlen(text) >= USAGE_WORD)
		return fail(card, "name", "is missing, or no text of 1 to 31 bytes");
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* --- its parts --- */

static int take_prices(const struct card *card, const json_t *whole, struct usage_rates *r)
{
	const json_t *prices = json_object_get(whole, "prices");
	int code = check_object(card, prices, "prices", PRICES);
	for (int i = 0; i < PRICES && code == 0; i++)
		code = take_number(card, prices, price_names[i], PRICE_MOST, &r->prices[i]);
	return code;
}

static int take_multipliers(const struct card *card, const json_t *whole, struct usage_rates *r)
{
	const json_t *all = json_object_get(whole, "multipliers");
	int code = check_object(card, all, "multipliers", NOVA_USAGE_MODES - 1);
	for (int i = NOVA_USAGE_EPHEMERAL; i < NOVA_USAGE_MODES && code == 0; i++)
		code = take_number(card, all, mode_names[i], MULTIPLIER_MOST, &r->multipliers[i]);
	return code;
}

static int take_tier(const struct card *card, const json_t *object, struct usage_rates *r)
{
	struct usage_tier *tier = &r->tiers[r->tiers_count];
	int code = check_object(card, object, "discounts", 3);
	if (code == 0)
		code = take_name(card, object, tier->name);
	if (code == 0)
		code = take_number(card, object, "from", AMOUNT_MOST, &tier->from);
	if (code == 0)
		code = take_number(card, object, "percent", 100, &tier->percent);
	bool follows = r->tiers_count ? tier->from > tier[-1].from : !tier->from;
	if (code == 0 && !follows)
		code = fail(card, "discounts", "do not begin from 0 and go upwards");
	r->tiers_count++;
	return code;
}

static int take_plan(const struct card *card, const json_t *object, struct usage_rates *r)
{
	struct usage_plan *plan = &r->plans[r->plans_count];
	int code = check_object(card, object, "plans", 5);
	if (code == 0)
		code = take_name(card, object, plan->name);
	if (code == 0)
		code = take_number(card, object, "price", AMOUNT_MOST, &plan->price);
	if (code == 0)
		code = take_number(card, object, "mcu", MCU_MOST, &plan->mcu);
	if (code == 0)
		code = take_number(card, object, "vcpus", MCU_MOST, &plan->vcpus);
	if (code == 0)
		code = take_number(card, object, "memory_gb", MCU_MOST, &plan->memory_gb);
	if (code == 0 && usage_plan_find(r, plan->name))
		code = fail(card, "plans", "has one name twice");
	r->plans_count++;
	return code;
}

typedef int (*take_fn)(const struct card *card, const json_t *object, struct usage_rates *r);

static int take_list(const struct card *card, const json_t *whole, const char *name, size_t most,
	take_fn take, struct usage_rates *r)
{
	const json_t *list = json_object_get(whole, name);
	int code = json_is_array(list) && json_array_size(list) <= most ?
			   0 :
			   fail(card, name, "is missing, or no list of at most 16");
	for (size_t i = 0; i < json_array_size(list) && code == 0; i++)
		code = take(card, json_array_get(list, i), r);
	return code;
}

static int take_card(const struct card *card, const json_t *whole, struct usage_rates *r)
{
	int code = check_object(card, whole, "the card", 5);
	if (code == 0)
		code = take_prices(card, whole, r);
	if (code == 0)
		code = take_multipliers(card, whole, r);
	if (code == 0)
		code = take_list(card, whole, "discounts", USAGE_TIERS, take_tier, r);
	if (code == 0 && !r->tiers_count)
		code = fail(card, "discounts", "has nothing in it");
	if (code == 0)
		code = take_list(card, whole, "plans", USAGE_PLANS, take_plan, r);
	if (code == 0)
		code = take_number(card, whole, "mcu_overage", PRICE_MOST, &r->mcu_overage);
	return code;
}

static int parse(const char *origin, const char *text, size_t len, struct usage_rates *ret,
	nova_error_t **error)
{
	json_error_t why;
	const struct card card = { origin, error };
	AUTO_JSON json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	memset(ret, 0, sizeof(*ret));
	if (!whole)
		return nova_fail(
			error, NOVA_ECONFIG, "%s: line %d: %s", origin, why.line, why.text);
	return take_card(&card, whole, ret);
}

int usage_rates_open(const char *path, struct usage_rates *ret, nova_error_t **error)
{
	AUTO_BUF struct buf text = BUF_INIT(CARD_MOST);
	if (!*path)
		return parse("the prices shipped with libnova", rates_default,
			strlen(rates_default), ret, error);
	AUTO_FREE char *origin = str_format("the prices in '%s' (setting usage.rates)", path);
	int r = origin ? fs_read_file(path, &text) : -ENOMEM;
	if (r == -ENOMEM)
		return nova_oom(error);
	if (r < 0) {
		nova_fail_os(error, r, "%s", origin);
		return nova_wrap(error, NOVA_ECONFIG, "cannot be read");
	}
	return parse(origin, (const char *)text.data, text.len, ret, error);
}

const struct usage_plan *usage_plan_find(const struct usage_rates *rates, const char *name)
{
	for (size_t i = 0; i < rates->plans_count; i++)
		if (!strcmp(rates->plans[i].name, name))
			return &rates->plans[i];
	return NULL;
}
