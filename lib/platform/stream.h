/* SPDX-License-Identifier: MIT */
/* Private to the room: the copy of the log of calls in Redis. */
#ifndef NOVA_LIB_PLATFORM_STREAM_H
#define NOVA_LIB_PLATFORM_STREAM_H

#include "platform/platform.h"

struct log_stream;

/* *ret_stream is NULL if the settings name no server. The codes of redis_open(). */
int log_stream_open(const nova_config_t *config, const struct logger *log,
	struct log_stream **ret_stream, nova_error_t **error);
void log_stream_close(struct log_stream *stream); /* NULL does nothing, as below */
/* Those of functions of the store. Nothing happens if the server is away. */
void log_stream_write(
	struct log_stream *stream, const struct call_record *const *records, size_t count);

#endif
