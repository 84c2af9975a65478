/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "module/compress.h"
#include "tar/tar.h"

#define PIECE (64u << 10)
#define BLOCK 512u

struct tar_reader {
	char *path;
	int fd;
	z_stream z;
	bool ended;       /* of gzip's stream, which was whole */
	uint64_t left;    /* of the file that is read */
	unsigned padding; /* behind it */
	uint8_t in[PIECE];
};

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	if (r->z.state)
		inflateEnd(&r->z);
	fd_close(r->fd);
	free(r->path);
	free(r);
}

static int fail_damaged(const struct tar_reader *r, const char *why, nova_error_t **error)
{
	return nova_fail(error, NOVA_ECORRUPT, "the archive %s is damaged: %s", r->path, why);
}

int tar_reader_new(const char *path, struct tar_reader **ret, nova_error_t **error)
{
	int code = compress_load(error);
	if (code < 0)
		return code;
	CLEANUP(tar_reader_freep) struct tar_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return nova_oom(error);
	r->fd = sys_open(path, O_RDONLY, 0);
	if (r->fd < 0)
		return nova_fail_os(error, r->fd, "cannot read the archive %s", path);
	r->path = strdup(path);
	if (!r->path || inflateInit2(&r->z, 16 + MAX_WBITS) != Z_OK)
		return nova_oom(error);
	*ret = STEAL(r);
	return 0;
}

static int fill(struct tar_reader *r, nova_error_t **error)
{
	ssize_t got = sys_read(r->fd, r->in, PIECE);
	if (got < 0)
		return nova_fail_os(error, (int)got, "cannot read the archive %s", r->path);
	if (got == 0)
		return fail_damaged(r, "it ends too early", error);
	r->z.next_in = r->in;
	r->z.avail_in = (uInt)got;
	return 0;
}

/* As many bytes as there are, up to `len`: less only where the stream ends. */
static ssize_t expand(struct tar_reader *r, void *out, size_t len, nova_error_t **error)
{
	r->z.next_out = out;
	r->z.avail_out = (uInt)len;
	while (r->z.avail_out && !r->ended) {
		int code = r->z.avail_in ? 0 : fill(r, error);
		if (code < 0)
			return code;
		int state = inflate(&r->z, Z_NO_FLUSH);
		r->ended = state == Z_STREAM_END;
		if (state == Z_MEM_ERROR)
			return nova_oom(error);
		if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
			return fail_damaged(r, "it is not what gzip has written", error);
	}
	return (ssize_t)(len - r->z.avail_out);
}

static int take(struct tar_reader *r, void *out, size_t len, nova_error_t **error)
{
	for (size_t done = 0; done < len;) {
		size_t n = len - done < PIECE ? len - done : PIECE;
		ssize_t got = expand(r, (uint8_t *)out + done, n, error);
		if (got < 0)
			return (int)got;
		if ((size_t)got < n)
			return fail_damaged(r, "it ends too early", error);
		done += n;
	}
	return 0;
}

static int skip(struct tar_reader *r, uint64_t len, nova_error_t **error)
{
	uint8_t unused[4096];
	int code = 0;
	for (; code == 0 && len; len -= len < sizeof(unused) ? len : sizeof(unused))
		code = take(r, unused, len < sizeof(unused) ? (size_t)len : sizeof(unused), error);
	return code;
}

/* Digits, then a NUL or a space. */
static bool parse_octal(const uint8_t *at, size_t len, uint64_t *ret)
{
	size_t i = 0;
	for (*ret = 0; i < len && at[i] >= '0' && at[i] <= '7'; i++)
		*ret = *ret * 8 + (at[i] - '0');
	return i && (i == len || at[i] == 0 || at[i] == ' ');
}

static bool sum_fits(const uint8_t h[BLOCK])
{
	uint64_t told, sum = 0;
	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : h[i];
	return parse_octal(h + 148, 8, &told) && told == sum;
}

/* Behind gzip's stream is nothing. */
static int check_last(struct tar_reader *r, nova_error_t **error)
{
	ssize_t got = r->z.avail_in ? (ssize_t)r->z.avail_in : sys_read(r->fd, r->in, PIECE);
	if (got < 0)
		return nova_fail_os(error, (int)got, "cannot read the archive %s", r->path);
	return got ? fail_damaged(r, "there is more behind its end", error) : 0;
}

/* Behind the last file are zeros, and nothing else. */
static int check_end(struct tar_reader *r, nova_error_t **error)
{
	uint8_t rest[4096];
	while (!r->ended) {
		ssize_t got = expand(r, rest, sizeof(rest), error);
		if (got < 0)
			return (int)got;
		for (ssize_t i = 0; i < got; i++)
			if (rest[i])
				return fail_damaged(r, "there is more behind its end", error);
	}
	return check_last(r, error);
}

int tar_next(struct tar_reader *r, char name[TAR_NAME], uint64_t *ret_size, nova_error_t **error)
{
	uint8_t h[BLOCK];
	static const uint8_t zeros[BLOCK];
	int code = skip(r, r->left + r->padding, error);
	r->left = r->padding = 0;
	if (code == 0)
		code = take(r, h, BLOCK, error);
	if (code < 0)
		return code;
	if (!memcmp(h, zeros, BLOCK))
		return check_end(r, error);
	if (!sum_fits(h) || !parse_octal(h + 124, 12, &r->left) || r->left >= TAR_MOST)
		return fail_damaged(r, "a file in it has no proper header", error);
	memcpy(name, h, 100);
	name[100] = 0;
	if ((h[156] && h[156] != '0') || h[345])
		return fail_damaged(r, "an entry of it is no plain file, as all have to be", error);
	r->padding = (unsigned)((BLOCK - r->left % BLOCK) % BLOCK);
	*ret_size = r->left;
	return 1;
}

int tar_read(struct tar_reader *r, void *out, size_t len, nova_error_t **error)
{
	r->left -= len;
	return take(r, out, len, error);
}
