/* SPDX-License-Identifier: MIT */
/* VMs that stand in the pool to be forked for starts: lib/pool/zygote.c. */
#include "pool_double.h"

#define MEMORY_MB 128u

static nova_vm_opts small = NOVA_VM_OPTS_INIT;
static nova_vm_init_opts python = NOVA_VM_INIT_OPTS_INIT;

/* Room for `max_vms`. All functions come from one template. */
static struct setting set_up_hot(uint32_t max_vms, const char *key, const char *value)
{
	nova_pool_opts o = limits(max_vms, 0);
	struct setting s = set_up_as(&o, key, value);
	doubles.dropping = s.pool;
	struct frozen *f = doubles.template = calloc(1, sizeof(*f));
	f->references = 1;
	f->state_fd = -1;
	f->pages = (struct pages)PAGES_NONE;
	f->shape.memory_mb = MEMORY_MB;
	f->base = calloc(1, sizeof(*f->base));
	*f->base = (struct vm_base){ .references = 1, .fd = -1, .lock_fd = -1 };
	return s;
}

static struct setting set_up_usual(void)
{
	return set_up_hot(8, "pool.zygotes", "auto");
}

static void tear_down_hot(struct setting *s)
{
	struct frozen *template = doubles.template;
	tear_down(s);
	ck_assert_int_eq(template->references, 1);
	frozen_unref(template);
}

/* Each call starts one. */
static nova_pool_want fresh_of(const char *key)
{
	nova_pool_want w = want_of(key);
	small.memory_mb = MEMORY_MB;
	python.runtime = "python";
	w.vm = &small;
	w.init = &python;
	w.flags = NOVA_POOL_FRESH;
	return w;
}

static nova_vm_t *take_fresh(struct setting *s, const char *key)
{
	nova_vm_t *vm;
	nova_pool_want want = fresh_of(key);
	ck_ok(nova_pool_acquire(s->pool, &want, &vm, NULL, &error));
	return vm;
}

static void starts(struct setting *s, const char *key, const char *path, const char *why)
{
	nova_vm_t *vm = take_fresh(s, key);
	ck_assert_str_eq(nova_vm_path(vm), path);
	ck_assert_str_eq(nova_vm_path_why(vm), why);
	nova_pool_release(s->pool, vm, 1);
}

static void starts_classic(struct setting *s, const char *key)
{
	starts(s, key, "classic", "no zygote stands yet for the function");
}

static uint64_t told(struct setting *s, int counter)
{
	return pool_counter(s->pool, counter);
}

static void tick_until(struct setting *s, int counter, uint64_t value)
{
	while (nova_pool_tick(s->pool), told(s, counter) != value)
		sys_poll(NULL, 0, 1);
}

static void stands(struct setting *s, const char *key)
{
	starts_classic(s, key);
	tick_until(s, NOVA_POOL_ZYGOTES, told(s, NOVA_POOL_ZYGOTES) + 1);
}

static struct group *group(struct setting *s, const char *key)
{
	return group_get(s->pool, key, true, false);
}

/* What it waits for is over. */
static void let_time_pass(struct setting *s, const char *key)
{
	pthread_mutex_lock(&s->pool->lock);
	group(s, key)->zygote.not_before = 0;
	pthread_mutex_unlock(&s->pool->lock);
}

START_TEST(the_second_start_is_a_fork_of_a_zygote_that_a_tick_has_made)
{
	struct setting s = set_up_usual();
	starts_classic(&s, "f");
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_int_eq(doubles.alive, 0);
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), MEMORY_MB);
	ck_assert_uint_eq(told(&s, NOVA_POOL_IDLE), 0);
	starts(&s, "f", "hot", "");
	starts(&s, "f", "hot", "");
	ck_assert_uint_eq(told(&s, NOVA_POOL_TEMPLATE_STARTS), 3);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_STARTS), 2);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_FALLBACKS), 0);
	ck_assert_int_eq(doubles.zygotes, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_serves_its_own_function_alone)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	starts_classic(&s, "g");
	ck_assert_int_eq(doubles.forks, 0);
	nova_vm_t *usual;
	nova_pool_want want = fresh_of("f");
	want.flags = 0; /* of another group, as are VMs that are used again */
	ck_ok(nova_pool_acquire(s.pool, &want, &usual, NULL, &error));
	ck_assert_str_eq(nova_vm_path(usual), "classic");
	nova_pool_release(s.pool, usual, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(vms_that_are_kept_are_forked_too)
{
	struct setting s = set_up_usual();
	nova_pool_want want = fresh_of("f");
	want.flags = 0;
	ck_ok(nova_pool_keep(s.pool, &want, 1, &error));
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_STARTS), 0);
	ck_ok(nova_pool_keep(s.pool, &want, 3, &error));
	tick_until(&s, NOVA_POOL_IDLE, 3);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_STARTS), 2);
	tear_down_hot(&s);
}
END_TEST

