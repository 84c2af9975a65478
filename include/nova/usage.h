/* SPDX-License-Identifier: MIT */
/**
 * @file nova/usage.h
 * What was used, and what it costs.
 *
 *     const nova_bill *bill;
 *     if (nova_usage_bill(nova, NULL, &bill, &error) == 0)
 *             printf("%llu nano-dollars\n", (unsigned long long)bill->total_nano);
 *     nova_bill_free(bill);
 *
 * With the setting `usage.record` each call, each second of an instance and each snapshot is
 * recorded once: by a line in a journal before nova_invoke() returns, which survives the end of the
 * process, and of the machine but for a second. nova_pool_tick(), nova_close() and whoever asks
 * here take it into the store, where it is kept by the hour. docs/usage.md has the whole.
 *
 * Money is in nano-dollars, of which a dollar has 10^9. Each amount is computed exactly, and
 * rounded once, half of one upwards. A GB is 2^30 bytes.
 */
#ifndef NOVA_USAGE_H
#define NOVA_USAGE_H

#include <nova/function.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How it ran, for which a price is multiplied. Since 0.1. */
enum nova_usage_mode {
	NOVA_USAGE_STORAGE = 0, /**< it did not: snapshots */
	/** in a VM that nobody has used and nobody will use; so does nova_run() */
	NOVA_USAGE_EPHEMERAL = 1,
	NOVA_USAGE_CACHED = 2,       /**< in a VM of the pool */
	NOVA_USAGE_CHECKPOINTED = 3, /**< and a snapshot was taken */
	NOVA_USAGE_BRANCHED = 4,     /**< it went on from a snapshot */
	NOVA_USAGE_PERSISTENT = 5,   /**< instances, and calls in them */
	NOVA_USAGE_MODES = 6,        /**< how many there are */
};

/** What is told apart in a list, besides modes: bits. Since 0.1. */
enum nova_usage_by {
	NOVA_USAGE_BY_KEY = 1,
	NOVA_USAGE_BY_FUNCTION = 2,
};

/** How long the periods of a list are, in UTC. Since 0.1. */
enum nova_usage_period {
	NOVA_USAGE_EVER = 0, /**< all of the time that was asked for is one */
	NOVA_USAGE_BY_HOUR = 1,
	NOVA_USAGE_BY_DAY = 2,
	NOVA_USAGE_BY_MONTH = 3,
};

/** What was used. Later releases add members at its end: `size` tells which there are. Since 0.1.
 */
typedef struct nova_usage {
	size_t size;
	uint64_t start_us; /**< of the period, in microseconds since 1970; 0: of all time */
	const char *key;   /**< of nova_invoke_opts.key; "": nobody's, or not told apart */
	/** "": code that nova_run() ran, snapshots, or not told apart */
	const char *function;
	uint64_t calls;
	uint64_t vcpu_us;       /**< virtual processors times microseconds */
	uint64_t memory_mb_us;  /**< MiB times microseconds */
	uint64_t disk_mb_us;    /**< the same of disks: 0 */
	uint64_t gpu_us;        /**< 0 */
	uint64_t egress_bytes;  /**< what calls have returned and printed */
	uint64_t ingress_bytes; /**< what they were given */
	uint64_t snapshot_kb_s; /**< KiB of snapshots times seconds */
	/** so many records of usage could not be kept, as the disk was full for too long */
	uint64_t lost;
	uint64_t cost_nano; /**< without discounts */
	uint64_t mcu_micro; /**< millionths of an MCU */
	uint32_t mode;      /**< one of #nova_usage_mode */
	uint32_t reserved;  /**< 0 */
} nova_usage;

