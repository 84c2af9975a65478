/* SPDX-License-Identifier: MIT */
/*
 * Threads at random on the fake engine, to be built with the thread sanitizer. What comes of a call
 * is checked only as far as it must hold in any order: an answer is the one of this call, a failure
 * has a code that the headers allow. The numbers are bounded, and drawn from a seed of the test, so
 * that each run does the same things.
 */
#include <pthread.h>

#include "vmtest.h"

#include "pool/pool.h"

#define THREADS 8

struct worker {
	struct platform *p;
	unsigned seed;
	int operations;
	char why[300]; /* "": nothing was wrong */
};

static unsigned draw(struct worker *w, unsigned below)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 16) % below;
}

static void complain(struct worker *w, const char *what, int code, const nova_error_t *failure)
{
	snprintf(w->why, sizeof(w->why), "%s: %s %s", what, nova_code_name(code),
		nova_error_message(failure));
}

static bool any_of(int code, const int *codes)
{
	for (; *codes; codes++)
		if (code == *codes)
			return true;
	return code == 0;
}

/* Runs eight of them and asserts that none has a complaint. */
static void run_threads(struct platform *p, void *(*body)(void *), int operations)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .p = p, .seed = i + 1, .operations = operations };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, body, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_str_eq(workers[i].why, "");
}

/* --- the platform --- */

#define FUNCTIONS 3

static void invoke(struct worker *w, const char *name)
{
	/* It may have been deleted, or its VM killed; with few VMs allowed, the wait may end first.
	 */
	static const int allowed[] = { NOVA_ENOTFOUND, NOVA_ELOST, NOVA_EAGENT, NOVA_ELIMIT, 0 };
	char payload[16];
	nova_result_t *r;
	nova_error_t *failure = NULL;
	snprintf(payload, sizeof(payload), "%u", draw(w, 1000));
	int code = nova_invoke(w->p->nova, name, payload, NULL, &r, &failure);
	if (!any_of(code, allowed))
		complain(w, "invoke", code, failure);
	if (code == 0 && strcmp(nova_result_output(r, NULL), payload) != 0)
		snprintf(w->why, sizeof(w->why), "sent %s, got %s", payload,
			nova_result_output(r, NULL));
	nova_result_free(r);
	nova_error_free(failure);
}

static void put(struct worker *w, const char *name)
{
	char source[32];
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_error_t *failure = NULL;
	snprintf(source, sizeof(source), "cat \"$1\" # %u", draw(w, 2));
	opts.name = name;
	opts.runtime = "shell";
	opts.code = source;
	opts.code_len = strlen(source);
	opts.flags = NOVA_REGISTER_REPLACE;
	int code = nova_function_register(w->p->nova, &opts, NULL, &failure);
	if (code < 0)
		complain(w, "register", code, failure);
	nova_error_free(failure);
}

static void erase(struct worker *w, const char *name)
{
	static const int allowed[] = { NOVA_ENOTFOUND, 0 };
	nova_error_t *failure = NULL;
	int code = nova_function_delete(w->p->nova, name, 0, &failure);
	if (!any_of(code, allowed))
		complain(w, "delete", code, failure);
	nova_error_free(failure);
}

static void look(struct worker *w, const char *name)
{
	nova_function_t **list, *function;
	size_t count;
	if (nova_function_get(w->p->nova, name, &function, NULL) == 0)
		nova_function_free(function);
	if (nova_function_list(w->p->nova, NULL, &list, &count, NULL) == 0)
		nova_function_list_free(list, count);
	nova_pool_tick(w->p->pool);
	if (pool_counter(w->p->pool, NOVA_POOL_STARTING) > THREADS)
		snprintf(w->why, sizeof(w->why), "more starts than threads");
}

