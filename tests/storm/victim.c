/* SPDX-License-Identifier: MIT */
/*
 * A host program that is made to be killed: victim LOG SEED SLOT THREADS ENGINE FIRST works on the
 * state directory for ever, beginning with the verb FIRST. It tells the descriptor LOG what it is
 * about to do and what came of it, one write(2) a line: what stands there has been done, whatever
 * happens next. model.py has the format. victim LOG check does what the next user of the directory
 * would do: it uses all that is there.
 *
 * With NOVA_POOL_HOT=auto it waits for a zygote before it begins, and for a child of it that is
 * parked; half of its calls want a VM of their own.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nova/nova.h>

#define MAX_THREADS 8

static nova_t *nova;
static int log_fd;
static bool has_snapshots, is_hot;

struct worker {
	const char *slot;
	unsigned number, seed;
	unsigned names; /* how many functions and snapshots it has */
	bool instance;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	char line[2048]; /* a write of less than PIPE_BUF is never cut in two */
	va_list args;
	va_start(args, format);
	int len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\n';
	if (write(log_fd, line, (size_t)len + 1) != len + 1)
		_exit(3);
}

static unsigned draw(struct worker *w, unsigned below)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 16) % below;
}

/* "E thread code text": the text is an answer, or the message of the error. */
static void tell(struct worker *w, int code, const char *text, nova_error_t *error)
{
	say("E %s%u %s %s", w->slot, w->number, nova_code_name(code),
		code ? nova_error_message(error) : text);
	nova_error_free(error);
}

static void tell_result(struct worker *w, int code, nova_result_t *result, nova_error_t *error)
{
	if (code == 0)
		say("path %s %s", nova_result_path(result), nova_result_path_why(result));
	tell(w, code, code ? "" : nova_result_output(result, NULL), error);
	nova_result_free(result);
}

/* --- functions --- */

static void add(struct worker *w, const char *name, unsigned number)
{
	char code[64];
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_error_t *error = NULL;
	snprintf(code, sizeof(code), "echo %u", number);
	opts.name = name;
	opts.runtime = "shell";
	opts.code = code;
	opts.code_len = strlen(code);
	opts.flags = NOVA_REGISTER_REPLACE;
	say("B %s%u register %s %u", w->slot, w->number, name, number);
	int result = nova_function_register(nova, &opts, NULL, &error);
	tell(w, result, "", error);
}

static void erase(struct worker *w, const char *name)
{
	nova_error_t *error = NULL;
	say("B %s%u delete %s", w->slot, w->number, name);
	int code = nova_function_delete(nova, name, 0, &error);
	tell(w, code, "", error);
}

static void prune(struct worker *w)
{
	nova_error_t *error = NULL;
	say("B %s%u prune", w->slot, w->number);
	int code = nova_template_prune(nova_host_get(nova), 0, NULL, &error);
	tell(w, code, "", error);
}

static void call(struct worker *w, const char *name)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_error_t *error = NULL;
	nova_result_t *result;
	opts.flags = is_hot && draw(w, 2) ? NOVA_INVOKE_FRESH : 0;
	say("B %s%u invoke %s", w->slot, w->number, name);
	int code = nova_invoke(nova, name, "{}", &opts, &result, &error);
	tell_result(w, code, result, error);
}

static void build(struct worker *w, const char *name)
{
	nova_error_t *error = NULL;
	say("B %s%u build %s", w->slot, w->number, name);
	int code = nova_template_build(nova, name, NULL, &error);
	tell(w, code, "", error);
}

/* --- instances --- */

static void start(struct worker *w, const char *name)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	nova_error_t *error = NULL;
	opts.function = "keeps";
	opts.name = name;
	say("B %s%u start %s", w->slot, w->number, name);
	int code = nova_instance_start(nova, &opts, NULL, &error);
	w->instance = code == 0;
	tell(w, code, "", error);
}

static void stop(struct worker *w, const char *name)
{
	nova_instance_t *instance;
	nova_error_t *error = NULL;
	w->instance = false;
	say("B %s%u stop %s", w->slot, w->number, name);
	int code = nova_instance_get(nova, name, &instance, &error);
	if (code == 0) {
		code = nova_instance_stop(instance, 0, &error);
		nova_instance_free(instance);
	}
	tell(w, code, "", error);
}

/* --- snapshots --- */

/* The function keeps what it was told in its guest, and answers what it was told before. */
static void take(struct worker *w, const char *name)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_error_t *error = NULL;
	nova_result_t *result;
	char payload[16];
	snprintf(payload, sizeof(payload), "%u", draw(w, 1000));
	opts.checkpoint_name = name;
	say("B %s%u snapshot %s %s", w->slot, w->number, name, payload);
	int code = nova_invoke(nova, "keeps", payload, &opts, &result, &error);
	tell_result(w, code, result, error);
}

