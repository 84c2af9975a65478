/* SPDX-License-Identifier: MIT */
/* Journals of usage: which files there are, and when; and who waits for them. */
#include "platform/platform.h"
#include "test.h"

static nova_error_t *error;

/* --- a disk that takes its time: what goes on meanwhile --- */

static nova_t *observed;
static int appended;

int __real_usage_journal_append(struct usage_journal *j, uint64_t time_us,
	const struct usage_record *record, nova_error_t **err);
int __wrap_usage_journal_append(struct usage_journal *j, uint64_t time_us,
	const struct usage_record *record, nova_error_t **err);
int __wrap_usage_journal_append(struct usage_journal *j, uint64_t time_us,
	const struct usage_record *record, nova_error_t **err)
{
	if (observed) {
		appended++;
		ck_assert_int_eq(pthread_mutex_trylock(&observed->instances_lock), 0);
		pthread_mutex_unlock(&observed->instances_lock);
	}
	return __real_usage_journal_append(j, time_us, record, err);
}

/* --- journals --- */

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

static nova_t *open_in(const char *dir)
{
	nova_t *nova;
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", dir, &error));
	ck_ok(nova_config_set(config, "usage.record", "on", &error));
	ck_ok(nova_open(config, &nova, &error));
	nova_config_free(config);
	return nova;
}

START_TEST(nobody_waits_for_the_list_of_instances_while_they_are_measured)
{
	char *dir = test_dir();
	nova_t *nova = open_in(dir);
	struct nova_function function = { .record = { .name = (char *)"f" } };
	struct nova_instance instance = {
		.references = 1, .listed = true, .nova = nova, .function = &function, .memory_mb = 1
	};
	list_append(&nova->instances, &instance.link);
	meter_instance_begin(&instance);
	observed = nova;
	while (!appended) /* when a tick is due is the meter's affair */
		sys_poll(NULL, 0, (int)nova_pool_tick(nova->pool));
	observed = NULL;
	ck_assert_int_eq(appended, 1);
	ck_assert_int_eq(atomic_load(&instance.references), 1);
	link_remove(&instance.link);
	nova_close(nova);
	test_dir_remove(dir);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("usage");
	TCase *tc = tcase_create("usage");
	tcase_add_test(tc, a_large_journal_is_left_and_a_small_one_goes_on);
	tcase_add_test(
		tc, snapshots_are_counted_for_the_time_that_has_passed_whatever_the_calendar_says);
	tcase_add_test(tc, nobody_waits_for_the_list_of_instances_while_they_are_measured);
	tcase_add_test(tc, a_home_has_one_identity_and_counts_its_snapshots_once_at_a_time);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
