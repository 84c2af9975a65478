/* SPDX-License-Identifier: MIT */
/**
 * @file nova/rate.h
 * How often something may be done.
 *
 *     nova_rate_opts o = NOVA_RATE_OPTS_INIT;
 *     o.name = "customer 7";
 *     o.rate = 100; // a second
 *     if (nova_rate_take(nova, &o, NULL, &error) == NOVA_ELIMIT)
 *             puts("later");
 *
 * A name stands for a bucket with `burst` tokens at most. Each take needs one, or more; `rate` come
 * back in each period. With the settings redis.* all hosts with that Redis take from one bucket,
 * each some tokens ahead (for a tenth of a second), so that most takes ask nobody. Where the
 * server has to be asked it may take up to `redis.timeout`; while it is away each host counts by
 * itself, and has said so in the log. Without Redis the buckets are the platform object's own, and
 * gone with it.
 */
#ifndef NOVA_RATE_H
#define NOVA_RATE_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What nova_rate_take() takes from. Since 0.1. */
typedef struct nova_rate_opts {
	size_t size;        /**< sizeof(nova_rate_opts) */
	const char *name;   /**< 1 to 200 bytes, any text in UTF-8; required */
	uint32_t rate;      /**< tokens that come in a period: 1 to 1000000; required */
	uint32_t period_ms; /**< 1 to 86400000; 0: 1000 */
	uint32_t burst;     /**< tokens there can be at most: 1 to 1000000; 0: as `rate` */
	uint32_t tokens;    /**< to take, up to `burst`; 0: 1 */
} nova_rate_opts;
#define NOVA_RATE_OPTS_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_rate_opts), 0, 0, 0, 0, 0                                              \
	}

/**
 * Takes tokens, if they are there. Any thread.
 *
 * A bucket that was not used before is full. Another rate, period or burst of the same name holds
 * from then on, and forgives nothing. Of 100000 names the one that was used longest ago is
 * forgotten.
 * @param nova the platform
 * @param opts whose, and how many; required
 * @param ret_wait_ms receives, with NOVA_ELIMIT, in how many milliseconds they will be there if
 * nobody else takes them: at least 1. NULL: you do not ask
 * @return 0: they are taken; or a code, then none is:
 *  - NOVA_ELIMIT: they are not there yet
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_rate_take(
	nova_t *nova, const nova_rate_opts *opts, uint64_t *ret_wait_ms, nova_error_t **error);

#ifdef __cplusplus
}
#endif

#endif
