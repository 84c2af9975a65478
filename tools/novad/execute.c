/* SPDX-License-Identifier: MIT */
/*
 * Code and commands that are run once: POST /execute, and POST /functions/{id}/invoke with a
 * command. Each gets a microVM that nobody has used and nobody will use.
 */
#include <stdlib.h>
#include <string.h>

#include "routes.h"

#define DAY_MS   86400000
#define CODE_MAX (64 << 20)

static const char *const modes[] = { "ephemeral", "cached", "checkpointed", "branched",
	"persistent", NULL };

static const struct field resources[] = {
	{ "cpu_cores", KIND_NUMBER, "virtual processors", .min = 1, .max = 32 },
	{ "memory_mb", KIND_NUMBER, "memory of the guest", .min = 64, .max = 65536 },
	{ NULL },
};

#define COMMON_FIELDS                                                                              \
	{ "image", KIND_TEXT, "accepted and not looked at: the language says what is there" },     \
		{ "env_vars", KIND_PAIRS, "variables of the environment" },                        \
		{ "payload", KIND_BYTES, "its stdin" },                                            \
		{ "timeout", KIND_NUMBER, "seconds until it is killed; 30", .min = 1,              \
			.max = DAY_MS / 1000 },                                                    \
		{ "timeout_secs", KIND_NUMBER, "the same", .min = 1, .max = DAY_MS / 1000 },       \
		{ "timeout_ms", KIND_NUMBER, "the same, in milliseconds", .min = 1,                \
			.max = DAY_MS },                                                           \
	{                                                                                          \
		"resources", KIND_OBJECT, "the machine", .members = resources                      \
	}

#define EXECUTE_FIELDS                                                                             \
	{ "code", KIND_TEXT, "the code", .max = CODE_MAX },                                        \
		{ "language", KIND_TEXT,                                                           \
			"python, javascript, node, shell, ..., or a runtime of your own" },        \
		{ "command", KIND_TEXTS, "instead of code: a program and its arguments" },         \
		{ "mode", KIND_TEXT, "what is kept of it: docs/novad.md", .choices = modes },      \
		{ "handler", KIND_TEXT, "the function of the code that is called" },               \
		{ "input", KIND_ANY, "what a handler is called with" },                            \
		{ "args", KIND_TEXTS, "arguments of a program" },                                  \
		{ "files", KIND_PAIRS, "files beside the code: name and content",                  \
			.max = CODE_MAX },                                                         \
		{ "network", KIND_TEXT, "none or nat" },                                           \
		{ "checkpoint_after", KIND_FLAG, "take a snapshot afterwards" },                   \
		{ "parent_snapshot", KIND_TEXT, "name or id of the snapshot to go on from",        \
			.max = 64 },                                                               \
		{ "checkpoint_id", KIND_TEXT, "the same; without mode it is checkpointed",         \
			.max = 64 },                                                               \
		{ "branch_from", KIND_TEXT, "the same; without mode it is branched", .max = 64 },  \
		{ "instance", KIND_TEXT, "name or id of the instance where it runs", .max = 64 },  \
		COMMON_FIELDS

const struct field execute_fields[] = {
	EXECUTE_FIELDS,
	{ "stream", KIND_FLAG, "answer at once; what it prints comes from GET /execute/stream" },
	{ NULL },
};

const struct field stream_fields[] = {
	EXECUTE_FIELDS,
	{ "directory", KIND_TEXT, "of the instance where the command runs; /tmp" },
	{ "stdin", KIND_FLAG, "its stdin comes in messages: of commands in an instance" },
	{ NULL },
};

const struct field command_fields[] = {
	{ "command", KIND_TEXTS, "a program and its arguments", true },
	COMMON_FIELDS,
	{ NULL },
};

/* --- from fields to options --- */

struct run {
	nova_run_opts opts;
	const char *language, *code;
	const char **args;
	char **env;
	char *input;
	struct bytes payload;
	nova_run_file *files;
};

static void run_done(struct run *run)
{
	free(run->args);
	free(run->files);
	free(run->input);
	pairs_free(run->env);
	bytes_free(&run->payload);
}

static uint32_t number_of(const json_t *fields, const char *name)
{
	return (uint32_t)json_integer_value(json_object_get(fields, name));
}

static const char *text_of(const json_t *fields, const char *name)
{
	return json_string_value(json_object_get(fields, name));
}

static void take_common(struct run *run, const struct job *job, const json_t *fields)
{
	const json_t *machine = json_object_get(fields, "resources");
	run->opts.timeout_ms = fields_timeout_ms(fields);
	run->opts.vcpus = number_of(machine, "cpu_cores");
	run->opts.memory_mb = number_of(machine, "memory_mb");
	run->env = pairs_of(json_object_get(fields, "env_vars"), &run->opts.env_count);
	secrets_own(job, run->env);
	run->opts.env = (const char *const *)run->env;
	const json_t *payload = json_object_get(fields, "payload");
	field_bytes(&run->payload, payload);
	if (payload && !json_is_null(payload))
		bytes_add(&run->payload, "", 0);
	run->opts.stdin_data = run->payload.data;
	run->opts.stdin_len = run->payload.len;
}

