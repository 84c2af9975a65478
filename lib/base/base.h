/* SPDX-License-Identifier: MIT */
/*
 * The door of base: errors, log, memory, buffers, clock, files, system calls.
 *
 * Only lib/base/ looks at errno: every sys_ and fs_ function returns 0 or a useful non-negative
 * number, or -errno. Functions here take no locks and keep no state, so any thread may call them.
 */
#ifndef NOVA_LIB_BASE_H
#define NOVA_LIB_BASE_H

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <nova/base.h>
#include <nova/interrupt.h>

#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
/* For functions of a child that shares its parent's memory: they never return, and what a sanitizer
 * notes of them is not undone. */
#define IN_VFORK __attribute__((no_sanitize("thread", "address")))
/* Takes the value out of an owning variable and leaves it empty: marks every hand-over. */
#define STEAL(p)                                                                                   \
	(__extension__({                                                                           \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	}))
#define STEAL_FD(fd)                                                                               \
	(__extension__({                                                                           \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	}))

/* --- errors --- */

/* Each returns `code` (nova_fail_os: the code that fits the errno), so a failure is one return
 * statement. */
int nova_fail(nova_error_t **error, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* `os` may be errno or -errno; its text is appended after ": ". */
int nova_fail_os(nova_error_t **error, int os, const char *format, ...) PRINTF_LIKE(3, 4);
/* For code that ran, or may have run, in a guest. */
int nova_fail_ran(nova_error_t **error, int code, int outcome, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* Cannot fail itself: the object is static. */
int nova_oom(nova_error_t **error);
/* Puts "prefix: " before the message of an error that is being passed up; keeps code, errno,
 * outcome. */
int nova_wrap(nova_error_t **error, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Raises the outcome of an error that is being passed up (see enum nova_outcome). */
int nova_set_outcome(nova_error_t **error, int code, int outcome);
/* Whether this says that something was refused (memory, descriptors, a read, room), so that nothing
 * is known of the thing it is about. */
bool code_is_refusal(int code);
/* The same failure told to somebody else. */
void error_copy(nova_error_t **to, const nova_error_t *from);
/* True, with NOVA_EINVAL and a sentence that names it, if one of these arguments of the public call
 * that this stands in is NULL. */
#define ANY_NULL(error, ...)                                                                       \
	nova_any_null((error), __func__, #__VA_ARGS__, (const void *const[]){ __VA_ARGS__ },       \
		sizeof((const void *const[]){ __VA_ARGS__ }) / sizeof(void *))
bool nova_any_null(nova_error_t **error, const char *call, const char *names,
	const void *const *values, size_t count);
/* The code that fits an errno. */
int nova_code_of_errno(int os);

static inline void error_freep(nova_error_t **error)
{
	nova_error_free(*error);
}
#define AUTO_ERROR CLEANUP(error_freep)

/* Checks and copies an option struct of the caller; `dst` has `known` bytes, all optional after
 * `size`. */
int opts_import(void *dst, size_t known, const void *src, const char *what, nova_error_t **error);
/* Refuses what a newer program may have put where this library has padding. */
int opts_reserved(uint32_t reserved, const char *what, nova_error_t **error);

/* --- ending calls early --- */

/*
 * What may end a call: the token of its caller and, around it, whatever else may end the work: the
 * queue that runs it, the pool that it starts a VM for. Each of those who call one another adds its
 * own on its stack and passes the chain down; every wait looks at all of it. NULL: nothing ends the
 * call.
 *
 * To end others' waits, have a nova_interrupt_t, put it around what they do, and trigger it.
 */
/* as if it was never triggered; nobody may have it now */
void interrupt_rearm(nova_interrupt_t *interrupt);
struct stop {
	const nova_interrupt_t *interrupt; /* NULL: none here */
	const struct stop *outer;
};
bool stop_asked(const struct stop *stop);
/* NOVA_ECANCELED once it is asked: for between two steps. `what` is what has not been done: "the
 * microVM was started". */
int stop_check(const struct stop *stop, const char *what, nova_error_t **error);
/* As sys_poll(), but returns as well when it is asked to stop: look with stop_asked(). For at most
 * 6 descriptors. */
int stop_poll(const struct stop *stop, struct pollfd *fds, nfds_t count, int timeout_ms);

/* A thread that waits for other threads, under their lock. A condition variable, unless something
 * may end the waiting: then it is an event, which can be polled along with that. */
struct sleeper {
	pthread_cond_t woken;
	int event; /* -1: none yet */
};
void sleeper_init(struct sleeper *s);
void sleeper_done(struct sleeper *s);
void sleeper_wake(struct sleeper *s); /* with the lock */
/* Until it is woken, the deadline has passed or it is asked to stop; or for no reason. */
void sleeper_wait(
	struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline, const struct stop *stop);
/* The same, or until `fd` (-1: none) can be read from: true then. */
bool sleeper_wait_readable(struct sleeper *s, pthread_mutex_t *lock, uint64_t deadline,
	const struct stop *stop, int fd);

/* The token in the options of a call that has no others. NOVA_ECANCELED if it is triggered already.
 */
int stop_import(struct stop *ret_stop, const nova_wait_opts *wait, nova_error_t **error);

/* --- log --- */

struct logger {
	nova_log_fn fn; /* NULL: silence */
	void *userdata;
	int level;
};

void log_write(const struct logger *log, int level, const char *module, const char *format, ...)
	PRINTF_LIKE(4, 5);
#define log_at(log, lvl, ...)                                                                      \
	do {                                                                                       \
		const struct logger *log_ = (log);                                                 \
		if (log_ && log_->fn && (lvl) <= log_->level)                                      \
			log_write(log_, (lvl), __VA_ARGS__);                                       \
	} while (0)
#define log_error(log, ...) log_at(log, NOVA_LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_at(log, NOVA_LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_at(log, NOVA_LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_at(log, NOVA_LOG_DEBUG, __VA_ARGS__)

/* --- environment --- */

/* A variable; NULL too where env_is_borrowed(). */
const char *env_get(const char *name);
/* This program has rights that whoever started it lacks: setuid, setgid, file capabilities. */
bool env_is_borrowed(void);

/* --- memory and text --- */

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define AUTO_FREE CLEANUP(freep)

/* NULL when out of memory. */
char *str_format(const char *format, ...) PRINTF_LIKE(1, 2);
bool str_starts(const char *text, const char *prefix);
/* Length of the UTF-8 sequence at `text`; 0 if it is none; -1 if it may become one with more bytes.
 */
int utf8_sequence(const uint8_t *text, size_t len);
/* How many bytes from the start are whole UTF-8 sequences. */
size_t utf8_valid_prefix(const uint8_t *text, size_t len);
bool text_is_utf8(const char *text);
/* One to four digits at *at, which then stands behind them: a part of a version. False: there is no
 * such number. */
bool str_take_number(const char **at, unsigned *ret);
/* The candidate nearest to a mistyped word, or NULL when none is near. `list` ends with NULL. */
const char *str_nearest(const char *word, const char *const *list);

/* A growing byte buffer with a maximum from its birth. */
struct buf {
	uint8_t *data;
	size_t len, cap, max;
};
#define BUF_INIT(maximum) ((struct buf){ NULL, 0, 0, (maximum) })

/* 0; -ENOMEM; -EMSGSIZE when the maximum would be passed (nothing is then appended). */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *text);
/* Makes room for `len` more bytes and returns where to write them, or NULL; then add to b->len. */
uint8_t *buf_reserve(struct buf *b, size_t len);
/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);
void buf_reset(struct buf *b); /* empty, memory kept */
void buf_free(struct buf *b);
/* The content as a NUL-terminated string that the caller frees; the buffer is then empty. NULL: out
 * of memory. */
char *buf_steal_str(struct buf *b);
#define AUTO_BUF CLEANUP(buf_free)

/* --- clock, randomness --- */

#define NEVER UINT64_MAX /* a deadline that does not come */

uint64_t clock_ns(void);      /* monotonic */
uint64_t clock_unix_us(void); /* wall clock */
uint64_t deadline_in_ms(uint64_t ms);
/* Milliseconds until the deadline for poll(2): -1 never, 0 passed; rounded up so that poll does not
 * spin. */
int deadline_poll_ms(uint64_t deadline);
static inline bool deadline_passed(uint64_t deadline)
{
	return deadline != NEVER && clock_ns() >= deadline;
}

int random_bytes(void *out, size_t len);
/* Writes `digits` (at most 64) random hex digits and a NUL. */
int random_hex(char *out, size_t digits);

/* --- descriptors: always close-on-exec and above 2, EINTR retried --- */

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
ssize_t sys_read(int fd, void *out, size_t len);
ssize_t sys_write(int fd, const void *data, size_t len); /* for sockets use sys_send: no SIGPIPE */
ssize_t sys_send(int fd, const void *data, size_t len, int flags); /* MSG_NOSIGNAL is added */
ssize_t sys_recv(int fd, void *out, size_t len, int flags);
int sys_write_all(int fd, const void *data, size_t len);
int sys_pread_all(int fd, void *out, size_t len, uint64_t offset);
int sys_pwrite_all(int fd, const void *data, size_t len, uint64_t offset);
/* Writes what is not zero, in pages of 4096: the rest stays a hole. `len` is a multiple of that. */
int sys_pwrite_sparse(int fd, const uint8_t *data, uint64_t len, uint64_t offset);
/* All of a file, without filling holes of either: a mapping would fill those of a memfd. */
int sys_copy_sparse(int from, int to, uint64_t size);
void sys_write_behind(int fd); /* has what was written go to the disk while other things are done */
/* not retried on EINTR: returns 0 events then */
int sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int sys_socketpair(int type, int ret_fds[2]);
int sys_pipe(int ret_fds[2]);
int sys_memfd(const char *name);
/* a descriptor that polls readable from sys_event_raise() to sys_event_clear() */
int sys_event(void);
void sys_event_raise(int fd);
void sys_event_clear(int fd);
int sys_set_nonblock(int fd, bool on);
/* Readable from a moment of clock_ns() on: 0 at once, NEVER not at all. */
int sys_timer_open(void);
int sys_timer_set(int fd, uint64_t when);
int sys_fsync(int fd);
int sys_dup(int fd);
void *sys_map(int fd, uint64_t offset, size_t len, bool writable); /* shared; NULL on failure */
void sys_unmap(void *at, size_t len);
/* Locks one byte of a file for this descriptor and its copies, until the last is closed. -EAGAIN:
 * somebody has it. */
int sys_lock_byte(int fd, uint64_t at);
int sys_flock(int fd, bool exclusive, bool wait); /* -EWOULDBLOCK unless `wait` */
/* Where data, or a hole, begins at or after `from`; -ENXIO: nowhere. */
int64_t sys_next_data(int fd, uint64_t from);
int64_t sys_next_hole(int fd, uint64_t from);

/* --- network devices --- */

int sys_netlink_open(void);                /* NETLINK_ROUTE */
uint32_t sys_link_index(const char *name); /* 0: there is none */
/* A new TAP, with virtio headers, for one who does not block on it; it lives as long as the
 * descriptor. -EBUSY: the name is taken. */
int sys_tap_new(const char *name);
/* Has it stay without a descriptor, until sys_tap_remove(), so that `owner` can open it by name. */
int sys_tap_keep(int fd, uint32_t owner);
int sys_tap_remove(const char *name);        /* -EBUSY while somebody has it open */
void sys_taps_remove(const char *directory); /* those that files in it are named after */

/* --- processes and descriptors between them --- */

size_t sys_processors(void);              /* that this thread may run on; at least 1 */
int sys_pidfd_open(int64_t pid);          /* of a process that is no child of ours, too */
int sys_pidfd_signal(int pidfd, int sig); /* -ENOSYS before Linux 5.1, and under valgrind */
int sys_process_cpu_us(int64_t pid, uint64_t *ret_us); /* of all its threads */
int sys_shutdown_write(int fd);
struct iovec;
/* Copies all between one local buffer and places in another process, which together are `len` bytes
 * long; `remote` is used up. */
int sys_process_memory_all(
	int64_t pid, void *local, size_t len, struct iovec *remote, size_t count, bool out);
/* Connects a stream; the descriptor does not block. -ENOENT, -ECONNREFUSED or -EAGAIN while nobody
 * listens, or too many wait. */
int sys_connect_unix(const char *path);
int sys_send_fds(int socket, const void *data, size_t len, const int *fds, size_t fd_count);
/* All of it, without ever blocking: -ETIMEDOUT. */
int sys_send_fds_until(int socket, const void *data, size_t len, const int *fds, size_t fd_count,
	uint64_t deadline);
/* *ret_fd becomes the one descriptor that came along, -1: none came, -EMFILE: it came and there was
 * no room for it. -ETIMEDOUT. */
ssize_t sys_recv_fd(int socket, void *out, size_t len, int *ret_fd, uint64_t deadline);

/* A program of which, with all that it starts, no wait() of this process sees anything, and whose
 * end sends it no signal: not even if this process is init or a subreaper (sys_detach.c says how).
 */
struct detached {
	int64_t reaper; /* the process in between; 0: none */
	int life;       /* nobody holds its other end but the reaper, which ends last */
	void *memory;   /* the reaper's */
};
#define DETACHED_NONE                                                                              \
	{                                                                                          \
		0, -1, NULL                                                                        \
	}
/* `fds` become 3, 4, … and are followed by `life`, on which the program finds something to read
 * when this process has ended, and only its end when the reaper was killed; nothing else is
 * inherited. Safe in a program with threads. The program is being executed when it returns. */
int sys_detached_start(
	const char *const *argv, const int *fds, size_t fd_count, struct detached *ret);
void sys_detached_kill(const struct detached *d); /* all of it, with SIGKILL */
/* True: all has ended. */
bool sys_detached_wait(const struct detached *d, uint64_t deadline);
/* The same, and what was held is released then. DETACHED_NONE is accepted. */
bool sys_detached_end(struct detached *d, uint64_t deadline);

/* Path of one of libnova's own programs: what the variable (NULL: none) says, else beside the
 * library (as in the build tree), else where it is installed. 0 or NOVA_ENOTFOUND with the way out.
 */
int program_find(const char *name, const char *variable, char **ret_path, nova_error_t **error);
/* A file in one of these places, relative to the directory that libnova.so (or the program that has
 * it inside) is in. -ENOENT. */
int library_beside(const char *const *places, size_t count, const char *name, char **ret_path);
/* A shared object that keeps its names to itself and stays when libnova.so is unloaded: what it
 * holds, as SQLite's memory, has no end. -ELIBACC: see dlerror(). */
int sys_load(const char *path, void **ret_handle);

/* --- files --- */

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
/* regular file; either may be NULL */
int fs_stat(const char *path, uint64_t *ret_size, uint64_t *ret_mtime_ns);
int fs_unlink(const char *path); /* 0 when it did not exist */
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
/* Minds a file that holds some room in a directory, for work that is to be possible on a full disk:
 * opening, reading, deleting. `working`: that follows, so the room is given up if there is little
 * else; otherwise it is taken again as far as possible. */
void fs_reserve(const char *directory, bool working);
/* The disk is so full that this room was given up: nothing that takes more should begin. */
bool fs_reserve_is_spent(const char *directory);
/* Removes temporary files that dead processes have left of the file `name` (NULL: of any) in a
 * directory. Those of the living are locked. */
void fs_sweep_temps(const char *directory, const char *name);
/* Exclusive lock of a file that is made if needed; the lock lasts as long as the fd. -EWOULDBLOCK;
 * with `wait` that is waited for, and after two minutes it is -EBUSY. Whoever holds it may remove
 * the file: those who wait then lock a new one. */
int fs_lock(const char *path, bool wait, int *ret_fd);
/* The same, waiting until it is asked to stop: -ECANCELED, or the deadline: -EWOULDBLOCK. Looks
 * again every few ms: a lock cannot be polled. */
int fs_lock_unless(const char *path, const struct stop *stop, uint64_t deadline, int *ret_fd);
int fs_lock_until(const char *path, uint64_t deadline, int *ret_fd); /* -EWOULDBLOCK */
char *path_join(const char *directory, const char *name);
int fs_chmod(const char *path, mode_t mode);
/* An empty file with that mode from its first moment on, whatever the umask; 0 if there is one. */
int fs_make_file(const char *path, mode_t mode);
/* Takes the rights of group and others away; 0 if there is no such file. */
int fs_make_own(const char *path);
/* The bits of S_IWGRP | S_IWOTH that a file or directory has; -errno. */
int fs_open_to_writers(const char *path);
int fs_writable(const char *path);     /* 0 or -errno, for the effective user */
int fs_is_directory(const char *path); /* 1, 0 or -errno */
/* Each gives a path that the caller frees, or returns -errno. */
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
/* The n-th name in a directory listing, sorted; caller frees each and the array. -errno or the
 * count. */
int fs_list(const char *directory, char ***ret_names);
int fs_list_stream(DIR *dir, char ***ret_names);
int fs_list_at(int dir, char ***ret_names); /* of an open directory */
void strv_free(char **list, size_t count);  /* NULL is accepted */

/* --- relative to an open directory --- */

int sys_openat(int dir, const char *name, int flags, mode_t mode);
/* -EXDEV: a link leads out of the directory, or is absolute. Before Linux 5.6 it is followed. */
int sys_open_beneath(int dir, const char *path, int flags);
int sys_lstatat(int dir, const char *name, struct stat *out); /* does not follow a link */
int sys_fstat(int fd, struct stat *out);
int sys_readlinkat(int dir, const char *name, char **ret_target); /* freed by the caller */
int sys_mkdirat(int dir, const char *name, mode_t mode);
int sys_mkfifoat(int dir, const char *name, mode_t mode);
int sys_symlinkat(const char *target, int dir, const char *name);
/* another name for an open file; -EXDEV elsewhere, -ENOENT if it has none any more */
int sys_link_fd(int fd, int dir, const char *name);
int sys_clone_file(int from, int to); /* shares the blocks, where the file system can */
int sys_set_owner(int fd, uint32_t uid, uint32_t gid, mode_t mode);
int sys_unlinkat(int dir, const char *name); /* 0 when it did not exist */
bool fs_allows_devices(const char *path);    /* not mounted with nodev */
int sys_fchmod(int fd, mode_t mode);
int sys_truncate(int fd, uint64_t size);

#endif
