/* SPDX-License-Identifier: MIT */
/*
 * AWS Lambda's way to call functions, for its clients: what they send and are answered is as
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html says. docs/novad.md says what of it
 * is not there.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http.h"
#include "routes.h"

#define LOG_MAX     4096 /* bytes of a log that an answer has */
#define LATEST      "$LATEST"
#define NAME_BYTES  200
#define PAGE        50
#define CONTEXT_MAX 3583 /* bytes of what a client tells of itself: as Lambda has it */
#define REFUSED     "InvalidParameterValueException"

const struct field lambda_query[] = {
	{ "Qualifier", KIND_TEXT, "a version or an alias" },
	{ NULL },
};

const struct field lambda_list_query[] = {
	{ "Marker", KIND_TEXT, "what the page before gave as NextMarker" },
	{ "MaxItems", KIND_NUMBER, "at most so many; 50", .min = 1, .max = 10000 },
	{ NULL },
};

/* --- which function --- */

/* Of "arn:aws:lambda:REGION:ACCOUNT:function:NAME" and "ACCOUNT:function:NAME" the name, and the
 * same with a qualifier. */
static const char *without_account(const char *text)
{
	const char *at = strstr(text, ":function:");
	bool is_account = strspn(text, "0123456789") == 12 && at == text + 12;
	return at && (is_account || !strncmp(text, "arn:", 4)) ? at + 10 : text;
}

static bool is_name(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return false;
	return len && len <= NAME_BYTES;
}

/* "NAME" or "NAME:QUALIFIER", which the caller frees; NULL: it has been answered that it is none.
 */
static char *target_of(struct job *job)
{
	char *target = need(strdup(without_account(job_path(job, "name"))));
	char *own = strchr(target, ':'), *whole = NULL;
	const char *given = job_query(job, "Qualifier");
	if (own)
		*own++ = 0;
	bool differ = own && given && *given && strcmp(own, given) != 0;
	const char *qualifier = own ? own : given;
	bool latest = !qualifier || (!own && !*qualifier) || !strcmp(qualifier, LATEST);
	if (differ)
		job_problem(job, 400, REFUSED,
			"the qualifier of the function's name is not the one besides");
	else if (!is_name(target) || (!latest && !is_name(qualifier)))
		job_problem(job, 400, REFUSED, "this is no name of a function");
	else if (asprintf(&whole, "%s%s%s", target, latest ? "" : ":", latest ? "" : qualifier) < 0)
		need(NULL);
	free(target);
	return whole;
}

/* --- how it is to be called --- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; text && *words; words++)
		if (!strcmp(text, *words))
			return true;
	return !text;
}

/* What a client tells of itself. False: it is none. */
static bool take_context(struct exchange *x, const char *coded)
{
	struct bytes text = { 0 };
	if (!coded)
		return true;
	json_t *told = base64_read(&text, coded, strlen(coded)) && text.len <= CONTEXT_MAX ?
			       json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL) :
			       NULL;
	bool is_object = json_is_object(told);
	if (is_object) {
		char *plain = need(json_dumps(told, JSON_COMPACT));
		json_object_set_new(x->options, "client_context", json_string(plain));
		free(plain);
	}
	json_decref(told);
	bytes_free(&text);
	return is_object;
}

bool lambda_begin(struct exchange *x)
{
	static const char *const types[] = { "RequestResponse", "Event", "DryRun", NULL };
	static const char *const logs[] = { "None", "Tail", NULL };
	const char *type = exchange_header(x, "X-Amz-Invocation-Type");
	const char *log = exchange_header(x, "X-Amz-Log-Type");
	if (!is_one_of(type, types))
		exchange_problem(
			x, 400, REFUSED, "the invocation type is RequestResponse, Event or DryRun");
	else if (!is_one_of(log, logs))
		exchange_problem(x, 400, REFUSED, "the log type is None or Tail");
	else if (!take_context(x, exchange_header(x, "X-Amz-Client-Context")))
		exchange_problem(x, 400, "InvalidRequestContentException",
			"Client context must be a valid Base64-encoded JSON object");
	else if (type && !strcmp(type, "DryRun"))
		x->verb = &verb_lambda_check;
	bool is_event = type && !strcmp(type, "Event"), is_durable = durable_is_on(x->novad);
	if (!x->answered && is_event && is_durable)
		x->verb = &verb_lambda_event;
	x->detached = is_event && !is_durable;
	if (!x->answered && log && !strcmp(log, "Tail"))
		json_object_set_new(x->options, "tail", json_true());
	return !x->answered;
}

