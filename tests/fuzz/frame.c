/* SPDX-License-Identifier: MIT */
/*
 * What a hostile guest may send: the bytes go to one decoder in one piece and to another in pieces,
 * and both have to tell the same story. Payloads go on through the message helpers, and the scanner
 * is held against jansson.
 */
#include <stdlib.h>

#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* jansson knows no numbers beyond a double, counts nesting a little differently, and takes a NUL
 * byte for the end. */
static bool comparable(const char *text, size_t len)
{
	size_t digits = 0, open = 0;
	for (size_t i = 0; i < len; i++) {
		digits += (text[i] >= '0' && text[i] <= '9') || text[i] == 'e' || text[i] == 'E';
		open += text[i] == '[' || text[i] == '{';
	}
	return digits < 100 && open < 1000 && !memchr(text, 'e', len) && !memchr(text, 'E', len) &&
	       !memchr(text, 0, len);
}

static void compare_scanners(const char *text, size_t len)
{
	if (!comparable(text, len))
		return;
	json_error_t why = { 0 };
	AUTO_JSON json_t *parsed = json_loadb(
		text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &why);
	if (!parsed && json_error_code(&why) == json_error_null_byte_in_key)
		return;
	require(json_text_ok(text, len, PROTO_DEPTH) == !!parsed);
}

static void use_payload(const char *text, size_t len)
{
	AUTO_JSON json_t *object = NULL;
	struct json_span raw;
	require(json_text_ok(text, len, PROTO_DEPTH));
	if (proto_decode_payload(text, len, "input", &object, &raw, NULL) < 0)
		return;
	if (raw.at)
		require(json_text_ok(raw.at, raw.len, PROTO_DEPTH));
	void *frame;
	size_t frame_len;
	if (nova_frame_encode(NOVA_MSG_EXEC, text, len, &frame, &frame_len, NULL) == 0)
		nova_free(frame);
}

static int drain(nova_decoder_t *decoder, size_t *count, bool use)
{
	int type, r;
	const char *payload;
	size_t len;
	while ((r = nova_decoder_next(decoder, &type, &payload, &len, NULL)) == 1) {
		++*count;
		if (use)
			use_payload(payload, len);
	}
	return r;
}

static void decode(const uint8_t *data, size_t size)
{
	nova_decoder_t *whole, *pieces;
	size_t whole_count = 0, pieces_count = 0;
	require(nova_decoder_new(1 << 16, &whole, NULL) == 0 &&
		nova_decoder_new(1 << 16, &pieces, NULL) == 0);
	int whole_end = nova_decoder_feed(whole, data, size, NULL);
	if (whole_end == 0)
		whole_end = drain(whole, &whole_count, true);
	int pieces_end = 0;
	for (size_t at = 0, step = 1; at < size && pieces_end == 0;
		at += step, step = step * 3 % 61) {
		size_t len = step < size - at ? step : size - at;
		pieces_end = nova_decoder_feed(pieces, data + at, len, NULL);
		if (pieces_end == 0)
			pieces_end = drain(pieces, &pieces_count, false);
	}
	/* In one piece a lie about a length is met before the frames in front of it are fetched. */
	require(whole_count <= pieces_count);
	require((whole_end == 0) == (pieces_end == 0));
	require(whole_end < 0 || whole_count == pieces_count);
	nova_decoder_free(whole);
	nova_decoder_free(pieces);
}

static void write_text(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf string = BUF_INIT(size * 6 + 2), back = BUF_INIT(size);
	require(json_put_string(&string, data, size) == 0);
	require(json_text_ok((const char *)string.data, string.len, 1));
	string.len = 0;
	size_t room = size / 2 + 2;
	require(json_put_string_upto(&string, data, size, room) >= 0 && string.len <= room);
	require(json_text_ok((const char *)string.data, string.len, 1));
	base64_get(&back, (const char *)data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode(data, size);
	compare_scanners((const char *)data, size);
	write_text(data, size);
	return 0;
}
