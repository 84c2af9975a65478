/* SPDX-License-Identifier: MIT */
/* Text of others, which may not be UTF-8, and may have in it what a terminal obeys. */
#include <string.h>

#include "serve.h"

/* The bytes of the character that begins here; 0: it is none of UTF-8. */
static size_t character(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char first, last, second_min, second_max, len;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t len = forms[i].len;
		if (*at < forms[i].first || *at > forms[i].last || len > left)
			continue;
		bool fits =
			len < 2 || (at[1] >= forms[i].second_min && at[1] <= forms[i].second_max);
		for (size_t k = 2; fits && k < len; k++)
			fits = (at[k] & 0xc0) == 0x80;
		return fits ? len : 0;
	}
	return 0;
}

json_t *text_json(const char *data, size_t len)
{
	json_t *text = json_stringn(data, len);
	struct bytes mended = { 0 };
	if (text)
		return text;
	for (size_t i = 0, n; i < len; i += n ? n : 1) {
		n = character((const unsigned char *)data + i, len - i);
		bytes_add(&mended, n ? data + i : "\xef\xbf\xbd", n ? n : 3);
	}
	text = need(json_stringn(mended.len ? mended.data : "", mended.len));
	bytes_free(&mended);
	return text;
}

/* Those of Latin 1 (U+0080 to U+009F), too: some terminals obey them. */
static bool is_control(const unsigned char *at)
{
	return *at < ' ' || *at == 127 || (*at == 0xc2 && at[1] < 0xa0);
}

void text_tame(char *text, size_t len, bool lines)
{
	unsigned char *at = (unsigned char *)text;
	for (size_t left = len, n; left; at += n, left -= n) {
		bool blank = *at == '\n' || *at == '\t';
		n = character(at, left);
		if (!n || (is_control(at) && !blank))
			memset(at, '?', n = n ? n : 1);
		else if (blank && !lines)
			*at = ' ';
	}
}
