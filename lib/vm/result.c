/* SPDX-License-Identifier: MIT */
#include "vm/channel.h"

#define WORDS_MOST 4000u /* bytes of a guest's words in a message */

static struct json_span or_empty(struct json_span text)
{
	return text.at ? text : (struct json_span){ "", 0 };
}

/* What is told of a process that ended has to be there, and a failure has its words. */
static const char *fault(const struct guest_message *said)
{
	if (!said->output.at || said->exit_code < 0)
		return "no result";
	return (said->timed_out || said->canceled) && !said->error.len ?
		       "a failure without a reason" :
		       NULL;
}

int result_from_answer(struct vm_answer *answer, const char *request_id, const char *vm_id,
	nova_result_t **ret_result, nova_error_t **error)
{
	const struct guest_message *said = &answer->said;
	const char *wrong = fault(said);
	if (wrong)
		return nova_fail(error, NOVA_EAGENT, "the agent in microVM %s answers with %s",
			vm_id, wrong);
	nova_result_t *r = calloc(1, sizeof(*r));
	if (!r)
		return nova_oom(error);
	r->output = said->output;
	r->failure = or_empty(said->error);
	r->out = or_empty(said->out);
	r->err = or_empty(said->err);
	snprintf(r->request_id, sizeof(r->request_id), "%s", request_id ? request_id : "");
	snprintf(r->vm_id, sizeof(r->vm_id), "%s", vm_id);
	r->exit_code = said->signal > 0 ? 128 + (int)said->signal : (int)said->exit_code;
	r->truncated = said->truncated;
	r->timed_out = said->timed_out;
	r->canceled = said->canceled;
	r->timing_us[NOVA_TIMING_GUEST] = said->duration_us > 0 ? (uint64_t)said->duration_us : 0;
	r->memory_peak = said->peak_kb > 0 ? (uint64_t)said->peak_kb * 1024u : 0;
	r->frame = STEAL(answer->frame);
	r->long_output = STEAL(answer->output);
	*ret_result = r;
	return 0;
}

void nova_result_free(nova_result_t *result)
{
	if (!result)
		return;
	free(result->frame);
	free(result->long_output);
	free(result);
}

/* What the getters tell of NULL. */
static const nova_result_t *or_nothing(const nova_result_t *result)
{
	static const nova_result_t nothing = {
		.output = { "null", 4 }, .failure = { "", 0 }, .out = { "", 0 }, .err = { "", 0 }
	};
	return result ? result : &nothing;
}

static const char *give(struct json_span text, size_t *ret_len)
{
	if (ret_len)
		*ret_len = text.len;
	return text.at;
}

const char *nova_result_output(const nova_result_t *result, size_t *ret_len)
{
	return give(or_nothing(result)->output, ret_len);
}

const char *nova_result_stdout(const nova_result_t *result, size_t *ret_len)
{
	return give(or_nothing(result)->out, ret_len);
}

const char *nova_result_stderr(const nova_result_t *result, size_t *ret_len)
{
	return give(or_nothing(result)->err, ret_len);
}

int nova_result_truncated(const nova_result_t *result)
{
	return or_nothing(result)->truncated;
}

const char *nova_result_failure(const nova_result_t *result)
{
	return or_nothing(result)->failure.at;
}

int nova_result_exit_code(const nova_result_t *result)
{
	return or_nothing(result)->exit_code;
}

const char *nova_result_request_id(const nova_result_t *result)
{
	return or_nothing(result)->request_id;
}

int nova_result_cold_start(const nova_result_t *result)
{
	return or_nothing(result)->cold_start;
}

const char *nova_result_vm_id(const nova_result_t *result)
{
	return or_nothing(result)->vm_id;
}

const char *nova_result_snapshot(const nova_result_t *result)
{
	return or_nothing(result)->snapshot;
}

const char *nova_result_instance(const nova_result_t *result)
{
	return or_nothing(result)->instance;
}

uint32_t nova_result_version(const nova_result_t *result)
{
	return or_nothing(result)->version;
}

const char *vm_path_name(enum vm_path path)
{
	static const char *const names[] = { "classic", "parked", "hot" };
	return names[path];
}

const char *nova_result_path(const nova_result_t *result)
{
	return result ? vm_path_name(result->path) : "";
}

const char *nova_result_path_why(const nova_result_t *result)
{
	return or_nothing(result)->path_why;
}

uint64_t nova_result_timing_us(const nova_result_t *result, int timing)
{
	return timing >= 0 && timing < VM_TIMINGS ? or_nothing(result)->timing_us[timing] : 0;
}

/* --- a refusal --- */

/* The last line that is not empty: of a traceback, the one that says what happened. Not more than
 * is good for a message. */
static struct json_span last_line(struct json_span text)
{
	size_t end = text.len;
	while (end && (unsigned char)text.at[end - 1] <= ' ')
		end--;
	size_t begin = end;
	while (begin && text.at[begin - 1] != '\n')
		begin--;
	size_t len = utf8_valid_prefix((const uint8_t *)text.at + begin,
		end - begin < WORDS_MOST ? end - begin : WORDS_MOST);
	return (struct json_span){ text.at + begin, len };
}

