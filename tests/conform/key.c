/* SPDX-License-Identifier: MIT */
/* Keys: nova/key.h. */
#include "vmtest.h"

static const nova_key *create(nova_t *nova, const char *name, uint64_t expires_us)
{
	const nova_key_opts opts = { sizeof(opts), .name = name, .expires_us = expires_us };
	const nova_key *key = NULL;
	ck_ok(nova_key_create(nova, &opts, &key, &error));
	return key;
}

static void check_name(nova_t *nova, const char *text, const char *name)
{
	const nova_key *key = NULL;
	ck_ok(nova_key_check(nova, text, &key, &error));
	ck_assert_str_eq(key->name, name);
	ck_assert_ptr_null(key->text);
	nova_key_free(key);
}

START_TEST(a_key_is_known_by_its_text_until_it_is_revoked)
{
	const nova_key *key = NULL;
	struct platform p = platform_open(NULL);
	const nova_key *made = create(p.nova, "ci", 0);
	ck_assert_uint_eq(strlen(made->text), 45);
	ck_assert(str_starts(made->text, made->prefix) && strlen(made->prefix) == 12);
	ck_assert_str_eq(made->tier, "default");
	for (int i = 0; i < 2; i++) /* the second time it need not be looked up */
		check_name(p.nova, made->text, "ci");
	ck_fails_with(NOVA_ENOTFOUND, "not known",
		nova_key_check(p.nova, "nova_0123456789", &key, &error));
	ck_fails(NOVA_ENOTFOUND, nova_key_check(p.nova, "\xff", &key, &error));
	ck_ok(nova_key_revoke(p.nova, "ci", &error));
	ck_fails_with(
		NOVA_EPERM, "'ci' was revoked", nova_key_check(p.nova, made->text, &key, &error));
	ck_ok(nova_key_get(p.nova, "ci", &key, &error));
	ck_assert_uint_eq(key->revoked, 1);
	nova_key_free(key);
	ck_ok(nova_key_delete(p.nova, "ci", &error));
	ck_fails(NOVA_ENOTFOUND, nova_key_check(p.nova, made->text, &key, &error));
	nova_key_free(made);
	platform_close(&p);
}
END_TEST

START_TEST(a_key_is_valid_until_its_time_is_over)
{
	const nova_key *key = NULL;
	struct platform p = platform_open(NULL);
	uint64_t until = clock_unix_us() + 200000;
	const nova_key *made = create(p.nova, "short", until);
	check_name(p.nova, made->text, "short");
	while (clock_unix_us() < until)
		usleep(1000);
	ck_fails_with(
		NOVA_EPERM, "'short' is over", nova_key_check(p.nova, made->text, &key, &error));
	nova_key_free(made);
	platform_close(&p);
}
END_TEST

START_TEST(what_another_process_does_to_a_key_is_seen)
{
	const nova_key *key = NULL;
	struct platform p = platform_open(NULL);
	nova_t *other = NULL;
	ck_ok(nova_open(p.config, &other, &error));
	const nova_key *made = create(other, "ci", 0);
	check_name(p.nova, made->text, "ci");
	ck_ok(nova_key_revoke(other, "ci", &error));
	ck_fails(NOVA_EPERM, nova_key_check(p.nova, made->text, &key, &error));
	nova_key_free(made);
	nova_close(other);
	platform_close(&p);
}
END_TEST

START_TEST(bad_options_are_named)
{
	const nova_key *key = NULL;
	struct platform p = platform_open(NULL);
	static const char *const names[] = { "", ".x", "a b", "a\n", "\xff", "a/b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	nova_key_opts opts = NOVA_KEY_OPTS_INIT;
	ck_fails_with(NOVA_EINVAL, "name: required", nova_key_create(p.nova, &opts, &key, &error));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		opts.name = names[i];
		ck_fails_with(NOVA_EINVAL, "name: ", nova_key_create(p.nova, &opts, &key, &error));
	}
	opts.name = "x";
	opts.tier = "a b";
	ck_fails_with(NOVA_EINVAL, "tier: 'a b'", nova_key_create(p.nova, &opts, &key, &error));
	opts.tier = NULL;
	opts.expires_us = 1;
	ck_fails_with(NOVA_EINVAL, "expires_us: ", nova_key_create(p.nova, &opts, &key, &error));
	opts.expires_us = UINT64_MAX;
	ck_fails_with(NOVA_EINVAL, "expires_us: ", nova_key_create(p.nova, &opts, &key, &error));
	platform_close(&p);
}
END_TEST

START_TEST(no_file_of_the_state_directory_has_a_key)
{
	struct platform p = platform_open(NULL);
	const nova_key *made = create(p.nova, "ci", 0);
	AUTO_FREE char *search = str_format("grep -rqF '%s' '%s'", made->text, p.dir);
	AUTO_FREE char *prefix = str_format("grep -rqF '%s' '%s'", made->prefix, p.dir);
	ck_assert_int_eq(system(prefix), 0);
	ck_assert_int_ne(system(search), 0);
	nova_key_free(made);
	platform_close(&p);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("key");
	TCase *tc = tcase_create("key");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_key_is_known_by_its_text_until_it_is_revoked);
	tcase_add_test(tc, a_key_is_valid_until_its_time_is_over);
	tcase_add_test(tc, what_another_process_does_to_a_key_is_seen);
	tcase_add_test(tc, bad_options_are_named);
	tcase_add_test(tc, no_file_of_the_state_directory_has_a_key);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
