/* SPDX-License-Identifier: MIT */
/* Files and directories by their paths: 0 or a useful number, or -errno. */
#ifndef NOVA_LIB_BASE_FS_H
#define NOVA_LIB_BASE_FS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct buf;

int fs_mkdirs(const char *path, mode_t mode);
/* Makes a directory and the one that it is in, 0700, in a place where anybody may make some (/tmp).
 * -EPERM: one of the two is a link, another user's, or others may write there. */
int fs_make_private(const char *path);
int fs_remove_tree(const char *path); /* 0 when it did not exist; does not follow links */
/* The same for a directory that has its lock in it, which stays until all else has gone: who finds
 * one without has found an empty one. */
#define FS_LOCK_NAME "lock"
int fs_remove_locked(const char *path);
void fs_remove_empty(const char *path); /* if it is an empty directory */
int fs_exists(const char *path);        /* 1, 0 or -errno, when nobody can tell */
int fs_is_directory(const char *path);  /* 1, 0 or -errno */
/* regular file; either may be NULL */
int fs_stat(const char *path, uint64_t *ret_size, uint64_t *ret_mtime_ns);
int fs_set_mtime(const char *path, uint64_t mtime_ns);
int fs_set_atime(const char *path, uint64_t atime_us); /* when it was used last */
/* That, and the bytes that it takes of the disk. */
int fs_stat_use(const char *path, uint64_t *ret_bytes, uint64_t *ret_atime_us);
int fs_unlink(const char *path);         /* 0 when it did not exist */
int fs_unlink_durably(const char *path); /* and that is on the disk */
int fs_open_parent(const char *path);    /* the directory that it is in, to read */
int fs_sync_name(const char *path);      /* that it is there, or is not, is on the disk */
int fs_rename(const char *from, const char *to);
/* Reads a whole file into a buffer (its maximum holds: -EMSGSIZE). */
int fs_read_file(const char *path, struct buf *out);

/* Replaces a file so that a crash leaves the old or the new content: temporary name, fsync, rename.
 */
int fs_write_file(const char *path, const void *data, size_t len, mode_t mode);
/* Opens a new temporary file beside `path` for the same dance; ret_temp is freed by the caller. */
int fs_temp_beside(const char *path, mode_t mode, int *ret_fd, char **ret_temp);
/* fsync of `fd`, rename over `path`, fsync of the directory. */
int fs_publish(int fd, const char *temp, const char *path);
/* Removes temporary files that dead processes have left of the file `name` (NULL: of any) in a
 * directory. Those of the living are locked. */
void fs_sweep_temps(const char *directory, const char *name);

int fs_chmod(const char *path, mode_t mode);
/* An empty file with that mode from its first moment on, whatever the umask; 0 if there is one. */
int fs_make_file(const char *path, mode_t mode);
/* Takes the rights of group and others away; 0 if there is no such file. */
int fs_make_own(const char *path);
/* The bits of S_IWGRP | S_IWOTH that a file or directory has; -errno. */
int fs_open_to_writers(const char *path);
int fs_writable(const char *path); /* 0 or -errno, for the effective user */
/* Of the file system that it is on; 0: nobody can tell. */
uint64_t fs_disk_size(const char *path);
bool fs_allows_devices(const char *path); /* not mounted with nodev */

/* The n-th name in a directory listing, sorted; caller frees each and the array. -errno or the
 * count. */
int fs_list(const char *directory, char ***ret_names);
int fs_list_stream(DIR *dir, char ***ret_names);
int fs_list_at(int dir, char ***ret_names); /* of an open directory */

#endif
