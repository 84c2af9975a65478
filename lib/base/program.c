/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>

#include "base/base.h"

/* The file that this code is in: the program itself, if it is linked statically. A name for that may
 * be the caller's choice (a link to it elsewhere), so where rights are borrowed it does not count. */
static char *library_path(void)
{
	Dl_info info;
	struct link_map *map = NULL;
	char *path = NULL;
	if (!dladdr1((void *)program_find, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
		return NULL;
	if (map->l_name && *map->l_name)
		return env_is_borrowed() && map->l_name[0] != '/' ? NULL : strdup(map->l_name);
	return env_is_borrowed() || sys_readlinkat(AT_FDCWD, "/proc/self/exe", &path) < 0 ? NULL : path;
}

static char *beside_library(const char *name)
{
	/* Relative to libnova.so, and to a test program of the build tree that has the library inside. */
	static const char *const places[] = { "", "../lib/", "../agent/", "../../lib/", "../../agent/" };
	AUTO_FREE char *library = library_path();
	const char *slash = library ? strrchr(library, '/') : NULL;
	for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
		AUTO_FREE char *path =
			str_format("%.*s/%s%s", (int)(slash - library), library, places[i], name);
		if (path && fs_exists(path))
			return realpath(path, NULL); /* the keeper, which executes it, is in another directory */
	}
	return NULL;
}

int program_find(const char *name, const char *variable, char **ret_path, nova_error_t **error)
{
	const char *configured = variable ? env_get(variable) : NULL;
	AUTO_FREE char *path = configured && *configured ? path_absolute(configured) : beside_library(name);
	if (!path)
		path = path_join(NOVA_LIBEXEC, name);
	if (!path)
		return nova_oom(error);
	if (!fs_exists(path))
		return nova_fail(error, NOVA_ENOTFOUND,
			"libnova's program %s is not at %s; install it there%s%s%s", name, path, variable ? ", or set " : "", variable ? variable : "", variable ? " to its path" : "");
	*ret_path = STEAL(path);
	return 0;
}
