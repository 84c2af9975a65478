/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>

#include "base/base.h"

static char *beside_library(const char *name)
{
	/* Relative to libnova.so, and to a test program of the build tree that has the library inside. */
	static const char *const places[] = { "", "../lib/", "../agent/", "../../lib/", "../../agent/" };
	Dl_info info;
	if (!dladdr((void *)program_find, &info) || !info.dli_fname)
		return NULL;
	const char *slash = strrchr(info.dli_fname, '/');
	for (size_t i = 0; slash && i < ARRAY_LEN(places); i++) {
		AUTO_FREE char *path = str_format("%.*s/%s%s", (int)(slash - info.dli_fname), info.dli_fname, places[i], name);
		if (path && fs_exists(path))
			return realpath(path, NULL); /* the keeper, which executes it, is in another directory */
	}
	return NULL;
}

int program_find(const char *name, const char *variable, char **ret_path, nova_error_t **error)
{
	const char *configured = getenv(variable);
	AUTO_FREE char *path = configured && *configured ? path_absolute(configured) : beside_library(name);
	if (!path)
		path = path_join(NOVA_LIBEXEC, name);
	if (!path)
		return nova_oom(error);
	if (!fs_exists(path))
		return nova_fail(error, NOVA_ENOTFOUND, "libnova's program %s is not at %s; install it there, or set %s to its path", name,
			path, variable);
	*ret_path = STEAL(path);
	return 0;
}
