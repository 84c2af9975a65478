/* SPDX-License-Identifier: MIT */
/* Warm VMs by key: what callers see. internal.h says how it hangs together. */
#include <time.h>

#include "pool/internal.h"
#include "template/template.h"

/* --- acquire --- */

struct acquisition {
	struct pool_want want;
	uint32_t memory_mb;
	uint64_t begin;
	const struct pool_maker *maker; /* NULL: none, as the next */
	struct stop stop;               /* what may end it */
	struct slot *slot;
	bool asleep, waited, cold;
};

/* Refused at once: what no waiting can change. */
static int admit(nova_pool_t *pool, const struct acquisition *r, nova_error_t **error)
{
	if (stop_asked(&r->stop)) {
		count(pool, NOVA_POOL_CANCELED);
		return nova_fail(
			error, NOVA_ECANCELED, "the call was cancelled before there was a microVM");
	}
	if (pool->draining)
		return nova_fail(error, NOVA_ECANCELED, "the pool is closing");
	if (!pool->max_memory_mb || r->memory_mb <= pool->max_memory_mb)
		return 0;
	count(pool, NOVA_POOL_TOO_LARGE);
	nova_fail(error, NOVA_ELIMIT,
		"a microVM of %u MB is larger than all microVMs together may be: %llu MB (setting "
		"pool.max_memory)",
		r->memory_mb, (unsigned long long)pool->max_memory_mb);
	return nova_set_retry(error, NOVA_ELIMIT, NOVA_RETRY_NEVER);
}

static int out_of_time(
	nova_pool_t *pool, const struct ticket *t, uint64_t waited_ms, nova_error_t **error)
{
	const struct group *g = t->group;
	unsigned long long ms = waited_ms;
	count(pool, NOVA_POOL_TIMEOUTS);
	if (g->starting)
		return nova_fail(error, NOVA_ELIMIT,
			"no microVM was ready in %llu ms: one is still being started (setting "
			"pool.queue_timeout)",
			ms);
	if (pool->shortage && linked(&g->turn))
		return fail_short(pool, g, waited_ms, error);
	if (pool->alive < pool->max_vms && linked(&g->turn))
		return nova_fail(error, NOVA_ELIMIT,
			"no guest memory came free in %llu ms: %llu of at most %llu MB are in use, "
			"and %u are needed (settings pool.max_memory, pool.queue_timeout)",
			ms, (unsigned long long)pool->memory_mb,
			(unsigned long long)pool->max_memory_mb, g->memory_mb);
	return nova_fail(error, NOVA_ELIMIT,
		"no microVM came free in %llu ms: %u of at most %u are alive (settings "
		"pool.max_vms, pool.queue_timeout)",
		ms, pool->alive, pool->max_vms);
}

static int too_many_wait(nova_pool_t *pool, nova_error_t **error)
{
	count(pool, NOVA_POOL_QUEUE_FULL);
	return nova_fail(error, NOVA_ELIMIT,
		"%u callers wait for a microVM already, and no more may (setting pool.max_queue)",
		pool->max_queue);
}

/* Out of the line without a VM. */
static void leave(nova_pool_t *pool, struct ticket *t, struct slot **ending)
{
	ticket_end(pool, t, TICKET_FAILED);
	group_changed(pool, t->group, ending);
}

static int wait_for_turn(nova_pool_t *pool, struct acquisition *r, struct ticket *t,
	struct slot **ending, nova_error_t **error)
{
	uint64_t timeout_ms = r->want.queue_timeout_ms ? r->want.queue_timeout_ms : pool->queue_ms;
	t->deadline = deadline_in_ms(timeout_ms);
	int code = t->group->vms ? 0 : keep_leaves_room(pool, t->group, 1, r->memory_mb, error);
	if (code < 0)
		return code;
	ticket_enter(pool, t, ending);
	if (t->state != TICKET_WAITS)
		return 0;
	if (pool->counters[NOVA_POOL_WAITING] > pool->max_queue) {
		code = too_many_wait(pool, error);
		leave(pool, t, ending);
		return code;
	}
	r->waited = true;
	count(pool, NOVA_POOL_WAITS);
	uint64_t begin = clock_ns();
	if (!ticket_wait(pool, t, ending)) {
		code = out_of_time(pool, t, timeout_ms, error);
		leave(pool, t, ending);
	}
	latency_note(pool, NOVA_POOL_LATENCY_WAIT, begin);
	return code;
}

