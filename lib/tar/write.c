/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "module/compress.h"
#include "tar/tar.h"

#define PIECE (64u << 10)
#define BLOCK 512u
#define LEVEL 1 /* most of it is zeros */

struct tar_writer {
	char *path, *temp;
	int fd;
	z_stream z;
	uint8_t in[PIECE], out[PIECE];
};

void tar_writer_free(struct tar_writer *w)
{
	if (!w)
		return;
	if (w->z.state)
		deflateEnd(&w->z);
	fd_close(w->fd);
	if (w->temp)
		fs_unlink(w->temp);
	free(w->temp);
	free(w->path);
	free(w);
}

static int fail_writing(const struct tar_writer *w, int os, nova_error_t **error)
{
	return nova_fail_os(error, os, "cannot write the archive %s", w->path);
}

int tar_writer_new(const char *path, struct tar_writer **ret, nova_error_t **error)
{
	int r = compress_load(error);
	if (r < 0)
		return r;
	CLEANUP(tar_writer_freep) struct tar_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return nova_oom(error);
	w->fd = -1;
	w->path = strdup(path);
	if (!w->path || deflateInit2(&w->z, LEVEL, Z_DEFLATED, 16 + MAX_WBITS, 8,
				Z_DEFAULT_STRATEGY) != Z_OK)
		return nova_oom(error);
	int os = fs_temp_beside(path, 0600, &w->fd, &w->temp);
	if (os < 0)
		return fail_writing(w, os, error);
	*ret = STEAL(w);
	return 0;
}

static int compress_all(
	struct tar_writer *w, const void *data, size_t len, int flush, nova_error_t **error)
{
	w->z.next_in = (Bytef *)(uintptr_t)data;
	w->z.avail_in = (uInt)len;
	int state;
	do {
		w->z.next_out = w->out;
		w->z.avail_out = PIECE;
		state = deflate(&w->z, flush);
		int os = sys_write_all(w->fd, w->out, PIECE - w->z.avail_out);
		if (os < 0)
			return fail_writing(w, os, error);
	} while (flush == Z_FINISH ? state != Z_STREAM_END : w->z.avail_out == 0);
	return 0;
}

static int put(struct tar_writer *w, const void *data, size_t len, nova_error_t **error)
{
	for (size_t done = 0; done < len;) {
		size_t n = len - done < PIECE ? len - done : PIECE;
		int r = compress_all(w, (const uint8_t *)data + done, n, Z_NO_FLUSH, error);
		if (r < 0)
			return r;
		done += n;
	}
	return 0;
}

static int put_padding(struct tar_writer *w, uint64_t size, nova_error_t **error)
{
	static const uint8_t zeros[BLOCK];
	return put(w, zeros, (BLOCK - size % BLOCK) % BLOCK, error);
}

/* The sum of all bytes, its own being spaces. */
static unsigned checksum(const uint8_t header[BLOCK])
{
	unsigned sum = 0;
	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : header[i];
	return sum;
}

static int put_header(struct tar_writer *w, const char *name, uint64_t size, nova_error_t **error)
{
	uint8_t header[BLOCK] = { 0 };
	char *h = (char *)header;
	if (strlen(name) >= TAR_NAME || size >= TAR_MOST)
		return nova_fail(error, NOVA_ETOOBIG,
			"'%s' has %llu bytes: an archive has files of less than 8 GiB", name,
			(unsigned long long)size);
	memcpy(h, name, strlen(name));
	memcpy(h + 100, "0000600", 8);
	memcpy(h + 108, "0000000", 8);
	memcpy(h + 116, "0000000", 8);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
	memcpy(h + 136, "00000000000", 12);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	snprintf(h + 148, 7, "%06o", checksum(header));
	h[155] = ' ';
	return put(w, header, BLOCK, error);
}

int tar_add(
	struct tar_writer *w, const char *name, const void *data, size_t len, nova_error_t **error)
{
	int r = put_header(w, name, len, error);
	if (r == 0)
		r = put(w, data, len, error);
	return r < 0 ? r : put_padding(w, len, error);
}

int tar_add_file(struct tar_writer *w, const char *name, int fd, nova_error_t **error)
{
	struct stat st;
	int os = sys_fstat(fd, &st);
	if (os < 0)
		return nova_fail_os(error, os, "cannot read what becomes '%s'", name);
	uint64_t size = (uint64_t)st.st_size;
	int r = put_header(w, name, size, error);
	for (uint64_t at = 0; r == 0 && at < size; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
		os = sys_pread_all(fd, w->in, n, at);
		r = os < 0 ? nova_fail_os(error, os, "cannot read what becomes '%s'", name) :
			     put(w, w->in, n, error);
	}
	return r < 0 ? r : put_padding(w, size, error);
}

int tar_finish(struct tar_writer *w, nova_error_t **error)
{
	static const uint8_t end[2 * BLOCK];
	int r = put(w, end, sizeof(end), error);
	if (r == 0)
		r = compress_all(w, NULL, 0, Z_FINISH, error);
	if (r < 0)
		return r;
	int os = fs_publish(w->fd, w->temp, w->path);
	if (os < 0)
		return fail_writing(w, os, error);
	free(STEAL(w->temp));
	return 0;
}
