/* SPDX-License-Identifier: MIT */
/*
 * Every public call with NULL in the place of each of its pointers that is not optional.
 * nulls_cases.py makes the cases from the headers, so a new call has its cases at once. Each runs
 * in a process of its own, where a crash tells which call it was.
 */
#include <sys/wait.h>

#include <nova/nova.h>

#include "../unit/test.h"

/* For the other pointers: nothing may be looked at before all are known to be there. */
static _Alignas(64) char nobody[4096];
static void *const something = nobody;
static nova_error_t *error;

struct null_case {
	const char *call, *argument;
	bool (*holds)(void);
};

static bool is_text(const char *text, const char *expected)
{
	return text && !strcmp(text, expected);
}

/* With a sentence that names both. */
static bool is_refusal(int code, const char *call, const char *argument)
{
	char *expected = str_format("%s: %s must not be NULL", call, argument);
	return code == NOVA_EINVAL && nova_error_code(error) == code &&
	       is_text(nova_error_message(error), expected);
}

#include "nulls_cases.h"

/* NULL, or what went wrong. */
static const char *try_in_child(const struct null_case *c)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(c->holds() ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	return WEXITSTATUS(status) == 0 ? NULL :
	       WEXITSTATUS(status) == 1 ? "gives something else than the rule says" :
					  "was stopped by a sanitizer";
}

START_TEST(no_call_crashes_on_null_and_all_keep_the_rule_of_base_h)
{
	size_t wrong = 0;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *what = try_in_child(&cases[i]);
		if (!what)
			continue;
		fprintf(stderr, "# %s with NULL for %s: %s\n", cases[i].call, cases[i].argument,
			what);
		wrong++;
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("nulls");
	TCase *tc = tcase_create("nulls");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, no_call_crashes_on_null_and_all_keep_the_rule_of_base_h);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(make_suite)
