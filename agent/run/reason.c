/* SPDX-License-Identifier: MIT */
/* What wasmtime says of a module that failed: a chain of causes, of which the last one tells. */
#include "agent/run/run.h"

static struct json_span until(struct json_span text, const char *mark)
{
	const char *at = text.len ? memmem(text.at, text.len, mark, strlen(mark)) : NULL;
	return at ? (struct json_span){ text.at, (size_t)(at - text.at) } : text;
}

/* Behind the last of that mark; all, if there is none. */
static struct json_span behind(struct json_span text, const char *mark)
{
	const char *end = text.at + text.len, *at;
	while (text.len && (at = memmem(text.at, text.len, mark, strlen(mark)))) {
		text.at = at + strlen(mark);
		text.len = (size_t)(end - text.at);
	}
	return text;
}

/* Without the number of a cause: "    2: wasm trap: …". */
static struct json_span without_number(struct json_span line)
{
	size_t at = 0;
	while (at < line.len && is_digit(line.at[at]))
		at++;
	if (at && at + 1 < line.len && line.at[at] == ':' && line.at[at + 1] == ' ')
		return (struct json_span){ line.at + at + 2, line.len - at - 2 };
	return line;
}

struct json_span wasm_reason(struct json_span text)
{
	text = until(text, "\n\nStack backtrace:");
	struct json_span causes = behind(text, "\nCaused by:\n");
	if (causes.at == text.at)
		return json_trim(text.at, text.len);
	causes = json_trim(causes.at, causes.len);
	causes = behind(causes, "\n");
	return without_number(json_trim(causes.at, causes.len));
}
