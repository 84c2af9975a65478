/* SPDX-License-Identifier: MIT */
/* A VM with a function, and callers of it in threads of their own, which post on a board what has
 * happened. */
#ifndef NOVA_TESTS_CALLERS_H
#define NOVA_TESTS_CALLERS_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "vm/object.h"
#include "vmtest.h"

/* Says that it has begun, and waits until there is a file of that name; then it answers with its
 * input. */
#define SHELL_WAITS "echo begun >&2; while ! [ -e %s ]; do sleep 0.05; done; cat \"$1\"\n"
#define PYTHON_WAITS                                                                               \
	"import os, time\n"                                                                        \
	"def handler(event):\n"                                                                    \
	"    print('begun', flush=True)\n"                                                         \
	"    while not os.path.exists('%s'):\n"                                                    \
	"        time.sleep(0.02)\n"                                                               \
	"    return event\n"
#define SHELL_NEVER_ENDS "trap '' TERM INT; echo begun; while :; do sleep 1000; done\n"

/* --- setting --- */

struct setting {
	char *dir;
	nova_config_t *config;
	nova_host_t *host;
	nova_vm_t *vm;
};

static char go[64]; /* the file; on the fake engine its /tmp is the one of this machine */

static inline struct setting set_up(const char *runtime, const char *source, uint32_t concurrency)
{
	struct setting s = { .dir = vmtest_take_home() };
	s.config = vmtest_config(s.dir);
	ck_ok(nova_host_new(s.config, &s.host, &error));
	AUTO_FREE char *disk = str_format("%s/code.ext4", s.dir);
	nova_disk_opts code = NOVA_DISK_OPTS_INIT;
	code.data = source;
	code.data_len = strlen(source);
	ck_ok(nova_disk_build(disk, &code, &error));
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.rootfs = strcmp(runtime, "python") ? "base" : "python";
	opts.code_disk = disk;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = runtime;
	init.concurrency = concurrency;
	s.vm = vmtest_clone(s.host, &opts, &init);
	return s;
}

static inline struct setting set_up_waiting(const char *runtime, uint32_t concurrency)
{
	snprintf(go, sizeof(go), "/tmp/nova-go-%d", (int)getpid());
	AUTO_FREE char *source = strcmp(runtime, "python") ? str_format(SHELL_WAITS, go) :
							     str_format(PYTHON_WAITS, go);
	return set_up(runtime, source, concurrency);
}

static inline void tear_down(struct setting *s)
{
	unlink(go);
	nova_vm_free(s->vm);
	nova_host_unref(s->host);
	vmtest_nothing_left(s->dir);
	nova_config_free(s->config);
	vmtest_leave_home(s->dir);
}

/* --- callers: one thread each --- */

struct caller {
	nova_vm_t *vm;
	const char *id, *payload;
	uint32_t timeout_ms;
	void (*in_output)(struct caller *); /* runs in each call of on_output; NULL: nothing */
	struct caller *other;
	pthread_t thread;
	size_t output; /* bytes that on_output was given */
	bool begun, ended;
	int code;
	nova_result_t *result;
	nova_error_t *failure;
};

static pthread_mutex_t board_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t board_changed = PTHREAD_COND_INITIALIZER;

static inline void post(bool *what)
{
	pthread_mutex_lock(&board_lock);
	*what = true;
	pthread_cond_broadcast(&board_changed);
	pthread_mutex_unlock(&board_lock);
}

static inline void await(const bool *what)
{
	pthread_mutex_lock(&board_lock);
	while (!*what)
		pthread_cond_wait(&board_changed, &board_lock);
	pthread_mutex_unlock(&board_lock);
}

static inline bool has(const bool *what)
{
	pthread_mutex_lock(&board_lock);
	bool is = *what;
	pthread_mutex_unlock(&board_lock);
	return is;
}

static inline void on_output(void *userdata, int stream, const void *data, size_t len)
{
	struct caller *c = userdata;
	(void)stream, (void)data;
	c->output += len;
	post(&c->begun);
	if (c->in_output)
		c->in_output(c);
}

static inline void *call(void *argument)
{
	struct caller *c = argument;
	c->code = nova_vm_invoke(c->vm, c->payload,
		&(nova_vm_invoke_opts){ sizeof(nova_vm_invoke_opts), .timeout_ms = c->timeout_ms,
			.request_id = c->id, .on_output = on_output, .userdata = c },
		&c->result, &c->failure);
	post(&c->ended);
	return NULL;
}

static inline void begin(struct caller *c, nova_vm_t *vm)
{
	c->vm = vm;
	c->timeout_ms = c->timeout_ms ? c->timeout_ms : 60000;
	c->payload = c->payload ? c->payload : "{}";
	ck_assert_int_eq(pthread_create(&c->thread, NULL, call, c), 0);
}

static inline void end(struct caller *c)
{
	pthread_join(c->thread, NULL);
	nova_error_free(error);
	error = c->failure;
}

static inline void ends_well(struct caller *c)
{
	end(c);
	ck_ok(c->code);
	ck_assert_str_eq(nova_result_output(c->result, NULL), c->payload);
	nova_result_free(c->result);
}

static inline void ends_with(struct caller *c, int code, int outcome, const char *part)
{
	end(c);
	vmtest_failed(code, c->code, outcome, part);
	ck_assert_int_eq(c->result != NULL, outcome == NOVA_OUTCOME_RAN);
	nova_result_free(c->result);
}

static inline void let_them_go(nova_vm_t *vm)
{
	const char *const argv[] = { "touch", go };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	nova_result_t *result;
	opts.argv = argv;
	opts.argc = ARRAY_LEN(argv);
	ck_ok(nova_vm_command(vm, &opts, &result, &error));
	ck_assert_int_eq(nova_result_exit_code(result), 0);
	nova_result_free(result);
}

/* Somebody waits for what the agent says. */
static inline void await_reader(nova_vm_t *vm)
{
	for (bool reads = false; !reads; sched_yield()) {
		pthread_mutex_lock(&vm->lock);
		reads = vm->reader != NULL;
		pthread_mutex_unlock(&vm->lock);
	}
}

/* Somebody stands in line. */
static inline void await_line(nova_vm_t *vm)
{
	for (bool waits = false; !waits; sched_yield()) {
		pthread_mutex_lock(&vm->lock);
		waits = !list_empty(&vm->turns.line);
		pthread_mutex_unlock(&vm->lock);
	}
}

#endif