START_TEST(what_a_function_draws_at_its_import_is_drawn_in_each_child)
{
	struct setting s = set_up_usual();
	doubles.template->function.draws = strdup("random.random");
	stands(&s, "f");
	ck_assert_int_eq(doubles.inits, 1);
	starts(&s, "f", "hot", "");
	ck_assert_int_eq(doubles.inits, 2);
	tear_down_hot(&s);
}
END_TEST

START_TEST(where_it_cannot_be_or_is_not_wanted_no_zygote_is_made)
{
	struct setting s = set_up_usual();
	doubles.obstacle = "guests run by KVM";
	starts(&s, "f", "classic", "guests run by KVM");
	nova_pool_tick(s.pool);
	tear_down_hot(&s);
	s = set_up_hot(8, "pool.zygotes", "0");
	starts(&s, "f", "classic", "the setting pool.zygotes is 0");
	nova_pool_tick(s.pool);
	tear_down_hot(&s);
	s = set_up_hot(8, "pool.hot", "off");
	starts(&s, "f", "classic", "");
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.zygotes, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_fork_that_fails_is_done_in_the_classic_way_and_the_zygote_rests)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	doubles.reason = "a thread does not come to rest";
	starts(&s, "f", "classic", "a thread does not come to rest");
	starts(&s, "f", "classic", "a fork of the function's zygote has just failed, and it rests");
	ck_assert_int_eq(doubles.forks, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_FALLBACKS), 2);
	doubles.reason = NULL;
	let_time_pass(&s, "f");
	starts(&s, "f", "hot", "");
	ck_assert_int_eq(doubles.zygotes, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_that_has_died_costs_no_call_and_is_replaced)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	kill_double(doubles.zygote);
	if (_i) { /* found by a tick, not by a call */
		tick_until(&s, NOVA_POOL_ZYGOTES, 0);
	} else {
		starts(&s, "f", "classic", "the double is dead");
		ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_FALLBACKS), 1);
	}
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_DISCARDED), 1);
	nova_pool_tick(s.pool); /* after a while only */
	ck_assert_int_eq(doubles.zygotes, 1);
	let_time_pass(&s, "f");
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	starts(&s, "f", "hot", "");
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_that_can_never_be_forked_is_replaced)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	doubles.reason = "it was not started so that it can be forked";
	for (int i = 0; i < 5; i++) {
		let_time_pass(&s, "f");
		starts(&s, "f", "classic", doubles.reason);
	}
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_DISCARDED), 1);
	doubles.reason = NULL;
	let_time_pass(&s, "f");
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	starts(&s, "f", "hot", "");
	ck_assert_int_eq(doubles.zygotes, 2);
	tear_down_hot(&s);
}
END_TEST

/* What is forked shows only when it is used that it never came up. */
START_TEST(a_zygote_whose_children_do_not_come_up_rests_longer_each_time_and_is_replaced)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	uint64_t waited = 0;
	for (int lost = 1; told(&s, NOVA_POOL_ZYGOTES) == 1; lost++) {
		starts(&s, "f", "hot", "");
		doubles.zygote->children_lost = lost;
		nova_vm_t *vm = take_fresh(&s, "f");
		ck_assert_str_eq(nova_vm_path(vm), "classic");
		nova_pool_release(s.pool, vm, 1);
		if (told(&s, NOVA_POOL_ZYGOTES) == 1) {
			ck_assert_uint_gt(group(&s, "f")->zygote.wait_ms, waited);
			waited = group(&s, "f")->zygote.wait_ms;
			let_time_pass(&s, "f");
		}
		ck_assert_int_lt(lost, 10);
	}
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_of_which_a_child_has_come_up_is_trusted_again)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	doubles.zygote->children_lost = 1;
	starts(&s, "f", "classic", "a fork of the function's zygote has just failed, and it rests");
	let_time_pass(&s, "f");
	doubles.zygote->children_lost = 0;
	starts(&s, "f", "hot", "");
	starts(&s, "f", "hot", "");
	ck_assert_uint_eq(group(&s, "f")->zygote.wait_ms, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(one_that_died_just_before_the_end_of_its_pool_leaves_nothing)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	kill_double(doubles.zygote);
	tick_until(&s, NOVA_POOL_ZYGOTES, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(one_that_cannot_be_made_is_tried_again_by_a_later_start)
{
	struct setting s = set_up_usual();
	doubles.zygotes_failing = 1;
	starts_classic(&s, "f");
	while (nova_pool_tick(s.pool), doubles.zygotes == 0)
		sys_poll(NULL, 0, 1);
	ck_assert_int_eq(doubles.alive, 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), 0);
	doubles.zygotes_failing = 0;
	starts_classic(&s, "f");
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.zygotes, 1);
	let_time_pass(&s, "f");
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	tear_down_hot(&s);
}
END_TEST

