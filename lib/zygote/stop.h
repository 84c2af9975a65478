/* SPDX-License-Identifier: MIT */
/* All threads of the program are brought to a stand where nothing is half done. */
#ifndef NOVA_LIB_ZYGOTE_STOP_H
#define NOVA_LIB_ZYGOTE_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "zygote/reason.h"

/* Takes the signal; once, before there are other threads than the main one. */
int stop_begin(struct reason *reason);

struct stop_result {
	uint32_t threads, attempts;
};

/* All stand, at rest; or they go on, and the reason is told. Nothing that takes a lock may be
 * called while they stand: someone may hold it. */
int stop_all(uint32_t patience_ms, struct stop_result *ret, struct reason *reason);
void stop_release(void);

#endif
