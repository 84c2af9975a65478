/* SPDX-License-Identifier: MIT */
/* The frame codec: header, envelope, incremental decoder. */
#include <errno.h>

#include "proto/proto.h"

#define KEEP_CAP (256u << 10) /* a buffer that one large frame made longer than this is given back */

/* --- encoding --- */

/* The usual types without printf: in a clone each piece of code that runs for the first time costs the guest more than this does. */
int proto_frame_begin(struct buf *frame, int type)
{
	char head[48] = "    {\"type\":", *at = head + strlen(head);
	if (type < 0 || type > 99)
		at += snprintf(at, 12, "%d", type);
	else if (type > 9)
		*at++ = (char)('0' + type / 10);
	if (type >= 0 && type <= 99)
		*at++ = (char)('0' + type % 10);
	int r = buf_append(frame, head, (size_t)(at - head));
	return r < 0 ? r : buf_append_str(frame, ",\"payload\":");
}

int proto_frame_end(struct buf *frame)
{
	int r = buf_append(frame, "}", 1);
	if (r < 0)
		return r;
	size_t len = frame->len - NOVA_FRAME_HEADER;
	if (len > NOVA_FRAME_MAX)
		return -EMSGSIZE;
	for (int i = 0; i < 4; i++)
		frame->data[i] = (uint8_t)(len >> (24 - 8 * i));
	return 0;
}

static int frame_failed(int r, size_t len, nova_error_t **error)
{
	if (r != -EMSGSIZE)
		return nova_oom(error);
	return nova_fail(error, NOVA_ETOOBIG, "a message with %zu bytes of payload is over the limit of %u MiB a frame", len,
		NOVA_FRAME_MAX >> 20);
}

int nova_frame_encode(int type, const char *payload, size_t payload_len, void **ret_frame, size_t *ret_len,
	nova_error_t **error)
{
	if (!payload) {
		payload = "{}";
		payload_len = 2;
	}
	if (payload_len > NOVA_FRAME_MAX)
		return frame_failed(-EMSGSIZE, payload_len, error);
	AUTO_BUF struct buf frame = PROTO_FRAME_BUF;
	if (!buf_reserve(&frame, payload_len + 64 < frame.max ? payload_len + 64 : frame.max))
		return nova_oom(error);
	int r = proto_frame_begin(&frame, type);
	if (r == 0)
		r = buf_append(&frame, payload, payload_len);
	if (r == 0)
		r = proto_frame_end(&frame);
	if (r < 0)
		return frame_failed(r, payload_len, error);
	*ret_len = frame.len;
	*ret_frame = STEAL(frame.data);
	return 0;
}

/* --- decoding --- */

struct nova_decoder {
	struct buf in;    /* whole frames that were not fetched yet, then the one that is coming */
	size_t start;     /* the next frame to fetch */
	size_t coming;    /* the frame of which the end is not there yet */
	size_t max;
	int failed;       /* the code of a failure, for ever */
	char why[160];
};

int nova_decoder_new(size_t max, nova_decoder_t **ret_decoder, nova_error_t **error)
{
	nova_decoder_t *decoder = calloc(1, sizeof(*decoder));
	if (!decoder)
		return nova_oom(error);
	decoder->max = max && max < NOVA_FRAME_MAX ? max : NOVA_FRAME_MAX;
	decoder->in = BUF_INIT(SIZE_MAX / 4);
	*ret_decoder = decoder;
	return 0;
}

void nova_decoder_free(nova_decoder_t *decoder)
{
	if (!decoder)
		return;
	buf_free(&decoder->in);
	free(decoder);
}

static int failed_before(const nova_decoder_t *decoder, nova_error_t **error)
{
	return nova_fail(error, decoder->failed, "%s", decoder->why);
}

static int fail_for_ever(nova_decoder_t *decoder, int code, nova_error_t **error)
{
	decoder->failed = code;
	buf_free(&decoder->in);
	return failed_before(decoder, error);
}

static int out_of_memory(nova_decoder_t *decoder, nova_error_t **error)
{
	snprintf(decoder->why, sizeof(decoder->why), "out of memory for a frame");
	return fail_for_ever(decoder, NOVA_ENOMEM, error);
}

