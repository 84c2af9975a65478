/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "base/environment.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/path.h"
#include "base/program.h"
#include "base/sys_at.h"
#include "base/text.h"

/* The file that this code is in: the program itself, if it is linked statically. A name for that
 * may be the caller's choice (a link to it elsewhere), so where rights are borrowed it does not
 * count: -ENOENT. */
static int library_path(char **ret_path)
{
	Dl_info info;
	struct link_map *map = NULL;
	if (!dladdr1((void *)program_find, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
		return -ENOENT;
	bool named = map->l_name && *map->l_name;
	if (env_is_borrowed() && (!named || map->l_name[0] != '/'))
		return -ENOENT;
	if (!named)
		return sys_readlinkat(AT_FDCWD, "/proc/self/exe", ret_path);
	*ret_path = strdup(map->l_name);
	return *ret_path ? 0 : -ENOMEM;
}

int library_beside(const char *const *places, size_t count, const char *name, char **ret_path)
{
	AUTO_FREE char *library = NULL;
	int r = library_path(&library);
	const char *slash = r == 0 ? strrchr(library, '/') : NULL;
	if (r < 0)
		return r;
	for (size_t i = 0; slash && i < count; i++) {
		AUTO_FREE char *path =
			str_format("%.*s/%s%s", (int)(slash - library), library, places[i], name);
		int there = path ? fs_exists(path) : -ENOMEM;
		if (there == 0)
			continue;
		if (there > 0)
			*ret_path = realpath(path,
				NULL); /* the keeper, which executes it, is in another directory */
		return there < 0 ? there : *ret_path ? 0 : -errno;
	}
	return -ENOENT;
}

/* -ENOENT: it is not there. */
static int beside_library(const char *name, char **ret_path)
{
	/* Relative to libnova.so, and to a test program of the build tree that has the library
	 * inside. */
	static const char *const places[] = { "", "../lib/", "../agent/", "../../lib/",
		"../../agent/" };
	return library_beside(places, ARRAY_LEN(places), name, ret_path);
}

int sys_load(const char *path, void **ret_handle)
{
	errno = 0;
	*ret_handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (*ret_handle)
		return 0;
	return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : -ELIBACC;
}

int program_find(const char *name, const char *variable, char **ret_path, nova_error_t **error)
{
	const char *configured = variable ? env_get(variable) : NULL;
	bool named = configured && *configured;
	AUTO_FREE char *path = NULL;
	int r = named ? path_absolute(configured, &path) : beside_library(name, &path);
	if (r == -ENOENT && !named) {
		path = path_join(NOVA_LIBEXEC, name);
		r = path ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = fs_exists(path);
	if (r == 0)
		return nova_fail(error, NOVA_ENOTFOUND,
			"libnova's program %s is not at %s; install it there%s%s%s", name, path,
			variable ? ", or set " : "", variable ? variable : "",
			variable ? " to its path" : "");
	if (r < 0)
		return nova_fail_os(error, r, "looking for libnova's program %s", name);
	*ret_path = STEAL(path);
	return 0;
}
