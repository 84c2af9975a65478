/* SPDX-License-Identifier: MIT */
/* Many callers at once: of one function that is cold, and of more functions than the pool holds. */
#include <pthread.h>

#include <nova/nova.h>

#include "guest.h"

#define CALLERS   200u
#define FUNCTIONS 50u
#define THREADS   64u
#define ROOM      "20"

struct storm {
	const struct bench_run *run;
	char *dir;
	nova_config_t *config;
	nova_t *nova;
};

static int open_storm(
	struct storm *s, const char *engine, const char *max_vms, nova_error_t **error)
{
	const char *const settings[][2] = { { "home", s->dir }, { "engine", engine },
		{ "pool.max_vms", max_vms } };
	int r = nova_config_new(&s->config, error);
	if (r == 0)
		r = nova_config_load_env(s->config, error);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(settings); i++)
		r = nova_config_set(s->config, settings[i][0], settings[i][1], error);
	return r == 0 ? nova_open(s->config, &s->nova, error) : r;
}

static void close_storm(struct storm *s)
{
	nova_close(s->nova);
	nova_config_free(s->config);
	if (s->dir)
		fs_remove_tree(s->dir);
	free(s->dir);
}

static int put(struct storm *s, const char *name, const char *runtime, const char *code,
	nova_error_t **error)
{
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = runtime;
	o.code = code;
	o.code_len = strlen(code);
	o.check = NOVA_CHECK_NEVER;
	return nova_function_register(s->nova, &o, NULL, error);
}

struct caller {
	struct storm *s;
	pthread_t thread;
	uint64_t seed;
	size_t calls, cold, failed;
	bool drawn; /* which function: else always the first */
	struct samples ms[FUNCTIONS];
	char why[200];
};

/* The first functions are called more often: of two draws the smaller one. */
static size_t draw(struct caller *c)
{
	size_t least = FUNCTIONS;
	for (int i = 0; i < 2; i++) {
		c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
		size_t drawn = (c->seed >> 33) % FUNCTIONS;
		least = drawn < least ? drawn : least;
	}
	return least;
}

static void *call(void *argument)
{
	struct caller *c = argument;
	for (size_t i = 0; i < c->calls; i++) {
		char name[24];
		size_t which = c->drawn ? draw(c) : 0;
		AUTO_ERROR nova_error_t *error = NULL;
		nova_result_t *result = NULL;
		snprintf(name, sizeof(name), "f%zu", which);
		uint64_t begin = clock_ns();
		if (nova_invoke(c->s->nova, name, "{}", NULL, &result, &error) < 0) {
			c->failed++;
			snprintf(c->why, sizeof(c->why), "%s", nova_error_message(error));
		}
		samples_add(&c->ms[which], bench_ms_since(begin));
		c->cold += result && nova_result_cold_start(result);
		nova_result_free(result);
	}
	return NULL;
}

struct outcome {
	struct samples all, of_function[FUNCTIONS];
	size_t cold, failed;
	double wall_ms;
	char why[200];
};

static void outcome_free(struct outcome *o)
{
	samples_free(&o->all);
	for (size_t i = 0; i < FUNCTIONS; i++)
		samples_free(&o->of_function[i]);
}

static void add_caller(struct outcome *o, struct caller *c)
{
	o->cold += c->cold;
	o->failed += c->failed;
	if (*c->why)
		memcpy(o->why, c->why, sizeof(o->why));
	for (size_t f = 0; f < FUNCTIONS; f++) {
		for (size_t i = 0; i < c->ms[f].count; i++) {
			samples_add(&o->all, c->ms[f].values[i]);
			samples_add(&o->of_function[f], c->ms[f].values[i]);
		}
		samples_free(&c->ms[f]);
	}
}

