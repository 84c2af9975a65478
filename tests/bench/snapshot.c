/* SPDX-License-Identifier: MIT */
/* Snapshots to disk: of a VM that has just booted, whose memory is written too, and of a clone,
 * which is stored as what it has written. */
#include "guest.h"

static int snapshot_once(struct guest *g, nova_vm_t *vm, bool compress, struct samples *time,
	struct samples *pause, struct samples *bytes, nova_error_t **error)
{
	nova_snapshot_t *snapshot;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.compress = compress ? NOVA_COMPRESS_ON : NOVA_COMPRESS_OFF;
	uint64_t begin = clock_ns();
	int r = nova_vm_snapshot(vm, &opts, &snapshot, error);
	if (r < 0)
		return r;
	samples_add(time, bench_ms_since(begin));
	samples_add(pause, (double)vm_stat(vm, NOVA_VM_STAT_STOOD_STILL_US) / 1e3);
	samples_add(bytes, (double)nova_snapshot_disk_bytes(snapshot));
	r = nova_snapshot_delete(nova_host_get(g->nova), nova_snapshot_id(snapshot), error);
	nova_snapshot_free(snapshot);
	return r < 0 && error && *error && nova_error_code(*error) == NOVA_EBUSY ? 0 : r;
}

static void report(const struct bench_run *run, const char *what, struct samples *time,
	struct samples *pause, struct samples *bytes)
{
	bench_report(run, what, "ms", time, NULL);
	bench_report(run, "  of that, it stood still", "ms", pause, NULL);
	bench_report(run, "  bytes on disk", "bytes", bytes, NULL);
}

static int of_booted(struct guest *g, bool compress)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_SAMPLES struct samples time = { 0 }, pause = { 0 }, bytes = { 0 };
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.rootfs = "python";
	opts.code_disk = g->disk;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "python";
	for (size_t i = 0; i < bench_n(g->run, 3); i++) {
		nova_vm_t *vm;
		if (nova_vm_start(nova_host_get(g->nova), &opts, &vm, &error) < 0)
			return guest_failed(g, error);
		int r = nova_vm_init(vm, &init, &error);
		if (r == 0)
			r = snapshot_once(g, vm, compress, &time, &pause, &bytes, &error);
		nova_vm_free(vm);
		if (r < 0)
			return guest_failed(g, error);
	}
	report(g->run,
		compress ? "booted VM with a function, compressed" : "booted VM with a function",
		&time, &pause, &bytes);
	return 0;
}

static int of_clone(struct guest *g, bool compress)
{
	AUTO_ERROR nova_error_t *error = NULL;
	AUTO_SAMPLES struct samples time = { 0 }, pause = { 0 }, bytes = { 0 };
	nova_vm_t *vm = NULL;
	int r = guest_take(g, NULL, &vm, &error);
	for (size_t i = 0; r == 0 && i < bench_n(g->run, 30); i++) {
		r = guest_answer(vm, &error);
		if (r == 0)
			r = snapshot_once(g, vm, compress, &time, &pause, &bytes, &error);
	}
	if (vm)
		guest_drop(g, vm);
	if (r < 0)
		return guest_failed(g, error);
	report(g->run, compress ? "live clone, compressed" : "live clone", &time, &pause, &bytes);
	return 0;
}

int bench_snapshot(const struct bench_run *run)
{
	AUTO_GUEST struct guest g;
	if (guest_open(run, "0", &g))
		return 1;
	return of_clone(&g, false) | of_clone(&g, true) | of_booted(&g, false) |
	       of_booted(&g, true);
}
