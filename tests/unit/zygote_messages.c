/* SPDX-License-Identifier: MIT */
/* The messages between a zygote and its driver; for forks themselves see tests/zygote. */
#include "test.h"
#include "zygote/zygote.h"

static struct zygote_order sound(uint32_t kind)
{
	return (struct zygote_order){
		.version = ZYGOTE_VERSION,
		.kind = kind,
		.number = 7,
		.fd_count = kind == ZYGOTE_FORK,
	};
}

static const char *wrong(const struct zygote_order *o)
{
	return zygote_order_wrong(o, sizeof(*o), o->fd_count);
}

START_TEST(a_sound_order_of_each_kind_is_taken)
{
	for (uint32_t kind = ZYGOTE_CHECK; kind <= ZYGOTE_CONFINE; kind++) {
		struct zygote_order o = sound(kind);
		ck_assert_ptr_null(wrong(&o));
	}
	struct zygote_order o = sound(ZYGOTE_UNSHARE);
	o.shared_count = 1;
	o.shared[0] = 7;
	ck_assert_ptr_null(wrong(&o));
	o = sound(ZYGOTE_FORK);
	o.flags = ZYGOTE_HOLD;
	o.patience_ms = ZYGOTE_PATIENCE_MS;
	o.target_count = ZYGOTE_MAX_FDS;
	for (int i = 0; i < ZYGOTE_MAX_FDS; i++)
		o.targets[i] = i;
	ck_assert_ptr_null(wrong(&o));
	o = sound(ZYGOTE_BIRTH);
	o.fd_count = ZYGOTE_MAX_FDS;
	o.flags = ZYGOTE_USER | ZYGOTE_FILTER | ZYGOTE_FERTILE;
	o.uid = 1000;
	ck_assert_ptr_null(wrong(&o));
}
END_TEST

START_TEST(an_order_of_any_other_length_is_refused_and_not_read_beyond)
{
	struct zygote_order o = sound(ZYGOTE_CHECK);
	for (size_t len = 0; len < sizeof(o); len++) {
		AUTO_FREE void *exact = malloc(len + 1);
		memcpy(exact, &o, len);
		ck_assert_ptr_nonnull(zygote_order_wrong(exact, len, 0));
	}
	ck_assert_ptr_nonnull(zygote_order_wrong(&o, sizeof(o) + 1, 0));
	ck_assert_ptr_nonnull(zygote_order_wrong(&o, SIZE_MAX, 0));
}
END_TEST

static const struct {
	const char *says;
	struct zygote_order order;
} unsound[] = {
#define ORDER(k, ...)                                                                              \
	{                                                                                          \
		.version = ZYGOTE_VERSION, .kind = k, .number = 1, __VA_ARGS__                     \
	}
	{ "another version", { .version = ZYGOTE_VERSION + 1, .kind = ZYGOTE_CHECK, .number = 1 } },
	{ "kind of order", ORDER(ZYGOTE_HELLO, .flags = 0) },
	{ "kind of order", ORDER(ZYGOTE_UNSHARE + 1, .flags = 0) },
	{ "one file", ORDER(ZYGOTE_UNSHARE, .flags = 0) },
	{ "targets", ORDER(ZYGOTE_CONFINE, .shared_count = 1) },
	{ "no number", { .version = ZYGOTE_VERSION, .kind = ZYGOTE_CHECK } },
	{ "too many", ORDER(ZYGOTE_BIRTH, .fd_count = ZYGOTE_MAX_FDS + 1) },
	{ "too many", ORDER(ZYGOTE_CHECK, .target_count = ZYGOTE_MAX_FDS + 1) },
	{ "patience", ORDER(ZYGOTE_CHECK, .patience_ms = ZYGOTE_PATIENCE_MS + 1) },
	{ "patience", ORDER(ZYGOTE_RELEASE, .patience_ms = 1) },
	{ "targets", ORDER(ZYGOTE_RELEASE, .target_count = 1) },
	{ "twice", ORDER(ZYGOTE_CHECK, .target_count = 2, .targets = { 5, 5 }) },
	{ "is none", ORDER(ZYGOTE_CHECK, .target_count = 1, .targets = { -1 }) },
	{ "is none", ORDER(ZYGOTE_CHECK, .target_count = 1, .targets = { 65536 }) },
	{ "too many", ORDER(ZYGOTE_CHECK, .shared_count = ZYGOTE_MAX_FDS + 1) },
	{ "twice", ORDER(ZYGOTE_CHECK, .shared_count = 2, .shared = { 5, 5 }) },
	{ "shared files", ORDER(ZYGOTE_RELEASE, .shared_count = 1) },
	{ "not 0", ORDER(ZYGOTE_CHECK, .target_count = 1, .targets = { 5, 6 }) },
	{ "not 0", ORDER(ZYGOTE_CHECK, .shared_count = 1, .shared = { 5, [31] = 6 }) },
	{ "not 0", ORDER(ZYGOTE_CHECK, .zero = { [3] = 1 }) },
	{ "flag", ORDER(ZYGOTE_FORK, .fd_count = 1, .flags = ZYGOTE_USER) },
	{ "flag", ORDER(ZYGOTE_BIRTH, .flags = ZYGOTE_HOLD) },
	{ "flag", ORDER(ZYGOTE_BIRTH, .flags = ZYGOTE_FERTILE) },
	{ "flag", ORDER(ZYGOTE_BIRTH, .flags = 16) },
	{ "user", ORDER(ZYGOTE_BIRTH, .uid = 1) },
	{ "user", ORDER(ZYGOTE_BIRTH, .flags = ZYGOTE_FILTER, .extra_gid = 1) },
	{ "flag", ORDER(ZYGOTE_CHECK, .flags = ZYGOTE_HOLD) },
	{ "one descriptor", ORDER(ZYGOTE_FORK, .fd_count = 2) },
	{ "belong to FORK", ORDER(ZYGOTE_CHECK, .fd_count = 1) },
#undef ORDER
};

