/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>

#include "proto/proto.h"
#include "test.h"

static nova_error_t *error;

static void put_length(uint8_t *at, uint32_t len)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(len >> (24 - 8 * i));
}

/* A frame around any text; the caller frees it. */
static uint8_t *frame_of(const char *text, size_t len, size_t *ret_len)
{
	uint8_t *frame = malloc(len + 4);
	put_length(frame, (uint32_t)len);
	memcpy(frame + 4, text, len);
	*ret_len = len + 4;
	return frame;
}

static int decode_text(const char *text, size_t len, int *ret_type, char **ret_payload)
{
	nova_decoder_t *decoder;
	const char *payload;
	size_t frame_len, payload_len;
	AUTO_FREE uint8_t *frame = frame_of(text, len, &frame_len);
	ck_ok(nova_decoder_new(0, &decoder, &error));
	int r = nova_decoder_feed(decoder, frame, frame_len, &error);
	if (r == 0)
		r = nova_decoder_next(decoder, ret_type, &payload, &payload_len, &error);
	if (r == 1) {
		ck_assert_uint_eq(strlen(payload), payload_len);
		*ret_payload = strdup(payload);
	}
	nova_decoder_free(decoder);
	return r;
}

#define ck_decodes(text, expected_type, expected_payload)                                          \
	do {                                                                                       \
		int type_;                                                                         \
		char *payload_ = NULL;                                                             \
		int r_ = decode_text((text), strlen(text), &type_, &payload_);                     \
		ck_assert_msg(r_ == 1, "%s: %s", (text), nova_error_message(error));               \
		ck_assert_int_eq(type_, (expected_type));                                          \
		ck_assert_str_eq(payload_, (expected_payload));                                    \
		free(payload_);                                                                    \
	} while (0)

#define ck_refuses(text, part)                                                                     \
	do {                                                                                       \
		int type_;                                                                         \
		char *payload_ = NULL;                                                             \
		ck_fails_with(NOVA_EAGENT, (part),                                                 \
			decode_text((text), strlen(text), &type_, &payload_));                     \
	} while (0)

START_TEST(a_frame_is_a_big_endian_length_and_an_envelope)
{
	void *frame;
	size_t len;
	ck_ok(nova_frame_encode(NOVA_MSG_PING, "{\"a\":1}", 7, &frame, &len, &error));
	ck_assert_uint_eq(len, 4 + 28);
	ck_assert_mem_eq(frame, "\0\0\0\x1c{\"type\":4,\"payload\":{\"a\":1}}", len);
	nova_free(frame);
	ck_ok(nova_frame_encode(-7, NULL, 0, &frame, &len, &error));
	ck_assert_mem_eq((char *)frame + 4, "{\"type\":-7,\"payload\":{}}", len - 4);
	nova_free(frame);
}
END_TEST

START_TEST(a_payload_of_any_spelling_is_found)
{
	ck_decodes("{\"type\":4,\"payload\":{}}", 4, "{}");
	ck_decodes(" {\t\"payload\" : { \"a\" : [1, 2] } ,\n \"type\" : 65 } ", 65,
		"{ \"a\" : [1, 2] }");
	ck_decodes("{\"type\":-0,\"x\":[{}],\"payload\":{\"type\":9}}", 0, "{\"type\":9}");
	ck_decodes("{\"type\":2147483647,\"payload\":{\"\\u0000\":\"\\u0000}\"}}", 2147483647,
		"{\"\\u0000\":\"\\u0000}\"}");
	ck_decodes("{\"type\":99999,\"payload\":{}}", 99999, "{}");
}
END_TEST

START_TEST(what_is_not_an_envelope_ends_the_stream)
{
	ck_refuses("", "not a JSON object");
	ck_refuses("[]", "not a JSON object");
	ck_refuses("null", "not a JSON object");
	ck_refuses("{", "not a JSON object");
	ck_refuses("{}", "no \"type\"");
	ck_refuses("{\"type\":1}", "no \"payload\"");
	ck_refuses("{\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":1,\"payload\":[]}", "no \"payload\"");
	ck_refuses("{\"type\":1,\"payload\":null}", "no \"payload\"");
	ck_refuses("{\"type\":\"1\",\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":1.0,\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":1e3,\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":2147483648,\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":-2147483649,\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":99999999999999999999999999,\"payload\":{}}", "no \"type\"");
	ck_refuses("{\"type\":1,\"type\":1,\"payload\":{}}", "twice");
	ck_refuses("{\"type\":1,\"payload\":{},\"payload\":{}}", "twice");
	ck_refuses("{\"type\":1,\"payload\":{}}x", "not a JSON object");
	ck_refuses("{\"type\":1,\"payload\":{}}{}", "not a JSON object");
	ck_refuses("{\"type\":1,\"payload\":{\"a\":\"\x80\"}}", "not a JSON object");
	ck_refuses("{\"type\":1,\"payload\":{\"a\":01}}", "not a JSON object");
	ck_refuses("{\"type\":1,\"payload\":{},}", "not a JSON object");
	ck_refuses("{,\"type\":1,\"payload\":{}}", "not a JSON object");
}
END_TEST

