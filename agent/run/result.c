/* SPDX-License-Identifier: MIT */
/* What came of a request, and its streams. Straight into the frame: a result may be most of the
 * memory there is. */
#include <errno.h>

#include "agent/run/run.h"

#define ENVELOPE_ROOM (4u << 10) /* of a frame, for all but output, stdout and stderr */
#define STREAM_PIECE  (32u << 10)

/* --- what a failure is called --- */

/* The last lines of stderr, as one short piece. */
static struct json_span last_words(struct json_span text)
{
	struct json_span words = json_trim(text.at, text.len);
	size_t from = words.len > 400 ? words.len - 400 : 0, lines = 0;
	for (size_t at = words.len; at > from; at--)
		if (words.at[at - 1] == '\n' && ++lines == 4)
			from = at;
	while (from && from < words.len && ((uint8_t)words.at[from] & 0xC0) == 0x80)
		from++; /* not in the middle of a letter */
	return (struct json_span){ words.at ? words.at + from : "", words.len - from };
}

static bool failed(const struct request *request)
{
	return request->timed_out || request->oom || request->signal || request->exit_code ||
	       request->kind == 'E';
}

/* What stands in the place of the last words of a function that had none. */
static const char *silent(const struct request *request)
{
	if (request->canceled || request->timed_out || request->oom)
		return "";
	return ", and nothing was written to stderr";
}

static void name_failure(const struct request *request, char *what, size_t size)
{
	if (request->canceled)
		snprintf(what, size, "canceled");
	else if (request->timed_out)
		snprintf(what, size, "timeout after %u ms", request->timeout_ms);
	else if (request->oom)
		snprintf(what, size, "out of memory");
	else if (request->signal)
		snprintf(what, size, "signal %d", request->signal);
	else
		snprintf(what, size, "exit %d", request->exit_code);
}

static int put_error(struct buf *frame, const struct request *request)
{
	char what[64];
	AUTO_BUF struct buf text = BUF_INIT(8192);
	const struct buf *said = &request->output[1].kept;
	struct json_span words = { (char *)said->data, said->len };
	words = last_words(request->wasm ? wasm_reason(words) : words);
	int r = buf_append_str(frame, ",\"error\":");
	if (r == 0 && request->kind == 'E') {
		size_t len = request->result.len < 4000 ? request->result.len : 4000;
		return json_put_string(frame, request->result.data, len);
	}
	name_failure(request, what, sizeof(what));
	if (r == 0)
		r = buf_append_str(&text, what);
	if (r == 0)
		r = buf_append_str(&text, words.len ? ": " : silent(request));
	if (r == 0)
		r = buf_append(&text, words.at, words.len);
	return r < 0 ? r : json_put_string(frame, text.data, text.len);
}

/* --- results --- */

/* What is given for an output, and how. */
struct given {
	struct buf *text;      /* where it is; NULL: there is none */
	struct json_span part; /* of the text */
	bool quote;            /* it becomes a string; else it is JSON */
	size_t size;           /* of the JSON */
	char wrong[200];       /* why it cannot be given; "": it can */
};

static bool in_pieces(const struct given *given)
{
	return given->text && given->size > PROTO_OUTPUT_INLINE;
}

static void look_at_value(struct given *given, struct buf *result)
{
	given->text = result;
	given->part = (struct json_span){ (char *)result->data, result->len };
	given->size = result->len;
}

/* What a function printed, as JSON: as it is, or wrapped into a string without its last newline. */
static void look_at_printed(struct given *given, struct output *out)
{
	const char *text = (const char *)out->kept.data;
	size_t len = out->kept.len;
	struct json_fault fault = { 0, false };
	if (out->total > PROTO_OUTPUT_MAX) {
		snprintf(given->wrong, sizeof(given->wrong),
			"the function printed %llu bytes, over the limit of %u for its output",
			(unsigned long long)out->total, PROTO_OUTPUT_MAX);
		return;
	}
	given->quote = !len || !json_text_check(text, len, PROTO_DEPTH_USER, &fault);
	if (fault.too_deep) {
		snprintf(given->wrong, sizeof(given->wrong),
			"the function printed JSON that is nested too deeply: %u levels are the "
			"limit",
			PROTO_DEPTH_USER);
		return;
	}
	given->text = &out->kept;
	given->part = given->quote ?
			      (struct json_span){ text, len - (len && text[len - 1] == '\n') } :
			      json_trim(text, len);
	given->size =
		given->quote ? json_string_size(given->part.at, given->part.len) : given->part.len;
}

static void look_at_output(struct given *given, struct request *request)
{
	*given = (struct given){ .text = NULL };
	if (request->command || failed(request))
		return;
	/* A handler that ended its process itself has returned nothing. */
	if (request->kind == 'R')
		look_at_value(given, &request->result);
	else if (request->kind || !request->warm || (request->input_path && !request->in_place))
		look_at_printed(given, &request->output[0]);
}

static int put_output(struct buf *frame, const struct given *given)
{
	if (in_pieces(given))
		return 0;
	int r = buf_append_str(frame, ",\"output\":");
	if (r < 0)
		return r;
	if (!given->text)
		return buf_append_str(frame, "null");
	return given->quote ? json_put_string(frame, given->part.at, given->part.len) :
			      buf_append(frame, given->part.at, given->part.len);
}

static int put_stream(struct buf *frame, const char *name, struct output *out, size_t room)
{
	int r = buf_append_str(frame, name);
	if (r < 0)
		return r;
	ssize_t taken = json_put_string_upto(frame, out->kept.data, out->kept.len, room);
	out->truncated |= taken >= 0 && (size_t)taken < out->kept.len;
	return taken < 0 ? (int)taken : 0;
}

