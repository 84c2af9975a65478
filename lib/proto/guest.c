/* SPDX-License-Identifier: MIT */
/*
 * What a guest says. It may be a stranger by then: a message is read in one pass, in its own
 * memory, with one rule for each member. docs/protocol.md has the same rules in words.
 */
#include <stddef.h>

#include "proto/proto.h"

enum kind { TEXT, NUMBER, BOOLEAN, LIST, ANY };

static const struct rule {
	const char *name;
	enum kind kind;
	size_t at;    /* in struct guest_message */
	int64_t most; /* of a number; the least is 0 */
} rules[] = {
#define RULE(name, kind, member, most)                                                             \
	{                                                                                          \
		name, kind, offsetof(struct guest_message, member), most                           \
	}
	RULE("request_id", TEXT, request_id, 0),
	RULE("output", ANY, output, 0),
	RULE("stdout", TEXT, out, 0),
	RULE("stderr", TEXT, err, 0),
	RULE("exit_code", NUMBER, exit_code, 255),
	RULE("signal", NUMBER, signal, 64),
	RULE("timed_out", BOOLEAN, timed_out, 0),
	RULE("truncated", BOOLEAN, truncated, 0),
	RULE("canceled", BOOLEAN, canceled, 0),
	RULE("error", TEXT, error, 0),
	RULE("code", TEXT, code, 0),
	RULE("duration_ms", NUMBER, duration_ms, INT64_MAX / 1000),
	RULE("duration_us", NUMBER, duration_us, INT64_MAX),
	RULE("peak_kb", NUMBER, peak_kb, INT64_MAX / 1024),
	RULE("status", TEXT, status, 0),
	RULE("warm", BOOLEAN, warm, 0),
	RULE("hooks", BOOLEAN, hooks, 0),
	RULE("draws", TEXT, draws, 0),
	RULE("calls", TEXT, calls, 0),
	RULE("stream", NUMBER, stream, 2),
	RULE("data", TEXT, data, 0),
	RULE("base64", TEXT, base64, 0),
	RULE("entries", LIST, entries, 0),
	RULE("more", BOOLEAN, more, 0),
	RULE("offset", NUMBER, offset, INT64_MAX),
	RULE("size", NUMBER, size, INT64_MAX),
	RULE("mode", NUMBER, mode, 07777),
	RULE("mtime_us", NUMBER, mtime_us, INT64_MAX),
	RULE("agent", TEXT, agent, 0),
	RULE("kernel", TEXT, kernel, 0),
	RULE("boot_us", NUMBER, boot_us, INT64_MAX),
	RULE("pid1", BOOLEAN, pid1, 0),
	RULE("root", TEXT, root, 0),
	RULE("ask", ANY, ask, 0),
	RULE("number", NUMBER, number, INT64_MAX),
#undef RULE
};

/* Its number; -1: it is unknown. */
static int rule_of(struct json_span key)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (json_is(key, rules[i].name))
			return (int)i;
	return -1;
}

static bool take_member(const struct rule *rule, struct json_span value, struct guest_message *m)
{
	void *to = (char *)m + rule->at;
	switch (rule->kind) {
	case TEXT:
		return json_take_text(value, to);
	case NUMBER:
		return json_take_number(value, rule->most, to);
	case BOOLEAN:
		return json_take_bool(value, to);
	default:
		*(struct json_span *)to = value;
		return rule->kind == ANY || *value.at == '[';
	}
}

static int wrong(const struct rule *rule, bool twice, nova_error_t **error)
{
	static const char *const kinds[] = { "a text", "a whole number in its range",
		"true or false", "a list", "" };
	return twice ? nova_fail(error, NOVA_EAGENT, "the guest says \"%s\" twice", rule->name) :
		       nova_fail(error, NOVA_EAGENT,
			       "the guest says something else for \"%s\" than %s", rule->name,
			       kinds[rule->kind]);
}

/* Behind a value stands a comma, a brace or space, which has been read. */
static void end_text(struct json_span span)
{
	if (span.at)
		((char *)span.at)[span.len] = 0;
}

static const struct guest_message nothing_said = {
	.exit_code = -1,
	.signal = -1,
	.stream = -1,
	.offset = -1,
	.size = -1,
	.mode = -1,
	.mtime_us = -1,
	.duration_ms = -1,
	.duration_us = -1,
	.peak_kb = -1,
	.boot_us = -1,
	.number = -1,
};

int guest_message_read(char *payload, size_t len, struct guest_message *ret, nova_error_t **error)
{
	struct guest_message m = nothing_said;
	struct json_unknown unknown = { 0, 0 };
	struct json_walk walk;
	struct json_span key, value;
	uint64_t seen = 0;
	int more = json_walk_start(&walk, payload, len, PROTO_DEPTH - 1) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0) {
		int i = rule_of(key);
		if (i < 0 && !json_unknown_ok(&unknown, key, value))
			return nova_fail(error, NOVA_EAGENT,
				"a message of the guest has too much in it that is not known");
		if (i < 0)
			continue;
		bool twice = seen >> i & 1;
		if (twice || !take_member(&rules[i], value, &m))
			return wrong(&rules[i], twice, error);
		seen |= (uint64_t)1 << i;
	}
	if (more < 0)
		return nova_fail(error, NOVA_EAGENT, "a message of the guest is not a JSON object");
	end_text(m.output);
	end_text(m.entries);
	end_text(m.ask);
	*ret = m;
	return 0;
}
