/* SPDX-License-Identifier: MIT */
/*
 * The door of pool, for the rooms above: what nova/pool.h offers, and how to take back a wish for a VM.
 */
#ifndef NOVA_LIB_POOL_POOL_H
#define NOVA_LIB_POOL_POOL_H

#include <nova/pool.h>

#include "base/base.h"

struct ticket;

/* By which another thread can call off one acquire. The caller owns it; it serves for one acquire, and must outlive that and every pool_cancel(). */
struct pool_cancel {
	nova_pool_t *pool;     /* atomic; NULL until the acquire has begun */
	int canceled;          /* atomic */
	struct ticket *ticket; /* with the pool's lock; NULL: does not wait */
};
void pool_cancel_init(struct pool_cancel *cancel);

/* Makes VMs in another way than out of want->vm, of which only the size then counts. All wants of one key must be made in the same way. */
struct pool_maker {
	int (*make)(void *userdata, nova_vm_t **ret_vm, nova_error_t **error);
	void *userdata;
};

/* As nova_pool_acquire(). `maker` and `cancel` may be NULL. */
int pool_acquire_cancellable(nova_pool_t *pool, const nova_pool_want *want, const struct pool_maker *maker, struct pool_cancel *cancel,
	nova_vm_t **ret_vm, int *ret_cold, nova_error_t **error);
/* From any thread, before, during or after the acquire: one that waits returns NOVA_ECANCELED at once; one that is starting a VM does so when
 * that is done, and the VM goes to the next who waits, or waits itself; one that has returned is not changed by it. */
void pool_cancel(struct pool_cancel *cancel);

/* Has a function called at the beginning of every nova_pool_tick(), in its thread and without a lock; NULL: none any more. It may use the pool, but for
 * nova_pool_tick() and nova_pool_free(). A tick that is under way in another thread may still call the former one. */
void pool_on_tick(nova_pool_t *pool, void (*fn)(void *userdata), void *userdata);
/* Something has changed that this function looks at: a tick is due. */
void pool_want_tick(nova_pool_t *pool);

#endif
