/* SPDX-License-Identifier: MIT */
/**
 * @file nova/pool.h
 * Warm VMs: a pool keeps a VM that has run a function for a while, so that the next call of the
 * same function finds it waiting. Usable without a store. docs/pool.md tells how it decides.
 *
 * Many threads may call at once. When several want a VM of the same kind and none waits, one of
 * them starts one and the others take whatever comes first: that one, or one that is given back.
 * Those who want the same kind are served in the order in which they came; kinds that wait for one
 * another's room take turns.
 *
 * The pool starts no thread unless it is asked to (NOVA_POOL_THREAD): what is due by time is done
 * by nova_pool_tick(), and nova_pool_fd() tells when. In a child made by fork() the calls do
 * nothing, or fail with NOVA_EBUSY (docs/threading.md).
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

/** Flags of nova_pool_opts. Since 0.1. */
enum nova_pool_flag {
	/** the pool calls nova_pool_tick() by itself, in a thread that nova_pool_free() ends */
	NOVA_POOL_THREAD = 1,
};

/** Options of nova_pool_new(). Since 0.1. */
typedef struct nova_pool_opts {
	size_t size; /**< sizeof(nova_pool_opts) */
	/** how long a VM waits for its next call; 0: the setting `pool.idle_ttl` (60 s) */
	uint64_t idle_ttl_ms;
	/** VMs of this pool alive at once; 0: the setting `pool.max_vms` */
	uint32_t max_vms;
	/** how long a caller waits for a VM; 0: the setting `pool.queue_timeout` */
	uint32_t queue_timeout_ms;
	/** guest memory of all VMs of this pool together; 0: the setting `pool.max_memory` (no
	 * limit) */
	uint64_t max_memory_mb;
	/** callers that may wait at once; 0: the setting `pool.max_queue` (1000) */
	uint32_t max_queue;
	/** a VM that has waited so long is paused; 0: the setting `pool.pause_after` (500 ms) */
	uint32_t pause_after_ms;
	/** enum nova_pool_flag; the setting `pool.thread` adds NOVA_POOL_THREAD */
	uint32_t flags;
	uint32_t reserved; /**< 0 */
} nova_pool_opts;
#define NOVA_POOL_OPTS_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_pool_opts), 0, 0, 0, 0, 0, 0, 0, 0                                     \
	}

/**
 * Makes an empty pool.
 * @param host the context
 * @param opts NULL: defaults
 * @param ret_pool receives the pool. Yours: free it with nova_pool_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something, such as its thread
 * Since 0.1.
 */
NOVA_API int nova_pool_new(nova_host_t *host, const nova_pool_opts *opts, nova_pool_t **ret_pool,
	nova_error_t **error);

/**
 * Ends every VM that waits and the thread of the pool, and frees the pool. No VM may be out and
 * no call under way: nova_pool_drain() waits for that.
 * @param pool NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_pool_free(nova_pool_t *pool);

/** Flags of nova_pool_want. Since 0.1. */
enum nova_pool_want_flag {
	/** a VM that nobody has used before, ended when it is given back. Such VMs are never shared
	   with, or taken from, callers of the same key without this flag */
	NOVA_POOL_FRESH = 1,
};

/** What a VM is wanted for. Since 0.1. */
typedef struct nova_pool_want {
	size_t size; /**< sizeof(nova_pool_want) */
	/** VMs with the same key are interchangeable; required, at most 255 bytes */
	const char *key;
	const nova_vm_opts *vm;        /**< how to start one; NULL: defaults */
	const nova_vm_init_opts *init; /**< how to give it its function; NULL: none */
	uint32_t concurrency;          /**< callers that may have one VM at the same time; 0: 1 */
	uint32_t flags;                /**< enum nova_pool_want_flag */
	uint32_t queue_timeout_ms;     /**< how long this caller waits; 0: as the pool says */
	uint32_t reserved;             /**< 0 */
	/** ends this caller's waiting, and the start of a VM for it; borrowed until the call
	 * returns; NULL: nothing does. Those in `vm` and `init` must be NULL */
	nova_interrupt_t *interrupt;
} nova_pool_want;
#define NOVA_POOL_WANT_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_pool_want), 0, 0, 0, 0, 0, 0, 0, 0                                     \
	}