/** What is listed. Since 0.1. */
typedef struct nova_usage_list_opts {
	size_t size;          /**< sizeof(nova_usage_list_opts) */
	uint64_t since_us;    /**< from its hour on, in microseconds since 1970 */
	uint64_t until_us;    /**< up to its hour, without it; 0: all */
	const char *key;      /**< of this key; "": of nobody's; NULL: of all */
	const char *function; /**< of this function; "": of none; NULL: of all */
	/** the last one of the page before; NULL: begin at the beginning */
	const nova_usage *after;
	uint32_t by;       /**< bits of #nova_usage_by */
	uint32_t period;   /**< one of #nova_usage_period */
	uint32_t limit;    /**< as many at most, up to 10000; 0: 1000 */
	uint32_t reserved; /**< 0 */
} nova_usage_list_opts;
#define NOVA_USAGE_LIST_OPTS_INIT                                                                  \
	{                                                                                          \
		sizeof(nova_usage_list_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0                            \
	}

/**
 * Lists what was used, in the order of period, key, function and mode.
 * @param nova the platform
 * @param opts which; NULL: the sums of all, one for each mode
 * @param ret_usage receives an array. Yours: free it with nova_usage_list_free(). NULL if there is
 * nothing
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_ETOOBIG: it comes to more than 2^63
 *  - NOVA_ECONFIG: the prices cannot be read
 *  - NOVA_ENOTSUP: a newer libnova wrote it, or a module of the library is missing
 *  - NOVA_ECORRUPT: the store of usage is damaged, or something else
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_usage_list(nova_t *nova, const nova_usage_list_opts *opts,
	const nova_usage ***ret_usage, size_t *ret_count, nova_error_t **error);

/**
 * Frees what nova_usage_list() gave.
 * @param usage the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_usage_list_free(const nova_usage **usage, size_t count);

/**
 * What was used, as JSON: an object with the members of nova_usage, and `mode` as a word.
 * @param usage may be NULL
 * @return text to be freed with nova_free(); NULL: out of memory, or of NULL. Since 0.1.
 */
NOVA_API char *nova_usage_to_json(const nova_usage *usage);

/** What usage costs. As nova_usage, it may grow. Since 0.1. */
typedef struct nova_bill {
	size_t size;
	uint64_t start_us; /**< of the month, in UTC; 0: of an estimate */
	uint64_t end_us;   /**< when the next one begins */
	uint64_t calls;
	uint64_t lost;     /**< as of nova_usage */
	uint64_t cpu_nano; /**< with what the modes multiply it by; so are the next two */
	uint64_t memory_nano;
	uint64_t gpu_nano;
	uint64_t snapshot_nano;
	uint64_t egress_nano;
	uint64_t ingress_nano;
	uint64_t subtotal_nano;    /**< the sum of these */
	uint64_t discount_nano;    /**< `discount_percent` of the whole of that */
	uint64_t total_nano;       /**< what is left */
	uint64_t mcu_micro;        /**< millionths of an MCU */
	uint64_t plan_mcu;         /**< MCUs that the plan (setting `usage.plan`) has in a month */
	uint64_t plan_nano;        /**< what it costs */
	uint64_t overage_nano;     /**< what the MCUs beyond that cost */
	const char *tier;          /**< to which the subtotal comes: "starter" ... */
	const char *plan;          /**< ""; there is none */
	uint32_t discount_percent; /**< of that tier */
	uint32_t reserved;         /**< 0 */
} nova_bill;

/** Whose bill. Since 0.1. */
typedef struct nova_usage_bill_opts {
	size_t size;      /**< sizeof(nova_usage_bill_opts) */
	uint64_t time_us; /**< a moment of the month, in microseconds since 1970; 0: now */
	const char *key;  /**< of this key; "": of nobody's; NULL: of all */
} nova_usage_bill_opts;
#define NOVA_USAGE_BILL_OPTS_INIT                                                                  \
	{                                                                                          \
		sizeof(nova_usage_bill_opts), 0, 0                                                 \
	}

/**
 * The bill of a calendar month, up to now if it goes on. There are two ways to charge:
 * `total_nano`, or `plan_nano` and `overage_nano`.
 * @param nova the platform
 * @param opts whose; NULL: of all, of this month
 * @param ret_bill receives it. Yours: free it with nova_bill_free()
 * @return 0, or a code of nova_usage_list(), for instance:
 *  - NOVA_ETOOBIG: it comes to more than 2^63
 * Since 0.1.
 */
NOVA_API int nova_usage_bill(nova_t *nova, const nova_usage_bill_opts *opts,
	const nova_bill **ret_bill, nova_error_t **error);

/** What is to be estimated. Since 0.1. */
typedef struct nova_usage_estimate_opts {
	size_t size; /**< sizeof(nova_usage_estimate_opts) */
	/** whose memory and processors count where these are 0; NULL: 128 MiB and 1 */
	const char *function;
	uint64_t calls;           /**< so many; 0: 1 */
	uint64_t duration_us;     /**< how long each takes */
	uint64_t egress_bytes;    /**< of each */
	uint64_t ingress_bytes;   /**< of each */
	uint64_t gpu_us;          /**< of all */
	uint64_t disk_mb;         /**< of each, as long as it takes */
	uint64_t snapshot_kb;     /**< of all */
	uint64_t snapshot_life_s; /**< how long these are kept */
	uint32_t memory_mb;
	uint32_t vcpus;
	uint32_t mode;     /**< one of #nova_usage_mode; 0: #NOVA_USAGE_CACHED */
	uint32_t reserved; /**< 0 */
} nova_usage_estimate_opts;
#define NOVA_USAGE_ESTIMATE_OPTS_INIT                                                              \
	{                                                                                          \
		sizeof(nova_usage_estimate_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0            \
	}

/**
 * What it would cost, in a month in which there is nothing else.
 * @param nova the platform
 * @param opts what; required
 * @param ret_bill receives it. Yours: free it with nova_bill_free()
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad option; the message names it
 *  - NOVA_ENOTFOUND: no such function
 *  - NOVA_ETOOBIG: it comes to more than 2^63
 *  - NOVA_ECONFIG: the prices cannot be read
 *  - NOVA_ECORRUPT: the store is damaged
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_usage_estimate(nova_t *nova, const nova_usage_estimate_opts *opts,
	const nova_bill **ret_bill, nova_error_t **error);

/**
 * A bill as JSON: an object with its members.
 * @param bill may be NULL
 * @return text to be freed with nova_free(); NULL: out of memory, or of NULL. Since 0.1.
 */
NOVA_API char *nova_bill_to_json(const nova_bill *bill);

/**
 * Frees a bill.
 * @param bill NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_bill_free(const nova_bill *bill);

#ifdef __cplusplus
}
#endif

#endif
