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
	ck_assert_uint_eq(count_spaces(), 1);
	ck_assert_uint_lt(wanted, deadline_in_ms(1000));
	tick_now();
	ck_assert_uint_eq(count_spaces(), 0);
	ck_assert_uint_eq(wanted, NEVER);
}
END_TEST

START_TEST(a_space_goes_that_had_no_function_twice)
{
	put("k", 0);
	kv.orphans_at = 0;
	kv_tick(&kv);
	ck_assert_uint_eq(count_spaces(), 1); /* its function may be about to be imported */
	kv.orphans_at = 0;
	kv_tick(&kv);
	ck_assert_uint_eq(count_spaces(), 0);
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
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(kv_suite)
