/* SPDX-License-Identifier: MIT */
/* Keys that the store has said to be valid, where there is room for three of them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "novad/novad.h"

static int64_t now;

/* In place of the clock. */
int64_t __wrap_now_ms(void);
int64_t __wrap_now_ms(void)
{
	return now;
}

struct hash {
	unsigned char bytes[32];
};

/* Of what was asked for, or of a key. */
static struct hash hash_of(unsigned number)
{
	struct hash hash = { { 0 } };
	memcpy(hash.bytes, &number, sizeof(number));
	return hash;
}

static struct key *note(unsigned asked, unsigned number)
{
	const struct hash hash = hash_of(asked), of_key = hash_of(number);
	struct key key = { .rate = number };
	memcpy(key.hash, of_key.bytes, sizeof(key.hash));
	return known_note(hash.bytes, &key);
}

static struct key *find(unsigned asked)
{
	const struct hash hash = hash_of(asked);
	return known_find(hash.bytes);
}

static void forget_all(void)
{
	known_free();
}

START_TEST(what_was_said_holds_for_a_second)
{
	struct key *key = note(1, 1);
	now += 999;
	ck_assert_ptr_eq(find(1), key);
	ck_assert_ptr_null(find(2));
	now += 1;
	ck_assert_ptr_null(find(1));
	ck_assert_ptr_eq(note(1, 1), key);
	ck_assert_ptr_eq(find(1), key);
}
END_TEST

START_TEST(both_names_of_a_key_lead_to_the_same_one)
{
	struct key *key = note(1, 1);
	ck_assert_ptr_eq(note(2, 1), key);
	ck_assert_uint_eq(key->holders, 2);
	ck_assert_ptr_eq(note(2, 1), key); /* again */
	ck_assert_uint_eq(key->holders, 2);
}
END_TEST

START_TEST(one_more_than_there_is_room_for_is_none)
{
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_ptr_nonnull(note(i, i));
	ck_assert_ptr_null(note(4, 4));
	for (unsigned i = 1; i <= 3; i++) /* nobody has lost anything */
		ck_assert_uint_eq(find(i)->rate, i);
	ck_assert_ptr_nonnull(note(5, 3)); /* one that is there needs none */
}
END_TEST

START_TEST(what_is_over_makes_room_and_what_is_held_stays)
{
	struct key *held = key_hold(note(1, 1));
	held->calls = 7;
	note(2, 2);
	now += 500;
	struct key *young = note(3, 3);
	now += 500;
	ck_assert_ptr_nonnull(note(4, 4)); /* instead of the second */
	ck_assert_ptr_null(note(5, 5));
	ck_assert_ptr_eq(find(3), young);
	ck_assert_uint_eq(held->rate, 1);
	ck_assert_ptr_eq(note(1, 1), held); /* with what is counted of it */
	ck_assert_uint_eq(held->calls, 7);
	key_release(held);
	now += 1000;
	for (unsigned i = 6; i <= 8; i++)
		ck_assert_ptr_nonnull(note(i, i));
}
END_TEST

START_TEST(so_do_names_of_few_keys)
{
	for (unsigned i = 0; i < 6; i++) /* two for each key that there is room for */
		ck_assert_ptr_nonnull(note(10 + i, 1));
	ck_assert_ptr_null(note(20, 1));
	struct key *key = find(10);
	ck_assert_uint_eq(key->holders, 6);
	now += 1000;
	ck_assert_ptr_eq(note(20, 1), note(21, 1));
	ck_assert_uint_eq(find(20)->holders, 2);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("known");
	tcase_add_checked_fixture(tcase, NULL, forget_all);
	tcase_add_test(tcase, what_was_said_holds_for_a_second);
	tcase_add_test(tcase, both_names_of_a_key_lead_to_the_same_one);
	tcase_add_test(tcase, one_more_than_there_is_room_for_is_none);
	tcase_add_test(tcase, what_is_over_makes_room_and_what_is_held_stays);
	tcase_add_test(tcase, so_do_names_of_few_keys);
	Suite *suite = suite_create("known");
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
