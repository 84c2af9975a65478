/* SPDX-License-Identifier: MIT */
/*
 * The door of rate: how often something may be done (nova/rate.h). A bucket holds `burst` tokens at
 * most, and `rate` more come in each period. It is this process's own; with Redis, all hosts take
 * from one, each some tokens ahead, so that most are taken without asking.
 */
#ifndef NOVA_LIB_RATE_H
#define NOVA_LIB_RATE_H

#include <pthread.h>

#include "base/base.h"
#include "base/list.h"
#include "base/table.h"
#include "config/config.h"

struct rate {
	uint64_t rate, period_us, burst;
};

struct rates;

/* `log` lives longer. The codes of redis_open(). */
int rates_open(const nova_config_t *config, const struct logger *log, struct rates **ret_rates,
	nova_error_t **error);
void rates_close(struct rates *rates); /* NULL does nothing */
/* Any thread. 0: they were taken; NOVA_ELIMIT: not before *ret_wait_us; NOVA_ENOMEM. */
int rates_take(struct rates *rates, const char *name, const struct rate *limit, uint64_t tokens,
	uint64_t *ret_wait_us);
/* The next one who takes pays for these, too. */
void rates_owe(struct rates *rates, const char *name, uint64_t tokens);

#endif
