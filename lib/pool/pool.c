/* SPDX-License-Identifier: MIT */
/*
 * Warm VMs by key.
 *
 * `lock` protects everything in the pool and its groups; VMs are started and ended without it. Each VM of the pool is in one place: in
 * its group's stack of idle VMs (and then in the pool's queue by age), out with a caller, or being started or ended by one thread.
 * `alive` counts them all. Whoever changes something that another may wait for broadcasts `changed`.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/base.h"
#include "host/host.h"
#include "pool/template.h"

#define BUCKETS     1024u /* keys are functions: chains stay short at many thousands */
#define KEY_MAX     255u
#define SHELL_TTL_MS 60000u /* shells outlive the last call of their function by a minute */

struct group {
	struct group *next; /* in its bucket */
	struct slot *idle;  /* the one that was used last on top: its memory is the warmest */
	uint32_t starting, out, waiting;
	struct frozen *frozen; /* the template, once it is known */
	uint64_t shells_until; /* shells are kept at the template that long */
	uint64_t generation; /* nova_pool_forget() moves it on */
	uint64_t patience;   /* until then a waiter hopes for a VM that comes back: see better_to_wait() */
	uint64_t failures;   /* starts that failed; a waiter that sees it change takes the error as its own */
	int failure_code;
	char failure_text[512];
	char key[];
};

struct slot {
	nova_vm_t *vm;
	struct group *group;
	uint64_t generation;
	uint64_t expires;
	struct slot *below;         /* in the group's stack */
	struct slot *older, *newer; /* in the pool's queue */
	struct slot *next_out;      /* in the pool's list of VMs that are out, by VM */
};

struct nova_pool {
	nova_host_t *host;
	uint64_t ttl_ms, queue_ms;
	uint32_t max_vms, shells;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closing;
	uint32_t alive;
	struct group *buckets[BUCKETS];
	struct slot *out[BUCKETS]; /* by address of the VM */
	struct slot *oldest, *newest;
	uint64_t counters[NOVA_POOL_DISCARDED + 1];
};

/* --- groups and slots. All with the lock held. ------------------------------------------------------------------------ */

static size_t bucket_of_key(const char *key)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return hash % BUCKETS;
}

static size_t bucket_of_vm(const nova_vm_t *vm)
{
	return ((uintptr_t)vm >> 6) % BUCKETS;
}

static struct group *group_get(nova_pool_t *pool, const char *key, bool create)
{
	struct group **place = &pool->buckets[bucket_of_key(key)];
	for (struct group *g = *place; g; g = g->next)
		if (!strcmp(g->key, key))
			return g;
	struct group *g = create ? calloc(1, sizeof(*g) + strlen(key) + 1) : NULL;
	if (!g)
		return NULL;
	memcpy(g->key, key, strlen(key) + 1);
	g->next = *place;
	*place = g;
	return g;
}

static bool has_shells(const nova_pool_t *pool, const struct group *g)
{
	return pool->shells && !pool->closing && g->frozen && !deadline_passed(g->shells_until);
}

/* A group that nobody uses is forgotten, so that a host with ever new keys does not grow. */
static void group_put(nova_pool_t *pool, struct group *g)
{
	if (g->idle || g->starting || g->out || g->waiting || has_shells(pool, g))
		return;
	struct group **place = &pool->buckets[bucket_of_key(g->key)];
	while (*place != g)
		place = &(*place)->next;
	*place = g->next;
	frozen_unref(g->frozen);
	free(g);
}

static void queue_remove(nova_pool_t *pool, struct slot *s)
{
	*(s->older ? &s->older->newer : &pool->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &pool->newest) = s->older;
	s->older = s->newer = NULL;
}

