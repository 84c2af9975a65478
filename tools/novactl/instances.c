/* SPDX-License-Identifier: MIT */
/* What the daemon does for the instance verbs. Those that wait for a VM have a thread each. */
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

/* --- each adds to the reply, or returns the code of its error --- */

static int do_start(struct job *job, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t *instance = NULL;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = job_text(job, "function");
	opts.name = job_text(job, "name");
	opts.snapshot = job_text(job, "snapshot");
	opts.memory_mb = job_number(job, "memory_mb");
	opts.vcpus = job_number(job, "vcpus");
	opts.interrupt = job_interrupt(job);
	int code = nova_instance_start(nova_of(job), &opts, &instance, error);
	if (code == 0)
		reply_with(job, "instance", instance_json(instance));
	if (code == 0 && job_is_canceled(job))
		nova_instance_stop(instance, 1, NULL); /* it has come too late for who wanted it */
	nova_instance_free(instance);
	return code;
}

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

static int do_snapshot(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	nova_snapshot_t *snapshot = NULL;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = job_text(job, "snapshot");
	opts.interrupt = job_interrupt(job);
	int code = nova_vm_snapshot(nova_instance_vm(instance), &opts, &snapshot, error);
	if (code == 0)
		reply_with(job, "snapshot", json_string(nova_snapshot_id(snapshot)));
	nova_snapshot_free(snapshot);
	return code;
}

static int do_stop(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	return nova_instance_stop(instance, job_number(job, "grace_ms"), error);
}

struct command {
	struct job *job;
	nova_instance_t *instance;
};

/* A client that reads slowly holds its command up. */
static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	const struct command *command = userdata;
	const char *part = stream == 2 ? "stderr" : "stdout";
	while (!job_print_within(command->job, part, data, len, LOOK_MS) &&
		nova_instance_state(command->instance) != NOVA_VM_DEAD)
		;
}

static int do_exec(struct job *job, nova_instance_t *instance, nova_error_t **error)
{
	const json_t *words = json_object_get(job_options(job), "argv");
	struct command command = { job, instance };
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	CLEANUP(result_freep) nova_result_t *result = NULL;
	opts.argc = json_array_size(words);
	const char **argv = need(calloc(opts.argc + 1, sizeof(*argv)));
	for (size_t i = 0; i < opts.argc; i++)
		argv[i] = json_string_value(json_array_get(words, i));
	opts.argv = argv;
	opts.interrupt = job_interrupt(job);
	opts.timeout_ms = job_number(job, "timeout_ms");
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = job_stdin(job);
	opts.on_output = on_output;
	opts.userdata = &command;
	int code = nova_vm_command(nova_instance_vm(instance), &opts, &result, error);
	if (code == 0)
		reply_with(job, "exit_code", json_integer(nova_result_exit_code(result)));
	free(argv);
	return code;
}

/* --- the verbs --- */

struct instance_verb {
	bool of_one; /* the request names an instance */
	int (*run)(struct job *job, nova_instance_t *instance, nova_error_t **error);
};

static int perform(struct job *job, const struct instance_verb *verb, nova_error_t **error)
{
	const char *name = job_text(job, "name");
	nova_instance_t *instance = NULL;
	int code = verb->of_one ?
			   nova_instance_get(nova_of(job), name ? name : "", &instance, error) :
			   0;
	if (code == 0)
		code = verb->run(job, instance, error);
	nova_instance_free(instance);
	return code;
}

static void serve(struct job *job)
{
	char text[2048];
	nova_error_t *error = NULL;
	const struct instance_verb *verb = job_verb(job)->context;
	if (perform(job, verb, &error) >= 0)
		return;
	const char *name = job_text(job, "name"), *message = nova_error_message(error);
	/* An error of its VM speaks of that alone. */
	bool names_it = !verb->of_one || strstr(message, "instance '");
	snprintf(text, sizeof(text), "instance '%.80s': %.1900s", name ? name : "", message);
	job_fail(job, nova_error_code(error), nova_error_outcome(error), names_it ? message : text);
	nova_error_free(error);
}

const struct job_verb served_instance_start = {
	.name = "instance start",
	.work = serve,
	.context = &(const struct instance_verb){ false, do_start },
};

const struct job_verb served_instance_list = {
	.name = "instance list",
	.answer = serve,
	.context = &(const struct instance_verb){ false, do_list },
};

const struct job_verb served_instance_get = {
	.name = "instance get",
	.answer = serve,
	.context = &(const struct instance_verb){ true, do_get },
};

const struct job_verb served_instance_exec = {
	.name = "instance exec",
	.work = serve,
	.context = &(const struct instance_verb){ true, do_exec },
};

const struct job_verb served_instance_pause = {
	.name = "instance pause",
	.work = serve,
	.context = &(const struct instance_verb){ true, do_pause },
};

const struct job_verb served_instance_resume = {
	.name = "instance resume",
	.work = serve,
	.context = &(const struct instance_verb){ true, do_resume },
};

const struct job_verb served_instance_snapshot = {
	.name = "instance snapshot",
	.work = serve,
	.context = &(const struct instance_verb){ true, do_snapshot },
};

const struct job_verb served_instance_stop = {
	.name = "instance stop",
	.work = serve,
	.context = &(const struct instance_verb){ true, do_stop },
};
