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
	ck_ok(usage_journal_init(&j, dir, false, &error));
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

START_TEST(snapshots_are_counted_for_the_time_that_has_passed_whatever_the_calendar_says)
{
	const uint64_t day = 86400ull * 1000000u, last = 1000 * day;
	ck_assert_uint_eq(usage_storage_from(0, last, UINT64_MAX), last); /* it begins */
	ck_assert_uint_eq(usage_storage_from(last, last + day, UINT64_MAX), last);
	ck_assert_uint_eq(usage_storage_from(last, last - day, 60), last - day); /* it went back */
	/* it went ten years ahead in a minute */
	ck_assert_uint_eq(usage_storage_from(last, last + 3650 * day, 60000000u),
		last + 3650 * day - 60000000u);
	/* nobody looked for two months */
	ck_assert_uint_eq(usage_storage_from(last, last + 62 * day, UINT64_MAX), last + 31 * day);
}
END_TEST

START_TEST(a_home_has_one_identity_and_counts_its_snapshots_once_at_a_time)
{
	char *one = test_dir(), *two = test_dir();
	struct usage_storage first, again, other;
	ck_assert_int_eq(usage_storage_open(one, &first, &error), 1);
	ck_assert_uint_eq(first.last_us, 0);
	ck_assert_int_eq(usage_storage_open(one, &again, &error), 0);
	usage_storage_done(&again);
	ck_assert_int_eq(usage_storage_note(&first, 1234567), 0);
	usage_storage_done(&first);
	ck_assert_int_eq(usage_storage_open(one, &again, &error), 1);
	ck_assert_str_eq(again.id, first.id);
	ck_assert_uint_eq(again.last_us, 1234567);
	ck_assert_int_eq(usage_storage_open(two, &other, &error), 1);
	ck_assert_str_ne(other.id, first.id);
	usage_storage_done(&again);
	usage_storage_done(&other);
	test_dir_remove(one);
	test_dir_remove(two);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("usage");
	TCase *tc = tcase_create("usage");
	tcase_add_test(tc, a_large_journal_is_left_and_a_small_one_goes_on);
	tcase_add_test(
		tc, snapshots_are_counted_for_the_time_that_has_passed_whatever_the_calendar_says);
	tcase_add_test(tc, a_home_has_one_identity_and_counts_its_snapshots_once_at_a_time);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
