/* SPDX-License-Identifier: MIT */
/* What a program of POSIX does with files, directories, clocks and random numbers: the answers of
 * the calls of WASI, one after the other. The event's number is how many bytes the file keeps. */
#include "wasi.h"

typedef int32_t fd_t;

struct status {
	uint8_t type;
	uint16_t flags;
	uint64_t rights, inherited;
};

struct filestat {
	uint64_t device, inode;
	uint8_t type;
	uint64_t links, size, accessed, modified, changed;
};

struct subscription {
	uint64_t userdata;
	uint8_t tag; /* 0: a clock */
	_Alignas(8) uint32_t clock;
	uint64_t timeout, precision;
	uint16_t flags;
};

struct event {
	uint64_t userdata;
	uint16_t error;
	uint8_t type;
	uint64_t bytes;
	uint16_t flags;
};

struct entry {
	uint64_t next, inode;
	uint32_t len;
	uint8_t type;
};

WASI(clock_res_get) int clock_res_get(int clock, uint64_t *ret);
WASI(clock_time_get) int clock_time_get(int clock, uint64_t precision, uint64_t *ret);
WASI(fd_advise) int fd_advise(fd_t fd, uint64_t offset, uint64_t len, int advice);
WASI(fd_close) int fd_close(fd_t fd);
WASI(fd_datasync) int fd_datasync(fd_t fd);
WASI(fd_fdstat_get) int fd_fdstat_get(fd_t fd, struct status *ret);
WASI(fd_fdstat_set_flags) int fd_fdstat_set_flags(fd_t fd, int flags);
WASI(fd_filestat_get) int fd_filestat_get(fd_t fd, struct filestat *ret);
WASI(fd_filestat_set_size) int fd_filestat_set_size(fd_t fd, uint64_t size);
WASI(fd_filestat_set_times)
int fd_filestat_set_times(fd_t fd, uint64_t accessed, uint64_t modified, int which);
WASI(fd_pread)
int fd_pread(fd_t fd, const struct slice *slices, size_t count, uint64_t at, size_t *ret_len);
WASI(fd_prestat_get) int fd_prestat_get(fd_t fd, size_t ret[2]);
WASI(fd_prestat_dir_name) int fd_prestat_dir_name(fd_t fd, char *name, size_t len);
WASI(fd_pwrite)
int fd_pwrite(fd_t fd, const struct slice *slices, size_t count, uint64_t at, size_t *ret_len);
WASI(fd_readdir)
int fd_readdir(fd_t fd, void *buffer, size_t size, uint64_t cookie, size_t *ret_len);
WASI(fd_renumber) int fd_renumber(fd_t from, fd_t to);
WASI(fd_seek) int fd_seek(fd_t fd, int64_t offset, int whence, uint64_t *ret);
WASI(fd_sync) int fd_sync(fd_t fd);
WASI(fd_tell) int fd_tell(fd_t fd, uint64_t *ret);
WASI(path_create_directory) int path_create_directory(fd_t fd, const char *path, size_t len);
WASI(path_filestat_get)
int path_filestat_get(fd_t fd, int lookup, const char *path, size_t len, struct filestat *ret);
WASI(path_filestat_set_times)
int path_filestat_set_times(fd_t fd, int lookup, const char *path, size_t len, uint64_t accessed,
	uint64_t modified, int which);
WASI(path_link)
int path_link(fd_t fd, int lookup, const char *old, size_t old_len, fd_t to, const char *path,
	size_t len);
WASI(path_readlink)
int path_readlink(fd_t fd, const char *path, size_t len, char *to, size_t size, size_t *ret_len);
WASI(path_remove_directory) int path_remove_directory(fd_t fd, const char *path, size_t len);
WASI(path_rename)
int path_rename(fd_t fd, const char *old, size_t old_len, fd_t to, const char *path, size_t len);
WASI(path_symlink)
int path_symlink(const char *to, size_t to_len, fd_t fd, const char *path, size_t len);
WASI(path_unlink_file) int path_unlink_file(fd_t fd, const char *path, size_t len);
WASI(poll_oneoff)
int poll_oneoff(const struct subscription *in, struct event *out, size_t count, size_t *ret);
WASI(random_get) int random_get(void *data, size_t size);
WASI(sched_yield) int sched_yield(void);

#define FOLLOW    1
#define DIRECTORY 2
#define EXCLUSIVE 4
#define REALTIME  0
#define MONOTONIC 1
#define SET_END   2
#define APPEND    1
#define MODIFIED  4 /* the time of, given */

/* What may be done with a file, with a directory, and with what is opened below one. */
#define OF_FILES       0x08e001ffull
#define OF_DIRECTORIES 0x07bffe00ull
#define ALL_RIGHTS     0x0fffffffull

#define PATH(text) text, sizeof(text) - 1

static struct filestat stat;
static fd_t directory, file;

static void tell(const char *what, uint64_t value)
{
	static int told;
	put(told++ ? ",\"" : "{\"");
	put(what);
	put("\":");
	put_number(value);
}

static void did(const char *what, int error)
{
	tell(what, (uint64_t)error);
}

static void did_text(const char *what, int error, const char *text, size_t len)
{
	did(what, error);
	put(",\"");
	put(what);
	put(" text\":\"");
	put_bytes(1, text, len);
	put("\"");
}

static int open(fd_t at, const char *path, size_t len, int how, uint64_t rights, fd_t *ret)
{
	return path_open(at, FOLLOW, path, len, how, rights, ALL_RIGHTS, 0, ret);
}

