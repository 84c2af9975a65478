/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does for `invoke` and `run`: a call of the library's queue. What a client does
 * not read in time of what its function prints is dropped and counted, since waiting would hold up
 * the VM.
 */
#include "daemon.h"

static void on_output(void *job, int stream, const void *data, size_t len)
{
	job_print(job, stream == 2 ? "stderr" : "stdout", data, len);
}

static void on_progress(void *job, const char *what)
{
	job_print_within(job, "progress", what, strlen(what), 0); /* or not at all */
}

static void take_options(struct job *job, nova_invoke_opts *opts)
{
	opts->timeout_ms = job_number(job, "timeout_ms");
	opts->request_id = job_text(job, "request_id");
	opts->flags = (job_flag(job, "fresh") ? NOVA_INVOKE_FRESH : 0) |
		      (job_flag(job, "checkpoint") ? NOVA_INVOKE_CHECKPOINT : 0);
	opts->snapshot = job_text(job, "snapshot");
	opts->checkpoint_name = job_text(job, "checkpoint_name");
	opts->on_output = job_flag(job, "stream") ? on_output : NULL;
	opts->on_progress = job_flag(job, "progress") ? on_progress : NULL;
	opts->userdata = job;
}

static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const struct daemon *daemon = job_userdata(job);
	const struct bytes *event = job_body(job);
	const char *function = job_text(job, "function"), *instance = job_text(job, "instance");
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	if (strlen(event->data) != event->len) {
		job_fail(job, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, EVENT_HAS_NUL);
		return NOVA_EINVAL;
	}
	int code = instance ? nova_instance_get(daemon->nova, instance, &opts.instance, error) : 0;
	take_options(job, &opts);
	if (code == 0)
		code = nova_queue_submit(
			queue, function ? function : "", event->data, &opts, ret_call, error);
	nova_instance_free(opts.instance);
	return code;
}

static json_t *result_json(const nova_result_t *result)
{
	return json_pack("{s:s,s:s,s:s,s:b,s:I,s:s}", "request_id", nova_result_request_id(result),
		"snapshot", nova_result_snapshot(result), "instance", nova_result_instance(result),
		"cold_start", nova_result_cold_start(result), "duration_ms",
		(json_int_t)result_ms(result), "failure", nova_result_failure(result));
}

/* The texts go ahead as they are: parsed and printed again, numbers would lose digits. */
static void put_result(struct job *job, const nova_result_t *result)
{
	size_t len;
	const char *text;
	if (job_flag(job, "json")) {
		char *whole = need(nova_result_to_json(result));
		job_tell(job, "result", whole, strlen(whole));
		nova_free(whole);
		return;
	}
	text = nova_result_output(result, &len);
	job_tell(job, "output", text, len);
	struct bytes printed = { 0 };
	if (!job_flag(job, "stream"))
		result_printed(&printed, result);
	if (printed.len)
		job_tell(job, "printed", printed.data, printed.len);
	bytes_free(&printed);
}

static void collect(struct job *job, nova_call_t *call)
{
	CLEANUP(result_freep) nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	json_t *reply = job_reply(job);
	if (result) {
		put_result(job, result);
		json_object_set_new(reply, "result", need(result_json(result)));
	}
	if (error)
		job_fail_by(job, error);
	json_object_set_new(reply, "dropped", json_integer((json_int_t)job_dropped(job)));
	nova_error_free(error);
}

const struct job_verb served_invoke = {
	.name = "invoke",
	.submit = submit,
	.collect = collect,
};

/* --- run: the event is code, stdin, input and files, one behind the other --- */

#define LOOK_MS 500

/* A client that reads slowly holds its code up, and gets all. */
static void pass_on(void *job, int stream, const void *data, size_t len)
{
	while (!job_print_within(job, stream == 2 ? "stderr" : "stdout", data, len, LOOK_MS))
		;
}

struct run {
	const char **args, **env;
	nova_run_file *files;
	char *input;
	nova_run_opts opts;
};

static void run_done(struct run *run)
{
	free(run->args);
	free(run->env);
	free(run->files);
	free(run->input);
}