START_TEST(a_nul_byte_in_a_frame_is_refused)
{
	static const char text[] = "{\"type\":1,\"payload\":{\"a\":\"\0\"}}";
	int type;
	char *payload;
	ck_fails(NOVA_EAGENT, decode_text(text, sizeof(text) - 1, &type, &payload));
}
END_TEST

START_TEST(nesting_has_an_end)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	buf_append_str(&text, "{\"type\":1,\"payload\":{\"a\":");
	for (int i = 0; i < 100000; i++)
		buf_append_str(&text, "[");
	AUTO_FREE char *all = buf_steal_str(&text);
	ck_refuses(all, "not a JSON object");
	AUTO_FREE char *deep = malloc(2 * PROTO_DEPTH_USER + 3);
	memset(deep, '[', PROTO_DEPTH_USER + 1);
	memset(deep + PROTO_DEPTH_USER + 1, ']', PROTO_DEPTH_USER + 1);
	ck_assert(json_text_ok(deep + 1, 2 * PROTO_DEPTH_USER, PROTO_DEPTH_USER));
	ck_assert(!json_text_ok(deep, 2 * PROTO_DEPTH_USER + 2, PROTO_DEPTH_USER));
}
END_TEST

/* Two frames, cut at every byte; the inputs end at an unreadable page, so reading too far is a
 * crash. */
START_TEST(every_cut_of_the_stream_gives_the_same_frames)
{
	static const char stream[] = "\0\0\0\x1c{\"type\":4,\"payload\":{\"a\":1}}\0\0\0\x18{"
				     "\"type\":65,\"payload\":{}}";
	size_t total = sizeof(stream) - 1, page = 4096;
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
	for (size_t cut = 0; cut <= total; cut++) {
		nova_decoder_t *decoder;
		const char *payload;
		int type, count = 0;
		size_t len, sizes[2] = { cut, total - cut }, at = 0;
		ck_ok(nova_decoder_new(0, &decoder, &error));
		for (int part = 0; part < 2; part++) {
			uint8_t *edge = pages + page - sizes[part];
			memcpy(edge, stream + at, sizes[part]);
			at += sizes[part];
			ck_ok(nova_decoder_feed(decoder, edge, sizes[part], &error));
			while (nova_decoder_next(decoder, &type, &payload, &len, &error) == 1) {
				ck_assert_int_eq(type, count ? 65 : 4);
				ck_assert_str_eq(payload, count ? "{}" : "{\"a\":1}");
				count++;
			}
			ck_assert_int_eq(count, at == total ? 2 : at >= 32 ? 1 : 0);
		}
		nova_decoder_free(decoder);
	}
	munmap(pages, 2 * page);
}
END_TEST

START_TEST(a_stream_fed_byte_by_byte_gives_its_frame_with_the_last_byte)
{
	void *frame;
	size_t len, payload_len;
	const char *payload;
	int type;
	nova_decoder_t *decoder;
	ck_ok(nova_frame_encode(3, "{\"output\":\"x\"}", 14, &frame, &len, &error));
	ck_ok(nova_decoder_new(0, &decoder, &error));
	for (size_t i = 0; i < len; i++) {
		ck_assert_int_eq(
			nova_decoder_next(decoder, &type, &payload, &payload_len, &error), 0);
		ck_ok(nova_decoder_feed(decoder, (uint8_t *)frame + i, 1, &error));
	}
	ck_assert_int_eq(nova_decoder_next(decoder, &type, &payload, &payload_len, &error), 1);
	ck_assert_uint_eq(payload_len, 14);
	ck_assert_int_eq(nova_decoder_next(decoder, &type, &payload, &payload_len, &error), 0);
	nova_decoder_free(decoder);
	nova_free(frame);
}
END_TEST

