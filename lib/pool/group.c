/* SPDX-License-Identifier: MIT */
/* Groups and their VMs: where each is, and how it gets from one place to another. All with the lock
 * held. */
#include "pool/internal.h"

/* --- groups --- */

static struct group *group_new(nova_pool_t *pool, const char *key, bool fresh, uint64_t hash)
{
	struct group *g = calloc(1, sizeof(*g) + strlen(key) + 1);
	if (!g)
		return NULL;
	memcpy(g->key, key, strlen(key) + 1);
	g->fresh = fresh;
	g->concurrency = 1;
	list_init(&g->idle);
	list_init(&g->open);
	list_init(&g->tickets);
	list_init(&g->zygote.parked);
	table_add(&pool->groups, &g->node, hash);
	return g;
}

void group_hold(nova_pool_t *pool, struct group *g)
{
	if (!linked(&g->unused))
		return;
	link_remove(&g->unused);
	pool->unused_count--;
}

struct group *group_get(nova_pool_t *pool, const char *key, bool fresh, bool create)
{
	uint64_t hash = hash_text(key) + fresh;
	for (struct table_node *n = table_bucket(&pool->groups, hash); n; n = n->next) {
		struct group *g = CONTAINER_OF(n, struct group, node);
		if (n->hash != hash || g->fresh != fresh || strcmp(g->key, key) != 0)
			continue;
		group_hold(pool, g);
		return g;
	}
	return create ? group_new(pool, key, fresh, hash) : NULL;
}

static void group_free(nova_pool_t *pool, struct group *g)
{
	group_hold(pool, g);
	link_remove(&g->kept);
	link_remove(&g->zygote.wanted);
	table_remove(&pool->groups, &g->node);
	frozen_unref(g->frozen);
	free(g->zygote.sample);
	request_free(g->request);
	free(g);
}

/* each has files open, and what it has cannot make room for others on the disk */
#define MOST_UNUSED 100u

void group_put(nova_pool_t *pool, struct group *g)
{
	if (g->vms || g->busy || g->waiting || g->keep || g->zygote.slot || g->zygote.rehearses ||
		linked(&g->unused))
		return;
	if (!g->frozen) {
		group_free(pool, g);
		return;
	}
	/* the template need not be looked for again at the next call */
	g->unused_until = deadline_in_ms(pool->ttl_ms);
	list_append(&pool->unused, &g->unused);
	pool->unused_count++;
	groups_forget_unused(pool, MOST_UNUSED);
}

void groups_forget_unused(nova_pool_t *pool, size_t most)
{
	while (!list_empty(&pool->unused)) {
		struct group *g = CONTAINER_OF(pool->unused.next, struct group, unused);
		if (pool->unused_count <= most && !deadline_passed(g->unused_until))
			return;
		group_free(pool, g);
	}
}

struct frozen *group_lose_template(struct group *g)
{
	g->standby_until = 0;
	g->unwritten = false;
	return STEAL(g->frozen);
}

/* --- standby --- */

#define STANDBY_TTL_MS 60000u /* they outlive the last call of their function by a minute */

void group_want_standby(nova_pool_t *pool, struct group *g, uint64_t now)
{
	if (!pool->standby || !g->frozen || g->unwritten || g->zygote.slot ||
		g->standby_until > now + STANDBY_TTL_MS / 2 * 1000000ull)
		return;
	if (standby_keep(pool->host, g->frozen, pool->standby, STANDBY_TTL_MS) < 0)
		return;
	g->standby_until = now + STANDBY_TTL_MS * 1000000ull;
	pool_due(pool, 0);
}

/* --- out --- */

static uint64_t hash_of_vm(const nova_vm_t *vm)
{
	return ((uint64_t)(uintptr_t)vm >> 4) * 0x9e3779b97f4a7c15u >> 20;
}

