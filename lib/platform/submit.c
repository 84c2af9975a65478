/* SPDX-License-Identifier: MIT */
/* What a queue can be given of the platform: calls of functions, code that is run once, and starts
 * of instances. */
#include "platform/platform.h"
#include "platform/queue.h"

/* The group of all that is done for one function. NULL: out of memory. */
static char *group_of(const char *function)
{
	return str_format("function %s", function);
}

/* --- nova_invoke() --- */

struct function_call {
	nova_call_t call;
	struct invocation invocation;
};

static struct invocation *invocation_of(nova_call_t *call)
{
	return &((struct function_call *)call)->invocation;
}

static int run_function(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	invocation_of(call)->stop.outer = stop;
	return invocation_run(invocation_of(call), &ret->result, &ret->error);
}

static bool call_function_off(nova_call_t *call)
{
	return invocation_call_off(invocation_of(call));
}

static void function_done(nova_call_t *call)
{
	if (!call->accepted) /* who submitted it knows, and no record is left */
		invocation_of(call)->started_us = 0;
	invocation_done(invocation_of(call));
}

static const struct call_kind function_kind = {
	.before = "its function ran",
	.run = run_function,
	.call_off = call_function_off,
	.done = function_done,
};

int nova_queue_submit(nova_queue_t *queue, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	AUTO_FREE char *group = NULL;
	if (ANY_NULL(error, queue))
		return NOVA_EINVAL;
	struct function_call *made = call_new(queue, &function_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	struct invocation *c = &made->invocation;
	c->nova = queue_platform(queue);
	/* before it uses up some of a rate */
	int code = queue_check_room(queue, error);
	if (code == 0)
		code = invocation_prepare(c, function, payload, opts, error);
	if (code == 0 && !(group = group_of(c->function->record.name)))
		code = nova_oom(error);
	made->call.request_id = c->exec.id;
	made->call.userdata = c->exec.userdata;
	return call_submit(&made->call, code, group, ret_call, error);
}

/* --- nova_run() --- */

static const struct call_kind run_kind = {
	.before = "its code ran",
	.run = run_function,
	.call_off = call_function_off,
	.done = function_done,
};

int nova_queue_submit_run(nova_queue_t *queue, const char *language, const char *code,
	const nova_run_opts *opts, nova_call_t **ret_call, nova_error_t **error)
{
	AUTO_FREE char *group = NULL;
	if (ANY_NULL(error, queue, language, code))
		return NOVA_EINVAL;
	struct function_call *made = call_new(queue, &run_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	struct invocation *c = &made->invocation;
	c->nova = queue_platform(queue);
	int r = invocation_prepare_run(c, language, code, opts, error);
	if (r == 0 && !(group = str_format("runs of %s", c->function->record.config.runtime)))
		r = nova_oom(error);
	made->call.request_id = c->exec.id;
	made->call.userdata = c->exec.userdata;
	return call_submit(&made->call, r, group, ret_call, error);
}

/* --- nova_instance_start() --- */

struct instance_call {
	nova_call_t call;
	nova_instance_opts opts;
	char *function, *name, *snapshot, *key; /* in these */
};

static int start_instance(nova_call_t *call, const struct stop *stop, struct yield *ret)
{
	const struct instance_call *c = (struct instance_call *)call;
	return instance_start(
		queue_platform(call->queue), &c->opts, stop, &ret->instance, &ret->error);
}

static void instance_done(nova_call_t *call)
{
	struct instance_call *c = (struct instance_call *)call;
	free(STEAL(c->function));
	free(STEAL(c->name));
	free(STEAL(c->snapshot));
	free(STEAL(c->key));
}

static const struct call_kind instance_kind = {
	.before = "the instance was started", .run = start_instance, .done = instance_done
};

/* Has it point to a copy of what it points to. */
static bool copy_text(const char **text, char **ret_copy)
{
	if (!*text)
		return true;
	*text = *ret_copy = strdup(*text);
	return *text;
}

static int copy_instance_opts(struct instance_call *c, nova_error_t **error)
{
	nova_instance_opts *o = &c->opts;
	if (!o->function)
		return nova_fail(error, NOVA_EINVAL,
			"function: an instance needs the function that it runs");
	bool copied = copy_text(&o->function, &c->function) && copy_text(&o->name, &c->name) &&
		      copy_text(&o->snapshot, &c->snapshot) && copy_text(&o->key, &c->key);
	return copied ? 0 : nova_oom(error);
}

int nova_queue_submit_instance_start(nova_queue_t *queue, const nova_instance_opts *opts,
	nova_call_t **ret_call, nova_error_t **error)
{
	AUTO_FREE char *group = NULL;
	if (ANY_NULL(error, queue, opts))
		return NOVA_EINVAL;
	struct instance_call *made = call_new(queue, &instance_kind, sizeof(*made));
	if (!made)
		return nova_oom(error);
	int code = opts_import(&made->opts, sizeof(made->opts), opts, "nova_instance_opts", error);
	if (code == 0)
		code = copy_instance_opts(made, error);
	if (code == 0 && !(group = group_of(made->opts.function)))
		code = nova_oom(error);
	made->call.userdata = made->opts.userdata;
	return call_submit(&made->call, code, group, ret_call, error);
}
