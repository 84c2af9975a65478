/* SPDX-License-Identifier: MIT */
/* What came of a call, from the library in this process or from a daemon, and what is shown of it.
 */
#include "daemon.h"

/* --- from the library --- */

uint64_t result_ms(const nova_result_t *result)
{
	return (nova_result_timing_us(result, NOVA_TIMING_TOTAL) + 500) / 1000;
}

static void copy(struct bytes *bytes, const char *text, size_t len)
{
	bytes_add(bytes, text, len);
}

/* As a JSON string, which has all but the last newline. */
static bool is_string(const nova_result_t *result, const char *text, size_t len)
{
	size_t output_len;
	const char *output = nova_result_output(result, &output_len);
	len -= len && text[len - 1] == '\n';
	json_t *string = *output == '"' ? json_loadb(output, output_len,
						  JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) :
					  NULL;
	bool same = string && json_string_length(string) >= len &&
		    !memcmp(json_string_value(string), text, len);
	json_decref(string);
	return same;
}

/* Whether that text, which a function printed, is its output. */
static bool is_output(const nova_result_t *result, const char *text, size_t len)
{
	size_t output_len;
	const char *output = nova_result_output(result, &output_len);
	const char *at = text, *end = text + len;
	for (; at < end && strchr(" \t\r\n", *at); at++)
		;
	for (; end > at && strchr(" \t\r\n", end[-1]); end--)
		;
	size_t trimmed = (size_t)(end - at);
	bool whole =
		trimmed == output_len || (trimmed < output_len && nova_result_truncated(result));
	return (whole && !memcmp(at, output, trimmed)) || is_string(result, text, len);
}

bool result_has_answer(const nova_result_t *result)
{
	size_t len, output_len;
	const char *text = nova_result_stdout(result, &len);
	const char *output = nova_result_output(result, &output_len);
	bool nothing = !strcmp(output, "null") || !strcmp(output, "\"\"");
	return len ? !is_output(result, text, len) : !nothing;
}

void result_printed(struct bytes *bytes, const nova_result_t *result)
{
	size_t len;
	const char *text = nova_result_stdout(result, &len);
	if (len && !*nova_result_failure(result) && !is_output(result, text, len))
		copy(bytes, text, len);
	text = nova_result_stderr(result, &len);
	copy(bytes, text, len);
}

void answer_take(struct answer *answer, const nova_result_t *result, const nova_error_t *error)
{
	size_t len;
	const char *text;
	*answer = (struct answer){
		.code = nova_error_code(error),
		.outcome = nova_error_outcome(error),
		.message = need(strdup(nova_error_message(error))),
	};
	if (!result)
		return;
	answer->ran = true;
	answer->request_id = need(strdup(nova_result_request_id(result)));
	answer->cold_start = nova_result_cold_start(result);
	answer->duration_ms = result_ms(result);
	answer->failure = need(strdup(nova_result_failure(result)));
	answer->snapshot = need(strdup(nova_result_snapshot(result)));
	answer->instance = need(strdup(nova_result_instance(result)));
	text = nova_result_output(result, &len);
	copy(&answer->output, text, len);
	result_printed(&answer->printed, result);
	char *whole = globals.json ? need(nova_result_to_json(result)) : NULL;
	if (whole)
		copy(&answer->whole, whole, strlen(whole));
	nova_free(whole);
}

/* --- from a daemon --- */

void answer_text(struct answer *answer, const json_t *payload)
{
	wire_text_add(&answer->output, payload, "output");
	wire_text_add(&answer->printed, payload, "printed");
	wire_text_add(&answer->whole, payload, "result");
}

void answer_reply(struct answer *answer, const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");
	const json_t *result = json_object_get(reply, "result");
	answer->code = (int)member_number(error, "code");
	answer->outcome = (int)member_number(error, "outcome");
	answer->message = need(strdup(member_text(error, "message")));
	answer->dropped = (uint64_t)member_number(reply, "dropped");
	if (!result)
		return;
	answer->ran = true;
	answer->request_id = need(strdup(member_text(result, "request_id")));
	answer->cold_start = json_is_true(json_object_get(result, "cold_start"));
	answer->duration_ms = (uint64_t)member_number(result, "duration_ms");
	answer->failure = need(strdup(member_text(result, "failure")));
	answer->snapshot = need(strdup(member_text(result, "snapshot")));
	answer->instance = need(strdup(member_text(result, "instance")));
}

void answer_lost(struct answer *answer, int pid)
{
	answer->code = NOVA_ELOST;
	answer->outcome = NOVA_OUTCOME_UNKNOWN;
	if (asprintf(&answer->message,
		    "the daemon with process id %d ended during this call: the function may have "
		    "run",
		    pid) < 0)
		need(NULL);
}

/* --- what is shown --- */

static void show_printed(const struct answer *answer)
{
	size_t len = answer->printed.len;
	if (!len)
		return;
	fwrite(answer->printed.data, 1, len, stderr);
	if (answer->printed.data[len - 1] != '\n')
		fputc('\n', stderr);
}

static void show_block(const struct answer *answer, bool streamed)
{
	print_field("Request ID", "%s", answer->request_id);
	print_field("Cold Start", "%s", answer->cold_start ? "true" : "false");
	print_field("Duration", "%llu ms", (unsigned long long)answer->duration_ms);
	if (*answer->snapshot)
		print_field("Snapshot", "%s", answer->snapshot);
	if (*answer->instance)
		print_field("Instance", "%s", answer->instance);
	if (!answer->code) {
		puts("Output:");
		print_json_text(answer->output.data, answer->output.len);
	} else {
		print_field("Error", "%s", *answer->failure ? answer->failure : answer->message);
	}
	output_flush();
	if (!streamed && !(globals.quiet && !answer->code)) /* else it was shown when it came */
		show_printed(answer);
}

int answer_show(const struct answer *answer, bool streamed)
{
	if (answer->dropped)
		note("novactl: %llu bytes of what the function printed were not shown: they came "
		     "faster than they were read",
			(unsigned long long)answer->dropped);
	if (answer->ran)
		output_is_of(answer->code ? answer->outcome : NOVA_OUTCOME_RAN);
	if (answer->ran && globals.json)
		print_json_text(answer->whole.data, answer->whole.len);
	else if (answer->ran)
		show_block(answer, streamed);
	if (!answer->code)
		return STATUS_OK;
	if (!answer->ran || globals.json)
		return report_error(answer->code, answer->outcome, answer->message);
	return status_of(answer->code, answer->outcome);
}

void answer_free(struct answer *answer)
{
	free(answer->request_id);
	free(answer->failure);
	free(answer->snapshot);
	free(answer->instance);
	free(answer->message);
	bytes_free(&answer->output);
	bytes_free(&answer->printed);
	bytes_free(&answer->whole);
}
