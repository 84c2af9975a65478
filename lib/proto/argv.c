/* SPDX-License-Identifier: MIT */
/* Templates of command lines. */
#include <errno.h>

#include "proto/proto.h"

/* The one whose name stands between the braces; `text` is behind the first. */
static struct argv_value *value_of(struct argv_value *values, const char *text, size_t len)
{
	for (; values->name; values++)
		if (strlen(values->name) == len && !strncmp(values->name, text, len))
			return values;
	return NULL;
}

int argv_fill(const char *entry, struct argv_value *values, struct buf *out, const char **ret_wrong)
{
	int r = 0;
	for (const char *at = entry; r == 0 && *at;) {
		size_t plain = strcspn(at, "{}");
		const char *brace = at + plain, *end = strpbrk(brace + (*brace != 0), "{}");
		r = buf_append(out, at, plain);
		at = brace;
		if (r < 0 || !*brace)
			continue;
		bool twice = brace[1] == *brace, named = *brace == '{' && end && *end == '}';
		struct argv_value *value =
			named ? value_of(values, brace + 1, (size_t)(end - brace - 1)) : NULL;
		*ret_wrong = brace;
		if (!twice && !value)
			return -EINVAL;
		r = twice ? buf_append(out, brace, 1) : buf_append_str(out, value->value);
		at = twice ? brace + 2 : end + 1;
		if (value)
			value->used = true;
	}
	return r;
}
