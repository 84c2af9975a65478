/* SPDX-License-Identifier: MIT */
/* Files of the guest: what is listed, read and written, and what is refused. */
#include "agent.h"

/* A message about a path in the work directory, with further members. */
static json_t *about(int type, const char *name, const char *more)
{
	AUTO_FREE char *payload = str_format(
		"{\"request_id\":\"f\",\"path\":\"%s%s%s\"%s}", work, *name ? "/" : "", name, more);
	json_t *got = ask(type, payload);
	ck_assert_str_eq(text(got, "request_id"), "f");
	return got;
}

static void ck_fine(int type, const char *name, const char *more)
{
	AUTO_JSON json_t *got = about(type, name, more);
	ck_assert_msg(!strcmp(text(got, "status"), "ok"), "%s: %s", name, text(got, "error"));
}

static void ck_refused(
	int type, const char *name, const char *more, const char *code_expected, const char *part)
{
	AUTO_JSON json_t *got = about(type, name, more);
	ck_assert_str_eq(text(got, "code"), code_expected);
	ck_has(got, "error", part);
	ck_has(got, "error", name);
}

static void put(const char *name, const char *content)
{
	AUTO_FREE char *path = path_join(work, name);
	ck_assert_int_eq(fs_write_file(path, content, strlen(content), 0644), 0);
}

static void make_directory(const char *name)
{
	AUTO_FREE char *path = path_join(work, name);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
	AUTO_FREE char *path = path_join(work, name);
	ck_assert_int_eq(symlink(target, path), 0);
}

static void ck_content(const char *name, const char *expected)
{
	AUTO_FREE char *path = path_join(work, name);
	AUTO_BUF struct buf content = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(path, &content), 0);
	ck_assert_uint_eq(content.len, strlen(expected));
	ck_assert_mem_eq(content.len ? (char *)content.data : "", expected, content.len);
}

static size_t entries_in_work(void)
{
	char **names;
	int count = fs_list(work, &names);
	strv_free(names, (size_t)count);
	return (size_t)count;
}

/* One member of an entry, as text. */
static const char *member(json_t *got, size_t entry, size_t at)
{
	const char *value = json_string_value(
		json_array_get(json_array_get(json_object_get(got, "entries"), entry), at));
	return value ? value : "";
}

static json_int_t member_number(json_t *got, size_t entry, size_t at)
{
	return json_integer_value(
		json_array_get(json_array_get(json_object_get(got, "entries"), entry), at));
}

START_TEST(a_listing_tells_kind_mode_size_time_and_a_digest_or_target)
{
	put("a", "same");
	make_directory("b");
	put("b/x", "same");
	put("b-c", "other");
	make_link("../nowhere", "b/y");
	make_link("b", "d");
	AUTO_FREE char *fifo = path_join(work, "e");
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	AUTO_JSON json_t *got = about(NOVA_MSG_FILE_LIST, "", "");
	static const char *const expected[][2] = { { "a", "f" }, { "b", "d" }, { "b/x", "f" },
		{ "b/y", "l" }, { "b-c", "f" }, { "d", "l" }, { "e", "o" } };
	/* what a link leads to is not in it */
	ck_assert_uint_eq(json_array_size(json_object_get(got, "entries")), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		ck_assert_str_eq(member(got, i, 0), expected[i][0]);
		ck_assert_str_eq(member(got, i, 1), expected[i][1]);
		ck_assert(proto_path_order(i ? expected[i - 1][0] : "", expected[i][0]) < 0);
	}
	ck_assert_int_eq(member_number(got, 0, 2), 0644);
	ck_assert_int_eq(member_number(got, 0, 3), 4);
	ck_assert_int_gt(member_number(got, 0, 4), 1600000000000000);
	ck_assert_uint_eq(strlen(member(got, 0, 5)), 16);
	ck_assert_str_eq(member(got, 0, 5), member(got, 2, 5));
	ck_assert_str_ne(member(got, 0, 5), member(got, 4, 5));
	ck_assert_str_eq(member(got, 3, 5), "../nowhere");
	AUTO_JSON json_t *flat = about(NOVA_MSG_FILE_LIST, "", ",\"depth\":1");
	ck_assert_uint_eq(json_array_size(json_object_get(flat, "entries")), 5);
	AUTO_JSON json_t *within = about(NOVA_MSG_FILE_LIST, "b", "");
	ck_assert_str_eq(member(within, 0, 0), "x");
}
END_TEST

