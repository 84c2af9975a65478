/* SPDX-License-Identifier: MIT */
/* What takes long with a VM, as calls of a queue: nova/call.h. */
#include <fcntl.h>

#include "gate.h"

/* Longer than any test: it ends because it is cancelled, or its VM ends. */
#define FOR_EVER "sleep 100000"

/* --- short ways --- */

struct setting {
	struct platform p;
	nova_queue_t *q;
	char *disk; /* with a function that answers with its input */
};

static struct setting set_up(uint32_t threads)
{
	struct setting s = { .p = platform_open("qemu.boot_timeout", "3600s", "pool.queue_timeout",
				     "3600s", NULL) };
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	opts.threads = threads;
	ck_ok(nova_queue_new(s.p.nova, &opts, &s.q, &error));
	s.disk = path_join(s.p.dir, "code.ext4");
	nova_disk_opts code = NOVA_DISK_OPTS_INIT;
	code.data = "case $(cat \"$1\") in\n"
		    "'\"bad\"') echo no such city >&2; exit 3;;\n"
		    "1000) echo started >&2; exec " FOR_EVER ";;\n"
		    "esac\n"
		    "cat \"$1\"";
	code.data_len = strlen(code.data);
	ck_ok(nova_disk_build(s.disk, &code, &error));
	return s;
}

/* The queue first: what is in it ends with it. */
static void tear_down(struct setting *s)
{
	nova_queue_free(s->q);
	free(s->disk);
	platform_close(&s->p);
}

static nova_vm_opts vm_opts(const struct setting *s)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.code_disk = s->disk;
	return opts;
}

static nova_vm_init_opts init_opts(uint32_t concurrency)
{
	nova_vm_init_opts opts = NOVA_VM_INIT_OPTS_INIT;
	opts.runtime = "shell";
	opts.concurrency = concurrency;
	return opts;
}

/* A VM with the function of the disk. */
static nova_vm_t *vm_of(const struct setting *s, uint32_t concurrency)
{
	const nova_vm_opts start = vm_opts(s);
	const nova_vm_init_opts init = init_opts(concurrency);
	nova_vm_t *vm;
	ck_ok(nova_vm_start(nova_host_get(s->p.nova), &start, &vm, &error));
	ck_ok(nova_vm_init(vm, &init, &error));
	return vm;
}

/* `script` says "started" on stderr where await_starts() is to see it. */
static nova_call_t *command(nova_queue_t *q, nova_vm_t *vm, const char *script, void *userdata)
{
	const char *const argv[] = { "sh", "-c", script };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	nova_call_t *call;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	opts.on_output = note_start;
	opts.userdata = userdata;
	opts.timeout_ms = 600000;
	ck_ok(nova_queue_submit_vm_command(q, vm, &opts, &call, &error));
	return call;
}

static nova_call_t *invoke(nova_queue_t *q, nova_vm_t *vm, const char *payload)
{
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	nova_call_t *call;
	opts.on_output = note_start;
	opts.timeout_ms = 600000;
	ck_ok(nova_queue_submit_vm_invoke(q, vm, payload, &opts, &call, &error));
	return call;
}

/* Waits at the gate, and prints its name then. */
static nova_call_t *wait_at(nova_queue_t *q, nova_vm_t *vm, struct gate *gate, const char *name)
{
	AUTO_FREE char *script =
		str_format("echo started >&2; exec 3<>'%s'; read x <&3; echo %s", gate->path, name);
	return command(q, vm, script, NULL);
}

static nova_call_t *collect(nova_queue_t *q)
{
	nova_call_t *call;
	ck_ok(nova_queue_collect(q, UINT32_MAX, NULL, &call, &error));
	ck_assert_ptr_nonnull(call);
	ck_assert_int_eq(nova_call_is_finished(call), 1);
	return call;
}

/* The next one to be collected is this one, which succeeded. */
static void collect_this(nova_queue_t *q, nova_call_t *expected)
{
	nova_call_t *call = collect(q);
	ck_assert_ptr_eq(call, expected);
	error = nova_call_take_error(call);
	ck_ok(nova_call_code(call));
}

/* The same, whose command or function has printed or answered so; frees it. */
static void collect_text(nova_queue_t *q, nova_call_t *expected, const char *text)
{
	collect_this(q, expected);
	nova_result_t *result = nova_call_take_result(expected);
	ck_assert_ptr_nonnull(result);
	const char *out = nova_result_stdout(result, NULL);
	ck_assert_str_eq(*out ? out : nova_result_output(result, NULL), text);
	ck_assert_ptr_null(nova_call_take_result(expected));
	nova_result_free(result);
	nova_call_free(expected);
}

