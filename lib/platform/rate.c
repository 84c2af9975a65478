/* SPDX-License-Identifier: MIT */
/* The call of nova/rate.h. */
#include <nova/rate.h>

#include "platform/platform.h"

#define NAME_MOST   200u
#define TOKENS_MOST 1000000u
#define PERIOD_MOST 86400000u

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
	int code = check_number("rate", o->rate, 1, TOKENS_MOST, error);
	o->period_ms = o->period_ms ? o->period_ms : 1000;
	if (code == 0)
		code = check_number("period_ms", o->period_ms, 1, PERIOD_MOST, error);
	o->burst = o->burst ? o->burst : o->rate;
	if (code == 0)
		code = check_number("burst", o->burst, 1, TOKENS_MOST, error);
	o->tokens = o->tokens ? o->tokens : 1;
	return code < 0 ? code : check_number("tokens", o->tokens, 1, o->burst, error);
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
	uint64_t wait_ms = wait_us / 1000 + 1;
	if (code == NOVA_ELIMIT && ret_wait_ms)
		*ret_wait_ms = wait_ms;
	return code == 0 ? 0 :
			   nova_fail(error, NOVA_ELIMIT,
				   "'%s' may have %u in %u ms, and go on in %llu ms", o.name,
				   o.rate, o.period_ms, (unsigned long long)wait_ms);
}
