/* SPDX-License-Identifier: MIT */
/* Paths that depend on the user or the process. Each function gives a path that the caller frees,
 * or returns -errno. */
#ifndef NOVA_LIB_BASE_PATH_H
#define NOVA_LIB_BASE_PATH_H

#include <stdbool.h>

/* against the current directory; -ENOENT: that is gone */
int path_absolute(const char *path, char **ret_path);
/* These obey HOME and PATH only if `environment` says so. */
/* $HOME, else what the system knows of this user; -ENOENT: nothing, or it is that of a user from
 * whom this program has borrowed rights to keep. */
int path_user_home(bool environment, char **ret_path);
/* A copy, a leading "~/" replaced if the home directory is known. */
int path_expand_user(const char *path, bool environment, char **ret_path);
/* A program in PATH, else where programs are; absolute. -ENOENT: there is none. */
int path_search(const char *name, bool environment, char **ret_path);

#endif
