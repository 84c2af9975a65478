/* SPDX-License-Identifier: MIT */
/*
 * The door of usage: what was used is noted in a journal, taken from there into the store once, and
 * has a price.
 *
 * A journal is a file of one context, which alone appends to it and holds its lock as long as it
 * lives. A line is
 *
 *     SUM <tab> TIME <tab> MODE <tab> KEY <tab> FUNCTION <tab> AMOUNT ... <newline>
 *
 * where TIME is in microseconds since 1970, AMOUNTs are those of enum usage_amount in their order,
 * and SUM is hash_text() of all behind it, in 16 hex digits. Anybody may take lines into the store:
 * it keeps, in the same transaction, how far that journal has been read. So a line is known by its
 * journal and its place, and counts once, whoever is killed when.
 */
#ifndef NOVA_LIB_USAGE_H
#define NOVA_LIB_USAGE_H

#include <pthread.h>

#include <nova/usage.h>

#include "config/config.h"
#include "store/store.h"

#define USAGE_HOUR_US  3600000000ull
#define USAGE_OF_MONTH (31u * NOVA_USAGE_MODES) /* sums by day and mode: none is too large */
#define USAGE_TEXT     64u                      /* bytes of a key or a function at most */

/* --- month.c: months since the year 0, and when one begins --- */

uint64_t usage_month_of(uint64_t time_us);
uint64_t usage_month_begin_us(uint64_t month);

/* --- price.c and rates.c: integer nano-dollars, and nothing else --- */

#define USAGE_TIERS 16u
#define USAGE_PLANS 16u
#define USAGE_WORD  32u
#define USAGE_MONTH (30u * 24u * 3600u) /* seconds of a GB-month */

enum usage_price {
	PRICE_VCPU_SECOND,
	PRICE_GB_SECOND,
	PRICE_GPU_HOUR,
	PRICE_SNAPSHOT_GB_MONTH,
	PRICE_EGRESS_GB,
	PRICE_INGRESS_GB,
	PRICES,
};

struct usage_tier {
	char name[USAGE_WORD];
	uint64_t from, percent;
};

struct usage_plan {
	char name[USAGE_WORD];
	uint64_t price, mcu, vcpus, memory_gb;
};

struct usage_rates {
	uint64_t prices[PRICES];
	uint64_t multipliers[NOVA_USAGE_MODES]; /* in thousandths */
	struct usage_tier tiers[USAGE_TIERS];   /* upwards; the first from 0 */
	struct usage_plan plans[USAGE_PLANS];
	size_t tiers_count, plans_count;
	uint64_t mcu_overage;
};

/* Those that are shipped; of the file that the setting usage.rates names. NOVA_ECONFIG. */
int usage_rates_open(const char *path, struct usage_rates *ret, nova_error_t **error);
/* NULL: there is none of that name. */
const struct usage_plan *usage_plan_find(const struct usage_rates *rates, const char *name);
const char *usage_mode_name(uint32_t mode); /* "" of what has none */

struct usage_cost {
	uint64_t items[PRICES];
	uint64_t subtotal;
};

/* Of all of them; each item is rounded once, half a nano-dollar upwards. False: it is more than can
 * be counted. */
bool usage_cost_of(const struct usage_rates *rates, const struct usage_record *records,
	size_t count, struct usage_cost *ret);
/* In millionths of an MCU, rounded in the same way. */
bool usage_mcu_of(const struct usage_record *records, size_t count, uint64_t *ret);
/* The tier that a month of that subtotal has; and what is taken off the whole of it. */
const struct usage_tier *usage_tier_of(const struct usage_rates *rates, uint64_t subtotal);
uint64_t usage_discount(const struct usage_tier *tier, uint64_t subtotal);
/* What the MCUs cost that the plan has not. False: as above. */
bool usage_overage(const struct usage_rates *rates, const struct usage_plan *plan,
	uint64_t mcu_micro, uint64_t *ret);

/* --- journal.c --- */

#define USAGE_PENDING (1u << 20) /* bytes of lines that wait in memory for room on the disk */

struct usage_journal {
	char *directory;
	pthread_mutex_t lock; /* guards those below */
	int fd;               /* -1: there is none yet */
	char *path;
	uint64_t size;
	struct buf pending;
	uint64_t lost;  /* records that had no room there either */
	bool dirty;     /* not on the disk yet */
	bool anonymous; /* nor is its name */
};

/* In `home`/usage, which is made when there is something to write; in a directory of its own there,
 * if it is for a store that hosts share: what is for one store is nothing for another. */
int usage_journal_init(
	struct usage_journal *j, const char *home, bool shared, nova_error_t **error);
void usage_journal_done(struct usage_journal *j);
/* Written when it returns 0, but for the power of the machine. Otherwise it waits in memory for the
 * next try, or is counted as lost. */
int usage_journal_append(struct usage_journal *j, uint64_t time_us,
	const struct usage_record *record, nova_error_t **error);
/* Tries what waits in memory, and has all on the disk. */
int usage_journal_flush(struct usage_journal *j, nova_error_t **error);
/* Leaves a file of at least that size to usage_fold(), which removes it then; what comes is written
 * to another one. */
int usage_journal_leave(struct usage_journal *j, uint64_t least, nova_error_t **error);

/* A line without its end. False: it is none. The texts of the record lie in it. */
bool usage_line_read(char *line, struct usage_record *ret);
/* What its name tells apart. */
bool usage_is_journal(const char *name);

/* --- storage.c: the snapshots of a home, which are counted once --- */

struct usage_storage {
	int fd;
	char id[17]; /* of the home */
	uint64_t last_us;
};

/* 1; or 0: somebody else counts them just now. */
int usage_storage_open(const char *home, struct usage_storage *s, nova_error_t **error);
int usage_storage_note(struct usage_storage *s, uint64_t last_us);
void usage_storage_done(struct usage_storage *s);
/* From when on they are counted now, if they were counted until `last_us` (0: never). `passed_us`:
 * so long ago was that by a clock that does not jump; UINT64_MAX: nobody knows. */
uint64_t usage_storage_from(uint64_t last_us, uint64_t now_us, uint64_t passed_us);

/* --- fold.c --- */

/* Takes what all journals of the directory have into the store, and removes those whose owner has
 * gone. *ret_bad: lines that are none. */
int usage_fold(const char *directory, struct store *store, uint64_t *ret_bad, nova_error_t **error);

#endif
