/* SPDX-License-Identifier: MIT */
/* What every libcheck suite here shares: assertions that name codes, a temporary directory, a main(). */
#ifndef NOVA_TESTS_TEST_H
#define NOVA_TESTS_TEST_H

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

/* The call succeeds; otherwise its error is shown. Expects a variable `nova_error_t *error`, NULL, in scope. */
#define ck_ok(call) \
	do { \
		int code_ = (call); \
		ck_assert_msg(code_ == 0, "%s: %s (%s)", #call, nova_code_name(code_), nova_error_message(error)); \
	} while (0)

/* The call fails with that code, with a message; the error is freed. */
#define ck_fails(expected, call) \
	do { \
		int code_ = (call); \
		ck_assert_msg(code_ == (expected), "%s: got %s (%s), expected %s", #call, nova_code_name(code_), \
			nova_error_message(error), nova_code_name(expected)); \
		ck_assert_int_eq(nova_error_code(error), (expected)); \
		ck_assert_str_ne(nova_error_message(error), ""); \
		nova_error_free(error); \
		error = NULL; \
	} while (0)

/* As ck_fails(), and the message contains `part`. */
#define ck_fails_with(expected, part, call) \
	do { \
		int code_ = (call); \
		ck_assert_msg(code_ == (expected), "%s: got %s (%s), expected %s", #call, nova_code_name(code_), \
			nova_error_message(error), nova_code_name(expected)); \
		ck_assert_msg(strstr(nova_error_message(error), (part)), "'%s' not in '%s'", (part), \
			nova_error_message(error)); \
		nova_error_free(error); \
		error = NULL; \
	} while (0)

/* A fresh directory under $TMPDIR; remove it with test_dir_remove(), which frees the path. */
static inline char *test_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *path = str_format("%s/nova-test-XXXXXX", base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

static inline void test_dir_remove(char *path)
{
	ck_assert_int_eq(fs_remove_tree(path), 0);
	free(path);
}

/* Defines main() for one suite function. */
#define TEST_MAIN(make_suite) \
	int main(void) \
	{ \
		SRunner *runner = srunner_create(make_suite()); \
		srunner_run_all(runner, CK_ENV); \
		int failed = srunner_ntests_failed(runner); \
		srunner_free(runner); \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS; \
	}

#endif
