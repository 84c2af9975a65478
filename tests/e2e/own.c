/* SPDX-License-Identifier: MIT */
/* A runtime that is data, in guests: its root filesystem is a copy of base, its program awk. What
 * needs no guest is in tests/conform/runtime.c. */
#include "vmtest.h"
#include "pool/pool.h"

static const char *const awk[] = { "/usr/bin/awk", "-f", "{file}", "{input}" };

static const char source[] =
	"{ gsub(/[^a-z]/, \"\") } "
	"END { printf \"\\\"%s to %s, %s\\\"\\n\", ENVIRON[\"NOVA_RUNTIME\"], $0, "
	"ENVIRON[\"NOVA_FUNCTION_NAME\"] }\n";

static void answers(struct platform *p, uint32_t flags)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *r;
	opts.flags = flags;
	ck_ok(nova_invoke(p->nova, "hello", "\"you\"", &opts, &r, &error));
	ck_assert_str_eq(nova_result_output(r, NULL), "\"own to you, hello\"");
	ck_assert_int_eq(nova_result_cold_start(r), flags != 0);
	nova_result_free(r);
}

/* Functions' templates; *ret_guests: those of guests that have booted. */
static size_t templates(const struct platform *p, size_t *ret_guests)
{
	nova_snapshot_t **list;
	size_t count, functions = 0;
	pool_settle_templates(p->pool, NULL);
	ck_ok(nova_template_list(nova_host_get(p->nova), &list, &count, &error));
	for (size_t i = 0; i < count; i++)
		functions += nova_snapshot_has_function(list[i]) == 1;
	nova_snapshot_list_free(list, count);
	*ret_guests = count - functions;
	return functions;
}

START_TEST(a_function_of_an_own_root_filesystem_is_checked_cloned_and_kept_warm)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *base =
		str_format("%s/rootfs/base.ext4", nova_host_images(nova_host_get(p.nova)));
	nova_runtime_opts o = NOVA_RUNTIME_OPTS_INIT;
	nova_function_opts f = NOVA_FUNCTION_OPTS_INIT;
	size_t guests;
	o.name = "own";
	o.rootfs = base;
	o.argv = awk;
	o.argv_count = ARRAY_LEN(awk);
	ck_ok(nova_runtime_register(p.nova, &o, NULL, &error));
	f.name = "hello";
	f.runtime = "own";
	f.code = source;
	f.code_len = strlen(source);
	f.check = NOVA_CHECK_ALWAYS;
	ck_ok(nova_function_register(p.nova, &f, NULL, &error));
	answers(&p, NOVA_INVOKE_FRESH);
	ck_assert_uint_eq(templates(&p, &guests), 1);
	ck_assert_uint_eq(guests, 1);
	nova_template_opts none = NOVA_TEMPLATE_OPTS_INIT;
	ck_ok(nova_template_build(p.nova, "hello", &none, &error));
	answers(&p, 0);
	answers(&p, 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_HITS), 2);
	/* what cannot run in a guest is told before it is stored */
	f.name = "bad";
	f.runtime = "bare";
	o.name = "bare";
	o.argv = (const char *const[]){ "{file}" };
	o.argv_count = 1;
	ck_ok(nova_runtime_register(p.nova, &o, NULL, &error));
	ck_fails_with(NOVA_EFUNCTION, "not an executable file",
		nova_function_register(p.nova, &f, NULL, &error));
	platform_close(&p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("own");
	TCase *t = tcase_create("own");
	tcase_set_timeout(t, 600);
	tcase_add_test(t, a_function_of_an_own_root_filesystem_is_checked_cloned_and_kept_warm);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, suite);
}
