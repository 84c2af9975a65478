/* SPDX-License-Identifier: MIT */
/* What a name inside an image may look like. */
#include "disk/disk.h"

bool disk_name_ok(const char *name)
{
	size_t len = strlen(name);
	return len && len <= EXT2_NAME_LEN && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       !strchr(name, '/');
}

void disk_make_readable(char *name)
{
	if (text_is_utf8(name))
		return;
	for (char *c = name; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
}
