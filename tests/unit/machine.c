/* SPDX-License-Identifier: MIT */
/*
 * VMs of an engine whose machines are no processes: all that the rooms above know of a machine's
 * life they have from its table. A machine here is an event that is raised at its end.
 */
#include <sys/socket.h>

#include "vm/frozen.h"
#include "vm/object.h"
#include "vm/standby.h"

#include "test.h"

static nova_error_t *error;

struct event_machine {
	struct machine machine;
	int ended; /* event */
};

static struct event_machine *of(struct machine *m)
{
	return (struct event_machine *)m;
}

static int kills, ends, releases; /* how often the operations were called */

static int start_event(struct machine *m, const struct engine_env *env,
	const struct machine_spec *spec, nova_error_t **err)
{
	(void)env, (void)spec;
	int event = sys_event(), pair[2];
	if (event < 0 || sys_socketpair(SOCK_STREAM, pair) < 0)
		return nova_fail(err, NOVA_EIO, "no event");
	of(m)->ended = event;
	m->channel = pair[0];
	fd_close(pair[1]);
	return 0;
}

static void kill_event(struct machine *m)
{
	kills++;
	sys_event_raise(of(m)->ended);
}

static int end_fd_of_event(const struct machine *m)
{
	int fd = ((const struct event_machine *)m)->ended;
	return fd ? fd : -1;
}

static void end_event(struct machine *m)
{
	ends += of(m)->ended != 0;
	if (of(m)->ended)
		fd_close(of(m)->ended);
	of(m)->ended = 0;
}

static void release_event(struct machine *m)
{
	ck_assert_int_eq(of(m)->ended, 0);
	releases++;
}

static const struct engine_ops events = {
	.name = "events",
	.machine_size = sizeof(struct event_machine),
	.boot_timeout_key = "qemu.boot_timeout",
	.start = start_event,
	.kill = kill_event,
	.end_fd = end_fd_of_event,
	.end = end_event,
	.release = release_event,
};

struct setting {
	char *dir;
	nova_host_t *host;
};

static struct setting set_up(void)
{
	struct setting s = { .dir = test_dir() };
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	kills = ends = releases = 0;
	return s;
}

static void tear_down(struct setting *s)
{
	nova_host_unref(s->host);
	test_dir_remove(s->dir);
}

static const struct machine_config shape = { .memory_mb = 64, .vcpus = 1 };

static nova_vm_t *start(struct setting *s)
{
	nova_vm_t *vm;
	ck_ok(vm_new(s->host, &events, &shape, &vm, &error));
	const struct machine_spec spec = { .id = vm->id, .config = shape, .base_fd = -1 };
	ck_ok(vmm_start(s->host, &events, vm->machine, &spec, NULL, &error));
	return vm;
}

START_TEST(a_vm_without_a_process_lives_until_its_engine_says_that_it_has_ended)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	sys_event_raise(of(vm->machine)->ended); /* by itself */
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	ck_assert_int_eq(kills, 0);
	nova_vm_free(vm);
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(releases, 2); /* once more as its memory is freed */
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_without_a_process_is_killed_by_its_engine)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	nova_vm_kill(vm);
	ck_assert_int_eq(kills, 1);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_DEAD);
	vm_end(vm);
	nova_vm_kill(vm); /* there is nothing to kill any more */
	ck_assert_int_eq(kills, 1);
	nova_vm_free(vm);
	ck_assert_int_eq(ends, 1);
	tear_down(&s);
}
END_TEST

START_TEST(a_vm_without_a_process_has_no_number_and_nobody_tells_what_it_costs)
{
	struct setting s = set_up();
	nova_vm_t *vm = start(&s);
	uint64_t values[NOVA_VM_STAT_CPU_US + 1];
	ck_assert_int_eq(nova_vm_pid(vm), 0);
	ck_ok(nova_vm_stats(vm, values, ARRAY_LEN(values), &error));
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		ck_assert_uint_eq(values[i], 0);
	nova_vm_kill(vm);
	ck_fails_with(NOVA_ELOST, vm->id, nova_vm_stats(vm, values, ARRAY_LEN(values), &error));
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(machines_without_a_process_wait_on_standby)
{
	struct setting s = set_up();
	struct frozen *f = calloc(1, sizeof(*f));
	*f = (struct frozen){
		.references = 1, .ops = &events, .shape = shape, .pages = PAGES_NONE, .state_fd = -1
	};
	f->base = base_new(sys_memfd("base"));
	ck_assert_int_eq(standby_keep(s.host, f, 2, 60000), 0);
	ck_ok(standby_fill(s.host, f, &error));
	struct machine *m = standby_take(s.host, f);
	ck_assert_ptr_nonnull(m);
	ck_assert(!machine_ended(&events, m, 0));
	machine_free(&events, m);
	ck_assert_int_eq(kills, 0);
	standby_drop(s.host, f);
	ck_assert_uint_eq(standby_count(s.host), 0);
	ck_assert_int_eq(kills, 1);
	ck_assert_int_eq(ends, 2);
	frozen_unref(f);
	tear_down(&s);
}
END_TEST

START_TEST(a_machine_that_never_came_up_has_ended)
{
	for (size_t i = 0; all_engines[i]; i++) {
		struct machine *m = machine_new(all_engines[i]);
		ck_assert_ptr_nonnull(m);
		ck_assert(machine_ended(all_engines[i], m, NEVER));
		all_engines[i]->kill(m);
		all_engines[i]->end(m);
		ck_assert(machine_ended(all_engines[i], m, NEVER));
		free(m->console.data);
		free(m);
	}
}
END_TEST

static Suite *machine_suite(void)
{
	Suite *suite = suite_create("machine");
	TCase *tc = tcase_create("operations");
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	tcase_add_test(tc, a_vm_without_a_process_lives_until_its_engine_says_that_it_has_ended);
	tcase_add_test(tc, a_vm_without_a_process_is_killed_by_its_engine);
	tcase_add_test(tc, a_vm_without_a_process_has_no_number_and_nobody_tells_what_it_costs);
	tcase_add_test(tc, machines_without_a_process_wait_on_standby);
	tcase_add_test(tc, a_machine_that_never_came_up_has_ended);
	return suite;
}

TEST_MAIN(machine_suite)
