/* SPDX-License-Identifier: MIT */
/* Code that is run once, in clones of the templates of several runtimes. */
#include "vmtest.h"
#include "pool/pool.h"

#define PATIENCE      1800 /* s; no limit but for what hangs */
#define RUN_OPTS(...) ((nova_run_opts){ .size = sizeof(nova_run_opts), __VA_ARGS__ })

static size_t templates(const struct platform *p)
{
	nova_snapshot_t **list;
	size_t count;
	pool_settle_templates(p->pool, NULL);
	ck_ok(nova_template_list(nova_host_get(p->nova), &list, &count, &error));
	nova_snapshot_list_free(list, count);
	return count;
}

static void prints(const struct platform *p, const char *language, const char *code,
	const char *printed, nova_run_opts opts)
{
	nova_result_t *r;
	ck_ok(nova_run(p->nova, language, code, &opts, &r, &error));
	ck_assert_str_eq(nova_result_stdout(r, NULL), printed);
	nova_result_free(r);
}

static void fails(const struct platform *p, const char *code, int expected, const char *part,
	nova_run_opts opts)
{
	nova_result_t *r;
	ck_failed(expected, NOVA_OUTCOME_RAN, part,
		nova_run(p->nova, "python", code, &opts, &r, &error));
	nova_result_free(r);
}

START_TEST(code_in_several_languages_runs_in_clones_of_which_nothing_is_kept)
{
	struct platform p = platform_open("qemu.boot_timeout", "600s", NULL);
	const char *const args[] = { "a b" };
	const nova_run_file file = { "note", "beside ", 7 };
	const nova_run_opts given = RUN_OPTS(.args = args, .args_count = 1, .stdin_data = "in ",
		.stdin_len = 3, .files = &file, .files_count = 1, .timeout_ms = 600000);
	const nova_run_opts plain = RUN_OPTS(.input = "[1,2]", .timeout_ms = 600000);
	prints(&p, "python",
		"import os, sys\n"
		"print(sys.stdin.read() + open('note').read() + sys.argv[1], os.getuid())",
		"in beside a b 1000\n", given);
	prints(&p, "python", "import json, os; print(json.load(open(os.environ['NOVA_INPUT'])))",
		"[1, 2]\n", plain);
	ck_assert_uint_eq(templates(&p), 1);
	fails(&p, "x = bytearray(1 << 30)\nwhile True: x += x", NOVA_EFUNCTION, "",
		RUN_OPTS(.timeout_ms = 600000));
	fails(&p, "while True: pass", NOVA_ETIMEDOUT, "timeout", RUN_OPTS(.timeout_ms = 500));
	prints(&p, "shell", "cat - note; echo \"$1\"; touch x 2>/dev/null || echo ro",
		"in beside a b\nro\n", given);
	prints(&p, "node",
		"const fs = require('fs');\n"
		"console.log(fs.readFileSync(0, 'utf8') + fs.readFileSync('note') + "
		"process.argv[2])",
		"in beside a b\n", given);
	ck_assert_uint_eq(templates(&p), 3);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_TEMPLATE_STARTS), 6);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BOOTS), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MEMORY_MB), 0);
	platform_close(&p); /* which looks for what is left */
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("run");
	TCase *tc = tcase_create("run");
	tcase_set_timeout(tc, PATIENCE);
	tcase_add_test(tc, code_in_several_languages_runs_in_clones_of_which_nothing_is_kept);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, make_suite);
}
