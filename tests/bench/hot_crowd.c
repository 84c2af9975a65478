/* SPDX-License-Identifier: MIT */
/* Of the bench `hot`: many VMs, and what they take. */
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hot.h"

#define CHILDREN 100u

/* --- many at once: as many threads as processors ask --- */

struct crowd {
	struct guest *g;
	nova_vm_t *vms[CHILDREN];
	size_t count, next; /* next: atomic */
	bool make;          /* each is taken, asked and dropped; else those in `vms` are asked */
	int failed;         /* atomic */
	struct shot *shot;
};

static int serve(struct crowd *c, size_t i)
{
	if (!c->make)
		return guest_answer(c->vms[i], NULL);
	nova_vm_t *vm;
	int r = guest_take(c->g, NULL, &vm, NULL);
	if (r < 0)
		return r;
	r = guest_answer(vm, NULL);
	if (i == 0)
		hot_note_way(c->shot, vm);
	guest_drop(c->g, vm);
	return r;
}

static void *serve_all(void *argument)
{
	struct crowd *c = argument;
	for (;;) {
		size_t i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED);
		if (i >= c->count)
			return NULL;
		if (serve(c, i) < 0)
			__atomic_store_n(&c->failed, 1, __ATOMIC_RELAXED);
	}
}

static int serve_side_by_side(struct crowd *c, nova_error_t **error)
{
	pthread_t threads[64];
	size_t cores = sys_processors(), started = 0;
	while (started < cores && started < ARRAY_LEN(threads) &&
		pthread_create(&threads[started], NULL, serve_all, c) == 0)
		started++;
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return c->failed || !started ? nova_fail(error, NOVA_EAGENT, "a VM did not answer") : 0;
}

static int burst(struct hot *h, struct shot *s, size_t count, nova_error_t **error)
{
	struct crowd c = { .g = &h->g[s->way], .count = count, .shot = s };
	uint64_t begin = clock_ns();
	int r = nova_vm_fork(h->kept[s->way], count, NULL, c.vms, error);
	if (r < 0)
		return r;
	r = serve_side_by_side(&c, error);
	s->value = bench_ms_since(begin);
	hot_note_way(s, c.vms[count - 1]);
	for (size_t i = 0; i < count; i++)
		nova_vm_free(c.vms[i]);
	return r;
}

int hot_burst_16(struct hot *h, struct shot *s, nova_error_t **error)
{
	return burst(h, s, 16, error);
}

int hot_burst_100(struct hot *h, struct shot *s, nova_error_t **error)
{
	return burst(h, s, CHILDREN, error);
}

#define RATE_EACH 4u /* VMs for each processor and sample */

int hot_rate(struct hot *h, struct shot *s, nova_error_t **error)
{
	size_t cores = sys_processors();
	struct crowd c = {
		.g = &h->g[s->way], .count = RATE_EACH * cores, .make = true, .shot = s
	};
	uint64_t begin = clock_ns();
	int r = serve_side_by_side(&c, error);
	s->value = bench_ms_since(begin) / RATE_EACH;
	return r;
}

/* --- what they take --- */

#define QUIET_US 100000
#define QUIET    20u /* times; then it never is */

/* Until a VM that has answered takes no more of a processor. */
int hot_after(struct hot *h, struct shot *s, nova_error_t **error)
{
	nova_vm_t *vm;
	int r = guest_take(&h->g[s->way], NULL, &vm, error);
	if (r < 0)
		return r;
	r = guest_answer(vm, error);
	hot_note_way(s, vm);
	uint64_t answered = vm_stat(vm, NOVA_VM_STAT_CPU_US), before = 0, now = answered;
	for (unsigned i = 0; i < QUIET && now - before > QUIET_US / 50; i++) {
		before = now;
		usleep(QUIET_US);
		now = vm_stat(vm, NOVA_VM_STAT_CPU_US);
	}
	s->value = (double)(now - answered) / 1e3;
	guest_drop(&h->g[s->way], vm);
	return r;
}

static void end_all(struct guest *g, nova_vm_t **vms, size_t count)
{
	for (size_t i = 0; i < count; i++)
		guest_drop(g, vms[i]);
}

/* Takes, asks and pauses up to `most`. Ends early, with an error, where the library or the host
 * allows no more. */
static int fill(struct hot *h, struct shot *s, nova_vm_t **vms, size_t most, size_t *ret_count,
	nova_error_t **error)
{
	int r = 0;
	for (*ret_count = 0; r == 0 && *ret_count < most;) {
		nova_vm_t *vm;
		r = guest_take(&h->g[s->way], NULL, &vm, error);
		if (r < 0)
			return r;
		vms[(*ret_count)++] = vm;
		r = guest_answer(vm, error);
		if (!s->fallback)
			hot_note_way(s, vm);
		if (r == 0)
			r = nova_vm_pause(vm, NULL, error);
	}
	return r;
}

/* What a clone takes after one call, with 100 alive (-n: fewer). */
int hot_memory(struct hot *h, struct shot *s, nova_error_t **error)
{
	nova_vm_t *vms[CHILDREN];
	size_t count, most = h->run->n && h->run->n < CHILDREN ? h->run->n : CHILDREN;
	int r = fill(h, s, vms, most, &count, error);
	for (size_t i = 0; r == 0 && i < count; i++) {
		s->value += (double)vm_stat(vms[i], NOVA_VM_STAT_PRIVATE) / 1e6 / (double)count;
		s->more += (double)vm_stat(vms[i], NOVA_VM_STAT_PSS) / 1e6 / (double)count;
	}
	end_all(&h->g[s->way], vms, count);
	return r;
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

static int ask_random_ones(nova_vm_t **vms, size_t count, double *ret_ms, nova_error_t **error)
{
	const size_t asked = count < 1000 ? count : 1000;
	uint64_t begin = clock_ns(), random = 88172645463325252u;
	int r = 0;
	for (size_t i = 0; r == 0 && i < asked; i++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		nova_vm_t *vm = vms[random % count];
		r = nova_vm_resume(vm, NULL, error);
		if (r == 0)
			r = guest_answer(vm, error);
		if (r == 0)
			r = nova_vm_pause(vm, NULL, error);
	}
	*ret_ms = bench_ms_since(begin) / (double)asked;
	return r;
}

#define LIVE_USUAL 200u /* 5,000 are asked for by NOVA_BENCH_LIVE */

static size_t live_wanted(void)
{
	const char *told = getenv("NOVA_BENCH_LIVE");
	return told && atol(told) > 0 ? (size_t)atol(told) : LIVE_USUAL;
}

/* Milliseconds for each of so many, which all live at the end; and of calls of random ones. */
int hot_live(struct hot *h, struct shot *s, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *limit = NULL;
	size_t count = 0, most = live_wanted();
	AUTO_FREE nova_vm_t **vms = calloc(most, sizeof(nova_vm_t *));
	if (!vms)
		return nova_fail(error, NOVA_ENOMEM, "no memory for %zu VMs", most);
	allow_descriptors(most);
	uint64_t begin = clock_ns();
	int r = fill(h, s, vms, most, &count, &limit);
	s->value = bench_ms_since(begin) / (double)(count ? count : 1);
	bench_note(h->run, "live, %s: %zu of %zu VMs%s%s", s->way == HOT ? "hot" : "classic", count,
		most, limit ? "; no more: " : "", limit ? nova_error_message(limit) : "");
	(void)r;
	r = count ? ask_random_ones(vms, count, &s->more, error) : 0;
	end_all(&h->g[s->way], vms, count);
	return r;
}
