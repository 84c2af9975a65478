/* SPDX-License-Identifier: MIT */
/* Code that is run once, against a cold call of the same code as a function, in turns; and, where
 * VMs can be forked, in a fork of a zygote of its runtime. */
#include "guest.h"

static const char payload[] = "{\"numbers\":[1,2,3]}";

struct parts {
	struct samples total, disk, start, init, exec;
};

static void parts_free(struct parts *p)
{
	struct samples *const all[] = { &p->total, &p->disk, &p->start, &p->init, &p->exec };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		samples_free(all[i]);
}

static void add(struct samples *s, const nova_result_t *result, int timing, int other)
{
	uint64_t us = nova_result_timing_us(result, timing);
	us += other >= 0 ? nova_result_timing_us(result, other) : 0;
	samples_add(s, (double)us / 1e3);
}

static void take(struct parts *p, const nova_result_t *result, uint64_t begin)
{
	samples_add(&p->total, bench_ms_since(begin));
	add(&p->disk, result, NOVA_TIMING_LOOKUP, -1);
	add(&p->start, result, NOVA_TIMING_START, NOVA_TIMING_BOOT);
	add(&p->init, result, NOVA_TIMING_INIT, -1);
	add(&p->exec, result, NOVA_TIMING_EXEC, -1);
}

/* In a context where the runtime's zygote stands. One that went another way is no sample. */
static int once_hot(
	struct guest *g, const char *code, struct parts *p, size_t *fallbacks, nova_error_t **error)
{
	nova_run_opts opts = NOVA_RUN_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.input = payload;
	uint64_t begin = clock_ns();
	int r = nova_run(g->nova, "python", code, &opts, &result, error);
	if (r == 0 && !strcmp(nova_result_path(result), "hot"))
		take(p, result, begin);
	else
		*fallbacks += r == 0;
	nova_result_free(result);
	nova_pool_tick(nova_pool_get(g->nova));
	return r;
}

/* Whether there is such a context. */
static bool open_hot(struct guest *g, const char *code, struct guest *ret)
{
	static const char *const hot[][2] = { { "pool.hot", "auto" } };
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(parts_free) struct parts unused = { 0 };
	size_t first = 0;
	int r = guest_beside(g, hot, 1, ret, &error);
	if (r == 0)
		r = once_hot(ret, code, &unused, &first, &error);
	if (r == 0)
		r = guest_await_zygote(ret->nova, &error);
	if (r < 0)
		bench_note(g->run, "no forks: %s", nova_error_message(error));
	return r == 0;
}

/* With nothing but the templates on disk. `code` NULL: the function that is registered. */
static int once(struct guest *g, const char *code, struct parts *p, nova_error_t **error)
{
	nova_run_opts opts = NOVA_RUN_OPTS_INIT;
	nova_result_t *result = NULL;
	opts.input = payload;
	nova_close(STEAL(g->nova));
	int r = guest_renew(g, error);
	uint64_t begin = clock_ns();
	if (r == 0)
		r = code ? nova_run(g->nova, "python", code, &opts, &result, error) :
			   guest_call(g, &result, error);
	if (r == 0)
		take(p, result, begin);
	nova_result_free(result);
	return r;
}

static void report(const struct bench_run *run, struct parts *p, const char *name, double rival)
{
	const struct bench_extra extra[] = {
		{ "ratio", rival > 0 ? samples_percentile(&p->total, 50) / rival : 1 }, { NULL, 0 }
	};
	bench_report(run, name, "ms", &p->total, rival > 0 ? extra : NULL);
	bench_report(run, "  code disk made, or function found", "ms", &p->disk, NULL);
	bench_report(run, "  clone, up to its agent", "ms", &p->start, NULL);
	bench_report(run, "  code found and imported", "ms", &p->init, NULL);
	bench_report(run, "  request to answer", "ms", &p->exec, NULL);
}

int bench_once(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	CLEANUP(parts_free) struct parts runs = { 0 };
	CLEANUP(parts_free) struct parts calls = { 0 };
	CLEANUP(parts_free) struct parts forks = { 0 };
	struct guest hot;
	size_t fallbacks = 0;
	AUTO_BUF struct buf code = BUF_INIT(1u << 16);
	if (guest_open(run, "0", &g))
		return 1;
	if (fs_read_file(g.code, &code) < 0 || buf_append(&code, "", 1) < 0)
		return bench_skip(run, "the code cannot be read");
	bool forked = open_hot(&g, (char *)code.data, &hot);
	int r = 0;
	for (size_t i = 0; r == 0 && i < bench_n(run, 30); i++) {
		r = once(&g, (char *)code.data, &runs, &error);
		if (r == 0)
			r = once(&g, NULL, &calls, &error);
		if (r == 0 && forked)
			r = once_hot(&hot, (char *)code.data, &forks, &fallbacks, &error);
	}
	if (forked)
		guest_leave(&hot);
	if (r < 0)
		return guest_failed(&g, error);
	double cold = samples_percentile(&calls.total, 50);
	report(run, &calls, "cold call of a registered function", 0);
	report(run, &runs, "the same code, run once", cold);
	if (forks.total.count)
		report(run, &forks, "the same, in a fork of its runtime's zygote", cold);
	if (fallbacks)
		bench_note(run, "%zu went the classic way", fallbacks);
	return 0;
}
