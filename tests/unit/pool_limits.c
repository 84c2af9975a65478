/* SPDX-License-Identifier: MIT */
/* What the pool refuses and in which words, sharing, fresh VMs, and a process that forks. */
#include <sys/wait.h>

#include "pool_double.h"

START_TEST(the_limit_on_vms_is_named_when_the_wait_for_one_is_over)
{
	nova_pool_opts o = limits(1, 1);
	struct setting s = set_up(&o);
	nova_vm_t *vm = take(&s, "a"), *none = NULL;
	nova_pool_want want = want_of("b");
	ck_fails_with(NOVA_ELIMIT,
		"1 of at most 1 are alive (settings pool.max_vms, pool.queue_timeout)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	want.queue_timeout_ms = 2;
	ck_fails_with(
		NOVA_ELIMIT, "in 2 ms", nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_TIMEOUTS), 2);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(the_limit_on_memory_is_named_when_the_wait_for_it_is_over)
{
	nova_pool_opts o = limits(10, 1);
	o.max_memory_mb = 300;
	struct setting s = set_up(&o);
	nova_vm_t *vm = take(&s, "a"), *none = NULL;
	nova_vm_opts large = NOVA_VM_OPTS_INIT;
	nova_pool_want want = want_of("b");
	large.memory_mb = 256;
	want.vm = &large;
	ck_fails_with(NOVA_ELIMIT,
		"128 of at most 300 MB are in use, and 256 are needed (settings pool.max_memory, "
		"pool.queue_timeout)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_MEMORY_MB), 128);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_larger_than_all_memory_is_refused_at_once)
{
	nova_pool_opts o = limits(10, 3600000);
	o.max_memory_mb = 100;
	struct setting s = set_up(&o);
	nova_vm_t *none = NULL;
	nova_pool_want want = want_of("f");
	ck_fails_with(NOVA_ELIMIT,
		"a microVM of 128 MB is larger than all microVMs together may be: 100 MB (setting "
		"pool.max_memory)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_TOO_LARGE), 1);
	tear_down(&s);
}
END_TEST

START_TEST(as_many_idle_vms_make_place_as_a_large_one_needs)
{
	nova_pool_opts o = limits(10, 0);
	o.max_memory_mb = 512;
	struct setting s = set_up(&o);
	nova_vm_opts large = NOVA_VM_OPTS_INIT;
	nova_pool_want want = want_of("large");
	nova_vm_t *small[4], *vm;
	for (size_t i = 0; i < ARRAY_LEN(small); i++)
		small[i] = take(&s, (char[]){ (char)('a' + i), 0 });
	for (size_t i = 0; i < ARRAY_LEN(small); i++)
		nova_pool_release(s.pool, small[i], 1);
	large.memory_mb = 300;
	want.vm = &large;
	ck_ok(nova_pool_acquire(s.pool, &want, &vm, NULL, &error));
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_EVICTED), 3);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_MEMORY_MB), 428);
	ck_assert_int_le(doubles.most_memory, 512);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_full_queue_is_named_and_leaves_those_who_wait_alone)
{
	nova_pool_opts o = limits(1, 0);
	o.max_queue = 2;
	struct setting s = set_up(&o);
	struct caller waiting[2] = { { 0 } };
	nova_vm_t *vm = take(&s, "f"), *none = NULL;
	nova_pool_want want = want_of("g");
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		caller_start(&s, &waiting[i], "f");
		await_count(s.pool, NOVA_POOL_WAITING, i + 1);
	}
	ck_fails_with(NOVA_ELIMIT,
		"2 callers wait for a microVM already, and no more may (setting pool.max_queue)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_QUEUE_FULL), 1);
	nova_pool_release(s.pool, vm, 1);
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
		caller_end(&waiting[i]);
		ck_assert_int_eq(waiting[i].code, 0);
	}
	tear_down(&s);
}
END_TEST