static void check(struct job *job)
{
	char *target = target_of(job);
	nova_function_t *function = target ? function_find(job, target) : NULL;
	if (function)
		job_status(job, 204);
	nova_function_free(function);
	free(target);
}

/* --- calling it --- */

struct invocation {
	char *target;
	char log[LOG_MAX]; /* the last that it printed */
	size_t len;
};

static void release(void *held)
{
	struct invocation *call = held;
	free(call->target);
	free(call);
}

/* In a thread of the call, one at a time, and before it is finished. */
static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	(void)stream;
	struct invocation *call = job_held(userdata);
	const char *at = data;
	if (len > LOG_MAX) {
		at += len - LOG_MAX;
		len = LOG_MAX;
	}
	size_t keep = call->len + len > LOG_MAX ? LOG_MAX - len : call->len;
	memmove(call->log, call->log + call->len - keep, keep);
	memcpy(call->log + keep, at, len);
	call->len = keep + len;
}

static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const struct bytes *body = job_body(job);
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	struct invocation *call = need(calloc(1, sizeof(*call)));
	job_hold(job, call, release);
	call->target = target_of(job);
	if (!call->target)
		return NOVA_EINVAL;
	if (!may_call_function(job, call->target))
		return NOVA_ENOTFOUND;
	opts.request_id = job_id(job);
	opts.key = job_key(job);
	opts.client_context = job_text(job, "client_context");
	opts.userdata = job;
	opts.on_output = job_flag(job, "tail") ? on_output : NULL;
	bool is_whole = !body->data || strlen(body->data) == body->len;
	int code = is_whole ? nova_queue_submit(queue, call->target, body->len ? body->data : "{}",
				      &opts, ret_call, error) :
			      NOVA_EINVAL;
	if (code == NOVA_EINVAL) /* all else has been checked */
		job_problem(job, 400, "malformed", "Could not parse request body into json: %s",
			*error ? nova_error_message(*error) : "it has a NUL");
	if (code == NOVA_EINVAL) {
		nova_error_free(*error);
		*error = NULL;
	}
	return code;
}

/* Where there is Redis, what nobody waits for waits there, so that it survives this process. */
static void hand_in(struct job *job)
{
	nova_error_t *error = NULL;
	nova_job_opts opts = NOVA_JOB_OPTS_INIT;
	char *target = target_of(job);
	opts.client_context = job_text(job, "client_context");
	int code = target ? durable_submit(job, target, &opts, &error) : NOVA_EINVAL;
	if (error && code == NOVA_EINVAL)
		job_problem(job, 400, "malformed", "Could not parse request body into json: %s",
			nova_error_message(error));
	else if (error)
		job_fail_by(job, error);
	nova_error_free(error);
	free(target);
}

static void name_version(char *out, size_t size, const nova_result_t *result)
{
	uint32_t version = nova_result_version(result);
	if (version)
		snprintf(out, size, "%u", version);
	else
		snprintf(out, size, LATEST);
}

static double ms_of(const nova_result_t *result, int timing)
{
	return (double)nova_result_timing_us(result, timing) / 1000;
}

static void add_log(struct job *job, const nova_result_t *result, const char *version)
{
	char text[300];
	struct bytes log = { 0 }, base64 = { 0 };
	const struct invocation *call = job_held(job);
	snprintf(text, sizeof(text), "START RequestId: %s Version: %s\n", job_id(job), version);
	bytes_add(&log, text, strlen(text));
	bytes_add(&log, call->log, call->len);
	snprintf(text, sizeof(text), "%sEND RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms",
		log.data[log.len - 1] == '\n' ? "" : "\n", job_id(job), job_id(job),
		ms_of(result, NOVA_TIMING_EXEC));
	bytes_add(&log, text, strlen(text));
	if (nova_result_cold_start(result)) {
		snprintf(text, sizeof(text), "\tInit Duration: %.2f ms",
			ms_of(result, NOVA_TIMING_START) + ms_of(result, NOVA_TIMING_BOOT) +
				ms_of(result, NOVA_TIMING_INIT));
		bytes_add(&log, text, strlen(text));
	}
	bytes_add(&log, "\n", 1);
	size_t skip = log.len > LOG_MAX ? log.len - LOG_MAX : 0;
	base64_write(&base64, log.data + skip, log.len - skip);
	job_header(job, "X-Amz-Log-Result", base64.data);
	bytes_free(&base64);
	bytes_free(&log);
}

