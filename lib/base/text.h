/* SPDX-License-Identifier: MIT */
/* Strings, and UTF-8. */
#ifndef NOVA_LIB_BASE_TEXT_H
#define NOVA_LIB_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* NULL when out of memory. */
char *str_format(const char *format, ...) PRINTF_LIKE(1, 2);
static inline bool is_letter(char c) /* of ASCII, whatever the locale */
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
char *path_join(const char *directory, const char *name);
bool str_starts(const char *text, const char *prefix);
/* One to four digits at *at, which then stands behind them: a part of a version. False: there is no
 * such number. */
bool str_take_number(const char **at, unsigned *ret);
/* The candidate nearest to a mistyped word, or NULL when none is near. `list` ends with NULL. */
const char *str_nearest(const char *word, const char *const *list);
void strv_free(char **list, size_t count); /* NULL is accepted */

/* Length of the UTF-8 sequence at `text`; 0 if it is none; -1 if it may become one with more bytes.
 */
int utf8_sequence(const uint8_t *text, size_t len);
/* How many bytes from the start are whole UTF-8 sequences. */
size_t utf8_valid_prefix(const uint8_t *text, size_t len);
bool text_is_utf8(const char *text);
/* Has it a control character, of ASCII or of Latin 1? Terminals obey both. */
bool text_has_control(const char *text);
/* Makes it one line that a terminal can show, in place: what is a control character becomes a
 * space, and what is not UTF-8 a '?'. */
void text_flatten(char *text);

#endif
