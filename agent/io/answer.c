/* SPDX-License-Identifier: MIT */
/* Writes Resp, straight into the frame. */
#include "agent/io/io.h"

#define ENVELOPE_ROOM (16u << 10) /* of a frame, for all but what is expected */

struct buf answer_begin(int type, const char *id, size_t expect)
{
	struct buf frame = PROTO_FRAME_BUF;
	size_t room = expect + ENVELOPE_ROOM < frame.max ? expect + ENVELOPE_ROOM : frame.max;
	buf_reserve(&frame, expect ? room : 512);
	if (proto_frame_begin(&frame, type) < 0 || put_text(&frame, "{\"request_id\":", id) < 0)
		buf_free(&frame);
	return frame;
}

/* Out of memory here leaves nothing to say, and nothing to say it with: the host's own deadline has
 * to notice. */
void answer_end(struct channel *channel, struct buf *frame, int r)
{
	if (r == 0)
		r = buf_append(frame, "}", 1);
	if (r == 0)
		r = proto_frame_end(frame);
	if (r == 0)
		channel_send(channel, frame);
	buf_free(frame);
}

int put_text(struct buf *frame, const char *name, const char *text)
{
	int r = buf_append_str(frame, name);
	return r < 0 ? r : json_put_string(frame, text, strlen(text));
}

/* By hand, as printf is a lot of code to run for the first time. */
int put_digits(struct buf *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	return buf_append(text, digits + at, sizeof(digits) - at);
}

int put_number(struct buf *frame, const char *name, uint64_t value)
{
	int r = buf_append_str(frame, name);
	return r < 0 ? r : put_digits(frame, value);
}

int put_bool(struct buf *frame, const char *name, bool value)
{
	int r = buf_append_str(frame, name);
	return r < 0 ? r : buf_append_str(frame, value ? "true" : "false");
}

void answer_status_with(
	struct channel *channel, const char *id, const char *status, const char *more)
{
	struct buf frame = answer_begin(NOVA_MSG_RESP, id, 0);
	int r = put_text(&frame, ",\"status\":", status);
	if (r == 0 && more)
		r = buf_append_str(&frame, more);
	answer_end(channel, &frame, r);
}

void answer_status(struct channel *channel, const char *id, const char *status)
{
	answer_status_with(channel, id, status, NULL);
}

void answer_refused_text(struct channel *channel, const char *id, const char *code,
	const char *error, const void *text, size_t text_len)
{
	struct buf frame = answer_begin(NOVA_MSG_RESP, id, 0);
	int r = put_text(&frame, ",\"code\":", code);
	if (r == 0)
		r = put_text(&frame, ",\"error\":", error);
	if (r == 0 && text_len)
		r = buf_append_str(&frame, ",\"stderr\":");
	if (r == 0 && text_len)
		r = json_put_string(&frame, text, text_len);
	answer_end(channel, &frame, r);
}

void answer_refused(
	struct channel *channel, const char *id, const char *code, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	answer_refused_text(channel, id, code, text, NULL, 0);
}

void answer_credit(struct channel *channel, const char *id, size_t size)
{
	struct buf frame = answer_begin(NOVA_MSG_CREDIT, id, 0);
	answer_end(channel, &frame, put_number(&frame, ",\"size\":", size));
}
