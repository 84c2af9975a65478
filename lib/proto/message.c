/* SPDX-License-Identifier: MIT */
/* Messages on top of frames: what host and agent would otherwise each write for themselves. */
#include <errno.h>

#include "proto/proto.h"

static int give_frame(struct buf *frame, int r, const char *what, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	if (r == 0)
		r = proto_frame_end(frame);
	if (r == -EMSGSIZE)
		return nova_fail(error, NOVA_ETOOBIG, "%s is over the limit of %u MiB a frame",
			what, NOVA_FRAME_MAX >> 20);
	if (r < 0)
		return nova_oom(error);
	*ret_len = frame->len;
	*ret_frame = STEAL(frame->data);
	return 0;
}

struct sink {
	struct buf *frame;
	int result;
};

static int append_dumped(const char *text, size_t len, void *userdata)
{
	struct sink *sink = userdata;
	sink->result = buf_append(sink->frame, text, len);
	return sink->result < 0 ? -1 : 0;
}

int proto_encode_json(
	int type, json_t *payload, void **ret_frame, size_t *ret_len, nova_error_t **error)
{
	AUTO_BUF struct buf frame = PROTO_FRAME_BUF;
	struct sink sink = { &frame, 0 };
	if (!json_is_object(payload))
		/* built by the caller, piece by piece: only memory can have been missing */
		return nova_oom(error);
	int r = proto_frame_begin(&frame, type);
	if (r == 0 && json_dump_callback(payload, append_dumped, &sink, JSON_COMPACT) < 0)
		r = sink.result < 0 ? sink.result : -ENOMEM;
	return give_frame(&frame, r, "a message", ret_frame, ret_len, error);
}

/* 0, or what is wrong and where: lines and columns (in bytes) begin with 1. */
static int check_input(const char *input, size_t len, nova_error_t **error)
{
	struct json_fault fault;
	size_t line = 1, begin = 0;
	if (json_text_check(input, len, PROTO_DEPTH_USER, &fault))
		return 0;
	if (!len)
		return nova_fail(error, NOVA_EINVAL,
			"the payload is not JSON: it is empty; write {} for no input");
	if (fault.too_deep)
		return nova_fail(error, NOVA_EINVAL,
			"the payload is nested too deeply: %u levels are the limit",
			PROTO_DEPTH_USER);
	for (size_t i = 0; i < fault.at; i++)
		if (input[i] == '\n') {
			line++;
			begin = i + 1;
		}
	return nova_fail(error, NOVA_EINVAL,
		"the payload is not JSON: see what begins at line %zu, column %zu", line,
		fault.at - begin + 1);
}

int proto_exec_frame(const char *request_id, const void *input, size_t input_len,
	uint32_t timeout_ms, unsigned flags, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	char options[96], timeout[32] = "";
	if (input_len > PROTO_INPUT_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"a payload of %zu bytes is over the limit of %u MiB", input_len,
			PROTO_INPUT_MAX >> 20);
	int r = check_input(input, input_len, error);
	if (r < 0)
		return r;
	AUTO_BUF struct buf frame = PROTO_FRAME_BUF;
	if (!buf_reserve(&frame, input_len + 256))
		return nova_oom(error);
	r = proto_frame_begin(&frame, NOVA_MSG_EXEC);
	if (r == 0)
		r = buf_append_str(&frame, "{\"request_id\":");
	if (r == 0)
		r = json_put_string(&frame, request_id, strlen(request_id));
	if (timeout_ms)
		snprintf(timeout, sizeof(timeout), ",\"timeout_ms\":%u", timeout_ms);
	snprintf(options, sizeof(options), "%s%s%s%s,\"input\":", timeout,
		flags & PROTO_EXEC_STREAM ? ",\"stream\":true" : "",
		flags & PROTO_EXEC_TIDY ? ",\"tidy\":true" : "",
		flags & PROTO_EXEC_KV ? ",\"kv\":true" : "");
	if (r == 0)
		r = buf_append_str(&frame, options);
	if (r == 0)
		r = buf_append(&frame, input, input_len);
	if (r == 0)
		r = buf_append(&frame, "}", 1);
	return give_frame(&frame, r, "a request", ret_frame, ret_len, error);
}

static int parse_object(const char *text, size_t len, json_t **ret_object, nova_error_t **error)
{
	json_error_t why;
	json_t *object = NULL;
	int r = json_parse(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &object, &why);
	if (r == -ENOMEM)
		return nova_oom(error);
	if (r < 0)
		return nova_fail(error, NOVA_EAGENT,
			"a message cannot be understood: %s (at byte %d)", why.text, why.position);
	if (!json_is_object(object)) {
		json_decref(object);
		return nova_fail(error, NOVA_EAGENT, "a message is not a JSON object");
	}
	*ret_object = object;
	return 0;
}

/* The first member of that name; a second one is found by jansson later, as both names stay in the
 * text. */
static int find_member(
	const char *text, size_t len, const char *name, struct json_span *ret, nova_error_t **error)
{
	struct json_walk walk;
	struct json_span key, value;
	size_t name_len = strlen(name);
	int more = json_walk_start(&walk, text, len, PROTO_DEPTH) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0)
		if (key.len == name_len && memcmp(key.at, name, name_len) == 0) {
			*ret = value;
			return 0;
		}
	return more < 0 ? nova_fail(error, NOVA_EAGENT, "a message is not a JSON object") : 0;
}

int proto_decode_payload(const char *text, size_t len, const char *raw, json_t **ret_object,
	struct json_span *ret_raw, nova_error_t **error)
{
	struct json_span found = { NULL, 0 };
	int r = raw ? find_member(text, len, raw, &found, error) : 0;
	if (r < 0)
		return r;
	if (!found.at) {
		r = parse_object(text, len, ret_object, error);
	} else {
		size_t before = (size_t)(found.at - text), behind = len - before - found.len;
		AUTO_BUF struct buf rest = BUF_INIT(len + 4);
		if (buf_append(&rest, text, before) < 0 || buf_append(&rest, "null", 4) < 0 ||
			buf_append(&rest, found.at + found.len, behind) < 0)
			return nova_oom(error);
		r = parse_object((const char *)rest.data, rest.len, ret_object, error);
	}
	if (r == 0 && ret_raw)
		*ret_raw = found;
	return r;
}

int proto_add_member(const void *frame, size_t len, const char *member, size_t member_len,
	void **ret_frame, size_t *ret_len, nova_error_t **error)
{
	/* of every frame built here; the first one is not inside of anything */
	static const char mark[] = ",\"payload\":{";
	const uint8_t *found = memmem(frame, len, mark, sizeof(mark) - 1);
	size_t before = found ? (size_t)(found - (const uint8_t *)frame) + sizeof(mark) - 1 : 0;
	AUTO_BUF struct buf whole = PROTO_FRAME_BUF;
	if (!found)
		return nova_fail(error, NOVA_EINVAL, "a frame without payload");
	if (len + member_len > whole.max)
		return nova_fail(error, NOVA_ETOOBIG,
			"a frame of %zu bytes is over the limit of %u", len + member_len,
			NOVA_FRAME_MAX);
	if (!buf_reserve(&whole, len + member_len))
		return nova_oom(error);
	int r = buf_append(&whole, frame, before);
	if (r == 0)
		r = buf_append(&whole, member, member_len);
	if (r == 0)
		/* without the brace that proto_frame_end() sets */
		r = buf_append(&whole, (const uint8_t *)frame + before, len - before - 1);
	return give_frame(&whole, r, "a request", ret_frame, ret_len, error);
}