static void rehearses(struct setting *s)
{
	starts_classic(s, "f");
	let_time_pass(s, "f");
	doubles.rehearsing = 1;
	nova_pool_tick(s->pool);
	ck_assert_int_eq(doubles.zygotes, 1);
	ck_assert_uint_eq(told(s, NOVA_POOL_ZYGOTES), 0);
}

START_TEST(a_zygote_that_rehearses_holds_up_nobody)
{
	struct setting s = set_up_usual();
	rehearses(&s);
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	ck_assert_int_le(nova_pool_tick(s.pool), 10); /* it is looked at again */
	ck_assert_int_eq(doubles.zygotes, 1);
	starts_classic(&s, "g");
	let_time_pass(&s, "g");
	nova_pool_tick(s.pool); /* another begins beside it */
	ck_assert_int_eq(doubles.zygotes, 2);
	doubles.rehearsing = 0;
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 2);
	starts(&s, "f", "hot", "");
	tear_down_hot(&s);
}
END_TEST

START_TEST(one_that_rehearses_in_vain_is_none_and_another_is_made_later)
{
	struct setting s = set_up_usual();
	rehearses(&s);
	doubles.rehearsing = -1;
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.alive, 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), 0);
	doubles.rehearsing = 0;
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(one_that_rehearses_ends_with_its_function_or_its_pool)
{
	struct setting s = set_up_usual();
	rehearses(&s);
	if (_i == 0)
		nova_pool_forget(s.pool, "f");
	else if (_i == 1)
		ck_ok(nova_pool_drain(s.pool, 10000, &error));
	if (_i < 2)
		ck_assert_int_eq(doubles.alive, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(those_that_rehearse_count_against_the_limit)
{
	struct setting s = set_up_hot(8, "pool.zygotes", "1");
	rehearses(&s);
	starts_classic(&s, "g");
	let_time_pass(&s, "g");
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.zygotes, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_ends_with_its_function_or_its_pool)
{
	struct setting s = set_up_usual();
	stands(&s, "f");
	nova_pool_forget(s.pool, "f");
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_int_eq(doubles.alive, 0);
	stands(&s, "f");
	ck_ok(nova_pool_drain(s.pool, 10000, &error));
	ck_assert_int_eq(doubles.alive, 0);
	tear_down_hot(&s);
}
END_TEST

static void *forget_f(void *pool)
{
	await_int(&doubles.zygotes, 1);
	nova_pool_forget(pool, "f");
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	return NULL;
}

START_TEST(one_that_is_made_while_its_function_changes_ends_at_once)
{
	struct setting s = set_up_usual();
	pthread_t thread;
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	doubles.gate = 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, forget_f, s.pool), 0);
	nova_pool_tick(s.pool);
	pthread_join(thread, NULL);
	ck_assert_int_eq(doubles.zygotes, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_int_eq(doubles.alive, 0);
	tear_down_hot(&s);
}
END_TEST

static void *forget_unused(void *argument)
{
	nova_pool_t *pool = argument;
	await_int(&doubles.zygotes, 1);
	pthread_mutex_lock(&pool->lock);
	groups_forget_unused(pool, 0);
	pthread_mutex_unlock(&pool->lock);
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	return NULL;
}

static void want_another(nova_pool_t *pool)
{
	pthread_mutex_lock(&pool->lock);
	struct group *g = group_get(pool, "f", true, false);
	zygote_want(pool, g);
	g->zygote.not_before = 0;
	pthread_mutex_unlock(&pool->lock);
}

/* By a start in the classic way that ends while there is looked for its room. */
START_TEST(one_that_is_wanted_again_while_it_is_made_is_made_once)
{
	struct setting s = set_up_usual();
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	doubles.meanwhile = want_another;
	s.pool->look_at = 0;
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	nova_pool_tick(s.pool);
	ck_assert_ptr_null(doubles.meanwhile);
	ck_assert_int_eq(doubles.zygotes, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(one_that_is_wanted_is_nothing_due_to_a_pool_that_is_closing)
{
	struct setting s = set_up_usual();
	starts_classic(&s, "f");
	ck_assert_uint_ne(zygotes_due(s.pool), NEVER);
	s.pool->draining = true;
	ck_assert_uint_eq(zygotes_due(s.pool), NEVER);
	s.pool->draining = false;
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_group_without_vms_is_not_forgotten_while_its_zygote_is_made)
{
	struct setting s = set_up_usual();
	pthread_t thread;
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	ck_assert_uint_eq(s.pool->unused_count, 0); /* looked up */
	nova_pool_release(s.pool, take_fresh(&s, "f"), 1);
	ck_assert_uint_eq(s.pool->unused_count, 1);
	doubles.gate = 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, forget_unused, s.pool), 0);
	while (nova_pool_tick(s.pool), told(&s, NOVA_POOL_ZYGOTES) != 1)
		sys_poll(NULL, 0, 1);
	pthread_join(thread, NULL);
	starts(&s, "f", "hot", "");
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_ends_when_no_start_has_needed_it_for_the_time_of_idle_vms)
{
	nova_pool_opts o = limits(8, 0);
	o.idle_ttl_ms = 60;
	struct setting s = set_up_hot(8, "pool.zygotes", "auto");
	s.pool->ttl_ms = o.idle_ttl_ms;
	stands(&s, "f");
	tick_until(&s, NOVA_POOL_ZYGOTES, 0);
	ck_assert_uint_ge(told(&s, NOVA_POOL_EXPIRED), 2); /* the fresh VM, too */
	ck_assert_int_eq(doubles.alive, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(the_least_lately_used_zygote_makes_place_for_another_function)
{
	struct setting s = set_up_hot(8, "pool.zygotes", "1");
	stands(&s, "f");
	starts_classic(&s, "g");
	let_time_pass(&s, "g");
	nova_pool_tick(s.pool); /* the other has just been of use */
	ck_assert_int_eq(doubles.zygotes, 1);
	starts(&s, "f", "hot", "");
	starts_classic(&s, "g");
	let_time_pass(&s, "g");
	group(&s, "f")->zygote.slot->idle_since -= 2000000000u;
	while (nova_pool_tick(s.pool), doubles.zygotes < 2)
		sys_poll(NULL, 0, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_EVICTED), 1);
	starts(&s, "g", "hot", "");
	tear_down_hot(&s);
}
END_TEST

/* Who makes place is put among the unused, of which there are 100 at most. */
START_TEST(who_makes_place_has_nobody_forgotten_who_waits_for_that_place)
{
	struct setting s = set_up_hot(8, "pool.zygotes", "1");
	stands(&s, "f");
	starts_classic(&s, "g");
	let_time_pass(&s, "g");
	nova_pool_release(s.pool, take_fresh(&s, "g"), 1);
	for (int i = 0; i < 99; i++) {
		AUTO_FREE char *key = str_format("u%d", i);
		starts_classic(&s, key);
	}
	ck_assert_uint_eq(s.pool->unused_count, 100);
	group(&s, "f")->zygote.slot->idle_since -= 2000000000u;
	while (nova_pool_tick(s.pool), doubles.zygotes < 2)
		sys_poll(NULL, 0, 1);
	starts(&s, "g", "hot", "");
	tear_down_hot(&s);
}
END_TEST

START_TEST(no_zygote_makes_place_for_one_that_has_no_room)
{
	struct setting s = set_up_hot(8, "pool.zygotes", "1");
	stands(&s, "f");
	starts_classic(&s, "g");
	let_time_pass(&s, "g");
	group(&s, "f")->zygote.slot->idle_since -= 2000000000u;
	doubles.available_mb = 0;
	s.pool->look_at = 0;
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_EVICTED), 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_zygote_takes_no_room_that_a_call_needs)
{
	struct setting s = set_up_hot(1, "pool.zygotes", "8");
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	nova_pool_tick(s.pool); /* a child would have no place */
	ck_assert_int_eq(doubles.zygotes, 0);
	tear_down_hot(&s);
	s = set_up_hot(2, "pool.zygotes", "8");
	stands(&s, "f");
	nova_vm_t *child = take_fresh(&s, "f"), *other = take_fresh(&s, "g");
	ck_assert_str_eq(nova_vm_path(child), "hot");
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_int_eq(doubles.most_alive, 2);
	nova_pool_release(s.pool, child, 1);
	nova_pool_release(s.pool, other, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(where_the_host_is_short_of_memory_no_zygote_is_made)
{
	struct setting s = set_up_usual();
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	doubles.available_mb = 10;
	s.pool->look_at = 0;
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.zygotes, 0);
	tear_down_hot(&s);
}
END_TEST

/* --- zygotes of runtimes --- */

static int clone_of(struct setting *s, const char *disk, nova_vm_t **ret_vm, char why[VM_PATH_WHY])
{
	const struct runtime_clone what = { "0123", doubles.template, disk };
	const struct template_clones *clones = pool_clones(s->pool);
	*ret_vm = NULL;
	return clones->make(clones->userdata, &what, NULL, ret_vm, why, &error);
}

static void no_clone(struct setting *s, const char *why)
{
	char told[VM_PATH_WHY];
	nova_vm_t *vm;
	ck_assert_int_eq(clone_of(s, "disk", &vm, told), 0);
	ck_assert_str_eq(told, why);
}

static void let_runtime_rest(struct setting *s)
{
	pthread_mutex_lock(&s->pool->lock);
	group_get(s->pool, "runtime:0123", false, false)->zygote.not_before = 0;
	pthread_mutex_unlock(&s->pool->lock);
}

#define NO_RUNTIME_YET "no zygote stands yet for the runtime"

static void runtime_stands(struct setting *s)
{
	no_clone(s, NO_RUNTIME_YET);
	let_runtime_rest(s);
	tick_until(s, NOVA_POOL_ZYGOTES, told(s, NOVA_POOL_ZYGOTES) + 1);
}

START_TEST(a_runtime_has_a_zygote_too_whose_children_have_disks_of_their_own)
{
	struct setting s = set_up_usual();
	char why[VM_PATH_WHY];
	nova_vm_t *vm;
	runtime_stands(&s);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), MEMORY_MB);
	for (int i = 0; i < 2; i++) {
		const char *disk = i ? "one" : "other";
		ck_assert_int_eq(clone_of(&s, disk, &vm, why), 1);
		ck_assert_str_eq(nova_vm_path(vm), "hot");
		ck_assert_ptr_eq(doubles.code_disk, disk);
		nova_vm_free(vm);
	}
	ck_assert_int_eq(doubles.zygotes, 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_runtimes_zygote_that_fails_or_dies_is_as_one_of_a_function)
{
	struct setting s = set_up_usual();
	runtime_stands(&s);
	doubles.reason = "a thread does not come to rest";
	no_clone(&s, doubles.reason);
	no_clone(&s, "a fork of the runtime's zygote has just failed, and it rests");
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_FALLBACKS), 2);
	doubles.reason = NULL;
	let_runtime_rest(&s);
	kill_double(doubles.zygote);
	no_clone(&s, "the double is dead");
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	let_runtime_rest(&s);
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	ck_assert_int_eq(doubles.zygotes, 2);
	tear_down_hot(&s);
}
END_TEST

