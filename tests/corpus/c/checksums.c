/* SPDX-License-Identifier: MIT */
/* CRC-32, Adler-32 and FNV-1a of a text, and its Base64. */
#include "event.h"

#include <stdint.h>

static uint32_t crc32(const unsigned char *data, size_t len)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return ~crc;
}

static uint32_t adler32(const unsigned char *data, size_t len)
{
	uint32_t a = 1, b = 0;
	for (size_t i = 0; i < len; i++) {
		a = (a + data[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static uint64_t fnv1a(const unsigned char *data, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ data[i]) * 0x100000001b3u;
	return hash;
}

static void put_base64(const unsigned char *data, size_t len)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)data[i] << 16;
		three |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
		three |= i + 2 < len ? data[i + 2] : 0;
		putchar(letters[three >> 18]);
		putchar(letters[three >> 12 & 63]);
		putchar(i + 1 < len ? letters[three >> 6 & 63] : '=');
		putchar(i + 2 < len ? letters[three & 63] : '=');
	}
}

int main(int argc, char **argv)
{
	event_read(argc, argv);
	char *at = event;
	const unsigned char *text = (unsigned char *)event_text(&at);
	if (!text)
		return 2;
	size_t len = strlen((const char *)text);
	printf("{\"crc32\":\"%08x\",\"adler32\":\"%08x\",\"fnv1a\":\"%016llx\",\"base64\":\"",
		crc32(text, len), adler32(text, len), (unsigned long long)fnv1a(text, len));
	put_base64(text, len);
	printf("\"}\n");
	return 0;
}
