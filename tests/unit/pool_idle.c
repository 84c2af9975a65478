/* SPDX-License-Identifier: MIT */
/* VMs that wait: their time, their sleep, their death, those that are kept; and what the pool tells
 * of itself. */
#include "pool_double.h"

static nova_pool_opts sleepy(uint32_t max_vms)
{
	nova_pool_opts o = limits(max_vms, 0);
	o.pause_after_ms = 1;
	return o;
}

static void tick_until(struct setting *s, int counter, uint64_t value)
{
	while (nova_pool_tick(s->pool), pool_counter(s->pool, counter) != value)
		sys_poll(NULL, 0, 1);
}

START_TEST(a_vm_that_waits_is_paused_and_resumed_for_its_next_caller)
{
	nova_pool_opts o = sleepy(2);
	struct setting s = set_up(&o);
	nova_vm_t *vm = take(&s, "f");
	nova_pool_release(s.pool, vm, 1);
	tick_until(&s, NOVA_POOL_PAUSED, 1);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_PAUSED);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	ck_assert_ptr_eq(take(&s, "f"), vm);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_PAUSED), 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_RESUMED), 1);
	nova_pool_release(s.pool, vm, 1);
	tick_until(&s, NOVA_POOL_PAUSED, 1); /* again */
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_that_dies_while_it_waits_is_replaced_unseen)
{
	nova_pool_opts o = sleepy(2);
	struct setting s = set_up(&o);
	nova_vm_t *vm = take(&s, "f");
	nova_pool_release(s.pool, vm, 1);
	if (_i)
		tick_until(&s, NOVA_POOL_PAUSED, 1);
	kill_double(vm);
	nova_vm_t *other = take(&s, "f");
	ck_assert_int_eq(nova_vm_state(other), NOVA_VM_RUNNING);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_DISCARDED), 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_PAUSED), 0);
	ck_assert_int_eq(doubles.alive, 1);
	nova_pool_release(s.pool, other, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_that_dies_as_it_wakes_is_replaced_unseen)
{
	nova_pool_opts o = sleepy(2);
	struct setting s = set_up(&o);
	nova_pool_release(s.pool, take(&s, "f"), 1);
	tick_until(&s, NOVA_POOL_PAUSED, 1);
	doubles.deep_sleep = 1;
	nova_vm_t *vm = take(&s, "f");
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_DISCARDED), 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_HITS), 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_MISSES), 2);
	ck_assert_int_eq(doubles.alive, 1);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_that_comes_back_dead_or_is_discarded_is_ended)
{
	struct setting s = set_up(NULL);
	nova_vm_t *vm = take(&s, "f");
	kill_double(vm);
	nova_pool_release(s.pool, vm, 1);
	nova_pool_release(s.pool, take(&s, "f"), 0);
	ck_assert_int_eq(doubles.alive, 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_DISCARDED), 2);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_is_ended_when_its_time_is_over)
{
	nova_pool_opts o = limits(2, 0);
	o.idle_ttl_ms = 1;
	struct setting s = set_up(&o);
	nova_pool_release(s.pool, take(&s, "f"), 1);
	tick_until(&s, NOVA_POOL_EXPIRED, 1);
	ck_assert_int_eq(doubles.alive, 0);
	ck_assert_int_eq(nova_pool_tick(s.pool), -1);
	ck_assert_uint_eq(s.pool->groups.count, 0);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_may_wait_for_ever)
{
	nova_pool_opts o = limits(1, 0);
	o.idle_ttl_ms = UINT64_MAX;
	struct setting s = set_up(&o);
	nova_pool_release(s.pool, take(&s, "f"), 1);
	nova_pool_tick(s.pool);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_forgotten_kind_is_ended_now_or_when_it_comes_back)
{
	nova_pool_opts o = limits(3, 0);
	struct setting s = set_up(&o);
	nova_vm_t *out = take(&s, "f"), *idle = take(&s, "f"), *other = take(&s, "g");
	nova_pool_release(s.pool, idle, 1);
	nova_pool_release(s.pool, other, 1);
	nova_pool_forget(s.pool, "f");
	ck_assert_int_eq(doubles.alive, 2);
	nova_pool_release(s.pool, out, 1);
	ck_assert_int_eq(doubles.alive, 1);
	ck_assert_ptr_eq(take(&s, "g"), other);
	nova_pool_release(s.pool, other, 1);
	tear_down(&s);
}
END_TEST

/* --- kept ones --- */

