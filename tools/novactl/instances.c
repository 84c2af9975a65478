/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does for the instance verbs. What the library's queue can perform is a call of
 * it; the rest is done at once or, if it may wait for a VM, by a thread.
 */
#include "daemon.h"

#define LOOK_MS 100 /* how often a VM is looked at whose client does not read */

static nova_t *nova_of(const struct job *job)
{
	return ((const struct daemon *)job_userdata(job))->nova;
}

static json_t *instance_json(nova_instance_t *instance)
{
	char *text = need(nova_instance_to_json(instance));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	return json;
}

static void reply_with(struct job *job, const char *member, json_t *value)
{
	json_object_set_new(job_reply(job), member, need(value));
}

/* An error of its VM speaks of that alone. */
static void fail(struct job *job, bool of_one, const nova_error_t *error)
{
	char text[2048];
	const char *name = job_text(job, "name"), *message = nova_error_message(error);
	bool names_it = !of_one || strstr(message, "instance '");
	snprintf(text, sizeof(text), "instance '%.80s': %.1900s", name ? name : "", message);
	job_fail(job, nova_error_code(error), nova_error_outcome(error), names_it ? message : text);
}

static int find(struct job *job, nova_instance_t **ret_instance, nova_error_t **error)
{
	const char *name = job_text(job, "name");
	return nova_instance_get(nova_of(job), name ? name : "", ret_instance, error);
}

/* --- what is a call of the queue --- */

static int submit_start(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = job_text(job, "function");
	opts.name = job_text(job, "name");
	opts.snapshot = job_text(job, "snapshot");
	opts.memory_mb = job_number(job, "memory_mb");
	opts.vcpus = job_number(job, "vcpus");
	opts.userdata = job;
	return nova_queue_submit_instance_start(queue, &opts, ret_call, error);
}

static void collect_start(struct job *job, nova_call_t *call)
{
	nova_instance_t *instance = nova_call_take_instance(call);
	nova_error_t *error = nova_call_take_error(call);
	if (error)
		job_fail_by(job, error);
	else
		reply_with(job, "instance", instance_json(instance));
	if (instance && job_is_canceled(job)) { /* it has come too late for who wanted it */
		nova_vm_kill(nova_instance_vm(instance)); /* or the loop would wait for its end */
		nova_instance_stop(instance, 1, NULL);
	}
	nova_error_free(error);
	nova_instance_free(instance);
}

/* A client that reads slowly holds its command up. */
static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	struct job *job = userdata;
	const char *part = stream == 2 ? "stderr" : "stdout";
	while (!job_print_within(job, part, data, len, LOOK_MS) &&
		nova_instance_state(job_held(job)) != NOVA_VM_DEAD)
		;
}

static int submit_exec(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const json_t *words = json_object_get(job_options(job), "argv");
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	opts.argc = json_array_size(words);
	const char **argv = need(calloc(opts.argc + 1, sizeof(*argv)));
	for (size_t i = 0; i < opts.argc; i++)
		argv[i] = json_string_value(json_array_get(words, i));
	opts.argv = argv;
	opts.timeout_ms = job_number(job, "timeout_ms");
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = job_stdin(job);
	opts.on_output = on_output;
	opts.userdata = job;
	int code = nova_queue_submit_vm_command(
		queue, nova_instance_vm(job_held(job)), &opts, ret_call, error);
	free(argv);
	return code;
}

static void reply_exec(struct job *job, nova_call_t *call)
{
	CLEANUP(result_freep) nova_result_t *result = nova_call_take_result(call);
	reply_with(job, "exit_code", json_integer(nova_result_exit_code(result)));
}

static int submit_snapshot(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = job_text(job, "snapshot");
	opts.userdata = job;
	return nova_queue_submit_vm_snapshot(
		queue, nova_instance_vm(job_held(job)), &opts, ret_call, error);
}

static void reply_snapshot(struct job *job, nova_call_t *call)
{
	nova_snapshot_t *snapshot = nova_call_take_snapshot(call);
	reply_with(job, "snapshot", json_string(nova_snapshot_id(snapshot)));
	nova_snapshot_free(snapshot);
}

/* A call in the VM of an instance, whose handle is kept meanwhile. */
struct call_verb {
	int (*submit)(
		struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error);
	void (*reply)(struct job *job, nova_call_t *call); /* of one that succeeded */
};

static void release(void *instance)
{
	nova_instance_free(instance);
}

static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const struct call_verb *verb = job_verb(job)->context;
	nova_instance_t *instance;
	int code = find(job, &instance, error);
	if (code == 0) {
		job_hold(job, instance, release);
		code = verb->submit(job, queue, ret_call, error);
	}
	if (code == 0)
		return 0;
	fail(job, true, *error);
	nova_error_free(*error);
	*error = NULL;
	return code;
}

