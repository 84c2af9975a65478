/* SPDX-License-Identifier: MIT */
/* Hex, base64 and percent signs. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "novad.h"

void hex_of(char *out, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = data;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[at[i] >> 4];
		out[2 * i + 1] = digits[at[i] & 15];
	}
	out[2 * len] = 0;
}

/* The kernel is asked for many bytes at once. */
void random_hex(char *out, size_t bytes)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned char pool[4096];
	static size_t left;
	pthread_mutex_lock(&lock);
	if (left < bytes) {
		left = sizeof(pool);
		if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
			abort(); /* cannot happen: these are there as soon as programs run */
	}
	left -= bytes;
	hex_of(out, pool + left, bytes);
	memset(pool + left, 0, bytes); /* it may be a key */
	pthread_mutex_unlock(&lock);
}

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int letter_value(char letter)
{
	const char *at = letter ? strchr(letters, letter) : NULL;
	return at ? (int)(at - letters) : -1;
}

void base64_write(struct bytes *out, const void *data, size_t len)
{
	const unsigned char *at = data;
	for (size_t i = 0; i < len; i += 3) {
		unsigned word = (unsigned)at[i] << 16 | (i + 1 < len ? at[i + 1] : 0u) << 8 |
				(i + 2 < len ? at[i + 2] : 0u);
		const char four[] = { letters[word >> 18], letters[word >> 12 & 63],
			i + 1 < len ? letters[word >> 6 & 63] : '=',
			i + 2 < len ? letters[word & 63] : '=' };
		bytes_add(out, four, sizeof(four));
	}
}

bool base64_read(struct bytes *out, const char *text, size_t len)
{
	unsigned word = 0;
	size_t padding = len >= 2 ? (text[len - 1] == '=') + (text[len - 2] == '=') : 0;
	if (len % 4)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = i < len - padding ? letter_value(text[i]) : 0;
		if (value < 0)
			return false;
		word = word << 6 | (unsigned)value;
		if (i % 4 != 3)
			continue;
		const char three[] = { (char)(word >> 16), (char)(word >> 8), (char)word };
		bytes_add(out, three, i + 1 == len ? 3 - padding : 3);
		word = 0;
	}
	return true;
}

static int digit_value(char digit)
{
	return digit >= '0' && digit <= '9' ? digit - '0' :
	       digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 :
	       digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 :
					      -1;
}

bool percent_read(char *text)
{
	char *out = text;
	for (const char *in = text; *in; in++) {
		int high = *in == '%' ? digit_value(in[1]) : 0;
		int low = *in == '%' && high >= 0 ? digit_value(in[2]) : 0;
		char value = *in == '%' ? (char)(high * 16 + low) : *in;
		if (high < 0 || low < 0 || !value)
			return false;
		in += *in == '%' ? 2 : 0;
		*out++ = value;
	}
	*out = 0;
	return true;
}
