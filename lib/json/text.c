/* SPDX-License-Identifier: MIT */
/* Strings as JSON, base64. */
#include <errno.h>

#include "json/json.h"

static bool plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* What one byte or sequence at `text` becomes; `out` holds 8 bytes. Returns how many bytes of text
 * it was. */
static size_t escape_one(const uint8_t *text, size_t len, char out[8], size_t *ret_len)
{
	static const char names[] = "btn\0fr"; /* from 8 on; 11 has no short form */
	uint8_t c = text[0];
	if (c >= 0x80) {
		int taken = utf8_sequence(text, len);
		*ret_len = taken > 0 ? (size_t)taken : 3;
		memcpy(out, taken > 0 ? (const char *)text : "\xEF\xBF\xBD", *ret_len);
		return taken > 0 ? (size_t)taken : 1;
	}
	if (c == '"' || c == '\\' || (c >= 8 && c <= 13 && c != 11)) {
		out[0] = '\\';
		out[1] = c >= 32 ? (char)c : names[c - 8];
		*ret_len = 2;
	} else {
		*ret_len = (size_t)snprintf(out, 8, "\\u%04x", c);
	}
	return 1;
}

ssize_t json_put_string_upto(struct buf *b, const void *text, size_t len, size_t room)
{
	const uint8_t *from = text;
	size_t at = 0, used = 2;
	int r = buf_append(b, "\"", 1);
	while (r == 0 && at < len) {
		size_t run = at;
		while (run < len && plain(from[run]) && used + (run - at) < room)
			run++;
		r = buf_append(b, from + at, run - at);
		used += run - at;
		at = run;
		if (r < 0 || at == len)
			break;
		char out[8];
		size_t out_len = 1, taken = 1;
		if (plain(from[at]))
			break; /* no room */
		taken = escape_one(from + at, len - at, out, &out_len);
		if (used + out_len > room)
			break;
		r = buf_append(b, out, out_len);
		used += out_len;
		at += taken;
	}
	if (r == 0)
		r = buf_append(b, "\"", 1);
	return r < 0 ? r : (ssize_t)at;
}

int json_put_string(struct buf *b, const void *text, size_t len)
{
	ssize_t r = json_put_string_upto(b, text, len, SIZE_MAX);
	return r < 0 ? (int)r : 0;
}

size_t json_string_size(const void *text, size_t len)
{
	const uint8_t *from = text;
	size_t size = 2;
	for (size_t at = 0; at < len;) {
		char out[8];
		size_t out_len = 1;
		at += plain(from[at]) ? 1 : escape_one(from + at, len - at, out, &out_len);
		size += out_len;
	}
	return size;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_put(struct buf *b, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t need = (len + 2) / 3 * 4;
	if (!len)
		return 0;
	if (need > b->max || b->len > b->max - need)
		return -EMSGSIZE;
	char *to = (char *)buf_reserve(b, need);
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
			     (left > 2 ? from[i + 2] : 0);
		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
		*to++ = left > 2 ? alphabet[v & 63] : '=';
	}
	b->len += need;
	return 0;
}

static int base64_digit(char c)
{
	/* No look-up: this runs for every byte of a file, in guests without hardware help. */
	if (c >= 'a')
		return c <= 'z' ? c - 'a' + 26 : -1;
	if (c >= 'A')
		return c <= 'Z' ? c - 'A' : -1;
	if (c >= '0')
		return c <= '9' ? c - '0' + 52 : -1;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to one, two or three bytes; the count, or -EINVAL. */
static int base64_group(const char *text, bool last, uint8_t out[3])
{
	int pad = !last || text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
	uint32_t v = 0;
	for (int i = 0; i < 4; i++) {
		int digit = i >= 4 - pad ? 0 : base64_digit(text[i]);
		if (digit < 0)
			return -EINVAL;
		v = v << 6 | (uint32_t)digit;
	}
	out[0] = (uint8_t)(v >> 16);
	out[1] = (uint8_t)(v >> 8);
	out[2] = (uint8_t)v;
	/* Bits that do not fit a byte have to be zero, so that each content has one spelling. */
	if ((pad == 1 && out[2]) || (pad == 2 && (out[1] || out[2])))
		return -EINVAL;
	return 3 - pad;
}

ssize_t base64_decode(const char *text, size_t len, void *out)
{
	uint8_t *to = out;
	if (len % 4)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		uint8_t bytes[3];
		int count = base64_group(text + i, i + 4 == len, bytes);
		if (count < 0)
			return -EINVAL;
		memcpy(to, bytes, (size_t)count);
		to += count;
	}
	return to - (uint8_t *)out;
}

