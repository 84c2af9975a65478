/* SPDX-License-Identifier: MIT */
/* How often: the call of nova/rate.h, and the rates of functions. */
#include <nova/rate.h>

#include "platform/platform.h"

#define NAME_MOST     200u
#define PERIOD_MS     1000u
#define STORE_REST_MS 10000u
#define FUNCTION_NAME "function:" /* and its id: what its bucket is called */

static int check_number(
	const char *name, uint32_t value, uint32_t least, uint32_t most, nova_error_t **error)
{
	return value >= least && value <= most ?
		       0 :
		       nova_fail(error, NOVA_EINVAL, "%s: %u is not from %u to %u", name, value,
			       least, most);
}

/* With the defaults in it. */
static int check(nova_rate_opts *o, nova_error_t **error)
{
	size_t len = o->name ? strlen(o->name) : 0;
	if (!len || len > NAME_MOST || !text_is_utf8(o->name))
		return nova_fail(
			error, NOVA_EINVAL, "name: required, 1 to %u bytes of UTF-8", NAME_MOST);
	int code = check_number("rate", o->rate, 1, RATE_MOST, error);
	o->period_ms = o->period_ms ? o->period_ms : PERIOD_MS;
	if (code == 0)
		code = check_number("period_ms", o->period_ms, 1, RATE_PERIOD_MOST, error);
	o->burst = o->burst ? o->burst : o->rate;
	if (code == 0)
		code = check_number("burst", o->burst, 1, RATE_MOST, error);
	o->tokens = o->tokens ? o->tokens : 1;
	return code < 0 ? code : check_number("tokens", o->tokens, 1, o->burst, error);
}

static int used_up(nova_error_t **error, uint64_t wait_ms)
{
	nova_set_limit(error, NOVA_ELIMIT, NOVA_LIMIT_RATE);
	return nova_set_retry(error, NOVA_ELIMIT, wait_ms);
}

int nova_rate_take(
	nova_t *nova, const nova_rate_opts *opts, uint64_t *ret_wait_ms, nova_error_t **error)
{
	nova_rate_opts o;
	uint64_t wait_us = 0;
	if (ANY_NULL(error, nova, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_rate_opts", error);
	if (code == 0)
		code = check(&o, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code < 0)
		return code;
	const struct rate limit = { o.rate, o.period_ms * UINT64_C(1000), o.burst };
	code = rates_take(nova->rates, o.name, &limit, o.tokens, &wait_us);
	if (code == NOVA_ENOMEM)
		return nova_oom(error);
	if (code == 0)
		return 0;
	uint64_t wait_ms = wait_us / 1000 + 1;
	if (ret_wait_ms)
		*ret_wait_ms = wait_ms;
	nova_fail(error, NOVA_ELIMIT, "'%s' may have %u in %u ms, and go on in %llu ms", o.name,
		o.rate, o.period_ms, (unsigned long long)wait_ms);
	return used_up(error, wait_ms);
}

/* --- functions --- */

/* The function as it is now; NULL: there is none, or the store cannot tell. One that is away makes
 * who asks it wait, so it is let be for a while: these calls need nothing else of it. */
static nova_function_t *look_up(nova_t *nova, const char *name)
{
	nova_function_t *now = NULL;
	if (!deadline_passed(atomic_load(&nova->rate_look_at)))
		return NULL;
	int code = registry_lookup(&nova->registry, name, &now, NULL);
	if (code < 0 && code != NOVA_ENOTFOUND)
		atomic_store(&nova->rate_look_at, deadline_in_ms(STORE_REST_MS));
	return now;
}

/* What the function has now, also for a version that was published before or an instance that was
 * started before; if it is gone, or the store cannot tell, what it had. */
static struct rate rate_of(nova_t *nova, const nova_function_t *function, bool may_be_old)
{
	const struct function_record *had = &function->record;
	const struct function_config *c = &had->config;
	AUTO_FUNCTION nova_function_t *now = may_be_old ? look_up(nova, had->name) : NULL;
	if (now && !strcmp(now->record.id, had->id))
		c = &now->record.config;
	uint32_t period_ms = c->rate_period_ms ? c->rate_period_ms : PERIOD_MS;
	return (struct rate){ c->rate, period_ms * UINT64_C(1000),
		c->rate_burst ? c->rate_burst : c->rate };
}

int rate_admit(nova_t *nova, const nova_function_t *function, bool may_be_old, nova_error_t **error)
{
	uint64_t wait_us = 0;
	const struct function_record *r = &function->record;
	const struct rate limit = rate_of(nova, function, may_be_old);
	if (!limit.rate)
		return 0;
	AUTO_FREE char *name = str_format(FUNCTION_NAME "%s", r->id);
	int code = name ? rates_take(nova->rates, name, &limit, 1, &wait_us) : NOVA_ENOMEM;
	if (code != NOVA_ELIMIT)
		return code < 0 ? nova_oom(error) : 0;
	uint64_t wait_ms = wait_us / 1000 + 1;
	nova_fail(error, NOVA_ELIMIT,
		"function '%s' may be called %llu times in %llu ms, and again in %llu ms (its "
		"property rate)",
		r->name, (unsigned long long)limit.rate,
		(unsigned long long)(limit.period_us / 1000), (unsigned long long)wait_ms);
	return used_up(error, wait_ms);
}