static void write_and_seek(void)
{
	static const char text[] = "hello world!";
	char back[16];
	const struct slice out = { PATH(text) }, in = { back, 5 }, all = { back, 12 };
	uint64_t at = 0;
	size_t len = 0;
	fd_t other;
	did("make", open(directory, PATH("a"), CREATE | EXCLUSIVE, OF_FILES, &file));
	did("make again", open(directory, PATH("a"), CREATE | EXCLUSIVE, MAY_WRITE, &other));
	did("write", fd_write(file, &out, 1, &len));
	tell("written", len);
	did("tell", fd_tell(file, &at));
	tell("place", at);
	did("seek", fd_seek(file, -6, SET_END, &at));
	tell("place from end", at);
	did_text("read", fd_read(file, &in, 1, &len), back, len);
	did("pwrite", fd_pwrite(file, &(struct slice){ PATH("HELLO") }, 1, 0, &len));
	did_text("pread", fd_pread(file, &all, 1, 0, &len), back, len);
	did("seek before", fd_seek(file, -1, 0, &at));
}

static void change(uint64_t size)
{
	static struct status status;
	uint64_t at;
	size_t len;
	did("truncate", fd_filestat_set_size(file, size));
	did("times", fd_filestat_set_times(file, 0, 1000000000000000000, MODIFIED));
	did("stat", fd_filestat_get(file, &stat));
	tell("type", stat.type);
	tell("size", stat.size);
	tell("modified", stat.modified);
	did("sync", fd_sync(file) | fd_datasync(file) | fd_advise(file, 0, 0, 0));
	did("append", fd_fdstat_set_flags(file, APPEND));
	did("status", fd_fdstat_get(file, &status));
	tell("status type", status.type);
	did("write at its end",
		fd_seek(file, 0, 0, &at) | fd_write(file, &(struct slice){ PATH("!") }, 1, &len));
	did("larger", fd_filestat_get(file, &stat));
	tell("by one", stat.size);
}

static void names(void)
{
	static char entries[4096];
	char to[16];
	size_t len = 0, count = 0;
	fd_t other;
	did("rename", path_rename(directory, PATH("a"), directory, PATH("b")));
	did("gone", path_filestat_get(directory, 0, PATH("a"), &stat));
	did("link", path_link(directory, 0, PATH("b"), directory, PATH("c")));
	did("symlink", path_symlink(PATH("b"), directory, PATH("s")));
	did_text("readlink", path_readlink(directory, PATH("s"), to, sizeof(to), &len), to, len);
	did("is a link", path_filestat_get(directory, 0, PATH("s"), &stat));
	tell("its type", stat.type);
	did("follow", path_filestat_get(directory, FOLLOW, PATH("s"), &stat));
	tell("links", stat.links);
	did("set times of a path",
		path_filestat_set_times(directory, FOLLOW, PATH("s"), 0, 7000000000, MODIFIED));
	did("seen at its file", fd_filestat_get(file, &stat));
	tell("modified by path", stat.modified);
	did("readdir", fd_readdir(directory, entries, sizeof(entries), 0, &len));
	for (size_t at = 0; at < len;) {
		const struct entry *entry = (const struct entry *)(entries + at);
		count += *(const char *)(entry + 1) != '.'; /* not all have . and .. */
		at += sizeof(*entry) + entry->len;
	}
	tell("entries", count);
	did("open", open(directory, PATH("c"), 0, OF_FILES, &other));
	did("renumber", fd_renumber(other, file));
	did("its number is free", fd_close(other));
}

static void clean_up(void)
{
	did("not empty", path_remove_directory(TMP, PATH("files")));
	did("is no file", path_remove_directory(directory, PATH("b")));
	did("unlink", path_unlink_file(directory, PATH("b")) |
			      path_unlink_file(directory, PATH("c")) |
			      path_unlink_file(directory, PATH("s")));
	did("close", fd_close(file) | fd_close(directory));
	did("close again", fd_close(file));
	did("remove", path_remove_directory(TMP, PATH("files")));
	did("nothing is left", path_filestat_get(TMP, 0, PATH("files"), &stat));
}

static void machine(void)
{
	uint64_t before = 0, after = 0, real = 0, resolution = 0;
	static uint8_t drawn[2][16];
	static char name[16];
	static const struct subscription sleep = { .clock = MONOTONIC, .timeout = 2000000 };
	static struct event woken;
	static size_t count, prestat[2];
	did("clock", clock_time_get(MONOTONIC, 0, &before));
	did("poll", poll_oneoff(&sleep, &woken, 1, &count));
	tell("events", count);
	tell("woken", woken.userdata + woken.error + woken.type);
	did("clock later", clock_time_get(MONOTONIC, 0, &after) |
				   clock_time_get(REALTIME, 0, &real) |
				   clock_res_get(MONOTONIC, &resolution));
	tell("has slept", after - before >= 2000000);
	tell("is after 2020", real > 1577836800000000000 && resolution > 0);
	did("yield", sched_yield());
	did("random", random_get(drawn[0], 16) | random_get(drawn[1], 16));
	size_t same = 0;
	while (same < 16 && drawn[0][same] == drawn[1][same])
		same++;
	tell("draws differ", same < 16);
	did("prestat", fd_prestat_get(TMP, prestat));
	did_text("directory", fd_prestat_dir_name(TMP, name, prestat[1]), name, prestat[1]);
}

void _start(void)
{
	event_read();
	did("mkdir", path_create_directory(TMP, PATH("files")));
	did("mkdir again", path_create_directory(TMP, PATH("files")));
	did("open directory", open(TMP, PATH("files"), DIRECTORY, OF_DIRECTORIES, &directory));
	write_and_seek();
	change(event_number());
	names();
	clean_up();
	machine();
	put("}\n");
}
