/* SPDX-License-Identifier: MIT */
/*
 * System calls on descriptors. Only lib/base/ looks at errno: every sys_ and fs_ function returns 0
 * or a useful non-negative number, or -errno. They take no locks and keep no state, so any thread
 * may call them. Descriptors are always close-on-exec and above 2; EINTR is retried.
 */
#ifndef NOVA_LIB_BASE_SYS_H
#define NOVA_LIB_BASE_SYS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/macros.h"

struct stat;

/* Takes a new descriptor (or -errno, which it gives back) away from 0 to 2: if the host has closed
 * these, its printf() or a program that it starts would write there. */
int fd_high(int fd);
void fd_close(int fd); /* -1 is accepted */
static inline void fd_closep(int *fd)
{
	fd_close(*fd);
}
#define AUTO_FD CLEANUP(fd_closep)

int sys_open(const char *path, int flags, mode_t mode);
int sys_dup(int fd);
ssize_t sys_read(int fd, void *out, size_t len);
ssize_t sys_write(int fd, const void *data, size_t len); /* for sockets use sys_send: no SIGPIPE */
int sys_write_all(int fd, const void *data, size_t len);
int sys_pread_all(int fd, void *out, size_t len, uint64_t offset);
int sys_pwrite_all(int fd, const void *data, size_t len, uint64_t offset);
/* not retried on EINTR: returns 0 events then */
int sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
/* Waits until there is something to read, or the end. False: the deadline has passed. */
bool sys_await_readable(int fd, uint64_t deadline);
int sys_set_nonblock(int fd, bool on);

int sys_fstat(int fd, struct stat *out);
int sys_fchmod(int fd, mode_t mode);
int sys_set_owner(int fd, uint32_t uid, uint32_t gid, mode_t mode);
int sys_truncate(int fd, uint64_t size);
int sys_fsync(int fd);
void sys_write_behind(int fd); /* has what was written go to the disk while other things are done */
/* Locks one byte of a file for this descriptor and its copies, until the last is closed. -EAGAIN:
 * somebody has it. */
int sys_lock_byte(int fd, uint64_t at);
int sys_flock(int fd, bool exclusive, bool wait);                  /* -EWOULDBLOCK unless `wait` */
void *sys_map(int fd, uint64_t offset, size_t len, bool writable); /* shared; NULL on failure */
void sys_unmap(void *at, size_t len);

int sys_socketpair(int type, int ret_fds[2]);
/* Whether processes can be kept from each other's memory whatever their users (Linux 5.13). */
bool sys_has_landlock(void);
int sys_pipe(int ret_fds[2]);
int sys_memfd(const char *name);
/* a descriptor that polls readable from sys_event_raise() to sys_event_clear() */
int sys_event(void);
void sys_event_raise(int fd);
void sys_event_clear(int fd);
/* Readable from a moment of clock_ns() on: 0 at once, NEVER not at all. */
int sys_timer_open(void);
int sys_timer_set(int fd, uint64_t when);

#endif