static void *use_platform(void *argument)
{
	struct worker *w = argument;
	for (int i = 0; i < w->operations && !*w->why; i++) {
		char name[8];
		unsigned what = draw(w, 16);
		snprintf(name, sizeof(name), "f%u", draw(w, FUNCTIONS));
		if (what < 10)
			invoke(w, name);
		else if (what < 12)
			put(w, name);
		else if (what < 13)
			erase(w, name);
		else
			look(w, name);
	}
	return NULL;
}

START_TEST(threads_may_do_everything_with_one_platform_at_once)
{
	struct platform p = platform_open("pool.max_vms", "4", NULL);
	for (int i = 0; i < FUNCTIONS; i++) {
		char name[8];
		snprintf(name, sizeof(name), "f%d", i);
		platform_add(p.nova, name, "shell", "cat \"$1\"");
	}
	run_threads(&p, use_platform, 25);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_STARTING), 0);
	platform_close(&p);
}
END_TEST

/* --- the pool --- */

static void use_vm(struct worker *w, nova_vm_t *vm)
{
	static const int allowed[] = { NOVA_ELOST, NOVA_EAGENT, 0 };
	nova_error_t *failure = NULL;
	if (draw(w, 5) == 0)
		nova_vm_kill(vm);
	int code = nova_vm_ping(vm, 0, NULL, &failure);
	if (!any_of(code, allowed))
		complain(w, "ping", code, failure);
	nova_error_free(failure);
}

static void borrow(struct worker *w, const char *key)
{
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_t *vm;
	nova_error_t *failure = NULL;
	int cold;
	want.key = key;
	want.concurrency = draw(w, 3);
	want.flags = draw(w, 4) == 0 ? NOVA_POOL_FRESH : 0;
	int code = nova_pool_acquire(w->p->pool, &want, &vm, &cold, &failure);
	if (code < 0 && code != NOVA_ELIMIT)
		complain(w, "acquire", code, failure);
	nova_error_free(failure);
	if (code < 0)
		return;
	use_vm(w, vm);
	nova_pool_release(w->p->pool, vm, draw(w, 4) != 0);
}

static void wish(struct worker *w, const char *key)
{
	static const int allowed[] = { NOVA_ELIMIT, 0 };
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_error_t *failure = NULL;
	want.key = key;
	int code = nova_pool_keep(w->p->pool, &want, draw(w, 2), &failure);
	if (!any_of(code, allowed))
		complain(w, "keep", code, failure);
	nova_error_free(failure);
}

static void *cancel(void *argument)
{
	nova_interrupt_trigger(argument);
	return NULL;
}

/* Called off by another thread, whenever that comes to it. */
static void give_up(struct worker *w, const char *key)
{
	static const int allowed[] = { NOVA_ELIMIT, NOVA_ECANCELED, 0 };
	nova_interrupt_t *token;
	pthread_t thread;
	nova_pool_want want = NOVA_POOL_WANT_INIT;
	nova_vm_t *vm;
	nova_error_t *failure = NULL;
	want.key = key;
	if (nova_interrupt_new(&token, NULL) < 0)
		return;
	if (pthread_create(&thread, NULL, cancel, token) != 0) {
		nova_interrupt_free(token);
		return;
	}
	want.interrupt = token;
	int code = nova_pool_acquire(w->p->pool, &want, &vm, NULL, &failure);
	if (!any_of(code, allowed))
		complain(w, "acquire", code, failure);
	if (code == 0)
		nova_pool_release(w->p->pool, vm, 1);
	pthread_join(thread, NULL);
	nova_interrupt_free(token);
	nova_error_free(failure);
}

static void *use_pool(void *argument)
{
	struct worker *w = argument;
	for (int i = 0; i < w->operations && !*w->why; i++) {
		char key[8];
		unsigned what = draw(w, 10);
		snprintf(key, sizeof(key), "k%u", draw(w, FUNCTIONS));
		if (what < 6)
			borrow(w, key);
		else if (what < 7)
			nova_pool_forget(w->p->pool, key);
		else if (what < 8)
			wish(w, key);
		else if (what < 9)
			give_up(w, key);
		else
			nova_pool_tick(w->p->pool);
	}
	return NULL;
}