static struct frozen made_anew(const struct frozen *former, struct vm_base *base)
{
	struct frozen f = *former;
	*base = (struct vm_base){ .references = 1, .fd = -1, .inode = 1, .lock_fd = -1 };
	f.references = 2; /* it is not the pool's to free */
	f.base = base;
	f.is_on_disk = true;
	return f;
}

START_TEST(a_runtime_whose_template_is_made_anew_gets_another_zygote)
{
	struct setting s = set_up_usual();
	struct vm_base base;
	struct frozen *former = doubles.template, next = made_anew(former, &base);
	runtime_stands(&s);
	doubles.template = &next;
	no_clone(&s, NO_RUNTIME_YET);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 0);
	ck_assert_int_eq(former->references, 1);
	let_runtime_rest(&s);
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	ck_assert_ptr_eq(group_get(s.pool, "runtime:0123", false, false)->frozen, &next);
	doubles.template = former;
	tear_down_hot(&s);
	ck_assert_int_eq(next.references, 2);
}
END_TEST

START_TEST(a_runtimes_zygote_makes_place_as_one_of_a_function)
{
	struct setting s = set_up_hot(8, "pool.zygotes", "1");
	runtime_stands(&s);
	starts_classic(&s, "f");
	let_time_pass(&s, "f");
	CONTAINER_OF(s.pool->zygotes.next, struct group, zygote.stands)->zygote.slot->idle_since -=
		2000000000u;
	while (nova_pool_tick(s.pool), doubles.zygotes < 2)
		sys_poll(NULL, 0, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 1);
	starts(&s, "f", "hot", "");
	no_clone(&s, NO_RUNTIME_YET);
	tear_down_hot(&s);
	s = set_up_hot(8, "pool.zygotes", "0");
	no_clone(&s, "the setting pool.zygotes is 0");
	tear_down_hot(&s);
	s = set_up_hot(8, "pool.hot", "off");
	ck_assert_ptr_null(pool_clones(s.pool));
	tear_down_hot(&s);
}
END_TEST

