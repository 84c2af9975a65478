/* SPDX-License-Identifier: MIT */
/* Journals of usage: which files there are, and when. */
#include "usage/usage.h"
#include "test.h"

static nova_error_t *error;

static int files_in(const char *directory)
{
	char **names;
	int count = fs_list(directory, &names);
	ck_assert_int_ge(count, 0);
	strv_free(names, (size_t)count);
	return count;
}

START_TEST(a_large_journal_is_left_and_a_small_one_goes_on)
{
	char *dir = test_dir();
	struct usage_journal j;
	const struct usage_record record = { .key = (char *)"", .function = (char *)"f" };
	ck_ok(usage_journal_init(&j, dir, &error));
	ck_ok(usage_journal_append(&j, 1, &record, &error));
	uint64_t size = j.size;
	ck_ok(usage_journal_leave(&j, size + 1, &error));
	ck_ok(usage_journal_append(&j, 1, &record, &error));
	ck_assert_int_eq(files_in(j.directory), 1);
	ck_ok(usage_journal_leave(&j, size + 1, &error)); /* though nobody has flushed it */
	ck_ok(usage_journal_append(&j, 1, &record, &error));
	ck_assert_int_eq(files_in(j.directory), 2);
	ck_assert_uint_eq(j.size, size);
	ck_ok(usage_journal_flush(&j, &error));
	ck_assert(!j.dirty && !j.anonymous);
	usage_journal_done(&j);
	test_dir_remove(dir);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("usage");
	TCase *tc = tcase_create("usage");
	tcase_add_test(tc, a_large_journal_is_left_and_a_small_one_goes_on);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
