/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/text.h"

/* --- filters --- */

/* Also as the filters of Rust's programs spell them. */
static int level_of(const char *word, size_t len)
{
	static const struct {
		const char *word;
		int level;
	} levels[] = { { "none", NOVA_LOG_NONE }, { "off", NOVA_LOG_NONE },
		{ "error", NOVA_LOG_ERROR }, { "warn", NOVA_LOG_WARN }, { "info", NOVA_LOG_INFO },
		{ "debug", NOVA_LOG_DEBUG }, { "trace", NOVA_LOG_DEBUG } };
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strlen(levels[i].word) == len && !strncasecmp(levels[i].word, word, len))
			return levels[i].level;
	return -1;
}

int log_filter_level(const char *filter, const char *module, int otherwise)
{
	int own = -1;
	size_t len;
	for (const char *at = filter; *at; at += len, at += strspn(at, ", ")) {
		len = strcspn(at, ", ");
		const char *equals = memchr(at, '=', len), *word = equals ? equals + 1 : at;
		size_t name = equals ? (size_t)(equals - at) : 0;
		int level = len ? level_of(word, (size_t)(at + len - word)) : otherwise;
		if (level < 0 || equals == at)
			return -1;
		if (!equals)
			otherwise = level;
		else if (module ? strlen(module) == name && !memcmp(module, at, name) : level > own)
			own = level;
	}
	return own >= 0 && (module || own > otherwise) ? own : otherwise;
}

int nova_log_filter_level(const char *filter, const char *module, int otherwise)
{
	int level = filter ? log_filter_level(filter, module, otherwise) : -1;
	return level < 0 ? NOVA_EINVAL : level;
}

/* --- messages --- */

void log_write(const struct logger *log, int level, const char *module, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_flatten(text);
	log->fn(log->userdata, level, module, text);
}
