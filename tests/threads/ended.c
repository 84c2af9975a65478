/* SPDX-License-Identifier: MIT */
/* Ended means ended: whoever is told that something has ended can rely on it, and on how it is said
 * to have ended. */
#include <pthread.h>
#include <signal.h>

#include "vmtest.h"

/* --- instances --- */

struct stopper {
	nova_instance_t *instance;
	uint32_t grace_ms;
	pthread_t thread;
	int code;
};

static void *stop(void *argument)
{
	struct stopper *s = argument;
	AUTO_ERROR nova_error_t *failure = NULL;
	s->code = nova_instance_stop(s->instance, s->grace_ms, &failure);
	return NULL;
}

static void *call(void *instance)
{
	nova_result_t *r;
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = nova_vm_invoke(nova_instance_vm(instance), "{}", NULL, &r, &failure);
	nova_result_free(r);
	return (void *)(intptr_t)code;
}

static void await_file(const char *path)
{
	while (!fs_exists(path))
		sys_poll(NULL, 0, 1);
}

/* A call is under way in it, which has made the file. */
static nova_instance_t *busy_instance(struct platform *p, const char *mark, pthread_t *caller)
{
	AUTO_FREE char *source = str_format("touch '%s'; sleep 1000", mark);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	platform_add(p->nova, "slow", "shell", source);
	opts.function = "slow";
	opts.name = "x";
	ck_ok(nova_instance_start(p->nova, &opts, &instance, &error));
	ck_assert_int_eq(pthread_create(caller, NULL, call, instance), 0);
	await_file(mark);
	return instance;
}

START_TEST(all_who_stop_an_instance_wait_for_one_end_and_are_told_the_same)
{
	struct platform p = platform_open(NULL);
	AUTO_FREE char *mark = str_format("%s/mark", p.dir);
	pthread_t caller;
	void *code;
	nova_instance_t *instance = busy_instance(&p, mark, &caller), *again;
	AUTO_FD int pidfd = vmtest_pidfd(vmtest_vmm(nova_vm_id(nova_instance_vm(instance))));
	struct stopper patient = { .instance = instance, .grace_ms = 3600000 };
	ck_assert_int_eq(pthread_create(&patient.thread, NULL, stop, &patient), 0);
	while (nova_instance_state(instance) != NOVA_VM_DEAD)
		sys_poll(NULL, 0, 1);
	/* The second is in a hurry, and both are told what came of it. */
	ck_fails_with(NOVA_ETIMEDOUT, "busy after 10 ms", nova_instance_stop(instance, 10, &error));
	ck_fails(NOVA_ENOTFOUND, nova_instance_get(p.nova, "x", &again, &error));
	struct pollfd gone = { pidfd, POLLIN, 0 };
	ck_assert_int_eq(poll(&gone, 1, 0), 1);
	pthread_join(patient.thread, NULL);
	ck_assert_int_eq(patient.code, NOVA_ETIMEDOUT);
	pthread_join(caller, &code);
	ck_assert_int_lt((int)(intptr_t)code, 0);
	ck_fails(NOVA_ETIMEDOUT, nova_instance_stop(instance, 0, &error)); /* also later */
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

START_TEST(an_instance_whose_guest_does_not_end_is_said_to_have_been_killed)
{
	struct platform p = platform_open(NULL);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t *instance;
	platform_add(p.nova, "f", "shell", "echo 1");
	opts.function = "f";
	ck_ok(nova_instance_start(p.nova, &opts, &instance, &error));
	ck_assert_int_eq(kill(vmtest_vmm(nova_vm_id(nova_instance_vm(instance))), SIGSTOP), 0);
	ck_fails_with(NOVA_ETIMEDOUT, "was killed", nova_instance_stop(instance, 50, &error));
	nova_instance_free(instance);
	ck_ok(nova_instance_start(p.nova, &opts, &instance, &error));
	ck_ok(nova_instance_stop(instance, 60000, &error));
	ck_ok(nova_instance_stop(instance, 0, &error));
	nova_instance_free(instance);
	platform_close(&p);
}
END_TEST

/* --- VMs --- */

static nova_vm_t *start(struct platform *p)
{
	nova_vm_t *vm;
	ck_ok(nova_vm_start(nova_host_get(p->nova), NULL, &vm, &error));
	return vm;
}

START_TEST(a_vm_that_ends_by_itself_or_is_killed_or_was_dead_is_said_to_have)
{
	struct platform p = platform_open(NULL);
	nova_vm_t *gentle = start(&p), *stopped = start(&p), *paused = start(&p),
		  *killed = start(&p);
	ck_ok(nova_vm_stop(gentle, 60000, NULL, &error));
	ck_ok(nova_vm_stop(gentle, 0, NULL, &error));
	ck_assert_int_eq(kill((pid_t)nova_vm_pid(stopped), SIGSTOP), 0);
	ck_fails_with(NOVA_ETIMEDOUT, "was killed", nova_vm_stop(stopped, 50, NULL, &error));
	ck_assert_int_eq(nova_vm_state(stopped), NOVA_VM_DEAD);
	ck_ok(nova_vm_pause(paused, NULL, &error));
	ck_fails_with(NOVA_ETIMEDOUT, "was killed", nova_vm_stop(paused, 0, NULL, &error));
	AUTO_FD int pidfd = vmtest_pidfd((pid_t)nova_vm_pid(killed));
	ck_assert_int_eq(kill((pid_t)nova_vm_pid(killed), SIGKILL), 0);
	vmtest_await_end(pidfd);
	ck_fails_with(NOVA_ELOST, "was dead", nova_vm_stop(killed, 0, NULL, &error));
	nova_vm_t *const all[] = { gentle, stopped, paused, killed };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		nova_vm_free(all[i]);
	platform_close(&p);
}
END_TEST

static Suite *ended_suite(void)
{
	Suite *suite = suite_create("ended");
	TCase *tc = tcase_create("ended");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, all_who_stop_an_instance_wait_for_one_end_and_are_told_the_same);
	tcase_add_test(tc, an_instance_whose_guest_does_not_end_is_said_to_have_been_killed);
	tcase_add_test(tc, a_vm_that_ends_by_itself_or_is_killed_or_was_dead_is_said_to_have);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, ended_suite);
}