START_TEST(one_byte_or_zeros_at_the_end_make_another_digest)
{
	put("a", "0123456789abcde");
	put("b", "0123456789abcdf");
	put("c", "0123456789abcde0");
	put("d", "");
	AUTO_FREE char *path = path_join(work, "e");
	ck_assert_int_eq(fs_write_file(path, "0123456789abcde\0", 16, 0644), 0);
	AUTO_JSON json_t *got = about(NOVA_MSG_FILE_LIST, "", "");
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(member(got, i, 5), member(got, j, 5));
}
END_TEST

enum { MANY = 12000 };

START_TEST(a_long_listing_comes_in_pages_that_lose_nothing)
{
	char name[128], after[256] = "";
	size_t seen = 0, pages = 0;
	make_directory("many");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%s/many/%s%06d", work,
			"a-long-name-makes-long-pages-and-fewer-files-are-enough-", i);
		fd_close(sys_open(name, O_CREAT | O_WRONLY, 0600));
	}
	put("zzz", "");
	for (bool more = true; more; pages++) {
		AUTO_FREE char *members = str_format(",\"after\":\"%s\"", after);
		AUTO_JSON json_t *got = about(NOVA_MSG_FILE_LIST, "", *after ? members : "");
		size_t count = json_array_size(json_object_get(got, "entries"));
		more = json_is_true(json_object_get(got, "more"));
		ck_assert(count > 0);
		for (size_t i = 0; i < count; i++) {
			ck_assert_int_gt(proto_path_order(member(got, i, 0), after), 0);
			snprintf(after, sizeof(after), "%s", member(got, i, 0));
		}
		seen += count;
		ck_alive();
	}
	ck_assert_uint_eq(seen, MANY + 2);
	ck_assert_uint_gt(pages, 1);
	ck_assert_str_eq(after, "zzz");
}
END_TEST

START_TEST(names_that_are_not_utf8_and_nests_without_end_are_told)
{
	AUTO_FREE char *odd = path_join(work, "odd\xff");
	fd_close(sys_open(odd, O_CREAT | O_WRONLY, 0600));
	ck_refused(NOVA_MSG_FILE_LIST, "", "", "invalid", "UTF-8");
	ck_assert_int_eq(fs_unlink(odd), 0);
	AUTO_FREE char *deep = strdup(work);
	for (int i = 0; i < 70; i++) {
		char *longer = path_join(deep, "d");
		free(deep);
		deep = longer;
		ck_assert_int_eq(mkdir(deep, 0755), 0);
	}
	ck_refused(NOVA_MSG_FILE_LIST, "", "", "io", "nested too deeply");
	ck_fine(NOVA_MSG_FILE_LIST, "", ",\"depth\":60");
}
END_TEST

START_TEST(a_file_is_read_in_pieces)
{
	put("a", "0123456789");
	AUTO_JSON json_t *got = about(NOVA_MSG_FILE_READ, "a", ",\"offset\":3,\"length\":4");
	ck_assert_str_eq(text(got, "base64"), "MzQ1Ng==");
	ck_assert_int_eq(number(got, "size"), 10);
	ck_assert_int_eq(number(got, "mode"), 0644);
	AUTO_JSON json_t *rest = about(NOVA_MSG_FILE_READ, "a", ",\"offset\":8,\"length\":1000");
	ck_assert_str_eq(text(rest, "base64"), "ODk=");
	AUTO_JSON json_t *kernel =
		ask(NOVA_MSG_FILE_READ, "{\"path\":\"/proc/version\",\"length\":4096}");
	ck_assert_int_gt(number(kernel, "size"), 10); /* of which stat() says 0 */
	ck_assert_str_ne(text(kernel, "base64"), "");
}
END_TEST

