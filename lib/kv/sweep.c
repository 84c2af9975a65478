/* SPDX-License-Identifier: MIT */
/*
 * What goes by itself, at the ticks of the pool: what has expired, a portion a tick, so that VMs
 * are not kept waiting, and what no function has any more.
 */
#include "kv/kv.h"

#define SWEEP_MS   10000u /* not more often, unless there is more */
#define MORE_MS    50u
#define ORPHANS_MS 600000u

/* With the lock. */
static void want_sweep(struct kv *kv, uint64_t at)
{
	if (at >= kv->sweep_at)
		return;
	kv->sweep_at = at;
	if (kv->want_tick)
		kv->want_tick(kv->pool, at);
}

void kv_begin_sweeping(struct kv *kv)
{
	kv->sweep_at = NEVER;
	kv->orphans_at = deadline_in_ms(ORPHANS_MS);
	want_sweep(kv, deadline_in_ms(SWEEP_MS));
}

void kv_note_ttl(struct kv *kv, uint64_t ttl_ms)
{
	pthread_mutex_lock(&kv->lock);
	want_sweep(kv, deadline_in_ms(ttl_ms > SWEEP_MS ? ttl_ms : SWEEP_MS));
	pthread_mutex_unlock(&kv->lock);
}

/* When there will be something again. */
static uint64_t sweep(struct store *store)
{
	uint64_t next_us = 0, now_us = clock_unix_us();
	if (store->ops->kv->sweep(store, now_us, &next_us, NULL) < 0)
		return deadline_in_ms(SWEEP_MS);
	if (!next_us)
		return NEVER;
	uint64_t in_ms = next_us > now_us ? (next_us - now_us) / 1000 + 1 : 0;
	return deadline_in_ms(!in_ms ? MORE_MS : in_ms > SWEEP_MS ? in_ms : SWEEP_MS);
}

static bool has_id(const struct function_record *records, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(records[i].id, id))
			return true;
	return false;
}

static bool is_among(char *const *ids, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(ids[i], id))
			return true;
	return false;
}

/*
 * Of functions whose deletion was cut off, or which wrote while they were deleted. Spaces are
 * looked at first: a function is there before its space is. But who has been deleted may still
 * write: so only what had no function at the look before either is removed.
 */
static void look_for_orphans(struct kv *kv, struct store *store)
{
	char **spaces = NULL;
	size_t count = 0, functions = 0, kept = 0;
	struct function_record *records = NULL;
	struct store *base = kv->base;
	if (store->ops->kv->spaces(store, &spaces, &count, NULL) < 0 ||
		(count && base->ops->functions->list(base, NULL, &records, &functions, NULL) < 0)) {
		strv_free(spaces, count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		char *id = STEAL(spaces[i]);
		if (has_id(records, functions, id))
			free(id);
		else if (is_among(kv->orphans, kv->orphan_count, id)) {
			store->ops->kv->clear(store, id, NULL);
			free(id);
		} else
			spaces[kept++] = id;
	}
	record_list_free(records, functions);
	strv_free(kv->orphans, kv->orphan_count);
	kv->orphans = spaces;
	kv->orphan_count = kept;
}

/* An import puts spaces before it does their functions: while one is under way nobody knows. */
static void remove_orphans(struct kv *kv, struct store *store)
{
	const struct transfer_ops *transfer = kv->base->ops->transfer;
	struct transfer_lock *lock = NULL;
	if (transfer->lock(kv->base, TRANSFER_CLEARS, 0, &lock, NULL) < 0)
		return;
	look_for_orphans(kv, store);
	transfer->unlock(lock);
}

static bool take_due(uint64_t *at)
{
	bool due = deadline_passed(*at);
	if (due)
		*at = NEVER;
	return due;
}

/* Whoever keeps nothing in this process leaves it to those who do. What is due is one tick's. */
void kv_tick(struct kv *kv)
{
	pthread_mutex_lock(&kv->lock);
	struct store *store = kv->store;
	bool orphans = store && take_due(&kv->orphans_at);
	/* what another process has put, or imported, is swept as well */
	bool sweeps = store && (take_due(&kv->sweep_at) || orphans);
	pthread_mutex_unlock(&kv->lock);
	uint64_t next = sweeps ? sweep(store) : NEVER;
	if (orphans)
		remove_orphans(kv, store);
	pthread_mutex_lock(&kv->lock);
	if (next < kv->sweep_at)
		kv->sweep_at = next;
	if (orphans)
		kv->orphans_at = deadline_in_ms(ORPHANS_MS);
	/* The pool keeps only what was asked of it since the last tick. */
	if (store && kv->want_tick && kv->sweep_at != NEVER)
		kv->want_tick(kv->pool, kv->sweep_at);
	pthread_mutex_unlock(&kv->lock);
}