START_TEST(threads_may_borrow_return_forget_and_kill_at_once)
{
	struct platform p = platform_open("pool.max_vms", "3", "pool.idle_ttl", "5ms",
		"pool.pause_after", "1ms", "pool.thread", _i ? "on" : "off", NULL);
	run_threads(&p, use_pool, 40);
	ck_ok(nova_pool_drain(p.pool, 60000, &error));
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_STARTING), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_WAITING), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_IDLE), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_PAUSED), 0);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_MEMORY_MB), 0);
	platform_close(&p);
}
END_TEST

/* --- one VM --- */

static nova_vm_t *shared; /* of one test; set before its threads begin */

static void *use_shared_vm(void *argument)
{
	struct worker *w = argument;
	static const int allowed[] = { NOVA_ELOST, NOVA_EAGENT, 0 };
	for (int i = 0; i < w->operations && !*w->why; i++) {
		nova_error_t *failure = NULL;
		int code = nova_vm_ping(shared, 0, NULL, &failure);
		if (!any_of(code, allowed))
			complain(w, "ping", code, failure);
		nova_error_free(failure);
		nova_vm_state(shared);
		nova_vm_pid(shared);
		vm_stat(shared, NOVA_VM_STAT_BOOT_US);
		if (draw(w, 10) == 0)
			nova_free(nova_vm_console(shared));
		if (i == w->operations - 1)
			nova_vm_kill(shared);
	}
	return NULL;
}

START_TEST(threads_may_share_one_vm_and_kill_it)
{
	struct platform p = platform_open(NULL);
	ck_ok(nova_vm_start(nova_host_get(p.nova), NULL, &shared, &error));
	run_threads(&p, use_shared_vm, 30);
	ck_assert_int_eq(nova_vm_ping(shared, 0, NULL, NULL), NOVA_ELOST);
	nova_vm_free(shared);
	platform_close(&p);
}
END_TEST

/* Inside a VM that takes several calls, and at its line: calls with output, cancelled by whoever
 * draws their number. */

static void count_output(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream, (void)data;
	*(size_t *)userdata += len;
}

static void call_shared(struct worker *w)
{
	/* EINVAL: the number is taken */
	static const int allowed[] = { NOVA_ECANCELED, NOVA_EINVAL, NOVA_ELOST, NOVA_EAGENT, 0 };
	char id[8], payload[16];
	nova_result_t *r;
	nova_error_t *failure = NULL;
	size_t heard = 0;
	snprintf(id, sizeof(id), "r%u", draw(w, 6));
	snprintf(payload, sizeof(payload), "%u", draw(w, 1000));
	int code = nova_vm_invoke(shared, payload,
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .request_id = id,
			.on_output = draw(w, 2) ? count_output : NULL, .userdata = &heard },
		&r, &failure);
	if (!any_of(code, allowed))
		complain(w, "invoke", code, failure);
	if (code == 0 && strcmp(nova_result_output(r, NULL), payload) != 0)
		snprintf(w->why, sizeof(w->why), "sent %s, got %s", payload,
			nova_result_output(r, NULL));
	nova_result_free(r);
	nova_error_free(failure);
}

static void *use_busy_vm(void *argument)
{
	struct worker *w = argument;
	for (int i = 0; i < w->operations && !*w->why; i++) {
		char id[8];
		unsigned what = draw(w, 20);
		snprintf(id, sizeof(id), "r%u", draw(w, 6));
		if (what < 12)
			call_shared(w);
		else if (what < 17)
			nova_vm_cancel(shared, id);
		else if (what < 18)
			nova_vm_ping(shared, 0, NULL, NULL);
		else if (what < 19)
			vm_stat(shared, NOVA_VM_STAT_BOOT_US);
		else
			nova_free(nova_vm_console(shared));
	}
	if (w->operations > 30)
		nova_vm_kill(shared);
	return NULL;
}