int base64_get(struct buf *b, const char *text, size_t len)
{
	if (len % 4)
		return -EINVAL;
	if (!len)
		return 0;
	size_t need = len / 4 * 3 - (text[len - 1] == '=' ? text[len - 2] == '=' ? 2 : 1 : 0);
	if (need > b->max || b->len > b->max - need)
		return -EMSGSIZE;
	uint8_t *to = buf_reserve(b, need);
	if (!to)
		return -ENOMEM;
	ssize_t got = base64_decode(text, len, to);
	if (got < 0)
		return (int)got;
	b->len += (size_t)got;
	return 0;
}

/* --- values that are known to be JSON --- */

/* `unit` is a code point; how many bytes. */
static size_t put_utf8(uint32_t unit, char *to)
{
	size_t more = unit < 0x80 ? 0 : unit < 0x800 ? 1 : unit < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = { 0, 0xC0, 0xE0, 0xF0 };
	for (size_t i = more; i > 0; i--, unit >>= 6)
		to[i] = (char)(0x80 | (unit & 0x3F));
	to[0] = (char)(lead[more] | unit);
	return more + 1;
}

static uint32_t hex4(const char *at)
{
	uint32_t unit = 0;
	for (int i = 0; i < 4; i++)
		unit = unit << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
	return unit;
}

/* What the escape behind the backslash at *at means; *at is then behind it. A surrogate comes with
 * the other half. */
static size_t put_escape(const char **at, char *to)
{
	static const char names[] = "btnfr\"\\/", values[] = "\b\t\n\f\r\"\\/";
	char c = *(*at)++;
	if (c != 'u') {
		*to = values[strchr(names, c) - names];
		return 1;
	}
	uint32_t unit = hex4(*at);
	*at += 4;
	if (unit >= 0xD800 && unit <= 0xDBFF) {
		unit = 0x10000 + ((unit - 0xD800) << 10) + (hex4(*at + 2) - 0xDC00);
		*at += 6;
	}
	return put_utf8(unit, to);
}

bool json_take_text(struct json_span value, struct json_span *ret)
{
	if (*value.at != '"')
		return false;
	const char *at = value.at + 1, *end = value.at + value.len - 1;
	char *text = (char *)at, *to = text;
	while (at < end) {
		const char *escape = memchr(at, '\\', (size_t)(end - at));
		size_t run = (size_t)((escape ? escape : end) - at);
		if (to != at)
			memmove(to, at, run);
		to += run;
		at += run;
		if (escape) {
			at++;
			to += put_escape(&at, to);
		}
	}
	*to = 0;
	*ret = (struct json_span){ text, (size_t)(to - text) };
	return true;
}

bool json_take_number(struct json_span value, int64_t most, int64_t *ret)
{
	int64_t number = 0;
	for (size_t i = 0; i < value.len; i++) {
		int digit = value.at[i] - '0';
		if (digit < 0 || digit > 9 || digit > most || number > (most - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret = number;
	return true;
}

bool json_take_bool(struct json_span value, bool *ret)
{
	*ret = *value.at == 't';
	return *ret || *value.at == 'f';
}
