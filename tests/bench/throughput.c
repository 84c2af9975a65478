/* SPDX-License-Identifier: MIT */
/*
 * Calls a second through a queue with 1, 2, 8 and 64 calls in flight all the time: when one is
 * collected, the next is submitted. The time of a call is what its caller sees, from submitting
 * until it is collected.
 *
 * Beside it stands the processor time of a call, of the whole machine: it has to be quiet. Two
 * processors give no more than 2000 ms of it a second, so where one call in flight already has more
 * than one of them at work, two in flight cannot be twice as fast.
 *
 * There is one VM for each call in flight, up to VMS_MOST; the others wait for those. All are there
 * before anything is measured.
 */
#include <unistd.h>

#include <nova/nova.h>

#include "bench.h"
#include "guest.h"

#define VMS_MOST 8
#define CODE     "def handler(event):\n    return event\n"

struct load {
	nova_t *nova;
	nova_queue_t *queue;
	size_t in_flight;
	uint64_t begun[64]; /* of the calls in flight, one place each */
};

static int load_open(struct load *l, const char *home, const char *engine, size_t in_flight,
	nova_error_t **error)
{
	char vms[16];
	nova_config_t *config = NULL;
	*l = (struct load){ .in_flight = in_flight };
	snprintf(vms, sizeof(vms), "%zu", in_flight < VMS_MOST ? in_flight : VMS_MOST);
	int r = nova_config_new(&config, error);
	if (r == 0)
		r = nova_config_load_env(config, error);
	const char *const settings[][2] = { { "home", home }, { "engine", engine },
		{ "pool.max_vms", vms } };
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(settings); i++)
		r = nova_config_set(config, settings[i][0], settings[i][1], error);
	if (r == 0)
		r = nova_open(config, &l->nova, error);
	nova_config_free(config);
	nova_function_opts function = NOVA_FUNCTION_OPTS_INIT;
	function.name = FUNCTION;
	function.runtime = "python";
	function.code = CODE;
	function.code_len = strlen(CODE);
	function.check = NOVA_CHECK_NEVER;
	function.flags = NOVA_REGISTER_REPLACE;
	function.min_replicas = (uint32_t)(in_flight < VMS_MOST ? in_flight : VMS_MOST);
	if (r == 0)
		r = nova_function_register(l->nova, &function, NULL, error);
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	/* an eighth is kept for other functions */
	opts.threads = (uint32_t)(in_flight * 8 / 7 + 1);
	if (r == 0)
		r = nova_queue_new(l->nova, &opts, &l->queue, error);
	if (r == 0)
		nova_pool_tick(nova_pool_get(l->nova)); /* starts the VMs */
	return r;
}

static void load_close(struct load *l)
{
	nova_queue_free(l->queue);
	nova_close(l->nova);
}

static int submit(struct load *l, uint64_t *place, nova_error_t **error)
{
	*place = clock_ns();
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.userdata = place;
	return nova_queue_submit(l->queue, FUNCTION, "{\"name\":\"World\"}", &opts, NULL, error);
}

/* The place of a call that has been answered. */
static int collect(
	struct load *l, uint64_t **ret_place, struct samples *times, nova_error_t **error)
{
	nova_call_t *call;
	int r = nova_queue_collect(l->queue, UINT32_MAX, NULL, &call, error);
	if (r < 0)
		return r;
	*ret_place = nova_call_userdata(call);
	r = nova_call_code(call);
	if (r < 0)
		*error = nova_call_take_error(call);
	else if (times)
		samples_add(times, bench_ms_since(**ret_place));
	nova_call_free(call);
	return r;
}

static int run_calls(struct load *l, size_t count, struct samples *times, nova_error_t **error)
{
	size_t submitted = 0, answered = 0;
	int r = 0;
	uint64_t *place;
	for (; r == 0 && submitted < l->in_flight && submitted < count; submitted++)
		r = submit(l, &l->begun[submitted], error);
	for (; r == 0 && answered < count; answered++) {
		r = collect(l, &place, times, error);
		if (r == 0 && submitted < count) {
			r = submit(l, place, error);
			submitted++;
		}
	}
	return r;
}

/* What all processors have worked so far, ms; of the whole machine, as the VMs are no children of
 * ours. */
static double cpu_ms(void)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	unsigned long long user, nice, system, idle, waiting, irq, softirq;
	if (fs_read_file("/proc/stat", &text) < 0 || buf_append(&text, "", 1) < 0 ||
		sscanf((const char *)text.data, "cpu %llu %llu %llu %llu %llu %llu %llu", &user,
			&nice, &system, &idle, &waiting, &irq, &softirq) != 7)
		return 0;
	return (double)(user + nice + system + irq + softirq) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

/* *one: calls a second with one in flight, which the others are compared with. */
static int measure(const struct bench_run *run, const char *home, const char *engine,
	size_t in_flight, double *one, nova_error_t **error)
{
	struct load l;
	char what[64];
	AUTO_SAMPLES struct samples times = { 0 };
	size_t count = bench_n(run, 300);
	int r = load_open(&l, home, engine, in_flight, error);
	if (r == 0)
		r = run_calls(&l, 4 * in_flight, NULL, error);
	double cpu = cpu_ms();
	uint64_t start = clock_ns();
	if (r == 0)
		r = run_calls(&l, count, &times, error);
	double took = bench_ms_since(start), rate = (double)count / took * 1e3;
	cpu = cpu_ms() - cpu;
	load_close(&l);
	if (r < 0)
		return r;
	if (in_flight == 1)
		*one = rate;
	snprintf(what, sizeof(what), "%s, %zu in flight", engine, in_flight);
	const struct bench_extra extra[] = { { "calls_per_s", rate },
		{ "times_that_of_1", rate / *one }, { "cpu_ms_per_call", cpu / (double)count },
		{ "cpus_busy", cpu / took }, { NULL, 0 } };
	bench_report(run, what, "ms", &times, extra);
	return 0;
}

int bench_throughput(const struct bench_run *run)
{
	const char *const engines[] = { "fake", bench_engine() };
	static const size_t in_flight[] = { 1, 2, 8, 64 };
	int status = 0;
	bench_note(run,
		"a Python handler, forked for each call; one VM for each call in flight, at most "
		"%d",
		VMS_MOST);
	for (size_t e = 0; e < ARRAY_LEN(engines); e++) {
		AUTO_FREE char *home = bench_dir(NULL);
		AUTO_ERROR nova_error_t *error = NULL;
		double one = 0;
		int r = 0;
		for (size_t i = 0; r == 0 && i < ARRAY_LEN(in_flight); i++)
			r = measure(run, home, engines[e], in_flight[i], &one, &error);
		fs_remove_tree(home);
		if (r < 0)
			status = bench_skip(
				run, "engine %s: %s", engines[e], nova_error_message(error));
	}
	return status;
}