START_TEST(every_truncation_of_an_envelope_is_refused)
{
	static const char text[] = "{\"type\":12,\"payload\":{\"a\":[true,false,null,-1.5e+3,"
				   "\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{}}}";
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		int type;
		char *payload;
		ck_fails(NOVA_EAGENT, decode_text(text, len, &type, &payload));
	}
	ck_decodes(
		text, 12, "{\"a\":[true,false,null,-1.5e+3,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{}}");
}
END_TEST

START_TEST(a_length_over_the_limit_is_refused_with_its_fourth_byte)
{
	static const uint32_t lies[] = { NOVA_FRAME_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff };
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		uint8_t head[4];
		nova_decoder_t *decoder;
		int type;
		const char *payload;
		size_t len;
		put_length(head, lies[i]);
		ck_ok(nova_decoder_new(0, &decoder, &error));
		ck_ok(nova_decoder_feed(decoder, head, 3, &error));
		ck_fails_with(NOVA_ETOOBIG, "over the limit",
			nova_decoder_feed(decoder, head + 3, 1, &error));
		ck_fails_with(
			NOVA_ETOOBIG, "over the limit", nova_decoder_feed(decoder, "x", 1, &error));
		ck_fails_with(NOVA_ETOOBIG, "over the limit",
			nova_decoder_next(decoder, &type, &payload, &len, &error));
		nova_decoder_free(decoder);
	}
}
END_TEST

START_TEST(the_limit_of_a_decoder_is_exact)
{
	static const char text[] = "{\"type\":1,\"payload\":{}}";
	size_t len = sizeof(text) - 1, frame_len, payload_len;
	AUTO_FREE uint8_t *frame = frame_of(text, len, &frame_len);
	for (int off = -1; off <= 1; off++) {
		nova_decoder_t *decoder;
		int type;
		const char *payload;
		ck_ok(nova_decoder_new(len + off, &decoder, &error));
		if (off < 0) {
			ck_fails(
				NOVA_ETOOBIG, nova_decoder_feed(decoder, frame, frame_len, &error));
		} else {
			ck_ok(nova_decoder_feed(decoder, frame, frame_len, &error));
			ck_assert_int_eq(
				nova_decoder_next(decoder, &type, &payload, &payload_len, &error),
				1);
		}
		nova_decoder_free(decoder);
	}
}
END_TEST

START_TEST(a_frame_of_exactly_the_maximum_passes_and_one_byte_more_does_not)
{
	size_t overhead = strlen("{\"type\":2,\"payload\":}"), room = NOVA_FRAME_MAX - overhead;
	AUTO_FREE char *payload = malloc(room + 1);
	memset(payload, ' ', room + 1);
	payload[0] = '{';
	payload[room - 1] = '}';
	void *frame;
	size_t len, got_len;
	ck_ok(nova_frame_encode(2, payload, room, &frame, &len, &error));
	nova_decoder_t *decoder;
	int type;
	const char *got;
	ck_ok(nova_decoder_new(0, &decoder, &error));
	ck_ok(nova_decoder_feed(decoder, frame, len, &error));
	ck_assert_int_eq(nova_decoder_next(decoder, &type, &got, &got_len, &error), 1);
	ck_assert_uint_eq(got_len, room);
	nova_decoder_free(decoder);
	nova_free(frame);
	ck_fails(NOVA_ETOOBIG, nova_frame_encode(2, payload, room + 1, &frame, &len, &error));
	ck_fails(NOVA_ETOOBIG, nova_frame_encode(2, payload, SIZE_MAX, &frame, &len, &error));
}
END_TEST

START_TEST(a_broken_frame_behind_a_good_one_fails_the_decoder_for_ever)
{
	nova_decoder_t *decoder;
	int type;
	const char *payload;
	size_t len;
	ck_ok(nova_decoder_new(0, &decoder, &error));
	ck_ok(nova_decoder_feed(decoder,
		"\0\0\0\x17{\"type\":1,\"payload\":{}}\0\0\0\x02[]\0\0\0\x17", 37, &error));
	ck_assert_int_eq(nova_decoder_next(decoder, &type, &payload, &len, &error), 1);
	ck_fails(NOVA_EAGENT, nova_decoder_next(decoder, &type, &payload, &len, &error));
	ck_fails(NOVA_EAGENT, nova_decoder_next(decoder, &type, &payload, &len, &error));
	ck_fails(NOVA_EAGENT, nova_decoder_feed(decoder, "x", 1, &error));
	nova_decoder_free(decoder);
	nova_decoder_free(NULL);
}
END_TEST

