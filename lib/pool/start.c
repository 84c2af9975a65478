/* SPDX-License-Identifier: MIT */
/* Starting a VM of a group: from its template if there can be one, else by booting. */
#include "pool/internal.h"

/* how many times what its start took a VM may serve its own group while others wait for room */
#define TURN_STARTS 4u
#define TURN_SHARE  8u /* but no longer than this part of the time that they wait at most */

static int boot_vm(nova_pool_t *pool, const struct pool_want *want, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = vm_start(pool->host, want->vm, stop, &vm, error);
	if (code < 0)
		return code;
	code = want->vm->config.runtime ? vm_init(vm, want->vm, stop, error) : 0;
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

/* --- from a template --- */

static struct template_want template_of(const nova_pool_t *pool, const struct pool_want *want)
{
	return (struct template_want){
		.name = want->name ? want->name : want->key,
		.vm = want->vm,
		.progress = want->progress,
		.clones = pool_clones(pool),
	};
}

void template_drop(nova_pool_t *pool, struct frozen *frozen)
{
	if (!frozen)
		return;
	pthread_mutex_lock(&pool->lock);
	templates_forget(pool, frozen);
	pthread_mutex_unlock(&pool->lock);
	standby_drop(pool->host, frozen);
	frozen_unref(frozen);
}

/* The group's template, held for the caller, and the VM that it was just made of. Until it is known
 * only one thread at a time starts VMs of a group, so only one looks. */
static int group_template(nova_pool_t *pool, struct group *g, const struct pool_want *want,
	const struct stop *stop, struct frozen **ret, nova_vm_t **ret_vm, uint64_t *ret_us,
	nova_error_t **error)
{
	struct template_made made = { .vm = NULL };
	uint64_t begin = clock_ns();
	pthread_mutex_lock(&pool->lock);
	struct frozen *found = g->frozen ? frozen_ref(g->frozen) : NULL;
	uint64_t generation = g->generation;
	/* One that is in memory cannot be found, and nobody but us may be there to write it. */
	if (!found && !pool->threaded)
		templates_write(pool, stop);
	else if (!found)
		templates_write_of(pool, g->key, stop);
	pthread_mutex_unlock(&pool->lock);
	if (!found) {
		uint64_t wait_ms = want->queue_timeout_ms ? want->queue_timeout_ms : pool->queue_ms;
		const struct template_want of = template_of(pool, want);
		int code = template_get(pool->host, &of, wait_ms, stop, &found, &made, error);
		if (code < 0)
			return code;
	}
	pthread_mutex_lock(&pool->lock);
	if (!g->frozen && g->generation == generation) {
		g->frozen = frozen_ref(found);
		zygote_note_sample(g, want);
	}
	if (made.unwritten)
		template_later(pool, g, made.unwritten, found);
	group_want_standby(pool, g, begin);
	pthread_mutex_unlock(&pool->lock);
	*ret = found;
	*ret_vm = made.vm;
	*ret_us = made.unwritten ? us_since(begin) : 0;
	return 0;
}

/* All of the time that a template took is its first VM's, which knows some of it. */
static void note_made(nova_vm_t *vm, uint64_t us, bool was_made_of)
{
	static const int known[] = { NOVA_TIMING_START, NOVA_TIMING_BOOT, NOVA_TIMING_INIT };
	for (size_t i = 0; was_made_of && i < ARRAY_LEN(known); i++) {
		uint64_t part = vm_timing_us(vm, known[i]);
		us -= part < us ? part : us;
	}
	vm_add_init_us(vm, us);
}

static void discard_template(nova_pool_t *pool, struct group *g, struct frozen *frozen)
{
	struct slot *ending = NULL;
	pthread_mutex_lock(&pool->lock);
	struct frozen *lost = g->frozen == frozen ? group_lose_template(g) : NULL;
	if (lost)
		zygote_end(pool, g, &ending);
	pool_reap(pool, &ending);
	pthread_mutex_unlock(&pool->lock);
	template_drop(pool, lost);
	template_discard(pool->host, frozen);
}

/* Of a clone that may still lack it. */
static int give_function(nova_vm_t *vm, const struct frozen *frozen, const struct pool_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	int code = frozen_draws(frozen) ? vm_init(vm, want->vm, stop, error) : 0;
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

static int thaw_function(nova_pool_t *pool, struct frozen *frozen, const struct pool_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = vm_thaw_for_call(pool->host, frozen, stop, &vm, error);
	return code < 0 ? code : give_function(vm, frozen, want, stop, ret_vm, error);
}

/* Whether a failure may be the template's own fault: what this host could not do is none. */
static bool may_be_its_fault(const nova_error_t *failure)
{
	int code = nova_error_code(failure);
	return nova_error_os(failure) == 0 &&
	       (code == NOVA_ECORRUPT || code == NOVA_ESTALE || code == NOVA_EENGINE ||
		       code == NOVA_ELOST || code == NOVA_EAGENT);
}

/* A VMM that was killed says nothing about its template: that takes two. */
static int thaw(nova_pool_t *pool, struct frozen *frozen, const struct pool_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *first = NULL;
	int code = thaw_function(pool, frozen, want, stop, ret_vm, &first);
	if (code == 0)
		return 0;
	if (may_be_its_fault(first))
		return thaw_function(pool, frozen, want, stop, ret_vm, error);
	*error = STEAL(first);
	return code;
}

/* 1: by a fork of a zygote, now or before; 0: not so, for the reason in `why`. */
static int start_hot(nova_pool_t *pool, struct slot *s, const struct frozen *frozen,
	const struct pool_want *want, const struct stop *stop, char why[VM_PATH_WHY],
	nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	nova_vm_t *vm;
	int code = s->vm ? parked_start(pool, s, stop, &vm, why, error) : 0;
	if (code == 0)
		code = zygote_start(pool, s->group, frozen, stop, &vm, why, error);
	if (code <= 0)
		return code;
	code = give_function(vm, frozen, want, stop, &s->vm, &failure);
	if (code == 0)
		return 1;
	snprintf(why, VM_PATH_WHY, "%s", nova_error_message(failure));
	if (code != NOVA_ECANCELED && !template_blames_function(code))
		return 0;
	if (error)
		*error = STEAL(failure);
	return code;
}

/* In one of the two ways. */
static int make_clone(nova_pool_t *pool, struct slot *s, struct frozen *frozen,
	const struct pool_want *want, const struct stop *stop, nova_error_t **error)
{
	char why[VM_PATH_WHY] = "";
	int code = start_hot(pool, s, frozen, want, stop, why, error);
	if (code != 0)
		return code < 0 ? code : 0;
	code = thaw(pool, frozen, want, stop, &s->vm, error);
	if (code == 0)
		vm_set_path_why(s->vm, why);
	return code;
}

/* What the template was made of is as good as its first clone. */
static void take_origin(
	nova_pool_t *pool, struct slot *s, const struct frozen *frozen, nova_vm_t *vm)
{
	char why[VM_PATH_WHY];
	zygote_first(pool, s->group, frozen, why);
	if (vm_path(vm) == VM_PATH_CLASSIC)
		vm_set_path_why(vm, why);
	nova_vm_free(s->vm);
	s->vm = vm;
}

static int start_from_template(nova_pool_t *pool, struct slot *s, const struct pool_want *want,
	const struct stop *stop, int *ret_how, nova_error_t **error)
{
	struct group *g = s->group;
	AUTO_FROZEN struct frozen *frozen = NULL;
	uint64_t made_us = 0;
	nova_vm_t *vm = NULL;
	int code = group_template(pool, g, want, stop, &frozen, &vm, &made_us, error);
	if (code < 0)
		return code;
	AUTO_ERROR nova_error_t *failure = NULL;
	if (vm)
		take_origin(pool, s, frozen, vm);
	else
		code = make_clone(pool, s, frozen, want, stop, &failure);
	if (code == 0) {
		note_made(s->vm, made_us, vm != NULL);
		*ret_how = NOVA_POOL_TEMPLATE_STARTS;
		return 0;
	}
	if (code == NOVA_ECANCELED || template_blames_function(code)) {
		if (error)
			*error = STEAL(failure);
		return code;
	}
	/* A template is only a quicker way: what it cannot do, a boot may. That shows whose fault
	 * it is. */
	log_warn(host_log(pool->host), "pool", "the template of '%s' does not work: %s", g->key,
		nova_error_message(failure));
	code = boot_vm(pool, want, stop, &s->vm, error);
	if (code == 0 && may_be_its_fault(failure))
		discard_template(pool, g, frozen);
	return code;
}

/* --- in the books --- */

static int start_failed(nova_pool_t *pool, struct slot *s, int code, const nova_error_t *failure)
{
	struct group *g = s->group;
	g->vms--;
	room_give_back(pool, s);
	count(pool, NOVA_POOL_START_FAILURES);
	free(s);
	/* Trying on would fail as often as there are tickets; but what one caller has called off,
	 * another may want. */
	if (g->vms == 0 && code != NOVA_ECANCELED)
		tickets_end(pool, g, TICKET_FAILED, failure);
	return code;
}

static void started(nova_pool_t *pool, struct slot *s, int how)
{
	struct group *g = s->group;
	uint64_t turn = g->start_ns * TURN_STARTS, most = pool->queue_ms * 1000000u / TURN_SHARE;
	s->turn_ends = g->reuse_until - g->start_ns + (turn < most ? turn : most);
	g->proven = true;
	count(pool, how);
	if (vm_from_standby(s->vm) || vm_path(s->vm) == VM_PATH_PARKED)
		count(pool, NOVA_POOL_STANDBY_STARTS);
	if (how == NOVA_POOL_TEMPLATE_STARTS && vm_path(s->vm) != VM_PATH_CLASSIC)
		count(pool, NOVA_POOL_HOT_STARTS);
	/* also after one that a zygote of the runtime was forked for */
	if (how == NOVA_POOL_TEMPLATE_STARTS)
		zygote_want(pool, g);
}

/* s->vm: in, one that was forked ahead, or NULL; out, the VM. */
static int make_vm(nova_pool_t *pool, struct slot *s, const struct pool_want *want,
	const struct pool_maker *maker, const struct stop *stop, int *ret_how, nova_error_t **error)
{
	*ret_how = NOVA_POOL_BOOTS;
	const struct template_want of = template_of(pool, want);
	if (!maker)
		return template_possible(pool->host, &of) ?
			       start_from_template(pool, s, want, stop, ret_how, error) :
			       boot_vm(pool, want, stop, &s->vm, error);
	int code = maker->make(maker->userdata, stop, &s->vm, error);
	if (code == 0 && vm_is_clone(s->vm))
		*ret_how = NOVA_POOL_TEMPLATE_STARTS;
	return code;
}

int slot_start(nova_pool_t *pool, struct slot *s, const struct pool_want *want,
	const struct pool_maker *maker, const struct stop *stop, nova_error_t **error)
{
	struct group *g = s->group;
	struct slot *victims = STEAL(s->next);
	const struct stop any = { pool->end, stop };
	int how;
	pthread_mutex_unlock(&pool->lock);
	slots_destroy(pool, victims);
	nova_error_t *failure = NULL;
	uint64_t begin = clock_ns();
	int code = make_vm(pool, s, want, maker, &any, &how, &failure);
	if (code < 0)
		nova_vm_free(STEAL(s->vm)); /* that was forked ahead, and not come to */
	uint64_t end = clock_ns();
	pthread_mutex_lock(&pool->lock);
	pool->counters[NOVA_POOL_STARTING]--;
	g->starting--;
	g->start_ns = end - begin;
	g->reuse_until = end + g->start_ns;
	if (code < 0)
		code = start_failed(pool, s, code, failure);
	else
		started(pool, s, how);
	if (error)
		*error = failure;
	else
		nova_error_free(failure);
	return code;
}
