/* SPDX-License-Identifier: MIT */
/* The log of whoever uses the library. */
#ifndef NOVA_LIB_BASE_LOG_H
#define NOVA_LIB_BASE_LOG_H

#include <nova/base.h>

#include "base/macros.h"

/* The level of messages of a module that pass a filter, as nova_log_filter_level(); -1: it is none.
 */
int log_filter_level(const char *filter, const char *module, int otherwise);

struct logger {
	nova_log_fn fn; /* NULL: silence */
	void *userdata;
	int level;
};

void log_write(const struct logger *log, int level, const char *module, const char *format, ...)
	PRINTF_LIKE(4, 5);
#define log_at(log, lvl, ...)                                                                      \
	do {                                                                                       \
		const struct logger *log_ = (log);                                                 \
		if (log_ && log_->fn && (lvl) <= log_->level)                                      \
			log_write(log_, (lvl), __VA_ARGS__);                                       \
	} while (0)
#define log_error(log, ...) log_at(log, NOVA_LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_at(log, NOVA_LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_at(log, NOVA_LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_at(log, NOVA_LOG_DEBUG, __VA_ARGS__)

#endif
