/* SPDX-License-Identifier: MIT */
/* Any bytes as what a guest says: refused, or read as jansson reads them, which keeps a tree where
 * we keep the text. */
#include <assert.h>

#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool escapes; /* there may be names in escapes, which only jansson knows */

static void same_text(const json_t *object, const char *name, struct json_span text)
{
	const json_t *value = json_object_get(object, name);
	assert(escapes || json_is_string(value) == (text.at != NULL));
	if (text.at)
		assert(text.len == json_string_length(value) &&
			!memcmp(text.at, json_string_value(value), text.len + 1));
}

static void same_number(const json_t *object, const char *name, int64_t number)
{
	const json_t *value = json_object_get(object, name);
	assert(number == (value ? json_integer_value(value) : -1) || (number < 0 && escapes));
}

static void same_bool(const json_t *object, const char *name, bool is)
{
	assert(is == json_is_true(json_object_get(object, name)) || (!is && escapes));
}

static void same(const json_t *o, const struct guest_message *m)
{
	same_text(o, "request_id", m->request_id);
	same_text(o, "stdout", m->out);
	same_text(o, "stderr", m->err);
	same_text(o, "error", m->error);
	same_text(o, "code", m->code);
	same_text(o, "status", m->status);
	same_text(o, "data", m->data);
	same_text(o, "base64", m->base64);
	same_number(o, "exit_code", m->exit_code);
	same_number(o, "signal", m->signal);
	same_number(o, "stream", m->stream);
	same_number(o, "size", m->size);
	same_number(o, "mtime_us", m->mtime_us);
	same_number(o, "duration_us", m->duration_us);
	same_bool(o, "timed_out", m->timed_out);
	same_bool(o, "hooks", m->hooks);
	same_bool(o, "more", m->more);
	assert(escapes || json_is_array(json_object_get(o, "entries")) == (m->entries.at != NULL));
	assert(escapes || (json_object_get(o, "output") != NULL) == (m->output.at != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_FREE char *text = malloc(len + 1); /* there is a NUL behind a payload */
	memcpy(text, data, len);
	text[len] = 0;
	struct guest_message said;
	int code = guest_message_read(text, len, &said, NULL);
	assert(code == 0 || code == NOVA_EAGENT);
	if (code < 0)
		return 0;
	assert(json_text_ok((const char *)data, len, PROTO_DEPTH - 1));
	if (said.output.at)
		assert(strlen(said.output.at) == said.output.len &&
			json_text_ok(said.output.at, said.output.len, PROTO_DEPTH_USER));
	json_error_t why;
	AUTO_JSON json_t *object =
		json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
	escapes = memchr(data, '\\', len) != NULL;
	if (object) /* jansson takes no member twice, and no number over 63 bits, wherever it is */
		same(object, &said);
	if (said.base64.at)
		base64_decode(said.base64.at, said.base64.len, (char *)said.base64.at);
	return 0;
}