static const char **words_of(struct job *job, const char *key, size_t *ret_count)
{
	const json_t *list = json_object_get(job_options(job), key);
	const char **words = need(calloc(json_array_size(list) + 1, sizeof(*words)));
	*ret_count = json_array_size(list);
	for (size_t i = 0; i < *ret_count; i++)
		words[i] = json_string_value(json_array_get(list, i));
	return words;
}

/* The next part of what is left of the event. */
static const char *part(const char **at, size_t *left, json_int_t len)
{
	const char *begin = *at;
	if (len < 0 || (uint64_t)len > *left)
		return NULL;
	*at += len;
	*left -= (size_t)len;
	return begin;
}

static bool take_files(struct job *job, struct run *run, const char *at, size_t left)
{
	const json_t *names = json_object_get(job_options(job), "files");
	const json_t *lens = json_object_get(job_options(job), "file_lens");
	run->opts.files_count = json_array_size(names);
	run->files = need(calloc(run->opts.files_count + 1, sizeof(*run->files)));
	run->opts.files = run->files;
	for (size_t i = 0; i < run->opts.files_count; i++) {
		json_int_t len = json_integer_value(json_array_get(lens, i));
		run->files[i] = (nova_run_file){ json_string_value(json_array_get(names, i)),
			part(&at, &left, len), (size_t)len };
		if (!run->files[i].data)
			return false;
	}
	return !left;
}

/* False: the event is not what the options say. */
static bool take_event(struct job *job, struct run *run, const char **ret_code)
{
	const struct bytes *event = job_body(job);
	const char *at = event->data;
	size_t left = event->len;
	run->opts.code_len = job_number(job, "code_len");
	run->opts.stdin_len = job_number(job, "stdin_len");
	*ret_code = part(&at, &left, run->opts.code_len);
	run->opts.stdin_data = *ret_code ? part(&at, &left, run->opts.stdin_len) : NULL;
	uint32_t input_len = job_number(job, "input_len");
	const char *input = run->opts.stdin_data ? part(&at, &left, input_len) : NULL;
	if (!input)
		return false;
	run->input = need(strndup(input, input_len));
	run->opts.input = job_flag(job, "has_input") ? run->input : NULL;
	if (!run->opts.code_len)
		*ret_code = "";
	return take_files(job, run, at, left);
}

static int submit_run(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	CLEANUP(run_done) struct run run = { .opts = NOVA_RUN_OPTS_INIT };
	nova_run_opts *opts = &run.opts;
	const char *code, *language = job_text(job, "language");
	run.args = words_of(job, "args", &opts->args_count);
	run.env = words_of(job, "env", &opts->env_count);
	opts->args = run.args;
	opts->env = run.env;
	opts->code_name = job_text(job, "code_name");
	opts->handler = job_text(job, "handler");
	opts->network = job_text(job, "network");
	opts->memory_mb = job_number(job, "memory_mb");
	opts->vcpus = job_number(job, "vcpus");
	opts->timeout_ms = job_number(job, "timeout_ms");
	opts->on_output = job_flag(job, "json") ? NULL : pass_on;
	opts->userdata = job;
	if (!take_event(job, &run, &code)) {
		job_fail(job, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN,
			"the event is not as long as its parts");
		return NOVA_EINVAL;
	}
	return nova_queue_submit_run(queue, language ? language : "", code, opts, ret_call, error);
}

static void collect_run(struct job *job, nova_call_t *call)
{
	CLEANUP(result_freep) nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	json_t *reply = job_reply(job);
	size_t len;
	const char *answer = nova_result_output(result, &len);
	if (result && job_flag(job, "json"))
		put_result(job, result);
	else if (result && !error && result_has_answer(result))
		job_tell(job, "output", answer, len);
	if (result) {
		json_object_set_new(reply, "result", need(result_json(result)));
		json_object_set_new(
			reply, "exit_code", json_integer(nova_result_exit_code(result)));
	}
	if (error)
		job_fail_by(job, error);
	nova_error_free(error);
}

const struct job_verb served_run = {
	.name = "run",
	.submit = submit_run,
	.collect = collect_run,
};
