/* SPDX-License-Identifier: MIT */
/*
 * What the pool itself costs, with 1, 100 and 10,000 VMs that wait. A VM of the fake engine is a
 * process with three descriptors, and this host has neither for ten thousand; so the VMs are
 * stand-ins: handles without a machine, but with a process that lives, of which the pool asks as of
 * any other.
 */
#include <unistd.h>

#include <nova/nova.h>

#include "pool/internal.h"
#include "vm/object.h"

#include "bench.h"

static bool standing_in;
static int pidfd = -1; /* of this process */

static int pidfd_of(const struct machine *m)
{
	(void)m;
	return pidfd;
}

static void leave_alone(struct machine *m)
{
	(void)m;
}

static const struct engine_ops stand_in = {
	.name = "stand-in",
	.kill = leave_alone,
	.end_fd = pidfd_of,
};

int __real_vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
int __wrap_vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
int __wrap_vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	if (!standing_in)
		return __real_vm_start(host, spec, stop, ret_vm, error);
	nova_vm_t *vm = calloc(1, sizeof(*vm));
	if (!vm || !(vm->machine = calloc(1, sizeof(*vm->machine)))) {
		free(vm);
		return nova_oom(error);
	}
	pthread_mutex_init(&vm->end_lock, NULL);
	vm->host = host; /* which outlives it */
	vm->ops = &stand_in;
	vm->state = NOVA_VM_RUNNING;
	*ret_vm = vm;
	return 0;
}

void __real_nova_vm_free(nova_vm_t *vm);
void __wrap_nova_vm_free(nova_vm_t *vm);
void __wrap_nova_vm_free(nova_vm_t *vm)
{
	if (!standing_in) {
		__real_nova_vm_free(vm);
		return;
	}
	pthread_mutex_destroy(&vm->end_lock);
	free(vm->machine);
	free(vm);
}

/* All VMs of one kind, or a kind each. */
struct layout {
	const char *name;
	bool one_kind;
	size_t vms;
};

static int take(nova_pool_t *pool, size_t kind, nova_vm_t **ret_vm, nova_error_t **error)
{
	char key[40];
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	snprintf(key, sizeof(key), "function-%zu", kind);
	want.key = key;
	return nova_pool_acquire(pool, &want, ret_vm, NULL, error);
}

/* All idle in the end. */
static int fill(nova_pool_t *pool, const struct layout *l, nova_error_t **error)
{
	nova_vm_t **vms = calloc(l->vms, sizeof(*vms));
	int r = vms ? 0 : nova_oom(error);
	size_t made = 0;
	for (; r == 0 && made < l->vms; made += r == 0)
		r = take(pool, l->one_kind ? 0 : made, &vms[made], error);
	for (size_t i = 0; i < made; i++)
		nova_pool_release(pool, vms[i], 1);
	free(vms);
	return r;
}

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* A round is many operations, as one is hardly longer than the reading of the clock. */
#define ROUND 200u

static int measure_round(
	nova_pool_t *pool, size_t kinds, uint64_t *state, struct samples *s, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	for (unsigned i = 0; i < ROUND; i++) {
		nova_vm_t *vm;
		int r = take(pool, draw(state) % kinds, &vm, error);
		if (r < 0)
			return r;
		nova_pool_release(pool, vm, 1);
	}
	samples_add(s, (double)(clock_ns() - begin) / 1e3 / ROUND);
	return 0;
}

static int measure(nova_host_t *host, const struct layout *l, size_t rounds, struct samples *s,
	nova_error_t **error)
{
	nova_pool_opts o = NOVA_POOL_OPTS_INIT;
	nova_pool_t *pool;
	uint64_t state = 1;
	o.max_vms = (uint32_t)l->vms;
	o.idle_ttl_ms = 3600000;
	int r = nova_pool_new(host, &o, &pool, error);
	if (r < 0)
		return r;
	r = fill(pool, l, error);
	for (size_t i = 0; r == 0 && i < rounds; i++)
		r = measure_round(pool, l->one_kind ? 1 : l->vms, &state, s, error);
	nova_pool_free(pool);
	return r;
}

static int measure_layout(const struct bench_run *run, nova_host_t *host, const struct layout *l,
	double *first, nova_error_t **error)
{
	AUTO_SAMPLES struct samples s = { 0 };
	int r = measure(host, l, bench_n(run, 500), &s, error);
	if (r < 0)
		return r;
	double p50 = samples_percentile(&s, 50);
	*first = *first > 0 ? *first : p50;
	const struct bench_extra extra[] = { { "ratio", p50 / *first }, { NULL, 0 } };
	bench_report(run, l->name, "us", &s, extra);
	return 0;
}

int bench_pool_scale(const struct bench_run *run)
{
	static const struct layout layouts[] = {
		{ "acquire and release, 1 VM waits", true, 1 },
		{ "100 VMs of one kind wait", true, 100 },
		{ "10,000 VMs of one kind wait", true, 10000 },
		{ "100 VMs of a kind each, drawn at random", false, 100 },
		{ "10,000 VMs of a kind each, drawn at random", false, 10000 },
	};
	AUTO_ERROR nova_error_t *error = NULL;
	nova_host_t *host = NULL;
	double first = 0;
	int r = 0;
	if (nova_host_new(NULL, &host, &error) < 0)
		return bench_skip(run, "%s", nova_error_message(error));
	bench_note(run,
		"VMs are stand-ins whose process is this one; the mean of rounds of %u; ratio: to "
		"1 VM",
		ROUND);
	standing_in = true;
	pidfd = sys_pidfd_open(getpid());
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(layouts); i++)
		r = measure_layout(run, host, &layouts[i], &first, &error);
	standing_in = false;
	fd_close(pidfd);
	nova_host_unref(host);
	return r < 0 ? bench_skip(run, "%s", nova_error_message(error)) : 0;
}