static int take_failure(struct ticket *t, nova_error_t **error)
{
	int code = nova_error_code(t->failure);
	if (error)
		*error = STEAL(t->failure);
	return code;
}

/* What has come of the ticket. */
static int redeem(nova_pool_t *pool, struct acquisition *r, struct ticket *t, struct slot **ending,
	nova_error_t **error)
{
	int code;
	switch (t->state) {
	case TICKET_GIVEN:
		r->slot = t->slot;
		return 0;
	case TICKET_STARTS:
		r->cold = true;
		t->group->busy++;
		code = slot_start(pool, t->slot, &r->want, r->maker, &r->stop, error);
		t->group->busy--;
		if (code == 0) {
			count(pool, NOVA_POOL_MISSES);
			slot_hand_out(pool, t->slot);
			r->slot = t->slot;
		}
		group_changed(pool, t->group, ending);
		return code;
	case TICKET_FAILED:
		return take_failure(t, error);
	case TICKET_CANCELED:
		count(pool, NOVA_POOL_CANCELED);
		return nova_fail(error, NOVA_ECANCELED,
			"the call was cancelled while it waited for a microVM");
	default:
		return nova_fail(error, NOVA_ECANCELED, "the pool is closing");
	}
}

static int wait_with_ticket(nova_pool_t *pool, struct acquisition *r, struct group *g,
	struct slot **ending, nova_error_t **error)
{
	struct ticket t = { .group = g, .stop = &r->stop };
	zygote_used(pool, g);
	sleeper_init(&t.wake);
	t.fresh = calloc(1, sizeof(*t.fresh));
	int code = t.fresh ? wait_for_turn(pool, r, &t, ending, error) : nova_oom(error);
	if (code == 0)
		code = redeem(pool, r, &t, ending, error);
	sleeper_done(&t.wake);
	free(t.fresh);
	nova_error_free(t.failure);
	return code;
}

static struct group *group_for(nova_pool_t *pool, const struct acquisition *r)
{
	bool fresh = r->want.flags & NOVA_POOL_FRESH;
	struct group *g = group_get(pool, r->want.key, fresh, true);
	if (!g)
		return NULL;
	g->memory_mb = r->memory_mb;
	g->concurrency = r->want.concurrency && !fresh ? r->want.concurrency : 1;
	group_want_standby(pool, g, r->begin);
	return g;
}

/* A call that was called off after all gives back what it has got. */
static int check_canceled(
	nova_pool_t *pool, struct acquisition *r, struct slot **ending, nova_error_t **error)
{
	if (!stop_asked(&r->stop))
		return 0;
	count(pool, NOVA_POOL_CANCELED);
	slot_put_back(pool, STEAL(r->slot), true, ending);
	return nova_fail(error, NOVA_ECANCELED,
		"the call was cancelled when there was a microVM, before it was used");
}

static int claim(nova_pool_t *pool, struct acquisition *r, nova_error_t **error)
{
	struct slot *ending = NULL;
	pthread_mutex_lock(&pool->lock);
	room_settle(pool);
	pool_look(pool);
	pool_expire(pool, &ending);
	int code = admit(pool, r, error);
	struct group *g = code == 0 ? group_for(pool, r) : NULL;
	if (code == 0 && !g)
		code = nova_oom(error);
	if (g) {
		g->busy++;
		r->slot = g->waiting ? NULL : group_take(pool, g, &ending);
		if (!r->slot)
			code = wait_with_ticket(pool, r, g, &ending, error);
		if (code == 0)
			code = check_canceled(pool, r, &ending, error);
		r->asleep = code == 0 && r->slot->asleep;
		g->busy--;
		group_put(pool, g);
	}
	pool_reap(pool, &ending);
	pthread_mutex_unlock(&pool->lock);
	return code;
}

