/* SPDX-License-Identifier: MIT */
/* The life of a VM on a real VMM. */
#include <signal.h>

#include "real.h"

START_TEST(a_guest_boots_answers_and_stops)
{
	struct setting s = set_up(_i == 1, NULL);
	AUTO_FREE char *disk = code_disk(&s);
	nova_vm_t *vm = start(&s, disk);
	ck_assert_str_eq(nova_vm_engine(vm), engine);
	ck_ok(nova_vm_ping(vm, 60000, NULL, &error));
	for (unsigned i = 1; i <= 3; i++)
		is_call(vm, i);
	ck_assert_uint_eq(call(vm, "{}").streams, 1);
	ck_ok(nova_vm_stop(vm, 60000, NULL, &error));
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_paused_guest_goes_on_where_it_was)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	for (unsigned i = 2; i < 4; i++) {
		ck_ok(nova_vm_pause(vm, NULL, &error));
		ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_PAUSED);
		ck_ok(nova_vm_resume(vm, NULL, &error));
		is_call(vm, i);
	}
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_snapshot_is_restored_with_its_memory_and_again)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL), *restored, *again;
	nova_snapshot_t *snapshot, *second;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	is_call(vm, 1);
	ck_ok(nova_vm_snapshot(vm, &opts, &snapshot, &error));
	is_call(vm, 2);
	ck_ok(nova_vm_restore(s.host, snapshot, NULL, &restored, &error));
	is_call(restored, 2);
	is_call(restored, 3);
	ck_ok(nova_vm_snapshot(restored, &opts, &second, &error));
	ck_ok(nova_vm_restore(s.host, second, NULL, &again, &error));
	is_call(again, 4);
	is_call(restored, 4);
	is_call(vm, 3);
	nova_vm_free(vm);
	nova_vm_free(restored);
	nova_vm_free(again);
	nova_snapshot_free(snapshot);
	nova_snapshot_free(second);
	tear_down(&s);
}
END_TEST

START_TEST(children_go_on_from_their_instant_and_then_alone)
{
	struct setting s = set_up(_i == 1, NULL);
	AUTO_FREE char *disk = code_disk(&s);
	nova_vm_t *vm = start(&s, disk), *children[3];
	is_call(vm, 1);
	children[0] = fork_one(vm); /* of a booted VM */
	is_call(vm, 2);
	is_call(vm, 3);
	ck_ok(nova_vm_fork(vm, 2, NULL, children + 1, &error)); /* of a clone */
	is_call(vm, 4);
	is_call(children[0], 2);
	is_call(children[1], 4);
	is_call(children[2], 4);
	nova_vm_t *grandchild = fork_one(children[0]);
	is_call(grandchild, 3);
	is_call(children[0], 3);
	nova_vm_free(vm); /* they need it no more */
	is_call(children[0], 4);
	is_call(grandchild, 4);
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		nova_vm_free(children[i]);
	nova_vm_free(grandchild);
	tear_down(&s);
}
END_TEST

START_TEST(a_paused_guest_can_be_forked)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	ck_ok(nova_vm_pause(vm, NULL, &error));
	nova_vm_t *child = fork_one(vm);
	is_call(child, 2);
	ck_ok(nova_vm_resume(vm, NULL, &error));
	is_call(vm, 2);
	nova_vm_free(child);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_parked_process_becomes_a_child)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	is_call(vm, 1);
	ck_ok(nova_vm_park(vm, 2, 0, NULL, &error));
	nova_vm_t *child = fork_one(vm);
	is_call(child, 2);
	is_call(vm, 2);
	nova_vm_free(child);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- ends --- */

START_TEST(a_guest_whose_vmm_is_killed_is_lost_and_leaves_nothing)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	nova_result_t *result = NULL;
	is_call(vm, 1);
	int end = vmtest_pidfd((pid_t)nova_vm_pid(vm));
	ck_assert_int_eq(kill((pid_t)nova_vm_pid(vm), SIGKILL), 0);
	vmtest_await_end(end);
	ck_fails(NOVA_ELOST, nova_vm_invoke(vm, "{}", NULL, &result, &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_guest_that_ends_amid_a_call_is_lost)
{
	struct setting s = set_up(_i == 1, NULL);
	static const char *const ways[] = { "{\"end\":1}", "{\"fault\":1}" };
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		nova_vm_t *vm = start(&s, NULL);
		nova_result_t *result = NULL;
		ck_fails(NOVA_ELOST, nova_vm_invoke(vm, ways[i], NULL, &result, &error));
		ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
		nova_vm_free(vm);
	}
	tear_down(&s);
}
END_TEST

static void cancel_held(void *vm, int stream, const void *data, size_t len)
{
	(void)stream;
	ck_assert(len == 4 && !memcmp(data, "held", 4));
	nova_vm_cancel(vm, "held-call");
}

START_TEST(a_call_that_the_guest_holds_is_cancelled)
{
	struct setting s = set_up(_i == 1, NULL);
	nova_vm_t *vm = start(&s, NULL);
	nova_result_t *result = NULL;
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	opts.request_id = "held-call";
	opts.on_output = cancel_held;
	opts.userdata = vm;
	ck_fails(NOVA_ECANCELED, nova_vm_invoke(vm, "{\"hold\":1}", &opts, &result, &error));
	nova_result_free(result);
	is_call(vm, 2);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

void add_life_tests(TCase *tc, int variants)
{
	tcase_add_loop_test(tc, a_guest_boots_answers_and_stops, 0, variants);
	tcase_add_loop_test(tc, a_paused_guest_goes_on_where_it_was, 0, variants);
	tcase_add_loop_test(tc, a_snapshot_is_restored_with_its_memory_and_again, 0, variants);
	tcase_add_loop_test(tc, children_go_on_from_their_instant_and_then_alone, 0, variants);
	tcase_add_loop_test(tc, a_paused_guest_can_be_forked, 0, variants);
	tcase_add_loop_test(tc, a_parked_process_becomes_a_child, 0, variants);
	tcase_add_loop_test(
		tc, a_guest_whose_vmm_is_killed_is_lost_and_leaves_nothing, 0, variants);
	tcase_add_loop_test(tc, a_guest_that_ends_amid_a_call_is_lost, 0, variants);
	tcase_add_loop_test(tc, a_call_that_the_guest_holds_is_cancelled, 0, variants);
}