/* It came from the zygote of its runtime, and the second is to come from its own. */
START_TEST(a_function_whose_first_start_was_a_fork_gets_a_zygote_of_its_own)
{
	struct setting s = set_up_usual();
	char why[VM_PATH_WHY];
	runtime_stands(&s);
	ck_assert_int_eq(clone_of(&s, "disk", &doubles.origin, why), 1);
	starts(&s, "f", "hot", "");
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_STARTS), 1);
	let_time_pass(&s, "f");
	tick_until(&s, NOVA_POOL_ZYGOTES, 2);
	starts(&s, "f", "hot", "");
	ck_assert_ptr_null(doubles.code_disk);
	tear_down_hot(&s);
}
END_TEST

/* --- children that were forked ahead --- */

static void parked_end_of(struct setting *s, const char *key)
{
	struct slot *ending = NULL;
	pthread_mutex_lock(&s->pool->lock);
	parked_end(s->pool, group(s, key), &ending);
	pool_reap(s->pool, &ending);
	pthread_mutex_unlock(&s->pool->lock);
}

/* Two of f's. */
static struct setting set_up_parked(uint32_t max_vms)
{
	struct setting s = set_up_hot(max_vms, "pool.standby", "2");
	stands(&s, "f");
	tick_until(&s, NOVA_POOL_PARKED, 2);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), 3 * MEMORY_MB);
	ck_assert_uint_eq(told(&s, NOVA_POOL_IDLE), 0);
	return s;
}

