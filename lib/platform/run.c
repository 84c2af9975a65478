/* SPDX-License-Identifier: MIT */
/* Code that is run once: an invocation of a function that nobody has registered. */
#include "platform/platform.h"

/* The request is checked before a disk is made for it. */
static int prepare(struct invocation *c, const char *language, const char *code,
	const nova_run_opts *o, nova_error_t **error)
{
	const char *input = o->input ? o->input : "{}";
	c->exec.on_output = o->on_output;
	c->exec.userdata = o->userdata;
	c->request.fresh = true;
	c->request.program = o->args_count || o->stdin_len || (!o->input && !o->handler);
	c->request.queue_timeout_ms = o->queue_timeout_ms;
	struct once once = { NULL, NULL, NULL };
	int r = vm_exec_prepare(
		&c->exec, input, strlen(input), o->timeout_ms, o->request_id, error);
	if (r == 0)
		r = registry_make_once(&c->nova->registry, language, code, o, &once, error);
	c->function = once.function;
	c->request.code_disk = once.disk;
	c->request.compiled = once.compiled;
	return r;
}

int invocation_prepare_run(struct invocation *c, const char *language, const char *code,
	const nova_run_opts *opts, nova_error_t **error)
{
	nova_run_opts o;
	c->begin_ns = clock_ns();
	c->lease.cold = 1;
	int r = opts_import(&o, sizeof(o), opts, "nova_run_opts", error);
	c->stop.interrupt = o.interrupt;
	c->request.key = c->key;
	c->request.stop = &c->stop;
	if (r == 0)
		r = stop_check(&c->stop, "it began", error);
	if (r == 0)
		r = host_check_process(c->nova->host, error);
	if (r == 0)
		r = prepare(c, language, code, &o, error);
	if (r == 0)
		r = invocation_find_secrets(c, error);
	if (r == 0)
		r = meter_check_key(o.key, c->key, error);
	if (r == 0)
		r = meter_admit(c->nova->meter, error);
	c->prepared_ns = clock_ns();
	if (r == 0)
		invocation_accepted(c, o.input ? strlen(o.input) : 0);
	return r;
}

int nova_run(nova_t *nova, const char *language, const char *code, const nova_run_opts *opts,
	nova_result_t **ret_result, nova_error_t **error)
{
	struct invocation c = { .nova = nova };
	if (ret_result)
		*ret_result = NULL;
	if (ANY_NULL(error, nova, language, code, ret_result))
		return NOVA_EINVAL;
	int r = invocation_prepare_run(&c, language, code, opts, error);
	if (r == 0)
		r = invocation_run(&c, ret_result, error);
	invocation_done(&c);
	return r;
}