START_TEST(what_is_no_file_or_no_path_is_refused)
{
	static const char *const paths[] = { "", "a", "a/b", "/..", "/a/../b", "/a/./b", "//",
		"/a//b", "/a/", "/a\\u0000b" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		for (int type = NOVA_MSG_FILE_READ; type <= NOVA_MSG_FILE_LIST; type++) {
			AUTO_FREE char *payload =
				str_format("{\"path\":\"%s\",\"kind\":\"remove\"}", paths[i]);
			AUTO_JSON json_t *got = ask(type, payload);
			ck_assert_str_eq(text(got, "code"), "invalid");
			ck_has(got, "error", "absolute");
		}
	put("file", "x");
	make_directory("dir");
	put("dir/inner", "x");
	make_link("file", "link");
	make_link("dir", "linked");
	ck_refused(NOVA_MSG_FILE_READ, "missing", ",\"length\":1", "missing", "No such file");
	ck_refused(NOVA_MSG_FILE_READ, "dir", ",\"length\":1", "invalid", "directory");
	ck_refused(NOVA_MSG_FILE_READ, "link", ",\"length\":1", "invalid", "symbolic link");
	ck_refused(NOVA_MSG_FILE_READ, "linked/inner", ",\"length\":1", "invalid", "symbolic link");
	ck_refused(NOVA_MSG_FILE_READ, "file/inner", ",\"length\":1", "invalid", "no directory");
	ck_refused(NOVA_MSG_FILE_WRITE, "linked/new",
		",\"kind\":\"file\",\"part\":\"ab\",\"mode\":420", "invalid", "symbolic link");
	ck_refused(NOVA_MSG_FILE_LIST, "linked", "", "invalid", "symbolic link");
	ck_refused(NOVA_MSG_FILE_LIST, "file", "", "invalid", "no directory");
	AUTO_JSON json_t *large = about(NOVA_MSG_FILE_READ, "file", ",\"length\":1048577");
	ck_has(large, "error", "at most 1048576");
	AUTO_JSON json_t *negative = about(NOVA_MSG_FILE_READ, "file", ",\"offset\":-1");
	ck_has(negative, "error", "offset");
	AUTO_JSON json_t *after = about(NOVA_MSG_FILE_LIST, "", ",\"after\":\"../x\"");
	ck_has(after, "error", "after");
}
END_TEST

#define PIECE ",\"kind\":\"file\",\"part\":\"0a1b\",\"mode\":416,"

START_TEST(a_file_is_there_whole_or_not_at_all)
{
	ck_fine(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"MDEy\",\"last\":false");
	AUTO_FREE char *path = path_join(work, "a");
	ck_assert(!fs_exists(path));
	ck_fine(NOVA_MSG_FILE_WRITE, "a",
		PIECE
		"\"base64\":\"MzQ1\",\"offset\":3,\"mtime_us\":1700000000000000,\"last\":true");
	ck_content("a", "012345");
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(st.st_mtime, 1700000000);
	ck_fine(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"\"");
	ck_content("a", "");
	/* a letter that somebody has escaped */
	ck_fine(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"\\u004dDEy\"");
	ck_content("a", "012");
	ck_assert_uint_eq(entries_in_work(), 1);
}
END_TEST

START_TEST(pieces_that_do_not_fit_or_were_tampered_with_are_refused)
{
	put("victim", "untouched");
	ck_refused(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"MDEy\",\"offset\":3", "invalid",
		"does not follow");
	ck_fine(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"MDEy\",\"last\":false");
	AUTO_FREE char *part = path_join(work, ".nova-0a1b"), *victim = path_join(work, "victim"),
		       *other = path_join(work, "other");
	ck_assert_int_eq(link(part, other), 0); /* a second name: somebody could write by it */
	ck_refused(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"MDEy\",\"offset\":3", "invalid",
		"does not follow");
	ck_assert_int_eq(unlink(part), 0);
	ck_assert_int_eq(symlink(victim, part), 0);
	ck_refused(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"MDEy\",\"offset\":9", "invalid",
		"symbolic link");
	ck_refused(NOVA_MSG_FILE_WRITE, "a", PIECE "\"base64\":\"MDEy\"", "invalid", "exists");
	ck_content("victim", "untouched");
	static const char *const wrong[] = {
		",\"kind\":\"file\",\"part\":\"../x\"",
		",\"kind\":\"file\"",
		",\"kind\":\"pipe\",\"part\":\"ab\"",
		"",
		",\"kind\":7",
		",\"kind\":\"file\",\"part\":\"ab\",\"mode\":4096",
		",\"kind\":\"file\",\"part\":\"ab\",\"base64\":\"*\"",
		",\"kind\":\"file\",\"part\":\"ab\",\"base64\":7",
		",\"kind\":\"file\",\"part\":\"00112233445566778\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO_JSON json_t *got = about(NOVA_MSG_FILE_WRITE, "a", wrong[i]);
		ck_has(got, "error", "File write needs");
	}
	ck_assert_uint_eq(entries_in_work(), 3);
}
END_TEST

START_TEST(a_piece_over_the_limit_is_refused)
{
	const size_t len = ((size_t)PROTO_FILE_PIECE + 3) / 3 * 4;
	AUTO_FREE char *coded = malloc(len + 1);
	memset(coded, 'A', len);
	coded[len] = 0;
	AUTO_FREE char *more = str_format(PIECE "\"base64\":\"%s\"", coded);
	AUTO_JSON json_t *got = about(NOVA_MSG_FILE_WRITE, "a", more);
	ck_has(got, "error", "at most 1048576");
	ck_assert_uint_eq(entries_in_work(), 0);
}
END_TEST

START_TEST(directories_and_links_are_made_and_all_can_be_removed)
{
	AUTO_FREE char *dir_path = path_join(work, "d"), *link_path = path_join(work, "d/l");
	struct stat st;
	char target[16] = "";
	ck_fine(NOVA_MSG_FILE_WRITE, "d", ",\"kind\":\"directory\",\"mode\":448");
	ck_fine(NOVA_MSG_FILE_WRITE, "d", ",\"kind\":\"directory\",\"mode\":493");
	ck_assert_int_eq(stat(dir_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	ck_fine(NOVA_MSG_FILE_WRITE, "d/l",
		",\"kind\":\"link\",\"part\":\"1\",\"target\":\"/old\"");
	ck_fine(NOVA_MSG_FILE_WRITE, "d/l",
		",\"kind\":\"link\",\"part\":\"1\",\"target\":\"/new\"");
	ck_assert_int_eq(readlink(link_path, target, sizeof(target) - 1), 4);
	ck_assert_str_eq(target, "/new");
	ck_refused(NOVA_MSG_FILE_WRITE, "d/l", ",\"kind\":\"directory\",\"mode\":493", "invalid",
		"symbolic link");
	ck_refused(NOVA_MSG_FILE_WRITE, "d", PIECE "\"base64\":\"\"", "invalid", "directory");
	ck_refused(NOVA_MSG_FILE_WRITE, "d", ",\"kind\":\"link\",\"part\":\"1\",\"target\":\"x\"",
		"invalid", "directory");
	ck_refused(NOVA_MSG_FILE_WRITE, "d", ",\"kind\":\"remove\"", "invalid", "not empty");
	ck_refused(
		NOVA_MSG_FILE_WRITE, "none/x", PIECE "\"base64\":\"\"", "missing", "No such file");
	ck_fine(NOVA_MSG_FILE_WRITE, "d/l", ",\"kind\":\"remove\"");
	ck_fine(NOVA_MSG_FILE_WRITE, "d", ",\"kind\":\"remove\"");
	ck_refused(NOVA_MSG_FILE_WRITE, "d", ",\"kind\":\"remove\"", "missing", "No such file");
	ck_assert_uint_eq(entries_in_work(), 0);
}
END_TEST

static Suite *files_suite(void)
{
	Suite *suite = suite_create("files");
	TCase *tc = add_case(suite, "list");
	tcase_add_test(tc, a_listing_tells_kind_mode_size_time_and_a_digest_or_target);
	tcase_add_test(tc, one_byte_or_zeros_at_the_end_make_another_digest);
	tcase_add_test(tc, a_long_listing_comes_in_pages_that_lose_nothing);
	tcase_add_test(tc, names_that_are_not_utf8_and_nests_without_end_are_told);
	tc = add_case(suite, "read");
	tcase_add_test(tc, a_file_is_read_in_pieces);
	tcase_add_test(tc, what_is_no_file_or_no_path_is_refused);
	tc = add_case(suite, "write");
	tcase_add_test(tc, a_file_is_there_whole_or_not_at_all);
	tcase_add_test(tc, pieces_that_do_not_fit_or_were_tampered_with_are_refused);
	tcase_add_test(tc, a_piece_over_the_limit_is_refused);
	tcase_add_test(tc, directories_and_links_are_made_and_all_can_be_removed);
	return suite;
}

TEST_MAIN(files_suite)
