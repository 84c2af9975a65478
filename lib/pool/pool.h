/* SPDX-License-Identifier: MIT */
/* The door of pool, for the rooms above: what nova/pool.h offers, and more that may end a request.
 */
#ifndef NOVA_LIB_POOL_POOL_H
#define NOVA_LIB_POOL_POOL_H

#include <nova/pool.h>

#include "vm/vm.h"

/* As nova_pool_want, but for its token. */
struct pool_want {
	const char *key;
	const char *name; /* for messages; NULL: the key */
	const struct vm_spec *vm;
	uint32_t concurrency, flags, queue_timeout_ms;
	struct progress progress; /* of a VM that is started for this caller */
};

/* Makes VMs in another way than out of want->vm, of which only the size then counts. All wants of
 * one key must be made in the same way. */
struct pool_maker {
	int (*make)(
		void *userdata, const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error);
	void *userdata;
};

/* As nova_pool_acquire(), with more that may end it: the waiting and the start of a VM. `maker` and
 * `stop` may be NULL. A VM that there is by then goes to the next who waits, or waits itself. */
int pool_acquire(nova_pool_t *pool, const struct pool_want *want, const struct pool_maker *maker,
	const struct stop *stop, nova_vm_t **ret_vm, int *ret_cold, nova_error_t **error);

/* As nova_pool_keep(). `vm` is copied; with a count of 0 there need be none. */
int pool_keep(
	nova_pool_t *pool, const struct pool_want *want, uint32_t count, nova_error_t **error);

/* Has a function called at the beginning of every nova_pool_tick(), in its thread and without a
 * lock; NULL: none any more. It may use the pool, but for nova_pool_tick() and nova_pool_free(). A
 * tick that is under way in another thread may still call the former one. */
void pool_on_tick(nova_pool_t *pool, void (*fn)(void *userdata), void *userdata);
/* From now on the pool's own thread, if it has one, makes no tick, nor is in one; what it was
 * making is called off. For who takes apart what that function looks at: nova_pool_free() is to
 * follow. */
void pool_end_ticks(nova_pool_t *pool);
/* Something has changed that this function looks at: a tick is due, now or at that time. */
void pool_want_tick(nova_pool_t *pool);
void pool_want_tick_at(nova_pool_t *pool, uint64_t when);

/* Clones of runtimes' templates by forks of the pool's zygotes, for a template_want; NULL: it makes
 * none. Lent, until nova_pool_free(). */
struct template_clones;
const struct template_clones *pool_clones(const nova_pool_t *pool);

/* Templates that were made until now are on disk, unless they cannot be, or `stop` was asked. */
void pool_settle_templates(nova_pool_t *pool, const struct stop *stop);

#endif
