/* SPDX-License-Identifier: MIT */
/*
 * Checks JSON text without building anything: one pass, no allocation, no recursion. A tree of 8
 * MiB of small numbers would take 100 MiB in a guest that may have 128.
 */
#include "json/json.h"

#define NESTING_BYTES (JSON_DEPTH / 8 + 1)

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *skip_digits(const char *p, const char *end)
{
	const char *from = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p == from ? NULL : p;
}

static const char *skip_number(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	if (p < end && *p == '0')
		p++;
	else if (!(p = skip_digits(p, end)))
		return NULL;
	if (p < end && *p == '.' && !(p = skip_digits(p + 1, end)))
		return NULL;
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = skip_digits(p, end);
	}
	return p;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind "\u", or -1. */
static int unicode_unit(const char *p, const char *end)
{
	int unit = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(p[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* `p` is behind "\u". Surrogates have to come in pairs. */
static const char *skip_unicode_escape(const char *p, const char *end)
{
	int unit = unicode_unit(p, end);
	if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF))
		return NULL;
	p += 4;
	if (unit < 0xD800 || unit > 0xDBFF)
		return p;
	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return NULL;
	unit = unicode_unit(p + 2, end);
	return unit >= 0xDC00 && unit <= 0xDFFF ? p + 6 : NULL;
}

static const char *skip_escape(const char *p, const char *end)
{
	if (p == end)
		return NULL;
	if (*p == 'u')
		return skip_unicode_escape(p + 1, end);
	return memchr("\"\\/bfnrt", *p, 8) ? p + 1 : NULL;
}

/* `p` is behind the opening quote; the result is behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
	while (p && p < end) {
		unsigned char c = (unsigned char)*p;
		if (c == '"')
			return p + 1;
		if (c == '\\') {
			p = skip_escape(p + 1, end);
		} else if (c < 0x80) {
			p = c < 0x20 ? NULL : p + 1;
		} else {
			int taken = utf8_sequence((const uint8_t *)p, (size_t)(end - p));
			p = taken > 0 ? p + taken : NULL;
		}
	}
	return NULL;
}

static const char *skip_word(const char *p, const char *end, const char *word)
{
	size_t len = strlen(word);
	return (size_t)(end - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

static const char *skip_scalar(const char *p, const char *end)
{
	switch (*p) {
	case '"':
		return skip_string(p + 1, end);
	case 't':
		return skip_word(p, end, "true");
	case 'f':
		return skip_word(p, end, "false");
	case 'n':
		return skip_word(p, end, "null");
	default:
		return skip_number(p, end);
	}
}

/* A key, its colon and the space up to the value. */
static const char *skip_key(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return NULL;
	p = skip_string(p + 1, end);
	if (!p)
		return NULL;
	p = skip_space(p, end);
	return p < end && *p == ':' ? skip_space(p + 1, end) : NULL;
}

/* Which of the open brackets are objects: one bit each. And the value that was begun last. */
struct nesting {
	const char *at;
	unsigned depth, max;
	uint8_t object[NESTING_BYTES];
};

static bool nest(struct nesting *n, bool object)
{
	if (n->depth >= n->max)
		return false;
	uint8_t bit = (uint8_t)(1u << (n->depth & 7));
	uint8_t *byte = &n->object[n->depth / 8];
	*byte = (uint8_t)(object ? *byte | bit : *byte & ~bit);
	n->depth++;
	return true;
}

static bool in_object(const struct nesting *n)
{
	unsigned at = n->depth - 1;
	return n->object[at / 8] >> (at & 7) & 1;
}

/* Behind a value: closes brackets until the next value begins, or the outermost is closed. */
static const char *after_value(const char *p, const char *end, struct nesting *n)
{
	while (n->depth) {
		p = skip_space(p, end);
		if (p == end)
			return NULL;
		bool object = in_object(n);
		if (*p == ',') {
			p = skip_space(p + 1, end);
			return object ? skip_key(p, end) : p;
		}
		if (*p != (object ? '}' : ']'))
			return NULL;
		p++;
		n->depth--;
	}
	return p;
}

static void nesting_start(struct nesting *n, const char *text, unsigned max_depth)
{
	n->at = text;
	n->depth = 0;
	n->max = max_depth < JSON_DEPTH ? max_depth : JSON_DEPTH;
}

/* One value at `p`; returns what is behind it, or NULL. */
static const char *skip_nested(const char *p, const char *end, struct nesting *n)
{
	do {
		if (!p || p == end)
			return NULL;
		n->at = p;
		bool object = *p == '{';
		if (object || *p == '[') {
			if (!nest(n, object))
				return NULL;
			p = skip_space(p + 1, end);
			if (p == end)
				return NULL;
			if (*p != (object ? '}' : ']')) {
				p = object ? skip_key(p, end) : p;
				continue;
			}
		} else if (!(p = skip_scalar(p, end))) {
			return NULL;
		}
		p = after_value(p, end, n);
	} while (n->depth);
	return p;
}

static const char *skip_value(const char *p, const char *end, unsigned max_depth)
{
	struct nesting n;
	nesting_start(&n, p, max_depth);
	return skip_nested(p, end, &n);
}

bool json_text_check(const char *text, size_t len, unsigned max_depth, struct json_fault *ret_fault)
{
	struct nesting n;
	const char *end = text + len, *p = skip_space(text, end);
	nesting_start(&n, p, max_depth);
	p = skip_nested(p, end, &n);
	if (p && skip_space(p, end) == end)
		return true;
	size_t at = (size_t)((p ? skip_space(p, end) : n.at) - text);
	*ret_fault = (struct json_fault){ at,
		!p && n.at < end && n.depth == n.max && (*n.at == '[' || *n.at == '{') };
	return false;
}

bool json_text_ok(const char *text, size_t len, unsigned max_depth)
{
	struct json_fault fault;
	return json_text_check(text, len, max_depth, &fault);
}

struct json_span json_trim(const char *text, size_t len)
{
	const char *end = text + len;
	const char *from = skip_space(text, end);
	while (end > from && strchr(" \t\n\r", end[-1]) && end[-1])
		end--;
	return (struct json_span){ from, (size_t)(end - from) };
}

static bool start(struct json_walk *walk, const char *text, size_t len, unsigned max_depth,
	char open, char close)
{
	const char *end = text + len;
	const char *p = skip_space(text, end);
	if (p == end || *p != open || !max_depth)
		return false;
	*walk = (struct json_walk){ p + 1, end, max_depth - 1, close, true };
	return true;
}

bool json_walk_start(struct json_walk *walk, const char *text, size_t len, unsigned max_depth)
{
	return start(walk, text, len, max_depth, '{', '}');
}

bool json_list_start(struct json_walk *walk, const char *text, size_t len, unsigned max_depth)
{
	return start(walk, text, len, max_depth, '[', ']');
}

/* 1: *ret is where the next member or item begins; 0: there is none, and nothing but space behind;
 * -1: not JSON. */
static int step(struct json_walk *walk, const char **ret)
{
	const char *end = walk->end;
	const char *p = skip_space(walk->at, end);
	if (p == end)
		return -1;
	if (*p == walk->close)
		return skip_space(p + 1, end) == end ? 0 : -1;
	if (!walk->first) {
		if (*p != ',')
			return -1;
		p = skip_space(p + 1, end);
	}
	walk->first = false;
	*ret = p;
	return 1;
}

static int take_value(struct json_walk *walk, const char *p, struct json_span *ret)
{
	const char *behind = p ? skip_value(p, walk->end, walk->depth) : NULL;
	if (!behind)
		return -1;
	*ret = (struct json_span){ p, (size_t)(behind - p) };
	walk->at = behind;
	return 1;
}

int json_walk_next(struct json_walk *walk, struct json_span *ret_key, struct json_span *ret_value)
{
	const char *p;
	int more = step(walk, &p);
	if (more <= 0)
		return more;
	const char *value = skip_key(p, walk->end);
	if (take_value(walk, value, ret_value) < 0)
		return -1;
	const char *quote = skip_string(p + 1, walk->end);
	*ret_key = (struct json_span){ p + 1, (size_t)(quote - p - 2) };
	return 1;
}

int json_list_next(struct json_walk *walk, struct json_span *ret_item)
{
	const char *p;
	int more = step(walk, &p);
	return more <= 0 ? more : take_value(walk, p, ret_item);
}

bool json_unknown_ok(struct json_unknown *seen, struct json_span key, struct json_span value)
{
	seen->count++;
	seen->bytes += key.len + value.len;
	return seen->count <= JSON_UNKNOWN_MEMBERS && seen->bytes <= JSON_UNKNOWN_BYTES;
}
