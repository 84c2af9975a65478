/* SPDX-License-Identifier: MIT */
/* Paths at which a function or a file is plugged: novactl plug and upload, and cluster.c. */
#include <string.h>

#include "http.h"
#include "routes.h"

#define CONTEXT_MAX 4096 /* as of nova_invoke_opts */
#define TEXT_TYPE   "text/plain; charset=utf-8"
#define BYTES_TYPE  "application/octet-stream"

/* Never with the rights of this server's own pages, whatever type it has. */
static void answer(struct job *job, const char *type, const void *data, size_t len)
{
	job_header(job, "Content-Type", type);
	job_header(job, "Content-Security-Policy", "sandbox");
	job_answer_bytes(job, data, len);
}

static void answer_file(struct job *job, const char *name)
{
	const nova_file *file = NULL;
	nova_error_t *error = NULL;
	if (plug_file(job_nova(job), name, &file, &error) == 0)
		answer(job, file->type, file->data, file->data_len);
	else
		job_fail_by(job, error);
	nova_file_free(file);
	nova_error_free(error);
}

/* --- functions --- */

/* Its runtime starts a program for each call. */
static bool is_program(nova_t *nova, const nova_function_t *function)
{
	const nova_runtime *runtime = NULL;
	nova_runtime_get(nova, nova_function_text(function, "runtime", 0), &runtime, NULL);
	bool is = runtime && !strcmp(runtime->protocol, "none");
	nova_runtime_free(runtime);
	return is;
}

/* What the function is told of the request. NULL: it is too long. */
static char *context_of(const struct job *job)
{
	const char *search = job_text(job, "search");
	json_t *context =
		need(json_pack("{s:{s:s,s:s,s:s}}", "custom", "method", job_text(job, "method"),
			"path", job_text(job, "plugged"), "query", search ? search : ""));
	char *text = need(json_dumps(context, JSON_COMPACT));
	json_decref(context);
	if (strlen(text) <= CONTEXT_MAX)
		return text;
	free(text);
	return NULL;
}

static void answer_returned(struct job *job, const nova_result_t *result)
{
	size_t len;
	const char *text = nova_result_output(result, &len);
	answer(job, "application/json", text, len);
}

static void answer_printed(struct job *job)
{
	const struct bytes *printed = job_gathered(job);
	const char *data = printed->data ? printed->data : "";
	json_t *text = json_stringn(data, printed->len);
	answer(job, text ? TEXT_TYPE : BYTES_TYPE, data, printed->len);
	json_decref(text);
}

static void call(struct job *job, const char *name, const char *start, bool program)
{
	const struct bytes *body = job_body(job);
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	char *context = context_of(job);
	job_header(job, "X-Nova-Execution-Id", job_id(job));
	opts.request_id = job_id(job);
	opts.key = job_key(job);
	opts.interrupt = job_interrupt(job);
	opts.client_context = context;
	opts.start = start;
	opts.userdata = job;
	if (program) {
		job_gather(job);
		opts.on_output = job_gathers;
		opts.flags = NOVA_INVOKE_PROGRAM;
		opts.stdin_data = body->data;
		opts.stdin_len = body->len;
	}
	const char *event = program ? NULL : body->len ? body->data : "{}";
	if (!context)
		job_problem(job, 400, "invalid", "the path and the query are too long");
	else if (event && body->len && strlen(event) != body->len)
		job_problem(job, 400, "malformed", "the body has a NUL, which JSON has not");
	else if (nova_invoke(job_nova(job), name, event, &opts, &result, &error) != 0)
		job_fail_by(job, error);
	else if (program)
		answer_printed(job);
	else
		answer_returned(job, result);
	free(context);
	nova_result_free(result);
	nova_error_free(error);
}

static void call_function(struct job *job, const json_t *plug)
{
	const char *name = json_string_value(json_object_get(plug, "function"));
	const char *start = json_string_value(json_object_get(plug, "start_function"));
	nova_function_t *function = NULL;
	nova_error_t *error = NULL;
	int code = nova_function_get(job_nova(job), name, &function, &error);
	if (code == NOVA_ENOTFOUND)
		job_problem(job, 404, "not_found",
			"the function '%s', which is plugged here, is not there any more: register "
			"it, or unplug the path",
			name);
	else if (code != 0)
		job_fail_by(job, error);
	else
		call(job, name, start, is_program(job_nova(job), function));
	nova_function_free(function);
	nova_error_free(error);
}

/* --- the request --- */

static void work(struct job *job)
{
	json_t *plug = NULL;
	nova_error_t *error = NULL;
	int code = plug_find(
		job_nova(job), job_text(job, "method"), job_text(job, "plugged"), &plug, &error);
	const char *file = json_string_value(json_object_get(plug, "file"));
	if (code == NOVA_ENOTFOUND)
		job_problem(job, 404, "no_route", "there is nothing at this path");
	else if (error)
		job_fail_by(job, error);
	else if (file)
		answer_file(job, file);
	else if (json_string_value(json_object_get(plug, "function")))
		call_function(job, plug);
	else
		job_problem(job, 500, "corrupt",
			"what is plugged here cannot be read: unplug the path, and plug it again");
	json_decref(plug);
	nova_error_free(error);
}

static const struct job_verb verb_plugged = { .name = "plugged", .work = work };

static const struct route route = {
	"ANY",
	"/",
	"plugged",
	"What is plugged into this path",
	ROUTE_ONLY | ROUTE_RAW | ROUTE_PLUGGED,
	.verb = &verb_plugged,
	.answer = "as asked",
};

const struct route *plugged_route(const char *method, const char *path)
{
	return plug_wrong(method, path) ? NULL : &route;
}
