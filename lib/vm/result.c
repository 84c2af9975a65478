/* SPDX-License-Identifier: MIT */
#include "vm/vm.h"

static int copy_text(const json_t *text, char **ret_copy, size_t *ret_len)
{
	size_t len = json_string_length(text);
	char *copy = malloc(len + 1);
	if (!copy)
		return -1;
	if (len)
		memcpy(copy, json_string_value(text), len);
	copy[len] = 0;
	*ret_copy = copy;
	*ret_len = len;
	return 0;
}

static int copy_texts(nova_result_t *r, const json_t *payload, struct json_span output)
{
	size_t ignored;
	r->output_len = output.at ? output.len : strlen("null");
	r->output = output.at ? strndup(output.at, output.len) : strdup("null");
	if (!r->output)
		return -1;
	return copy_text(json_object_get(payload, "stdout"), &r->out, &r->out_len) |
		copy_text(json_object_get(payload, "stderr"), &r->err, &r->err_len) |
		copy_text(json_object_get(payload, "error"), &r->failure, &ignored);
}

int result_from_answer(const struct vm_answer *answer, const char *request_id, const char *vm_id, nova_result_t **ret_result,
	nova_error_t **error)
{
	const json_t *payload = answer->payload;
	nova_result_t *r = calloc(1, sizeof(*r));
	if (!r || copy_texts(r, payload, answer->raw) < 0) {
		nova_result_free(r);
		return nova_oom(error);
	}
	int signal = (int)json_integer_value(json_object_get(payload, "signal"));
	snprintf(r->request_id, sizeof(r->request_id), "%s", request_id ? request_id : "");
	snprintf(r->vm_id, sizeof(r->vm_id), "%s", vm_id);
	r->exit_code = signal ? 128 + signal : (int)json_integer_value(json_object_get(payload, "exit_code"));
	r->truncated = json_is_true(json_object_get(payload, "truncated"));
	r->timed_out = json_is_true(json_object_get(payload, "timed_out"));
	r->canceled = json_is_true(json_object_get(payload, "canceled"));
	r->timing_us[NOVA_TIMING_GUEST] = (uint64_t)json_integer_value(json_object_get(payload, "duration_us"));
	*ret_result = r;
	return 0;
}

void nova_result_free(nova_result_t *result)
{
	if (!result)
		return;
	free(result->output);
	free(result->failure);
	free(result->out);
	free(result->err);
	free(result);
}

static const char *give(const char *text, size_t len, size_t *ret_len)
{
	if (ret_len)
		*ret_len = len;
	return text;
}

const char *nova_result_output(const nova_result_t *result, size_t *ret_len)
{
	return give(result->output, result->output_len, ret_len);
}

const char *nova_result_stdout(const nova_result_t *result, size_t *ret_len)
{
	return give(result->out, result->out_len, ret_len);
}

const char *nova_result_stderr(const nova_result_t *result, size_t *ret_len)
{
	return give(result->err, result->err_len, ret_len);
}

int nova_result_truncated(const nova_result_t *result)
{
	return result->truncated;
}

const char *nova_result_failure(const nova_result_t *result)
{
	return result->failure;
}

int nova_result_exit_code(const nova_result_t *result)
{
	return result->exit_code;
}

const char *nova_result_request_id(const nova_result_t *result)
{
	return result->request_id;
}

int nova_result_cold_start(const nova_result_t *result)
{
	return result->cold_start;
}

const char *nova_result_vm_id(const nova_result_t *result)
{
	return result->vm_id;
}

const char *nova_result_snapshot(const nova_result_t *result)
{
	return result->snapshot;
}

const char *nova_result_instance(const nova_result_t *result)
{
	return result->instance;
}

uint64_t nova_result_timing_us(const nova_result_t *result, int timing)
{
	return timing >= 0 && timing < VM_TIMINGS ? result->timing_us[timing] : 0;
}

uint64_t nova_result_duration_ms(const nova_result_t *result)
{
	return (result->timing_us[NOVA_TIMING_TOTAL] + 500u) / 1000u;
}

static json_t *timings(const nova_result_t *r)
{
	static const char *const names[VM_TIMINGS] = { "total", "lookup", "queue", "start", "boot", "init", "exec", "guest" };
	json_t *object = json_object();
	for (size_t i = 0; i < VM_TIMINGS; i++)
		json_object_set_new(object, names[i], json_integer((json_int_t)r->timing_us[i]));
	return object;
}

char *nova_result_to_json(const nova_result_t *r)
{
	/* The output keeps its own text: numbers in it may be larger than any parser's. */
	AUTO_JSON json_t *rest = json_pack("{s:s, s:b, s:I, s:s, s:s, s:s, s:i, s:s, s:s%, s:s%, s:b, s:o}", "request_id", r->request_id,
		"cold_start", r->cold_start, "duration_ms", (json_int_t)nova_result_duration_ms(r), "vm", r->vm_id, "snapshot",
		r->snapshot, "instance", r->instance, "exit_code",
		r->exit_code, "error", r->failure, "stdout", r->out, r->out_len, "stderr", r->err, r->err_len, "truncated", r->truncated,
		"timing_us", timings(r));
	AUTO_FREE char *text = rest ? json_dumps(rest, JSON_COMPACT) : NULL;
	return text ? str_format("{\"output\":%.*s,%s", (int)r->output_len, r->output, text + 1) : NULL;
}