START_TEST(an_order_that_is_not_sound_is_refused_with_what_is_wrong)
{
	const char *why = wrong(&unsound[_i].order);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, unsound[_i].says), "'%s', not '%s'", why, unsound[_i].says);
}
END_TEST

START_TEST(descriptors_have_to_be_as_many_as_the_order_says)
{
	struct zygote_order o = sound(ZYGOTE_FORK);
	ck_assert_ptr_nonnull(zygote_order_wrong(&o, sizeof(o), 0));
	ck_assert_ptr_nonnull(zygote_order_wrong(&o, sizeof(o), 2));
}
END_TEST

static const char *wrong_answer(const struct zygote_answer *a)
{
	return zygote_answer_wrong(a, sizeof(*a), ZYGOTE_FORK, 7);
}

START_TEST(an_answer_is_taken_if_it_is_to_the_order_and_sound)
{
	const struct zygote_answer good = {
		.version = ZYGOTE_VERSION,
		.kind = ZYGOTE_FORK,
		.number = 7,
		.pid = 1,
	};
	struct zygote_answer a = good;
	ck_assert_ptr_null(wrong_answer(&a));
	ck_assert_ptr_nonnull(zygote_answer_wrong(&a, sizeof(a) - 1, ZYGOTE_FORK, 7));
	ck_assert_ptr_nonnull(zygote_answer_wrong(&a, 0, ZYGOTE_FORK, 7));
	ck_assert_ptr_nonnull(zygote_answer_wrong(&a, sizeof(a), ZYGOTE_CHECK, 7));
	ck_assert_ptr_nonnull(zygote_answer_wrong(&a, sizeof(a), ZYGOTE_FORK, 8));
	a.version = 0;
	ck_assert_ptr_nonnull(wrong_answer(&a));
	a = good;
	a.pid = 0; /* of a child that is there */
	ck_assert_ptr_nonnull(wrong_answer(&a));
	a.refused = 1; /* without a reason */
	ck_assert_ptr_nonnull(wrong_answer(&a));
	a.reason[0] = 'x';
	ck_assert_ptr_null(wrong_answer(&a));
	memset(a.reason, 'x', sizeof(a.reason)); /* that does not end */
	ck_assert_ptr_nonnull(wrong_answer(&a));
	a = good;
	a.refused = 2;
	ck_assert_ptr_nonnull(wrong_answer(&a));
}
END_TEST

START_TEST(what_is_loaded_into_zygotes_is_found_or_the_reason_is_told)
{
	nova_error_t *error = NULL;
	AUTO_FREE char *path = NULL;
#ifdef NOVA_ZYGOTE
	ck_ok(zygote_find(&path, &error));
	ck_assert_int_eq(access(path, R_OK), 0);
#else
	ck_fails_with(NOVA_ENOTSUP, "x86-64", zygote_find(&path, &error));
#endif
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("zygote");
	TCase *messages = tcase_create("messages");
	tcase_add_test(messages, a_sound_order_of_each_kind_is_taken);
	tcase_add_test(messages, an_order_of_any_other_length_is_refused_and_not_read_beyond);
	tcase_add_loop_test(messages, an_order_that_is_not_sound_is_refused_with_what_is_wrong, 0,
		(int)ARRAY_LEN(unsound));
	tcase_add_test(messages, descriptors_have_to_be_as_many_as_the_order_says);
	tcase_add_test(messages, an_answer_is_taken_if_it_is_to_the_order_and_sound);
	tcase_add_test(messages, what_is_loaded_into_zygotes_is_found_or_the_reason_is_told);
	suite_add_tcase(suite, messages);
	return suite;
}

TEST_MAIN(make_suite)
