/* SPDX-License-Identifier: MIT */
/* From a call to its answer: with nothing but a template on disk, with a VMM on standby, and in a
 * VM that waits; rivals in turns with the first. */
#include <unistd.h>

#include "guest.h"

struct parts {
	struct samples total, start, boot, exec, open, close;
};

static void parts_free(struct parts *p)
{
	samples_free(&p->total);
	samples_free(&p->start);
	samples_free(&p->boot);
	samples_free(&p->exec);
	samples_free(&p->open);
	samples_free(&p->close);
}

static int call(struct guest *g, struct parts *p, bool cold, nova_error_t **error)
{
	nova_result_t *result = NULL;
	uint64_t begin = clock_ns();
	int r = guest_call(g, &result, error);
	samples_add(&p->total, bench_ms_since(begin));
	if (r == 0 && nova_result_cold_start(result) != cold)
		r = nova_fail(error, NOVA_EAGENT, "the call was %s", cold ? "warm" : "cold");
	if (r == 0) {
		samples_add(
			&p->start, (double)nova_result_timing_us(result, NOVA_TIMING_START) / 1e3);
		samples_add(
			&p->boot, (double)nova_result_timing_us(result, NOVA_TIMING_BOOT) / 1e3);
		samples_add(
			&p->exec, (double)nova_result_timing_us(result, NOVA_TIMING_EXEC) / 1e3);
	}
	nova_result_free(result);
	return r;
}

static void report_parts(const struct bench_run *run, struct parts *p, const char *name)
{
	bench_report(run, name, "ms", &p->total, NULL);
	bench_report(run, "  VMM started and answering", "ms", &p->start, NULL);
	bench_report(run, "  state loaded, guest introduced", "ms", &p->boot, NULL);
	bench_report(run, "  request to answer", "ms", &p->exec, NULL);
}

int bench_cold(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	CLEANUP(parts_free) struct parts p = { 0 };
	if (guest_open(run, "0", &g))
		return 1;
	AUTO_RIVALS struct rivals rivals;
	rivals_open(&g, &rivals);
	for (size_t i = 0; i < bench_n(run, 50); i++) {
		nova_close(STEAL(g.nova));
		uint64_t begin = clock_ns();
		int r = guest_renew(&g, &error);
		samples_add(&p.open, bench_ms_since(begin));
		if (r == 0)
			r = call(&g, &p, true, &error);
		if (r < 0)
			return guest_failed(&g, error);
		rivals_run(&g, &rivals, i);
	}
	report_parts(run, &p, "template on disk, nothing running");
	bench_report(run, "nova_open (not in the above)", "ms", &p.open, NULL);
	rivals_report(&g, &rivals, samples_percentile(&p.total, 50));
	return 0;
}

#define STANDBY_UP_US 150000 /* a VMM needs about 15 ms of a processor to come up */

/* One call with the VMM that the last tick has put on standby. The next one is started outside of
 * the clock. */
static int call_standby(struct guest *g, struct parts *p, nova_error_t **error)
{
	nova_vm_t *vm;
	uint64_t begin = clock_ns();
	int r = guest_take(g, "shell", &vm, error);
	if (r < 0)
		return r;
	uint64_t asked = clock_ns();
	r = guest_answer(vm, error);
	samples_add(&p->total, bench_ms_since(begin));
	samples_add(&p->exec, bench_ms_since(asked));
	samples_add(&p->start, (double)vm_stat(vm, NOVA_VM_STAT_START_US) / 1e3);
	samples_add(&p->boot, (double)vm_stat(vm, NOVA_VM_STAT_BOOT_US) / 1e3);
	guest_drop(g, vm);
	nova_pool_tick(nova_pool_get(g->nova));
	usleep(STANDBY_UP_US);
	return r;
}

int bench_standby(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	CLEANUP(parts_free) struct parts p = { 0 };
	if (guest_open(run, "1", &g))
		return 1;
	for (size_t i = 0; i <= bench_n(run, 50); i++) {
		if (i == 1)
			parts_free(&p); /* the first call had no shell */
		if (call_standby(&g, &p, &error) < 0)
			return guest_failed(&g, error);
	}
	report_parts(run, &p, "VMM on standby");
	return 0;
}

/* --- a VM that has answered before --- */

#define IN_PLACE "in-place"
/* of a caller that has something to do between calls: the guest clears up behind a fork, and makes
 * the next one */
#define BREATH_US 30000
#define WARMING   20 /* calls before the clock: the emulator has translated the code then */

static const char in_place_code[] = "__nova_in_place__ = True\ndef handler(event):\n    return "
				    "{'sum': sum(event['numbers'])}\n";

static int add_in_place(struct guest *g, nova_error_t **error)
{
	nova_function_opts function = NOVA_FUNCTION_OPTS_INIT;
	function.name = IN_PLACE;
	function.runtime = "python";
	function.code = in_place_code;
	function.code_len = strlen(in_place_code);
	function.check = NOVA_CHECK_NEVER;
	return nova_function_register(g->nova, &function, NULL, error);
}

