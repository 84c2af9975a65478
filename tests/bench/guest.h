/* SPDX-License-Identifier: MIT */
/* What the benches with clones share: a platform in a state directory of its own, with one Python
 * function whose template is on disk. */
#ifndef NOVA_TESTS_BENCH_GUEST_H
#define NOVA_TESTS_BENCH_GUEST_H

#include <nova/nova.h>

#include "../counter.h"
#include "bench.h"

#define FUNCTION "bench"

struct guest {
	const struct bench_run *run;
	char *dir, *disk, *code;    /* state directory; the function as an image, and as a file */
	const char *accel, *binary; /* of QEMU; live as long as the probe */
	uint64_t tsc_khz;
	nova_config_t *config;
	nova_probe_t *probe;
	nova_t *nova; /* NULL between contexts */
};

/* Opens it, makes the template and says what is measured. On failure it tells why and returns 1.
 * `shells`: the setting pool.standby. */
int guest_open(const struct bench_run *run, const char *shells, struct guest *ret_guest);
void guest_close(struct guest *guest);
#define AUTO_GUEST CLEANUP(guest_close)

/* Another context of the same state directory, with these settings besides; `guest` must outlive
 * it. Ended by guest_leave(). */
int guest_beside(const struct guest *guest, const char *const (*settings)[2], size_t count,
	struct guest *ret_guest, nova_error_t **error);
void guest_leave(struct guest *guest);

/* A new context: no VM, no shell, nothing in memory; only what is on disk. */
int guest_renew(struct guest *guest, nova_error_t **error);
/* nova_invoke(); the result tells where the time went. */
int guest_call(struct guest *guest, nova_result_t **ret_result, nova_error_t **error);
/* A VM from the template. Give it back with guest_drop(). `key` NULL: one that is started for it,
 * and that no other call has; such calls may be made side by side. */
int guest_take(struct guest *guest, const char *key, nova_vm_t **ret_vm, nova_error_t **error);
void guest_drop(struct guest *guest, nova_vm_t *vm);
/* One call in a VM. */
int guest_answer(nova_vm_t *vm, nova_error_t **error);
/* Says why the bench ends; returns 1. */
int guest_failed(const struct guest *guest, const nova_error_t *error);

/* --- rivals.c: the same function in other ways, as far as they are installed --- */

#define RIVALS 3
struct rivals {
	char *tree; /* the root filesystem as files */
	bool there[RIVALS];
	struct samples times[RIVALS];
};
/* Tells what is missing. `guest` must outlive it. */
void rivals_open(const struct guest *guest, struct rivals *ret_rivals);
/* One run of each; of plain QEMU, which takes seconds, only while `i` is small. */
void rivals_run(const struct guest *guest, struct rivals *rivals, size_t i);
/* Reports them, each with the ratio of ours to it. */
void rivals_report(const struct guest *guest, struct rivals *rivals, double ours_p50);
void rivals_close(struct rivals *rivals);
#define AUTO_RIVALS CLEANUP(rivals_close)
/* The engine that real VMs are measured on: what NOVA_ENGINE says, else qemu. */
const char *bench_engine(void);
/* Its place in the probe, or the probe's count. */
size_t bench_find_engine(const nova_probe_t *probe, const char *name);
/* Labels what follows with that engine. 0, or what bench_skip() returns: it cannot be used here. */
int bench_say_engine(const struct bench_run *run, nova_host_t *host, const nova_probe_t *probe,
	const char *what);

/* Waits for a zygote in the pool of that context, which a start in the classic way has left to be
 * made: NOVA_ETIMEDOUT. */
int guest_await_zygote(nova_t *nova, nova_error_t **error);

/* rival_qemu.c: boots a plain QEMU and runs the function in it. 0, or -1. */
int rival_qemu(const struct guest *guest);

/* A state directory with nothing in it. To be closed in any case. */
struct fresh {
	char *dir;
	nova_config_t *config;
	nova_t *nova;
};
int fresh_open(struct fresh *fresh, nova_error_t **error);
/* The same with a setting. */
int fresh_open_with(struct fresh *fresh, const char *key, const char *value, nova_error_t **error);
void fresh_close(struct fresh *fresh);
#define AUTO_FRESH CLEANUP(fresh_close)

#endif
