/* SPDX-License-Identifier: MIT */
/* What a guest asks for, read in one pass, in its own memory, as proto/guest.c does it. */
#include <stddef.h>

#include "kv/kv.h"
#include "proto/proto.h"

enum kind { TEXT, NUMBER, BOOLEAN };

static const struct rule {
	const char *name;
	enum kind kind;
	size_t at; /* in struct kv_ask */
} rules[] = {
#define RULE(name, kind, member)                                                                   \
	{                                                                                          \
		name, kind, offsetof(struct kv_ask, member)                                        \
	}
	RULE("op", TEXT, op),
	RULE("key", TEXT, key),
	RULE("value", TEXT, value),
	RULE("type", TEXT, type),
	RULE("prefix", TEXT, prefix),
	RULE("after", TEXT, after),
	RULE("ttl_ms", NUMBER, ttl_ms),
	RULE("if_version", NUMBER, if_version),
	RULE("limit", NUMBER, limit),
	RULE("new", BOOLEAN, is_new),
#undef RULE
};

static bool take_member(const struct rule *rule, struct json_span value, struct kv_ask *ask)
{
	void *to = (char *)ask + rule->at;
	if (rule->kind == BOOLEAN)
		return json_take_bool(value, to);
	if (rule->kind == NUMBER)
		return json_take_number(value, INT64_MAX, to);
	return json_take_text(value, to) &&
	       !memchr(((struct json_span *)to)->at, 0, ((struct json_span *)to)->len);
}

static const struct rule *rule_of(struct json_span key)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (json_is(key, rules[i].name))
			return &rules[i];
	return NULL;
}

int kv_ask_read(char *text, size_t len, struct kv_ask *ret_ask, nova_error_t **error)
{
	struct kv_ask ask = { .ttl_ms = 0 };
	struct json_walk walk;
	struct json_span key, value;
	unsigned seen = 0;
	int more = json_walk_start(&walk, text, len, PROTO_DEPTH_USER) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0) {
		const struct rule *rule = rule_of(key);
		if (!rule)
			continue;
		unsigned bit = 1u << (rule - rules);
		if (seen & bit || !take_member(rule, value, &ask))
			return nova_fail(error, NOVA_EINVAL, "\"%s\" is there twice, or is %s",
				rule->name,
				rule->kind == TEXT   ? "no text" :
				rule->kind == NUMBER ? "no whole number" :
						       "neither true nor false");
		seen |= bit;
	}
	if (more < 0)
		return nova_fail(error, NOVA_EINVAL, "what is asked for is no JSON object");
	*ret_ask = ask;
	return 0;
}