/**
 * Takes a VM out: one that waits, one that is in use and may be shared, or a new one. It runs,
 * and its process was alive a moment ago; it is not asked for a sign of life.
 * @param pool the pool
 * @param want what is wanted; required
 * @param ret_vm receives the VM, which you have until nova_pool_release()
 * @param ret_cold receives 1 if it was started for you, else 0; may be NULL
 * @return 0, or a code:
 *  - NOVA_EINVAL: no key, or a bad option
 *  - NOVA_ELIMIT: none came free in time, too many wait, or it would be larger than the pool may
 *    use; the message names the setting
 *  - NOVA_ECANCELED: by the token, or the pool is closing
 *  - NOVA_EBUSY: another process still makes the template, or after fork()
 *  - the codes of nova_vm_start() and nova_vm_init(), also of the start that another caller made
 *    for both
 * Since 0.1.
 */
NOVA_API int nova_pool_acquire(nova_pool_t *pool, const nova_pool_want *want, nova_vm_t **ret_vm,
	int *ret_cold, nova_error_t **error);

/**
 * Gives a VM back, once for each nova_pool_acquire() that gave it.
 * @param pool the pool
 * @param vm the VM; NULL does nothing
 * @param reusable 0, or a VM that does not run: it takes no more callers, and ends when the last
 * one gives it back
 * Since 0.1.
 */
NOVA_API void nova_pool_release(nova_pool_t *pool, nova_vm_t *vm, int reusable);

/**
 * Ends the waiting VMs with a key, and those in use as soon as they come back. Takes back what
 * nova_pool_keep() was asked for it.
 * @param pool the pool
 * @param key the key
 * Since 0.1.
 */
NOVA_API void nova_pool_forget(nova_pool_t *pool, const char *key);

/**
 * Has some VMs of a kind alive, idle or in use: nova_pool_tick() starts them, and others in the
 * place of those that end. They are not ended by age, nor to make room.
 * @param pool the pool
 * @param want what is wanted, copied. Its `queue_timeout_ms` means nothing here, and it has no
 * token
 * @param count how many at least; 0 takes the wish back: the VMs then age like others
 * @return 0, or a code:
 *  - NOVA_EINVAL: no key, or a bad option
 *  - NOVA_ELIMIT: the pool cannot hold that many; the message names the setting
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_pool_keep(
	nova_pool_t *pool, const nova_pool_want *want, uint32_t count, nova_error_t **error);

/**
 * Does what is due by time: ends VMs whose time is over, pauses those that have waited for a
 * while, starts those that nova_pool_keep() asks for, and does what the setting `pool.standby` and
 * nova_vm_park() say. May take as long as starting those.
 * @param pool the pool
 * @return milliseconds until there is something to do; -1 if nothing is in sight. Since 0.1.
 */
NOVA_API int64_t nova_pool_tick(nova_pool_t *pool);

