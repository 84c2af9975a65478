/* SPDX-License-Identifier: MIT */
/*
 * The web API of My Own Cluster: modules and files are registered, plugged into paths and called,
 * by its names. What it calls a function is one of ours, a blob is a file that is kept, and a plug
 * is one of tools/serve.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "routes.h"

#define INPUT_MAX  (6 << 20)
#define EXPORT_MAX (64 << 20)
#define TECH_ID    "techID://"

static const char *const types[] = { "wasm", "js", NULL };
static const char *const call_modes[] = { "direct", "posix", NULL };

#define METHOD "method", KIND_TEXT, "of HTTP; get", false, .max = 10
#define PATH   "path", KIND_TEXT, "where it is plugged, as /hello", true, .max = 255
#define BYTES  "bytes", KIND_BYTES, "the content", true
#define TYPE   "content_type", KIND_TEXT, "its media type", false, .max = 127
#define TAGS   "tags", KIND_PAIRS, "accepted if empty: plugs have none"

const struct field module_fields[] = {
	{ "type", KIND_TEXT, "what it is; wasm", .choices = types },
	{ "name", KIND_TEXT, "its name; a function that has it is replaced", true, .max = 64 },
	{ "wasm_bytes", KIND_BYTES, "the code", true },
	{ NULL },
};
const struct field blob_fields[] = {
	{ "name", KIND_TEXT, "its name; without one it is known by its tech_id", .max = 255 },
	{ TYPE },
	{ BYTES },
	{ NULL },
};
const struct field file_register_fields[] = { { METHOD }, { PATH }, { TYPE }, { BYTES }, { NULL } };
const struct field file_plug_fields[] = {
	{ METHOD },
	{ PATH },
	{ "name", KIND_TEXT, "of the blob, or techID:// and its tech_id", true, .max = 255 },
	{ TAGS },
	{ NULL },
};
const struct field plug_fields[] = {
	{ METHOD },
	{ PATH },
	{ "name", KIND_TEXT, "of the function", true, .max = 130 },
	{ "start_function", KIND_TEXT, "the export that is called; _start", .max = 255 },
	{ "data", KIND_TEXT, "accepted if empty: a function has variables" },
	{ TAGS },
	{ NULL },
};
const struct field unplug_fields[] = { { METHOD }, { PATH }, { NULL } };
const struct field call_fields[] = {
	{ "name", KIND_TEXT, "of the function", true, .max = 130 },
	{ "mode", KIND_TEXT, "direct: an export with numbers; posix: a program; direct",
		.choices = call_modes },
	{ "start_function", KIND_TEXT, "of the mode direct: the export; _start", .max = 255 },
	{ "arguments", KIND_ANY, "whole numbers; of the mode posix texts" },
	{ "input", KIND_TEXT, "its stdin; base64, where posix_... is given", .max = INPUT_MAX },
	{ "wasi_file_name", KIND_TEXT, "of the mode posix: argument 0 of a module", .max = 255 },
	{ "posix_file_name", KIND_TEXT, "the same", .max = 255 },
	{ "posix_arguments", KIND_TEXTS, "the same as arguments" },
	{ NULL },
};

static const char *or_else(const char *text, const char *other)
{
	return text && *text ? text : other;
}

static void fail(struct job *job, nova_error_t *error)
{
	job_fail_by(job, error);
	nova_error_free(error);
}

static void tech_id(char out[65], const struct bytes *content)
{
	unsigned char hash[32];
	gnutls_hash_fast(GNUTLS_DIG_SHA256, content->data ? content->data : "", content->len, hash);
	hex_of(out, hash, sizeof(hash));
}

/* --- registering --- */

/* One that is somebody's stays that. */
static bool store_function(
	struct job *job, const char *name, const char *runtime, const struct bytes *code)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	nova_error_t *error = NULL;
	nova_function_t *present = NULL;
	nova_function_get(job_nova(job), name, &present, NULL);
	char *label = present ? owner_label(function_owner(present)) : NULL;
	opts.labels = (const char *const *)&label;
	opts.labels_count = label != NULL;
	opts.name = name;
	opts.runtime = runtime;
	opts.code = code->data ? code->data : "";
	opts.code_len = code->len;
	opts.flags = NOVA_REGISTER_REPLACE;
	opts.interrupt = job_interrupt(job);
	bool stored = nova_function_register(job_nova(job), &opts, NULL, &error) == 0;
	nova_function_free(present);
	free(label);
	if (stored)
		return true;
	if (nova_error_code(error) == NOVA_EFUNCTION) /* it is what was sent that is wrong */
		job_problem(job, 422, "function_failed", "%s", nova_error_message(error));
	else
		job_fail_by(job, error);
	nova_error_free(error);
	return false;
}

