/* SPDX-License-Identifier: MIT */
/* Forks of a VM that runs: one at a time, and in bursts. */
#include <pthread.h>
#include <unistd.h>

#include "guest.h"

#define BURST_MOST        100u
#define SHELL_COMES_UP_MS 100u

/* A VM with the function in use: it has answered calls of its own. */
static int take_parent(struct guest *g, nova_vm_t **ret_vm, nova_error_t **error)
{
	int r = guest_take(g, NULL, ret_vm, error);
	for (int i = 0; r == 0 && i < 3; i++)
		r = guest_answer(*ret_vm, error);
	return r;
}

static int fork_once(
	nova_vm_t *parent, struct samples *pause, struct samples *child, nova_error_t **error)
{
	nova_vm_t *vm;
	uint64_t begin = clock_ns();
	int r = nova_vm_fork(parent, 1, NULL, &vm, error);
	if (r < 0)
		return r;
	r = guest_answer(vm, error);
	samples_add(child, bench_ms_since(begin));
	samples_add(pause, (double)vm_stat(parent, NOVA_VM_STAT_STOOD_STILL_US) / 1e3);
	nova_vm_free(vm);
	return r < 0 ? r : guest_answer(parent, error);
}

int bench_fork(const struct bench_run *run)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_GUEST struct guest g;
	AUTO_SAMPLES struct samples pause = { 0 }, child = { 0 }, from_shell = { 0 };
	nova_vm_t *parent = NULL;
	if (guest_open(run, "0", &g))
		return 1;
	int r = take_parent(&g, &parent, &error);
	for (size_t i = 0; r == 0 && i < bench_n(run, 50); i++)
		r = fork_once(parent, &pause, &child, &error);
	for (size_t i = 0; r == 0 && i < bench_n(run, 50); i++) {
		r = nova_vm_park(parent, 1, 0, NULL, &error);
		usleep(SHELL_COMES_UP_MS * 1000);
		if (r == 0)
			r = fork_once(parent, &pause, &from_shell, &error);
	}
	if (parent)
		guest_drop(&g, parent);
	if (r < 0)
		return guest_failed(&g, error);
	bench_report(run, "pause", "ms", &pause, NULL);
	bench_report(run, "child", "ms", &child, NULL);
	bench_report(run, "child, from a shell", "ms", &from_shell, NULL);
	return 0;
}

/* --- bursts: as many threads as cores ask the children --- */

struct burst {
	nova_vm_t *children[BURST_MOST];
	double answered[BURST_MOST];
	size_t count, next; /* next: atomic */
	uint64_t begin;
	int failed; /* atomic */
};

static void *ask_children(void *argument)
{
	struct burst *b = argument;
	for (;;) {
		size_t i = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED);
		if (i >= b->count)
			return NULL;
		if (guest_answer(b->children[i], NULL) < 0)
			__atomic_store_n(&b->failed, 1, __ATOMIC_RELAXED);
		b->answered[i] = bench_ms_since(b->begin);
	}
}

static int burst_once(nova_vm_t *parent, struct burst *b, struct samples *wall,
	struct samples *each, nova_error_t **error)
{
	pthread_t threads[16];
	size_t cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN), started = 0;
	b->next = 0;
	b->begin = clock_ns();
	int r = nova_vm_fork(parent, b->count, NULL, b->children, error);
	if (r < 0)
		return r;
	while (started < cores && started < ARRAY_LEN(threads) &&
		pthread_create(&threads[started], NULL, ask_children, b) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	samples_add(wall, bench_ms_since(b->begin));
	for (size_t i = 0; i < b->count; i++) {
		samples_add(each, b->answered[i]);
		nova_vm_free(b->children[i]);
	}
	return b->failed || !started ? nova_fail(error, NOVA_EAGENT, "a child did not answer") : 0;
}

static int bursts_of(struct guest *g, size_t count, size_t times)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_SAMPLES struct samples wall = { 0 }, each = { 0 };
	nova_vm_t *parent = NULL;
	struct burst b = { .count = count };
	int r = take_parent(g, &parent, &error);
	for (size_t i = 0; r == 0 && i < times; i++)
		r = burst_once(parent, &b, &wall, &each, &error);
	if (parent)
		guest_drop(g, parent);
	if (r < 0)
		return guest_failed(g, error);
	AUTO_FREE char *wall_name = str_format("wall, %zu at once", count),
		       *each_name = str_format("  each child, %zu at once", count);
	const struct bench_extra extra[] = {
		{ "ms_a_child", samples_percentile(&wall, 50) / (double)count }, { NULL, 0 }
	};
	bench_report(g->run, wall_name, "ms", &wall, extra);
	bench_report(g->run, each_name, "ms", &each, NULL);
	return 0;
}

int bench_burst(const struct bench_run *run)
{
	AUTO_GUEST struct guest g;
	if (guest_open(run, "0", &g))
		return 1;
	int failed = bursts_of(&g, 16, bench_n(run, 10));
	return failed | bursts_of(&g, BURST_MOST, bench_n(run, 3));
}
