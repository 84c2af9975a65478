/* SPDX-License-Identifier: MIT */
/*
 * The door of json: JSON as text, and as trees of values, which are jansson's. No input or output.
 *
 * JSON of users (the input of a function, and its output) is checked but never taken apart: it
 * passes through as the text it was, so a number keeps its digits and 8 MiB of it cost 8 MiB, not a
 * tree of values.
 *
 * jansson is part of every call, so it is no module: it is linked into libnova.so, where its names
 * are hidden.
 */
#ifndef NOVA_LIB_JSON_H
#define NOVA_LIB_JSON_H

#include <jansson.h>

#include "base/base.h"

#define JSON_DEPTH 514u /* nesting of any text: that of a user, and two around it */

#define AUTO_JSON CLEANUP(json_decrefp) /* the function is jansson's */

/* --- JSON as text --- */

struct json_span {
	const char *at; /* NULL: not there */
	size_t len;
};

/* Whether the text is one JSON value (RFC 8259, strict UTF-8), white space around it allowed. */
bool json_text_ok(const char *text, size_t len, unsigned max_depth);
/* The same, and where the value begins that is wrong, or behind which it is. */
struct json_fault {
	size_t at;
	bool too_deep;
};
bool json_text_check(
	const char *text, size_t len, unsigned max_depth, struct json_fault *ret_fault);
/* The same text without white space around it. */
struct json_span json_trim(const char *text, size_t len);

/* Steps through the members of an object, or the items of a list, checking the text on the way. */
struct json_walk {
	const char *at, *end;
	unsigned depth;
	char close;
	bool first;
};
bool json_walk_start(struct json_walk *walk, const char *text, size_t len, unsigned max_depth);
/* 1: a member (the key without its quotes, escapes left as they are); 0: end of the text; -1: not
 * JSON. */
int json_walk_next(struct json_walk *walk, struct json_span *ret_key, struct json_span *ret_value);
bool json_list_start(struct json_walk *walk, const char *text, size_t len, unsigned max_depth);
/* 1: an item; 0: end of the text; -1: not JSON. */
int json_list_next(struct json_walk *walk, struct json_span *ret_item);
static inline bool json_is(struct json_span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

/* What may be in an envelope or a payload besides the members that are known there: of all of them
 * together. */
#define JSON_UNKNOWN_MEMBERS 64u
#define JSON_UNKNOWN_BYTES   (64u << 10)
/* Counts members that nobody knows. False: they are too many, or too large. */
struct json_unknown {
	size_t count, bytes;
};
bool json_unknown_ok(struct json_unknown *seen, struct json_span key, struct json_span value);

/* Values that a walk has given, and so are JSON. False: it is of another kind, or the number is
 * none from 0 to `most` written in digits. json_take_text() puts what the string means in its own
 * place, where it never is longer, with a NUL behind it: the text must be writable. */
bool json_take_text(struct json_span value, struct json_span *ret);
bool json_take_number(struct json_span value, int64_t most, int64_t *ret);
bool json_take_bool(struct json_span value, bool *ret);

/*
 * Parses a text whole. -EINVAL: it is not JSON, or not what the flags of json_loadb() allow;
 * ret_why (may be NULL) has jansson's words for it. -ENOMEM: what jansson does not tell apart.
 */
int json_parse(
	const char *text, size_t len, size_t flags, json_t **ret_value, json_error_t *ret_why);

/* Writers append to a buffer and return 0, -ENOMEM or -EMSGSIZE. Bytes that are not UTF-8 become
 * U+FFFD. */
int json_put_string(struct buf *b, const void *text, size_t len);
/* How long the string becomes, with its quotes. */
size_t json_string_size(const void *text, size_t len);
/* As json_put_string(), but stops where more than `room` bytes would be written; returns how many
 * bytes of the text went in, or -errno. */
ssize_t json_put_string_upto(struct buf *b, const void *text, size_t len, size_t room);

/* --- base64 --- */

int base64_put(struct buf *b, const void *data, size_t len);
/* Appends the bytes; -EINVAL for text that is not padded base64. */
int base64_get(struct buf *b, const char *text, size_t len);
/* The same into memory, which may be that of the text; how many bytes, or -EINVAL. */
ssize_t base64_decode(const char *text, size_t len, void *out);

#endif