static void give_template(struct setting *s, const char *key)
{
	struct frozen *f = calloc(1, sizeof(*f));
	*f = (struct frozen){ .references = 1, .pages = PAGES_NONE, .state_fd = -1 };
	nova_pool_release(s->pool, take(s, key), 1);
	pthread_mutex_lock(&s->pool->lock);
	group_get(s->pool, key, false, false)->frozen = f;
	pthread_mutex_unlock(&s->pool->lock);
}

START_TEST(others_can_use_the_pool_while_vmms_of_a_forgotten_kind_end)
{
	nova_pool_opts o = limits(2, 0);
	struct setting s = set_up(&o);
	doubles.dropping = s.pool;
	give_template(&s, "f");
	nova_pool_forget(s.pool, "f");
	ck_assert_int_eq(doubles.dropped, 1);
	give_template(&s, "g");
	tear_down(&s);
	ck_assert_int_eq(doubles.dropped, 2);
}
END_TEST

START_TEST(kept_vms_are_started_replaced_and_not_ended_by_age_or_for_others)
{
	nova_pool_opts o = limits(3, 1);
	o.idle_ttl_ms = 1;
	struct setting s = set_up(&o);
	char key[] = "f";
	nova_pool_want want = want_of(key);
	ck_ok(nova_pool_keep(s.pool, &want, 2, &error));
	key[0] = 'x'; /* what was said has been copied */
	tick_until(&s, NOVA_POOL_IDLE, 2);
	for (int i = 0; i < 5; i++) {
		nova_vm_t *other = take(&s, "g");
		sys_poll(NULL, 0, 2); /* longer than the time of those that are not kept */
		nova_pool_release(s.pool, other, 1);
		nova_pool_tick(s.pool);
	}
	ck_assert_uint_ge(pool_counter(s.pool, NOVA_POOL_IDLE), 2);
	uint64_t hits = pool_counter(s.pool, NOVA_POOL_HITS);
	nova_vm_t *vm = take(&s, "f");
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_HITS), hits + 1);
	nova_pool_release(s.pool, vm, 0);
	tick_until(&s, NOVA_POOL_IDLE, 2);
	want.key = "f";
	ck_ok(nova_pool_keep(s.pool, &want, 0, &error));
	tick_until(&s, NOVA_POOL_IDLE, 0);
	ck_assert_int_eq(nova_pool_tick(s.pool), -1);
	tear_down(&s);
}
END_TEST

START_TEST(a_kept_vm_that_died_while_it_waited_is_replaced_by_a_tick)
{
	nova_pool_opts o = limits(3, 0);
	struct setting s = set_up(&o);
	nova_pool_want want = want_of("f");
	ck_ok(nova_pool_keep(s.pool, &want, 1, &error));
	tick_until(&s, NOVA_POOL_IDLE, 1);
	nova_vm_t *vm = take(&s, "f");
	nova_pool_release(s.pool, vm, 1);
	kill_double(vm);
	tick_until(&s, NOVA_POOL_DISCARDED, 1);
	tick_until(&s, NOVA_POOL_IDLE, 1);
	ck_assert_int_eq(doubles.starts, 2);
	tear_down(&s);
}
END_TEST

START_TEST(more_than_the_pool_may_hold_cannot_be_kept)
{
	nova_pool_opts o = limits(3, 0);
	o.max_memory_mb = 256;
	struct setting s = set_up(&o);
	nova_pool_want f = want_of("f"), g = want_of("g");
	nova_vm_t *vm;
	ck_fails_with(NOVA_ELIMIT, "pool.max_vms", nova_pool_keep(s.pool, &f, 4, &error));
	ck_fails_with(NOVA_ELIMIT, "pool.max_memory", nova_pool_keep(s.pool, &f, 3, &error));
	ck_ok(nova_pool_keep(s.pool, &f, 2, &error));
	ck_fails_with(NOVA_ELIMIT, "pool.max_memory", nova_pool_keep(s.pool, &g, 1, &error));
	ck_ok(nova_pool_keep(s.pool, &f, 1, &error));
	ck_ok(nova_pool_keep(s.pool, &g, 1, &error));
	ck_ok(nova_pool_keep(s.pool, &g, 0, &error));
	ck_ok(nova_pool_keep(s.pool, &g, 0, &error));
	ck_ok(nova_pool_keep(s.pool, &f, 2, &error));
	ck_fails_with(NOVA_ELIMIT,
		"256 of at most 256 MB are kept for other functions (setting pool.max_memory)",
		/* at once, and not after a minute in vain */
		nova_pool_acquire(s.pool, &g, &vm, NULL, &error));
	tear_down(&s);
}
END_TEST