/* False: it has died in its sleep, and is given back. */
static bool wake(nova_pool_t *pool, struct acquisition *r)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	if (!r->asleep)
		return true;
	bool awake = vm_wake(r->slot->vm, &failure) == 0;
	struct slot *ending = NULL;
	if (!awake)
		log_info(host_log(pool->host), "pool", "%s did not wake: %s",
			nova_vm_id(r->slot->vm), nova_error_message(failure));
	pthread_mutex_lock(&pool->lock);
	r->slot->asleep = false;
	if (!awake) {
		pool->counters[NOVA_POOL_HITS]--; /* nobody has got it */
		pool->counters[NOVA_POOL_RESUMED]--;
		slot_put_back(pool, STEAL(r->slot), false, &ending);
	}
	pool_reap(pool, &ending);
	pthread_mutex_unlock(&pool->lock);
	return awake;
}

static void note_latency(nova_pool_t *pool, const struct acquisition *r)
{
	if (r->cold)
		latency_note(pool, NOVA_POOL_LATENCY_COLD, r->begin);
	else if (!r->waited)
		latency_note(pool, r->asleep ? NOVA_POOL_LATENCY_RESUMED : NOVA_POOL_LATENCY_WARM,
			r->begin);
}

int pool_acquire(nova_pool_t *pool, const struct pool_want *want, const struct pool_maker *maker,
	const struct stop *stop, nova_vm_t **ret_vm, int *ret_cold, nova_error_t **error)
{
	struct acquisition r = {
		.want = *want,
		.memory_mb = want->vm->config.machine.memory_mb,
		.begin = clock_ns(),
		.maker = maker,
		.stop = { NULL, stop },
	};
	int code = host_check_process(pool->host, error);
	if (code < 0)
		return code;
	do
		code = claim(pool, &r, error);
	while (code == 0 && !wake(pool, &r));
	if (code < 0)
		return code;
	note_latency(pool, &r);
	*ret_vm = r.slot->vm;
	if (ret_cold)
		*ret_cold = r.cold;
	return 0;
}

int nova_pool_acquire(nova_pool_t *pool, const nova_pool_want *want, nova_vm_t **ret_vm,
	int *ret_cold, nova_error_t **error)
{
	struct pool_want w;
	nova_interrupt_t *interrupt;
	AUTO_VM_SPEC struct vm_spec spec = { .engine = NULL };
	if (ANY_NULL(error, pool, want, ret_vm))
		return NOVA_EINVAL;
	int code = want_import(&w, &spec, &interrupt, want, error);
	const struct stop stop = { interrupt, NULL };
	return code < 0 ? code : pool_acquire(pool, &w, NULL, &stop, ret_vm, ret_cold, error);
}

/* --- release --- */

#define NOTE_NS 60000000000u

/* Of a group whose VMs go on being used: once a minute. NULL: not now. */
static struct frozen *template_to_note(struct group *g)
{
	uint64_t now = clock_ns();
	if (!g->frozen || now < g->noted_ns + NOTE_NS)
		return NULL;
	g->noted_ns = now;
	return frozen_ref(g->frozen);
}

void nova_pool_release(nova_pool_t *pool, nova_vm_t *vm, int reusable)
{
	if (!pool || !vm || host_check_process(pool->host, NULL) < 0)
		return;
	struct slot *ending = NULL;
	AUTO_FROZEN struct frozen *used = NULL;
	pthread_mutex_lock(&pool->lock);
	struct slot *s = slot_of_vm(pool, vm);
	if (s) {
		used = template_to_note(s->group);
		slot_put_back(pool, s, reusable && vm_seems_running(vm), &ending);
	}
	pool_expire(pool, &ending);
	pool_reap_later(pool, &ending);
	pthread_mutex_unlock(&pool->lock);
	if (used)
		template_note_use(used);
}

