/* SPDX-License-Identifier: MIT */
/**
 * @file nova/pool.h
 * A pool of warm VMs: after a call it keeps the VM for a while, so that the next call of the same
 * kind need not wait for the start of one. It needs no store; nova_pool_get() gives that of a
 * platform. docs/pool.md tells how it decides.
 *
 *     nova_pool_want want = NOVA_POOL_WANT_INIT;
 *     want.key = "base";
 *     if (nova_pool_acquire(pool, &want, &vm, NULL, &error) == 0) {
 *             nova_vm_ping(vm, 0, NULL, &error);
 *             nova_pool_release(pool, vm, 1);
 *     }
 *
 * Many threads may call at once. If several want a VM of one kind and none is free, one of them
 * starts a VM, and the others take what comes first: that one, or one that is given back. Callers
 * who want the same kind are served in the order in which they came. If the pool is full, different
 * kinds take turns.
 *
 * The pool starts no thread, unless you ask for one (#NOVA_POOL_THREAD). Without it
 * nova_pool_tick() does what is due, and nova_pool_fd() tells when to call it. In a child made by
 * fork() the calls do nothing or fail with #NOVA_EBUSY (docs/threading.md).
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
	/** how long a VM waits for its next call before it ends; 0: the setting `pool.idle_ttl`
	 * (60 s) */
	uint64_t idle_ttl_ms;
	/** most VMs at the same time; 0: the setting `pool.max_vms` (as many as the host has room
	 * for: nova_host_capacity()) */
	uint32_t max_vms;
	/** how long a caller waits for a VM; 0: the setting `pool.queue_timeout` */
	uint32_t queue_timeout_ms;
	/** most guest memory of its VMs together; 0: the setting `pool.max_memory` (no limit) */
	uint64_t max_memory_mb;
	/** most callers that wait at the same time; 0: the setting `pool.max_queue` (1000) */
	uint32_t max_queue;
	/** how long a VM waits before it is paused; 0: the setting `pool.pause_after` (500 ms) */
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
 * Ends the VMs and the thread of the pool, and frees it. All VMs must have been given back, and no
 * call may be under way: nova_pool_drain() waits for that.
 * @param pool NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_pool_free(nova_pool_t *pool);

/** Flags of nova_pool_want. Since 0.1. */
enum nova_pool_want_flag {
	/** a VM that nobody has used before; it is never shared, and ends when given back */
	NOVA_POOL_FRESH = 1,
};

/** What a VM is wanted for. Since 0.1. */
typedef struct nova_pool_want {
	size_t size; /**< sizeof(nova_pool_want) */
	/** VMs with the same key are interchangeable; required, at most 255 bytes */
	const char *key;
	const nova_vm_opts *vm;        /**< how to start one; NULL: defaults */
	const nova_vm_init_opts *init; /**< how to give it its function; NULL: none */
	uint32_t concurrency;          /**< most callers of one VM at the same time; 0: 1 */
	uint32_t flags;                /**< enum nova_pool_want_flag */
	uint32_t queue_timeout_ms;     /**< how long this caller waits; 0: as the pool says */
	uint32_t reserved;             /**< 0 */
	/** ends the call; borrowed until it returns; NULL: nothing does. The tokens in `vm` and
	 * `init` must be NULL */
	nova_interrupt_t *interrupt;
} nova_pool_want;
#define NOVA_POOL_WANT_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_pool_want), 0, 0, 0, 0, 0, 0, 0, 0                                     \
	}

/**
 * Takes a VM out of the pool: one that waits, one that others use and that may be shared, or a new
 * one. It runs, as far as its process tells; nova_vm_ping() asks the guest itself.
 * @param pool the pool
 * @param want what is wanted; required
 * @param ret_vm receives the VM, which you have until nova_pool_release()
 * @param ret_cold receives 1 if it was started for you, else 0; may be NULL
 * @return 0, or a code:
 *  - NOVA_EINVAL: no key, or a bad option
 *  - NOVA_ELIMIT: none was free in time, too many callers wait, or the VM is larger than the pool
 *    may use; the message names the setting
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
 * @param reusable 1: it may be used again, if it runs; 0: it ends as soon as all who have it have
 * given it back
 * Since 0.1.
 */
NOVA_API void nova_pool_release(nova_pool_t *pool, nova_vm_t *vm, int reusable);

/**
 * Ends the VMs of a key: those that wait at once, those in use as soon as they are given back. Also
 * ends what nova_pool_keep() was asked for this key.
 * @param pool the pool
 * @param key the key
 * Since 0.1.
 */
NOVA_API void nova_pool_forget(nova_pool_t *pool, const char *key);

