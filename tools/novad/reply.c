/* SPDX-License-Identifier: MIT */
/* What the jobs of all resources read, and how they answer. */
#include <stdarg.h>
#include <stdio.h>
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
