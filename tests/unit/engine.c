/* SPDX-License-Identifier: MIT */
/* The tables of the engines keep the contract of engine/engine.h. */
#include "engine/engine.h"
#include "test.h"

#define ENGINES 3

START_TEST(an_engine_has_the_members_without_which_there_is_none)
{
	const struct engine_ops *ops = all_engines[_i];
	ck_assert_ptr_nonnull(ops->name);
	ck_assert_ptr_eq(engine_find(ops->name), ops);
	ck_assert_uint_ge(ops->machine_size, sizeof(struct machine));
	ck_assert_ptr_nonnull(ops->probe);
	ck_assert_ptr_nonnull(ops->start);
	ck_assert_ptr_nonnull(ops->kill);
	ck_assert_ptr_nonnull(ops->end_fd);
	ck_assert_ptr_nonnull(ops->end);
	nova_config_t *config;
	nova_error_t *error = NULL;
	ck_ok(nova_config_new(&config, &error));
	ck_assert_uint_gt(config_ms(config, ops->boot_timeout_key), 0);
	nova_config_free(config);
}
END_TEST

START_TEST(a_feature_of_an_engine_comes_with_all_its_operations)
{
	const struct engine_ops *ops = all_engines[_i];
	bool snapshots = engine_has(ops, NOVA_FEATURE_SNAPSHOT);
	ck_assert(engine_has(ops, NOVA_FEATURE_PAUSE) == (ops->pause != NULL));
	ck_assert(!ops->pause == !ops->resume);
	ck_assert(snapshots == (ops->save != NULL));
	ck_assert(!ops->save == !ops->load);
	ck_assert(!ops->save == !ops->identity);
	ck_assert(!ops->save == !ops->take_pages);
	ck_assert(!ops->save == !ops->give_pages);
	ck_assert(!ops->load_still || ops->resume);
	ck_assert(!engine_has(ops, NOVA_FEATURE_FORK) || snapshots);
}
END_TEST

START_TEST(the_list_of_engines_ends_where_it_says)
{
	ck_assert_ptr_null(all_engines[ENGINES]);
	ck_assert_ptr_null(engine_find("no engine"));
}
END_TEST

static Suite *engine_suite(void)
{
	Suite *suite = suite_create("engine");
	TCase *tc = tcase_create("contract");
	tcase_add_loop_test(tc, an_engine_has_the_members_without_which_there_is_none, 0, ENGINES);
	tcase_add_loop_test(tc, a_feature_of_an_engine_comes_with_all_its_operations, 0, ENGINES);
	tcase_add_test(tc, the_list_of_engines_ends_where_it_says);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(engine_suite)
