/* SPDX-License-Identifier: MIT */
/* Paths of a guest's files: what host and agent both check, as neither believes the other. */
#include "proto/proto.h"

#define NAME_MOST 255u

static bool name_ok(const char *name, size_t len)
{
	return len && len <= NAME_MOST &&
	       !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

bool proto_path_ok(const char *path, size_t len)
{
	const char *end = path + len;
	if (!len || len >= PROTO_PATH_MAX || memchr(path, 0, len) ||
		utf8_valid_prefix((const uint8_t *)path, len) != len)
		return false;
	for (const char *slash; (slash = memchr(path, '/', (size_t)(end - path))); path = slash + 1)
		if (!name_ok(path, (size_t)(slash - path)))
			return false;
	return name_ok(path, (size_t)(end - path));
}

bool proto_path_absolute_ok(const char *path, size_t len)
{
	return len && path[0] == '/' && (len == 1 || proto_path_ok(path + 1, len - 1));
}

/* The end of a path first, then the end of a name, then all other bytes. */
static int rank(char c)
{
	return !c ? -1 : c == '/' ? 0 : (uint8_t)c;
}

int proto_path_order(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return rank(*a) - rank(*b);
}