static int branch_from(const char *name, nova_result_t **ret_result, nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.snapshot = name;
	return nova_invoke(nova, "keeps", "{}", &opts, ret_result, error);
}

static void branch(struct worker *w, const char *name)
{
	nova_error_t *error = NULL;
	nova_result_t *result;
	say("B %s%u branch %s", w->slot, w->number, name);
	int code = branch_from(name, &result, &error);
	tell_result(w, code, result, error);
}

static void drop(struct worker *w, const char *name)
{
	nova_error_t *error = NULL;
	say("B %s%u drop %s", w->slot, w->number, name);
	int code = nova_snapshot_delete(nova_host_get(nova), name, &error);
	tell(w, code, "", error);
}

static int fork_restored(const char *name, nova_result_t **ret_result, nova_error_t **error)
{
	nova_host_t *host = nova_host_get(nova);
	nova_snapshot_t *snapshot = NULL;
	nova_vm_t *parent = NULL, *children[2] = { NULL, NULL };
	int code = nova_snapshot_open(host, name, &snapshot, error);
	if (code == 0)
		code = nova_vm_restore(host, snapshot, NULL, &parent, error);
	if (code == 0)
		code = nova_vm_fork(parent, 2, NULL, children, error);
	if (code == 0)
		code = nova_vm_invoke(children[1], "{}", NULL, ret_result, error);
	nova_vm_free(children[0]);
	nova_vm_free(children[1]);
	nova_vm_free(parent);
	nova_snapshot_free(snapshot);
	return code;
}

static void fork_from(struct worker *w, const char *name)
{
	nova_error_t *error = NULL;
	nova_result_t *result = NULL;
	say("B %s%u fork %s", w->slot, w->number, name);
	int code = fork_restored(name, &result, &error);
	tell_result(w, code, result, error);
}

/* --- life --- */

static void name_one(char name[32], char kind, struct worker *w)
{
	snprintf(name, 32, "%c%s%u-%u", kind, w->slot, w->number, draw(w, w->names));
}

static void use_functions(struct worker *w)
{
	char name[32];
	name_one(name, 'f', w);
	unsigned what = draw(w, has_snapshots ? 11 : 10);
	if (what < 3)
		/* each costs a template, if there are any */
		add(w, name, draw(w, has_snapshots ? 3 : 1000));
	else if (what < 4)
		erase(w, name);
	else if (what < 9)
		call(w, name);
	else if (what < 10 && has_snapshots)
		build(w, name);
	else if (has_snapshots)
		prune(w);
}

static void use_instance(struct worker *w)
{
	char name[32];
	snprintf(name, sizeof(name), "i%s%u", w->slot, w->number);
	if (w->instance)
		stop(w, name);
	else
		start(w, name);
}

static void use_snapshots(struct worker *w)
{
	char name[32];
	name_one(name, 's', w);
	unsigned what = draw(w, 6);
	if (what < 2)
		take(w, name);
	else if (what < 3)
		drop(w, name);
	else if (what < 4)
		fork_from(w, name);
	else
		branch(w, name);
}

static bool begin_with_function(struct worker *w, const char *verb)
{
	char name[32];
	name_one(name, 'f', w);
	unsigned number = draw(w, !has_snapshots || !strcmp(verb, "build") ? 1000 : 3);
	if (!strcmp(verb, "register"))
		add(w, name, number);
	else if (!strcmp(verb, "delete"))
		add(w, name, number), erase(w, name);
	else if (!strcmp(verb, "invoke"))
		add(w, name, number), call(w, name);
	else if (!strcmp(verb, "build"))
		add(w, name, number), build(w, name);
	else if (!strcmp(verb, "prune"))
		prune(w);
	else
		return false;
	return true;
}

/* What the verb needs is made first. */
static void begin_with(struct worker *w, const char *verb)
{
	char name[32];
	if (begin_with_function(w, verb))
		return;
	name_one(name, 's', w);
	if (!strcmp(verb, "start"))
		use_instance(w);
	else if (!strcmp(verb, "stop"))
		use_instance(w), use_instance(w);
	else if (!strcmp(verb, "snapshot"))
		drop(w, name), take(w, name);
	else if (!strcmp(verb, "drop"))
		take(w, name), drop(w, name);
	else if (!strcmp(verb, "branch"))
		take(w, name), branch(w, name);
	else if (!strcmp(verb, "fork"))
		take(w, name), fork_from(w, name);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	for (;;) {
		unsigned what = draw(w, 10);
		if (what < 1)
			use_instance(w);
		else if (what < 5 && has_snapshots)
			use_snapshots(w);
		else
			use_functions(w);
	}
	return NULL;
}

