/* SPDX-License-Identifier: MIT */
/* The error object: made once where the failure is met, prefixed on the way up. */
#ifndef NOVA_LIB_BASE_ERROR_H
#define NOVA_LIB_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nova/base.h>

#include "base/macros.h"

/* Each returns `code` (nova_fail_os: the code that fits the errno), so a failure is one return
 * statement. */
int nova_fail(nova_error_t **error, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* `os` may be errno or -errno; its text is appended after ": ". */
int nova_fail_os(nova_error_t **error, int os, const char *format, ...) PRINTF_LIKE(3, 4);
/* For code that ran, or may have run, in a guest. */
int nova_fail_ran(nova_error_t **error, int code, int outcome, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* Cannot fail itself: the object is static. */
int nova_oom(nova_error_t **error);
/* Puts "prefix: " before the message of an error that is being passed up; keeps code, errno,
 * outcome. */
int nova_wrap(nova_error_t **error, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Raises the outcome of an error that is being passed up (see enum nova_outcome). */
int nova_set_outcome(nova_error_t **error, int code, int outcome);
/* When another attempt may succeed: see nova_error_retry_ms(). */
int nova_set_retry(nova_error_t **error, int code, uint64_t ms);
/* Says of a NOVA_ELIMIT which limit it is (see enum nova_limit). */
int nova_set_limit(nova_error_t **error, int code, int limit);
/* Whether this says that something was refused (memory, descriptors, a read, room), so that nothing
 * is known of the thing it is about. */
bool code_is_refusal(int code);
/* The same failure told to somebody else. */
void error_copy(nova_error_t **to, const nova_error_t *from);
/* True, with NOVA_EINVAL and a sentence that names it, if one of these arguments of the public call
 * that this stands in is NULL. */
#define ANY_NULL(error, ...)                                                                       \
	nova_any_null((error), __func__, #__VA_ARGS__, (const void *const[]){ __VA_ARGS__ },       \
		sizeof((const void *const[]){ __VA_ARGS__ }) / sizeof(void *))
bool nova_any_null(nova_error_t **error, const char *call, const char *names,
	const void *const *values, size_t count);
/* The code that fits an errno. */
int nova_code_of_errno(int os);

static inline void error_freep(nova_error_t **error)
{
	nova_error_free(*error);
}
#define AUTO_ERROR CLEANUP(error_freep)

/* Checks and copies an option struct of the caller; `dst` has `known` bytes, all optional after
 * `size`. */
int opts_import(void *dst, size_t known, const void *src, const char *what, nova_error_t **error);
/* Refuses what a newer program may have put where this library has padding. */
int opts_reserved(uint32_t reserved, const char *what, nova_error_t **error);
/* NOVA_EINVAL by the name of the option: a text (NULL is none) that is not UTF-8, a number that is
 * too large. */
int opts_text(const char *name, const char *text, nova_error_t **error);
int opts_most(const char *name, uint64_t number, uint64_t most, nova_error_t **error);

#endif
