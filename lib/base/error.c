/* SPDX-License-Identifier: MIT */
/* The error object: made once where the failure is met, prefixed on the way up. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"
#include "base/text.h"

struct nova_error {
	int code;
	int os;
	int outcome;
	uint64_t retry_ms;
	int limit;
	char *message;
};

/*
 * What can be said without memory: a code and an outcome. Nobody writes to these objects:
 * nova_wrap() passes them by, and nova_set_outcome() takes the next one of the row. One without a
 * message says that memory was missing, for the call itself or for more words about its failure.
 */
#define WORDLESS(code, os)                                                                         \
	{                                                                                          \
		{ code, os, NOVA_OUTCOME_NEVER_RAN, 0, 0, NULL },                                  \
			{ code, os, NOVA_OUTCOME_RAN, 0, 0, NULL },                                \
		{                                                                                  \
			code, os, NOVA_OUTCOME_UNKNOWN, 0, 0, NULL                                 \
		}                                                                                  \
	}

static const struct {
	int code;
	const char *name;
	struct nova_error wordless[3];
} codes[] = {
	{ NOVA_OK, "NOVA_OK", WORDLESS(NOVA_OK, 0) },
	{ NOVA_EINVAL, "NOVA_EINVAL", WORDLESS(NOVA_EINVAL, 0) },
	{ NOVA_ENOMEM, "NOVA_ENOMEM", WORDLESS(NOVA_ENOMEM, ENOMEM) },
	{ NOVA_ENOTFOUND, "NOVA_ENOTFOUND", WORDLESS(NOVA_ENOTFOUND, 0) },
	{ NOVA_EEXIST, "NOVA_EEXIST", WORDLESS(NOVA_EEXIST, 0) },
	{ NOVA_EBUSY, "NOVA_EBUSY", WORDLESS(NOVA_EBUSY, 0) },
	{ NOVA_ENOTSUP, "NOVA_ENOTSUP", WORDLESS(NOVA_ENOTSUP, 0) },
	{ NOVA_EIO, "NOVA_EIO", WORDLESS(NOVA_EIO, 0) },
	{ NOVA_EPERM, "NOVA_EPERM", WORDLESS(NOVA_EPERM, 0) },
	{ NOVA_ENOSPC, "NOVA_ENOSPC", WORDLESS(NOVA_ENOSPC, 0) },
	{ NOVA_ETOOBIG, "NOVA_ETOOBIG", WORDLESS(NOVA_ETOOBIG, 0) },
	{ NOVA_ECORRUPT, "NOVA_ECORRUPT", WORDLESS(NOVA_ECORRUPT, 0) },
	{ NOVA_EABI, "NOVA_EABI", WORDLESS(NOVA_EABI, 0) },
	{ NOVA_ECONFIG, "NOVA_ECONFIG", WORDLESS(NOVA_ECONFIG, 0) },
	{ NOVA_EENGINE, "NOVA_EENGINE", WORDLESS(NOVA_EENGINE, 0) },
	{ NOVA_EAGENT, "NOVA_EAGENT", WORDLESS(NOVA_EAGENT, 0) },
	{ NOVA_ELIMIT, "NOVA_ELIMIT", WORDLESS(NOVA_ELIMIT, 0) },
	{ NOVA_ECANCELED, "NOVA_ECANCELED", WORDLESS(NOVA_ECANCELED, 0) },
	{ NOVA_EFUNCTION, "NOVA_EFUNCTION", WORDLESS(NOVA_EFUNCTION, 0) },
	{ NOVA_ETIMEDOUT, "NOVA_ETIMEDOUT", WORDLESS(NOVA_ETIMEDOUT, 0) },
	{ NOVA_ELOST, "NOVA_ELOST", WORDLESS(NOVA_ELOST, 0) },
	{ NOVA_ESTALE, "NOVA_ESTALE", WORDLESS(NOVA_ESTALE, 0) },
};

static bool is_wordless(const nova_error_t *error)
{
	return !error->message;
}

static nova_error_t *wordless(int code, int outcome)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			return (nova_error_t *)&codes[i].wordless[outcome];
	return wordless(NOVA_ENOMEM, outcome);
}

int nova_error_code(const nova_error_t *error)
{
	return error ? error->code : 0;
}

const char *nova_error_message(const nova_error_t *error)
{
	if (!error)
		return "";
	if (error->message)
		return error->message;
	return error->code == NOVA_ENOMEM ? "out of memory" :
					    "there is no memory for saying more about it";
}

int nova_error_os(const nova_error_t *error)
{
	return error ? error->os : 0;
}

int nova_error_outcome(const nova_error_t *error)
{
	return error ? error->outcome : NOVA_OUTCOME_NEVER_RAN;
}

uint64_t nova_error_retry_ms(const nova_error_t *error)
{
	return error ? error->retry_ms : 0;
}

int nova_error_limit(const nova_error_t *error)
{
	return error ? error->limit : NOVA_LIMIT_HOST;
}

void nova_error_free(nova_error_t *error)
{
	if (!error || is_wordless(error))
		return;
	free(error->message);
	free(error);
}

int nova_oom(nova_error_t **error)
{
	if (error)
		*error = wordless(NOVA_ENOMEM, NOVA_OUTCOME_NEVER_RAN);
	return NOVA_ENOMEM;
}

static int make(nova_error_t **error, int code, int os, int outcome, char *message)
{
	if (!error) {
		free(message);
		return code;
	}
	struct nova_error *made = message ? malloc(sizeof(*made)) : NULL;
	if (!made) {
		free(message);
		*error = wordless(code, outcome);
		return code;
	}
	text_flatten(message); /* whatever a guest or a tool put into it */
	*made = (struct nova_error){ code, os, outcome, 0, NOVA_LIMIT_HOST, message };
	*error = made;
	return code;
}