START_TEST(what_is_kept_cannot_be_interrupted)
{
	struct setting s = set_up(NULL);
	nova_pool_want want = want_of("f");
	ck_ok(nova_interrupt_new(&want.interrupt, &error));
	ck_fails_with(
		NOVA_EINVAL, "nova_pool_want.interrupt", nova_pool_keep(s.pool, &want, 1, &error));
	nova_interrupt_free(want.interrupt);
	tear_down(&s);
}
END_TEST

START_TEST(a_kept_vm_that_cannot_be_started_is_tried_again_later)
{
	nova_pool_opts o = limits(3, 0);
	struct setting s = set_up(&o);
	nova_pool_want want = want_of("f");
	doubles.failing = 1;
	ck_ok(nova_pool_keep(s.pool, &want, 2, &error));
	nova_pool_tick(s.pool);
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.starts, 1); /* not in every tick */
	doubles.failing = 0;
	tick_until(&s, NOVA_POOL_IDLE, 2);
	tear_down(&s);
}
END_TEST

START_TEST(fresh_vms_are_kept_for_callers_who_want_one)
{
	nova_pool_opts o = limits(3, 0);
	struct setting s = set_up(&o);
	nova_pool_want want = want_of("f");
	nova_vm_t *vm;
	int cold = 1;
	want.flags = NOVA_POOL_FRESH;
	ck_ok(nova_pool_keep(s.pool, &want, 1, &error));
	tick_until(&s, NOVA_POOL_IDLE, 1);
	ck_ok(nova_pool_acquire(s.pool, &want, &vm, &cold, &error));
	ck_assert_int_eq(cold, 0);
	nova_pool_release(s.pool, vm, 1);
	ck_assert_int_eq(doubles.alive, 0);
	tick_until(&s, NOVA_POOL_IDLE, 1);
	tear_down(&s);
}
END_TEST

/* --- who ticks --- */

START_TEST(the_descriptor_is_readable_when_a_tick_has_something_to_do)
{
	nova_pool_opts o = sleepy(2);
	struct setting s = set_up(&o);
	struct pollfd p = { nova_pool_fd(s.pool), POLLIN, 0 };
	ck_assert_int_ge(p.fd, 0);
	ck_assert_int_eq(sys_poll(&p, 1, 0), 0);
	nova_pool_release(s.pool, take(&s, "f"), 1);
	while (pool_counter(s.pool, NOVA_POOL_PAUSED) == 0) {
		ck_assert_int_eq(sys_poll(&p, 1, 10000), 1);
		ck_assert_int_gt(nova_pool_tick(s.pool), 0);
	}
	ck_assert_int_eq(sys_poll(&p, 1, 0), 0); /* the time to live is next */
	ck_assert_int_eq(nova_pool_fd(s.pool), p.fd);
	nova_pool_want want = want_of("g");
	ck_ok(nova_pool_keep(s.pool, &want, 1, &error));
	ck_assert_int_eq(sys_poll(&p, 1, 10000), 1);
	tear_down(&s);
}
END_TEST

static struct setting set_up_with_ticks(uint32_t max_vms, struct pollfd *ret_ticks)
{
	nova_pool_opts o = limits(max_vms, 10000);
	struct setting s = set_up(&o);
	*ret_ticks = (struct pollfd){ nova_pool_fd(s.pool), POLLIN, 0 };
	ck_assert_int_ge(ret_ticks->fd, 0);
	return s;
}

static nova_vm_t *take_fresh(struct setting *s)
{
	nova_pool_want want = want_of("f");
	nova_vm_t *vm;
	want.flags = NOVA_POOL_FRESH;
	ck_ok(nova_pool_acquire(s->pool, &want, &vm, NULL, &error));
	return vm;
}

START_TEST(where_somebody_ticks_who_gives_a_vm_back_does_not_wait_for_its_end)
{
	struct pollfd ticks;
	struct setting s = set_up_with_ticks(2, &ticks);
	nova_vm_t *one = take_fresh(&s), *other = take_fresh(&s);
	nova_pool_release(s.pool, one, 1);
	nova_pool_release(s.pool, other, 1);
	ck_assert_int_eq(doubles.alive, 2);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_EXPIRED), 2);
	while (doubles.alive) {
		ck_assert_int_eq(sys_poll(&ticks, 1, 10000), 1);
		nova_pool_tick(s.pool);
	}
	tear_down(&s);
}
END_TEST

