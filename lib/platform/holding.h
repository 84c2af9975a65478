/* SPDX-License-Identifier: MIT */
/* Private to the room: what each key holds at a time of what a plan has. */
#ifndef NOVA_LIB_PLATFORM_HOLDING_H
#define NOVA_LIB_PLATFORM_HOLDING_H

#include "base/table.h"
#include "platform/platform.h"

struct holders {
	pthread_mutex_t lock;
	struct table by_key;
};
int holders_init(struct holders *holders); /* 0 or -ENOMEM */
/* When nothing is held any more. */
void holders_done(struct holders *holders);

/* Processors and memory of `more`, for that key. NOVA_ELIMIT: it would have more than the plan. */
int holding_take(struct holders *holders, const struct usage_plan *plan, const char *key,
	struct holding *more, nova_error_t **error);
/* Once more does nothing. */
void holding_end(struct holders *holders, struct holding *holding);

#endif