START_TEST(a_wait_for_a_start_that_takes_too_long_says_so)
{
	nova_pool_opts o = limits(4, 0);
	struct setting s = set_up(&o);
	struct caller first = { 0 };
	nova_vm_t *none = NULL;
	nova_pool_want want = want_of("f");
	doubles.gate = 1;
	caller_start(&s, &first, "f");
	await_int(&doubles.starts, 1);
	want.queue_timeout_ms = 1;
	ck_fails_with(NOVA_ELIMIT, "one is still being started (setting pool.queue_timeout)",
		nova_pool_acquire(s.pool, &want, &none, NULL, &error));
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	caller_end(&first);
	ck_assert_int_eq(first.code, 0);
	tear_down(&s);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
	struct setting s = set_up(NULL);
	nova_pool_opts o = NOVA_POOL_OPTS_INIT;
	nova_pool_want want = want_of("");
	nova_pool_t *pool;
	nova_vm_t *vm;
	o.flags = 2;
	ck_fails(NOVA_EINVAL, nova_pool_new(s.host, &o, &pool, &error));
	ck_fails(NOVA_EINVAL, nova_pool_acquire(s.pool, &want, &vm, NULL, &error));
	want = want_of("f");
	want.flags = 2;
	ck_fails(NOVA_EINVAL, nova_pool_acquire(s.pool, &want, &vm, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_pool_keep(s.pool, &want, 1, &error));
	ck_fails(NOVA_EINVAL, nova_pool_acquire(NULL, &want, &vm, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_pool_drain(NULL, 0, &error));
	ck_assert_int_eq(nova_pool_fd(NULL), NOVA_EINVAL);
	ck_assert_int_eq(nova_pool_stats(s.pool, NULL, 0), NOVA_EINVAL);
	ck_assert_int_eq(nova_pool_histogram(s.pool, 4, NULL, NULL, 0), NOVA_EINVAL);
	nova_pool_release(s.pool, NULL, 1);
	nova_pool_forget(s.pool, "nobody");
	tear_down(&s);
}
END_TEST

/* --- sharing and fresh ones --- */

static nova_vm_t *take_shared(struct setting *s, uint32_t concurrency)
{
	nova_vm_t *vm;
	nova_pool_want want = want_of("f");
	want.concurrency = concurrency;
	ck_ok(nova_pool_acquire(s->pool, &want, &vm, NULL, &error));
	return vm;
}

START_TEST(a_vm_is_shared_by_as_many_callers_as_may)
{
	nova_pool_opts o = limits(2, 0);
	struct setting s = set_up(&o);
	nova_vm_t *vm = take_shared(&s, 3);
	ck_assert_ptr_eq(take_shared(&s, 3), vm);
	ck_assert_ptr_eq(take_shared(&s, 3), vm);
	nova_vm_t *other = take_shared(&s, 3);
	ck_assert_ptr_ne(other, vm);
	nova_pool_release(s.pool, vm, 1);
	ck_assert_ptr_eq(take_shared(&s, 3), other); /* which was first to have room */
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_SHARED), 3);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_BUSY), 2);
	for (int i = 0; i < 2; i++) {
		nova_pool_release(s.pool, vm, 1);
		nova_pool_release(s.pool, other, 1);
	}
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 2);
	tear_down(&s);
}
END_TEST

START_TEST(a_shared_vm_that_one_of_them_discards_takes_no_more_callers)
{
	nova_pool_opts o = limits(2, 0);
	struct setting s = set_up(&o);
	nova_vm_t *vm = take_shared(&s, 3);
	ck_assert_ptr_eq(take_shared(&s, 3), vm);
	nova_pool_release(s.pool, vm, 0);
	ck_assert_int_eq(doubles.alive, 1); /* the other one still has it */
	nova_vm_t *other = take_shared(&s, 3);
	ck_assert_ptr_ne(other, vm);
	nova_pool_release(s.pool, vm, 1);
	ck_assert_int_eq(doubles.alive, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_DISCARDED), 1);
	nova_pool_release(s.pool, other, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_shared_vm_that_has_died_takes_no_more_callers)
{
	nova_pool_opts o = limits(2, 0);
	struct setting s = set_up(&o);
	nova_vm_t *vm = take_shared(&s, 3);
	kill_double(vm);
	nova_vm_t *other = take_shared(&s, 3);
	ck_assert_ptr_ne(other, vm);
	nova_pool_release(s.pool, vm, 1);
	ck_assert_int_eq(doubles.alive, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_SHARED), 0);
	nova_pool_release(s.pool, other, 1);
	tear_down(&s);
}
END_TEST

