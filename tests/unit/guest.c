/* SPDX-License-Identifier: MIT */
/* The one reader of what guests say: each member has its kind, its range, and a place in one
 * message. */
#include "proto/proto.h"
#include "test.h"

static nova_error_t *error;

/* Reads a copy, which stays until the next one. */
static int read_text(const char *text, struct guest_message *ret)
{
	static char copy[1 << 20];
	ck_assert_uint_lt(strlen(text), sizeof(copy));
	strcpy(copy, text);
	return guest_message_read(copy, strlen(copy), ret, &error);
}

static const char *const texts[] = { "request_id", "stdout", "stderr", "error", "code", "status",
	"data", "base64", "agent", "kernel", "root" };
static const char *const bools[] = { "timed_out", "truncated", "canceled", "warm", "hooks", "more",
	"pid1" };
static const struct {
	const char *name, *most, *over;
} numbers[] = {
	{ "exit_code", "255", "256" },
	{ "signal", "64", "65" },
	{ "stream", "2", "3" },
	{ "mode", "4095", "4096" },
	{ "size", "9223372036854775807", "9223372036854775808" },
	{ "mtime_us", "9223372036854775807", "9223372036854775808" },
	{ "duration_us", "9223372036854775807", "99999999999999999999" },
	{ "boot_us", "9223372036854775807", "18446744073709551617" },
	{ "duration_ms", "9223372036854775", "9223372036854776" },
	{ "peak_kb", "9007199254740991", "9007199254740992" },
};

static void refuses(const char *name, const char *value)
{
	struct guest_message said;
	AUTO_FREE char *text = str_format("{\"%s\":%s}", name, value),
		       *quoted = str_format("\"%s\"", name);
	int code = read_text(text, &said);
	ck_assert_msg(code == NOVA_EAGENT, "%s", text);
	ck_assert_msg(strstr(nova_error_message(error), quoted), "%s: %s", text,
		nova_error_message(error));
	nova_error_free(error);
	error = NULL;
}

START_TEST(a_member_of_another_kind_is_refused_by_name)
{
	static const char *const no_text[] = { "null", "0", "-1", "1.5", "true", "false", "[]",
		"{}", "[\"a\"]" };
	static const char *const no_bool[] = { "null", "0", "1", "\"true\"", "[]", "{}" };
	static const char *const no_number[] = { "null", "-1", "-0", "1.0", "0.5", "1e2", "1E400",
		"true", "\"1\"", "[1]", "{}" };
	static const char *const no_list[] = { "null", "{}", "\"\"", "1", "true" };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (size_t j = 0; j < ARRAY_LEN(no_text); j++)
			refuses(texts[i], no_text[j]);
	for (size_t i = 0; i < ARRAY_LEN(bools); i++)
		for (size_t j = 0; j < ARRAY_LEN(no_bool); j++)
			refuses(bools[i], no_bool[j]);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		for (size_t j = 0; j < ARRAY_LEN(no_number); j++)
			refuses(numbers[i].name, no_number[j]);
	for (size_t j = 0; j < ARRAY_LEN(no_list); j++)
		refuses("entries", no_list[j]);
}
END_TEST

START_TEST(numbers_have_a_range_and_end_at_it)
{
	struct guest_message said;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		AUTO_FREE char *text = str_format("{\"%s\":%s}", numbers[i].name, numbers[i].most);
		ck_ok(read_text(text, &said));
		refuses(numbers[i].name, numbers[i].over);
	}
}
END_TEST

START_TEST(a_member_that_is_there_twice_is_refused)
{
	struct guest_message said;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_FREE char *text =
			str_format("{\"%s\":\"a\",\"x\":1,\"%s\":\"a\"}", texts[i], texts[i]);
		ck_fails_with(NOVA_EAGENT, "twice", read_text(text, &said));
	}
	ck_fails_with(NOVA_EAGENT, "twice", read_text("{\"output\":1,\"output\":2}", &said));
	ck_ok(read_text("{\"x\":1,\"x\":2,\"outpu\\u0074\":3,\"output\":4}", &said));
	ck_assert_str_eq(said.output.at, "4");
}
END_TEST

START_TEST(what_is_not_there_is_told_from_what_is)
{
	struct guest_message said;
	ck_ok(read_text("{}", &said));
	ck_assert(!said.error.at && !said.output.at && !said.entries.at && !said.hooks);
	ck_assert(
		said.exit_code == -1 && said.signal == -1 && said.size == -1 && said.stream == -1);
	ck_ok(read_text(
		"{\"error\":\"\",\"exit_code\":0,\"hooks\":true,\"output\":null,\"entries\":[]}",
		&said));
	ck_assert(said.error.at && said.error.len == 0 && said.exit_code == 0 && said.hooks);
	ck_assert_str_eq(said.output.at, "null");
	ck_assert_str_eq(said.entries.at, "[]");
}
END_TEST

