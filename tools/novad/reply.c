/* SPDX-License-Identifier: MIT */
/* What the jobs of all resources read, and how they answer. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "novad.h"

static const char *member_of(const struct job *job, const char *part, const char *name)
{
	return json_string_value(json_object_get(json_object_get(job_options(job), part), name));
}

const char *job_path(const struct job *job, const char *name)
{
	const char *text = member_of(job, "path", name);
	return text ? text : "";
}

const char *job_query(const struct job *job, const char *name)
{
	return member_of(job, "query", name);
}

const char *job_key(const struct job *job)
{
	return json_string_value(json_object_get(job_options(job), "key"));
}

const json_t *job_fields(const struct job *job)
{
	return json_object_get(job_options(job), "body");
}

const char *job_field(const struct job *job, const char *name)
{
	return member_of(job, "body", name);
}

uint32_t job_field_number(const struct job *job, const char *name)
{
	return (uint32_t)json_integer_value(json_object_get(job_fields(job), name));
}

nova_t *job_nova(const struct job *job)
{
	return ((const struct novad *)job_userdata(job))->nova;
}

void job_status(struct job *job, unsigned status)
{
	json_object_set_new(job_reply(job), "status", json_integer(status));
}

void job_header(struct job *job, const char *name, const char *value)
{
	json_t *headers = json_object_get(job_reply(job), "headers");
	if (!headers) {
		headers = need(json_object());
		json_object_set_new(job_reply(job), "headers", headers);
	}
	json_object_set_new(headers, name, text_json(value, strlen(value)));
}

void job_answer(struct job *job, json_t *body)
{
	json_object_set_new(job_reply(job), "body", need(body));
}

void job_answer_bytes(struct job *job, const char *data, size_t len)
{
	json_object_set_new(job_reply(job), "type", json_string("bytes"));
	job_status(job, 200);
	for (size_t at = 0, n; at < len && !job_is_canceled(job); at += n) {
		n = len - at < JOB_PRINTED_MAX / 2 ? len - at : JOB_PRINTED_MAX / 2;
		while (!job_print_within(job, "body", data + at, n, 500))
			;
	}
}

void job_answer_text(struct job *job, const char *text, size_t len)
{
	job_tell(job, "body", text, len);
}

void job_problem(struct job *job, unsigned status, const char *code, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	job_status(job, status);
	json_object_set_new(job_reply(job), "code", json_string(code));
	job_fail(job, NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, text);
}

bool job_is_streamed(const struct job *job)
{
	return json_is_true(json_object_get(job_options(job), "streamed"));
}

/* The loop never waits for who listens, so that there is room again at once. */
void job_stream(void *job, int stream, const void *data, size_t len)
{
	job_print_within(job, stream == 2 ? "stderr" : "stdout", data, len, 10000);
}

#define GATHERED_MAX (6u << 20) /* whatever a guest sends: with more the call fails */

static void drop(void *gathered)
{
	bytes_free(gathered);
	free(gathered);
}

void job_gather(struct job *job)
{
	job_hold(job, need(calloc(1, sizeof(struct bytes))), drop);
}

void job_gathers(void *job, int stream, const void *data, size_t len)
{
	struct bytes *gathered = job_held(job);
	if (stream == 1 && gathered->len <= GATHERED_MAX)
		bytes_add(gathered, data, len);
}

const struct bytes *job_gathered(const struct job *job)
{
	return job_held(job);
}

const char *job_id(const struct job *job)
{
	return json_string_value(json_object_get(job_options(job), "run"));
}

uint32_t fields_timeout_ms(const json_t *fields)
{
	json_int_t seconds = json_integer_value(json_object_get(fields, "timeout"));
	if (!seconds)
		seconds = json_integer_value(json_object_get(fields, "timeout_secs"));
	return (uint32_t)(seconds ? seconds * 1000 :
				    json_integer_value(json_object_get(fields, "timeout_ms")));
}

/* --- lists --- */

const char **texts_of(const json_t *list, size_t *ret_count)
{
	size_t count = json_array_size(list);
	const char **texts = need(calloc(count + 1, sizeof(*texts)));
	for (size_t i = 0; i < count; i++)
		texts[i] = json_string_value(json_array_get(list, i));
	*ret_count = count;
	return texts;
}

char **pairs_of(const json_t *pairs, size_t *ret_count)
{
	size_t i, count = 0;
	const char *name;
	json_t *value;
	char **all =
		need(calloc(json_object_size(pairs) + json_array_size(pairs) + 1, sizeof(*all)));
	json_object_foreach((json_t *)(uintptr_t)pairs, name,
		value) if (asprintf(&all[count++], "%s=%s", name, json_string_value(value)) < 0)
		need(NULL);
	json_array_foreach(pairs, i, value) if (strchr(json_string_value(value), '='))
		all[count++] = need(strdup(json_string_value(value)));
	*ret_count = count;
	return all;
}

void pairs_free(char **pairs)
{
	for (char **at = pairs; at && *at; at++)
		free(*at);
	free(pairs);
}

/* --- results --- */

json_t *result_json(const nova_result_t *result, const char *error)
{
	size_t out_len = 0, err_len = 0;
	const char *out = nova_result_stdout(result, &out_len);
	const char *err = nova_result_stderr(result, &err_len);
	json_t *all = need(json_object());
	json_object_set_new(all, "stdout", text_json(out, out_len));
	json_object_set_new(all, "stderr", text_json(err, err_len));
	json_object_set_new(all, "error", error ? text_json(error, strlen(error)) : json_null());
	if (!result)
		return all;
	json_object_set_new(all, "exit_code", json_integer(nova_result_exit_code(result)));
	json_object_set_new(all, "truncated", json_boolean(nova_result_truncated(result)));
	json_object_set_new(all, "cold_start", json_boolean(nova_result_cold_start(result)));
	json_object_set_new(all, "duration_ms",
		json_real((double)nova_result_timing_us(result, NOVA_TIMING_TOTAL) / 1000));
	return all;
}

static void add_answer(json_t *body, const nova_result_t *result)
{
	size_t len;
	const char *text = nova_result_output(result, &len);
	json_t *answer = json_loadb(text, len, JSON_DECODE_ANY, NULL);
	/* Numbers that do not fit here stay what they are: a text. */
	json_object_set_new(body, "output", answer ? answer : text_json(text, len));
}

json_t *run_json(struct job *job, const nova_result_t *result, const nova_error_t *error)
{
	const char *failure = result ? nova_result_failure(result) : "";
	json_t *body = result_json(result, *failure ? failure :
					   error    ? nova_error_message(error) :
						      NULL);
	const char *mode = job_field(job, "mode");
	bool returned = job_field(job, "handler") || json_object_get(job_fields(job), "input");
	if (result && !error && job_field(job, "code") && (returned || !job_is_streamed(job)))
		add_answer(body, result);
	json_object_set_new(body, "executionId", json_string(job_id(job)));
	json_object_set_new(body, "mode", json_string(mode ? mode : "ephemeral"));
	return body;
}
