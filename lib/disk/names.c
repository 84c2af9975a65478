/* SPDX-License-Identifier: MIT */
/* What a name and a link inside an image may look like. */
#include "disk/disk.h"

bool disk_name_ok(const char *name)
{
	size_t len = strlen(name);
	if (!len || len > EXT2_NAME_LEN || !strcmp(name, ".") || !strcmp(name, "..") ||
		strchr(name, '/'))
		return false;
	return text_is_utf8(name);
}

/*
 * The directories above a link are real, so leading ".." are exact. Behind a name that may itself
 * be a link a ".." could lead anywhere; with none allowed there, no chain of such links leaves.
 */
bool disk_link_ok(const char *target, unsigned depth)
{
	if (!*target || *target == '/')
		return false;
	bool below = false;
	while (*target) {
		size_t len = strcspn(target, "/");
		if (len == 2 && !memcmp(target, "..", 2)) {
			if (below || depth == 0)
				return false;
			depth--;
		} else if (len && !(len == 1 && *target == '.')) {
			below = true;
		}
		target += len;
		target += strspn(target, "/");
	}
	return true;
}
