/* SPDX-License-Identifier: MIT */
/*
 * What the daemon does for `invoke`: a call of the library's queue. What a client does not read in
 * time of what its function prints is dropped and counted, since waiting would hold up the VM.
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
