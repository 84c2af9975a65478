/* SPDX-License-Identifier: MIT */
/*
 * Templates that were made for a caller who is not to wait until they are on disk. A tick writes
 * them; without any, whoever next looks for a template, or the end of the pool.
 */
#include "pool/internal.h"
#include "template/template.h"

struct pending {
	struct link link; /* in pool->unwritten, or in no list: it is being written */
	struct unwritten *unwritten;
	struct frozen *frozen; /* in memory, which clones are made of meanwhile */
	bool fresh;            /* its group, by its key */
	char key[KEY_MAX + 1];
};

static void pending_free(struct pending *p)
{
	unwritten_free(p->unwritten);
	frozen_unref(p->frozen);
	free(p);
}

/* What is not noted is made anew by the next who wants it. */
void template_later(
	nova_pool_t *pool, struct group *g, struct unwritten *unwritten, struct frozen *frozen)
{
	struct pending *p = calloc(1, sizeof(*p));
	if (!p) {
		unwritten_free(unwritten);
		return;
	}
	p->unwritten = unwritten;
	p->frozen = frozen_ref(frozen);
	p->fresh = g->fresh;
	snprintf(p->key, sizeof(p->key), "%s", g->key);
	g->unwritten = g->frozen == frozen;
	list_append(&pool->unwritten, &p->link);
	pool_due(pool, 0);
}

/* Clones are made of the one on disk from now on, which is smaller. NULL: there is none. */
static void take_written(nova_pool_t *pool, const struct pending *p, struct frozen *on_disk)
{
	struct group *g = group_get(pool, p->key, p->fresh, false);
	if (!g)
		return;
	if (g->frozen == p->frozen) {
		g->unwritten = false;
		if (on_disk) {
			frozen_unref(g->frozen);
			g->frozen = frozen_ref(on_disk);
		}
		group_want_standby(pool, g, clock_ns());
	}
	group_put(pool, g);
}

/* Lets go of the lock. False: it is still to be written. */
static bool write_one(nova_pool_t *pool, struct pending *p, const struct stop *stop)
{
	AUTO_FROZEN struct frozen *on_disk = NULL;
	pool->writing++;
	pthread_mutex_unlock(&pool->lock);
	int code = template_write(p->unwritten, stop, &on_disk);
	pthread_mutex_lock(&pool->lock);
	pool->writing--;
	pthread_cond_broadcast(&pool->quieter);
	if (code < 0) {
		link_after(&pool->unwritten, &p->link);
		if (!pool->draining &&
			!pool->closing) /* the next tick does what this caller called off */
			pool_due(pool, 0);
		return false;
	}
	p->unwritten = NULL;
	take_written(pool, p, on_disk);
	pending_free(p);
	return true;
}

void templates_write(nova_pool_t *pool, const struct stop *stop)
{
	struct link *l;
	while ((l = list_pop(&pool->unwritten)))
		if (!write_one(pool, CONTAINER_OF(l, struct pending, link), stop))
			return;
}

/* Of one key there are at most two: for VMs that nobody else has, and for the others. */
void templates_write_of(nova_pool_t *pool, const char *key, const struct stop *stop)
{
	for (struct link *l = pool->unwritten.next; l != &pool->unwritten;) {
		struct pending *p = CONTAINER_OF(l, struct pending, link);
		l = l->next;
		if (strcmp(p->key, key) != 0)
			continue;
		link_remove(&p->link);
		if (!write_one(pool, p, stop))
			return;
		l = pool->unwritten.next; /* others may have gone meanwhile */
	}
}

void templates_forget(nova_pool_t *pool, const struct frozen *frozen)
{
	for (struct link *l = pool->unwritten.next, *next; l != &pool->unwritten; l = next) {
		struct pending *p = CONTAINER_OF(l, struct pending, link);
		next = l->next;
		if (p->frozen != frozen)
			continue;
		link_remove(l);
		pending_free(p);
	}
}

void pool_settle_templates(nova_pool_t *pool, const struct stop *stop)
{
	pthread_mutex_lock(&pool->lock);
	templates_write(pool, stop);
	while (pool->writing)
		pthread_cond_wait(&pool->quieter, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}
