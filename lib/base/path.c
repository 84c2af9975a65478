/* SPDX-License-Identifier: MIT */
/* Paths that depend on the user or the process. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/environment.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/path.h"
#include "base/text.h"

#define STANDARD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int give(char *path, char **ret_path)
{
	*ret_path = path;
	return path ? 0 : -ENOMEM;
}

int path_absolute(const char *path, char **ret_path)
{
	if (path[0] == '/')
		return give(strdup(path), ret_path);
	while (str_starts(path, "./"))
		path += 2;
	AUTO_FREE char *here = getcwd(NULL, 0);
	return here ? give(path_join(here, path), ret_path) : -errno;
}

int path_user_home(bool environment, char **ret_path)
{
	const char *home = environment ? env_get("HOME") : NULL;
	if (home && home[0] == '/')
		return give(strdup(home), ret_path);
	/* With a group or capabilities that are lent, it is the home of the one who must not
	 * choose. */
	if (env_is_borrowed() && geteuid() == getuid())
		return -ENOENT;
	struct passwd entry, *found = NULL;
	char space[4096];
	int r = getpwuid_r(geteuid(), &entry, space, sizeof(space), &found);
	if (r == ENOMEM || r == EMFILE || r == ENFILE)
		return -r;
	return found ? give(strdup(entry.pw_dir), ret_path) : -ENOENT;
}

int path_expand_user(const char *path, bool environment, char **ret_path)
{
	AUTO_FREE char *home = NULL;
	int r = !strcmp(path, "~") || str_starts(path, "~/") ? path_user_home(environment, &home) :
							       -ENOENT;
	if (r == -ENOENT)
		return give(strdup(path), ret_path);
	if (r < 0)
		return r;
	return give(path[1] ? path_join(home, path + 2) : STEAL(home), ret_path);
}

/* What is wrong with one place of several is no reason not to look at the next; that nothing can be
 * looked up is. */
static int executable(const char *path)
{
	if (access(path, X_OK) == 0)
		return 1;
	return errno == ENOMEM || errno == EIO ? -errno : 0;
}

int path_search(const char *name, bool environment, char **ret_path)
{
	const char *path = environment ? env_get("PATH") : NULL;
	AUTO_FREE char *copy = strdup(path && *path ? path : STANDARD_PATH);
	char *save = NULL;
	if (!copy)
		return -ENOMEM;
	for (char *dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		AUTO_FREE char *candidate = path_join(dir, name);
		int r = candidate ? executable(candidate) : -ENOMEM;
		if (r)
			return r < 0 ? r : path_absolute(candidate, ret_path);
	}
	return -ENOENT;
}