struct warm {
	struct samples total, exec, guest;
};

static void warm_free(struct warm *w)
{
	samples_free(&w->total);
	samples_free(&w->exec);
	samples_free(&w->guest);
}

static int call_warm(struct guest *g, const char *function, struct warm *w, nova_error_t **error)
{
	static const char payload[] = "{\"numbers\":[1,2,3]}";
	nova_result_t *result = NULL;
	uint64_t begin = clock_ns();
	int r = nova_invoke(g->nova, function, payload, NULL, &result, error);
	samples_add(&w->total, bench_ms_since(begin));
	if (r == 0) {
		samples_add(
			&w->exec, (double)nova_result_timing_us(result, NOVA_TIMING_EXEC) / 1e3);
		samples_add(
			&w->guest, (double)nova_result_timing_us(result, NOVA_TIMING_GUEST) / 1e3);
	}
	nova_result_free(result);
	return r;
}

/* *in_place: the median of the first case, which the others are compared with. */
static int warm_case(struct guest *g, const char *function, const char *name, useconds_t breath_us,
	size_t n, double *in_place)
{
	AUTO_ERROR nova_error_t *error = NULL;
	CLEANUP(warm_free) struct warm w = { 0 };
	for (size_t i = 0; i < n + WARMING; i++) {
		if (i == WARMING)
			warm_free(&w);
		if (call_warm(g, function, &w, &error) < 0)
			return guest_failed(g, error);
		if (breath_us)
			usleep(breath_us);
	}
	double median = samples_percentile(&w.total, 50);
	const struct bench_extra extra[] = {
		{ "ratio_to_in_place", *in_place ? median / *in_place : 1 }, { NULL, 0 }
	};
	if (!*in_place)
		*in_place = median;
	bench_report(g->run, name, "ms", &w.total, extra);
	bench_report(g->run, "  request to answer", "ms", &w.exec, NULL);
	bench_report(g->run, "  the agent's part of that", "ms", &w.guest, NULL);
	return 0;
}

int bench_warm(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	size_t n = bench_n(run, 300);
	double in_place = 0;
	if (guest_open(run, "0", &g))
		return 1;
	if (add_in_place(&g, &error) < 0)
		return guest_failed(&g, error);
	int failed = warm_case(&g, IN_PLACE, "in place, back to back", 0, n, &in_place);
	failed |= warm_case(
		&g, FUNCTION, "a fork for each call, 30 ms between calls", BREATH_US, n, &in_place);
	return failed |
	       warm_case(&g, FUNCTION, "a fork for each call, back to back", 0, n, &in_place);
}

/* Until the VM that waits is paused; by then its agent has cleared up after the last call. */
static int await_pause(struct guest *g, nova_error_t **error)
{
	nova_pool_t *pool = nova_pool_get(g->nova);
	struct pollfd p = { nova_pool_fd(pool), POLLIN, 0 };
	if (p.fd < 0)
		return nova_fail(error, NOVA_EIO, "no descriptor of the pool");
	while (pool_counter(pool, NOVA_POOL_PAUSED) == 0) {
		sys_poll(&p, 1, 1000);
		nova_pool_tick(pool);
	}
	return 0;
}

static int call_once(
	struct guest *g, struct samples *total, struct samples *queue, nova_error_t **error)
{
	nova_result_t *result = NULL;
	uint64_t begin = clock_ns();
	int r = guest_call(g, &result, error);
	samples_add(total, bench_ms_since(begin));
	samples_add(queue, (double)nova_result_timing_us(result, NOVA_TIMING_QUEUE) / 1e3);
	nova_result_free(result);
	return r;
}

/* A pause of the caller makes a difference too, so both calls come after one. */
#define SAME_PAUSE_US 110000

int bench_resume(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	AUTO_SAMPLES struct samples running = { 0 }, paused = { 0 }, take_running = { 0 },
				    take_paused = { 0 };
	if (guest_open(run, "0", &g))
		return 1;
	for (size_t i = 0; i < bench_n(run, 200); i++) {
		usleep(SAME_PAUSE_US);
		int r = call_once(&g, &running, &take_running, &error);
		if (r == 0)
			r = await_pause(&g, &error);
		if (r == 0)
			r = call_once(&g, &paused, &take_paused, &error);
		if (r < 0)
			return guest_failed(&g, error);
	}
	double more = samples_percentile(&paused, 50) - samples_percentile(&running, 50);
	const struct bench_extra extra[] = { { "more_than_running_ms", more }, { NULL, 0 } };
	bench_report(run, "call in a paused VM", "ms", &paused, extra);
	bench_report(run, "call in a VM that runs, after as long a rest", "ms", &running, NULL);
	bench_report(run, "  of it: out of the pool, paused", "ms", &take_paused, NULL);
	bench_report(run, "  of it: out of the pool, running", "ms", &take_running, NULL);
	return 0;
}