static void idle_push(nova_pool_t *pool, struct slot *s)
{
	s->expires = deadline_in_ms(pool->ttl_ms);
	s->below = s->group->idle;
	s->group->idle = s;
	s->older = pool->newest;
	*(pool->newest ? &pool->newest->newer : &pool->oldest) = s;
	pool->newest = s;
	pool->counters[NOVA_POOL_IDLE]++;
}

static void idle_remove(nova_pool_t *pool, struct slot *s)
{
	struct slot **place = &s->group->idle;
	while (*place != s)
		place = &(*place)->below;
	*place = s->below;
	queue_remove(pool, s);
	pool->counters[NOVA_POOL_IDLE]--;
}

static void out_add(nova_pool_t *pool, struct slot *s)
{
	struct slot **place = &pool->out[bucket_of_vm(s->vm)];
	s->next_out = *place;
	*place = s;
	s->group->out++;
	pool->counters[NOVA_POOL_BUSY]++;
}

static struct slot *out_remove(nova_pool_t *pool, const nova_vm_t *vm)
{
	struct slot **place = &pool->out[bucket_of_vm(vm)];
	while (*place && (*place)->vm != vm)
		place = &(*place)->next_out;
	struct slot *s = *place;
	if (s) {
		*place = s->next_out;
		s->group->out--;
		pool->counters[NOVA_POOL_BUSY]--;
	}
	return s;
}

/* Ends the VM of a slot that is in no list any more. Lets go of the lock meanwhile: killing takes milliseconds. */
static void dispose(nova_pool_t *pool, struct slot *s, int counter)
{
	struct group *g = s->group;
	g->out++; /* keeps the group */
	pthread_mutex_unlock(&pool->lock);
	nova_vm_free(s->vm);
	free(s);
	pthread_mutex_lock(&pool->lock);
	g->out--;
	pool->alive--;
	pool->counters[counter]++;
	group_put(pool, g);
	pthread_cond_broadcast(&pool->changed);
}

static void expire(nova_pool_t *pool)
{
	while (pool->oldest && (pool->closing || deadline_passed(pool->oldest->expires))) {
		struct slot *s = pool->oldest;
		idle_remove(pool, s);
		log_debug(host_log(pool->host), "pool", "%s has waited long enough", nova_vm_id(s->vm));
		dispose(pool, s, NOVA_POOL_EXPIRED);
	}
}

/* --- shells: VMMs that wait at a template for its next cold call ------------------------------------------------------------- */

/* For a function that is in use. Without them (out of memory) its next cold call takes a little longer. */
static void keep_shells(nova_pool_t *pool, struct group *g)
{
	if (!pool->shells || !g->frozen || pool->closing)
		return;
	g->shells_until = deadline_in_ms(SHELL_TTL_MS);
	shells_keep(pool->host, g->frozen, pool->shells, SHELL_TTL_MS);
}

static void drop_template(nova_pool_t *pool, struct group *g)
{
	if (!g->frozen)
		return;
	shells_drop(pool->host, g->frozen);
	frozen_unref(g->frozen);
	g->frozen = NULL;
}

/* Groups that were kept for their shells. */
static void put_all_groups(nova_pool_t *pool)
{
	for (size_t i = 0; pool->shells && i < BUCKETS; i++)
		for (struct group *g = pool->buckets[i], *next; g; g = next) {
			next = g->next;
			if (pool->closing)
				drop_template(pool, g);
			group_put(pool, g);
		}
}

/* --- acquire ---------------------------------------------------------------------------------------------------------- */

/* The idle VM on top that lives; dead ones are cleared away. */
static struct slot *take_idle(nova_pool_t *pool, struct group *g)
{
	while (g->idle) {
		struct slot *s = g->idle;
		idle_remove(pool, s);
		if (nova_vm_state(s->vm) == NOVA_VM_RUNNING)
			return s;
		log_info(host_log(pool->host), "pool", "%s died while it waited", nova_vm_id(s->vm));
		dispose(pool, s, NOVA_POOL_DISCARDED);
	}
	return NULL;
}