START_TEST(a_frame_outlives_the_decoder_that_it_is_taken_from)
{
	nova_decoder_t *decoder;
	struct proto_frame *first, *second, *none = NULL;
	ck_ok(nova_decoder_new(0, &decoder, &error));
	ck_ok(nova_decoder_feed(decoder,
		"\0\0\0\x17{\"type\":1,\"payload\":{}}\0\0\0\x1c{\"payload\":{\"a\":1},\"type\":2}",
		59, &error));
	ck_assert_int_eq(proto_decoder_take(decoder, &first, &error), 1);
	ck_assert_int_eq(proto_decoder_take(decoder, &second, &error), 1);
	ck_assert_int_eq(proto_decoder_take(decoder, &none, &error), 0);
	ck_assert_ptr_null(none);
	nova_decoder_free(decoder);
	ck_assert_int_eq(first->type, 1);
	ck_assert_str_eq(first->payload, "{}");
	ck_assert_int_eq(second->type, 2);
	ck_assert_uint_eq(second->payload_len, 7);
	ck_assert_str_eq(second->payload, "{\"a\":1}");
	free(first);
	free(second);
}
END_TEST

START_TEST(what_is_in_a_frame_besides_its_payload_has_a_limit)
{
	for (size_t over = 0; over < 2; over++) {
		AUTO_BUF struct buf many = BUF_INIT(1 << 20), large = BUF_INIT(1 << 20);
		buf_append_str(&many, "{");
		for (size_t i = 0; i < JSON_UNKNOWN_MEMBERS + over; i++)
			buf_append_str(&many, "\"x\":0,");
		buf_append_str(&many, "\"type\":1,\"payload\":{}}");
		buf_append_str(&large, "{\"type\":1,\"payload\":{},\"x\":\"");
		for (size_t i = 0; i < JSON_UNKNOWN_BYTES - 3 + over; i++)
			buf_append_str(&large, "y");
		buf_append_str(&large, "\"}");
		AUTO_FREE char *a = buf_steal_str(&many), *b = buf_steal_str(&large);
		if (over) {
			ck_refuses(a, "too much");
			ck_refuses(b, "too much");
		} else {
			ck_decodes(a, 1, "{}");
			ck_decodes(b, 1, "{}");
		}
	}
}
END_TEST

START_TEST(lists_are_stepped_through_and_nothing_else)
{
	struct json_walk walk;
	struct json_span item;
	static const char text[] = " [ 1 ,[2],{\"a\":3} ] ";
	ck_assert(json_list_start(&walk, text, strlen(text), 2));
	static const char *const items[] = { "1", "[2]", "{\"a\":3}" };
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		ck_assert_int_eq(json_list_next(&walk, &item), 1);
		ck_assert(json_is(item, items[i]));
	}
	ck_assert_int_eq(json_list_next(&walk, &item), 0);
	static const char *const bad[] = { "{}", "1", "", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
		"[1]x", "[1}", "[\"a\":1]", "[[[1]]]" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int more = json_list_start(&walk, bad[i], strlen(bad[i]), 2) ? 1 : -1;
		while (more > 0)
			more = json_list_next(&walk, &item);
		ck_assert_msg(more < 0, "%s", bad[i]);
	}
}
END_TEST

/* The scanner is ours, so it is held against jansson: what it accepts, jansson accepts, and the
 * other way round. */
