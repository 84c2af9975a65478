/* SPDX-License-Identifier: MIT */
/* VMs that are there before anyone asks for them. */
#include "pool/internal.h"

#define LOOK_MS       1000u /* a kept VM that died while it waited is missed within this time */
#define RETRY_MS      1000u /* after a start that failed, twice that after the next, … */
#define RETRY_MOST_MS 60000u

/* --- asking --- */

int keep_leaves_room(const nova_pool_t *pool, const struct group *g, uint32_t vms,
	uint32_t memory_mb, nova_error_t **error)
{
	uint64_t others = pool->kept_vms - g->keep,
		 memory = pool->kept_memory_mb - g->kept_memory_mb;
	if (others + vms > pool->max_vms)
		return nova_fail(error, NOVA_ELIMIT,
			"there is no room for %u microVMs: %llu of at most %u are kept for other "
			"functions (setting pool.max_vms)",
			vms, (unsigned long long)others, pool->max_vms);
	if (pool->max_memory_mb && memory + (uint64_t)vms * memory_mb > pool->max_memory_mb)
		return nova_fail(error, NOVA_ELIMIT,
			"there is no room for %u microVMs of %u MB: %llu of at most %llu MB are "
			"kept for other functions (setting pool.max_memory)",
			vms, memory_mb, (unsigned long long)memory,
			(unsigned long long)pool->max_memory_mb);
	return 0;
}

/* VMs that did not age because they were kept begin to do so. */
static void let_age(nova_pool_t *pool, struct group *g)
{
	for (struct link *l = g->idle.next; l != &g->idle; l = l->next) {
		struct slot *s = CONTAINER_OF(l, struct slot, idle);
		if (linked(&s->age))
			continue;
		s->idle_since = clock_ns();
		list_append(&pool->aged, &s->age);
		pool_due(pool, s->idle_since + pool->ttl_ms * 1000000u);
	}
}

void group_end_keep(nova_pool_t *pool, struct group *g)
{
	if (!g->keep)
		return;
	pool->kept_vms -= g->keep;
	pool->kept_memory_mb -= g->kept_memory_mb;
	g->kept_memory_mb = g->keep = 0;
	link_remove(&g->kept);
	let_age(pool, g);
	request_free(STEAL(g->request));
}

/* Takes the request over on success. */
static int set_keep(
	nova_pool_t *pool, struct request *request, uint32_t count, nova_error_t **error)
{
	uint32_t memory_mb = request->vm.config.machine.memory_mb;
	bool fresh = request->want.flags & NOVA_POOL_FRESH;
	struct group *g = group_get(pool, request->want.key, fresh, true);
	if (!g)
		return nova_oom(error);
	int code = pool->draining ? nova_fail(error, NOVA_ECANCELED, "the pool is closing") :
				    keep_leaves_room(pool, g, count, memory_mb, error);
	if (code < 0) {
		group_put(pool, g);
		return code;
	}
	group_end_keep(pool, g);
	g->keep = count;
	g->kept_memory_mb = (uint64_t)count * memory_mb;
	pool->kept_vms += g->keep;
	pool->kept_memory_mb += g->kept_memory_mb;
	g->request = request;
	g->memory_mb = memory_mb;
	g->keep_retry = 0;
	g->keep_wait_ms = RETRY_MS;
	list_append(&pool->kept, &g->kept);
	pool_due(pool, 0);
	return 0;
}

static void end_keep(nova_pool_t *pool, const struct pool_want *want)
{
	struct group *g = group_get(pool, want->key, want->flags & NOVA_POOL_FRESH, false);
	if (!g)
		return;
	group_end_keep(pool, g);
	group_put(pool, g);
}

int pool_keep(nova_pool_t *pool, const struct pool_want *want, uint32_t count, nova_error_t **error)
{
	struct request *request = NULL;
	int code = host_check_process(pool->host, error);
	if (code == 0 && count)
		code = request_new(want, &request, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&pool->lock);
	room_settle(pool);
	if (count)
		code = set_keep(pool, request, count, error);
	else
		end_keep(pool, want);
	pthread_mutex_unlock(&pool->lock);
	if (code < 0)
		request_free(request);
	return code;
}