static void give_function(struct platform *p, const char *source)
{
	AUTO_FREE char *disk = str_format("%s/code.ext4", p->dir);
	nova_disk_opts code = NOVA_DISK_OPTS_INIT;
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	code.data = source;
	code.data_len = strlen(source);
	ck_ok(nova_disk_build(disk, &code, &error));
	opts.code_disk = disk;
	ck_ok(nova_vm_start(nova_host_get(p->nova), &opts, &shared, &error));
	init.runtime = "shell";
	init.concurrency = 4;
	ck_ok(nova_vm_init(shared, &init, &error));
}

START_TEST(threads_may_call_and_cancel_in_one_vm_at_once)
{
	struct platform p = platform_open(NULL);
	give_function(&p, "echo heard >&2; cat \"$1\"");
	run_threads(&p, use_busy_vm, 30);
	/* cancelling has cost no more than the calls */
	ck_assert_int_eq(nova_vm_ping(shared, 0, NULL, NULL), 0);
	run_threads(&p, use_busy_vm, 31);
	ck_assert_int_eq(nova_vm_ping(shared, 0, NULL, NULL), NOVA_ELOST);
	nova_vm_free(shared);
	platform_close(&p);
}
END_TEST

/* --- asynchronous calls --- */

static nova_queue_t *queue; /* of the one test below; set before its threads begin */

static void judge_call(struct worker *w, nova_call_t *call)
{
	static const int allowed[] = { NOVA_ECANCELED, NOVA_ELIMIT, 0 };
	int code = nova_call_code(call);
	nova_error_t *failure = nova_call_take_error(call);
	nova_result_t *r = nova_call_take_result(call);
	unsigned *number = nova_call_userdata(call);
	if (!any_of(code, allowed))
		complain(w, "call", code, failure);
	if (code == 0 && (unsigned)atoi(nova_result_output(r, NULL)) != *number)
		snprintf(w->why, sizeof(w->why), "sent %u, got %s", *number,
			nova_result_output(r, NULL));
	nova_error_free(failure);
	nova_result_free(r);
	nova_call_free(call);
	free(number);
}

/* In a thread of the queue. */
static void look_at_queue(void *userdata, int stream, const void *data, size_t len)
{
	(void)userdata, (void)stream, (void)data, (void)len;
	nova_queue_count(queue, NOVA_QUEUE_UNDER_WAY);
}

static void submit_one(struct worker *w)
{
	char name[8], payload[16];
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_error_t *failure = NULL;
	unsigned *number = malloc(sizeof(*number));
	*number = draw(w, 1000);
	opts.on_output = look_at_queue;
	opts.userdata = number;
	snprintf(name, sizeof(name), "f%u", draw(w, FUNCTIONS));
	snprintf(payload, sizeof(payload), "%u", *number);
	int code = nova_queue_submit(queue, name, payload, &opts, NULL, &failure);
	if (code < 0) {
		complain(w, "submit", code, failure);
		free(number);
	}
	nova_error_free(failure);
}

/* A call may be cancelled only by who knows that nobody has freed it: with a queue of one's own, at
 * any moment. */
static void cancel_one(struct worker *w)
{
	nova_queue_t *own;
	nova_call_t *calls[6];
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	opts.threads = 2;
	if (nova_queue_new(w->p->nova, &opts, &own, NULL) < 0)
		return;
	for (int i = 0; i < 6; i++)
		if (nova_queue_submit(own, "f0", "1", NULL, &calls[i], NULL) < 0)
			calls[i] = NULL;
	sys_poll(NULL, 0, (int)draw(w, 8));
	for (int i = 0; i < 4; i++)
		if (calls[i] && draw(w, 2))
			nova_call_cancel(calls[i]);
	nova_call_free(calls[draw(w, 6)]);
	nova_queue_free(own);
}