START_TEST(the_scanner_agrees_with_jansson)
{
	static const char *const texts[] = { "", " ", "0", "-0", "-", "01", "1.", ".5", "1.5",
		"1e5", "1E+5", "1e", "1e+", "+1", "\"\"", "\"", "\"\\\"", "\"\\x\"", "\"\\/\"",
		"\"\\u12\"", "\"\\u1234\"", "\"\\uD834\\uDD1E\"", "\"\\uD834\"",
		"\"\\uD834\\u0041\"", "\"\\uDD1E\"", "\"\\uD834x\"", "\"\t\"", "\"\x7f\"",
		"\"\xc3\xa9\"", "\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"", "\"\xf0\x9f\x98\x80\"", "\"\xe2\x82\"", "tru", "true",
		"True", "nulll", "null", "false", "[]", "[ ]", "[1,]", "[,1]", "[1 2]", "[1,2]",
		"[", "]", "[1", "[1,", "{}", "{ }", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
		"{\"a\":1 \"b\":2}", "{\"a\":1,\"b\":[{\"c\":{}}]}", "{\"a\" :\n1 }", "{\"a\":1]",
		"[}", "{]", "1 1", "[] []", "\v1", "\xef\xbb\xbf{}", "'a'", "NaN", "Infinity",
		"[[[[]]]]", "[[[[]]]", "\"a\\u0000b\"", "--1", "1-", "0x1", "/**/1" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_JSON json_t *parsed = json_loadb(texts[i], strlen(texts[i]),
			JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		ck_assert_msg(json_text_ok(texts[i], strlen(texts[i]), PROTO_DEPTH) == !!parsed,
			"'%s': jansson says %s", texts[i], parsed ? "JSON" : "not JSON");
	}
}
END_TEST

START_TEST(an_exec_frame_carries_the_input_letter_by_letter)
{
	static const char input[] = " {\"n\": 123456789012345678901234567890, \"x\":1.10} ";
	void *frame;
	size_t len, payload_len;
	ck_ok(proto_exec_frame("r\"1", input, strlen(input), 500, true, &frame, &len, &error));
	nova_decoder_t *decoder;
	int type;
	const char *payload;
	ck_ok(nova_decoder_new(0, &decoder, &error));
	ck_ok(nova_decoder_feed(decoder, frame, len, &error));
	ck_assert_int_eq(nova_decoder_next(decoder, &type, &payload, &payload_len, &error), 1);
	ck_assert_int_eq(type, NOVA_MSG_EXEC);
	AUTO_JSON json_t *object = NULL;
	struct json_span raw;
	ck_ok(proto_decode_payload(payload, payload_len, "input", &object, &raw, &error));
	ck_assert_uint_eq(raw.len, strlen(input) - 2);
	ck_assert_mem_eq(raw.at, input + 1, raw.len);
	ck_assert_str_eq(json_string_value(json_object_get(object, "request_id")), "r\"1");
	ck_assert_int_eq(json_integer_value(json_object_get(object, "timeout_ms")), 500);
	ck_assert(json_is_true(json_object_get(object, "stream")));
	ck_assert(json_is_null(json_object_get(object, "input")));
	nova_decoder_free(decoder);
	nova_free(frame);
}
END_TEST

START_TEST(a_member_can_be_added_to_a_frame_that_is_built)
{
	/* The input holds what looks like the place to add it. */
	static const char input[] = "\",\\\"payload\\\":{\"";
	static const char member[] = "\"resume\":{\"unix_us\":7},";
	void *frame, *longer;
	size_t len, longer_len, payload_len;
	const char *payload;
	nova_decoder_t *decoder;
	int type;
	ck_ok(proto_exec_frame("r", input, strlen(input), 500, false, &frame, &len, &error));
	ck_ok(proto_add_member(frame, len, member, strlen(member), &longer, &longer_len, &error));
	ck_assert_uint_eq(longer_len, len + strlen(member));
	ck_ok(nova_decoder_new(0, &decoder, &error));
	ck_ok(nova_decoder_feed(decoder, longer, longer_len, &error));
	ck_assert_int_eq(nova_decoder_next(decoder, &type, &payload, &payload_len, &error), 1);
	ck_assert_int_eq(type, NOVA_MSG_EXEC);
	AUTO_JSON json_t *object = NULL;
	ck_ok(proto_decode_payload(payload, payload_len, NULL, &object, NULL, &error));
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(object, "resume"), "unix_us")),
		7);
	ck_assert_str_eq(json_string_value(json_object_get(object, "request_id")), "r");
	ck_assert_str_eq(json_string_value(json_object_get(object, "input")), ",\"payload\":{");
	nova_decoder_free(decoder);
	ck_fails(NOVA_EINVAL,
		proto_add_member("x", 1, member, strlen(member), &longer, &longer_len, &error));
	nova_free(longer);
	nova_free(frame);
}
END_TEST

