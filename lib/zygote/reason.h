/* SPDX-License-Identifier: MIT */
/* Why something cannot be done, in words, without memory of the heap. */
#ifndef NOVA_LIB_ZYGOTE_REASON_H
#define NOVA_LIB_ZYGOTE_REASON_H

#include <stddef.h>

struct reason {
	char text[160];
};

/* Writes a text of which only %d and %s are known; it is cut where there is no more room. */
void text_put(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* -1, with the reason. */
#define refuse(reason, ...) (text_put((reason)->text, sizeof((reason)->text), __VA_ARGS__), -1)

#endif
