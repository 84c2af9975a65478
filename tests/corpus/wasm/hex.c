/* SPDX-License-Identifier: MIT */
/* The bytes of the event in hexadecimal, as one string, with a checksum of Fletcher. */
#include "wasi.h"

static char text[2 * sizeof(event)];

void _start(void)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = event_read();
	uint32_t a = 0, b = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)event[i];
		text[2 * i] = digits[byte >> 4];
		text[2 * i + 1] = digits[byte & 15];
		a = (a + byte) % 255;
		b = (b + a) % 255;
	}
	put("{\"hex\":\"");
	put_bytes(1, text, 2 * len);
	put("\",\"fletcher\":");
	put_number(b << 8 | a);
	put("}\n");
}