static void register_module(struct job *job)
{
	char id[65];
	struct bytes code = { 0 };
	const char *name = job_field(job, "name"), *type = or_else(job_field(job, "type"), "wasm");
	field_bytes(&code, json_object_get(job_fields(job), "wasm_bytes"));
	tech_id(id, &code);
	if (store_function(job, name, strcmp(type, "js") ? "wasm" : "node", &code))
		job_answer(
			job, json_pack("{s:b,s:s,s:s,s:s,s:I}", "status", 1, "tech_id", id, "type",
				     type, "name", name, "wasm_bytes_size", (json_int_t)code.len));
	bytes_free(&code);
}

/* What has a name and is code is a function. */
static const char *runtime_of(const char *name, const char *type)
{
	return !name || !type                          ? NULL :
	       !strcmp(type, "application/wasm")       ? "wasm" :
	       !strcmp(type, "text/javascript")        ? "node" :
	       !strcmp(type, "application/javascript") ? "node" :
							 NULL;
}

static bool keep(struct job *job, const char *name, const struct bytes *content)
{
	nova_error_t *error = NULL;
	const char *type = or_else(job_field(job, "content_type"), NULL);
	if (plug_keep(job_nova(job), name, type, content, &error) == 0)
		return true;
	fail(job, error);
	return false;
}

static void register_blob(struct job *job)
{
	char id[65];
	struct bytes content = { 0 };
	const char *name = or_else(job_field(job, "name"), NULL);
	const char *runtime = runtime_of(name, job_field(job, "content_type"));
	field_bytes(&content, json_object_get(job_fields(job), "bytes"));
	tech_id(id, &content);
	if (runtime ? store_function(job, name, runtime, &content) :
		      keep(job, name ? name : id, &content))
		job_answer(job, json_pack("{s:b,s:s}", "status", 1, "tech_id", id));
	bytes_free(&content);
}

/* --- plugs --- */

/* NULL: it has been answered what is wrong. */
static const char *method_of(struct job *job)
{
	const char *method = or_else(job_field(job, "method"), "get");
	const char *wrong = plug_wrong(method, job_field(job, "path"));
	const char *data = job_field(job, "data");
	const json_t *tags = json_object_get(job_fields(job), "tags");
	if (wrong)
		job_problem(job, 400, "invalid", "%s", wrong);
	else if (data && *data)
		job_problem(job, 501, "not_supported",
			"'data' reaches no function: give it variables ('env_vars' of PATCH "
			"/api/v1/functions/{id})");
	else if (json_object_size(tags) || json_array_size(tags))
		job_problem(job, 501, "not_supported",
			"plugs have no 'tags': the function may have labels");
	else
		return method;
	return NULL;
}

static void register_file(struct job *job)
{
	char id[65];
	struct bytes content = { 0 };
	nova_error_t *error = NULL;
	const char *method = method_of(job), *path = job_field(job, "path");
	const char *type = or_else(job_field(job, "content_type"), "application/octet-stream");
	if (!method)
		return;
	field_bytes(&content, json_object_get(job_fields(job), "bytes"));
	tech_id(id, &content);
	if (plug_upload(job_nova(job), method, path, type, &content, &error) != 0)
		fail(job, error);
	else
		job_answer(job, json_pack("{s:b,s:s,s:s,s:s,s:s,s:I}", "status", 1, "tech_id", id,
					"method", method, "path", path, "content_type", type,
					"bytes_size", (json_int_t)content.len));
	bytes_free(&content);
}

static void plug_in_file(struct job *job)
{
	nova_error_t *error = NULL;
	const char *method = method_of(job), *name = job_field(job, "name");
	if (!method)
		return;
	if (!strncmp(name, TECH_ID, strlen(TECH_ID)))
		name += strlen(TECH_ID);
	if (plug_kept(job_nova(job), method, job_field(job, "path"), name, &error) != 0)
		fail(job, error);
	else
		job_answer(job, json_pack("{s:b}", "status", 1));
}