static size_t length_at(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Makes room by dropping what was fetched; the last payload handed out dies here. */
static void drop_fetched(nova_decoder_t *decoder)
{
	struct buf *in = &decoder->in;
	if (!decoder->start)
		return;
	buf_consume(in, decoder->start);
	decoder->coming -= decoder->start;
	decoder->start = 0;
	if (!in->len && in->cap > KEEP_CAP)
		buf_free(in);
}

/* How many more bytes belong to what is coming: the header first, then the body, once its length is accepted. */
static int bytes_wanted(nova_decoder_t *decoder, size_t *ret_wanted, nova_error_t **error)
{
	size_t have = decoder->in.len - decoder->coming;
	if (have < NOVA_FRAME_HEADER) {
		*ret_wanted = NOVA_FRAME_HEADER - have;
		return 0;
	}
	size_t len = length_at(decoder->in.data + decoder->coming);
	if (len > decoder->max) {
		snprintf(decoder->why, sizeof(decoder->why), "the other side announced a frame of %zu bytes, over the limit of %zu",
			len, decoder->max);
		return fail_for_ever(decoder, NOVA_ETOOBIG, error);
	}
	*ret_wanted = NOVA_FRAME_HEADER + len - have;
	return 0;
}

int nova_decoder_feed(nova_decoder_t *decoder, const void *data, size_t len, nova_error_t **error)
{
	const uint8_t *at = data;
	if (decoder->failed)
		return failed_before(decoder, error);
	drop_fetched(decoder);
	for (;;) {
		size_t wanted = 0;
		int r = bytes_wanted(decoder, &wanted, error);
		if (r < 0)
			return r;
		if (!wanted) {
			decoder->coming = decoder->in.len;
			continue;
		}
		if (!len)
			return 0;
		size_t take = wanted < len ? wanted : len;
		if (buf_append(&decoder->in, at, take) < 0)
			return out_of_memory(decoder, error);
		at += take;
		len -= take;
	}
}

static bool span_is(struct json_span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

/* A JSON integer that an int can hold. */
static bool parse_type(struct json_span span, int *ret_type)
{
	int64_t value = 0;
	size_t i = span.at[0] == '-';
	if (span.len - i > 10)
		return false;
	for (; i < span.len; i++) {
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
		value = value * 10 + (span.at[i] - '0');
	}
	value = span.at[0] == '-' ? -value : value;
	if (value < INT32_MIN || value > INT32_MAX)
		return false;
	*ret_type = (int)value;
	return true;
}

/* NULL, or what is wrong with the envelope. */
static const char *read_envelope(const char *text, size_t len, int *ret_type, struct json_span *ret_payload)
{
	struct json_walk walk;
	struct json_span key, value, type = { NULL, 0 }, payload = { NULL, 0 };
	int more = json_walk_start(&walk, text, len, PROTO_DEPTH) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0) {
		struct json_span *member = span_is(key, "type") ? &type : span_is(key, "payload") ? &payload : NULL;
		if (member && member->at)
			return "has a member twice";
		if (member)
			*member = value;
	}
	if (more < 0)
		return "is not a JSON object";
	if (!type.at || !parse_type(type, ret_type))
		return "has no \"type\" that is an integer";
	if (!payload.at || *payload.at != '{')
		return "has no \"payload\" that is an object";
	*ret_payload = payload;
	return NULL;
}

int nova_decoder_next(nova_decoder_t *decoder, int *ret_type, const char **ret_payload, size_t *ret_len,
	nova_error_t **error)
{
	if (decoder->failed)
		return failed_before(decoder, error);
	if (decoder->start == decoder->coming)
		return 0;
	uint8_t *head = decoder->in.data + decoder->start;
	size_t len = length_at(head);
	char *text = (char *)head + NOVA_FRAME_HEADER;
	struct json_span payload;
	const char *wrong = read_envelope(text, len, ret_type, &payload);
	if (wrong) {
		snprintf(decoder->why, sizeof(decoder->why), "a frame of %zu bytes from the other side %s", len, wrong);
		return fail_for_ever(decoder, NOVA_EAGENT, error);
	}
	decoder->start += NOVA_FRAME_HEADER + len;
	/* The envelope's brace or comma is behind the payload: that byte has been read and can end the string. */
	text[payload.at - text + (ptrdiff_t)payload.len] = 0;
	*ret_payload = payload.at;
	*ret_len = payload.len;
	return 1;
}