START_TEST(a_start_takes_a_clone_that_a_tick_has_forked_ahead)
{
	struct setting s = set_up_parked(8);
	ck_assert_int_ge(doubles.dropped, 1); /* VMMs on standby, whose place they take */
	starts(&s, "f", "parked", "");
	ck_assert_int_eq(doubles.births, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_STARTS), 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_STANDBY_STARTS), 1);
	starts(&s, "f", "parked", "");
	starts(&s, "f", "hot", "");
	ck_assert_int_eq(doubles.forks, 1);
	tick_until(&s, NOVA_POOL_PARKED, 2);
	starts_classic(&s, "g"); /* they are f's alone */
	ck_assert_int_eq(doubles.births, 2);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_parked_clone_that_has_died_or_is_not_born_costs_no_call)
{
	struct setting s = set_up_parked(8);
	kill_double(doubles.parked);
	if (_i) { /* found by a tick */
		tick_until(&s, NOVA_POOL_DISCARDED, 1);
		tick_until(&s, NOVA_POOL_PARKED, 2);
	}
	starts(&s, "f", "parked", "");
	starts(&s, "f", _i ? "parked" : "hot", "");
	ck_assert_uint_eq(told(&s, NOVA_POOL_DISCARDED), 1);
	tick_until(&s, NOVA_POOL_PARKED, 2);
	doubles.stillborn = "it takes too long";
	starts(&s, "f", "hot", "");
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(parked_clones_go_first_when_room_is_needed)
{
	struct setting s = set_up_parked(8);
	nova_vm_t *others[7];
	for (int i = 0; i < 5; i++)
		others[i] = take_fresh(&s, "g");
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 2);
	nova_pool_tick(s.pool);
	others[5] = take_fresh(&s, "g");
	others[6] = take_fresh(&s, "g");
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_EVICTED), 2);
	ck_assert_int_eq(doubles.most_alive, 8);
	nova_pool_tick(s.pool); /* no room for more of them */
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	for (int i = 0; i < 7; i++)
		nova_pool_release(s.pool, others[i], 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(parked_clones_have_room_for_their_own_function)
{
	struct setting s = set_up_parked(8);
	nova_vm_t *vms[7];
	for (int i = 0; i < 5; i++)
		vms[i] = take_fresh(&s, "g");
	for (int i = 5; i < 7; i++) {
		vms[i] = take_fresh(&s, "f");
		ck_assert_str_eq(nova_vm_path(vms[i]), "parked");
	}
	ck_assert_uint_eq(told(&s, NOVA_POOL_EVICTED), 0);
	ck_assert_int_eq(doubles.most_alive, 8);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), 8 * MEMORY_MB);
	for (int i = 0; i < 7; i++)
		nova_pool_release(s.pool, vms[i], 1);
	tear_down_hot(&s);
}
END_TEST

