/* SPDX-License-Identifier: MIT */
/* The names in a directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/sys.h"
#include "base/sys_at.h"
#include "base/text.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_into(DIR *dir, char ***names, size_t *count)
{
	size_t cap = 0;
	errno = 0; /* readdir tells a failure from the end by it alone */
	for (struct dirent *entry; (entry = readdir(dir)); errno = 0) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (*count == cap) {
			cap = cap ? cap * 2 : 16;
			char **grown = realloc(*names, cap * sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			*names = grown;
		}
		if (!((*names)[*count] = strdup(entry->d_name)))
			return -ENOMEM;
		++*count;
	}
	return -errno;
}

int fs_list_stream(DIR *dir, char ***ret_names)
{
	char **names = NULL;
	size_t count = 0;
	int r = list_into(dir, &names, &count);
	if (r < 0) {
		strv_free(names, count);
		return r;
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*ret_names = names;
	return (int)count;
}

int fs_list_at(int dir, char ***ret_names)
{
	/* A descriptor of its own: reading entries moves the offset, and closedir() closes it. */
	int fd = sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	DIR *stream = fdopendir(fd);
	if (!stream) {
		int r = -errno;
		fd_close(fd);
		return r;
	}
	int r = fs_list_stream(stream, ret_names);
	closedir(stream);
	return r;
}

int fs_list(const char *directory, char ***ret_names)
{
	AUTO_FD int dir = sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
	return dir < 0 ? dir : fs_list_at(dir, ret_names);
}