/* Zygotes, and children of them ahead of calls, are made by ticks. */
static void *tick(void *unused)
{
	(void)unused;
	for (;;) {
		nova_pool_tick(nova_pool_get(nova));
		usleep(10000);
	}
	return NULL;
}

/* Calls of the function that stays, each in a VM of its own, until one comes from a zygote. */
static void warm_up(struct worker *w)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.flags = NOVA_INVOKE_FRESH;
	for (const char *path = "classic"; strcmp(path, "parked") != 0;) {
		nova_error_t *error = NULL;
		nova_result_t *result = NULL;
		int code = nova_invoke(nova, "keeps", "{}", &opts, &result, &error);
		path = code == 0 ? nova_result_path(result) : path;
		if (code == 0)
			say("path %s %s", path, nova_result_path_why(result));
		if (code != 0)
			say("failed %s%u warm: %s", w->slot, w->number, nova_error_message(error));
		nova_result_free(result);
		nova_error_free(error);
	}
}

static void be_a_victim(char **argv)
{
	static struct worker workers[MAX_THREADS];
	pthread_t thread;
	unsigned seed = (unsigned)atoi(argv[2]), threads = (unsigned)atoi(argv[4]);
	for (unsigned i = 0; i < threads && i < MAX_THREADS; i++)
		workers[i] = (struct worker){
			.slot = argv[3],
			.number = i,
			.seed = seed * MAX_THREADS + i,
			.names = has_snapshots ? 1 : 2,
		};
	for (unsigned i = 1; i < threads && i < MAX_THREADS; i++)
		pthread_create(&thread, NULL, work, &workers[i]);
	if (is_hot && pthread_create(&thread, NULL, tick, NULL) == 0)
		warm_up(&workers[0]);
	begin_with(&workers[0], argv[6]);
	work(&workers[0]);
}

/* --- the next user --- */

static void check_functions(void)
{
	nova_function_t **list;
	size_t count;
	nova_error_t *error = NULL;
	if (nova_function_list(nova, NULL, &list, &count, &error) != 0)
		say("failed list: %s", nova_error_message(error));
	for (size_t i = 0; !error && i < count; i++) {
		nova_error_t *failure = NULL;
		nova_result_t *result;
		const char *name = nova_function_name(list[i]);
		if (nova_invoke(nova, name, "{}", NULL, &result, &failure) == 0)
			say("function %s %s", name, nova_result_output(result, NULL));
		else
			say("failed %s: %s", name, nova_error_message(failure));
		nova_result_free(result);
		nova_error_free(failure);
	}
	if (!error)
		nova_function_list_free(list, count);
	nova_error_free(error);
}

static void check_snapshots(void)
{
	nova_snapshot_t **list;
	size_t count;
	nova_error_t *error = NULL;
	if (nova_snapshot_list(nova_host_get(nova), &list, &count, &error) != 0)
		say("failed snapshots: %s", nova_error_message(error));
	for (size_t i = 0; !error && i < count; i++) {
		nova_error_t *failure = NULL;
		nova_result_t *result;
		const char *name = nova_snapshot_name(list[i]);
		if (branch_from(name, &result, &failure) == 0)
			say("snapshot %s %s", name, nova_result_output(result, NULL));
		else
			say("failed %s: %s", name, nova_error_message(failure));
		nova_result_free(result);
		nova_error_free(failure);
	}
	if (!error)
		nova_snapshot_list_free(list, count);
	nova_error_free(error);
}

static void check_templates(void)
{
	nova_snapshot_t **list;
	size_t count;
	nova_error_t *error = NULL;
	if (nova_template_list(nova_host_get(nova), &list, &count, &error) != 0)
		say("failed templates: %s", nova_error_message(error));
	for (size_t i = 0; !error && i < count; i++)
		say("template %s", nova_snapshot_id(list[i]));
	if (!error)
		nova_snapshot_list_free(list, count);
	nova_error_free(error);
}

static void pass_on_log(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata;
	say("log %d %s: %s", level, module, text);
}

int main(int argc, char **argv)
{
	nova_error_t *error = NULL;
	if (argc != 3 && argc != 7)
		return 2;
	log_fd = atoi(argv[1]);
	fcntl(log_fd, F_SETFD, FD_CLOEXEC);
	if (nova_open(NULL, &nova, &error) != 0) {
		say("failed open: %s", nova_error_message(error));
		return 1;
	}
	nova_host_set_log(nova_host_get(nova), pass_on_log, NULL, NOVA_LOG_INFO);
	if (argc == 7) {
		const char *hot = getenv("NOVA_POOL_HOT");
		has_snapshots = strcmp(argv[5], "fake") != 0;
		is_hot = hot && !strcmp(hot, "auto");
		be_a_victim(argv);
	}
	check_templates();
	check_functions();
	check_snapshots();
	nova_close(nova);
	return 0;
}