/**
 * Keeps a number of VMs of a kind alive, idle or in use: nova_pool_tick() starts them, and new ones
 * when some end. They do not end because of their age, nor to make room for others.
 * @param pool the pool
 * @param want what is wanted; copied. `queue_timeout_ms` has no effect, and the token must be NULL
 * @param count how many at least; 0: none, and the VMs are like all others again
 * @return 0, or a code:
 *  - NOVA_EINVAL: no key, a bad option, or a token
 *  - NOVA_ELIMIT: the pool cannot hold that many; the message names the setting
 *  - NOVA_ECANCELED: the pool is closing
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_pool_keep(
	nova_pool_t *pool, const nova_pool_want *want, uint32_t count, nova_error_t **error);

/**
 * Does what is due: ends VMs whose time is over, clears up behind those that were given back and
 * killed, pauses those that have waited long enough, and starts those for nova_pool_keep(), for
 * nova_vm_park() and for the settings `pool.standby` and `pool.zygotes`. It can take as long as the
 * start of these.
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
 * Closes the pool, and waits until all VMs have been given back. New callers get #NOVA_ECANCELED;
 * callers that wait already still get their VMs. Then it ends the VMs. The pool stays closed.
 * @param pool the pool
 * @param timeout_ms milliseconds; 0: does not wait
 * @return 0, or a code:
 *  - NOVA_ETIMEDOUT: some VMs have not been given back. Callers that still wait get
 *    #NOVA_ECANCELED, and a VM that is given back later ends at once
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_pool_drain(nova_pool_t *pool, uint32_t timeout_ms, nova_error_t **error);

/** Counters of nova_pool_stats(). Since 0.1. */
enum nova_pool_counter {
	NOVA_POOL_IDLE = 0,       /**< VMs that wait now */
	NOVA_POOL_BUSY = 1,       /**< VMs in use now */
	NOVA_POOL_STARTING = 2,   /**< VMs being started now */
	NOVA_POOL_HITS = 3,       /**< calls that got a VM which existed, ever */
	NOVA_POOL_MISSES = 4,     /**< calls for which a VM was started, ever */
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
	/** of TEMPLATE_STARTS: in a VMM on standby, or one that was forked ahead (PARKED) */
	NOVA_POOL_STANDBY_STARTS = 15,
	NOVA_POOL_START_FAILURES = 16, /**< starts that failed, ever */
	NOVA_POOL_WAITS = 17,          /**< calls that had to wait for a VM or for room, ever */
	NOVA_POOL_TIMEOUTS = 18,       /**< calls that waited until their time was over, ever */
	NOVA_POOL_QUEUE_FULL = 19,     /**< calls refused because too many waited, ever */
	/** calls refused because their VM needs more memory than the pool may use, ever */
	NOVA_POOL_TOO_LARGE = 20,
	NOVA_POOL_CANCELED = 21, /**< calls that were canceled while they waited, ever */
	NOVA_POOL_EVICTED = 22,  /**< of EXPIRED: to make room for a VM of another kind */
	NOVA_POOL_MOST_VMS = 23, /**< VMs that may be alive at once; 0: nobody has asked yet */
	/** how often a start had to wait because the host was short of memory, ever */
	NOVA_POOL_HELD_BACK = 24,
	NOVA_POOL_ZYGOTES = 25,    /**< VMs that stand now to be forked for starts */
	NOVA_POOL_HOT_STARTS = 26, /**< of TEMPLATE_STARTS: forks of such a VM, now or ahead */
	/** of the same: such a VM stood there, but could not be forked, ever */
	NOVA_POOL_HOT_FALLBACKS = 27,
	NOVA_POOL_PARKED = 28, /**< processes that were forked of them ahead of a start, now */
};

/**
 * All counters of a pool, read at one moment.
 * @param pool the pool
 * @param ret_values receives them in the order of #nova_pool_counter, as far as there is room
 * @param count how many there is room for
 * @return how many there are, or a code:
 *  - NOVA_EINVAL: for NULL
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_pool_stats(nova_pool_t *pool, uint64_t *ret_values, size_t count);

/** The times of nova_pool_percentile_us() and nova_pool_histogram(). Since 0.1. */
enum nova_pool_latency {
	/** nova_pool_acquire() that got a running VM without waiting */
	NOVA_POOL_LATENCY_WARM = 0,
	/** nova_pool_acquire() that got a paused VM without waiting */
	NOVA_POOL_LATENCY_RESUMED = 1,
	NOVA_POOL_LATENCY_COLD = 2, /**< nova_pool_acquire() for which a VM was started */
	/** how long callers waited that had to, whether they got a VM or not */
	NOVA_POOL_LATENCY_WAIT = 3,
};

/**
 * A percentile of a time: so many percent of the calls took no longer. It is up to 13 percent too
 * large.
 * @param pool the pool
 * @param latency one of #nova_pool_latency
 * @param percent 0 to 100
 * @return microseconds; 0 if there was no call. Since 0.1.
 */
NOVA_API uint64_t nova_pool_percentile_us(nova_pool_t *pool, int latency, double percent);

/**
 * The distribution of a time: `ret_counts[i]` calls took less than `ret_limits_us[i]`, and at least
 * as long as the limit before. The last limit is UINT64_MAX.
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