static int put_numbers(struct buf *frame, const struct request *request)
{
	uint64_t us = (clock_ns() - request->start) / 1000;
	int r = put_number(frame, ",\"exit_code\":",
		(uint64_t)(request->signal ? 128 + request->signal : request->exit_code));
	if (r == 0)
		r = put_number(frame, ",\"signal\":", (uint64_t)request->signal);
	if (r == 0)
		r = put_bool(frame, ",\"timed_out\":", request->timed_out);
	if (r == 0)
		r = put_bool(frame, ",\"truncated\":",
			request->output[0].truncated || request->output[1].truncated);
	if (r == 0 && request->canceled)
		r = put_bool(frame, ",\"canceled\":", true);
	if (r == 0)
		r = put_number(frame, ",\"duration_ms\":", (us + 500) / 1000);
	if (r == 0)
		r = put_number(frame, ",\"duration_us\":", us);
	return r < 0 ? r : put_number(frame, ",\"peak_kb\":", request->peak_kb);
}

static int put_result(struct buf *frame, struct request *request, const struct given *given)
{
	struct output *out = request->output;
	bool failure = request->command ? request->timed_out || request->canceled : failed(request);
	int r = frame->data ? put_output(frame, given) : -ENOMEM;
	if (r == 0 && failure)
		r = put_error(frame, request);
	else if (r == 0 && *given->wrong)
		r = put_text(frame, ",\"error\":", given->wrong);
	/* Whatever the output left of the frame is shared by the texts. */
	size_t room = frame->max - frame->len - ENVELOPE_ROOM;
	size_t before = frame->len;
	if (r == 0)
		r = put_stream(frame, ",\"stderr\":", &out[1], room / 2);
	if (r == 0)
		r = put_stream(frame, ",\"stdout\":", &out[0], room - (frame->len - before));
	return r < 0 ? r : put_numbers(frame, request);
}

/* A long output goes ahead of the answer. */
void result_answer(struct channel *channel, struct request *request)
{
	struct given given;
	look_at_output(&given, request);
	size_t expect = request->output[0].kept.len + request->output[1].kept.len +
			(in_pieces(&given) ? 0 : given.size);
	struct buf frame = answer_begin(NOVA_MSG_RESP, request->id, expect);
	int r = put_result(&frame, request, &given);
	struct pieces *pieces = NULL;
	if (r == 0 && in_pieces(&given)) {
		pieces = pieces_new(request->id, given.text, given.part, given.quote, given.size);
		r = pieces ? 0 : -ENOMEM;
	}
	if (pieces)
		channel_send_pieces(channel, pieces);
	answer_end(channel, &frame, r);
}

/* --- streams --- */

static void send_piece(
	struct channel *channel, const char *id, int stream, const uint8_t *data, size_t len)
{
	char head[32];
	bool text = utf8_valid_prefix(data, len) == len;
	struct buf frame = answer_begin(NOVA_MSG_STREAM, id, 0);
	snprintf(head, sizeof(head), ",\"stream\":%d,\"%s\":", stream, text ? "data" : "base64");
	int r = buf_append_str(&frame, head);
	if (r == 0 && text)
		r = json_put_string(&frame, data, len);
	else if (r == 0 && (r = buf_append(&frame, "\"", 1)) == 0 &&
		 (r = base64_put(&frame, data, len)) == 0)
		r = buf_append(&frame, "\"", 1);
	answer_end(channel, &frame, r);
}

/* A letter that is cut at the end waits for its other half, unless nothing more comes. */
static size_t piece_length(const uint8_t *data, size_t len, bool last)
{
	if (len > STREAM_PIECE) {
		len = STREAM_PIECE;
		last = false;
	}
	size_t whole = utf8_valid_prefix(data, len);
	return !last && whole && len - whole < 4 && utf8_sequence(data + whole, len - whole) < 0 ?
		       whole :
		       len;
}

/* The next piece of an output that is streamed whole, as far as there is a window. */
static size_t next_of_whole(struct request *request, const struct output *out, bool all)
{
	size_t len = piece_length(out->unsent.data, out->unsent.len, all);
	if (all || len <= request->window)
		return len;
	return request->window;
}

static void stream_whole(struct channel *channel, struct request *request, int i, bool all)
{
	struct output *out = &request->output[i];
	while (out->unsent.len && (all || (channel_is_idle(channel) && request->window))) {
		size_t len = next_of_whole(request, out, all);
		send_piece(channel, request->id, i + 1, out->unsent.data, len);
		buf_consume(&out->unsent, len);
		request->window -= len < request->window ? len : request->window;
	}
}

static void stream_kept(struct channel *channel, struct request *request, int i, bool all)
{
	struct output *out = &request->output[i];
	while (out->streamed < out->kept.len && (all || channel_is_idle(channel))) {
		const uint8_t *data = out->kept.data + out->streamed;
		size_t left = out->kept.len - out->streamed;
		if (!all && utf8_valid_prefix(data, left) == 0 && utf8_sequence(data, left) < 0)
			break;
		size_t len = piece_length(data, left, all);
		send_piece(channel, request->id, i + 1, data, len);
		out->streamed += len;
	}
}

/*
 * Sends what was not yet streamed: what was kept, or all. A host that reads slowly gets fewer and
 * larger pieces, not more memory: while the queue is not empty nothing is added, and what can ever
 * wait is bounded. `all`: the request has ended.
 */
void result_stream(struct channel *channel, struct request *request, bool all)
{
	for (int i = 0; i < 2 && request->stream; i++)
		if (request->output[i].whole)
			stream_whole(channel, request, i, all);
		else
			stream_kept(channel, request, i, all);
}
