/* SPDX-License-Identifier: MIT */
/* Many VMs: how fast they are made, and what they cost while they wait. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guest.h"

#define IDLE_S  5u
#define TOUCHED (16u << 20)

/* --- create-rate --- */

struct maker {
	struct guest *g;
	size_t count;
	struct samples each;
	nova_error_t *error;
};

static void *make_some(void *argument)
{
	struct maker *m = argument;
	int r = 0;
	for (size_t i = 0; r == 0 && i < m->count; i++) {
		nova_vm_t *vm;
		uint64_t begin = clock_ns();
		r = guest_take(m->g, NULL, &vm, &m->error);
		if (r < 0)
			break;
		r = guest_answer(vm, &m->error);
		samples_add(&m->each, bench_ms_since(begin));
		guest_drop(m->g, vm);
	}
	return NULL;
}

static void report_rate(
	const struct bench_run *run, struct maker *makers, size_t cores, double wall_ms)
{
	AUTO_SAMPLES struct samples all = { 0 };
	for (size_t i = 0; i < cores; i++)
		for (size_t j = 0; j < makers[i].each.count; j++)
			samples_add(&all, makers[i].each.values[j]);
	double rate = (double)all.count * 1000 / wall_ms;
	const struct bench_extra extra[] = { { "vms_a_second", rate },
		{ "vms_a_second_and_core", rate / (double)cores }, { NULL, 0 } };
	bench_report(run, "made, answered and ended, as many at once as cores", "ms", &all, extra);
}

int bench_create_rate(const struct bench_run *run)
{
	AUTO_GUEST struct guest g;
	struct maker makers[64];
	pthread_t threads[ARRAY_LEN(makers)];
	if (guest_open(run, "0", &g))
		return 1;
	size_t cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN), started = 0;
	cores = cores > ARRAY_LEN(makers) ? ARRAY_LEN(makers) : cores;
	uint64_t begin = clock_ns();
	for (; started < cores; started++) {
		makers[started] =
			(struct maker){ .g = &g, .count = (bench_n(run, 200) + cores - 1) / cores };
		if (pthread_create(&threads[started], NULL, make_some, &makers[started]) != 0)
			break;
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	double wall = bench_ms_since(begin);
	int failed = started < cores ? bench_skip(run, "no thread could be made") : 0;
	for (size_t i = 0; i < started; i++)
		if (makers[i].error)
			failed = guest_failed(&g, makers[i].error);
	if (!failed)
		report_rate(run, makers, cores, wall);
	for (size_t i = 0; i < started; i++) {
		samples_free(&makers[i].each);
		nova_error_free(makers[i].error);
	}
	return failed;
}

/* --- density --- */

struct crowd {
	struct guest *g;
	nova_vm_t **vms;
	size_t count;
	struct samples made, pss, own, cpu, touch;
	uint64_t available; /* bytes, before the first */
};

static uint64_t available_bytes(void)
{
	AUTO_BUF struct buf content = BUF_INIT(64u << 10);
	if (fs_read_file("/proc/meminfo", &content) < 0)
		return 0;
	AUTO_FREE char *text = buf_steal_str(&content);
	const char *line = text ? strstr(text, "MemAvailable:") : NULL;
	return line ? strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024u : 0;
}

/* What it takes here to get memory that nobody uses: where this is a virtual machine too, its host
 * may give each page only when it is touched, and that slows down the later clones. */