static int boot_vm(nova_pool_t *pool, const nova_pool_want *want, nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = nova_vm_start(pool->host, want->vm, &vm, error);
	if (code < 0)
		return code;
	code = want->init ? nova_vm_init(vm, want->init, error) : 0;
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

/* The group's template, held for the caller. Only one thread at a time starts VMs of a group, so only one looks. */
static int group_template(nova_pool_t *pool, struct group *g, const nova_pool_want *want, struct frozen **ret, uint64_t *ret_us,
	 nova_error_t **error)
{
	bool made = false;
	uint64_t begin = clock_ns();
	struct frozen *found = NULL;
	pthread_mutex_lock(&pool->lock);
	if (g->frozen)
		found = frozen_ref(g->frozen);
	pthread_mutex_unlock(&pool->lock);
	if (!found) {
		int code = template_get(pool->host, want, &found, &made, error);
		if (code < 0)
			return code;
	}
	pthread_mutex_lock(&pool->lock);
	if (!g->frozen) /* new, or forgotten meanwhile */
		g->frozen = frozen_ref(found);
	*ret = found;
	pthread_mutex_unlock(&pool->lock);
	*ret_us = made ? us_since(begin) : 0;
	return 0;
}

static void forget_template(nova_pool_t *pool, struct group *g, struct frozen *frozen)
{
	pthread_mutex_lock(&pool->lock);
	bool ours = g->frozen == frozen;
	if (ours)
		g->frozen = NULL;
	pthread_mutex_unlock(&pool->lock);
	shells_drop(pool->host, frozen);
	template_discard(pool->host, frozen);
	if (ours)
		frozen_unref(frozen);
}

static int start_from_template(nova_pool_t *pool, struct group *g, const nova_pool_want *want, nova_vm_t **ret_vm, nova_error_t **error)
{
	AUTO_FROZEN struct frozen *frozen = NULL;
	uint64_t made_us = 0;
	int code = group_template(pool, g, want, &frozen, &made_us, error);
	if (code < 0)
		return code;
	AUTO_ERROR nova_error_t *failure = NULL;
	code = vm_thaw_for_call(pool->host, frozen, ret_vm, &failure);
	if (code == 0) {
		(*ret_vm)->timing_us[NOVA_TIMING_INIT] = made_us;
		return 0;
	}
	/* A template is only a quicker way: what it cannot do, a boot may. */
	log_warn(host_log(pool->host), "pool", "the template of '%s' does not work and is forgotten: %s", g->key, nova_error_message(failure));
	forget_template(pool, g, frozen);
	return boot_vm(pool, want, ret_vm, error);
}

/* With the lock held and the group's `starting` free; lets go of the lock while the VM starts. */
static int start_slot(nova_pool_t *pool, struct group *g, const nova_pool_want *want, struct slot **ret_slot, nova_error_t **error)
{
	struct slot *s = calloc(1, sizeof(*s));
	if (!s)
		return nova_oom(error);
	s->group = g;
	s->generation = g->generation;
	g->starting++;
	pool->alive++;
	pool->counters[NOVA_POOL_STARTING]++;
	pthread_mutex_unlock(&pool->lock);
	nova_error_t *failure = NULL;
	uint64_t begin = clock_ns();
	int code = template_possible(pool->host, want) ? start_from_template(pool, g, want, &s->vm, &failure) :
							 boot_vm(pool, want, &s->vm, &failure);
	uint64_t end = clock_ns();
	pthread_mutex_lock(&pool->lock);
	pool->counters[NOVA_POOL_STARTING]--;
	g->starting--;
	if (code < 0) {
		g->failures++;
		g->failure_code = code;
		snprintf(g->failure_text, sizeof(g->failure_text), "%s", nova_error_message(failure));
		pool->alive--;
		free(s);
	} else {
		g->patience = end + (end - begin);
		pool->counters[NOVA_POOL_MISSES]++;
		*ret_slot = s;
	}
	if (error)
		*error = failure;
	else
		nova_error_free(failure);
	pthread_cond_broadcast(&pool->changed);
	return code;
}

/* Room for one more VM, by ending the idle one that was used longest ago if need be. */
static bool make_room(nova_pool_t *pool)
{
	if (pool->alive < pool->max_vms)
		return true;
	struct slot *s = pool->oldest;
	if (s) {
		idle_remove(pool, s);
		dispose(pool, s, NOVA_POOL_EXPIRED);
	}
	return pool->alive < pool->max_vms;
}

/* A call mostly takes less time than a start. So after a start the others wait for that VM to come back, for as long as another
 * start would take: a burst of short calls costs one start, and long calls wait at most twice as long as needed. */
static bool better_to_wait(const struct group *g)
{
	return g->out && !deadline_passed(g->patience);
}

/* False: the deadline has passed. */
static bool wait_for_change(nova_pool_t *pool, struct group *g, uint64_t deadline)
{
	struct timespec until = { (time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u) };
	g->waiting++;
	int r = deadline == NEVER ? pthread_cond_wait(&pool->changed, &pool->lock) :
				    pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
	g->waiting--;
	return r != ETIMEDOUT;
}

static int acquire_slot(nova_pool_t *pool, struct group *g, const nova_pool_want *want, struct slot **ret_slot, int *ret_cold,
	nova_error_t **error)
{
	uint64_t deadline = deadline_in_ms(pool->queue_ms), failures = g->failures;
	for (;;) {
		if (pool->closing)
			return nova_fail(error, NOVA_ECANCELED, "the pool is closing");
		struct slot *s = take_idle(pool, g);
		if (s) {
			pool->counters[NOVA_POOL_HITS]++;
			*ret_slot = s;
			*ret_cold = 0;
			return 0;
		}
		if (g->failures != failures) /* the one who started a VM for us all has failed; trying on would fail as often as there are waiters */
			return nova_fail(error, g->failure_code, "%s", g->failure_text);
		/* One start at a time for a key: the others take what comes back first. make_room() lets go of the lock for a while. */
		bool hope = better_to_wait(g);
		if (!hope && g->starting == 0 && make_room(pool) && g->starting == 0 && !g->idle) {
			*ret_cold = 1;
			return start_slot(pool, g, want, ret_slot, error);
		}
		uint64_t until = hope && g->patience < deadline ? g->patience : deadline;
		if (!g->idle && !wait_for_change(pool, g, until) && until == deadline)
			return nova_fail(error, NOVA_ELIMIT,
				"no microVM came free in %llu ms: %u of at most %u are alive (settings pool.max_vms, pool.queue_timeout)",
				(unsigned long long)pool->queue_ms, pool->alive, pool->max_vms);
	}
}

int nova_pool_acquire(nova_pool_t *pool, const nova_pool_want *want, nova_vm_t **ret_vm, int *ret_cold, nova_error_t **error)
{
	nova_pool_want w;
	int code = opts_import(&w, sizeof(w), want, "nova_pool_want", error), cold = 0;
	if (code < 0)
		return code;
	if (!pool || !ret_vm || !w.key || !*w.key || strlen(w.key) > KEY_MAX)
		return nova_fail(error, NOVA_EINVAL, "nova_pool_acquire: pool, ret_vm and a key of 1 to %u bytes are needed", KEY_MAX);
	code = host_check_process(pool->host, error);
	if (code < 0)
		return code;
	pthread_mutex_lock(&pool->lock);
	expire(pool);
	struct slot *slot = NULL;
	struct group *g = group_get(pool, w.key, true);
	code = g ? 0 : nova_oom(error);
	if (g) {
		g->waiting++; /* keeps the group */
		code = acquire_slot(pool, g, &w, &slot, &cold, error);
		g->waiting--;
		if (code == 0) {
			out_add(pool, slot);
			keep_shells(pool, g);
		} else {
			group_put(pool, g);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	if (code < 0)
		return code;
	*ret_vm = slot->vm;
	if (ret_cold)
		*ret_cold = cold;
	return 0;
}

/* --- release ---------------------------------------------------------------------------------------------------------- */

void nova_pool_release(nova_pool_t *pool, nova_vm_t *vm, int reusable)
{
	if (!pool || !vm)
		return;
	bool sound = reusable && nova_vm_state(vm) == NOVA_VM_RUNNING;
	pthread_mutex_lock(&pool->lock);
	struct slot *s = out_remove(pool, vm);
	if (s && sound && !pool->closing && s->generation == s->group->generation) {
		idle_push(pool, s);
		pthread_cond_broadcast(&pool->changed);
	} else if (s) {
		dispose(pool, s, sound ? NOVA_POOL_EXPIRED : NOVA_POOL_DISCARDED);
	}
	expire(pool);
	pthread_mutex_unlock(&pool->lock);
}

void nova_pool_forget(nova_pool_t *pool, const char *key)
{
	if (!pool || !key)
		return;
	pthread_mutex_lock(&pool->lock);
	struct group *g = group_get(pool, key, false);
	if (g) {
		g->generation++;
		g->waiting++; /* keeps the group */
		while (g->idle) {
			struct slot *s = g->idle;
			idle_remove(pool, s);
			dispose(pool, s, NOVA_POOL_EXPIRED);
		}
		drop_template(pool, g);
		g->waiting--;
		group_put(pool, g);
	}
	pthread_mutex_unlock(&pool->lock);
}

int64_t nova_pool_tick(nova_pool_t *pool)
{
	if (!pool)
		return -1;
	pthread_mutex_lock(&pool->lock);
	expire(pool);
	put_all_groups(pool);
	int64_t next = pool->oldest ? deadline_poll_ms(pool->oldest->expires) : -1;
	pthread_mutex_unlock(&pool->lock);
	int64_t shells = shells_tend(pool->host);
	return shells >= 0 && (next < 0 || shells < next) ? shells : next;
}

uint64_t nova_pool_count(nova_pool_t *pool, int counter)
{
	if (!pool || counter < 0 || counter > NOVA_POOL_DISCARDED)
		return 0;
	pthread_mutex_lock(&pool->lock);
	uint64_t count = pool->counters[counter];
	pthread_mutex_unlock(&pool->lock);
	return count;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

int nova_pool_new(nova_host_t *host, const nova_pool_opts *opts, nova_pool_t **ret_pool, nova_error_t **error)
{
	nova_pool_opts o;
	int code = opts_import(&o, sizeof(o), opts, "nova_pool_opts", error);
	if (code < 0)
		return code;
	if (!host || !ret_pool)
		return nova_fail(error, NOVA_EINVAL, "nova_pool_new: an argument is NULL");
	nova_pool_t *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return nova_oom(error);
	const nova_config_t *config = host_config(host);
	pool->ttl_ms = o.idle_ttl_ms ? o.idle_ttl_ms : config_ms(config, "pool.idle_ttl");
	pool->max_vms = o.max_vms ? o.max_vms : (uint32_t)config_u64(config, "pool.max_vms");
	pool->shells = (uint32_t)config_u64(config, "pool.shells");
	pool->queue_ms = o.queue_timeout_ms ? o.queue_timeout_ms : config_ms(config, "pool.queue_timeout");
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&pool->lock, NULL);
	pool->host = nova_host_ref(host);
	*ret_pool = pool;
	return 0;
}

void nova_pool_free(nova_pool_t *pool)
{
	if (!pool || host_check_process(pool->host, NULL) < 0)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	expire(pool);
	put_all_groups(pool);
	pthread_mutex_unlock(&pool->lock);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	nova_host_unref(pool->host);
	free(pool);
}