static int run_callers(struct storm *s, size_t count, size_t calls, bool drawn, struct outcome *o)
{
	struct caller *callers = calloc(count, sizeof(*callers));
	size_t started = 0;
	uint64_t begin = clock_ns();
	for (; callers && started < count; started++) {
		callers[started] = (struct caller){
			.s = s, .seed = started + 1, .calls = calls, .drawn = drawn
		};
		if (pthread_create(&callers[started].thread, NULL, call, &callers[started]) != 0)
			break;
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(callers[i].thread, NULL);
	o->wall_ms = bench_ms_since(begin);
	for (size_t i = 0; i < started; i++)
		add_caller(o, &callers[i]);
	free(callers);
	return started == count ? 0 : bench_skip(s->run, "no thread could be made");
}

/* --- one cold function --- */

static int cold_function(const struct bench_run *run, const char *engine)
{
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(close_storm) struct storm s = { .run = run, .dir = bench_dir(NULL) };
	CLEANUP(outcome_free) struct outcome o = { 0 };
	int r = s.dir ? open_storm(&s, engine, ROOM, &error) : nova_oom(&error);
	if (r == 0)
		r = put(&s, "f0", "python", "def handler(event):\n    return 7\n", &error);
	if (r < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	if (run_callers(&s, CALLERS, 1, false, &o))
		return 1;
	nova_pool_t *pool = nova_pool_get(s.nova);
	AUTO_FREE char *name =
		str_format("%u callers of one cold function, %s, room for " ROOM, CALLERS, engine);
	const struct bench_extra extra[] = {
		{ "errors", (double)o.failed },
		{ "vms", (double)pool_counter(pool, NOVA_POOL_MISSES) },
		{ "from_template", (double)pool_counter(pool, NOVA_POOL_TEMPLATE_STARTS) },
		{ "wall_ms", o.wall_ms },
		{ NULL, 0 },
	};
	bench_report(run, name, "ms", &o.all, extra);
	return o.failed ? bench_skip(run, "%s", o.why) : 0;
}

/* --- more functions than room --- */

/* How evenly the functions are served: 1 if their mean times are the same, 1/50 if one of them gets
 * it all. */
static double fairness(const struct outcome *o)
{
	double sum = 0, squares = 0;
	for (size_t f = 0; f < FUNCTIONS; f++) {
		double mean = 0;
		for (size_t i = 0; i < o->of_function[f].count; i++)
			mean += o->of_function[f].values[i] / (double)o->of_function[f].count;
		sum += mean;
		squares += mean * mean;
	}
	return squares > 0 ? sum * sum / (FUNCTIONS * squares) : 0;
}

static double worst_p99(struct outcome *o)
{
	double worst = 0;
	for (size_t f = 0; f < FUNCTIONS; f++) {
		double p99 = samples_percentile(&o->of_function[f], 99);
		worst = p99 > worst ? p99 : worst;
	}
	return worst;
}

static int many_functions(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(close_storm) struct storm s = { .run = run, .dir = bench_dir(NULL) };
	CLEANUP(outcome_free) struct outcome o = { 0 };
	size_t calls = bench_n(run, 6400) / THREADS + 1;
	int r = s.dir ? open_storm(&s, "fake", ROOM, &error) : nova_oom(&error);
	for (size_t i = 0; r == 0 && i < FUNCTIONS; i++) {
		char name[24];
		snprintf(name, sizeof(name), "f%zu", i);
		r = put(&s, name, "shell", "echo 7\n", &error);
	}
	if (r < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	if (run_callers(&s, THREADS, calls, true, &o))
		return 1;
	const struct bench_extra extra[] = {
		{ "errors", (double)o.failed },
		{ "share_cold", (double)o.cold / (double)o.all.count },
		{ "fairness", fairness(&o) },
		{ "worst_p99_ms", worst_p99(&o) },
		{ "calls_a_second", (double)o.all.count * 1000 / o.wall_ms },
		{ NULL, 0 },
	};
	bench_report(run, "64 callers of 50 functions, fake, room for " ROOM, "ms", &o.all, extra);
	return o.failed ? bench_skip(run, "%s", o.why) : 0;
}

int bench_storm(const struct bench_run *run)
{
	bench_note(
		run, "cold functions: nothing is on disk but the function, and the VMM's images");
	return cold_function(run, "fake") | many_functions(run) |
	       cold_function(run, bench_engine());
}
