/* SPDX-License-Identifier: MIT */
/* System calls relative to an open directory. */
#ifndef NOVA_LIB_BASE_SYS_AT_H
#define NOVA_LIB_BASE_SYS_AT_H

#include <sys/stat.h>
#include <sys/types.h>

struct stat;

int sys_openat(int dir, const char *name, int flags, mode_t mode);
/* -EXDEV: a link leads out of the directory, or is absolute. Before Linux 5.6 it is followed. */
int sys_open_beneath(int dir, const char *path, int flags);
int sys_lstatat(int dir, const char *name, struct stat *out);     /* does not follow a link */
int sys_readlinkat(int dir, const char *name, char **ret_target); /* freed by the caller */
int sys_mkdirat(int dir, const char *name, mode_t mode);
int sys_mkfifoat(int dir, const char *name, mode_t mode);
int sys_symlinkat(const char *target, int dir, const char *name);
/* another name for an open file; -EXDEV elsewhere, -ENOENT if it has none any more */
int sys_link_fd(int fd, int dir, const char *name);
int sys_unlinkat(int dir, const char *name); /* 0 when it did not exist */

#endif
