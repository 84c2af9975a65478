/* SPDX-License-Identifier: MIT */
/* Who gets a VM, and when: order, fairness, one start for many, cancelling, draining. */
#include "pool_double.h"

START_TEST(callers_of_one_kind_are_served_in_the_order_in_which_they_came)
{
	struct setting s = set_up(NULL);
	struct caller callers[10] = { { 0 } };
	int order = 0;
	nova_vm_t *vm = take(&s, "f");
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		callers[i].order = &order;
		caller_start(&s, &callers[i], "f");
		await_count(s.pool, NOVA_POOL_WAITING, i + 1);
	}
	nova_pool_release(s.pool, vm, 1);
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		caller_end(&callers[i]);
		ck_assert_int_eq(callers[i].code, 0);
		ck_assert_int_eq(callers[i].place, (int)i);
		ck_assert_int_eq(callers[i].cold, 0);
	}
	ck_assert_int_eq(doubles.starts, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_WAITS), 10);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_HITS), 10);
	tear_down(&s);
}
END_TEST

START_TEST(two_hundred_callers_of_a_cold_function_cost_one_start_and_no_error)
{
	nova_pool_opts o = limits(1, 0);
	struct setting s = set_up(&o);
	static struct caller callers[200];
	memset(callers, 0, sizeof(callers));
	doubles.gate = 1;
	for (size_t i = 0; i < ARRAY_LEN(callers); i++)
		caller_start(&s, &callers[i], "f");
	await_count(s.pool, NOVA_POOL_WAITING, 199);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_STARTING), 1);
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	int cold = 0;
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		caller_end(&callers[i]);
		ck_assert_msg(callers[i].code == 0, "%s", callers[i].text);
		cold += callers[i].cold;
	}
	ck_assert_int_eq(cold, 1);
	ck_assert_int_eq(doubles.starts, 1);
	tear_down(&s);
}
END_TEST

/* The first in the queue is woken to wait for the end of its patience, and gets to it only when
 * that is over. */
START_TEST(who_comes_too_late_to_wait_for_a_vm_to_come_back_has_one_started_at_once)
{
	nova_pool_opts o = limits(2, 5000);
	struct setting s = set_up(&o);
	struct caller late = { 0 };
	nova_vm_t *vm = take(&s, "f");
	pthread_mutex_lock(&s.pool->lock);
	struct group *g = group_get(s.pool, "f", false, false);
	g->reuse_until = clock_ns() + 3600000000000u;
	pthread_mutex_unlock(&s.pool->lock);
	caller_start(&s, &late, "f");
	await_count(s.pool, NOVA_POOL_WAITING, 1);
	pthread_mutex_lock(&s.pool->lock);
	g->reuse_until = clock_ns();
	sleeper_wake(&CONTAINER_OF(g->tickets.next, struct ticket, link)->wake);
	pthread_mutex_unlock(&s.pool->lock);
	caller_end(&late);
	ck_assert_msg(late.code == 0, "%s", late.text);
	ck_assert_int_eq(doubles.starts, 2);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_start_that_fails_fails_once_for_all_who_waited_for_it)
{
	nova_pool_opts o = limits(16, 0);
	struct setting s = set_up(&o);
	static struct caller callers[50];
	doubles.gate = doubles.failing = 1;
	for (size_t i = 0; i < ARRAY_LEN(callers); i++)
		caller_start(&s, &callers[i], "f");
	await_count(s.pool, NOVA_POOL_WAITING, 49);
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		caller_end(&callers[i]);
		ck_assert_int_eq(callers[i].code, NOVA_EAGENT);
		ck_assert_str_eq(callers[i].text, "the double was told to fail");
	}
	ck_assert_int_eq(doubles.starts, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_START_FAILURES), 1);
	doubles.failing = 0;
	nova_pool_release(s.pool, take(&s, "f"), 1); /* the next one tries anew */
	tear_down(&s);
}
END_TEST

