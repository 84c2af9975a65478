/* SPDX-License-Identifier: MIT */
/* The frame codec: header, envelope, incremental decoder. */
#include <errno.h>

#include "proto/proto.h"

/* --- encoding --- */

/* The usual types without printf: in a clone each piece of code that runs for the first time costs
 * the guest more than this does. */
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
	return nova_fail(error, NOVA_ETOOBIG,
		"a message with %zu bytes of payload is over the limit of %u MiB a frame", len,
		NOVA_FRAME_MAX >> 20);
}

int nova_frame_encode(int type, const char *payload, size_t payload_len, void **ret_frame,
	size_t *ret_len, nova_error_t **error)
{
	if (ANY_NULL(error, ret_frame, ret_len))
		return NOVA_EINVAL;
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
	uint8_t head[NOVA_FRAME_HEADER];
	size_t head_len;
	struct proto_frame *coming;  /* its header is whole; NULL: not yet */
	size_t got;                  /* bytes of it */
	struct link whole;           /* frames that were not fetched yet */
	struct proto_frame *fetched; /* what nova_decoder_next() has handed out last */
	size_t max;
	int failed; /* the code of a failure, for ever */
	char why[160];
};

int nova_decoder_new(size_t max, nova_decoder_t **ret_decoder, nova_error_t **error)
{
	if (ANY_NULL(error, ret_decoder))
		return NOVA_EINVAL;
	nova_decoder_t *decoder = calloc(1, sizeof(*decoder));
	if (!decoder)
		return nova_oom(error);
	decoder->max = max && max < NOVA_FRAME_MAX ? max : NOVA_FRAME_MAX;
	list_init(&decoder->whole);
	*ret_decoder = decoder;
	return 0;
}

static void drop_fetched(nova_decoder_t *decoder)
{
	free(STEAL(decoder->fetched));
}

static struct proto_frame *pop(nova_decoder_t *decoder)
{
	struct link *first = list_pop(&decoder->whole);
	return first ? CONTAINER_OF(first, struct proto_frame, link) : NULL;
}

static void drop_all(nova_decoder_t *decoder)
{
	struct proto_frame *frame;
	drop_fetched(decoder);
	free(STEAL(decoder->coming));
	while ((frame = pop(decoder)))
		free(frame);
}

void nova_decoder_free(nova_decoder_t *decoder)
{
	if (!decoder)
		return;
	drop_all(decoder);
	free(decoder);
}

static int failed_before(const nova_decoder_t *decoder, nova_error_t **error)
{
	return decoder->failed == NOVA_ENOMEM ?
		       nova_oom(error) :
		       nova_fail(error, decoder->failed, "%s", decoder->why);
}

static int fail_for_ever(nova_decoder_t *decoder, int code, nova_error_t **error)
{
	decoder->failed = code;
	drop_all(decoder);
	return failed_before(decoder, error);
}

static size_t length_at(const uint8_t *p)
{
	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* The header is whole. Memory for all that is announced is asked for at once, but only what comes
 * is touched, and so becomes memory. */
static int begin_frame(nova_decoder_t *decoder, nova_error_t **error)
{
	size_t len = length_at(decoder->head);
	if (len > decoder->max) {
		snprintf(decoder->why, sizeof(decoder->why),
			"the other side announced a frame of %zu bytes, over the limit of %zu", len,
			decoder->max);
		return fail_for_ever(decoder, NOVA_ETOOBIG, error);
	}
	struct proto_frame *frame = malloc(sizeof(*frame) + len + 1);
	if (!frame) {
		fail_for_ever(decoder, NOVA_ENOMEM, NULL);
		return nova_oom(error);
	}
	*frame = (struct proto_frame){ .size = len };
	decoder->coming = frame;
	decoder->got = decoder->head_len = 0;
	return 0;
}

static void end_frame(nova_decoder_t *decoder)
{
	list_append(&decoder->whole, &decoder->coming->link);
	decoder->coming = NULL;
}

/* Moves what is wanted of the bytes; how many that are. */
static size_t take(void *to, size_t have, size_t want, const uint8_t *at, size_t len)
{
	size_t n = want - have < len ? want - have : len;
	if (n)
		memcpy((uint8_t *)to + have, at, n);
	return n;
}

int nova_decoder_feed(nova_decoder_t *decoder, const void *data, size_t len, nova_error_t **error)
{
	if (ANY_NULL(error, decoder) || (len && ANY_NULL(error, data)))
		return NOVA_EINVAL;
	const uint8_t *at = data, *end = len ? at + len : at;
	if (decoder->failed)
		return failed_before(decoder, error);
	drop_fetched(decoder);
	for (;;) {
		if (!decoder->coming) {
			size_t n = take(decoder->head, decoder->head_len, NOVA_FRAME_HEADER, at,
				(size_t)(end - at));
			at += n;
			decoder->head_len += n;
			if (decoder->head_len < NOVA_FRAME_HEADER)
				return 0;
			int code = begin_frame(decoder, error);
			if (code < 0)
				return code;
		}
		size_t n = take(decoder->coming->text, decoder->got, decoder->coming->size, at,
			(size_t)(end - at));
		at += n;
		decoder->got += n;
		if (decoder->got < decoder->coming->size)
			return 0;
		end_frame(decoder);
	}
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
static const char *read_envelope(struct proto_frame *frame)
{
	struct json_walk walk;
	struct json_unknown unknown = { 0, 0 };
	struct json_span key, value, type = { NULL, 0 }, payload = { NULL, 0 };
	int more = json_walk_start(&walk, frame->text, frame->size, PROTO_DEPTH) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0) {
		struct json_span *member = json_is(key, "type")    ? &type :
					   json_is(key, "payload") ? &payload :
								     NULL;
		if (member ? member->at != NULL : !json_unknown_ok(&unknown, key, value))
			return member ? "has a member twice" : "has too much besides its payload";
		if (member)
			*member = value;
	}
	if (more < 0)
		return "is not a JSON object";
	if (!type.at || !parse_type(type, &frame->type))
		return "has no \"type\" that is an integer";
	if (!payload.at || *payload.at != '{')
		return "has no \"payload\" that is an object";
	frame->payload = (char *)payload.at;
	frame->payload_len = payload.len;
	return NULL;
}

int proto_decoder_take(
	nova_decoder_t *decoder, struct proto_frame **ret_frame, nova_error_t **error)
{
	if (decoder->failed)
		return failed_before(decoder, error);
	drop_fetched(decoder);
	AUTO_FREE struct proto_frame *frame = pop(decoder);
	if (!frame)
		return 0;
	const char *wrong = read_envelope(frame);
	if (wrong) {
		snprintf(decoder->why, sizeof(decoder->why),
			"a frame of %zu bytes from the other side %s", frame->size, wrong);
		return fail_for_ever(decoder, NOVA_EAGENT, error);
	}
	/* The envelope's brace or comma is behind the payload: that byte has been read and can end
	 * the string. */
	frame->payload[frame->payload_len] = 0;
	*ret_frame = STEAL(frame);
	return 1;
}

int nova_decoder_next(nova_decoder_t *decoder, int *ret_type, const char **ret_payload,
	size_t *ret_len, nova_error_t **error)
{
	if (ANY_NULL(error, decoder, ret_type, ret_payload, ret_len))
		return NOVA_EINVAL;
	struct proto_frame *frame;
	int got = proto_decoder_take(decoder, &frame, error);
	if (got <= 0)
		return got;
	decoder->fetched = frame;
	*ret_type = frame->type;
	*ret_payload = frame->payload;
	*ret_len = frame->payload_len;
	return 1;
}