START_TEST(an_input_that_is_not_json_is_refused_with_the_place)
{
	void *frame;
	size_t len;
	ck_fails_with(NOVA_EINVAL, "line 2, column 5",
		proto_exec_frame("r", "{\n\"a\":x}", 8, 0, false, &frame, &len, &error));
	ck_fails_with(
		NOVA_EINVAL, "empty", proto_exec_frame("r", "", 0, 0, false, &frame, &len, &error));
	ck_fails_with(NOVA_EINVAL, "line 1, column 3",
		proto_exec_frame("r", "{},\"x\":{}", 9, 0, false, &frame, &len, &error));
	ck_fails(NOVA_EINVAL, proto_exec_frame("r", "\"\0\"", 3, 0, false, &frame, &len, &error));
	AUTO_FREE char *big = malloc(PROTO_INPUT_MAX + 1);
	memset(big, ' ', PROTO_INPUT_MAX + 1);
	big[0] = '1';
	ck_fails(NOVA_ETOOBIG,
		proto_exec_frame("r", big, PROTO_INPUT_MAX + 1, 0, false, &frame, &len, &error));
	ck_ok(proto_exec_frame("r", big, PROTO_INPUT_MAX, 0, false, &frame, &len, &error));
	nova_free(frame);
	memset(big, '[', PROTO_INPUT_MAX);
	ck_fails_with(NOVA_EINVAL, "512 levels",
		proto_exec_frame("r", big, PROTO_INPUT_MAX, 0, false, &frame, &len, &error));
}
END_TEST

START_TEST(a_payload_with_a_member_twice_is_refused)
{
	json_t *object;
	struct json_span raw;
	static const char *const texts[] = { "{\"a\":1,\"a\":2}", "{\"input\":1,\"input\":2}",
		"{\"input\":1,\"inpu\\u0074\":2}", "{\"a\":99999999999999999999}", "[]", "" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_fails(NOVA_EAGENT, proto_decode_payload(texts[i], strlen(texts[i]), "input",
					      &object, &raw, &error));
	ck_ok(proto_decode_payload("{\"a\":1}", 7, "input", &object, &raw, &error));
	ck_assert_ptr_null(raw.at);
	json_decref(object);
}
END_TEST

START_TEST(an_object_becomes_a_frame)
{
	AUTO_JSON json_t *object = json_pack("{s:s}", "request_id", "abc");
	void *frame;
	size_t len;
	ck_ok(proto_encode_json(4, object, &frame, &len, &error));
	ck_assert_mem_eq(
		(char *)frame + 4, "{\"type\":4,\"payload\":{\"request_id\":\"abc\"}}", len - 4);
	nova_free(frame);
	AUTO_FREE char *big = malloc(NOVA_FRAME_MAX + 1);
	memset(big, 'x', NOVA_FRAME_MAX);
	big[NOVA_FRAME_MAX] = 0;
	json_object_set_new(object, "big", json_string(big));
	ck_fails(NOVA_ETOOBIG, proto_encode_json(4, object, &frame, &len, &error));
	ck_fails(NOVA_ENOMEM, proto_encode_json(4, NULL, &frame, &len, &error));
}
END_TEST

static void check_string(const char *in, size_t len, const char *expected)
{
	AUTO_BUF struct buf b = BUF_INIT(1000);
	ck_assert_int_eq(json_put_string(&b, in, len), 0);
	ck_assert_uint_eq(b.len, strlen(expected));
	ck_assert_mem_eq(b.data, expected, b.len);
	ck_assert(json_text_ok((char *)b.data, b.len, 1));
}

START_TEST(text_becomes_a_json_string_whatever_is_in_it)
{
	check_string("", 0, "\"\"");
	check_string("a\"\\\n\t\r\b\f\v\0\x1f/", 12,
		"\"a\\\"\\\\\\n\\t\\r\\b\\f\\u000b\\u0000\\u001f/\"");
	check_string("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	check_string("\xff"
		     "a\xc3",
		3,
		"\"\xEF\xBF\xBD"
		"a\xEF\xBF\xBD\"");
	check_string("\xed\xa0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
	check_string("\x7f", 1, "\"\x7f\"");
}
END_TEST

START_TEST(a_string_stops_where_its_room_ends)
{
	for (size_t room = 2; room < 40; room++) {
		AUTO_BUF struct buf b = BUF_INIT(1000);
		ssize_t taken =
			json_put_string_upto(&b, "ab\x01\xc3\xa9\xff\"cdefghijkl", 17, room);
		ck_assert_int_ge(taken, 0);
		ck_assert_uint_le(b.len, room);
		ck_assert(json_text_ok((char *)b.data, b.len, 1));
		if (room > 35)
			ck_assert_int_eq(taken, 17);
	}
}
END_TEST

START_TEST(base64_goes_there_and_back_and_refuses_the_rest)
{
	uint8_t bytes[256];
	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)(255 - i);
	for (size_t len = 0; len <= 256; len++) {
		AUTO_BUF struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);
		ck_assert_int_eq(base64_put(&text, bytes, len), 0);
		ck_assert_int_eq(base64_get(&back, (char *)text.data, text.len), 0);
		ck_assert_uint_eq(back.len, len);
		ck_assert(!len || memcmp(back.data, bytes, len) == 0);
	}
	static const char *const bad[] = { "A", "AA", "AAA", "A===", "AA=A", "====", "AA==AAAA",
		"AB==", "AAB=", "AA-_", "AA A" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF struct buf back = BUF_INIT(1000);
		ck_assert_int_eq(base64_get(&back, bad[i], strlen(bad[i])), -EINVAL);
		ck_assert_uint_eq(back.len, 0);
	}
	AUTO_BUF struct buf small = BUF_INIT(3);
	ck_assert_int_eq(base64_put(&small, "abc", 3), -EMSGSIZE);
	ck_assert_int_eq(base64_get(&small, "AAAAAAAA", 8), -EMSGSIZE);
}
END_TEST