static void take_files(struct run *run, const json_t *files)
{
	const char *name;
	json_t *content;
	size_t count = 0;
	run->files = need(calloc(json_object_size(files) + 1, sizeof(*run->files)));
	json_object_foreach((json_t *)(uintptr_t)files, name, content) run->files[count++] =
		(nova_run_file){ name, json_string_value(content), json_string_length(content) };
	run->opts.files = run->files;
	run->opts.files_count = count;
}

/* No shell looks at the words of a command: they are its arguments. */
static void take_command(struct run *run, const json_t *words)
{
	run->language = "shell";
	run->code = "cd /tmp && exec \"$@\"";
	run->args = texts_of(words, &run->opts.args_count);
	run->opts.args = run->args;
}

static void take_code(struct run *run, const json_t *fields)
{
	const json_t *input = json_object_get(fields, "input");
	run->language = text_of(fields, "language");
	run->code = text_of(fields, "code");
	run->opts.handler = text_of(fields, "handler");
	run->opts.network = text_of(fields, "network");
	run->args = texts_of(json_object_get(fields, "args"), &run->opts.args_count);
	run->opts.args = run->args;
	take_files(run, json_object_get(fields, "files"));
	if (input && !json_is_null(input))
		run->opts.input = run->input =
			need(json_dumps(input, JSON_COMPACT | JSON_ENCODE_ANY));
}

static int submit_run(struct job *job, struct run *run, nova_queue_t *queue, nova_call_t **ret_call,
	nova_error_t **error)
{
	run->opts.request_id = job_id(job);
	run->opts.key = job_key(job);
	run->opts.userdata = job;
	run->opts.on_output = job_is_streamed(job) ? job_stream : NULL;
	return nova_queue_submit_run(queue, run->language, run->code, &run->opts, ret_call, error);
}

/* --- code that is run once --- */

static int refuse(struct job *job, unsigned status, const char *code, const char *text)
{
	job_problem(job, status, code, "%s", text);
	return NOVA_EINVAL;
}

static int check_form(struct job *job, const json_t *fields)
{
	bool has_code = text_of(fields, "code"), has_command = json_object_get(fields, "command");
	if (has_code == has_command)
		return refuse(job, 400, "invalid", "one of 'code' and 'command' is needed");
	if (has_code && !text_of(fields, "language"))
		return refuse(job, 400, "invalid", "the field 'language' is missing");
	if (json_is_array(json_object_get(fields, "files")))
		return refuse(job, 400, "invalid", "the field 'files' is not an object of texts");
	if (has_command && !json_array_size(json_object_get(fields, "command")))
		return refuse(job, 400, "invalid", "the field 'command' is empty");
	return 0;
}

/* A command in an instance has what the route of exec has, and nothing else. */
static int check_exec(struct job *job, const json_t *fields)
{
	static const char *const others[] = { "language", "handler", "input", "args", "files",
		"network", "resources", "parent_snapshot", "checkpoint_id", "branch_from",
		"checkpoint_after" };
	const char *mode = text_of(fields, "mode");
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (json_object_get(fields, others[i])) {
			job_problem(job, 400, "invalid", "a command in an instance has no '%s'",
				others[i]);
			return NOVA_EINVAL;
		}
	return mode && strcmp(mode, "persistent") ?
		       refuse(job, 400, "invalid", "'instance' is for the mode 'persistent'") :
		       0;
}

static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const json_t *fields = job_fields(job);
	if (text_of(fields, "instance")) {
		int code = check_exec(job, fields);
		return code ? code : exec_submit(job, queue, ret_call, error);
	}
	if (json_is_true(json_object_get(fields, "stdin")) || text_of(fields, "directory"))
		return refuse(job, 501, "not_supported",
			"code that is run once has all of its stdin at its beginning, as "
			"'payload', "
			"and a directory of its own: an instance takes 'stdin' and 'directory'");
	CLEANUP(run_done) struct run run = { .opts = NOVA_RUN_OPTS_INIT };
	int code = check_form(job, fields);
	if (code != 0)
		return code;
	take_common(&run, job, fields);
	if (text_of(fields, "code"))
		take_code(&run, fields);
	else
		take_command(&run, json_object_get(fields, "command"));
	return submit_run(job, &run, queue, ret_call, error);
}

int command_submit(struct job *job, const json_t *fields, nova_queue_t *queue,
	nova_call_t **ret_call, nova_error_t **error)
{
	CLEANUP(run_done) struct run run = { .opts = NOVA_RUN_OPTS_INIT };
	if (!json_array_size(json_object_get(fields, "command")))
		return refuse(job, 400, "invalid", "the field 'command' is empty");
	take_common(&run, job, fields);
	take_command(&run, json_object_get(fields, "command"));
	return submit_run(job, &run, queue, ret_call, error);
}

/* --- what came of it --- */

/* Code that fails is an answer; that it could not be run is none. */
void run_collect(struct job *job, nova_call_t *call)
{
	if (job_field(job, "instance")) {
		exec_collect(job, call);
		return;
	}
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	if (error && nova_error_code(error) != NOVA_EFUNCTION)
		job_fail_by(job, error);
	else
		job_answer(job, run_json(job, result, error));
	nova_error_free(error);
	nova_result_free(result);
}

const struct job_verb verb_execute = {
	.name = "execute",
	.submit = submit,
	.collect = run_collect,
};

const struct job_verb *execute_verb(const json_t *fields)
{
	return modes_keep(fields) ? &verb_execute_kept : &verb_execute;
}