/* And this one, which failed so; frees it. */
static void collect_failure(
	nova_queue_t *q, nova_call_t *expected, int code, int outcome, const char *part)
{
	nova_call_t *call = collect(q);
	ck_assert_ptr_eq(call, expected);
	error = nova_call_take_error(call);
	ck_failed(code, outcome, part, nova_call_code(call));
	ck_assert_ptr_null(nova_call_take_vm(call));
	ck_assert_ptr_null(nova_call_take_snapshot(call));
	ck_assert_ptr_null(nova_call_take_instance(call));
	nova_call_free(call);
}

static void cancelled_before(nova_queue_t *q, nova_call_t *call, const char *what)
{
	AUTO_FREE char *part = str_format("the call was cancelled before %s", what);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, part);
}

static void await_counter(nova_queue_t *q, int counter, uint64_t value)
{
	while (nova_queue_count(q, counter) != value)
		sys_poll(NULL, 0, 1);
}

/* --- the usual way --- */

static nova_vm_t *start_in(struct setting *s)
{
	nova_vm_opts opts = vm_opts(s);
	nova_call_t *call;
	opts.userdata = s;
	ck_ok(nova_queue_submit_vm_start(s->q, &opts, &call, &error));
	collect_this(s->q, call);
	ck_assert_ptr_eq(nova_call_userdata(call), s);
	ck_assert_str_eq(nova_call_request_id(call), "");
	nova_vm_t *vm = nova_call_take_vm(call);
	ck_assert_int_eq(nova_vm_state(vm), NOVA_VM_RUNNING);
	ck_assert_ptr_null(nova_call_take_vm(call));
	ck_assert_ptr_null(nova_call_take_result(call));
	nova_call_free(call);
	return vm;
}

static void init_in(struct setting *s, nova_vm_t *vm)
{
	nova_vm_init_opts opts = init_opts(1);
	nova_call_t *call;
	opts.userdata = vm;
	ck_ok(nova_queue_submit_vm_init(s->q, vm, &opts, &call, &error));
	collect_this(s->q, call);
	ck_assert_ptr_eq(nova_call_userdata(call), vm);
	nova_call_free(call);
}

