/* SPDX-License-Identifier: MIT */
/*
 * VMMs on standby: they have come up and wait at a base for the next clone of it. One collection
 * for each context.
 *
 * A VMM maps guest memory and opens its disks as it starts, so it fits the clones of one base in
 * one shape; it belongs to no VM and no caller. `lock` protects the collection; VMMs are started
 * and ended without it. A stock that somebody works on without the lock is `held`, and stays in the
 * list.
 */
#include "vm/standby.h"

#include "base/list.h"
#include "vm/frozen.h"

#define AGAIN_NS 1000000000u /* after a start that failed, or whose VMM died soon */

struct stock {
	struct link link;
	struct frozen *frozen; /* its base and shape */
	struct machine **waiting;
	size_t count, starting, wanted, room;
	uint32_t held;
	uint64_t until, begun; /* the end of its life; the last start of a VMM */
	bool failing;          /* so the next start takes its time */
};

static struct stock *stock_at(struct link *l)
{
	return CONTAINER_OF(l, struct stock, link);
}

struct standby {
	pthread_mutex_t lock;
	struct link stocks; /* the latest first */
	size_t total;       /* waiting, or being started */
};

/* --- the collection. Functions below: with the lock held --- */

static void *standby_make(void)
{
	struct standby *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	list_init(&s->stocks);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

/* Killed together they end side by side. */
static void end_machines(const struct engine_ops *ops, struct machine **machines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ops->kill(machines[i]);
	for (size_t i = 0; i < count; i++)
		machine_free(ops, machines[i]);
}

static void stock_free(struct stock *stock)
{
	end_machines(stock->frozen->ops, stock->waiting, stock->count);
	frozen_unref(stock->frozen);
	free(stock->waiting);
	free(stock);
}

/* The context ends: no other thread is here. */
static void standby_done(void *collection)
{
	struct standby *s = collection;
	for (struct link *l; (l = list_pop(&s->stocks));)
		stock_free(stock_at(l));
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* In a fork of the process nothing is touched: the VMMs are the parent's, and the lock may be
 * held for ever. */
static struct standby *standby_lock(nova_host_t *host, bool make)
{
	const struct host_slot slot = { make ? standby_make : NULL, standby_done };
	struct standby *s = host_check_process(host, NULL) == 0 ? host_slot(host, &slot) : NULL;
	if (s)
		pthread_mutex_lock(&s->lock);
	return s;
}

static bool fits(const struct stock *stock, const struct frozen *f)
{
	const struct frozen *own = stock->frozen;
	return own->ops == f->ops && own->base->device == f->base->device &&
	       own->base->inode == f->base->inode && machine_config_same(&own->shape, &f->shape);
}

static struct stock *find(struct standby *s, const struct frozen *f)
{
	for (struct link *l = s->stocks.next; l != &s->stocks; l = l->next)
		if (fits(stock_at(l), f))
			return stock_at(l);
	return NULL;
}

static struct machine *take_out(struct standby *s, struct stock *stock, size_t at)
{
	struct machine *m = stock->waiting[at];
	stock->waiting[at] = stock->waiting[--stock->count];
	s->total--;
	return m;
}

/* The first VMM that is dead; else, of a stock that is over or has too many, one that lives.
 * NULL: none. */
static struct machine *take_useless(struct standby *s, struct stock *stock)
{
	for (size_t i = 0; i < stock->count; i++)
		if (machine_ended(stock->frozen->ops, stock->waiting[i], 0)) {
			stock->failing = clock_ns() - stock->begun < AGAIN_NS;
			return take_out(s, stock, i);
		}
	if (deadline_passed(stock->until))
		stock->wanted = 0;
	return stock->count > stock->wanted ? take_out(s, stock, stock->count - 1) : NULL;
}

static bool is_over(const struct stock *stock)
{
	return !stock->wanted && !stock->count && !stock->starting && !stock->held;
}

/* --- start and end: they let go of the lock, and the caller holds the stock --- */

#define BATCH 32u

static void end_useless(struct standby *s, struct stock *stock)
{
	struct machine *useless[BATCH];
	size_t count;
	do {
		for (count = 0; count < BATCH && (useless[count] = take_useless(s, stock)); count++)
			;
		if (!count)
			return;
		pthread_mutex_unlock(&s->lock);
		end_machines(stock->frozen->ops, useless, count);
		pthread_mutex_lock(&s->lock);
	} while (count == BATCH);
}

static bool make_room(struct stock *stock)
{
	if (stock->wanted <= stock->room)
		return true;
	struct machine **larger = realloc(stock->waiting, stock->wanted * sizeof(struct machine *));
	if (!larger)
		return false;
	stock->waiting = larger;
	stock->room = stock->wanted;
	return true;
}

static int start_one(
	nova_host_t *host, struct standby *s, struct stock *stock, nova_error_t **error)
{
	struct machine *m = NULL;
	stock->starting++;
	stock->begun = clock_ns();
	s->total++;
	pthread_mutex_unlock(&s->lock);
	int code = vmm_start_standby(host, stock->frozen, &m, error);
	pthread_mutex_lock(&s->lock);
	stock->starting--;
	if (code == 0 && stock->count < stock->wanted && make_room(stock)) {
		stock->waiting[stock->count++] = m;
		return 0;
	}
	s->total--;
	machine_free(stock->frozen->ops, m);
	return code;
}

/* 0 also when the limit of the context leaves no room for more. */
static int start_missing(
	nova_host_t *host, struct standby *s, struct stock *stock, nova_error_t **error)
{
	size_t limit = config_u64(host_config(host), "pool.max_standby");
	int code = 0;
	while (code == 0 && stock->count + stock->starting < stock->wanted && s->total < limit)
		code = start_one(host, s, stock, error);
	stock->failing = code < 0;
	return code;
}

static bool waits(const struct stock *stock)
{
	return stock->failing && clock_ns() - stock->begun < AGAIN_NS;
}

static void restock(nova_host_t *host, struct standby *s, struct stock *stock)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	stock->held++;
	end_useless(s, stock);
	int code = waits(stock) ? 0 : start_missing(host, s, stock, &failure);
	pthread_mutex_unlock(&s->lock); /* the host program's log may take its time */
	if (code < 0)
		log_warn(host_log(host), "vm", "no VMM can be started for standby: %s",
			nova_error_message(failure));
	pthread_mutex_lock(&s->lock);
	stock->held--;
}

static void remove_over(struct standby *s)
{
	for (struct link *l = s->stocks.next, *next; l != &s->stocks; l = next) {
		struct stock *stock = stock_at(l);
		next = l->next;
		if (!is_over(stock))
			continue;
		link_remove(l);
		stock_free(stock); /* it has no VMM: nothing to wait for */
	}
}

static int64_t next_tend(const struct standby *s)
{
	uint64_t next = NEVER;
	for (struct link *l = s->stocks.next; l != &s->stocks; l = l->next) {
		const struct stock *stock = stock_at(l);
		uint64_t due = stock->count < stock->wanted && waits(stock) ?
				       stock->begun + AGAIN_NS :
				       stock->until;
		if (due < next)
			next = due;
	}
	return deadline_poll_ms(next);
}

/* --- what others call --- */

struct machine *standby_take(nova_host_t *host, const struct frozen *frozen)
{
	struct standby *s = standby_lock(host, false);
	if (!s)
		return NULL;
	struct stock *stock = find(s, frozen);
	struct machine *m = NULL;
	while (stock && stock->count && !m) {
		m = take_out(s, stock, stock->count - 1);
		if (machine_ended(frozen->ops, m, 0)) {
			stock->held++;
			pthread_mutex_unlock(&s->lock);
			machine_free(frozen->ops, m);
			pthread_mutex_lock(&s->lock);
			stock->held--;
			m = NULL;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return m;
}

int standby_keep(nova_host_t *host, struct frozen *frozen, size_t count, uint64_t life_ms)
{
	struct standby *s = standby_lock(host, count > 0);
	if (!s)
		return count && host_check_process(host, NULL) == 0 ? NOVA_ENOMEM : 0;
	struct stock *stock = find(s, frozen);
	if (!stock && count && (stock = calloc(1, sizeof(*stock)))) {
		stock->frozen = frozen_ref(frozen);
		link_after(&s->stocks, &stock->link);
	}
	if (stock) {
		stock->wanted = count;
		stock->until = deadline_in_ms(life_ms);
	}
	int code = count && !stock ? NOVA_ENOMEM : 0;
	pthread_mutex_unlock(&s->lock);
	return code;
}

int standby_fill(nova_host_t *host, const struct frozen *frozen, nova_error_t **error)
{
	struct standby *s = standby_lock(host, false);
	struct stock *stock = s ? find(s, frozen) : NULL;
	int code = 0;
	bool full = false;
	if (stock) {
		stock->held++;
		end_useless(s, stock);
		code = start_missing(host, s, stock, error);
		full = stock->count + stock->starting < stock->wanted;
		stock->held--;
	}
	if (s)
		pthread_mutex_unlock(&s->lock);
	if (code < 0 || !full)
		return code;
	return nova_fail(error, NOVA_ELIMIT,
		"no more than %llu VMMs may be on standby at once (setting pool.max_standby)",
		(unsigned long long)config_u64(host_config(host), "pool.max_standby"));
}

int64_t standby_tend(nova_host_t *host)
{
	struct standby *s = standby_lock(host, false);
	if (!s)
		return -1;
	for (struct link *l = s->stocks.next; l != &s->stocks; l = l->next)
		/* it stays in the list meanwhile; whoever comes is put before it */
		restock(host, s, stock_at(l));
	remove_over(s);
	int64_t ms = next_tend(s);
	pthread_mutex_unlock(&s->lock);
	return ms;
}

static void drop(struct standby *s, struct stock *stock)
{
	stock->wanted = 0;
	stock->held++;
	end_useless(s, stock);
	stock->held--;
	remove_over(s);
}

void standby_drop(nova_host_t *host, const struct frozen *frozen)
{
	struct standby *s = standby_lock(host, false);
	if (!s)
		return;
	struct stock *stock = find(s, frozen);
	if (stock)
		drop(s, stock);
	pthread_mutex_unlock(&s->lock);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* For clones of that snapshot, or of one that is based on it. */
static bool is_for(const struct stock *stock, const char *root, const char *id)
{
	const struct frozen *f = stock->frozen;
	return same_text(f->base->root, root) &&
	       (same_text(f->base->id, id) || (f->is_on_disk && !strcmp(f->snapshot, id)));
}

static struct stock *find_base(struct standby *s, const char *root, const char *id)
{
	for (struct link *l = s->stocks.next; l != &s->stocks; l = l->next)
		if (stock_at(l)->wanted && is_for(stock_at(l), root, id))
			return stock_at(l);
	return NULL;
}

void standby_drop_base(nova_host_t *host, const char *root, const char *id)
{
	struct standby *s = standby_lock(host, false);
	if (!s)
		return;
	struct stock *stock;
	while ((stock = find_base(s, root, id)))
		drop(s, stock);
	pthread_mutex_unlock(&s->lock);
}

size_t standby_count(nova_host_t *host)
{
	struct standby *s = standby_lock(host, false);
	if (!s)
		return 0;
	size_t count = 0;
	for (struct link *l = s->stocks.next; l != &s->stocks; l = l->next)
		count += stock_at(l)->count;
	pthread_mutex_unlock(&s->lock);
	return count;
}