START_TEST(text_is_what_its_escapes_mean)
{
	struct guest_message said;
	ck_ok(read_text(
		"{ \"stdout\" : "
		"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00DF\\u20aC\\uD83D\\uDE00\xc3\xa9.\" , "
		"\"stderr\":\"x\\u0000y\"}",
		&said));
	ck_assert_str_eq(
		said.out.at, "a\"\\/\b\f\n\r\tA\xc3\x9f\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9.");
	ck_assert_uint_eq(said.out.len, strlen(said.out.at));
	ck_assert_uint_eq(said.err.len, 3);
	ck_assert_mem_eq(said.err.at, "x\0y", 4);
}
END_TEST

START_TEST(output_keeps_its_digits_and_its_spaces)
{
	struct guest_message said;
	ck_ok(read_text(
		"{\"output\": [1.10, -0, 12345678901234567890123, 1e999 ] ,\"exit_code\":7}",
		&said));
	ck_assert_str_eq(said.output.at, "[1.10, -0, 12345678901234567890123, 1e999 ]");
	ck_assert_int_eq(said.exit_code, 7);
}
END_TEST

START_TEST(what_nobody_knows_has_a_limit)
{
	struct guest_message said;
	for (size_t over = 0; over < 2; over++) {
		AUTO_BUF struct buf many = BUF_INIT(1 << 20), large = BUF_INIT(1 << 20);
		buf_append_str(&many, "{");
		for (size_t i = 0; i < JSON_UNKNOWN_MEMBERS + over; i++)
			buf_append_str(&many, "\"x\":{},");
		buf_append_str(&many, "\"status\":\"\"}");
		buf_append_str(&large, "{\"x\":\"");
		for (size_t i = 0; i < JSON_UNKNOWN_BYTES - 3 + over; i++)
			buf_append_str(&large, "y");
		buf_append_str(&large, "\"}");
		AUTO_FREE char *a = buf_steal_str(&many), *b = buf_steal_str(&large);
		if (over) {
			ck_fails_with(NOVA_EAGENT, "not known", read_text(a, &said));
			ck_fails_with(NOVA_EAGENT, "not known", read_text(b, &said));
		} else {
			ck_ok(read_text(a, &said));
			ck_ok(read_text(b, &said));
		}
	}
}
END_TEST

START_TEST(nesting_ends_at_the_limit_of_outputs)
{
	struct guest_message said;
	for (unsigned over = 0; over < 2; over++) {
		char deep[2 * PROTO_DEPTH_USER + 4];
		size_t depth = PROTO_DEPTH_USER + over;
		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		deep[2 * depth] = 0;
		AUTO_FREE char *text = str_format("{\"output\":%s}", deep);
		if (over)
			ck_fails(NOVA_EAGENT, read_text(text, &said));
		else
			ck_ok(read_text(text, &said));
	}
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	static const char whole[] = "{\"request_id\":\"a\\u0041\",\"output\":[1],\"entries\":[[]],"
				    "\"exit_code\":0,\"hooks\":true,\"x\":{\"y\":null}}";
	struct guest_message said;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		AUTO_FREE char *text = strndup(whole, len);
		ck_fails(NOVA_EAGENT, read_text(text, &said));
	}
	ck_ok(read_text(whole, &said));
}
END_TEST

START_TEST(base64_is_decoded_in_its_own_place)
{
	char text[] = "AAECA/8=";
	ck_assert_int_eq(base64_decode(text, 8, text), 5);
	ck_assert_mem_eq(text, "\0\1\2\3\377", 5);
	ck_assert_int_eq(base64_decode("", 0, text), 0);
	ck_assert_int_lt(base64_decode("AAE", 3, text), 0);
	ck_assert_int_lt(base64_decode("A=AA", 4, text), 0);
}
END_TEST

static Suite *guest_suite(void)
{
	Suite *suite = suite_create("guest");
	TCase *tc = tcase_create("guest");
	tcase_add_test(tc, a_member_of_another_kind_is_refused_by_name);
	tcase_add_test(tc, numbers_have_a_range_and_end_at_it);
	tcase_add_test(tc, a_member_that_is_there_twice_is_refused);
	tcase_add_test(tc, what_is_not_there_is_told_from_what_is);
	tcase_add_test(tc, text_is_what_its_escapes_mean);
	tcase_add_test(tc, output_keeps_its_digits_and_its_spaces);
	tcase_add_test(tc, what_nobody_knows_has_a_limit);
	tcase_add_test(tc, nesting_ends_at_the_limit_of_outputs);
	tcase_add_test(tc, every_truncation_is_refused);
	tcase_add_test(tc, base64_is_decoded_in_its_own_place);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(guest_suite)