/* Its template, which the caller drops. */
static struct frozen *forget(nova_pool_t *pool, struct group *g, struct slot **ending)
{
	if (!g)
		return NULL;
	g->generation++;
	group_end_keep(pool, g);
	group_end_idle(pool, g, ending);
	zygote_end(pool, g, ending);
	struct frozen *lost = group_lose_template(g);
	while (!list_empty(&g->open)) /* takes no more callers */
		link_remove(g->open.next);
	group_changed(pool, g, ending);
	return lost;
}

void nova_pool_forget(nova_pool_t *pool, const char *key)
{
	if (!pool || !key || host_check_process(pool->host, NULL) < 0)
		return;
	struct slot *ending = NULL;
	pthread_mutex_lock(&pool->lock);
	struct frozen *usual = forget(pool, group_get(pool, key, false, false), &ending);
	struct frozen *fresh = forget(pool, group_get(pool, key, true, false), &ending);
	pool_reap(pool, &ending);
	pthread_mutex_unlock(&pool->lock);
	template_drop(pool, usual);
	template_drop(pool, fresh);
}

/* --- life --- */

/* What is longer than anything lasts, so that no sum with a clock goes round. */
#define FOR_EVER_MS (1ull << 42)

static void read_limits(nova_pool_t *pool, const nova_pool_opts *o, const nova_config_t *config)
{
	uint64_t ttl_ms = o->idle_ttl_ms ? o->idle_ttl_ms : config_ms(config, "pool.idle_ttl");
	pool->ttl_ms = ttl_ms < FOR_EVER_MS ? ttl_ms : FOR_EVER_MS;
	pool->queue_ms =
		o->queue_timeout_ms ? o->queue_timeout_ms : config_ms(config, "pool.queue_timeout");
	pool->pause_ms =
		o->pause_after_ms ? o->pause_after_ms : config_ms(config, "pool.pause_after");
	pool->max_vms = o->max_vms ? o->max_vms : (uint32_t)config_u64(config, "pool.max_vms");
	pool->max_queue =
		o->max_queue ? o->max_queue : (uint32_t)config_u64(config, "pool.max_queue");
	pool->max_memory_mb =
		o->max_memory_mb ? o->max_memory_mb : config_u64(config, "pool.max_memory");
	pool->min_free = (uint32_t)config_u64(config, "pool.min_free");
	pool->max_pressure = (uint32_t)config_u64(config, "pool.max_pressure");
	zygotes_read_limits(pool, config);
	runtimes_init(pool);
	parked_read_limits(pool, config);
}

static void init_lists(nova_pool_t *pool)
{
	struct link *const heads[] = { &pool->aged, &pool->awake, &pool->unserved,
		&pool->underserved, &pool->kept, &pool->unused, &pool->young, &pool->zygotes,
		&pool->rehearsing, &pool->wanted, &pool->parked, &pool->unwritten };
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		list_init(heads[i]);
}

static void init_locks(nova_pool_t *pool)
{
	cond_init(&pool->quieter);
	pthread_mutex_init(&pool->lock, NULL);
}

static void pool_done(nova_pool_t *pool)
{
	table_done(&pool->groups);
	table_done(&pool->out);
	fd_close(pool->timer);
	pthread_cond_destroy(&pool->quieter);
	pthread_mutex_destroy(&pool->lock);
	nova_interrupt_free(pool->end);
	nova_host_unref(pool->host);
	free(pool);
}

int nova_pool_new(
	nova_host_t *host, const nova_pool_opts *opts, nova_pool_t **ret_pool, nova_error_t **error)
{
	nova_pool_opts o;
	if (ANY_NULL(error, host, ret_pool))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_pool_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_pool_opts", error);
	if (code < 0)
		return code;
	if (o.flags & ~(uint32_t)NOVA_POOL_THREAD)
		return nova_fail(
			error, NOVA_EINVAL, "nova_pool_opts.flags has unknown bits 0x%x", o.flags);
	code = host_check_process(host, error);
	if (code < 0)
		return code;
	nova_pool_t *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return nova_oom(error);
	pool->timer = -1;
	pool->armed = NEVER;
	pool->memory.available_mb = UINT64_MAX; /* until somebody has looked */
	init_lists(pool);
	init_locks(pool);
	pool->host = nova_host_ref(host);
	read_limits(pool, &o, host_config(host));
	code = table_init(&pool->groups) < 0 || table_init(&pool->out) < 0 ? nova_oom(error) : 0;
	if (code == 0)
		code = nova_interrupt_new(&pool->end, error);
	bool thread = o.flags & NOVA_POOL_THREAD ||
		      !strcmp(config_str(host_config(host), "pool.thread"), "on");
	if (code == 0 && thread)
		code = pool_thread_start(pool, error);
	if (code < 0)
		pool_done(pool);
	else
		*ret_pool = pool;
	return code;
}

