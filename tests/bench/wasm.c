/* SPDX-License-Identifier: MIT */
/* The first call of a module of WebAssembly, its template included: compiled for it, and, in turns
 * with it, given the machine code that is kept. */
#include <errno.h>

#include "guest.h"

#define FUNCTIONS 300 /* of the module */

/* A module of some size, as text. */
static char *make_module(void)
{
	AUTO_BUF struct buf text = BUF_INIT(1u << 20);
	int r = buf_append_str(&text, "(module (func (export \"_start\"))");
	for (int i = 0; r == 0 && i < FUNCTIONS; i++) {
		AUTO_FREE char *function = str_format(
			"(func (export \"f%d\") (param i32 i64) (result i64) (local i64) (loop "
			"(local.set 2 (i64.rotl (i64.mul (local.get 1) (i64.const %d)) (local.get "
			"2))) (br_if 0 (i32.lt_u (local.get 0) (i32.wrap_i64 (local.get 2))))) "
			"(local.get 2))",
			i, 2 * i + 1);
		r = function ? buf_append_str(&text, function) : -ENOMEM;
	}
	if (r == 0)
		r = buf_append_str(&text, ")");
	return r < 0 ? NULL : buf_steal_str(&text);
}

/* A variable of its own makes another template of the same code. */
static int call_first(const struct fresh *p, const char *module, size_t i, struct samples *t,
	nova_error_t **error)
{
	AUTO_FREE char *number = str_format("NUMBER=%zu", i);
	const char *const env[] = { number };
	nova_function_opts function = NOVA_FUNCTION_OPTS_INIT;
	nova_result_t *result = NULL;
	function.name = "module";
	function.runtime = "wasm";
	function.code = module;
	function.code_len = strlen(module);
	function.timeout_s = 600;
	function.env = env;
	function.env_count = 1;
	function.flags = NOVA_REGISTER_REPLACE;
	int r = nova_function_register(p->nova, &function, NULL, error);
	uint64_t begin = clock_ns();
	if (r == 0)
		r = nova_invoke(p->nova, "module", "{}", NULL, &result, error);
	samples_add(t, bench_ms_since(begin));
	nova_result_free(result);
	return r;
}

int bench_wasm(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_FRESH struct fresh p = { .dir = NULL };
	AUTO_SAMPLES struct samples without = { 0 }, with = { 0 };
	AUTO_FREE char *module = make_module();
	int r = module ? fresh_open(&p, &error) : nova_oom(&error);
	if (r == 0)
		r = nova_template_prepare(p.nova, "wasm", NULL, NULL, &error);
	AUTO_FREE char *compiled = r == 0 ? path_join(p.dir, "compiled") : NULL;
	for (size_t i = 0; r == 0 && i < bench_n(run, 5); i++) {
		fs_remove_tree(compiled);
		r = call_first(&p, module, 2 * i, &without, &error);
		if (r == 0)
			r = call_first(&p, module, 2 * i + 1, &with, &error);
	}
	if (r < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	double rival = samples_percentile(&without, 50);
	const struct bench_extra extra[] = {
		{ "part_of_compiling", rival > 0 ? samples_percentile(&with, 50) / rival : 0 },
		{ NULL, 0 },
	};
	bench_report(run, "the module is compiled", "ms", &without, NULL);
	bench_report(run, "its machine code is there", "ms", &with, extra);
	return 0;
}
