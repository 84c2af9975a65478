/* SPDX-License-Identifier: MIT */
/* Paths that depend on the user or the process, and the mode of a file. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define STANDARD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int fs_chmod(const char *path, mode_t mode)
{
	return chmod(path, mode) < 0 ? -errno : 0;
}

int fs_make_file(const char *path, mode_t mode)
{
	/* Not by open(): the close would drop the locks of another thread that is as far already. */
	int r = mknod(path, S_IFREG | mode, 0) < 0 ? -errno : 0;
	if (r == -EEXIST)
		return 0;
	if (r < 0) { /* a file system, or a sandbox, without it */
		AUTO_FD int fd = sys_open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
		if (fd < 0)
			return fd == -EEXIST ? 0 : fd;
	}
	return fs_chmod(path, mode); /* the umask may have taken away what the owner needs */
}

int fs_make_own(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return st.st_mode & (S_IRWXG | S_IRWXO) ? fs_chmod(path, st.st_mode & S_IRWXU) : 0;
}

int fs_open_to_writers(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	bool counts = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode); /* not a pipe or /dev/null */
	return counts ? (int)(st.st_mode & (S_IWGRP | S_IWOTH)) : 0;
}

int fs_writable(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int fs_is_directory(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode);
}

char *path_absolute(const char *path)
{
	if (path[0] == '/')
		return strdup(path);
	while (str_starts(path, "./"))
		path += 2;
	AUTO_FREE char *here = getcwd(NULL, 0);
	return here ? path_join(here, path) : NULL;
}

char *path_user_home(bool environment)
{
	const char *home = environment ? env_get("HOME") : NULL;
	if (home && home[0] == '/')
		return strdup(home);
	/* With a group or capabilities that are lent, it is the home of the one who must not choose. */
	if (env_is_borrowed() && geteuid() == getuid())
		return NULL;
	struct passwd entry, *found = NULL;
	char space[4096];
	if (getpwuid_r(geteuid(), &entry, space, sizeof(space), &found) != 0 || !found)
		return NULL;
	return strdup(entry.pw_dir);
}

char *path_expand_user(const char *path, bool environment)
{
	if (strcmp(path, "~") != 0 && !str_starts(path, "~/"))
		return strdup(path);
	AUTO_FREE char *home = path_user_home(environment);
	if (!home)
		return strdup(path);
	return path[1] ? path_join(home, path + 2) : STEAL(home);
}

char *path_search(const char *name, bool environment)
{
	const char *path = environment ? env_get("PATH") : NULL;
	AUTO_FREE char *copy = strdup(path && *path ? path : STANDARD_PATH);
	char *save = NULL;
	for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir; dir = strtok_r(NULL, ":", &save)) {
		AUTO_FREE char *candidate = path_join(dir, name);
		if (candidate && access(candidate, X_OK) == 0)
			return path_absolute(candidate);
	}
	return NULL;
}
