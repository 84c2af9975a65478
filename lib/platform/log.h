/* SPDX-License-Identifier: MIT */
/* Private to the room: who reads the log of calls. */
#ifndef NOVA_LIB_PLATFORM_LOG_H
#define NOVA_LIB_PLATFORM_LOG_H

#include "platform/platform.h"

/* A store that is used by whoever has a reference. */
struct opened {
	atomic_uint references;
	struct store *store;
	bool own; /* it is the log's alone */
};

/* What there is in memory is written before, if that is possible. */
int call_log_borrow(struct call_log *log, struct opened **ret_opened, nova_error_t **error);
/* With what came of its use: after a failure the next who asks has it opened anew, as its file may
 * have been moved away. */
void call_log_give_back(struct call_log *log, struct opened *opened, int code);

#endif