START_TEST(who_waits_for_a_shared_vm_gets_the_place_that_comes_free)
{
	struct setting s = set_up(NULL);
	struct caller waiting = { .want = want_of("f") };
	nova_vm_t *vm = take_shared(&s, 2);
	ck_assert_ptr_eq(take_shared(&s, 2), vm);
	waiting.want.concurrency = 2;
	caller_start(&s, &waiting, "f");
	await_count(s.pool, NOVA_POOL_WAITING, 1);
	nova_pool_release(s.pool, vm, 1);
	caller_end(&waiting);
	ck_assert_int_eq(waiting.code, 0);
	ck_assert_ptr_eq(waiting.vm, vm);
	nova_pool_release(s.pool, vm, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_fresh_vm_is_used_once_and_by_nobody_else)
{
	nova_pool_opts o = limits(4, 0);
	struct setting s = set_up(&o);
	nova_pool_want want = want_of("f");
	nova_vm_t *vm;
	int cold;
	nova_pool_release(s.pool, take(&s, "f"), 1);
	want.flags = NOVA_POOL_FRESH;
	want.concurrency = 5; /* means nothing then */
	for (int i = 0; i < 3; i++) {
		ck_ok(nova_pool_acquire(s.pool, &want, &vm, &cold, &error));
		ck_assert_int_eq(cold, 1);
		nova_pool_release(s.pool, vm, 1);
		ck_assert_int_eq(doubles.alive, 1);
	}
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	ck_assert_int_eq(doubles.starts, 4);
	tear_down(&s);
}
END_TEST

START_TEST(fresh_vms_start_side_by_side_once_one_has_started)
{
	nova_pool_opts o = limits(4, 0);
	struct setting s = set_up(&o);
	struct caller callers[6] = { { 0 } };
	for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
		callers[i].want = want_of("f");
		callers[i].want.flags = NOVA_POOL_FRESH;
		callers[i].keeps = i == 0;
	}
	caller_start(&s, &callers[0], "f");
	caller_end(&callers[0]);
	doubles.gate = 1;
	for (size_t i = 1; i < ARRAY_LEN(callers); i++)
		caller_start(&s, &callers[i], "f");
	await_int(&doubles.starts, 4); /* at once: the first is still out */
	await_count(s.pool, NOVA_POOL_WAITING, 2);
	__atomic_store_n(&doubles.gate, 0, __ATOMIC_SEQ_CST);
	for (size_t i = 1; i < ARRAY_LEN(callers); i++) {
		caller_end(&callers[i]);
		ck_assert_int_eq(callers[i].cold, 1);
	}
	nova_pool_release(s.pool, callers[0].vm, 1);
	ck_assert_int_eq(doubles.most_alive, 4);
	ck_assert_int_eq(doubles.alive, 0);
	tear_down(&s);
}
END_TEST

/* --- fork --- */

static bool is_left_alone(struct setting *s, nova_vm_t *vm)
{
	nova_vm_t *none;
	nova_pool_want want = want_of("f");
	uint64_t values[4];
	if (nova_pool_acquire(s->pool, &want, &none, NULL, NULL) != NOVA_EBUSY ||
		nova_pool_keep(s->pool, &want, 1, NULL) != NOVA_EBUSY ||
		nova_pool_drain(s->pool, 0, NULL) != NOVA_EBUSY ||
		nova_pool_fd(s->pool) != NOVA_EBUSY || nova_pool_tick(s->pool) != -1 ||
		nova_pool_stats(s->pool, values, 4) != NOVA_EBUSY)
		return false;
	nova_pool_forget(s->pool, "f");
	nova_pool_release(s->pool, vm, 0);
	nova_pool_free(s->pool);
	return doubles.alive == 1 && doubles.starts == 1;
}

START_TEST(a_child_made_by_fork_is_refused_and_harms_nothing)
{
	struct setting s = set_up(NULL);
	nova_vm_t *vm = take(&s, "f");
	int status;
	pthread_mutex_lock(&s.pool->lock); /* as another thread of the parent may have done */
	pid_t pid = fork();
	if (pid == 0)
		_exit(is_left_alone(&s, vm) ? 0 : 1);
	pthread_mutex_unlock(&s.pool->lock);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	nova_pool_release(s.pool, vm, 1);
	ck_assert_uint_eq(pool_counter(s.pool, NOVA_POOL_IDLE), 1);
	tear_down(&s);
}
END_TEST

TCase *limit_cases(void)
{
	TCase *tc = tcase_create("limits");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_limit_on_vms_is_named_when_the_wait_for_one_is_over);
	tcase_add_test(tc, the_limit_on_memory_is_named_when_the_wait_for_it_is_over);
	tcase_add_test(tc, a_vm_larger_than_all_memory_is_refused_at_once);
	tcase_add_test(tc, as_many_idle_vms_make_place_as_a_large_one_needs);
	tcase_add_test(tc, a_full_queue_is_named_and_leaves_those_who_wait_alone);
	tcase_add_test(tc, a_wait_for_a_start_that_takes_too_long_says_so);
	tcase_add_test(tc, wrong_options_are_refused);
	tcase_add_test(tc, a_vm_is_shared_by_as_many_callers_as_may);
	tcase_add_test(tc, a_shared_vm_that_one_of_them_discards_takes_no_more_callers);
	tcase_add_test(tc, a_shared_vm_that_has_died_takes_no_more_callers);
	tcase_add_test(tc, who_waits_for_a_shared_vm_gets_the_place_that_comes_free);
	tcase_add_test(tc, a_fresh_vm_is_used_once_and_by_nobody_else);
	tcase_add_test(tc, fresh_vms_start_side_by_side_once_one_has_started);
	tcase_add_test(tc, a_child_made_by_fork_is_refused_and_harms_nothing);
	return tc;
}