START_TEST(a_vm_is_started_given_a_function_and_used_through_a_queue)
{
	struct setting s = set_up(0);
	nova_vm_t *vm = start_in(&s);
	init_in(&s, vm);
	nova_call_t *call = command(s.q, vm, "echo $((6 * 7))", vm);
	ck_assert_ptr_eq(nova_call_userdata(call), vm);
	collect_text(s.q, call, "42\n");
	call = invoke(s.q, vm, "[1]");
	ck_assert_uint_eq(strlen(nova_call_request_id(call)), 8);
	collect_text(s.q, call, "[1]");
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(an_instance_is_started_and_its_lent_vm_used_through_a_queue)
{
	struct setting s = set_up(0);
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_call_t *call;
	platform_add(s.p.nova, "echo", "shell", "cat \"$1\"");
	opts.function = "echo";
	opts.name = "mine";
	opts.userdata = &s;
	ck_ok(nova_queue_submit_instance_start(s.q, &opts, &call, &error));
	collect_this(s.q, call);
	ck_assert_ptr_eq(nova_call_userdata(call), &s);
	nova_instance_t *instance = nova_call_take_instance(call);
	ck_assert_str_eq(nova_instance_name(instance), "mine");
	ck_assert_ptr_null(nova_call_take_instance(call));
	nova_call_free(call);
	collect_text(s.q, command(s.q, nova_instance_vm(instance), "echo hi", NULL), "hi\n");
	collect_text(s.q, invoke(s.q, nova_instance_vm(instance), "2"), "2");
	ck_ok(nova_instance_stop(instance, 0, &error));
	collect_failure(s.q, command(s.q, nova_instance_vm(instance), "echo hi", NULL), NOVA_ELOST,
		NOVA_OUTCOME_NEVER_RAN, "stopped");
	nova_instance_free(instance);
	tear_down(&s);
}
END_TEST

/* Real VMs take seconds to boot: one case has it all. */
START_TEST(commands_snapshots_forks_and_calls_are_handed_in_at_once_and_done_in_order)
{
	struct setting s = set_up(0);
	nova_vm_t *vm = start_in(&s), *children[2], *restored;
	const nova_vm_init_opts init = init_opts(4);
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	nova_call_t *made[6];
	opts.name = "first";
	opts.userdata = &opts;
	wait.userdata = &wait;
	ck_ok(nova_queue_submit_vm_init(s.q, vm, &init, &made[0], &error));
	made[1] = command(s.q, vm, "sleep 0.3; echo 1 >/tmp/x", NULL);
	ck_ok(nova_queue_submit_vm_snapshot(s.q, vm, &opts, &made[2], &error));
	made[3] = command(s.q, vm, "sleep 0.3; echo 2 >/tmp/x", NULL);
	ck_ok(nova_queue_submit_vm_fork(s.q, vm, 2, &wait, &made[4], &error));
	made[5] = invoke(s.q, vm, "[5]");
	for (int i = 0; i < 2; i++) {
		collect_this(s.q, made[i]);
		nova_call_free(made[i]);
	}
	collect_this(s.q, made[2]);
	ck_assert_ptr_eq(nova_call_userdata(made[2]), &opts);
	nova_snapshot_t *snapshot = nova_call_take_snapshot(made[2]);
	ck_assert_str_eq(nova_snapshot_name(snapshot), "first");
	ck_assert_ptr_null(nova_call_take_snapshot(made[2]));
	ck_ok(nova_queue_submit_vm_restore(s.q, snapshot, &wait, &made[0], &error));
	nova_snapshot_free(snapshot);
	while (!nova_call_is_finished(made[0]) || !nova_call_is_finished(made[5]))
		sys_poll(NULL, 0, 10);
	nova_call_free(made[2]);
	for (int i = 0; i < 4; i++) {
		nova_call_t *call = collect(s.q);
		error = nova_call_take_error(call);
		ck_ok(nova_call_code(call));
	}
	ck_assert_ptr_eq(nova_call_userdata(made[4]), &wait);
	restored = nova_call_take_vm(made[0]);
	children[0] = nova_call_take_vm(made[4]);
	children[1] = nova_call_take_vm(made[4]);
	ck_assert_ptr_null(nova_call_take_vm(made[4]));
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		if (i != 1 && i != 2)
			nova_call_free(made[i]);
	/* each goes on from its own instant, with its function */
	collect_text(s.q, command(s.q, restored, "cat /tmp/x", NULL), "1\n");
	collect_text(s.q, command(s.q, children[0], "cat /tmp/x", NULL), "2\n");
	collect_text(s.q, invoke(s.q, children[1], "[6]"), "[6]");
	nova_vm_free(children[0]);
	nova_vm_free(children[1]);
	nova_vm_free(restored);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* --- turns --- */

START_TEST(calls_in_one_vm_take_no_more_threads_than_can_be_inside_it)
{
	struct setting s = set_up(8);
	struct gate gate = gate_new(s.p.dir);
	nova_vm_t *vm = vm_of(&s, 2);
	nova_call_t *calls[6];
	platform_add(s.p.nova, "echo", "shell", "cat \"$1\"");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		calls[i] = wait_at(s.q, vm, &gate, "x");
	await_starts(2);
	ck_assert_uint_eq(nova_queue_count(s.q, NOVA_QUEUE_UNDER_WAY), 2);
	ck_assert_uint_eq(nova_queue_count(s.q, NOVA_QUEUE_WAITING), 4);
	nova_call_t *other;
	ck_ok(nova_queue_submit(s.q, "echo", "1", NULL, &other, &error));
	collect_text(s.q, other, "1");
	gate_let_go(&gate, (int)ARRAY_LEN(calls));
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		nova_call_free(collect(s.q));
	nova_vm_free(vm);
	gate_free(&gate);
	tear_down(&s);
}
END_TEST

START_TEST(calls_in_one_vm_are_done_in_the_order_in_which_they_came)
{
	struct setting s = set_up(8);
	nova_vm_t *vm = vm_of(&s, 1);
	AUTO_FREE char *note = str_format("%s/note", s.p.dir);
	nova_call_t *last = NULL;
	for (int i = 0; i < 8; i++) {
		AUTO_FREE char *script = str_format("echo %d >>'%s'; cat '%s'", i, note, note);
		last = command(s.q, vm, script, NULL);
	}
	for (int i = 0; i < 7; i++)
		nova_call_free(collect(s.q));
	collect_text(s.q, last, "0\n1\n2\n3\n4\n5\n6\n7\n");
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(what_has_to_be_alone_waits_for_those_before_it_and_holds_up_those_behind)
{
	struct setting s = set_up(8);
	struct gate gate = gate_new(s.p.dir);
	nova_vm_t *vm = vm_of(&s, 4);
	const nova_vm_init_opts init = init_opts(4);
	nova_call_t *first = wait_at(s.q, vm, &gate, "first"), *again, *cancelled, *behind;
	await_starts(1);
	ck_ok(nova_queue_submit_vm_init(s.q, vm, &init, &cancelled, &error));
	ck_ok(nova_queue_submit_vm_init(s.q, vm, &init, &again, &error));
	behind = wait_at(s.q, vm, &gate, "behind");
	cancelled_before(s.q, cancelled, "the microVM was given its function");
	ck_assert_uint_eq(nova_queue_count(s.q, NOVA_QUEUE_WAITING), 2);
	ck_assert_uint_eq(nova_queue_count(s.q, NOVA_QUEUE_UNDER_WAY), 1);
	gate_let_go(&gate, 2);
	collect_text(s.q, first, "first\n");
	collect_this(s.q, again);
	nova_call_free(again);
	collect_text(s.q, behind, "behind\n");
	nova_vm_free(vm);
	gate_free(&gate);
	tear_down(&s);
}
END_TEST

START_TEST(those_behind_a_cancelled_one_that_had_to_be_alone_go_on)
{
	struct setting s = set_up(8);
	struct gate gate = gate_new(s.p.dir);
	nova_vm_t *vm = vm_of(&s, 4);
	nova_call_t *fork;
	nova_call_t *first = wait_at(s.q, vm, &gate, "first");
	await_starts(1);
	ck_ok(nova_queue_submit_vm_fork(s.q, vm, 1, NULL, &fork, &error));
	nova_call_t *behind = command(s.q, vm, "echo behind", NULL);
	cancelled_before(s.q, fork, "the microVM was forked");
	collect_text(s.q, behind, "behind\n"); /* beside the first one, which still waits */
	gate_let_go(&gate, 1);
	collect_text(s.q, first, "first\n");
	nova_vm_free(vm);
	gate_free(&gate);
	tear_down(&s);
}
END_TEST

/* --- cancelling --- */

/* The only thread is busy until the gate is opened. */
static nova_call_t *occupy(struct setting *s, struct gate *gate, nova_vm_t *vm)
{
	nova_call_t *call = wait_at(s->q, vm, gate, "free");
	await_starts(1);
	return call;
}

START_TEST(a_call_of_each_kind_that_is_cancelled_before_it_begins_does_nothing)
{
	struct setting s = set_up(1);
	struct gate gate = gate_new(s.p.dir);
	nova_vm_t *vm = vm_of(&s, 4);
	const nova_vm_opts start = vm_opts(&s);
	const nova_vm_init_opts init = init_opts(1);
	nova_instance_opts instance = NOVA_INSTANCE_OPTS_INIT;
	nova_instance_t **list;
	nova_call_t *call, *first = occupy(&s, &gate, vm);
	size_t count;
	platform_add(s.p.nova, "echo", "shell", "cat \"$1\"");
	instance.function = "echo";
	ck_ok(nova_queue_submit_vm_start(s.q, &start, &call, &error));
	cancelled_before(s.q, call, "the microVM was started");
	ck_ok(nova_queue_submit_vm_init(s.q, vm, &init, &call, &error));
	cancelled_before(s.q, call, "the microVM was given its function");
	cancelled_before(s.q, invoke(s.q, vm, "1"), "its function ran");
	cancelled_before(s.q, command(s.q, vm, "echo started >&2", NULL), "its command ran");
	ck_ok(nova_queue_submit_vm_fork(s.q, vm, 1, NULL, &call, &error));
	cancelled_before(s.q, call, "the microVM was forked");
	ck_ok(nova_queue_submit_vm_snapshot(s.q, vm, NULL, &call, &error));
	cancelled_before(s.q, call, "the snapshot was taken");
	ck_ok(nova_queue_submit_instance_start(s.q, &instance, &call, &error));
	cancelled_before(s.q, call, "the instance was started");
	gate_let_go(&gate, 1);
	collect_text(s.q, first, "free\n");
	ck_assert_int_eq(started.count, 0);
	ck_ok(nova_instance_list(s.p.nova, &list, &count, &error));
	ck_assert_uint_eq(count, 0);
	nova_vm_free(vm);
	gate_free(&gate);
	tear_down(&s);
}
END_TEST

/* An agent that leaves a mark and never says that it is ready, once there is the file "hang". */
static char *wrap_agent(const char *dir)
{
	AUTO_FREE char *path = path_join(dir, "agent"), *agent = NULL;
	ck_ok(program_find("nova-agent", NULL, &agent, &error));
	AUTO_FREE char *script = str_format("#!/bin/sh\n[ -e %s/hang ] || exec %s \"$@\"\n"
					    "echo >>%s/hanging\nexec " FOR_EVER "\n",
		dir, agent, dir);
	ck_assert_int_eq(fs_write_file(path, script, strlen(script), 0755), 0);
	ck_assert_int_eq(setenv("NOVA_AGENT", path, 1), 0);
	return path_join(dir, "hang");
}

/* So many VMs have begun to hang. */
static void await_hanging(const char *dir, size_t count)
{
	AUTO_FREE char *path = path_join(dir, "hanging");
	for (;;) {
		AUTO_BUF struct buf marks = BUF_INIT(4096);
		if (fs_read_file(path, &marks) == 0 && marks.len >= count)
			return;
		sys_poll(NULL, 0, 1);
	}
}

struct hanging {
	char *dir, *flag;
	struct setting s;
	nova_vm_t *vm; /* that does not hang */
};

/* VMs that are started from now on hang. */
static struct hanging set_up_hanging(void)
{
	struct hanging h = { .dir = test_dir() };
	h.flag = wrap_agent(h.dir);
	h.s = set_up(0);
	platform_add(h.s.p.nova, "echo", "shell", "cat \"$1\"");
	h.vm = vm_of(&h.s, 4);
	ck_assert_int_eq(fs_write_file(h.flag, "", 0, 0600), 0);
	return h;
}

static void tear_down_hanging(struct hanging *h)
{
	tear_down(&h->s);
	ck_assert_int_eq(unsetenv("NOVA_AGENT"), 0);
	test_dir_remove(h->dir);
	free(h->flag);
}

static nova_call_t *start_that_hangs(struct hanging *h)
{
	nova_vm_opts opts = vm_opts(&h->s);
	nova_call_t *call;
	opts.boot_timeout_ms = 3600000;
	ck_ok(nova_queue_submit_vm_start(h->s.q, &opts, &call, &error));
	return call;
}

static nova_call_t *instance_that_hangs(struct hanging *h)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_call_t *call;
	opts.function = "echo";
	ck_ok(nova_queue_submit_instance_start(h->s.q, &opts, &call, &error));
	return call;
}

START_TEST(a_call_of_each_kind_cancelled_while_it_is_under_way_leaves_nothing)
{
	struct hanging h = set_up_hanging();
	nova_queue_t *q = h.s.q;
	nova_call_t *call = command(q, h.vm, "echo started >&2; exec " FOR_EVER, NULL);
	await_starts(1);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	call = invoke(q, h.vm, "1000");
	await_starts(1);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "cancelled");
	call = start_that_hangs(&h);
	await_hanging(h.dir, 1);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "");
	call = instance_that_hangs(&h);
	await_hanging(h.dir, 2);
	ck_assert_int_eq(nova_call_cancel(call), 0);
	collect_failure(q, call, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "");
	collect_text(q, invoke(q, h.vm, "7"), "7"); /* the VM is as good as before */
	nova_vm_free(h.vm);
	tear_down_hanging(&h);
}
END_TEST

