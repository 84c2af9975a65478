/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does for the instance verbs. Each may take as long as a VM takes to start or a
 * command to run, so each request has a thread of its own, and the loop goes on meanwhile.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "daemon.h"

struct errand {
	pthread_t thread;
	nova_t *nova;
	int wake; /* eventfd of the loop */
	json_t *request, *reply;
	struct bytes out, err; /* what a command printed */
	nova_interrupt_t *interrupt; /* triggered when its client has gone */
	int canceled;                /* atomic: the same */
	int done;              /* atomic: all above is the loop's again */
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint32_t number_of(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static json_t *instance_json(nova_instance_t *instance)
{
	char *text = need(nova_instance_to_json(instance));
	json_t *json = need(json_loads(text, 0, NULL));
	nova_free(text);
	return json;
}

static void reply_with(struct errand *errand, const char *member, json_t *value)
{
	errand->reply = need(json_pack("{s:o}", member, value));
}

/* --- the verbs. Each fills the reply, or returns the code of its error. --- */

static int do_start(struct errand *errand, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t *instance = NULL;
	nova_instance_opts opts = NOVA_INSTANCE_OPTS_INIT;
	opts.function = text_of(errand->request, "function");
	opts.name = text_of(errand->request, "name");
	opts.snapshot = text_of(errand->request, "snapshot");
	opts.memory_mb = number_of(errand->request, "memory_mb");
	opts.vcpus = number_of(errand->request, "vcpus");
	opts.interrupt = errand->interrupt;
	int code = nova_instance_start(errand->nova, &opts, &instance, error);
	if (code == 0)
		reply_with(errand, "instance", instance_json(instance));
	if (code == 0 && __atomic_load_n(&errand->canceled, __ATOMIC_ACQUIRE))
		nova_instance_stop(instance, 1, NULL); /* it has come too late for who wanted it */
	nova_instance_free(instance);
	return code;
}

static int do_list(struct errand *errand, nova_instance_t *unused, nova_error_t **error)
{
	(void)unused;
	nova_instance_t **list;
	size_t count;
	int code = nova_instance_list(errand->nova, &list, &count, error);
	if (code < 0)
		return code;
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, instance_json(list[i]));
	nova_instance_list_free(list, count);
	reply_with(errand, "instances", array);
	return 0;
}

static int do_get(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	(void)error;
	reply_with(errand, "instance", instance_json(instance));
	return 0;
}

static nova_wait_opts wait_of(const struct errand *errand)
{
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = errand->interrupt;
	return wait;
}

static int do_pause(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(errand);
	int code = nova_instance_pause(instance, &wait, error);
	return code < 0 ? code : do_get(errand, instance, error);
}

static int do_resume(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	nova_wait_opts wait = wait_of(errand);
	int code = nova_instance_resume(instance, &wait, error);
	return code < 0 ? code : do_get(errand, instance, error);
}

static int do_snapshot(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	nova_snapshot_t *snapshot = NULL;
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	opts.name = text_of(errand->request, "snapshot_after");
	opts.interrupt = errand->interrupt;
	int code = nova_instance_snapshot(instance, &opts, &snapshot, error);
	if (code == 0)
		reply_with(errand, "snapshot", need(json_string(nova_snapshot_id(snapshot))));
	nova_snapshot_free(snapshot);
	return code;
}

static int do_stop(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	errand->reply = need(json_object());
	return nova_instance_stop(instance, number_of(errand->request, "grace_ms"), error);
}

static void take_printed(struct errand *errand, const nova_result_t *result)
{
	size_t len;
	const char *text = nova_result_stdout(result, &len);
	bytes_add(&errand->out, text, len);
	text = nova_result_stderr(result, &len);
	bytes_add(&errand->err, text, len);
	errand->reply = need(json_pack("{s:i,s:b}", "exit_code", nova_result_exit_code(result),
		"truncated", nova_result_truncated(result)));
}

static int do_exec(struct errand *errand, nova_instance_t *instance, nova_error_t **error)
{
	const json_t *words = json_object_get(errand->request, "argv");
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	CLEANUP(result_freep) nova_result_t *result = NULL;
	opts.argc = json_array_size(words);
	const char **argv = need(calloc(opts.argc + 1, sizeof(*argv)));
	for (size_t i = 0; i < opts.argc; i++)
		argv[i] = json_string_value(json_array_get(words, i));
	opts.argv = argv;
	opts.interrupt = errand->interrupt;
	opts.timeout_ms = number_of(errand->request, "timeout_ms");
	int code = nova_instance_command(instance, &opts, &result, error);
	if (code == 0)
		take_printed(errand, result);
	free(argv);
	return code;
}

static const struct {
	const char *verb;
	bool of_one; /* the request names an instance */
	int (*run)(struct errand *errand, nova_instance_t *instance, nova_error_t **error);
} errands[] = {
	{ "instance start", false, do_start },
	{ "instance list", false, do_list },
	{ "instance get", true, do_get },
	{ "instance exec", true, do_exec },
	{ "instance pause", true, do_pause },
	{ "instance resume", true, do_resume },
	{ "instance snapshot", true, do_snapshot },
	{ "instance stop", true, do_stop },
};

static size_t find(const char *verb)
{
	size_t i = 0;
	while (i < ARRAY_LEN(errands) && strcmp(errands[i].verb, verb) != 0)
		i++;
	return i;
}

bool errand_knows(const char *verb)
{
	return find(verb) < ARRAY_LEN(errands);
}

static int perform(struct errand *errand, nova_error_t **error)
{
	size_t which = find(text_of(errand->request, "verb"));
	const char *name = text_of(errand->request, "name");
	nova_instance_t *instance = NULL;
	int code = errands[which].of_one
			   ? nova_instance_get(errand->nova, name ? name : "", &instance, error)
			   : 0;
	if (code == 0)
		code = errands[which].run(errand, instance, error);
	nova_instance_free(instance);
	return code;
}

static void *run(void *userdata)
{
	struct errand *errand = userdata;
	nova_error_t *error = NULL;
	if (perform(errand, &error) < 0) {
		json_decref(errand->reply);
		errand->reply = NULL;
		reply_with(errand, "error",
			error_json(nova_error_code(error), nova_error_outcome(error),
				nova_error_message(error)));
	}
	nova_error_free(error);
	__atomic_store_n(&errand->done, 1, __ATOMIC_RELEASE);
	eventfd_write(errand->wake, 1);
	return NULL;
}

/* --- for the loop --- */

struct errand *errand_begin(nova_t *nova, int wake, const json_t *request)
{
	struct errand *errand = need(calloc(1, sizeof(*errand)));
	errand->nova = nova;
	errand->wake = wake;
	errand->request = need(json_deep_copy(request)); /* counts of references are the loop's */
	if (nova_interrupt_new(&errand->interrupt, NULL) == 0 &&
		pthread_create(&errand->thread, NULL, run, errand) == 0)
		return errand;
	nova_interrupt_free(errand->interrupt);
	json_decref(errand->request);
	free(errand);
	return NULL;
}

void errand_cancel(struct errand *errand)
{
	__atomic_store_n(&errand->canceled, 1, __ATOMIC_RELEASE);
	nova_interrupt_trigger(errand->interrupt);
}

bool errand_is_done(const struct errand *errand)
{
	return __atomic_load_n(&errand->done, __ATOMIC_ACQUIRE);
}

json_t *errand_end(struct errand *errand, struct wire *wire)
{
	pthread_join(errand->thread, NULL);
	json_t *reply = errand->reply;
	if (wire && errand->out.len)
		wire_put_text(wire, "stdout", errand->out.data, errand->out.len);
	if (wire && errand->err.len)
		wire_put_text(wire, "stderr", errand->err.data, errand->err.len);
	bytes_free(&errand->out);
	bytes_free(&errand->err);
	nova_interrupt_free(errand->interrupt);
	json_decref(errand->request);
	free(errand);
	return reply;
}

void errands_cut(nova_t *nova)
{
	nova_instance_t **list;
	size_t count;
	if (nova_instance_list(nova, &list, &count, NULL) != 0)
		return;
	for (size_t i = 0; i < count; i++)
		nova_instance_stop(list[i], 1, NULL);
	nova_instance_list_free(list, count);
}
