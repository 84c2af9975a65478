/* SPDX-License-Identifier: MIT */
/* The first call of a new function: in a state directory that has no template at all, and, in turns
 * with it, in one whose runtime has been prepared; there also of one that was stored unchecked,
 * which the call itself imports. */
#include "guest.h"

struct times {
	struct samples all, registering, call;
};

static void times_free(struct times *t)
{
	samples_free(&t->all);
	samples_free(&t->registering);
	samples_free(&t->call);
}

/* As novactl does it: registering imports the function in a guest, too. `check` NEVER: the call
 * does. */
static int call_first(nova_t *nova, size_t i, uint32_t check, struct times *t, nova_error_t **error)
{
	AUTO_FREE char *name = str_format("first-%u-%zu", check, i);
	AUTO_FREE char *code = str_format(
		"import json\ndef handler(event):\n    return {'number': [%zu, %u]}\n", i, check);
	nova_function_opts function = NOVA_FUNCTION_OPTS_INIT;
	nova_result_t *result = NULL;
	if (!name || !code)
		return nova_oom(error);
	function.name = name;
	function.runtime = "python";
	function.code = code;
	function.code_len = strlen(code);
	function.flags = NOVA_REGISTER_TEMPLATE;
	function.check = check;
	uint64_t begin = clock_ns();
	int r = nova_function_register(nova, &function, NULL, error);
	samples_add(&t->registering, bench_ms_since(begin));
	uint64_t asked = clock_ns();
	if (r == 0)
		r = nova_invoke(nova, name, "{}", NULL, &result, error);
	samples_add(&t->call, bench_ms_since(asked));
	samples_add(&t->all, bench_ms_since(begin));
	nova_result_free(result);
	return r;
}

static int call_nowhere_prepared(size_t i, struct times *t, nova_error_t **error)
{
	AUTO_FRESH struct fresh p = { .dir = NULL };
	int r = fresh_open(&p, error);
	return r < 0 ? r : call_first(p.nova, i, NOVA_CHECK_AUTO, t, error);
}

static void report(const struct bench_run *run, const char *name, struct times *t, double rival)
{
	double ratio = rival > 0 ? samples_percentile(&t->all, 50) / rival : 1;
	const struct bench_extra extra[] = { { "part_of_unprepared", ratio }, { NULL, 0 } };
	bench_report(run, name, "ms", &t->all, extra);
	bench_report(run, "  registering", "ms", &t->registering, NULL);
	bench_report(run, "  the call", "ms", &t->call, NULL);
}

/* The call, and what it leaves to be done when it has been answered. */
static int call_unchecked(
	nova_t *nova, size_t i, struct times *t, struct samples *written, nova_error_t **error)
{
	int r = call_first(nova, i, NOVA_CHECK_NEVER, t, error);
	uint64_t begin = clock_ns();
	nova_pool_tick(nova_pool_get(nova));
	samples_add(written, bench_ms_since(begin));
	return r;
}

/* The zygote of the runtime is there, as another function was called before. */
static int open_hot(struct fresh *p, nova_error_t **error)
{
	CLEANUP(times_free) struct times unused = { 0 };
	int r = fresh_open_with(p, "pool.hot", "auto", error);
	if (r == 0)
		r = call_first(p->nova, 1000, NOVA_CHECK_NEVER, &unused, error);
	return r == 0 ? guest_await_zygote(p->nova, error) : r;
}

int bench_first(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_ERROR nova_error_t *no_forks = NULL;
	AUTO_FRESH struct fresh prepared = { .dir = NULL };
	AUTO_FRESH struct fresh hot = { .dir = NULL };
	CLEANUP(times_free)
	struct times without = { 0 }, with = { 0 }, unchecked = { 0 };
	CLEANUP(times_free) struct times forked = { 0 };
	AUTO_SAMPLES struct samples written = { 0 }, unused = { 0 };
	int r = fresh_open(&prepared, &error);
	if (r == 0)
		r = nova_template_prepare(prepared.nova, "python", NULL, NULL, &error);
	bool forks = r == 0 && open_hot(&hot, &no_forks) == 0;
	if (no_forks)
		bench_note(run, "no forks: %s", nova_error_message(no_forks));
	for (size_t i = 0; r == 0 && i < bench_n(run, 5); i++) {
		if (forks)
			r = call_unchecked(hot.nova, i, &forked, &unused, &error);
		if (r < 0)
			break;
		r = call_nowhere_prepared(i, &without, &error);
		if (r == 0)
			r = call_first(prepared.nova, i, NOVA_CHECK_AUTO, &with, &error);
		if (r == 0)
			r = call_unchecked(prepared.nova, i, &unchecked, &written, &error);
	}
	if (r < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	report(run, "nothing is prepared", &without, 0);
	double rival = samples_percentile(&without.all, 50);
	report(run, "the runtime's template is there", &with, rival);
	report(run, "the same, stored unchecked", &unchecked, rival);
	if (forked.all.count)
		report(run, "the same, in a fork of its runtime's zygote", &forked, rival);
	bench_report(run, "  its template is written, afterwards", "ms", &written, NULL);
	return 0;
}
