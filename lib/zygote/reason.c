/* SPDX-License-Identifier: MIT */
#include <stdarg.h>

#include "zygote/reason.h"

struct out {
	char *at, *end; /* of what may be written, less the NUL */
};

static void put_text(struct out *out, const char *text)
{
	while (*text && out->at < out->end)
		*out->at++ = *text++;
}

static void put_number(struct out *out, int number)
{
	char digits[16], *at = digits + sizeof(digits);
	unsigned rest = number < 0 ? 0u - (unsigned)number : (unsigned)number;
	*--at = 0;
	do
		*--at = (char)('0' + rest % 10);
	while (rest /= 10);
	if (number < 0)
		*--at = '-';
	put_text(out, at);
}

void text_put(char *text, size_t size, const char *format, ...)
{
	struct out out = { text, text + size - 1 };
	va_list args;
	va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			put_text(&out, (char[]){ *format, 0 });
		} else if (*++format == 'd') {
			put_number(&out, va_arg(args, int));
		} else {
			put_text(&out, va_arg(args, const char *));
		}
	}
	va_end(args);
	*out.at = 0;
}