static void plug_in(struct job *job)
{
	nova_error_t *error = NULL;
	const char *method = method_of(job), *path = job_field(job, "path");
	const char *name = job_field(job, "name");
	const char *start = or_else(job_field(job, "start_function"), "_start");
	const char *other = strcmp(start, "_start") ? start : NULL;
	if (!method)
		return;
	if (plug_function(job_nova(job), method, path, name, other, &error) != 0)
		fail(job, error);
	else
		job_answer(job, json_pack("{s:b,s:s,s:s,s:s,s:s}", "status", 1, "method", method,
					"path", path, "name", name, "start_function", start));
}

static void unplug(struct job *job)
{
	nova_error_t *error = NULL;
	const char *method = method_of(job), *path = job_field(job, "path");
	if (!method)
		return;
	int code = plug_remove(job_nova(job), method, path, &error);
	if (code == NOVA_ENOTFOUND)
		job_problem(
			job, 404, "not_found", "nothing is plugged into '%s' for %s", path, method);
	else if (code != 0)
		job_fail_by(job, error);
	else
		job_answer(job, json_pack("{s:b}", "status", 1));
	nova_error_free(error);
}

/* --- calling --- */

struct given {
	char **args;
	size_t count;
	struct bytes input;
};

static void given_done(struct given *given)
{
	for (size_t i = 0; i < given->count; i++)
		free(given->args[i]);
	free(given->args);
	bytes_free(&given->input);
}

static bool refuse(struct job *job, const char *why)
{
	job_problem(job, 400, "invalid", "%s", why);
	return false;
}

/* NULL: it is none of those that the mode has. */
static char *argument_of(const json_t *value, bool direct)
{
	const char *text = json_string_value(value);
	if (direct)
		return json_is_integer(value) ? need(json_dumps(value, JSON_ENCODE_ANY)) : NULL;
	return text && strlen(text) == json_string_length(value) ? need(strdup(text)) : NULL;
}

static bool take_arguments(struct job *job, bool direct, struct given *given)
{
	size_t i;
	json_t *value;
	const json_t *fields = job_fields(job);
	const json_t *more = json_object_get(fields, "posix_arguments");
	const json_t *all = more ? more : json_object_get(fields, "arguments");
	const char *wrong = direct ? "the field 'arguments' is not a list of whole numbers" :
				     "the field 'arguments' is not a list of texts";
	if (all && !json_is_array(all) && !json_is_null(all))
		return refuse(job, wrong);
	given->args = need(calloc(json_array_size(all) + 1, sizeof(*given->args)));
	json_array_foreach(all, i, value)
	{
		given->args[i] = argument_of(value, direct);
		if (!given->args[i])
			return refuse(job, wrong);
		given->count++;
	}
	return true;
}

static bool take_input(struct job *job, bool coded, struct given *given)
{
	const char *input = job_field(job, "input");
	if (input && coded && !base64_read(&given->input, input, strlen(input)))
		return refuse(job, "the field 'input' is not base64, as it is beside 'posix_...'");
	if (input && !coded)
		bytes_add(&given->input, input, strlen(input));
	return true;
}

static bool is_direct(const struct job *job)
{
	return !strcmp(or_else(job_field(job, "mode"), "direct"), "direct");
}

/* False: it has been answered what does not go together. */
static bool take(struct job *job, nova_invoke_opts *opts, struct given *given)
{
	bool direct = is_direct(job);
	const char *start = or_else(job_field(job, "start_function"), "_start");
	const char *own_name = or_else(
		job_field(job, "posix_file_name"), or_else(job_field(job, "wasi_file_name"), NULL));
	bool is_posix = own_name || job_field(job, "posix_file_name") ||
			json_object_get(job_fields(job), "posix_arguments");
	bool coded = is_posix && !job_field(job, "wasi_file_name");
	if (direct && is_posix)
		return refuse(job, "'wasi_file_name' and 'posix_...' are for the mode 'posix'");
	if (!direct && strcmp(start, "_start"))
		return refuse(job,
			"a 'start_function' is for the mode 'direct': the mode 'posix' calls "
			"_start");
	if (!take_arguments(job, direct, given) || !take_input(job, coded, given))
		return false;
	if (direct && given->count && !strcmp(start, "_start"))
		return refuse(job,
			"_start takes no 'arguments': name another 'start_function', or use the "
			"mode 'posix'");
	opts->start = strcmp(start, "_start") ? start : NULL;
	opts->program_name = own_name;
	opts->args = (const char *const *)given->args;
	opts->args_count = given->count;
	opts->stdin_data = given->input.data;
	opts->stdin_len = given->input.len;
	return true;
}

