/* SPDX-License-Identifier: MIT */
/* VMs are held back while the host is short of memory; it has as much as a test says. */
#include "pool_double.h"

/* Looked at anew each time, so that a test need not wait. */
static void set_host(struct setting *s, uint64_t available_mb, uint32_t pressure)
{
	__atomic_store_n(&doubles.available_mb, available_mb, __ATOMIC_SEQ_CST);
	__atomic_store_n(&doubles.pressure, pressure, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&s->pool->lock);
	s->pool->look_at = 0;
	pthread_mutex_unlock(&s->pool->lock);
}

/* Of 4000 MB, of which a pool leaves 5 per cent free. */
static struct setting set_up_host(uint64_t available_mb, uint32_t queue_timeout_ms)
{
	nova_pool_opts o = limits(10, queue_timeout_ms);
	struct setting s = set_up(&o);
	set_host(&s, available_mb, 0);
	return s;
}

START_TEST(a_start_is_refused_when_the_host_has_too_little_memory_for_too_long)
{
	struct setting s = set_up_host(320, 1);
	nova_vm_t *none = NULL;
	nova_pool_want want = want_of("f");
	ck_fails_with(NOVA_ELIMIT,
		"320 MB are available, of which 200 are kept free and 0 are for microVMs that have "
		"just started, and 128 are needed (settings pool.min_free, pool.queue_timeout)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_HELD_BACK), 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_TIMEOUTS), 1);
	set_host(&s, 328, 0);
	nova_pool_release(s.pool, take(&s, "f"), 1);
	tear_down(&s);
}
END_TEST

START_TEST(who_waits_for_the_host_goes_on_when_it_has_memory_again)
{
	struct setting s = set_up_host(100, 0);
	struct caller first = { 0 }, second = { 0 };
	caller_start(&s, &first, "f");
	await_count(s.pool, NOVA_POOL_HELD_BACK, 1);
	caller_start(&s, &second, "g");
	await_count(s.pool, NOVA_POOL_WAITING, 2);
	set_host(&s, 4000, 0);
	caller_return(&first);
	caller_return(&second);
	tear_down(&s);
}
END_TEST

START_TEST(who_waits_for_the_pool_does_not_look_at_a_host_that_was_short)
{
	nova_pool_opts o = limits(10, 1);
	o.max_memory_mb = 300;
	struct setting s = set_up(&o);
	nova_vm_t *vm = take(&s, "a"), *none = NULL;
	nova_vm_opts large = NOVA_VM_OPTS_INIT;
	nova_pool_want want = want_of("b");
	set_host(&s, 0, 0);
	ck_fails_with(NOVA_ELIMIT, "short of memory",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	large.memory_mb = 256;
	want.vm = &large;
	want.key = "large";
	ck_fails_with(NOVA_ELIMIT, "no guest memory came free",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_running_vm_is_used_whatever_the_host_has)
{
	struct setting s = set_up_host(4000, 1);
	nova_vm_t *vm = take(&s, "f");
	nova_pool_release(s.pool, vm, 1);
	set_host(&s, 0, 100);
	ck_assert_ptr_eq(take(&s, "f"), vm);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(idle_vms_end_before_a_start_waits_for_the_host)
{
	struct setting s = set_up_host(4000, 1);
	nova_vm_t *idle[3];
	for (size_t i = 0; i < ARRAY_LEN(idle); i++)
		idle[i] = take(&s, (char[]){ (char)('a' + i), 0 });
	for (size_t i = 0; i < ARRAY_LEN(idle); i++)
		nova_pool_release(s.pool, idle[i], 1);
	/* the end of one gives back as much as is needed */
	doubles.given_back_mb = 128;
	set_host(&s, 200, 0);
	nova_vm_t *vm = take(&s, "other");
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_EVICTED), 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 2);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(vms_that_have_just_started_count_with_all_their_memory_until_they_are_back)
{
	struct setting s = set_up_host(600, 1);
	nova_vm_t *a = take(&s, "a"), *b = take(&s, "b"), *c = take(&s, "c"), *none = NULL;
	nova_pool_want want = want_of("d");
	ck_fails_with(NOVA_ELIMIT, "384 are for microVMs that have just started",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	nova_pool_release(s.pool, a, 1);
	nova_vm_t *d = take(&s, "d");
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_EVICTED), 0);
	nova_pool_release(s.pool, b, 1);
	nova_pool_release(s.pool, c, 0);
	nova_pool_release(s.pool, d, 1);
	ck_assert_uint_eq(s.pool->young_mb, 0);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_that_is_used_for_long_counts_with_what_it_has_taken)
{
	struct setting s = set_up_host(400, 1);
	nova_vm_t *a = take(&s, "a"), *none = NULL;
	nova_pool_want want = want_of("b");
	ck_fails_with(NOVA_ELIMIT, "128 are for microVMs",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	pthread_mutex_lock(&s.pool->lock);
	slot_of_vm(s.pool, a)->young_until = 0;
	pthread_mutex_unlock(&s.pool->lock);
	nova_pool_release(s.pool, take(&s, "b"), 1);
	nova_pool_release(s.pool, a, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_start_that_fails_gives_its_memory_back)
{
	struct setting s = set_up_host(400, 1);
	nova_vm_t *none = NULL;
	nova_pool_want want = want_of("f");
	doubles.failing = 1;
	ck_fails_with(
		NOVA_EAGENT, "told to fail", nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	doubles.failing = 0;
	nova_pool_release(s.pool, take(&s, "g"), 1);
	tear_down(&s);
}
END_TEST

START_TEST(programs_that_wait_for_memory_hold_starts_back_but_for_the_only_vm)
{
	struct setting s = set_up_host(4000, 1);
	set_host(&s, 4000, 21);
	nova_vm_t *only = take(&s, "a"), *none = NULL;
	nova_pool_want want = want_of("b");
	ck_fails_with(NOVA_ELIMIT,
		"its programs wait for it 21 % of the time (settings pool.max_pressure, "
		"pool.queue_timeout)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	set_host(&s, 4000, 20);
	nova_pool_release(s.pool, take(&s, "b"), 1);
	nova_pool_release(s.pool, only, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_kept_vm_waits_for_the_host_too)
{
	struct setting s = set_up_host(0, 1);
	nova_pool_want want = want_of("f");
	ck_ok(nova_pool_keep(s.pool, &want, 1, &error));
	nova_pool_tick(s.pool);
	ck_assert_int_eq(doubles.starts, 0);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_HELD_BACK), 1);
	ck_ok(nova_pool_keep(s.pool, &want, 0, &error));
	tear_down(&s);
}
END_TEST

START_TEST(without_a_limit_a_pool_has_room_for_what_the_host_has)
{
	nova_pool_opts o = limits(0, 1);
	struct setting s = set_up(&o);
	uint64_t fit[NOVA_CAPACITY_PROCESSORS + 1], least = 100000;
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_MOST_VMS), 0);
	nova_pool_release(s.pool, take(&s, "f"), 1);
	ck_assert_int_eq(nova_host_capacity(s.host, fit, ARRAY_LEN(fit)), (int)ARRAY_LEN(fit));
	for (size_t i = 0; i < ARRAY_LEN(fit); i++)
		least = fit[i] < least ? fit[i] : least;
	ck_assert_uint_gt(pool_counter(s.pool, NOVA_POOL_MOST_VMS), 0);
	/* processes of others come and go */
	ck_assert_uint_le(pool_counter(s.pool, NOVA_POOL_MOST_VMS),
		least + fit[NOVA_CAPACITY_PROCESSES] / 10 + 1);
	ck_assert_int_eq(nova_host_capacity(NULL, fit, 1), NOVA_EINVAL);
	ck_assert_int_eq(nova_host_capacity(s.host, NULL, 1), NOVA_EINVAL);
	tear_down(&s);
}
END_TEST

TCase *shortage_cases(void)
{
	TCase *cases = tcase_create("shortage");
	tcase_add_test(cases, a_start_is_refused_when_the_host_has_too_little_memory_for_too_long);
	tcase_add_test(cases, who_waits_for_the_host_goes_on_when_it_has_memory_again);
	tcase_add_test(cases, who_waits_for_the_pool_does_not_look_at_a_host_that_was_short);
	tcase_add_test(cases, a_running_vm_is_used_whatever_the_host_has);
	tcase_add_test(cases, idle_vms_end_before_a_start_waits_for_the_host);
	tcase_add_test(
		cases, vms_that_have_just_started_count_with_all_their_memory_until_they_are_back);
	tcase_add_test(cases, a_vm_that_is_used_for_long_counts_with_what_it_has_taken);
	tcase_add_test(cases, a_start_that_fails_gives_its_memory_back);
	tcase_add_test(cases, programs_that_wait_for_memory_hold_starts_back_but_for_the_only_vm);
	tcase_add_test(cases, a_kept_vm_waits_for_the_host_too);
	tcase_add_test(cases, without_a_limit_a_pool_has_room_for_what_the_host_has);
	return cases;
}