START_TEST(a_token_in_the_options_ends_a_call_of_a_queue_too)
{
	struct hanging h = set_up_hanging();
	nova_vm_opts opts = vm_opts(&h.s);
	nova_interrupt_t *token;
	nova_call_t *call;
	ck_ok(nova_interrupt_new(&token, &error));
	opts.interrupt = token;
	opts.boot_timeout_ms = 3600000;
	ck_ok(nova_queue_submit_vm_start(h.s.q, &opts, &call, &error));
	await_hanging(h.dir, 1);
	nova_interrupt_trigger(token);
	collect_failure(h.s.q, call, NOVA_ECANCELED, NOVA_OUTCOME_NEVER_RAN, "");
	nova_interrupt_free(token);
	nova_vm_free(h.vm);
	tear_down_hanging(&h);
}
END_TEST

/* --- freeing --- */

/* tear_down() looks for what is left. */
START_TEST(a_queue_is_freed_with_calls_of_each_kind_waiting_under_way_and_finished)
{
	struct hanging h = set_up_hanging();
	nova_queue_t *q = h.s.q;
	const nova_vm_init_opts init = init_opts(1);
	nova_instance_t **list;
	size_t count;
	ck_assert_int_eq(unlink(h.flag), 0);
	nova_vm_opts opts = vm_opts(&h.s);
	ck_ok(nova_queue_submit_vm_start(q, &opts, NULL, &error));
	nova_instance_opts instance = NOVA_INSTANCE_OPTS_INIT;
	instance.function = "echo";
	ck_ok(nova_queue_submit_instance_start(q, &instance, NULL, &error));
	await_counter(q, NOVA_QUEUE_FINISHED, 2); /* a VM and an instance that nobody takes */
	ck_assert_int_eq(fs_write_file(h.flag, "", 0, 0600), 0);
	start_that_hangs(&h);
	instance_that_hangs(&h);
	await_hanging(h.dir, 2);
	command(q, h.vm, "echo started >&2; exec " FOR_EVER, NULL);
	invoke(q, h.vm, "1000");
	await_starts(2);
	ck_ok(nova_queue_submit_vm_fork(q, h.vm, 3, NULL, NULL, &error));
	ck_ok(nova_queue_submit_vm_snapshot(q, h.vm, NULL, NULL, &error));
	ck_ok(nova_queue_submit_vm_init(q, h.vm, &init, NULL, &error));
	invoke(q, h.vm, "1");
	ck_assert_uint_eq(nova_queue_count(q, NOVA_QUEUE_WAITING), 4);
	nova_queue_free(STEAL(h.s.q));
	ck_ok(nova_vm_ping(h.vm, 60000, NULL, &error));
	ck_ok(nova_instance_list(h.s.p.nova, &list, &count, &error)); /* the platform's */
	ck_assert_uint_eq(count, 1);
	nova_instance_list_free(list, count);
	nova_vm_free(h.vm);
	tear_down_hanging(&h);
}
END_TEST