START_TEST(parked_clones_end_with_their_zygote)
{
	struct setting s = set_up_parked(8);
	if (_i == 0) {
		nova_pool_forget(s.pool, "f");
	} else if (_i == 1) {
		kill_double(doubles.zygote);
		tick_until(&s, NOVA_POOL_ZYGOTES, 0);
	} else {
		ck_ok(nova_pool_drain(s.pool, 10000, &error));
	}
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	ck_assert_int_eq(doubles.alive, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(parked_clones_end_a_minute_after_the_last_start)
{
	struct setting s = set_up_parked(8);
	s.pool->ttl_ms = 3600000;
	group(&s, "f")->zygote.slot->idle_since -= 59000000000u;
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 2);
	group(&s, "f")->zygote.slot->idle_since -= 2000000000u;
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	ck_assert_uint_eq(told(&s, NOVA_POOL_ZYGOTES), 1);
	starts(&s, "f", "hot", "");
	tick_until(&s, NOVA_POOL_PARKED, 2);
	tear_down_hot(&s);
}
END_TEST

START_TEST(clones_are_parked_only_where_there_is_room_for_more)
{
	struct setting s = set_up_hot(8, "pool.standby", "8");
	stands(&s, "f");
	tick_until(&s, NOVA_POOL_PARKED, 2); /* a quarter of all */
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 2);
	tear_down_hot(&s);
	s = set_up_hot(8, "pool.standby", "0");
	stands(&s, "f");
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	tear_down_hot(&s);
	s = set_up_parked(8);
	doubles.available_mb = 10;
	s.pool->look_at = 0;
	parked_end_of(&s, "f");
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	tear_down_hot(&s);
}
END_TEST

static void *forget_f_once_parked(void *pool)
{
	await_int(&doubles.parks, 1);
	nova_pool_forget(pool, "f");
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	return NULL;
}

START_TEST(a_clone_that_is_parked_while_its_function_changes_ends_at_once)
{
	struct setting s = set_up_hot(8, "pool.standby", "1");
	pthread_t thread;
	stands(&s, "f");
	tick_until(&s, NOVA_POOL_PARKED, 1);
	parked_end_of(&s, "f");
	doubles.parks = 0;
	doubles.gate = 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, forget_f_once_parked, s.pool), 0);
	nova_pool_tick(s.pool);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(told(&s, NOVA_POOL_PARKED), 0);
	ck_assert_int_eq(doubles.alive, 0);
	tear_down_hot(&s);
}
END_TEST

START_TEST(a_fork_ahead_that_fails_is_tried_again_later)
{
	struct setting s = set_up_hot(8, "pool.standby", "1");
	starts_classic(&s, "f");
	doubles.reason = "a thread does not come to rest";
	tick_until(&s, NOVA_POOL_ZYGOTES, 1);
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.parks, 1);
	ck_assert_uint_eq(told(&s, NOVA_POOL_MEMORY_MB), MEMORY_MB);
	ck_assert_uint_eq(told(&s, NOVA_POOL_HOT_FALLBACKS), 0);
	doubles.reason = NULL;
	let_time_pass(&s, "f");
	tick_until(&s, NOVA_POOL_PARKED, 1);
	tear_down_hot(&s);
}
END_TEST