static void touch_memory(struct crowd *c)
{
	uint64_t begin = clock_ns();
	void *block = mmap(NULL, TOUCHED, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (block == MAP_FAILED)
		return;
	samples_add(&c->touch, bench_ms_since(begin));
	munmap(block, TOUCHED);
}

static int add_one(struct crowd *c, nova_error_t **error)
{
	nova_vm_t *vm;
	uint64_t begin = clock_ns();
	int r = guest_take(c->g, NULL, &vm, error);
	if (r < 0)
		return r;
	c->vms[c->count++] = vm;
	r = guest_answer(vm, error);
	samples_add(&c->made, bench_ms_since(begin));
	return r < 0 ? r : nova_vm_pause(vm, NULL, error);
}

static int cpu_of_all(struct crowd *c, double *ret_us, nova_error_t **error)
{
	uint64_t stats[NOVA_VM_STAT_CPU_US + 1];
	*ret_us = 0;
	for (size_t i = 0; i < c->count; i++) {
		int r = nova_vm_stats(c->vms[i], stats, ARRAY_LEN(stats), error);
		if (r < 0)
			return r;
		*ret_us += (double)stats[NOVA_VM_STAT_CPU_US];
	}
	return 0;
}

static int look_at_all(struct crowd *c, nova_error_t **error)
{
	uint64_t stats[NOVA_VM_STAT_CPU_US + 1];
	double before = 0, after = 0;
	int r = cpu_of_all(c, &before, error);
	uint64_t begin = clock_ns();
	sleep(IDLE_S);
	double waited_us = bench_ms_since(begin) * 1e3;
	if (r == 0)
		r = cpu_of_all(c, &after, error);
	samples_add(&c->cpu, (after - before) / waited_us * 100);
	for (size_t i = 0; r == 0 && i < c->count; i++) {
		r = nova_vm_stats(c->vms[i], stats, ARRAY_LEN(stats), error);
		samples_add(&c->pss, (double)stats[NOVA_VM_STAT_PSS] / 1e6);
		samples_add(&c->own, (double)stats[NOVA_VM_STAT_PRIVATE] / 1e6);
	}
	return r;
}

/* Before the samples are sorted. */
static void first_and_last(const struct crowd *c, struct samples *first, struct samples *last)
{
	size_t ten = c->count < 20 ? c->count / 2 : 10;
	for (size_t i = 0; i < ten; i++) {
		samples_add(first, c->made.values[i]);
		samples_add(last, c->made.values[c->made.count - ten + i]);
	}
}

static void report_crowd(const struct bench_run *run, struct crowd *c)
{
	AUTO_SAMPLES struct samples first = { 0 }, last = { 0 }, by_host = { 0 };
	first_and_last(c, &first, &last);
	samples_add(&by_host,
		((double)c->available - (double)available_bytes()) / 1e6 / (double)c->count);
	double p50 = samples_percentile(&first, 50);
	const struct bench_extra slower[] = {
		{ "by_the_first", p50 > 0 ? samples_percentile(&last, 50) / p50 : 0 }, { NULL, 0 }
	};
	const struct bench_extra clones[] = { { "clones", (double)c->count }, { NULL, 0 } };
	bench_report(run, "memory each, by MemAvailable", "MB", &by_host, clones);
	bench_report(run, "memory each, by PSS", "MB", &c->pss, clones);
	bench_report(run, "memory each, private", "MB", &c->own, clones);
	bench_report(run, "CPU of all, paused", "% of a core", &c->cpu, clones);
	bench_report(run, "made and answered", "ms", &c->made, clones);
	bench_report(run, "  the first ten", "ms", &first, NULL);
	bench_report(run, "  the last ten", "ms", &last, slower);
	double touch_first = c->touch.count ? c->touch.values[0] : 0,
	       touch_last = c->touch.count > 1 ? c->touch.values[1] : 0;
	const struct bench_extra dearer[] = { { "first", touch_first }, { "last", touch_last },
		{ NULL, 0 } };
	bench_report(run, "16 MB of memory from this host", "ms", &c->touch, dearer);
}

/* Each VM takes about ten descriptors of its host program. */
static void allow_descriptors(size_t vms)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	rlim_t wanted = vms * 16 + 256;
	limit.rlim_cur = limit.rlim_cur > wanted ? limit.rlim_cur : wanted;
	limit.rlim_max = limit.rlim_max > wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void crowd_free(struct crowd *c)
{
	for (size_t i = 0; i < c->count; i++)
		guest_drop(c->g, c->vms[i]);
	samples_free(&c->made);
	samples_free(&c->pss);
	samples_free(&c->own);
	samples_free(&c->cpu);
	samples_free(&c->touch);
	free(c->vms);
}

int bench_density(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	size_t wanted = bench_n(run, 100);
	allow_descriptors(wanted);
	if (guest_open(run, "0", &g))
		return 1;
	CLEANUP(crowd_free)
	struct crowd c = {
		.g = &g, .vms = calloc(wanted, sizeof(nova_vm_t *)), .available = available_bytes()
	};
	int r = c.vms ? 0 : nova_fail(&error, NOVA_ENOMEM, "no memory for %zu clones", wanted);
	touch_memory(&c);
	while (r == 0 && c.count < wanted)
		r = add_one(&c, &error);
	touch_memory(&c);
	if (r == 0)
		r = look_at_all(&c, &error);
	if (r < 0)
		bench_note(run, "ended after %zu clones", c.count);
	if (r < 0)
		return guest_failed(&g, error);
	report_crowd(run, &c);
	return 0;
}