struct slot *slot_of_vm(const nova_pool_t *pool, const nova_vm_t *vm)
{
	uint64_t hash = hash_of_vm(vm);
	for (struct table_node *n = table_bucket(&pool->out, hash); n; n = n->next)
		if (n->hash == hash && CONTAINER_OF(n, struct slot, node)->vm == vm)
			return CONTAINER_OF(n, struct slot, node);
	return NULL;
}

/* Open for more callers, or not. */
void slot_note_open(struct slot *s)
{
	struct group *g = s->group;
	bool open = s->users && s->users < g->concurrency && !s->spoiled &&
		    s->generation == g->generation;
	if (open && !linked(&s->open))
		list_append(&g->open, &s->open);
	else if (!open)
		link_remove(&s->open);
}

void slot_hand_out(nova_pool_t *pool, struct slot *s)
{
	if (s->users++ == 0) {
		table_add(&pool->out, &s->node, hash_of_vm(s->vm));
		s->group->out++;
		count(pool, NOVA_POOL_BUSY);
	}
	slot_note_open(s);
}

/* --- idle --- */

void slot_make_idle(nova_pool_t *pool, struct slot *s)
{
	s->idle_since = clock_ns();
	link_after(&s->group->idle, &s->idle);
	list_append(&pool->aged, &s->age);
	count(pool, NOVA_POOL_IDLE);
	pool_due(pool, s->idle_since + pool->ttl_ms * 1000000u);
	if (s->asleep) /* nobody woke it */
		count(pool, NOVA_POOL_PAUSED);
	if (s->asleep || !pool->pause_ms || !vm_ops(s->vm)->pause)
		return;
	list_append(&pool->awake, &s->awake);
	pool_due(pool, s->idle_since + pool->pause_ms * 1000000u);
}

static void leave_idle(nova_pool_t *pool, struct slot *s)
{
	link_remove(&s->idle);
	link_remove(&s->age);
	link_remove(&s->awake);
	pool->counters[NOVA_POOL_IDLE]--;
	if (s->asleep)
		pool->counters[NOVA_POOL_PAUSED]--;
}

static void leave_parked(nova_pool_t *pool, struct slot *s)
{
	link_remove(&s->parked);
	link_remove(&s->age);
	s->group->zygote.parked_count--;
	pool->counters[NOVA_POOL_PARKED]--;
}

static void stand_no_more(nova_pool_t *pool, struct slot *s, struct slot **ending)
{
	parked_end(pool, s->group, ending);
	link_remove(&s->group->zygote.stands);
	link_remove(&s->age);
	s->group->zygote.slot = NULL;
	pool->counters[NOVA_POOL_ZYGOTES]--;
}

void group_rehearses_no_more(struct group *g)
{
	link_remove(&g->zygote.rehearsing);
	g->zygote.rehearses = NULL;
	frozen_unref(STEAL(g->zygote.made_of));
}

static void rehearse_no_more(nova_pool_t *pool, struct slot *s)
{
	young_remove(pool, s);
	group_rehearses_no_more(s->group);
}

static void leave_group(nova_pool_t *pool, struct slot *s)
{
	struct group *g = s->group;
	if (linked(&s->idle))
		leave_idle(pool, s);
	young_remove(pool, s);
	g->vms--;
	if (g->vms < g->keep)
		pool_due(pool, 0);
}

void slot_end(nova_pool_t *pool, struct slot *s, int counter, struct slot **ending)
{
	if (slot_is_zygote(s))
		stand_no_more(pool, s, ending);
	else if (slot_rehearses(s))
		rehearse_no_more(pool, s);
	else if (slot_is_parked(s))
		leave_parked(pool, s);
	else
		leave_group(pool, s);
	if (counter == NOVA_POOL_EVICTED)
		count(pool, NOVA_POOL_EXPIRED);
	count(pool, counter);
	s->group = NULL; /* which may be forgotten before this VM has ended */
	s->next = *ending;
	*ending = s;
}

