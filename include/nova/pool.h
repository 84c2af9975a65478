/* SPDX-License-Identifier: MIT */
/**
 * @file nova/pool.h
 * Warm VMs: a pool keeps a VM that has run a function for a while, so that the next call of the same
 * function finds it waiting. Usable without a store.
 *
 * Many threads may call at once. When several want a VM of the same kind and none waits, one of them starts one
 * and the others take whatever comes first: that one, or one that is given back.
 * The pool starts no thread: VMs past their time are ended by nova_pool_tick() and by the other calls on their way.
 */
#ifndef NOVA_POOL_H
#define NOVA_POOL_H

#include <nova/base.h>
#include <nova/host.h>
#include <nova/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova_pool nova_pool_t;

/** Options of nova_pool_new(). Since 0.1. */
typedef struct nova_pool_opts {
	size_t size;               /**< sizeof(nova_pool_opts) */
	uint64_t idle_ttl_ms;      /**< how long a VM waits for its next call; 0: the setting `pool.idle_ttl` (60 s) */
	uint32_t max_vms;          /**< VMs of this pool alive at once; 0: the setting `pool.max_vms` */
	uint32_t queue_timeout_ms; /**< how long a caller waits for a VM; 0: the setting `pool.queue_timeout` */
} nova_pool_opts;
#define NOVA_POOL_OPTS_INIT { sizeof(nova_pool_opts), 0, 0, 0 }

/** Makes an empty pool. @return 0; NOVA_EINVAL; NOVA_EABI; NOVA_ENOMEM. Since 0.1. */
NOVA_API int nova_pool_new(nova_host_t *host, const nova_pool_opts *opts, nova_pool_t **ret_pool, nova_error_t **error);

/** Ends every VM that waits and frees the pool. No VM may be out and no call under way. NULL is accepted. Since 0.1. */
NOVA_API void nova_pool_free(nova_pool_t *pool);

/** What a VM is wanted for. Since 0.1. */
typedef struct nova_pool_want {
	size_t size;                    /**< sizeof(nova_pool_want) */
	const char *key;                /**< VMs with the same key are interchangeable; required, at most 255 bytes */
	const nova_vm_opts *vm;         /**< how to start one; NULL: defaults */
	const nova_vm_init_opts *init;  /**< how to give it its function; NULL: none */
} nova_pool_want;
#define NOVA_POOL_WANT_INIT { sizeof(nova_pool_want), 0, 0, 0 }

/**
 * Takes a VM out: one that waits, or a new one. It answers and is running.
 * @param ret_vm   owned by you until nova_pool_release()
 * @param ret_cold 1 if it had to be started, else 0; may be NULL
 * @return 0; NOVA_ELIMIT if no VM came free in time; NOVA_ECANCELED if the pool is closing; the codes of nova_vm_start()
 *         and nova_vm_init(). Since 0.1.
 */
NOVA_API int nova_pool_acquire(nova_pool_t *pool, const nova_pool_want *want, nova_vm_t **ret_vm, int *ret_cold,
	nova_error_t **error);

/** Gives a VM back. `reusable` 0, or a VM that is not running: it is ended instead. NULL is accepted. Since 0.1. */
NOVA_API void nova_pool_release(nova_pool_t *pool, nova_vm_t *vm, int reusable);

/** Ends the waiting VMs with that key, and those in use as soon as they come back. Since 0.1. */
NOVA_API void nova_pool_forget(nova_pool_t *pool, const char *key);

/** Ends VMs whose time is over, and starts what the setting `pool.shells` asks for: VMM processes that wait for the next cold call of each function
 * in use, and those of nova_vm_park(). May take as long as starting those. @return milliseconds until the time of the next VM or shell is over, or -1 if
 * none waits. Since 0.1. */
NOVA_API int64_t nova_pool_tick(nova_pool_t *pool);

/** Counters of nova_pool_count(). Since 0.1. */
enum nova_pool_counter {
	NOVA_POOL_IDLE = 0,     /**< VMs that wait now */
	NOVA_POOL_BUSY = 1,     /**< VMs that are out now */
	NOVA_POOL_STARTING = 2, /**< VMs being started now */
	NOVA_POOL_HITS = 3,     /**< calls that found a waiting VM, ever */
	NOVA_POOL_MISSES = 4,   /**< calls that had one started, ever */
	NOVA_POOL_EXPIRED = 5,  /**< VMs ended because their time was over, ever */
	NOVA_POOL_DISCARDED = 6,/**< VMs ended because they failed, ever */
};

/** One counter; 0 for an unknown one. Since 0.1. */
NOVA_API uint64_t nova_pool_count(nova_pool_t *pool, int counter);

#ifdef __cplusplus
}
#endif
#endif
