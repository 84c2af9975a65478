/* SPDX-License-Identifier: MIT */
/*
 * The short way through a payload. What hosts send is nearly always of one plain shape; reading
 * just that takes a tenth of the code that a parser has, and in a clone under emulation code that
 * runs for the first time is what a call costs. Whatever is not of that shape is not judged here,
 * but goes to the parser.
 */
#include "agent/io/io.h"

static struct member *find(struct member *members, size_t count, struct json_span key)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(members[i].name) == key.len &&
			memcmp(members[i].name, key.at, key.len) == 0)
			return &members[i];
	return NULL;
}

bool members_scan(const char *text, size_t len, struct member *members, size_t count)
{
	struct json_walk walk;
	struct json_span key, value;
	int more = json_walk_start(&walk, text, len, PROTO_DEPTH) ? 1 : -1;
	while (more > 0 && (more = json_walk_next(&walk, &key, &value)) > 0) {
		struct member *member = find(members, count, key);
		if (!member || member->value.at)
			return false;
		member->value = value;
	}
	return more == 0;
}

bool member_text(const struct member *member, char *out, size_t size)
{
	struct json_span value = member->value;
	*out = 0;
	if (!value.at)
		return true;
	if (value.at[0] != '"' || value.len - 2 >= size || memchr(value.at, '\\', value.len))
		return false;
	memcpy(out, value.at + 1, value.len - 2);
	out[value.len - 2] = 0;
	return true;
}

bool member_number(const struct member *member, int64_t *ret)
{
	struct json_span value = member->value;
	int64_t number = 0;
	if (!value.at)
		return true;
	if (value.len > 18)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return false;
		number = number * 10 + (value.at[i] - '0');
	}
	*ret = number;
	return true;
}

bool member_bool(const struct member *member, bool *ret)
{
	struct json_span value = member->value;
	if (value.at)
		*ret = value.at[0] == 't';
	return !value.at || value.at[0] == 't' || value.at[0] == 'f';
}
