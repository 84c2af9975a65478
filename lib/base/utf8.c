/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/text.h"

static bool continues(uint8_t c)
{
	return (c & 0xC0) == 0x80;
}

/* The limits of the second byte shut out overlong forms, surrogates and what is beyond U+10FFFF. */
static bool second_byte_ok(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xE0:
		return second >= 0xA0 && second <= 0xBF;
	case 0xED:
		return second >= 0x80 && second <= 0x9F;
	case 0xF0:
		return second >= 0x90 && second <= 0xBF;
	case 0xF4:
		return second >= 0x80 && second <= 0x8F;
	default:
		return continues(second);
	}
}

int utf8_sequence(const uint8_t *text, size_t len)
{
	if (!len)
		return -1;
	uint8_t first = text[0];
	if (first < 0x80)
		return 1;
	if (first < 0xC2 || first > 0xF4)
		return 0;
	size_t need = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (len > 1 && !second_byte_ok(first, text[1]))
		return 0;
	for (size_t i = 2; i < need && i < len; i++)
		if (!continues(text[i]))
			return 0;
	return len < need ? -1 : (int)need;
}

size_t utf8_valid_prefix(const uint8_t *text, size_t len)
{
	size_t at = 0;
	while (at < len) {
		int taken = utf8_sequence(text + at, len - at);
		if (taken <= 0)
			break;
		at += (size_t)taken;
	}
	return at;
}

bool text_is_utf8(const char *text)
{
	size_t len = strlen(text);
	return utf8_valid_prefix((const uint8_t *)text, len) == len;
}

static bool is_control(const uint8_t *at)
{
	return *at < ' ' || *at == 127 || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

bool text_has_control(const char *text)
{
	for (const uint8_t *at = (const uint8_t *)text; *at; at++)
		if (is_control(at))
			return true;
	return false;
}

void text_flatten(char *text)
{
	uint8_t *at = (uint8_t *)text;
	for (size_t left = strlen(text), len; left; at += len, left -= len) {
		int taken = utf8_sequence(at, left);
		len = taken > 0 ? (size_t)taken : 1;
		if (taken <= 0)
			*at = '?';
		else if (is_control(at))
			memset(at, ' ', len);
	}
}
