/* SPDX-License-Identifier: MIT */
/* Functions that are looked at in a guest before they are stored. */
#include <sys/stat.h>

#include "platform.h"

static nova_function_opts of(const char *source)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = "f";
	o.runtime = "python";
	o.code = source;
	o.code_len = strlen(source);
	return o;
}

static void ck_not_stored(const struct platform *p)
{
	nova_function_t *f;
	ck_fails(NOVA_ENOTFOUND, nova_function_get(p->nova, "f", &f, &error));
	ck_assert_uint_eq(pool_counter(p->pool, NOVA_POOL_IDLE), 0);
}

static void ck_refused(
	const struct platform *p, const char *source, const char *handler, const char *words)
{
	nova_function_opts o = of(source);
	o.handler = handler;
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN, words,
		nova_function_register(p->nova, &o, NULL, &error));
	ck_not_stored(p);
}

START_TEST(a_function_that_cannot_be_imported_is_refused_with_file_and_line)
{
	struct platform p = platform_open(NULL);
	ck_refused(&p, "def handler(event:\n", NULL,
		"SyntaxError: '(' was never closed (handler, line 1)");
	ck_refused(&p, "import os\nimport no_such_module\ndef handler(event): pass\n", NULL,
		"ModuleNotFoundError: No module named 'no_such_module' (handler, line 2)");
	ck_refused(&p, "def handler(event): pass\n", "main.hanlder", "did you mean 'handler'?");
	ck_refused(&p, "def handler(event):\n    yield 1\n", NULL, "is a generator");
	platform_close(&p);
}
END_TEST

static uint32_t registered(
	const struct platform *p, const nova_function_opts *o, const char *handler)
{
	nova_function_t *f;
	ck_ok(nova_function_register(p->nova, o, &f, &error));
	ck_assert_str_eq(nova_function_text(f, "handler", 0), handler);
	uint32_t version = nova_function_version(f);
	nova_function_free(f);
	return version;
}

static void count_scripts(void *userdata, int level, const char *module, const char *text)
{
	(void)level;
	(void)module;
	*(int *)userdata += strstr(text, "'f' has neither 'handler' nor 'lambda_handler'") != NULL;
}

START_TEST(what_is_called_is_told_and_stored)
{
	struct platform p = platform_open(NULL);
	int scripts = 0;
	nova_host_set_log(nova_host_get(p.nova), count_scripts, &scripts, NOVA_LOG_WARN);
	nova_function_opts o = of("def lambda_handler(event, context): return 'lambda'\n");
	ck_assert_uint_eq(registered(&p, &o, "main.lambda_handler"), 1);
	platform_answers(p.nova, "f", "\"lambda\"");
	/* The same is the same, looked at or not, named or not. */
	o.check = NOVA_CHECK_NEVER;
	ck_assert_uint_eq(registered(&p, &o, "main.lambda_handler"), 1);
	o.handler = "main.lambda_handler";
	ck_assert_uint_eq(registered(&p, &o, "main.lambda_handler"), 1);
	ck_assert_int_eq(scripts, 0);
	nova_function_opts script = of("print('script')\n");
	script.flags = NOVA_REGISTER_REPLACE;
	ck_assert_uint_eq(registered(&p, &script, "main.handler"), 2);
	ck_assert_int_eq(scripts, 1);
	platform_answers(p.nova, "f", "\"script\"");
	platform_close(&p);
}
END_TEST

START_TEST(a_function_is_imported_once_and_leaves_no_template)
{
	if (is_fake())
		return; /* which has none */
	struct platform p = platform_open_empty(NULL);
	nova_function_opts o = of("def handler(event): return 1\n");
	size_t count;
	for (int i = 0; i < 2; i++) {
		nova_snapshot_t **list;
		registered(&p, &o, "main.handler");
		ck_ok(nova_template_list(nova_host_get(p.nova), &list, &count, &error));
		ck_assert_uint_eq(count, 1); /* that of the runtime */
		nova_snapshot_list_free(list, count);
	}
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	platform_close(&p);
}
END_TEST

START_TEST(what_is_stored_already_is_not_imported_again)
{
	if (!is_fake())
		return; /* the import leaves its mark on this host */
	struct platform p = platform_open(NULL);
	AUTO_FREE char *mark = path_join(p.dir, "imports");
	AUTO_FREE char *source =
		str_format("open('%s', 'a').write('x')\ndef handler(event): return 1\n", mark);
	nova_function_opts o = of(source);
	for (int i = 0; i < 3; i++) {
		AUTO_BUF struct buf marks = BUF_INIT(100);
		registered(&p, &o, "main.handler");
		ck_assert_int_eq(fs_read_file(mark, &marks), 0);
		ck_assert_uint_eq(marks.len, 1);
	}
	ck_assert_int_eq(fs_unlink(mark), 0);
	platform_close(&p);
}
END_TEST