START_TEST(a_vm_is_freed_with_calls_in_every_state_and_each_says_that_it_is_lost)
{
	struct setting s = set_up(0);
	struct gate gate = gate_new(s.p.dir);
	nova_vm_t *vm = vm_of(&s, 2);
	nova_call_t *inside[] = { wait_at(s.q, vm, &gate, "x"), wait_at(s.q, vm, &gate, "x") };
	await_starts(2);
	nova_call_t *waiting[] = { command(s.q, vm, "echo 1", NULL), invoke(s.q, vm, "1"), NULL };
	ck_ok(nova_queue_submit_vm_fork(s.q, vm, 1, NULL, &waiting[2], &error));
	nova_vm_free(vm);
	for (int i = 0; i < 5; i++) {
		nova_call_t *call = collect(s.q);
		bool was_inside = call == inside[0] || call == inside[1];
		error = nova_call_take_error(call);
		if (call == waiting[2]) /* which this engine cannot do, with whatever VM */
			ck_fails(NOVA_ENOTSUP, nova_call_code(call));
		else
			ck_failed(NOVA_ELOST,
				was_inside ? NOVA_OUTCOME_UNKNOWN : NOVA_OUTCOME_NEVER_RAN,
				"microVM", nova_call_code(call));
		nova_call_free(call);
	}
	gate_free(&gate);
	tear_down(&s);
}
END_TEST