START_TEST(a_kind_without_a_vm_gets_the_room_of_one_that_has_had_its_turn)
{
	struct setting s = set_up(NULL);
	struct caller same[5] = { { 0 } }, other = { 0 };
	int order = 0;
	nova_vm_t *vm = take(&s, "a");
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		same[i].order = &order;
		caller_start(&s, &same[i], "a");
		await_count(s.pool, NOVA_POOL_WAITING, i + 1);
	}
	other.order = &order;
	caller_start(&s, &other, "b");
	await_count(s.pool, NOVA_POOL_WAITING, 6);
	end_turn(&s, vm);
	nova_pool_release(s.pool, vm, 1);
	caller_end(&other);
	ck_assert_int_eq(other.code, 0);
	ck_assert_int_eq(other.place, 0);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		caller_end(&same[i]);
	ck_assert_int_eq(doubles.most_alive, 1);
	ck_assert_uint_ge(pool_counter(s.pool, NOVA_POOL_EVICTED), 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_kind_keeps_its_vm_for_its_turn_while_others_wait)
{
	struct setting s = set_up(NULL);
	struct caller same = { 0 }, other = { 0 };
	int order = 0;
	nova_vm_t *vm = take(&s, "a");
	pthread_mutex_lock(&s.pool->lock);
	slot_of_vm(s.pool, vm)->turn_ends = NEVER;
	pthread_mutex_unlock(&s.pool->lock);
	other.order = same.order = &order;
	caller_start(&s, &other, "b");
	await_count(s.pool, NOVA_POOL_WAITING, 1);
	caller_start(&s, &same, "a");
	await_count(s.pool, NOVA_POOL_WAITING, 2);
	nova_pool_release(s.pool, vm, 1);
	caller_end(&same);
	caller_end(&other); /* nobody wants the other any more */
	ck_assert_int_eq(same.place, 0);
	ck_assert_int_eq(same.cold, 0);
	ck_assert_int_eq(other.code, 0);
	tear_down(&s);
}
END_TEST

struct steady {
	struct setting *s;
	pthread_t thread;
	char key[8];
	int code;
};

#define CALLS 20

static void *call_steadily(void *argument)
{
	struct steady *c = argument;
	for (int i = 0; c->code == 0 && i < CALLS; i++) {
		nova_vm_t *vm;
		nova_pool_want want = want_of(c->key);
		c->code = nova_pool_acquire(c->s->pool, &want, &vm, NULL, NULL);
		if (c->code == 0)
			nova_pool_release(c->s->pool, vm, 1);
	}
	return NULL;
}

START_TEST(fifty_functions_on_a_pool_of_twenty_all_make_progress)
{
	nova_pool_opts o = limits(20, 0);
	struct setting s = set_up(&o);
	struct steady callers[100];
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		callers[i] = (struct steady){ .s = &s };
		snprintf(callers[i].key, sizeof(callers[i].key), "f%zu", i % 50);
		ck_assert_int_eq(
			pthread_create(&callers[i].thread, NULL, call_steadily, &callers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		pthread_join(callers[i].thread, NULL);
		ck_assert_int_eq(callers[i].code, 0);
	}
	ck_assert_int_le(doubles.most_alive, 20);
	ck_assert_uint_eq(
		pool_counter(s.pool, NOVA_POOL_HITS) + pool_counter(s.pool, NOVA_POOL_MISSES),
		100 * CALLS);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_WAITING), 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_BUSY), 0);
	tear_down(&s);
}
END_TEST

/* --- cancelling --- */

START_TEST(a_call_that_is_canceled_before_it_waits_gets_nothing)
{
	struct setting s = set_up(NULL);
	nova_pool_want want = want_of("f");
	nova_vm_t *vm = NULL;
	ck_ok(nova_interrupt_new(&want.interrupt, &error));
	nova_interrupt_trigger(want.interrupt);
	ck_fails_with(
		NOVA_ECANCELED, "cancelled", nova_pool_acquire(s.pool, &want, &vm, NULL, &error));
	nova_interrupt_free(want.interrupt);
	ck_assert_ptr_null(vm);
	ck_assert_int_eq(doubles.starts, 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_CANCELED), 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_call_that_is_canceled_while_it_waits_leaves_the_queue_at_once)
{
	struct setting s = set_up(NULL);
	struct caller callers[3] = { { 0 } };
	nova_vm_t *vm = take(&s, "f");
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		caller_start(&s, &callers[i], "f");
		await_count(s.pool, NOVA_POOL_WAITING, i + 1);
	}
	nova_interrupt_trigger(callers[1].want.interrupt);
	nova_interrupt_trigger(callers[1].want.interrupt);
	caller_end(&callers[1]); /* while the VM is still out */
	ck_assert_int_eq(callers[1].code, NOVA_ECANCELED);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_WAITING), 2);
	nova_pool_release(s.pool, vm, 1);
	caller_end(&callers[0]);
	caller_end(&callers[2]);
	ck_assert_int_eq(callers[0].code, 0);
	ck_assert_int_eq(callers[2].code, 0);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_whose_caller_is_canceled_while_it_starts_serves_the_next)
{
	struct setting s = set_up(NULL);
	struct caller first = { 0 }, second = { 0 };
	doubles.gate = 1;
	caller_start(&s, &first, "f");
	await_int(&doubles.starts, 1);
	caller_start(&s, &second, "f");
	await_count(s.pool, NOVA_POOL_WAITING, 1);
	nova_interrupt_trigger(first.want.interrupt);
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	caller_end(&first);
	caller_end(&second);
	ck_assert_int_eq(first.code, NOVA_ECANCELED);
	ck_assert_int_eq(second.code, 0);
	ck_assert_int_eq(second.cold, 0);
	ck_assert_int_eq(doubles.starts, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	tear_down(&s);
}
END_TEST

START_TEST(canceling_a_call_that_has_its_vm_changes_nothing)
{
	struct setting s = set_up(NULL);
	struct caller c = { .keeps = true };
	caller_start(&s, &c, "f");
	await_count(s.pool, NOVA_POOL_BUSY, 1);
	nova_interrupt_trigger(c.want.interrupt);
	caller_end(&c);
	ck_assert_int_eq(c.code, 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_BUSY), 1);
	nova_pool_release(s.pool, c.vm, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_CANCELED), 0);
	tear_down(&s);
}
END_TEST