static void *use_queue(void *argument)
{
	struct worker *w = argument;
	nova_call_t *call;
	for (int i = 0; i < w->operations && !*w->why; i++) {
		unsigned what = draw(w, 8);
		if (what < 4)
			submit_one(w);
		else if (what < 7 &&
			 nova_queue_collect(queue, draw(w, 3), NULL, &call, NULL) == 0 && call)
			judge_call(w, call);
		else if (what == 7 && i % 4 == 0)
			cancel_one(w);
	}
	return NULL;
}

START_TEST(threads_may_submit_collect_and_cancel_at_once)
{
	struct platform p = platform_open("pool.max_vms", "4", NULL);
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	struct worker rest = { .p = &p };
	opts.threads = 8;
	for (int i = 0; i < FUNCTIONS; i++) {
		char name[8];
		snprintf(name, sizeof(name), "f%d", i);
		platform_add(p.nova, name, "shell", "cat \"$1\"");
	}
	ck_ok(nova_queue_new(p.nova, &opts, &queue, &error));
	run_threads(&p, use_queue, 25);
	while (nova_queue_count(queue, NOVA_QUEUE_WAITING) +
		nova_queue_count(queue, NOVA_QUEUE_UNDER_WAY) +
		nova_queue_count(queue, NOVA_QUEUE_FINISHED)) {
		nova_call_t *call;
		ck_ok(nova_queue_collect(queue, 10, NULL, &call, &error));
		if (call)
			judge_call(&rest, call);
	}
	ck_assert_str_eq(rest.why, "");
	nova_queue_free(queue);
	ck_assert_uint_eq(pool_counter(p.pool, NOVA_POOL_BUSY), 0);
	platform_close(&p);
}
END_TEST

/* --- calls of every kind in one queue --- */

enum kind { START, INSTANCE, INIT, INVOKE, COMMAND, FORK, SNAPSHOT, KINDS };

static int submit_kind(struct worker *w, nova_queue_t *q, nova_vm_t *vm, unsigned kind,
	nova_call_t **ret_call, nova_error_t **failure)
{
	static const char *const argv[] = { "echo", "1" };
	const nova_vm_init_opts init = { sizeof(init), .runtime = "shell",
		.concurrency = 1 + draw(w, 4) };
	const nova_vm_command_opts command = { sizeof(command), .argv = argv,
		.argc = ARRAY_LEN(argv), .stdin_fd = -1 };
	const nova_instance_opts instance = { sizeof(instance), .function = "f0" };
	switch (kind) {
	case START:
		return nova_queue_submit_vm_start(q, NULL, ret_call, failure);
	case INSTANCE:
		return nova_queue_submit_instance_start(q, &instance, ret_call, failure);
	case INIT:
		return nova_queue_submit_vm_init(q, vm, &init, ret_call, failure);
	case INVOKE:
		return nova_queue_submit_vm_invoke(q, vm, "1", NULL, ret_call, failure);
	case COMMAND:
		return nova_queue_submit_vm_command(q, vm, &command, ret_call, failure);
	case FORK:
		return nova_queue_submit_vm_fork(q, vm, 2, NULL, ret_call, failure);
	default:
		return nova_queue_submit_vm_snapshot(q, vm, NULL, ret_call, failure);
	}
}

static void judge_kind(struct worker *w, nova_call_t *call)
{
	/* this engine takes no snapshots */
	static const int allowed[] = { NOVA_ENOTSUP, NOVA_ELIMIT, 0 };
	int code = nova_call_code(call);
	nova_error_t *failure = nova_call_take_error(call);
	nova_instance_t *instance = nova_call_take_instance(call);
	if (!any_of(code, allowed))
		complain(w, "call", code, failure);
	if (instance)
		nova_instance_stop(instance, 0, NULL);
	nova_instance_free(instance);
	nova_vm_free(nova_call_take_vm(call));
	nova_error_free(failure);
	nova_call_free(call);
}