/* "ValueError" of "ValueError: no". */
static json_t *error_type(int code, const char *failure)
{
	size_t len =
		strspn(failure, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
	if (code == NOVA_ETIMEDOUT)
		return json_string("Sandbox.Timedout");
	if (code == NOVA_EFUNCTION)
		return len && failure[len] == ':' ? json_stringn(failure, len) :
						    json_string("Error");
	return json_string("Runtime.ExitError");
}

/* Whatever may have run is an answer: these clients ask again by themselves after a 5xx. */
static void answer_failure(struct job *job, const nova_result_t *result, const nova_error_t *error)
{
	const char *failure = result ? nova_result_failure(result) : "";
	const char *text = *failure ? failure : nova_error_message(error);
	job_header(job, "X-Amz-Function-Error", "Unhandled");
	job_answer(job, json_pack("{s:o,s:o}", "errorMessage", text_json(text, strlen(text)),
				"errorType", error_type(nova_error_code(error), failure)));
}

static bool may_have_run(const nova_error_t *error)
{
	return nova_error_code(error) == NOVA_EFUNCTION ||
	       nova_error_outcome(error) != NOVA_OUTCOME_NEVER_RAN;
}

static void collect(struct job *job, nova_call_t *call)
{
	size_t len;
	char version[16];
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	name_version(version, sizeof(version), result);
	if (result)
		job_header(job, "X-Amz-Executed-Version", version);
	if (result && job_flag(job, "tail"))
		add_log(job, result, version);
	if (!error) {
		const char *text = nova_result_output(result, &len);
		job_answer_text(job, text, len);
	} else if (may_have_run(error)) {
		answer_failure(job, result, error);
	} else {
		job_fail_by(job, error);
	}
	nova_error_free(error);
	nova_result_free(result);
}

/* --- which there are --- */

/* `qualifier`: by which it was asked for; NULL: by none. */
static json_t *configuration(const nova_function_t *f, const char *qualifier)
{
	struct tm tm;
	char arn[400], modified[40], version[16] = LATEST;
	const char *name = nova_function_name(f), *handler = nova_function_text(f, "handler", 0);
	time_t time = (time_t)(nova_function_updated_us(f) / 1000000);
	snprintf(arn, sizeof(arn), "arn:aws:lambda:local:000000000000:function:%s%s%s", name,
		qualifier ? ":" : "", qualifier ? qualifier : "");
	if (qualifier)
		snprintf(version, sizeof(version), "%u", nova_function_version(f));
	strftime(modified, sizeof(modified), "%Y-%m-%dT%H:%M:%S.000+0000", gmtime_r(&time, &tm));
	return need(json_pack("{s:s,s:s,s:s?,s:s,s:I,s:I,s:s,s:s,s:s}", "FunctionName", name,
		"FunctionArn", arn, "Runtime", nova_function_text(f, "runtime", 0), "Handler",
		handler ? handler : "", "Timeout", (json_int_t)nova_function_number(f, "timeout_s"),
		"MemorySize", (json_int_t)nova_function_number(f, "memory_mb"), "LastModified",
		modified, "Version", version, "State", "Active"));
}

static json_t *latest(const struct job *job, const nova_function_t *function)
{
	(void)job;
	return configuration(function, NULL);
}

static void list(struct job *job)
{
	const char *limit = job_query(job, "MaxItems");
	struct function_page page = { .describe = latest };
	page.most = limit ? strtoul(limit, NULL, 10) : PAGE;
	if (functions_page(job, &page, NULL, job_query(job, "Marker")))
		job_answer(job, json_pack("{s:O,s:s*}", "Functions", page.list, "NextMarker",
					page.is_last ? NULL : page.last));
	json_decref(page.list);
}

static const char *qualifier_of(const char *target)
{
	const char *colon = strchr(target, ':');
	return colon ? colon + 1 : NULL;
}

static void get(struct job *job)
{
	char *target = target_of(job);
	nova_function_t *function = target ? function_find(job, target) : NULL;
	if (function)
		job_answer(job, json_pack("{s:o}", "Configuration",
					configuration(function, qualifier_of(target))));
	nova_function_free(function);
	free(target);
}

const struct job_verb verb_lambda_invoke = {
	.name = "invoke",
	.submit = submit,
	.collect = collect,
};
const struct job_verb verb_lambda_event = { .name = "event", .work = hand_in };
const struct job_verb verb_lambda_check = { .name = "check", .work = check };
const struct job_verb verb_lambda_list = { .name = "list", .work = list };
const struct job_verb verb_lambda_get = { .name = "get", .work = get };