START_TEST(a_cut_sequence_is_told_from_a_wrong_one)
{
	ck_assert_int_eq(utf8_sequence((const uint8_t *)"\xe2\x82", 2), -1);
	ck_assert_int_eq(utf8_sequence((const uint8_t *)"\xe2\x28", 2), 0);
	ck_assert_int_eq(utf8_sequence((const uint8_t *)"\xe2\x82\xac", 3), 3);
	ck_assert_uint_eq(utf8_valid_prefix((const uint8_t *)"ab\xe2\x82", 4), 2);
}
END_TEST

static Suite *proto_suite(void)
{
	Suite *suite = suite_create("proto");
	TCase *tc = tcase_create("frames");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_frame_is_a_big_endian_length_and_an_envelope);
	tcase_add_test(tc, a_payload_of_any_spelling_is_found);
	tcase_add_test(tc, what_is_not_an_envelope_ends_the_stream);
	tcase_add_test(tc, a_nul_byte_in_a_frame_is_refused);
	tcase_add_test(tc, nesting_has_an_end);
	tcase_add_test(tc, every_cut_of_the_stream_gives_the_same_frames);
	tcase_add_test(tc, a_stream_fed_byte_by_byte_gives_its_frame_with_the_last_byte);
	tcase_add_test(tc, every_truncation_of_an_envelope_is_refused);
	tcase_add_test(tc, a_length_over_the_limit_is_refused_with_its_fourth_byte);
	tcase_add_test(tc, the_limit_of_a_decoder_is_exact);
	tcase_add_test(tc, a_frame_of_exactly_the_maximum_passes_and_one_byte_more_does_not);
	tcase_add_test(tc, a_broken_frame_behind_a_good_one_fails_the_decoder_for_ever);
	suite_add_tcase(suite, tc);
	tc = tcase_create("messages");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_frame_outlives_the_decoder_that_it_is_taken_from);
	tcase_add_test(tc, what_is_in_a_frame_besides_its_payload_has_a_limit);
	tcase_add_test(tc, lists_are_stepped_through_and_nothing_else);
	tcase_add_test(tc, the_scanner_agrees_with_jansson);
	tcase_add_test(tc, an_exec_frame_carries_the_input_letter_by_letter);
	tcase_add_test(tc, a_member_can_be_added_to_a_frame_that_is_built);
	tcase_add_test(tc, an_input_that_is_not_json_is_refused_with_the_place);
	tcase_add_test(tc, a_payload_with_a_member_twice_is_refused);
	tcase_add_test(tc, an_object_becomes_a_frame);
	tcase_add_test(tc, text_becomes_a_json_string_whatever_is_in_it);
	tcase_add_test(tc, a_string_stops_where_its_room_ends);
	tcase_add_test(tc, base64_goes_there_and_back_and_refuses_the_rest);
	tcase_add_test(tc, a_cut_sequence_is_told_from_a_wrong_one);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(proto_suite)