/* --- draining --- */

struct drain {
	nova_pool_t *pool;
	pthread_t thread;
	int code;
};

static void *drain(void *argument)
{
	struct drain *d = argument;
	d->code = nova_pool_drain(d->pool, 60000, NULL);
	return NULL;
}

static bool is_draining(nova_pool_t *pool)
{
	pthread_mutex_lock(&pool->lock);
	bool yes = pool->draining;
	pthread_mutex_unlock(&pool->lock);
	return yes;
}

START_TEST(draining_lets_calls_under_way_finish_and_takes_no_new_ones)
{
	nova_pool_opts o = limits(2, 0);
	struct setting s = set_up(&o);
	struct drain d = { .pool = s.pool };
	struct caller waiting = { 0 };
	nova_vm_t *vm = take(&s, "f"), *idle = take(&s, "g"), *late;
	nova_pool_want want = want_of("f");
	doubles.gate = 1; /* so that nobody can start one for those who wait */
	caller_start(&s, &waiting, "f");
	await_count(s.pool, NOVA_POOL_WAITING, 1);
	nova_pool_release(s.pool, idle, 1);
	ck_assert_int_eq(pthread_create(&d.thread, NULL, drain, &d), 0);
	while (!is_draining(s.pool))
		sys_poll(NULL, 0, 1);
	ck_fails_with(
		NOVA_ECANCELED, "closing", nova_pool_acquire(s.pool, &want, &late, NULL, &error));
	nova_pool_release(s.pool, vm, 1);
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	caller_end(&waiting);
	ck_assert_msg(waiting.code == 0, "%s", waiting.text);
	pthread_join(d.thread, NULL);
	ck_assert_int_eq(d.code, 0);
	ck_assert_int_eq(doubles.alive, 0);
	tear_down(&s);
}
END_TEST

START_TEST(draining_gives_up_on_a_vm_that_stays_out_and_sends_away_who_waits)
{
	struct setting s = set_up(NULL);
	struct caller waiting = { 0 };
	nova_vm_t *vm = take(&s, "f");
	caller_start(&s, &waiting, "g");
	await_count(s.pool, NOVA_POOL_WAITING, 1);
	ck_fails_with(NOVA_ETIMEDOUT, "not given back", nova_pool_drain(s.pool, 1, &error));
	caller_end(&waiting);
	ck_assert_int_eq(waiting.code, NOVA_ECANCELED);
	nova_pool_release(s.pool, vm, 1);
	ck_assert_int_eq(doubles.alive, 0);
	ck_ok(nova_pool_drain(s.pool, 0, &error));
	tear_down(&s);
}
END_TEST

TCase *waiting_cases(void)
{
	TCase *tc = tcase_create("waiting");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, callers_of_one_kind_are_served_in_the_order_in_which_they_came);
	tcase_add_test(tc, two_hundred_callers_of_a_cold_function_cost_one_start_and_no_error);
	tcase_add_test(
		tc, who_comes_too_late_to_wait_for_a_vm_to_come_back_has_one_started_at_once);
	tcase_add_test(tc, a_start_that_fails_fails_once_for_all_who_waited_for_it);
	tcase_add_test(tc, a_kind_without_a_vm_gets_the_room_of_one_that_has_had_its_turn);
	tcase_add_test(tc, a_kind_keeps_its_vm_for_its_turn_while_others_wait);
	tcase_add_test(tc, fifty_functions_on_a_pool_of_twenty_all_make_progress);
	tcase_add_test(tc, a_call_that_is_canceled_before_it_waits_gets_nothing);
	tcase_add_test(tc, a_call_that_is_canceled_while_it_waits_leaves_the_queue_at_once);
	tcase_add_test(tc, a_vm_whose_caller_is_canceled_while_it_starts_serves_the_next);
	tcase_add_test(tc, canceling_a_call_that_has_its_vm_changes_nothing);
	tcase_add_test(tc, draining_lets_calls_under_way_finish_and_takes_no_new_ones);
	tcase_add_test(tc, draining_gives_up_on_a_vm_that_stays_out_and_sends_away_who_waits);
	return tc;
}