TCase *parked_cases(void)
{
	TCase *tc = tcase_create("parked");
	tcase_add_test(tc, a_start_takes_a_clone_that_a_tick_has_forked_ahead);
	tcase_add_loop_test(tc, a_parked_clone_that_has_died_or_is_not_born_costs_no_call, 0, 2);
	tcase_add_test(tc, parked_clones_go_first_when_room_is_needed);
	tcase_add_test(tc, parked_clones_have_room_for_their_own_function);
	tcase_add_loop_test(tc, parked_clones_end_with_their_zygote, 0, 3);
	tcase_add_test(tc, parked_clones_end_a_minute_after_the_last_start);
	tcase_add_test(tc, clones_are_parked_only_where_there_is_room_for_more);
	tcase_add_test(tc, a_clone_that_is_parked_while_its_function_changes_ends_at_once);
	tcase_add_test(tc, a_fork_ahead_that_fails_is_tried_again_later);
	return tc;
}

TCase *zygote_cases(void)
{
	TCase *tc = tcase_create("zygotes");
	tcase_add_test(tc, the_second_start_is_a_fork_of_a_zygote_that_a_tick_has_made);
	tcase_add_test(tc, a_zygote_serves_its_own_function_alone);
	tcase_add_test(tc, vms_that_are_kept_are_forked_too);
	tcase_add_test(tc, what_a_function_draws_at_its_import_is_drawn_in_each_child);
	tcase_add_test(tc, where_it_cannot_be_or_is_not_wanted_no_zygote_is_made);
	tcase_add_test(tc, a_fork_that_fails_is_done_in_the_classic_way_and_the_zygote_rests);
	tcase_add_loop_test(tc, a_zygote_that_has_died_costs_no_call_and_is_replaced, 0, 2);
	tcase_add_test(tc, a_zygote_that_can_never_be_forked_is_replaced);
	tcase_add_test(
		tc, a_zygote_whose_children_do_not_come_up_rests_longer_each_time_and_is_replaced);
	tcase_add_test(tc, a_zygote_of_which_a_child_has_come_up_is_trusted_again);
	tcase_add_test(tc, one_that_died_just_before_the_end_of_its_pool_leaves_nothing);
	tcase_add_test(tc, one_that_cannot_be_made_is_tried_again_by_a_later_start);
	tcase_add_test(tc, a_zygote_that_rehearses_holds_up_nobody);
	tcase_add_test(tc, one_that_rehearses_in_vain_is_none_and_another_is_made_later);
	tcase_add_loop_test(tc, one_that_rehearses_ends_with_its_function_or_its_pool, 0, 3);
	tcase_add_test(tc, those_that_rehearse_count_against_the_limit);
	tcase_add_test(tc, a_zygote_ends_with_its_function_or_its_pool);
	tcase_add_test(tc, one_that_is_made_while_its_function_changes_ends_at_once);
	tcase_add_test(tc, one_that_is_wanted_again_while_it_is_made_is_made_once);
	tcase_add_test(tc, one_that_is_wanted_is_nothing_due_to_a_pool_that_is_closing);
	tcase_add_test(tc, a_group_without_vms_is_not_forgotten_while_its_zygote_is_made);
	tcase_add_test(tc, a_zygote_ends_when_no_start_has_needed_it_for_the_time_of_idle_vms);
	tcase_add_test(tc, the_least_lately_used_zygote_makes_place_for_another_function);
	tcase_add_test(tc, who_makes_place_has_nobody_forgotten_who_waits_for_that_place);
	tcase_add_test(tc, no_zygote_makes_place_for_one_that_has_no_room);
	tcase_add_test(tc, a_zygote_takes_no_room_that_a_call_needs);
	tcase_add_test(tc, where_the_host_is_short_of_memory_no_zygote_is_made);
	tcase_add_test(tc, a_runtime_has_a_zygote_too_whose_children_have_disks_of_their_own);
	tcase_add_test(tc, a_runtimes_zygote_that_fails_or_dies_is_as_one_of_a_function);
	tcase_add_test(tc, a_runtime_whose_template_is_made_anew_gets_another_zygote);
	tcase_add_test(tc, a_runtimes_zygote_makes_place_as_one_of_a_function);
	tcase_add_test(tc, a_function_whose_first_start_was_a_fork_gets_a_zygote_of_its_own);
	return tc;
}