void group_end_idle(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	for (struct link *l = g->idle.next, *next; l != &g->idle; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, idle);
		next = l->next;
		if (!s->pausing) /* whoever pauses it will see to that */
			slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
	}
}

/* The idle VM on top that lives; dead ones are cleared away. */
static struct slot *take_idle(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	for (struct link *l = g->idle.next, *next; l != &g->idle; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, idle);
		next = l->next;
		if (s->pausing)
			continue;
		if (nova_vm_state(s->vm) != NOVA_VM_DEAD) {
			leave_idle(pool, s);
			return s;
		}
		s->why = "died while it waited";
		slot_end(pool, s, NOVA_POOL_DISCARDED, ending);
	}
	return NULL;
}

/* A VM that is out with room for one more. One that has died takes no more callers; those who have
 * it will find out. */
static struct slot *find_open(struct group *g)
{
	while (!list_empty(&g->open)) {
		struct slot *s = CONTAINER_OF(g->open.next, struct slot, open);
		s->spoiled |= nova_vm_state(s->vm) == NOVA_VM_DEAD;
		if (!s->spoiled && s->users < g->concurrency)
			return s;
		link_remove(&s->open);
	}
	return NULL;
}

/* An idle VM is better than a part of one that works. */
struct slot *group_take(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	struct slot *s = take_idle(pool, g, ending);
	if (!s) {
		s = find_open(g);
		pool->counters[NOVA_POOL_SHARED] += s != NULL;
	}
	if (!s)
		return NULL;
	count(pool, NOVA_POOL_HITS);
	if (s->asleep)
		count(pool, NOVA_POOL_RESUMED);
	slot_hand_out(pool, s);
	return s;
}

/* --- forked ahead --- */

void parked_end(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	while (!list_empty(&g->zygote.parked))
		slot_end(pool, CONTAINER_OF(g->zygote.parked.next, struct slot, parked),
			NOVA_POOL_EXPIRED, ending);
}

struct slot *parked_first(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	while (!list_empty(&g->zygote.parked)) {
		struct slot *s = CONTAINER_OF(g->zygote.parked.next, struct slot, parked);
		if (nova_vm_state(s->vm) != NOVA_VM_DEAD)
			return s;
		slot_end(pool, s, NOVA_POOL_DISCARDED, ending);
	}
	return NULL;
}

void parked_take(nova_pool_t *pool, struct slot *s)
{
	leave_parked(pool, s);
	young_add(pool, s);
	/* the next one would take its processor time from the call that has just begun */
	pool_due(pool, clock_ns() + s->group->start_ns);
}

/* --- the end --- */

void pool_expire(nova_pool_t *pool, struct slot **ending)
{
	uint64_t now = list_empty(&pool->aged) ? 0 : clock_ns();
	for (struct link *l = pool->aged.next, *next; l != &pool->aged; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, age);
		next = l->next;
		if (now < s->idle_since + pool->ttl_ms * 1000000u)
			break;
		struct group *g = s->group;
		if (s->pausing || slot_is_being_forked(s))
			continue;
		/* it does not age any more; should it be used again, it will */
		if (g->vms <= g->keep && !slot_is_zygote(s)) {
			link_remove(&s->age);
			continue;
		}
		s->why = "has waited long enough";
		slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
		group_put(pool, g);
	}
	groups_forget_unused(pool, MOST_UNUSED);
}

void slots_kill(struct slot *ending)
{
	for (struct slot *s = ending; s; s = s->next)
		nova_vm_kill(s->vm);
}

void slots_destroy(nova_pool_t *pool, struct slot *ending)
{
	slots_kill(ending);
	while (ending) {
		struct slot *s = ending;
		ending = s->next;
		if (s->why)
			log_info(host_log(pool->host), "pool", "%s %s", nova_vm_id(s->vm), s->why);
		nova_vm_free(s->vm);
		free(s);
	}
}
