/* SPDX-License-Identifier: MIT */
/* What every libcheck suite here shares: assertions that name codes, a temporary directory, a
 * main(). */
#ifndef NOVA_TESTS_TEST_H
#define NOVA_TESTS_TEST_H

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

/* The call succeeds; otherwise its error is shown. Expects a variable `nova_error_t *error`, NULL,
 * in scope. */
#define ck_ok(call)                                                                                \
	do {                                                                                       \
		int code_ = (call);                                                                \
		ck_assert_msg(code_ == 0, "%s: %s (%s)", #call, nova_code_name(code_),             \
			nova_error_message(error));                                                \
	} while (0)

/* The call fails with that code, with a message; the error is freed. */
#define ck_fails(expected, call)                                                                   \
	do {                                                                                       \
		int code_ = (call);                                                                \
		ck_assert_msg(code_ == (expected), "%s: got %s (%s), expected %s", #call,          \
			nova_code_name(code_), nova_error_message(error),                          \
			nova_code_name(expected));                                                 \
		ck_assert_int_eq(nova_error_code(error), (expected));                              \
		ck_assert_str_ne(nova_error_message(error), "");                                   \
		nova_error_free(error);                                                            \
		error = NULL;                                                                      \
	} while (0)

/* As ck_fails(), and the message contains `part`. */
#define ck_fails_with(expected, part, call)                                                        \
	do {                                                                                       \
		int code_ = (call);                                                                \
		ck_assert_msg(code_ == (expected), "%s: got %s (%s), expected %s", #call,          \
			nova_code_name(code_), nova_error_message(error),                          \
			nova_code_name(expected));                                                 \
		ck_assert_msg(strstr(nova_error_message(error), (part)), "'%s' not in '%s'",       \
			(part), nova_error_message(error));                                        \
		nova_error_free(error);                                                            \
		error = NULL;                                                                      \
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

/* Ends a test that cannot look here, with the reason: it counts as skipped, not as passed. libcheck
 * knows no such thing, so it is a failure with this text, which test_run() takes for what it is. */
#define SKIPPED "SKIP: "
#define test_skip(...)                                                                             \
	do {                                                                                       \
		AUTO_FREE char *why_ = str_format(__VA_ARGS__);                                    \
		ck_abort_msg(SKIPPED "%s", why_);                                                  \
	} while (0)

/* One line of TAP of libcheck: "not ok 1 - file:case:test: SKIP: why" becomes a skip of TAP. */
static inline ssize_t test_write_tap(void *cookie, const char *line, size_t len)
{
	(void)cookie;
	const char *why = memmem(line, len, ": " SKIPPED, strlen(": " SKIPPED));
	AUTO_FREE char *skip = NULL;
	if (why && str_starts(line, "not ok "))
		skip = str_format("%.*s # SKIP %.*s", (int)(why - line) - 4, line + 4,
			(int)(line + len - why - strlen(": " SKIPPED)), why + strlen(": " SKIPPED));
	int r = skip ? sys_write_all(STDOUT_FILENO, skip, strlen(skip)) :
		       sys_write_all(STDOUT_FILENO, line, len);
	return r < 0 ? 0 : (ssize_t)len;
}

/* Runs them; the exit status. */
static inline int test_run(Suite *suite)
{
	static char buffer[1 << 16]; /* of a line */
	cookie_io_functions_t functions = { .write = test_write_tap };
	FILE *out = stdout, *tap = fopencookie(NULL, "w", functions);
	if (!tap || setvbuf(tap, buffer, _IOLBF, sizeof(buffer)) != 0)
		return EXIT_FAILURE;
	stdout = tap; /* of this program: libcheck writes there */
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	TestResult **failures = srunner_failures(runner);
	for (int i = srunner_ntests_failed(runner); i-- > 0;)
		failed -= str_starts(tr_msg(failures[i]), SKIPPED);
	free(failures);
	srunner_free(runner);
	stdout = out;
	fclose(tap);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Defines main() for one suite function. */
#define TEST_MAIN(make_suite)                                                                      \
	int main(void)                                                                             \
	{                                                                                          \
		return test_run(make_suite());                                                     \
	}

#endif
