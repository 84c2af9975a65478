/* SPDX-License-Identifier: MIT */
/* Locks that are files. */
#ifndef NOVA_LIB_BASE_LOCK_H
#define NOVA_LIB_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/stop.h"

struct stop;

#define LOCK_PATIENCE_MS 120000u /* what is made under a lock takes seconds */
/* Exclusive lock of a file that is made if needed; the lock lasts as long as the fd. -EWOULDBLOCK;
 * with `wait` that is waited for, and after two minutes it is -EBUSY. Whoever holds it may remove
 * the file: those who wait then lock a new one. */
int fs_lock(const char *path, bool wait, int *ret_fd);
/* The same, waiting until it is asked to stop: -ECANCELED, or the deadline: -EWOULDBLOCK. Looks
 * again every few ms: a lock cannot be polled. */
int fs_lock_unless(const char *path, const struct stop *stop, uint64_t deadline, int *ret_fd);
int fs_lock_until(const char *path, uint64_t deadline, int *ret_fd); /* -EWOULDBLOCK */
/* The same for an open file, which may have been removed by whoever had it. */
int lock_fd_until(int fd, uint64_t deadline);
bool lock_is_removed(int fd);

#endif
