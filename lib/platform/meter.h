/* SPDX-License-Identifier: MIT */
/* Private to the room: who reads what the meter has recorded. */
#ifndef NOVA_LIB_PLATFORM_METER_H
#define NOVA_LIB_PLATFORM_METER_H

#include "platform/platform.h"
#include "usage/usage.h"

/* With all that has been used until now in it. To be followed by meter_give_back() if it returns 0,
 * with the code of what was done with the store. */
int meter_borrow(struct meter *meter, struct store **ret_store, nova_error_t **error);
void meter_give_back(struct meter *meter, int code);

/* The prices, and the plan (NULL: none); they stay. */
int meter_rates(struct meter *meter, const struct usage_rates **ret_rates,
	const struct usage_plan **ret_plan, nova_error_t **error);

#endif
