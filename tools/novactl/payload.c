/* SPDX-License-Identifier: MIT */
/* The event of a call, as it is given on the command line. */
#include "novactl.h"

static char *read_stream(FILE *in, size_t *ret_len)
{
	size_t capacity = 65536, len = 0;
	char *text = need(malloc(capacity));
	while (len <= PAYLOAD_MAX) {
		size_t got = fread(text + len, 1, capacity - len - 1, in);
		len += got;
		if (!got)
			break;
		if (len == capacity - 1)
			text = need(realloc(text, capacity *= 2));
	}
	text[len] = 0;
	*ret_len = len;
	return text;
}

char *payload_read(const char *given, size_t *ret_len, int *ret_status)
{
	if (*given != '@' && strcmp(given, "-") != 0) {
		*ret_len = strlen(given);
		return need(strdup(given));
	}
	bool from_file = *given == '@';
	FILE *in = from_file ? fopen(given + 1, "re") : stdin;
	if (!in) {
		*ret_status = failure("payload '%s': %m", given + 1);
		return NULL;
	}
	char *text = read_stream(in, ret_len);
	if (ferror(in)) {
		*ret_status = failure("payload '%s': %m", given);
		free(text);
		text = NULL;
	} else if (strlen(text) != *ret_len) {
		*ret_status = failure("payload '%s': " EVENT_HAS_NUL, given);
		free(text);
		text = NULL;
	}
	if (from_file)
		fclose(in);
	return text;
}