static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	CLEANUP(given_done) struct given given = { 0 };
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.flags = NOVA_INVOKE_PROGRAM;
	opts.request_id = job_id(job);
	opts.key = job_key(job);
	opts.userdata = job;
	if (!take(job, &opts, &given))
		return NOVA_EINVAL;
	if (!may_call_function(job, job_field(job, "name")))
		return NOVA_ENOTFOUND;
	job_gather(job);
	opts.on_output = job_gathers;
	return nova_queue_submit(queue, job_field(job, "name"), NULL, &opts, ret_call, error);
}

/* What an export returned is the last line, if it is a number; `*len` is then what is before. */
static json_t *take_returned(const char *text, size_t *len)
{
	size_t at = *len && text[*len - 1] == '\n' ? *len - 1 : *len;
	while (at && text[at - 1] != '\n')
		at--;
	json_t *last = *len ? json_loadb(text + at, *len - at, JSON_DECODE_ANY, NULL) : NULL;
	if (json_is_number(last)) {
		*len = at;
		return last;
	}
	json_decref(last);
	return NULL;
}

static json_t *result_of(struct job *job, const nova_result_t *result, const nova_error_t *error)
{
	struct bytes coded = { 0 };
	const char *printed = job_gathered(job)->data;
	size_t len = job_gathered(job)->len;
	const char *start = or_else(job_field(job, "start_function"), "_start");
	int status = nova_result_exit_code(result);
	json_t *returned = !error && is_direct(job) && strcmp(start, "_start") ?
				   take_returned(printed, &len) :
				   NULL;
	base64_write(&coded, printed, len);
	json_t *body = need(json_pack("{s:b,s:o,s:s,s:b,s:o}", "status", 1, "result",
		returned ? returned : json_integer(status), "output", coded.data ? coded.data : "",
		/* an export has no status; that of a program is no error, unless it was ended */
		"error", error && (is_direct(job) || !status || status > 127), "message",
		error ? text_json(nova_error_message(error), strlen(nova_error_message(error))) :
			json_null()));
	bytes_free(&coded);
	return body;
}

/* A program that fails is an answer; that it could not be run is none. */
static void collect(struct job *job, nova_call_t *call)
{
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	if (error && (!result || nova_error_code(error) != NOVA_EFUNCTION))
		job_fail_by(job, error);
	else
		job_answer(job, result_of(job, result, error));
	nova_error_free(error);
	nova_result_free(result);
}

/* --- everything --- */

/* False with errno set. */
static bool read_file(const char *path, struct bytes *out)
{
	char piece[16384];
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && out->len <= EXPORT_MAX && (got = read(fd, piece, sizeof(piece))) > 0)
		bytes_add(out, piece, (size_t)got);
	if (fd >= 0)
		close(fd);
	return fd >= 0 && got >= 0;
}

/* The archive under its name, in base64. */
static void answer_archive(struct job *job, const char *path)
{
	struct bytes archive = { 0 }, coded = { 0 };
	if (!read_file(path, &archive)) {
		job_problem(job, 500, "host", "the archive cannot be read: %m");
	} else if (archive.len > EXPORT_MAX) {
		job_problem(job, 413, "too_big",
			"the archive has more than %d MiB: novactl export writes it to a file",
			EXPORT_MAX >> 20);
	} else {
		base64_write(&coded, archive.data, archive.len);
		job_answer(job, json_pack("{s:s}", "nova.tar.gz", coded.data));
	}
	bytes_free(&archive);
	bytes_free(&coded);
}

static void export_all(struct job *job)
{
	const struct novad *novad = job_userdata(job);
	nova_error_t *error = NULL;
	char *path = NULL;
	if (asprintf(&path, "%s/export-%s.tar.gz", novad->directory, job_id(job)) < 0)
		need(NULL);
	if (nova_export(job_nova(job), path, &error) != 0)
		fail(job, error);
	else
		answer_archive(job, path);
	unlink(path);
	free(path);
}

const struct job_verb verb_cluster_module = { .name = "register", .work = register_module };
const struct job_verb verb_cluster_blob = { .name = "register", .work = register_blob };
const struct job_verb verb_cluster_file = { .name = "register", .work = register_file };
const struct job_verb verb_cluster_plug_file = { .name = "plug", .work = plug_in_file };
const struct job_verb verb_cluster_plug = { .name = "plug", .work = plug_in };
const struct job_verb verb_cluster_unplug = { .name = "unplug", .work = unplug };
const struct job_verb verb_cluster_export = { .name = "export", .work = export_all };
const struct job_verb verb_cluster_call = {
	.name = "call",
	.submit = submit,
	.collect = collect,
};