/* With the lock held: nobody new comes in, and what nobody waits for ends. */
static void close_pool(nova_pool_t *pool, struct slot **ending)
{
	pool->draining = true;
	pool_take_leaving(pool, ending);
	while (!list_empty(&pool->kept)) {
		struct group *g = CONTAINER_OF(pool->kept.next, struct group, kept);
		group_end_keep(pool, g);
		group_put(pool, g);
	}
	while (!list_empty(&pool->rehearsing)) {
		struct group *g =
			CONTAINER_OF(pool->rehearsing.next, struct group, zygote.rehearsing);
		zygote_end(pool, g, ending);
		group_put(pool, g);
	}
	for (struct link *l = pool->aged.next, *next; l != &pool->aged; l = next) {
		struct slot *s = CONTAINER_OF(l, struct slot, age);
		struct group *g = s->group;
		next = l->next;
		if (s->pausing) /* whoever pauses it ends it */
			continue;
		slot_end(pool, s, NOVA_POOL_EXPIRED, ending);
		group_put(pool, g);
	}
}

static bool is_quiet(const nova_pool_t *pool)
{
	return !pool->alive && !pool->counters[NOVA_POOL_WAITING];
}

/* False: the time is over. */
static bool wait_until_quiet(nova_pool_t *pool, uint64_t deadline)
{
	while (!is_quiet(pool) && !deadline_passed(deadline))
		cond_wait_until(&pool->quieter, &pool->lock, deadline);
	return is_quiet(pool);
}

int nova_pool_drain(nova_pool_t *pool, uint32_t timeout_ms, nova_error_t **error)
{
	if (ANY_NULL(error, pool))
		return NOVA_EINVAL;
	int code = host_check_process(pool->host, error);
	if (code < 0)
		return code;
	struct slot *ending = NULL;
	pthread_mutex_lock(&pool->lock);
	close_pool(pool, &ending);
	pool_reap(pool, &ending);
	if (!wait_until_quiet(pool, deadline_in_ms(timeout_ms))) {
		tickets_close_all(pool);
		nova_interrupt_trigger(pool->end);
		code = nova_fail(error, NOVA_ETIMEDOUT, "%u microVMs were not given back in %u ms",
			pool->alive, timeout_ms);
	}
	pthread_mutex_unlock(&pool->lock);
	return code;
}

/* Nobody else is here any more. */
static void free_groups(nova_pool_t *pool)
{
	for (size_t i = 0; i < pool->groups.size; i++)
		for (struct table_node *n = pool->groups.buckets[i]; n; n = n->next)
			template_drop(
				pool, group_lose_template(CONTAINER_OF(n, struct group, node)));
	groups_forget_unused(pool, 0);
}

void pool_end_ticks(nova_pool_t *pool)
{
	nova_interrupt_trigger(pool->end);
	pool_thread_end(pool);
}

void nova_pool_free(nova_pool_t *pool)
{
	if (!pool || host_check_process(pool->host, NULL) < 0)
		return;
	struct slot *ending = NULL;
	pool_end_ticks(pool);
	pthread_mutex_lock(&pool->lock);
	close_pool(pool, &ending);
	pool_reap(pool, &ending);
	pthread_mutex_unlock(&pool->lock);
	pool_settle_templates(pool, NULL);
	free_groups(pool);
	pool_done(pool);
}
