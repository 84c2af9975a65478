/* SPDX-License-Identifier: MIT */
/*
 * Zygotes of runtimes: of guests that have booted and been given no function, for what begins with
 * one: code that is run once, and the first start of a function. Nobody's code has run in them, so
 * they are everybody's.
 *
 * Each belongs to a group that has the runtime's template and no VMs. All else is as with those of
 * functions: zygote.c.
 */
#include "pool/internal.h"

#define PREFIX "runtime:"
/* The call that a first zygote would take the processor from is over then, most likely. */
#define LATER_NS 500000000u

/* The template has been made anew since: the former may have been of no use, and takes room on the
 * disk as long as anybody has it. */
static void follow(nova_pool_t *pool, struct group *g, const struct runtime_clone *what)
{
	struct slot *ending = NULL;
	const char *root, *id;
	if (!g->frozen || frozen_same_base(g->frozen, what->frozen) ||
		!frozen_on_disk(what->frozen, &root, &id))
		return;
	zygote_end(pool, g, &ending);
	frozen_unref(group_lose_template(g));
	pool_reap(pool, &ending);
}

/* The group, in use until leave(). NULL: out of memory. */
static struct group *enter(nova_pool_t *pool, const struct runtime_clone *what)
{
	AUTO_FREE char *key = str_format(PREFIX "%s", what->id);
	struct group *g = key ? group_get(pool, key, false, true) : NULL;
	if (!g)
		return NULL;
	g->busy++;
	follow(pool, g, what);
	if (!g->frozen) {
		g->frozen = frozen_ref(what->frozen);
		g->memory_mb = frozen_memory_mb(what->frozen);
		g->zygote.of_runtime = true;
		g->start_ns = LATER_NS;
	}
	return g;
}

static void leave(nova_pool_t *pool, struct group *g)
{
	struct slot *ending = NULL;
	g->busy--;
	group_changed(pool, g, &ending);
	pool_reap(pool, &ending);
}

static int clone_runtime(void *userdata, const struct runtime_clone *what, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error)
{
	nova_pool_t *pool = userdata;
	pthread_mutex_lock(&pool->lock);
	struct group *g = enter(pool, what);
	pthread_mutex_unlock(&pool->lock);
	if (!g)
		return nova_oom(error);
	int code = zygote_fork(pool, g, what->code_disk, stop, ret_vm, why, error);
	pthread_mutex_lock(&pool->lock);
	if (code == 0)
		zygote_want(pool, g);
	leave(pool, g);
	pthread_mutex_unlock(&pool->lock);
	return code;
}

void runtimes_init(nova_pool_t *pool)
{
	pool->clones = (struct template_clones){ clone_runtime, pool };
}

const struct template_clones *pool_clones(const nova_pool_t *pool)
{
	return pool->hot ? &pool->clones : NULL;
}