int nova_pool_keep(
	nova_pool_t *pool, const nova_pool_want *want, uint32_t count, nova_error_t **error)
{
	struct pool_want w;
	nova_interrupt_t *none; /* VMs are kept beyond any call */
	AUTO_VM_SPEC struct vm_spec spec = { .engine = NULL };
	if (ANY_NULL(error, pool, want))
		return NOVA_EINVAL;
	int code = want_import(&w, &spec, &none, want, error);
	if (code == 0 && none)
		code = nova_fail(error, NOVA_EINVAL,
			"nova_pool_want.interrupt: VMs are kept beyond any call, so that there is "
			"nothing to interrupt: nova_pool_keep() with a count of 0 ends it");
	return code < 0 ? code : pool_keep(pool, &w, count, error);
}

/* --- keeping --- */

static void end_dead(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	for (struct link *l = g->idle.next, *next; l != &g->idle; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, idle);
		next = l->next;
		if (!s->pausing && nova_vm_state(s->vm) == NOVA_VM_DEAD)
			slot_end(pool, s, NOVA_POOL_DISCARDED, ending);
	}
}

static bool is_missing(const struct group *g)
{
	return g->vms < g->keep && deadline_passed(g->keep_retry);
}

static struct group *missing(const nova_pool_t *pool)
{
	for (const struct link *l = pool->kept.next; l != &pool->kept; l = l->next)
		if (is_missing(CONTAINER_OF(l, struct group, kept)))
			return CONTAINER_OF(l, struct group, kept);
	return NULL;
}

static void try_later(struct group *g, uint64_t ms)
{
	g->keep_retry = deadline_in_ms(ms);
	g->keep_wait_ms = ms * 2 < RETRY_MOST_MS ? ms * 2 : RETRY_MOST_MS;
}

static void start_one(nova_pool_t *pool, struct group *g, struct slot *s, struct slot **ending)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	struct request *request = g->request; /* it may be taken back while the VM starts */
	request->references++;
	g->busy++;
	int code = slot_start(pool, s, &request->want, NULL, NULL, &failure);
	if (code < 0) {
		pthread_mutex_unlock(&pool->lock); /* the host program's log may take its time */
		log_warn(host_log(pool->host), "pool", "no microVM for '%s' can be kept: %s",
			g->key, nova_error_message(failure));
		pthread_mutex_lock(&pool->lock);
	}
	g->busy--;
	request_free(request);
	if (code < 0) {
		try_later(g, g->keep_wait_ms);
	} else {
		g->keep_wait_ms = RETRY_MS;
		slot_make_idle(pool, s);
		if ((pool->draining && !g->waiting) || s->generation != g->generation)
			slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
	}
	group_changed(pool, g, ending);
	pool_reap(pool, ending);
}

void pool_keep_maintain(nova_pool_t *pool)
{
	struct slot *ending = NULL;
	if (!list_empty(&pool->kept))
		pool_look(pool);
	for (struct link *l = pool->kept.next; l != &pool->kept; l = l->next)
		end_dead(pool, CONTAINER_OF(l, struct group, kept), &ending);
	pool_reap(pool, &ending);
	for (struct group *g; !pool->draining && (g = missing(pool)) != NULL;) {
		AUTO_FREE struct slot *fresh = calloc(1, sizeof(*fresh));
		struct slot *s = fresh ? room_take(pool, g, &fresh, &ending) : NULL;
		if (s)
			start_one(pool, g, s, &ending);
		else
			try_later(g, RETRY_MS);
	}
	pool_reap(pool, &ending);
}

uint64_t pool_keep_due(const nova_pool_t *pool)
{
	return list_empty(&pool->kept) ? NEVER : deadline_in_ms(LOOK_MS);
}
