/* SPDX-License-Identifier: MIT */
/*
 * Parked clones: children of a group's zygote that were forked ahead (docs/hot.md).
 *
 * Each is a slot that counts in the books, and becomes that of the next start of its group, which
 * needs no other room then. Whoever else needs room takes theirs first. Ticks make them, as long as
 * their zygote stands and starts are made from it.
 */
#include "pool/internal.h"

#define IN_USE_MS 60000u /* they outlive the last start of their group by a minute */
#define SHARE     4u     /* of the VMs that there may be, for all of them together */
#define AUTO_MOST 4u     /* of a group, however many processors there are */

void parked_read_limits(nova_pool_t *pool, const nova_config_t *config)
{
	uint32_t processors = (uint32_t)sys_processors();
	bool as_usual = !strcmp(config_str(config, "pool.standby"), "auto");
	pool->standby = as_usual ? 0 : (uint32_t)config_u64(config, "pool.standby");
	pool->max_parked = !as_usual              ? pool->standby :
			   processors < AUTO_MOST ? processors :
						    AUTO_MOST;
	pool->max_parked_all = (uint32_t)config_u64(config, "pool.max_standby");
}

/* --- where they are --- */

static void park(nova_pool_t *pool, struct group *g, struct slot *s)
{
	young_remove(pool, s);
	list_append(&g->zygote.parked, &s->parked);
	list_append(&pool->parked, &s->age);
	g->zygote.parked_count++;
	count(pool, NOVA_POOL_PARKED);
}

/* --- starting in one --- */

int parked_start(nova_pool_t *pool, struct slot *s, const struct stop *stop, nova_vm_t **ret_vm,
	char why[VM_PATH_WHY], nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	nova_vm_t *vm = STEAL(s->vm);
	int code = vm_unpark(vm, stop, why, &failure);
	if (code == 1) {
		*ret_vm = vm;
		return 1;
	}
	nova_vm_free(vm);
	if (code == 0)
		log_info(host_log(pool->host), "pool", "a parked clone of '%s' was not born: %s",
			s->group->key, why);
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

/* --- making them --- */

static uint32_t wanted(const nova_pool_t *pool, const struct group *g)
{
	const struct slot *zygote = g->zygote.slot;
	return deadline_passed(zygote->idle_since + IN_USE_MS * 1000000ull) ? 0 : pool->max_parked;
}

static bool is_room_for_all(const nova_pool_t *pool)
{
	uint64_t parked = pool->counters[NOVA_POOL_PARKED];
	return parked < pool->max_vms / SHARE && parked < pool->max_parked_all;
}

/* The one that was used last is first. What a runtime's is forked for is not known ahead. */
static struct group *next_missing(nova_pool_t *pool)
{
	for (struct link *l = pool->zygotes.prev; l != &pool->zygotes; l = l->prev) {
		struct group *g = CONTAINER_OF(l, struct group, zygote.stands);
		if (!g->zygote.of_runtime && g->zygote.parked_count < wanted(pool, g) &&
			deadline_passed(g->zygote.not_before) && is_room_for_all(pool) &&
			room_is_spare(pool, g))
			return g;
	}
	return NULL;
}

static void made(nova_pool_t *pool, struct group *g, struct slot *s, const nova_vm_t *zygote,
	struct slot **ending)
{
	const struct slot *stands = g->zygote.slot;
	park(pool, g, s);
	if (pool->draining || s->generation != g->generation || !stands || stands->vm != zygote)
		slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
}

/* Lets go of the lock. False: no more of them now. */
static bool make(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	AUTO_FREE struct slot *fresh = calloc(1, sizeof(*fresh));
	struct slot *s = fresh ? room_spare(pool, g, &fresh) : NULL;
	char why[VM_PATH_WHY];
	if (!s)
		return false;
	nova_vm_t *zygote = vm_ref(g->zygote.slot->vm);
	const struct stop stop = { pool->end, NULL };
	group_hold(pool, g);
	g->busy++;
	pthread_mutex_unlock(&pool->lock);
	int code = vm_zygote_park(zygote, &stop, &s->vm, why, &failure);
	pthread_mutex_lock(&pool->lock);
	if (code == 1) {
		made(pool, g, s, zygote, ending);
	} else {
		room_give_back(pool, s);
		free(s);
		zygote_failed(pool, g, zygote, ending);
	}
	g->busy--;
	group_changed(pool, g, ending);
	pool_reap(pool, ending);
	vm_unref(zygote);
	return code == 1;
}

static void end_useless(nova_pool_t *pool, struct slot **ending)
{
	for (struct link *l = pool->parked.next, *next; l != &pool->parked; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, age);
		next = l->next;
		if (nova_vm_state(s->vm) == NOVA_VM_DEAD)
			slot_end(pool, s, NOVA_POOL_DISCARDED, ending);
		else if (s->group->zygote.parked_count > wanted(pool, s->group))
			slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
	}
}

void parked_maintain(nova_pool_t *pool)
{
	struct slot *ending = NULL;
	struct group *g;
	end_useless(pool, &ending);
	pool_reap(pool, &ending);
	if (!list_empty(&pool->zygotes))
		pool_look(pool);
	while (!pool->draining && (g = next_missing(pool)) != NULL && make(pool, g, &ending))
		;
}
