/* SPDX-License-Identifier: MIT */
/*
 * A long output on its way to the host. What is kept of it is what the function wrote; of the JSON
 * that it becomes there is one piece at a time, in memory that has been there from the beginning.
 */
#include <errno.h>

#include "agent/io/io.h"

#define HEAD_ROOM 1024 /* of a frame, for all but the piece */

struct pieces *pieces_new(
	const char *id, struct buf *text, struct json_span part, bool quote, size_t size)
{
	struct pieces *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->left = part;
	p->quote = quote;
	p->size = size;
	p->scratch = BUF_INIT(PROTO_OUTPUT_PIECE + 2);
	p->frame = BUF_INIT(PROTO_OUTPUT_PIECE / 3 * 4 + 4 + HEAD_ROOM);
	if (!buf_reserve(&p->frame, p->frame.max) ||
		(quote && !buf_reserve(&p->scratch, p->scratch.max))) {
		pieces_free(p);
		return NULL;
	}
	p->text = *text;
	*text = BUF_INIT(text->max);
	return p;
}

void pieces_free(struct pieces *p)
{
	if (!p)
		return;
	buf_free(&p->text);
	buf_free(&p->scratch);
	buf_free(&p->frame);
	free(p);
}

static struct json_span cut(struct pieces *p, size_t len)
{
	struct json_span taken = { p->left.at, len };
	p->left = (struct json_span){ p->left.at + len, p->left.len - len };
	return taken;
}

/* The next piece of the string; only the first one keeps the quote in front of it, and the last one
 * the quote behind. */
static struct json_span next_of_string(struct pieces *p)
{
	buf_reset(&p->scratch);
	ssize_t taken = json_put_string_upto(&p->scratch, p->left.at, p->left.len, p->scratch.max);
	if (taken < 0)
		return (struct json_span){ NULL, 0 };
	cut(p, (size_t)taken);
	size_t from = p->sent > 0, to = p->scratch.len - (p->left.len > 0);
	return (struct json_span){ (char *)p->scratch.data + from, to - from };
}

static int put_piece(struct pieces *p, struct json_span piece)
{
	char numbers[96];
	snprintf(numbers, sizeof(numbers), ",\"offset\":%zu,\"size\":%zu,\"base64\":\"", p->sent,
		p->size);
	buf_reset(&p->frame);
	int r = proto_frame_begin(&p->frame, NOVA_MSG_OUTPUT);
	if (r == 0)
		r = buf_append_str(&p->frame, "{\"request_id\":");
	if (r == 0)
		r = json_put_string(&p->frame, p->id, strlen(p->id));
	if (r == 0)
		r = buf_append_str(&p->frame, numbers);
	if (r == 0)
		r = base64_put(&p->frame, piece.at, piece.len);
	if (r == 0)
		r = buf_append_str(&p->frame, "\"}");
	return r < 0 ? r : proto_frame_end(&p->frame);
}

int pieces_next(struct pieces *p)
{
	if (p->sent == p->size)
		return 0;
	struct json_span piece =
		p->quote ?
			next_of_string(p) :
			cut(p, p->left.len < PROTO_OUTPUT_PIECE ? p->left.len : PROTO_OUTPUT_PIECE);
	int r = piece.len ? put_piece(p, piece) : -EINVAL;
	p->sent += piece.len;
	return r < 0 ? r : 1;
}
