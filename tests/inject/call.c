/* SPDX-License-Identifier: MIT */
/* Asynchronous calls. */
#include "inject.h"

static nova_queue_t *queue;
static nova_call_t *call;

static int new_queue(nova_error_t **error)
{
	nova_queue_t *made = NULL;
	int code = nova_queue_new(world.nova, NULL, &made, error);
	if (code == 0 && nova_queue_fd(made) < 0)
		code = NOVA_EAGENT;
	nova_queue_free(made);
	return code;
}

/* A function has threads only while it has calls: a queue of its own for each attempt has all of
 * them end. */
static void prepare_queue(void)
{
	MUST(nova_queue_new(world.nova, NULL, &queue, &world.error));
}

static void free_queue(void)
{
	nova_call_free(STEAL(call));
	nova_queue_free(STEAL(queue));
}

static int submit_and_collect(nova_error_t **error)
{
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.userdata = &call;
	int code = nova_queue_submit(queue, "f", "{}", &opts, NULL, error);
	if (code == 0)
		code = nova_queue_collect(queue, 60000, NULL, &call, error);
	if (code < 0 || !call)
		return code < 0 ? code : NOVA_EAGENT;
	nova_error_t *mine = nova_call_take_error(call);
	code = nova_call_code(call);
	if (error)
		*error = mine;
	nova_result_t *result = nova_call_take_result(call);
	bool whole = nova_call_is_finished(call) && *nova_call_request_id(call) &&
		     nova_call_userdata(call) == &call && !!result == (code == 0);
	nova_result_free(result);
	return whole ? code : NOVA_EAGENT;
}

static void prepare_finished(void)
{
	prepare_queue();
	MUST(submit_and_collect(&world.error));
}

static int cancel(nova_error_t **error)
{
	(void)error;
	nova_queue_count(queue, NOVA_QUEUE_THREADS);
	return nova_call_cancel(call);
}

const struct inject_case call_cases[] = {
	{ "nova_queue_new nova_queue_free nova_queue_fd", .run = new_queue },
	{ "nova_queue_submit nova_queue_collect nova_call_code nova_call_take_result "
	  "nova_call_take_error nova_call_userdata nova_call_request_id nova_call_free "
	  "nova_call_is_finished",
		NULL, prepare_queue, submit_and_collect, free_queue, .runs = true },
	{ "nova_call_cancel nova_queue_count", NULL, prepare_finished, cancel, free_queue,
		.expected = NOVA_EBUSY, .silent = true },
	{ NULL },
};