/**
 * A descriptor that polls readable while nova_pool_tick() has something to do. Do not read from
 * it and do not close it.
 * @param pool the pool
 * @return the descriptor, which lives as long as the pool, or a code:
 *  - NOVA_EINVAL: for NULL
 *  - NOVA_EIO: none can be made
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_pool_fd(nova_pool_t *pool);

/**
 * Closes the pool to new callers, who get #NOVA_ECANCELED; lets those who wait already have their
 * VMs; waits until all have given theirs back, and ends the VMs. The pool stays closed.
 * @param pool the pool
 * @param timeout_ms milliseconds; 0: does not wait
 * @return 0, or a code:
 *  - NOVA_ETIMEDOUT: VMs are still out. Those who still wait get #NOVA_ECANCELED, and VMs that
 *    come back later are ended
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_pool_drain(nova_pool_t *pool, uint32_t timeout_ms, nova_error_t **error);

/** Counters of nova_pool_count() and nova_pool_stats(). Since 0.1. */
enum nova_pool_counter {
	NOVA_POOL_IDLE = 0,       /**< VMs that wait now */
	NOVA_POOL_BUSY = 1,       /**< VMs that are out now */
	NOVA_POOL_STARTING = 2,   /**< VMs being started now */
	NOVA_POOL_HITS = 3,       /**< calls that got a VM which was there, ever */
	NOVA_POOL_MISSES = 4,     /**< calls that had one started, ever */
	NOVA_POOL_EXPIRED = 5,    /**< VMs ended because they were not needed any more, ever */
	NOVA_POOL_DISCARDED = 6,  /**< VMs ended because they failed, ever */
	NOVA_POOL_PAUSED = 7,     /**< VMs that wait now and are paused */
	NOVA_POOL_STANDBY = 8,    /**< VMMs on standby now, of all pools of the host context */
	NOVA_POOL_WAITING = 9,    /**< callers that wait now */
	NOVA_POOL_MEMORY_MB = 10, /**< guest memory of the VMs that are alive now */
	NOVA_POOL_RESUMED = 11,   /**< of HITS: the VM was paused */
	NOVA_POOL_SHARED = 12,    /**< of HITS: the VM was in use by others */
	NOVA_POOL_BOOTS = 13,     /**< VMs started by booting, ever */
	NOVA_POOL_TEMPLATE_STARTS = 14, /**< VMs started from a template, ever */
	NOVA_POOL_STANDBY_STARTS = 15,  /**< of TEMPLATE_STARTS: in a VMM on standby */
	NOVA_POOL_START_FAILURES = 16,  /**< starts that failed, ever */
	NOVA_POOL_WAITS = 17,           /**< calls that had to wait for a VM or for room, ever */
	NOVA_POOL_TIMEOUTS = 18,        /**< calls that waited in vain, ever */
	NOVA_POOL_QUEUE_FULL = 19,      /**< calls refused because too many waited, ever */
	/** calls refused because their VM needs more memory than the pool may use, ever */
	NOVA_POOL_TOO_LARGE = 20,
	NOVA_POOL_CANCELED = 21, /**< calls called off while they waited, ever */
	NOVA_POOL_EVICTED = 22,  /**< of EXPIRED: to make place for a VM of another kind */
};

/**
 * One counter of a pool.
 * @param pool the pool
 * @param counter one of #nova_pool_counter
 * @return its value; 0 for an unknown one. Since 0.1.
 */
NOVA_API uint64_t nova_pool_count(nova_pool_t *pool, int counter);

/**
 * All counters of a pool as of one moment.
 * @param pool the pool
 * @param ret_values receives them in the order of #nova_pool_counter, as far as there is room
 * @param count how many there is room for
 * @return how many there are, or a code:
 *  - NOVA_EINVAL: for NULL
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_pool_stats(nova_pool_t *pool, uint64_t *ret_values, size_t count);

/** What nova_pool_percentile_us() tells of. Since 0.1. */
enum nova_pool_latency {
	/** nova_pool_acquire() that got a running VM without waiting */
	NOVA_POOL_LATENCY_WARM = 0,
	/** nova_pool_acquire() that got a paused VM without waiting */
	NOVA_POOL_LATENCY_RESUMED = 1,
	NOVA_POOL_LATENCY_COLD = 2, /**< nova_pool_acquire() that had one started */
	/** the time that those waited who had to, for whatever came of it */
	NOVA_POOL_LATENCY_WAIT = 3,
};

/**
 * The time that a percentage of the calls did not exceed, at most 13 percent too much.
 * @param pool the pool
 * @param latency one of #nova_pool_latency
 * @param percent 0 to 100
 * @return microseconds; 0 if there was no call. Since 0.1.
 */
NOVA_API uint64_t nova_pool_percentile_us(nova_pool_t *pool, int latency, double percent);

/**
 * The distribution of a time as counts: `ret_counts[i]` calls took less than `ret_limits_us[i]`
 * and no less than the limit before. The last limit is UINT64_MAX.
 * @param pool the pool
 * @param latency one of #nova_pool_latency
 * @param ret_limits_us receives limits in microseconds; may be NULL
 * @param ret_counts receives the counts; may be NULL
 * @param count how many there is room for
 * @return how many there are, or a code:
 *  - NOVA_EINVAL: for NULL, or an unknown time
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_pool_histogram(nova_pool_t *pool, int latency, uint64_t *ret_limits_us,
	uint64_t *ret_counts, size_t count);

#ifdef __cplusplus
}
#endif
#endif