/* Not a line of a stack, nor of a value that takes several lines. */
static bool says_something(struct json_span line)
{
	return line.len && !strchr(" \t}])", line.at[0]);
}

static int refusal_code(const char *name)
{
	static const struct {
		const char *name;
		int code;
	} refusals[] = {
		{ "invalid", NOVA_EINVAL },
		{ "code", NOVA_EFUNCTION },
		{ "busy", NOVA_EBUSY },
		{ "canceled", NOVA_ECANCELED },
		{ "missing", NOVA_ENOTFOUND },
		{ "space", NOVA_ENOSPC },
		{ "io", NOVA_EIO },
	};
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (!strcmp(refusals[i].name, name))
			return refusals[i].code;
	return 0;
}

int vm_refusal(const struct vm_answer *answer, nova_error_t **error)
{
	const struct guest_message *said = &answer->said;
	if (!said->code.at)
		return 0;
	const char *text = said->error.at ? said->error.at : said->code.at;
	int code = refusal_code(said->code.at);
	if (!code)
		return nova_fail(
			error, NOVA_EAGENT, "the agent failed: %.*s", (int)WORDS_MOST, text);
	struct json_span last = said->err.at ? last_line(said->err) : (struct json_span){ "", 0 };
	if (!says_something(last) || memmem(text, strlen(text), last.at, last.len))
		last.len = 0; /* or it says the same */
	return nova_fail(error, code, "%.*s%s%.*s", (int)WORDS_MOST, text, last.len ? ": " : "",
		(int)last.len, last.at);
}

int vm_done(const struct vm_answer *answer, nova_error_t **error)
{
	int code = vm_refusal(answer, error);
	if (code < 0 || answer->said.status.at)
		return code;
	return nova_fail(error, NOVA_EAGENT, "the agent answers without saying that it is done");
}

/* --- as JSON, without a tree: it can be megabytes --- */

static int put_text(struct buf *b, const char *name, struct json_span text)
{
	int r = buf_append_str(b, name);
	return r < 0 ? r : json_put_string(b, text.at, text.len);
}

static int put_word(struct buf *b, const char *name, const char *text)
{
	return put_text(b, name, (struct json_span){ text, strlen(text) });
}

static int put_timings(struct buf *b, const nova_result_t *r)
{
	static const char *const names[VM_TIMINGS] = { "total", "lookup", "queue", "start", "boot",
		"init", "exec", "guest" };
	int code = buf_append_str(b, ",\"timing_us\":{");
	for (size_t i = 0; i < VM_TIMINGS && code == 0; i++) {
		char pair[64];
		snprintf(pair, sizeof(pair), "%s\"%s\":%llu", i ? "," : "", names[i],
			(unsigned long long)r->timing_us[i]);
		code = buf_append_str(b, pair);
	}
	return code < 0 ? code : buf_append_str(b, "}}");
}

static int put_result(struct buf *b, const nova_result_t *r)
{
	char times[96], status[64];
	snprintf(times, sizeof(times), ",\"cold_start\":%s,\"duration_ms\":%llu",
		r->cold_start ? "true" : "false",
		(unsigned long long)(nova_result_timing_us(r, NOVA_TIMING_TOTAL) + 500) / 1000);
	snprintf(status, sizeof(status), ",\"exit_code\":%d", r->exit_code);
	/* The output keeps its own text: numbers in it may be larger than any parser's. */
	int code = buf_append_str(b, "{\"output\":");
	if (code == 0)
		code = buf_append(b, r->output.at, r->output.len);
	if (code == 0)
		code = put_word(b, ",\"request_id\":", r->request_id);
	if (code == 0)
		code = buf_append_str(b, times);
	if (code == 0)
		code = put_word(b, ",\"vm\":", r->vm_id);
	if (code == 0)
		code = put_word(b, ",\"snapshot\":", r->snapshot);
	if (code == 0)
		code = put_word(b, ",\"instance\":", r->instance);
	if (code == 0)
		code = buf_append_str(b, status);
	if (code == 0)
		code = put_word(b, ",\"path\":", vm_path_name(r->path));
	if (code == 0)
		code = put_word(b, ",\"path_why\":", r->path_why);
	if (code == 0)
		code = put_text(b, ",\"error\":", r->failure);
	if (code == 0)
		code = put_text(b, ",\"stdout\":", r->out);
	if (code == 0)
		code = put_text(b, ",\"stderr\":", r->err);
	if (code == 0)
		code = buf_append_str(
			b, r->truncated ? ",\"truncated\":true" : ",\"truncated\":false");
	return code < 0 ? code : put_timings(b, r);
}

char *nova_result_to_json(const nova_result_t *r)
{
	AUTO_BUF struct buf b = BUF_INIT(SIZE_MAX / 4);
	return !r || put_result(&b, r) < 0 ? NULL : buf_steal_str(&b);
}
