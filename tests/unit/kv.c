/* SPDX-License-Identifier: MIT */
/* What goes by itself of what functions keep, and when. */
#include "kv/kv.h"
#include "settings.h"
#include "test.h"

#define A    "00000000-0000-4000-8000-00000000000a"
#define MANY 501u /* more than one tick removes */

static nova_error_t *error;
static nova_config_t *config;
static char *dir;
static struct store *base;
static struct kv kv;
static uint64_t wanted; /* the tick that was asked for last */

static void want_tick(nova_pool_t *pool, uint64_t when)
{
	(void)pool;
	wanted = when;
}

static void set_up(void)
{
	dir = test_dir();
	config = settings_of(dir);
	ck_ok(store_sqlite.open(config, &base, &error));
	kv_init(&kv, base, config);
	kv.want_tick = want_tick;
	wanted = NEVER;
}

static void tear_down(void)
{
	kv_done(&kv);
	base->ops->close(base);
	nova_config_free(config);
	test_dir_remove(dir);
}

static void put(const char *key, uint64_t ttl_ms)
{
	nova_kv_put_opts opts = NOVA_KV_PUT_OPTS_INIT;
	opts.key = key;
	opts.ttl_ms = ttl_ms;
	ck_ok(kv_put(&kv, A, &opts, NULL, &error));
}

/* As if the time had come. */
static void tick_now(void)
{
	kv.sweep_at = 0;
	wanted = NEVER;
	kv_tick(&kv);
}

static size_t count_spaces(void)
{
	char **spaces;
	size_t count;
	ck_ok(kv.store->ops->kv->spaces(kv.store, &spaces, &count, &error));
	strv_free(spaces, count);
	return count;
}

static int count_entry(void *userdata, const char *table, json_t *row, nova_error_t **ignored)
{
	(void)row;
	(void)ignored;
	*(size_t *)userdata += !strcmp(table, "kv_entries");
	return 0;
}

/* Also those that have expired. */
static size_t count_entries(void)
{
	size_t count = 0;
	ck_ok(kv.store->ops->transfer->dump(kv.store, count_entry, &count, &error));
	return count;
}

/* As if it were time to look for spaces that no function has. */
static void look_now(void)
{
	kv.orphans_at = 0;
	kv_tick(&kv);
}

START_TEST(a_tick_is_asked_for_when_something_expires)
{
	put("stays", 0);
	tick_now();
	ck_assert_uint_eq(wanted, NEVER);
	put("goes", 3600000);
	ck_assert_uint_gt(wanted, deadline_in_ms(3500000));
	ck_assert_uint_lt(wanted, NEVER);
	uint64_t far = wanted;
	put("goes sooner", 60000);
	ck_assert_uint_lt(wanted, far);
	uint64_t near = wanted;
	put("goes later", 7200000);
	ck_assert_uint_eq(wanted, near);
	tick_now(); /* which finds out when the next one is */
	ck_assert_uint_lt(wanted, NEVER);
}
END_TEST

START_TEST(a_tick_that_is_too_early_asks_for_the_right_one)
{
	put("goes", 3600000);
	uint64_t when = wanted;
	wanted = NEVER; /* the pool asks for each tick anew */
	kv_tick(&kv);
	ck_assert_uint_eq(wanted, when);
}
END_TEST

START_TEST(a_tick_removes_a_portion_and_asks_for_the_next)
{
	char key[16];
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "%u", i);
		put(key, 1);
	}
	uint64_t end = deadline_in_ms(2);
	while (!deadline_passed(end))
		continue;
	tick_now();
	ck_assert_uint_eq(count_entries(), 1);
	ck_assert_uint_lt(wanted, deadline_in_ms(1000));
	tick_now();
	ck_assert_uint_eq(count_entries(), 0);
	ck_assert_uint_eq(wanted, NEVER);
}
END_TEST

START_TEST(a_space_goes_that_had_no_function_twice)
{
	put("k", 0);
	look_now();
	ck_assert_uint_eq(count_spaces(), 1); /* a call of it may still be about to write */
	look_now();
	ck_assert_uint_eq(count_spaces(), 0);
	ck_assert_uint_eq(count_entries(), 0);
}
END_TEST

START_TEST(a_space_that_is_empty_goes_as_well)
{
	put("k", 0);
	ck_ok(kv_delete(&kv, A, "k", 0, &error));
	look_now();
	ck_assert_uint_eq(count_spaces(), 1);
	look_now();
	ck_assert_uint_eq(count_spaces(), 0);
}
END_TEST

START_TEST(no_space_goes_while_an_import_puts_them)
{
	struct transfer_lock *lock;
	put("of a function that was deleted, and comes again", 0);
	look_now();
	ck_ok(base->ops->transfer->lock(base, TRANSFER_IMPORTS, 0, &lock, &error));
	look_now();
	look_now();
	ck_assert_uint_eq(count_entries(), 1);
	base->ops->transfer->unlock(lock);
	look_now();
	ck_assert_uint_eq(count_entries(), 0);
}
END_TEST

START_TEST(who_imports_is_told_whether_another_imports_or_clears)
{
	const struct transfer_ops *transfer = base->ops->transfer;
	struct transfer_lock *lock, *other;
	ck_ok(transfer->lock(base, TRANSFER_CLEARS, 0, &lock, &error));
	ck_fails_with(NOVA_EBUSY, "what deleted functions have kept is just being removed",
		transfer->lock(base, TRANSFER_IMPORTS, 0, &other, &error));
	ck_assert_int_eq(transfer->lock(base, TRANSFER_CLEARS, 0, &other, NULL), NOVA_EBUSY);
	transfer->unlock(lock);
	ck_ok(transfer->lock(base, TRANSFER_IMPORTS, 0, &lock, &error));
	ck_fails_with(NOVA_EBUSY, "another import",
		transfer->lock(base, TRANSFER_IMPORTS, 0, &other, &error));
	ck_assert_int_eq(transfer->lock(base, TRANSFER_CLEARS, 0, &other, NULL), NOVA_EBUSY);
	transfer->unlock(lock);
}
END_TEST

START_TEST(what_another_process_has_put_or_imported_is_swept_as_well)
{
	const struct kv_record record = {
		.key = (char[]){ "k" }, .value = (char[]){ "" }, .expires_us = 1
	};
	const struct kv_condition any = { .now_us = 1 };
	uint64_t version;
	put("stays", 0);
	tick_now(); /* nothing goes, as far as is known */
	ck_ok(kv.store->ops->kv->put(kv.store, A, &record, &any, &kv.keys, &version, &error));
	ck_assert_uint_eq(count_entries(), 2);
	look_now();
	ck_assert_uint_eq(count_entries(), 1);
}
END_TEST

static Suite *kv_suite(void)
{
	Suite *suite = suite_create("kv");
	TCase *tc = tcase_create("sweep");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_tick_is_asked_for_when_something_expires);
	tcase_add_test(tc, a_tick_that_is_too_early_asks_for_the_right_one);
	tcase_add_test(tc, a_tick_removes_a_portion_and_asks_for_the_next);
	tcase_add_test(tc, a_space_goes_that_had_no_function_twice);
	tcase_add_test(tc, a_space_that_is_empty_goes_as_well);
	tcase_add_test(tc, no_space_goes_while_an_import_puts_them);
	tcase_add_test(tc, who_imports_is_told_whether_another_imports_or_clears);
	tcase_add_test(tc, what_another_process_has_put_or_imported_is_swept_as_well);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(kv_suite)