static void collect(struct job *job, nova_call_t *call)
{
	const struct call_verb *verb = job_verb(job)->context;
	nova_error_t *error = nova_call_take_error(call);
	if (error)
		fail(job, true, error);
	else
		verb->reply(job, call);
	nova_error_free(error);
}

/* --- what is none: each adds to the reply, or returns the code of its error --- */

static int do_list(struct job *job, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t **list;
	size_t count;
	int code = nova_instance_list(nova_of(job), &list, &count, error);
	if (code < 0)
		return code;
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, instance_json(list[i]));
	nova_instance_list_free(list, count);
	reply_with(job, "instances", array);
	return 0;
}

static int do_get(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	(void)error;
	reply_with(job, "instance", instance_json(instance));
	return 0;
}

static nova_wait_opts wait_of(const struct job *job)
{
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = job_interrupt(job);
	return wait;
}

static int do_pause(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(job);
	int code = nova_vm_pause(nova_instance_vm(instance), &wait, error);
	return code < 0 ? code : do_get(job, instance, error);
}

static int do_resume(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(job);
	int code = nova_vm_resume(nova_instance_vm(instance), &wait, error);
	return code < 0 ? code : do_get(job, instance, error);
}

static int do_stats(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	static const char *const names[] = {
		[NOVA_VM_STAT_PSS] = "pss",
		[NOVA_VM_STAT_PRIVATE] = "private",
		[NOVA_VM_STAT_SHARED] = "shared",
		[NOVA_VM_STAT_RSS] = "rss",
		[NOVA_VM_STAT_CPU_US] = "cpu_us",
		[NOVA_VM_STAT_START_US] = "start_us",
		[NOVA_VM_STAT_BOOT_US] = "boot_us",
		[NOVA_VM_STAT_INIT_US] = "init_us",
		[NOVA_VM_STAT_STOOD_STILL_US] = "stood_still_us",
		[NOVA_VM_STAT_MERGED] = "merged",
	};
	uint64_t values[ARRAY_LEN(names)];
	int code = nova_vm_stats(nova_instance_vm(instance), values, ARRAY_LEN(values), error);
	if (code < 0)
		return code;
	json_t *stats = need(json_object());
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		json_object_set_new(stats, names[i], json_integer((json_int_t)values[i]));
	reply_with(job, "stats", stats);
	return 0;
}

static int do_console(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	(void)error;
	char *text = nova_vm_console(nova_instance_vm(instance));
	if (text)
		job_print(job, "stdout", text, strlen(text));
	nova_free(text);
	return 0;
}

static int do_stop(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	return nova_instance_stop(instance, job_number(job, "grace_ms"), error);
}

/* --- the verbs --- */

struct instance_verb {
	bool of_one; /* the request names an instance */
	int (*run)(struct job *job, nova_instance_t *instance, nova_error_t **error);
};

static void perform(struct job *job)
{
	nova_error_t *error = NULL;
	nova_instance_t *instance = NULL;
	const struct instance_verb *verb = job_verb(job)->context;
	int code = verb->of_one ? find(job, &instance, &error) : 0;
	if (code == 0)
		code = verb->run(job, instance, &error);
	if (code < 0)
		fail(job, verb->of_one, error);
	nova_instance_free(instance);
	nova_error_free(error);
}

const struct job_verb served_instance_start = {
	.name = "instance start",
	.submit = submit_start,
	.collect = collect_start,
};

const struct job_verb served_instance_exec = {
	.name = "instance exec",
	.submit = submit,
	.collect = collect,
	.context = &(const struct call_verb){ submit_exec, reply_exec },
};

const struct job_verb served_instance_snapshot = {
	.name = "instance snapshot",
	.submit = submit,
	.collect = collect,
	.context = &(const struct call_verb){ submit_snapshot, reply_snapshot },
};

const struct job_verb served_instance_list = {
	.name = "instance list",
	.answer = perform,
	.context = &(const struct instance_verb){ false, do_list },
};

const struct job_verb served_instance_get = {
	.name = "instance get",
	.answer = perform,
	.context = &(const struct instance_verb){ true, do_get },
};

const struct job_verb served_instance_stats = {
	.name = "instance stats",
	.work = perform,
	.context = &(const struct instance_verb){ true, do_stats },
};

const struct job_verb served_instance_console = {
	.name = "instance console",
	.work = perform,
	.context = &(const struct instance_verb){ true, do_console },
};

const struct job_verb served_instance_pause = {
	.name = "instance pause",
	.work = perform,
	.context = &(const struct instance_verb){ true, do_pause },
};

const struct job_verb served_instance_resume = {
	.name = "instance resume",
	.work = perform,
	.context = &(const struct instance_verb){ true, do_resume },
};

const struct job_verb served_instance_stop = {
	.name = "instance stop",
	.work = perform,
	.context = &(const struct instance_verb){ true, do_stop },
};