/* With a queue and a VM of one's own, either of which goes first. */
static void break_off(struct worker *w)
{
	nova_queue_t *own;
	nova_vm_t *vm;
	nova_call_t *calls[KINDS];
	if (nova_queue_new(w->p->nova, NULL, &own, NULL) < 0)
		return;
	if (nova_vm_start(nova_host_get(w->p->nova), NULL, &vm, NULL) < 0)
		vm = NULL;
	for (unsigned kind = START; vm && kind < KINDS; kind++)
		if (submit_kind(w, own, vm, kind, &calls[kind], NULL) < 0)
			snprintf(w->why, sizeof(w->why), "kind %u is refused", kind);
	sys_poll(NULL, 0, (int)draw(w, 8));
	for (int kind = 0; vm && !*w->why && kind < KINDS; kind++)
		if (draw(w, 3) == 0)
			nova_call_cancel(calls[kind]);
	bool vm_first = draw(w, 2);
	if (vm_first)
		nova_vm_free(vm);
	nova_queue_free(own);
	if (!vm_first)
		nova_vm_free(vm);
}

static void *use_kinds(void *argument)
{
	struct worker *w = argument;
	nova_call_t *call;
	for (int i = 0; i < w->operations && !*w->why; i++) {
		unsigned what = draw(w, 10);
		nova_error_t *failure = NULL;
		int code = 0;
		if (what < KINDS)
			code = submit_kind(w, queue, shared, what, NULL, &failure);
		if (code < 0)
			complain(w, "submit", code, failure);
		nova_error_free(failure);
		if (what == KINDS)
			break_off(w);
		if (nova_queue_collect(queue, draw(w, 3), NULL, &call, NULL) == 0 && call)
			judge_kind(w, call);
	}
	return NULL;
}

START_TEST(threads_may_submit_and_break_off_calls_of_every_kind_at_once)
{
	/* instances whose call nobody takes stay */
	struct platform p = platform_open("pool.max_vms", "1000", NULL);
	nova_queue_opts opts = NOVA_QUEUE_OPTS_INIT;
	struct worker rest = { .p = &p };
	opts.threads = 8;
	platform_add(p.nova, "f0", "shell", "cat \"$1\"");
	give_function(&p, "cat \"$1\"");
	ck_ok(nova_queue_new(p.nova, &opts, &queue, &error));
	run_threads(&p, use_kinds, 15);
	while (nova_queue_count(queue, NOVA_QUEUE_WAITING) +
		nova_queue_count(queue, NOVA_QUEUE_UNDER_WAY) +
		nova_queue_count(queue, NOVA_QUEUE_FINISHED)) {
		nova_call_t *call;
		ck_ok(nova_queue_collect(queue, 10, NULL, &call, &error));
		if (call)
			judge_kind(&rest, call);
	}
	ck_assert_str_eq(rest.why, "");
	ck_ok(nova_vm_ping(shared, 60000, NULL, &error));
	nova_queue_free(queue);
	nova_vm_free(shared);
	platform_close(&p);
}
END_TEST

static Suite *storm_suite(void)
{
	Suite *suite = suite_create("threads");
	TCase *tc = tcase_create("storm");
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, threads_may_do_everything_with_one_platform_at_once);
	tcase_add_loop_test(tc, threads_may_borrow_return_forget_and_kill_at_once, 0, 2);
	tcase_add_test(tc, threads_may_share_one_vm_and_kill_it);
	tcase_add_test(tc, threads_may_call_and_cancel_in_one_vm_at_once);
	tcase_add_test(tc, threads_may_submit_collect_and_cancel_at_once);
	tcase_add_test(tc, threads_may_submit_and_break_off_calls_of_every_kind_at_once);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	return vmtest_main(argc, argv, storm_suite);
}
