/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "platform/groups.h"
#include "vm/vm.h"

struct group_of_calls {
	struct table_node node;
	struct link place;  /* in one of the lists of groups, if a call waits */
	struct link *among; /* which one; NULL: none */
	struct link waiting;
	uint32_t under_way;
	bool alone; /* one is under way that has to be */
	nova_vm_t *vm;
	char key[];
};

int groups_init(struct groups *groups)
{
	groups->waiting = 0;
	list_init(&groups->fresh);
	list_init(&groups->busy);
	list_init(&groups->blocked);
	return table_init(&groups->by_key);
}

void groups_done(struct groups *groups)
{
	table_done(&groups->by_key);
}

static struct turn *first_turn(const struct group_of_calls *g)
{
	struct link *first = list_first(&g->waiting);
	return first ? CONTAINER_OF(first, struct turn, link) : NULL;
}

static bool may_begin(const struct group_of_calls *g)
{
	if (g->alone || first_turn(g)->alone)
		return !g->under_way;
	return !g->vm || g->under_way < vm_concurrency(g->vm);
}

static struct link *where_it_belongs(struct groups *groups, const struct group_of_calls *g)
{
	if (list_empty(&g->waiting))
		return NULL;
	if (!may_begin(g))
		return &groups->blocked;
	return g->under_way ? &groups->busy : &groups->fresh;
}

/* To the end of where it belongs now, unless it is there. */
static void settle(struct groups *groups, struct group_of_calls *g)
{
	struct link *to = where_it_belongs(groups, g);
	if (to == g->among)
		return;
	link_remove(&g->place);
	g->among = to;
	if (to)
		list_append(to, &g->place);
}

static struct group_of_calls *find(const struct groups *groups, const char *key, uint64_t hash)
{
	for (struct table_node *n = table_bucket(&groups->by_key, hash); n; n = n->next) {
		struct group_of_calls *g = CONTAINER_OF(n, struct group_of_calls, node);
		if (n->hash == hash && !strcmp(g->key, key))
			return g;
	}
	return NULL;
}

static struct group_of_calls *find_or_make(struct groups *groups, const char *key, nova_vm_t *vm)
{
	uint64_t hash = hash_text(key);
	struct group_of_calls *g = find(groups, key, hash);
	if (g || !(g = calloc(1, sizeof(*g) + strlen(key) + 1)))
		return g;
	memcpy(g->key, key, strlen(key) + 1);
	list_init(&g->waiting);
	g->vm = vm;
	table_add(&groups->by_key, &g->node, hash);
	return g;
}

static void drop_unused(struct groups *groups, struct group_of_calls *g)
{
	if (g->under_way || !list_empty(&g->waiting))
		return;
	table_remove(&groups->by_key, &g->node);
	free(g);
}

int groups_add(struct groups *groups, struct turn *turn, const char *key, nova_vm_t *vm)
{
	struct group_of_calls *g = find_or_make(groups, key, vm);
	if (!g)
		return -ENOMEM;
	turn->group = g;
	list_append(&g->waiting, &turn->link);
	groups->waiting++;
	settle(groups, g);
	return 0;
}

static struct turn *first_of(const struct link *places)
{
	struct link *first = list_first(places);
	return first ? first_turn(CONTAINER_OF(first, struct group_of_calls, place)) : NULL;
}

struct turn *groups_next(const struct groups *groups, bool fresh_only)
{
	struct turn *fresh = first_of(&groups->fresh);
	return fresh || fresh_only ? fresh : first_of(&groups->busy);
}

struct turn *groups_any(const struct groups *groups)
{
	struct turn *next = groups_next(groups, false);
	return next ? next : first_of(&groups->blocked);
}

static void take_out(struct groups *groups, struct turn *turn)
{
	link_remove(&turn->link);
	groups->waiting--;
}

void groups_begin(struct groups *groups, struct turn *turn)
{
	struct group_of_calls *g = turn->group;
	take_out(groups, turn);
	g->under_way++;
	g->alone = turn->alone;
	link_remove(&g->place); /* it has had its turn */
	g->among = NULL;
	settle(groups, g);
}

void groups_leave(struct groups *groups, struct turn *turn)
{
	struct group_of_calls *g = turn->group;
	take_out(groups, turn);
	settle(groups, g);
	drop_unused(groups, g);
}

void groups_end(struct groups *groups, struct turn *turn)
{
	struct group_of_calls *g = turn->group;
	g->under_way--;
	g->alone = false;
	settle(groups, g);
	drop_unused(groups, g);
}
