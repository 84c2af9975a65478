/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the pieces of an output and the answer behind them, one payload a line: refused, or
 * joined to what the pieces hold, which is then JSON.
 */
#include <assert.h>

#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void join(struct output_pieces *pieces, char *line, size_t len)
{
	struct guest_message said;
	if (guest_message_read(line, len, &said, NULL) < 0)
		return;
	bool own = said.output.at;
	if (!own && said.base64.at) {
		size_t before = pieces->got;
		if (output_pieces_add(pieces, &said, NULL) == 0)
			assert(pieces->got > before && pieces->got <= pieces->size &&
				pieces->size <= PROTO_OUTPUT_JSON_MAX);
		else
			assert(pieces->got == before);
		return;
	}
	if (output_pieces_end(pieces, &said, NULL) < 0)
		return;
	assert(!pieces->size ||
		(!own && said.output.len == pieces->size && said.output.at[pieces->size] == 0));
	assert(!said.output.at || json_text_ok(said.output.at, said.output.len, PROTO_DEPTH_USER));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct output_pieces pieces = { .size = 0 };
	AUTO_FREE char *text = malloc(len + 1);
	memcpy(text, data, len);
	text[len] = 0;
	for (char *line = text, *end = text + len; line < end;) {
		char *close = memchr(line, '\n', (size_t)(end - line));
		close = close ? close : end;
		*close = 0;
		join(&pieces, line, (size_t)(close - line));
		line = close + 1;
	}
	output_pieces_free(&pieces);
	return 0;
}