START_TEST(a_call_that_is_freed_with_what_it_has_made_ends_that)
{
	struct setting s = set_up(0);
	const nova_vm_opts opts = vm_opts(&s);
	nova_call_t *call;
	ck_ok(nova_queue_submit_vm_start(s.q, &opts, &call, &error));
	collect_this(s.q, call);
	nova_call_free(call);
	ck_ok(nova_queue_submit_vm_start(s.q, &opts, &call, &error));
	await_counter(s.q, NOVA_QUEUE_FINISHED, 1);
	nova_call_free(call); /* which was not collected */
	await_counter(s.q, NOVA_QUEUE_FINISHED, 0);
	ck_ok(nova_queue_submit_vm_start(s.q, &opts, &call, &error));
	nova_call_free(call); /* which is perhaps under way */
	await_counter(s.q, NOVA_QUEUE_UNDER_WAY, 0);
	tear_down(&s);
}
END_TEST

/* --- limits and mistakes --- */

START_TEST(what_fails_in_a_call_of_each_kind_is_told_by_that_call)
{
	struct setting s = set_up(0);
	nova_vm_t *vm = vm_of(&s, 1);
	nova_vm_opts start = vm_opts(&s);
	nova_vm_init_opts init = init_opts(1);
	nova_instance_opts instance = NOVA_INSTANCE_OPTS_INIT;
	nova_snapshot_opts snapshot = NOVA_SNAPSHOT_OPTS_INIT;
	nova_call_t *call;
	start.engine = "none";
	ck_ok(nova_queue_submit_vm_start(s.q, &start, &call, &error));
	collect_failure(s.q, call, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "none");
	instance.function = "nobody";
	ck_ok(nova_queue_submit_instance_start(s.q, &instance, &call, &error));
	collect_failure(s.q, call, NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "nobody");
	ck_ok(nova_queue_submit_vm_fork(s.q, vm, 1, NULL, &call, &error));
	collect_failure(s.q, call, NOVA_ENOTSUP, NOVA_OUTCOME_NEVER_RAN, "fake");
	snapshot.name = "/";
	ck_ok(nova_queue_submit_vm_snapshot(s.q, vm, &snapshot, &call, &error));
	collect_failure(s.q, call, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "no name for a snapshot");
	collect_text(s.q, command(s.q, vm, "echo", NULL), "\n");
	init.runtime = "cobol";
	ck_ok(nova_queue_submit_vm_init(s.q, vm, &init, &call, &error));
	collect_failure(s.q, call, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, "cobol");
	nova_vm_kill(vm);
	while (nova_vm_state(vm) != NOVA_VM_DEAD)
		sys_poll(NULL, 0, 1);
	collect_failure(
		s.q, command(s.q, vm, "echo", NULL), NOVA_ELOST, NOVA_OUTCOME_NEVER_RAN, "microVM");
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_function_in_a_vm_that_fails_gives_both_its_result_and_its_error)
{
	struct setting s = set_up(0);
	nova_vm_t *vm = vm_of(&s, 1);
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	nova_call_t *call;
	opts.request_id = "mine";
	opts.userdata = &s;
	ck_ok(nova_queue_submit_vm_invoke(s.q, vm, "\"bad\"", &opts, &call, &error));
	ck_assert_str_eq(nova_call_request_id(call), "mine");
	ck_assert_ptr_eq(nova_call_userdata(call), &s);
	ck_assert_ptr_eq(collect(s.q), call);
	nova_result_t *result = nova_call_take_result(call);
	ck_assert_str_eq(nova_result_request_id(result), "mine");
	error = nova_call_take_error(call);
	ck_assert_int_eq(nova_result_exit_code(result), 3);
	ck_failed(NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "no such city", nova_call_code(call));
	nova_result_free(result);
	nova_call_free(call);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

START_TEST(a_request_that_is_wrong_is_refused_when_it_is_submitted)
{
	struct setting s = set_up(0);
	nova_vm_t *vm = vm_of(&s, 1);
	nova_vm_command_opts command = NOVA_VM_COMMAND_OPTS_INIT;
	nova_instance_opts instance = NOVA_INSTANCE_OPTS_INIT;
	nova_vm_opts larger = { .size = 8 };
	ck_fails_with(NOVA_EINVAL, "argv is empty",
		nova_queue_submit_vm_command(s.q, vm, &command, NULL, &error));
	ck_fails_with(
		NOVA_EINVAL, "JSON", nova_queue_submit_vm_invoke(s.q, vm, "{", NULL, NULL, &error));
	ck_fails_with(NOVA_EINVAL, "1 to 1000",
		nova_queue_submit_vm_fork(s.q, vm, 0, NULL, NULL, &error));
	ck_fails_with(NOVA_EINVAL, "function",
		nova_queue_submit_instance_start(s.q, &instance, NULL, &error));
	larger.size = 1u << 20;
	ck_fails_with(
		NOVA_EABI, "nova_vm_opts", nova_queue_submit_vm_start(s.q, &larger, NULL, &error));
	ck_assert_uint_eq(nova_queue_count(s.q, NOVA_QUEUE_THREADS), 0);
	nova_vm_free(vm);
	tear_down(&s);
}
END_TEST

/* The call begins when all of it has been overwritten. */
START_TEST(what_options_point_to_may_go_as_soon_as_the_call_is_submitted)
{
	struct setting s = set_up(1);
	struct gate gate = gate_new(s.p.dir);
	nova_vm_t *vm = vm_of(&s, 1), *other = vm_of(&s, 1);
	nova_call_t *first = occupy(&s, &gate, other), *init, *run;
	char runtime[] = "shell", variable[] = "WORD=kept", program[] = "echo", word[] = "said",
	     payload[] = "[1]", disk[500];
	const char *const env[] = { variable }, *const argv[] = { program, word };
	nova_vm_init_opts given = { sizeof(given), .runtime = runtime, .env = env, .env_count = 1 };
	nova_vm_command_opts said = { sizeof(said), .argv = argv, .argc = 2, .stdin_fd = -1 };
	snprintf(disk, sizeof(disk), "%s", s.disk);
	nova_vm_opts start = { sizeof(start), .code_disk = disk };
	nova_call_t *started_later, *called;
	ck_ok(nova_queue_submit_vm_init(s.q, vm, &given, &init, &error));
	ck_ok(nova_queue_submit_vm_command(s.q, vm, &said, &run, &error));
	ck_ok(nova_queue_submit_vm_invoke(s.q, vm, payload, NULL, &called, &error));
	ck_ok(nova_queue_submit_vm_start(s.q, &start, &started_later, &error));
	memset(runtime, 'x', sizeof(runtime) - 1);
	memset(variable, 'x', sizeof(variable) - 1);
	memset(program, 'x', sizeof(program) - 1);
	memset(word, 'x', sizeof(word) - 1);
	memset(payload, 'x', sizeof(payload) - 1);
	memset(disk, 'x', strlen(disk));
	gate_let_go(&gate, 1);
	for (int i = 0; i < 5; i++) {
		nova_call_t *call = collect(s.q);
		error = nova_call_take_error(call);
		ck_ok(nova_call_code(call));
	}
	nova_result_t *result = nova_call_take_result(run);
	ck_assert_str_eq(nova_result_stdout(result, NULL), "said\n");
	nova_result_free(result);
	nova_call_t *all[] = { first, init, run, called, started_later };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		nova_call_free(all[i]);
	nova_vm_free(vm);
	nova_vm_free(other);
	gate_free(&gate);
	tear_down(&s);
}
END_TEST

static TCase *usual_cases(void)
{
	TCase *tc = tcase_create("usual");
	if (!is_fake()) {
		tcase_add_test(tc,
			commands_snapshots_forks_and_calls_are_handed_in_at_once_and_done_in_order);
		return tc;
	}
	tcase_add_test(tc, a_vm_is_started_given_a_function_and_used_through_a_queue);
	tcase_add_test(tc, an_instance_is_started_and_its_lent_vm_used_through_a_queue);
	tcase_add_test(tc, calls_in_one_vm_take_no_more_threads_than_can_be_inside_it);
	tcase_add_test(tc, calls_in_one_vm_are_done_in_the_order_in_which_they_came);
	tcase_add_test(
		tc, what_has_to_be_alone_waits_for_those_before_it_and_holds_up_those_behind);
	tcase_add_test(tc, those_behind_a_cancelled_one_that_had_to_be_alone_go_on);
	return tc;
}

static TCase *hard_cases(void)
{
	TCase *tc = tcase_create("hard");
	if (!is_fake())
		return tc;
	tcase_add_test(tc, a_call_of_each_kind_that_is_cancelled_before_it_begins_does_nothing);
	tcase_add_test(tc, a_call_of_each_kind_cancelled_while_it_is_under_way_leaves_nothing);
	tcase_add_test(tc, a_token_in_the_options_ends_a_call_of_a_queue_too);
	tcase_add_test(tc, a_queue_is_freed_with_calls_of_each_kind_waiting_under_way_and_finished);
	tcase_add_test(tc, a_vm_is_freed_with_calls_in_every_state_and_each_says_that_it_is_lost);
	tcase_add_test(tc, a_call_that_is_freed_with_what_it_has_made_ends_that);
	tcase_add_test(tc, what_fails_in_a_call_of_each_kind_is_told_by_that_call);
	tcase_add_test(tc, a_function_in_a_vm_that_fails_gives_both_its_result_and_its_error);
	tcase_add_test(tc, a_request_that_is_wrong_is_refused_when_it_is_submitted);
	tcase_add_test(tc, what_options_point_to_may_go_as_soon_as_the_call_is_submitted);
	return tc;
}

static Suite *jobs_suite(void)
{
	Suite *suite = suite_create("jobs");
	TCase *(*const parts[])(void) = { usual_cases, hard_cases };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		TCase *tc = parts[i]();
		tcase_set_timeout(tc, 300);
		suite_add_tcase(suite, tc);
	}
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, jobs_suite);
}