START_TEST(unchecked_the_first_call_says_the_same)
{
	struct platform p = platform_open(NULL);
	nova_function_opts o = of("def handler(event): return 1\n");
	nova_result_t *r;
	o.handler = "main.hanlder";
	o.check = NOVA_CHECK_NEVER;
	registered(&p, &o, "main.hanlder");
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_NEVER_RAN, "did you mean 'handler'?",
		platform_call(p.nova, "f", &r));
	platform_close(&p);
}
END_TEST

static void ck_ended_at_its_limit(int code)
{
	vmtest_failed(NOVA_EFUNCTION, code, NOVA_OUTCOME_NEVER_RAN,
		"importing the function took longer than 1000 ms");
}

START_TEST(an_import_without_end_is_ended_at_the_limit_that_it_was_given)
{
	struct platform p = platform_open(NULL);
	nova_function_opts o = of("def handler(event): return 1\nwhile True: pass\n");
	nova_result_t *r;
	o.init_timeout_s = 1;
	o.check = NOVA_CHECK_ALWAYS;
	ck_ended_at_its_limit(nova_function_register(p.nova, &o, NULL, &error));
	ck_not_stored(&p);
	o.check = NOVA_CHECK_NEVER;
	registered(&p, &o, "main.handler");
	ck_ended_at_its_limit(platform_call(p.nova, "f", &r));
	platform_close(&p);
}
END_TEST

START_TEST(a_guest_that_does_not_come_up_is_no_fault_of_the_function)
{
	if (!is_fake())
		return; /* whose guests are not that easily broken */
	setenv("NOVA_AGENT", "/bin/false", 1);
	struct platform p = platform_open(NULL);
	nova_function_opts o = of("def handler(event): return 1\n");
	o.check = NOVA_CHECK_ALWAYS;
	int code = nova_function_register(p.nova, &o, NULL, &error);
	ck_assert_msg(code < 0 && code != NOVA_EFUNCTION, "%s", nova_code_name(code));
	nova_error_free(error);
	error = NULL;
	ck_not_stored(&p);
	o.check = NOVA_CHECK_AUTO;
	registered(&p, &o, "main.handler");
	platform_close(&p);
	unsetenv("NOVA_AGENT");
}
END_TEST

START_TEST(a_check_can_be_called_off)
{
	struct platform p = platform_open(NULL);
	nova_function_opts o = of("def handler(event): return 1\n");
	ck_ok(nova_interrupt_new(&o.interrupt, &error));
	nova_interrupt_trigger(o.interrupt);
	ck_fails(NOVA_ECANCELED, nova_function_register(p.nova, &o, NULL, &error));
	ck_not_stored(&p);
	nova_interrupt_free(o.interrupt);
	platform_close(&p);
}
END_TEST

START_TEST(state_stays_between_calls_where_it_was_registered_so)
{
	static const char source[] = "count = 0\ndef handler(event):\n    global count\n    count "
				     "+= 1\n    return count\n";
	struct platform p = platform_open(NULL);
	nova_function_opts o = of(source);
	o.flags = NOVA_REGISTER_REPLACE;
	registered(&p, &o, "main.handler");
	platform_answers(p.nova, "f", "1");
	platform_answers(p.nova, "f", "1");
	o.flags |= NOVA_REGISTER_IN_PLACE;
	ck_assert_uint_eq(registered(&p, &o, "main.handler"), 2);
	static const char *const counts[] = { "1", "2", "3", "4" };
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		platform_answers(p.nova, "f", counts[i]);
	platform_close(&p);
}
END_TEST

TCase *check_cases(void)
{
	TCase *tc = tcase_create("check");
	tcase_add_test(tc, a_function_that_cannot_be_imported_is_refused_with_file_and_line);
	tcase_add_test(tc, what_is_called_is_told_and_stored);
	tcase_add_test(tc, a_function_is_imported_once_and_leaves_no_template);
	tcase_add_test(tc, what_is_stored_already_is_not_imported_again);
	tcase_add_test(tc, unchecked_the_first_call_says_the_same);
	tcase_add_test(tc, an_import_without_end_is_ended_at_the_limit_that_it_was_given);
	tcase_add_test(tc, a_guest_that_does_not_come_up_is_no_fault_of_the_function);
	tcase_add_test(tc, a_check_can_be_called_off);
	tcase_add_test(tc, state_stays_between_calls_where_it_was_registered_so);
	return tc;
}