START_TEST(who_needs_the_room_of_one_that_leaves_does_not_wait_for_a_tick)
{
	struct pollfd ticks;
	struct setting s = set_up_with_ticks(1, &ticks);
	nova_pool_release(s.pool, take_fresh(&s), 1);
	ck_assert_int_eq(doubles.alive, 1);
	nova_pool_release(s.pool, take_fresh(&s), 1);
	ck_assert_int_eq(doubles.most_alive, 1);
	ck_ok(nova_pool_drain(s.pool, 10000, &error));
	ck_assert_int_eq(doubles.alive, 0);
	tear_down(&s);
}
END_TEST

START_TEST(a_pool_with_a_thread_needs_no_ticks)
{
	nova_pool_opts o = sleepy(4);
	o.flags = NOVA_POOL_THREAD;
	o.idle_ttl_ms = 20;
	struct setting s = set_up(&o);
	nova_pool_want want = want_of("kept");
	ck_ok(nova_pool_keep(s.pool, &want, 1, &error));
	nova_pool_release(s.pool, take(&s, "f"), 1);
	await_count(s.pool, NOVA_POOL_EXPIRED, 1);
	await_count(s.pool, NOVA_POOL_PAUSED, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	tear_down(&s);
}
END_TEST

static void note_call(void *userdata)
{
	__atomic_add_fetch((int *)userdata, 1, __ATOMIC_SEQ_CST);
}

START_TEST(the_hook_is_called_at_each_tick)
{
	struct setting s = set_up(NULL);
	int calls = 0;
	pool_on_tick(s.pool, note_call, &calls);
	nova_pool_tick(s.pool);
	nova_pool_tick(s.pool);
	pool_on_tick(s.pool, NULL, NULL);
	nova_pool_tick(s.pool);
	ck_assert_int_eq(calls, 2);
	tear_down(&s);
}
END_TEST

/* --- numbers --- */

START_TEST(all_counters_come_at_once_and_no_more_than_there_is_room_for)
{
	struct setting s = set_up(NULL);
	uint64_t values[POOL_COUNTERS + 1] = { [POOL_COUNTERS] = 77 };
	nova_vm_t *vm = take(&s, "f");
	ck_assert_int_eq(nova_pool_stats(s.pool, values, ARRAY_LEN(values)), (int)POOL_COUNTERS);
	ck_assert_uint_eq(values[NOVA_POOL_BUSY], 1);
	ck_assert_uint_eq(values[NOVA_POOL_BOOTS], 1);
	ck_assert_uint_eq(values[NOVA_POOL_MEMORY_MB], 128);
	ck_assert_uint_eq(values[POOL_COUNTERS], 77);
	values[1] = 77;
	ck_assert_int_eq(nova_pool_stats(s.pool, values, 1), (int)POOL_COUNTERS);
	ck_assert_uint_eq(values[1], 77);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(each_latency_has_its_bucket_and_percentiles_are_found)
{
	struct setting s = set_up(NULL);
	uint64_t limits_us[LATENCY_BUCKETS], counts[LATENCY_BUCKETS], total = 0;
	ck_assert_uint_eq(nova_pool_percentile_us(s.pool, NOVA_POOL_LATENCY_WARM, 50), 0);
	ck_assert_int_eq(nova_pool_histogram(
				 s.pool, NOVA_POOL_LATENCY_WARM, limits_us, NULL, LATENCY_BUCKETS),
		(int)LATENCY_BUCKETS);
	for (size_t i = 1; i < LATENCY_BUCKETS; i++) {
		ck_assert_uint_gt(limits_us[i], limits_us[i - 1]);
		if (i >= 8 && i < LATENCY_BUCKETS - 1)
			ck_assert_uint_le(
				(limits_us[i] - limits_us[i - 1]) * 8, limits_us[i - 1] + 1);
	}
	ck_assert_uint_eq(limits_us[LATENCY_BUCKETS - 1], UINT64_MAX);
	ck_assert_uint_gt(limits_us[LATENCY_BUCKETS - 2], 10000000);
	for (uint64_t us = 1; us < 100000000; us = us * 3 / 2 + 1) {
		memset(s.pool->latency, 0, sizeof(s.pool->latency));
		latency_note(s.pool, NOVA_POOL_LATENCY_WARM, clock_ns() - us * 1000);
		uint64_t told = nova_pool_percentile_us(s.pool, NOVA_POOL_LATENCY_WARM, 50);
		if (us < limits_us[LATENCY_BUCKETS - 2])
			ck_assert_uint_ge(told, us);
		nova_pool_histogram(s.pool, NOVA_POOL_LATENCY_WARM, NULL, counts, LATENCY_BUCKETS);
		size_t at = 0;
		while (!counts[at])
			at++;
		ck_assert_uint_ge(limits_us[at], us);
		/* not far above, though the clock goes on */
		ck_assert(at == 0 || limits_us[at - 1] <= us * 2 + 1000);
	}
	memset(s.pool->latency, 0, sizeof(s.pool->latency));
	for (int i = 0; i < 5; i++)
		nova_pool_release(s.pool, take(&s, "f"), 1);
	nova_pool_histogram(s.pool, NOVA_POOL_LATENCY_WARM, NULL, counts, LATENCY_BUCKETS);
	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		total += counts[i];
	ck_assert_uint_eq(total, 4);
	ck_assert_uint_ge(nova_pool_percentile_us(s.pool, NOVA_POOL_LATENCY_WARM, 100),
		nova_pool_percentile_us(s.pool, NOVA_POOL_LATENCY_WARM, 1));
	tear_down(&s);
}
END_TEST

START_TEST(ten_thousand_kinds_are_told_apart_and_forgotten)
{
	nova_pool_opts o = limits(10000, 0);
	struct setting s = set_up(&o);
	doubles.available_mb = 10000000; /* nobody waits for the host */
	static nova_vm_t *vms[10000];
	char key[16];
	for (size_t i = 0; i < ARRAY_LEN(vms); i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		vms[i] = take(&s, key);
	}
	for (size_t i = 0; i < ARRAY_LEN(vms); i++)
		nova_pool_release(s.pool, vms[i], 1);
	for (size_t i = 0; i < ARRAY_LEN(vms); i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		ck_assert_ptr_eq(take(&s, key), vms[i]);
		nova_pool_release(s.pool, vms[i], 1);
		nova_pool_forget(s.pool, key);
	}
	ck_assert_int_eq(doubles.starts, 10000);
	ck_assert_uint_eq(s.pool->groups.count, 0);
	tear_down(&s);
}
END_TEST

TCase *idle_cases(void)
{
	TCase *tc = tcase_create("idle");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_vm_that_waits_is_paused_and_resumed_for_its_next_caller);
	tcase_add_loop_test(tc, a_vm_that_dies_while_it_waits_is_replaced_unseen, 0, 2);
	tcase_add_test(tc, a_vm_that_dies_as_it_wakes_is_replaced_unseen);
	tcase_add_test(tc, a_vm_that_comes_back_dead_or_is_discarded_is_ended);
	tcase_add_test(tc, a_vm_is_ended_when_its_time_is_over);
	tcase_add_test(tc, a_vm_may_wait_for_ever);
	tcase_add_test(tc, a_forgotten_kind_is_ended_now_or_when_it_comes_back);
	tcase_add_test(tc, others_can_use_the_pool_while_vmms_of_a_forgotten_kind_end);
	tcase_add_test(tc, kept_vms_are_started_replaced_and_not_ended_by_age_or_for_others);
	tcase_add_test(tc, a_kept_vm_that_died_while_it_waited_is_replaced_by_a_tick);
	tcase_add_test(tc, more_than_the_pool_may_hold_cannot_be_kept);
	tcase_add_test(tc, what_is_kept_cannot_be_interrupted);
	tcase_add_test(tc, a_kept_vm_that_cannot_be_started_is_tried_again_later);
	tcase_add_test(tc, fresh_vms_are_kept_for_callers_who_want_one);
	tcase_add_test(tc, the_descriptor_is_readable_when_a_tick_has_something_to_do);
	tcase_add_test(tc, where_somebody_ticks_who_gives_a_vm_back_does_not_wait_for_its_end);
	tcase_add_test(tc, who_needs_the_room_of_one_that_leaves_does_not_wait_for_a_tick);
	tcase_add_test(tc, a_pool_with_a_thread_needs_no_ticks);
	tcase_add_test(tc, the_hook_is_called_at_each_tick);
	tcase_add_test(tc, all_counters_come_at_once_and_no_more_than_there_is_room_for);
	tcase_add_test(tc, each_latency_has_its_bucket_and_percentiles_are_found);
	tcase_add_test(tc, ten_thousand_kinds_are_told_apart_and_forgotten);
	return tc;
}