PRINTF_LIKE(1, 0)
static char *format_text(const char *format, va_list args)
{
	char *text;
	return vasprintf(&text, format, args) < 0 ? NULL : text;
}

int nova_fail(nova_error_t **error, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	return make(error, code, 0, NOVA_OUTCOME_NEVER_RAN, text);
}

int nova_fail_ran(nova_error_t **error, int code, int outcome, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	return make(error, code, 0, outcome, text);
}

bool nova_any_null(nova_error_t **error, const char *call, const char *names,
	const void *const *values, size_t count)
{
	for (size_t i = 0; i < count;
		i++, names += strcspn(names, " ,"), names += strspn(names, " ,")) {
		if (values[i])
			continue;
		nova_fail(error, NOVA_EINVAL, "%s: %.*s must not be NULL", call,
			(int)strcspn(names, " ,"), names);
		return true;
	}
	return false;
}

int nova_code_of_errno(int os)
{
	switch (abs(os)) {
	case ENOENT:
	case ENOTDIR:
		return NOVA_ENOTFOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return NOVA_EPERM;
	case EBUSY:
		return NOVA_EBUSY;
	case ENOSPC:
	case EDQUOT:
		return NOVA_ENOSPC;
	case ENOMEM:
		return NOVA_ENOMEM;
	case ELIBACC: /* a module (lib/module) */
		return NOVA_ENOTSUP;
	case ECANCELED:
		return NOVA_ECANCELED;
	case EFBIG:
	case EMSGSIZE:
		return NOVA_ETOOBIG;
	default:
		return NOVA_EIO;
	}
}

int nova_fail_os(nova_error_t **error, int os, const char *format, ...)
{
	char reason[128];
	va_list args;
	va_start(args, format);
	AUTO_FREE char *text = format_text(format, args);
	va_end(args);
	char *whole =
		text ? str_format("%s: %s", text, strerror_r(abs(os), reason, sizeof(reason))) :
		       NULL;
	return make(error, nova_code_of_errno(os), abs(os), NOVA_OUTCOME_NEVER_RAN, whole);
}

int nova_wrap(nova_error_t **error, int code, const char *format, ...)
{
	if (!error || !*error || is_wordless(*error))
		return code;
	va_list args;
	va_start(args, format);
	AUTO_FREE char *prefix = format_text(format, args);
	va_end(args);
	char *whole = prefix ? str_format("%s: %s", prefix, (*error)->message) : NULL;
	if (whole) {
		text_flatten(whole);
		free((*error)->message);
		(*error)->message = whole;
	}
	return code;
}

bool code_is_refusal(int code)
{
	return code == NOVA_ENOMEM || code == NOVA_EIO || code == NOVA_ENOSPC;
}

void error_copy(nova_error_t **to, const nova_error_t *from)
{
	int code = make(to, from->code, from->os, from->outcome, strdup(nova_error_message(from)));
	nova_set_retry(to, code, from->retry_ms);
	nova_set_limit(to, code, from->limit);
}

int nova_set_outcome(nova_error_t **error, int code, int outcome)
{
	if (error && *error && is_wordless(*error))
		*error = wordless((*error)->code, outcome);
	else if (error && *error)
		(*error)->outcome = outcome;
	return code;
}

int nova_set_retry(nova_error_t **error, int code, uint64_t ms)
{
	if (error && *error && !is_wordless(*error))
		(*error)->retry_ms = ms;
	return code;
}

int nova_set_limit(nova_error_t **error, int code, int limit)
{
	if (error && *error && !is_wordless(*error))
		(*error)->limit = limit;
	return code;
}

const char *nova_code_name(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "NOVA_E?";
}

const char *nova_version(void)
{
	return NOVA_VERSION_STRING;
}

void nova_free(void *memory)
{
	free(memory);
}

int opts_import(void *dst, size_t known, const void *src, const char *what, nova_error_t **error)
{
	memset(dst, 0, known);
	if (!src) {
		*(size_t *)dst = known;
		return 0;
	}
	size_t size;
	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size_t) || size > 65536)
		return nova_fail(
			error, NOVA_EABI, "%s.size is %zu: set it to sizeof(%s)", what, size, what);
	for (size_t i = known; i < size; i++)
		if (((const uint8_t *)src)[i])
			return nova_fail(error, NOVA_EABI,
				"%s asks for something that libnova " NOVA_VERSION_STRING
				" does not know (byte %zu); update the library",
				what, i);
	memcpy(dst, src, size < known ? size : known);
	*(size_t *)dst = known;
	return 0;
}

int opts_reserved(uint32_t reserved, const char *what, nova_error_t **error)
{
	return reserved ? nova_fail(error, NOVA_EABI,
				  "%s.reserved is %u: libnova " NOVA_VERSION_STRING
				  " wants 0 there; update the library",
				  what, reserved) :
			  0;
}

int opts_text(const char *name, const char *text, nova_error_t **error)
{
	return !text || text_is_utf8(text) ?
		       0 :
		       nova_fail(error, NOVA_EINVAL, "%s: the text is not UTF-8", name);
}

int opts_most(const char *name, uint64_t number, uint64_t most, nova_error_t **error)
{
	return number <= most ?
		       0 :
		       nova_fail(error, NOVA_EINVAL, "%s is %llu; at most %llu is possible", name,
			       (unsigned long long)number, (unsigned long long)most);
}
