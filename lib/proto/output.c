/* SPDX-License-Identifier: MIT */
/* The output of a function that is too long for the answer: its JSON text comes in pieces, and is
 * checked when it is whole. */
#include "proto/proto.h"

static int begin(struct output_pieces *pieces, int64_t size, nova_error_t **error)
{
	if (size < 1 || size > PROTO_OUTPUT_JSON_MAX)
		return nova_fail(error, NOVA_EAGENT,
			"the guest promises an output of %lld bytes; 1 to %u are possible",
			(long long)size, PROTO_OUTPUT_JSON_MAX);
	pieces->size = (size_t)size;
	pieces->text = BUF_INIT((size_t)size + 1);
	/* All at once, but only what comes is touched, and so becomes memory. */
	pieces->no_memory = !buf_reserve(&pieces->text, (size_t)size + 1);
	return 0;
}

int output_pieces_add(
	struct output_pieces *pieces, struct guest_message *said, nova_error_t **error)
{
	char *bytes = (char *)said->base64.at;
	ssize_t len = bytes ? base64_decode(bytes, said->base64.len, bytes) : 0;
	if (len < 1)
		return nova_fail(
			error, NOVA_EAGENT, "what the guest sends as a piece of output is none");
	int code = pieces->size ? 0 : begin(pieces, said->size, error);
	if (code < 0)
		return code;
	if (said->size != (int64_t)pieces->size || said->offset != (int64_t)pieces->got)
		return nova_fail(error, NOVA_EAGENT,
			"the guest sends a piece of output that does not follow the one before");
	if ((size_t)len > pieces->size - pieces->got)
		return nova_fail(
			error, NOVA_EAGENT, "the guest sends more output than it promised");
	pieces->got += (size_t)len;
	if (!pieces->no_memory)
		buf_append(&pieces->text, bytes, (size_t)len); /* there is room */
	return 0;
}

int output_pieces_end(
	struct output_pieces *pieces, struct guest_message *answer, nova_error_t **error)
{
	if (!pieces->size)
		return 0;
	if (answer->output.at)
		return nova_fail(error, NOVA_EAGENT,
			"the guest sends its output twice: in pieces and in the answer");
	if (pieces->got < pieces->size)
		return nova_fail(
			error, NOVA_EAGENT, "the guest sends less output than it promised");
	if (pieces->no_memory)
		return nova_oom(error);
	char *text = (char *)pieces->text.data;
	text[pieces->size] = 0;
	if (!json_text_ok(text, pieces->size, PROTO_DEPTH_USER))
		return nova_fail(error, NOVA_EAGENT,
			"the guest sends output that is not JSON, or nested more than %u levels "
			"deep",
			PROTO_DEPTH_USER);
	answer->output = (struct json_span){ text, pieces->size };
	return 0;
}

void output_pieces_free(struct output_pieces *pieces)
{
	buf_free(&pieces->text);
}
