/* SPDX-License-Identifier: MIT */
/* What these modules need of WASI, without a C library: small modules compile soon where the
 * processor is emulated. */
#include <stddef.h>
#include <stdint.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

struct slice {
	const void *at;
	size_t len;
};

WASI(args_get) int args_get(char **argv, char *text);
WASI(environ_get) int environ_get(char **env, char *text);
WASI(environ_sizes_get) int environ_sizes_get(size_t *count, size_t *size);
WASI(path_open)
int path_open(int directory, int lookup, const char *path, size_t len, int flags, uint64_t rights,
	uint64_t inherited, int fd_flags, int *ret_fd);
WASI(fd_read) int fd_read(int fd, const struct slice *slices, size_t count, size_t *ret_len);
WASI(fd_write) int fd_write(int fd, const struct slice *slices, size_t count, size_t *ret_len);
WASI(proc_exit) _Noreturn void proc_exit(int status);

#define TMP       3 /* the first directory that is open is /tmp, where the event is */
#define CREATE    1
#define MAY_READ  2ull
#define MAY_WRITE 64ull

static char event[1 << 16];

static size_t length(const char *text)
{
	size_t len = 0;
	while (text[len])
		len++;
	return len;
}

static void put_bytes(int fd, const char *data, size_t len)
{
	size_t done;
	struct slice slice = { data, len };
	if (fd_write(fd, &slice, 1, &done))
		proc_exit(74);
}

static inline void put(const char *text)
{
	put_bytes(1, text, length(text));
}

static inline void put_number(uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	put_bytes(1, digits + at, sizeof(digits) - at);
}

static inline _Noreturn void fail(int status, const char *text)
{
	put_bytes(2, text, length(text));
	put_bytes(2, "\n", 1);
	proc_exit(status);
}

static inline size_t event_read(void)
{
	char *argv[8], text[1024];
	int fd;
	size_t len;
	struct slice slice = { event, sizeof(event) - 1 };
	if (args_get(argv, text))
		fail(71, "there are no arguments");
	const char *path = argv[1] + 5; /* behind "/tmp/" */
	if (path_open(TMP, 0, path, length(path), 0, MAY_READ, 0, 0, &fd) ||
		fd_read(fd, &slice, 1, &len))
		fail(66, "the event cannot be read");
	event[len] = '\0';
	return len;
}

static inline uint64_t event_number(void)
{
	const char *at = event;
	uint64_t number = 0;
	while (*at && (*at < '0' || *at > '9'))
		at++;
	while (*at >= '0' && *at <= '9')
		number = number * 10 + (uint64_t)(*at++ - '0');
	return number;
}
