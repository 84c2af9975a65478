/* SPDX-License-Identifier: MIT */
/* Frames between novactl and its daemon: the library's own, 4 bytes of length and a JSON object. */
#include <ctype.h>

#include "daemon.h"

nova_decoder_t *wire_decoder(void)
{
	nova_decoder_t *decoder;
	if (nova_decoder_new(WIRE_FRAME_MAX, &decoder, NULL) != 0)
		need(NULL);
	return decoder;
}

void wire_put(struct bytes *out, enum wire_type type, const json_t *payload)
{
	void *frame;
	size_t len;
	char *text = need(json_dumps(payload, JSON_COMPACT));
	if (nova_frame_encode(type, text, strlen(text), &frame, &len, NULL) != 0)
		need(NULL);
	bytes_add(out, frame, len);
	nova_free(frame);
	free(text);
}

void wire_put_new(struct bytes *out, enum wire_type type, json_t *payload)
{
	wire_put(out, type, need(payload));
	json_decref(payload);
}

static json_t *hex_of(const unsigned char *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = need(malloc(2 * len + 1));
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	json_t *value = json_stringn(text, 2 * len);
	free(text);
	return need(value);
}

static void put_piece(struct bytes *out, const char *part, const char *data, size_t len)
{
	json_t *text = json_stringn(data, len); /* NULL: it is not UTF-8 */
	json_t *value = text ? text : hex_of((const unsigned char *)data, len);
	wire_put_new(
		out, WIRE_TEXT, json_pack("{s:s,s:o}", "part", part, text ? "text" : "hex", value));
}

/* A cut in the middle of a character would make two pieces that are no UTF-8. */
static size_t cut_at(const char *data, size_t len)
{
	if (len <= WIRE_PIECE)
		return len;
	size_t cut = WIRE_PIECE;
	while (cut > WIRE_PIECE - 4 && ((unsigned char)data[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

void wire_put_text(struct bytes *out, const char *part, const void *data, size_t len)
{
	for (const char *at = data; len > 0;) {
		size_t piece = cut_at(at, len);
		put_piece(out, part, at, piece);
		at += piece;
		len -= piece;
	}
}

void wire_put_end(struct bytes *out, const char *part)
{
	wire_put_new(out, WIRE_TEXT, json_pack("{s:s,s:b}", "part", part, "end", 1));
}

bool wire_text_ends(const json_t *payload, const char *part)
{
	const char *name = json_string_value(json_object_get(payload, "part"));
	return name && !strcmp(name, part) && json_is_true(json_object_get(payload, "end"));
}

int wire_next(nova_decoder_t *decoder, int *ret_type, json_t **ret_payload, nova_error_t **error)
{
	const char *text;
	size_t len;
	int got = nova_decoder_next(decoder, ret_type, &text, &len, error);
	if (got <= 0)
		return got < 0 ? -1 : 0;
	*ret_payload = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	return *ret_payload ? 1 : -1;
}

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_add(struct bytes *bytes, const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes_add(bytes, &(char){ (char)(high << 4 | low) }, 1);
	}
	return len % 2 == 0;
}

bool wire_text_add(struct bytes *bytes, const json_t *payload, const char *part)
{
	const char *name = json_string_value(json_object_get(payload, "part"));
	const json_t *text = json_object_get(payload, "text"),
		     *hex = json_object_get(payload, "hex");
	if (!name || !(json_is_string(text) || json_is_string(hex)))
		return false;
	if (strcmp(name, part) != 0)
		return true;
	if (!text)
		return hex_add(bytes, json_string_value(hex), json_string_length(hex));
	bytes_add(bytes, json_string_value(text), json_string_length(text));
	return true;
}

json_t *words_json(const char *const *words, size_t count)
{
	json_t *array = need(json_array());
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, json_string(words[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}
