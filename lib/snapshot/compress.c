/* SPDX-License-Identifier: MIT */
/* Files of a snapshot compressed with zstd: plain .zst files, which any tool can read. */
#include <errno.h>

#include "module/compress.h"

#include "snapshot/manifest.h"

/* guest memory shrinks little more with the others, which take many times as long */
#define LEVEL 1

/* --- writing --- */

int snapshot_can_compress(nova_error_t **error)
{
	return compress_load(error);
}

int compressor_begin(struct compressor *s, int fd, uint64_t size)
{
	if (compress_load(NULL) < 0)
		return -ELIBACC;
	*s = (struct compressor){
		.fd = fd, .context = ZSTD_createCCtx(), .room = ZSTD_CStreamOutSize()
	};
	s->out = malloc(s->room);
	if (!s->context || !s->out ||
		ZSTD_isError(ZSTD_CCtx_setParameter(s->context, ZSTD_c_compressionLevel, LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(s->context, ZSTD_c_checksumFlag, 1)) ||
		ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(s->context, size)))
		return -ENOMEM;
	return 0;
}

static int feed(struct compressor *s, const void *data, size_t len, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { data, len, 0 };
	size_t left;
	do {
		ZSTD_outBuffer out = { s->out, s->room, 0 };
		left = ZSTD_compressStream2(s->context, &out, &in, how);
		int r = ZSTD_isError(left) ? -ENOMEM :
					     sys_pwrite_all(s->fd, out.dst, out.pos, s->at);
		if (r < 0)
			return r;
		s->at += out.pos;
	} while (in.pos < in.size || (how == ZSTD_e_end && left));
	return 0;
}

int compressor_add(struct compressor *s, const void *data, size_t len)
{
	return feed(s, data, len, ZSTD_e_continue);
}

int compressor_end(struct compressor *s)
{
	return feed(s, NULL, 0, ZSTD_e_end);
}

void compressor_done(struct compressor *s)
{
	if (s->context) /* else the module may not be there */
		ZSTD_freeCCtx(s->context);
	free(s->out);
	*s = (struct compressor){ .context = NULL };
}

/* --- reading --- */

struct decompressor {
	ZSTD_DCtx *context;
	uint8_t *in, *out;
	size_t in_room, out_room; /* the second a multiple of PAGE_BYTES */
	size_t filled;            /* of out */
	uint64_t at;              /* where out goes to */
};

static void decompressor_done(struct decompressor *s)
{
	ZSTD_freeDCtx(s->context);
	free(s->in);
	free(s->out);
}

/* Whole pages are written where they are not empty, so that a hole comes back as a hole. */
static int pour(struct decompressor *s, int to, bool last)
{
	size_t whole = s->filled / PAGE_BYTES * PAGE_BYTES;
	int r = sys_pwrite_sparse(to, s->out, whole, s->at);
	if (r == 0 && last && s->filled > whole)
		r = sys_pwrite_all(to, s->out + whole, s->filled - whole, s->at + whole);
	if (r < 0)
		return r;
	s->at += whole;
	memmove(s->out, s->out + whole, s->filled - whole);
	s->filled -= whole;
	return 0;
}

/* -EBADMSG: not what was written. `*left` is 0 once the end has been seen. */
static int decode(struct decompressor *s, size_t got, int to, uint64_t size, size_t *left)
{
	ZSTD_inBuffer in = { s->in, got, 0 };
	if (!*left)
		return -EBADMSG; /* something behind the end */
	while (*left && (in.pos < in.size || s->filled == s->out_room)) {
		int r = s->filled == s->out_room ? pour(s, to, false) : 0;
		if (r < 0)
			return r;
		ZSTD_outBuffer out = { s->out, s->out_room, s->filled };
		*left = ZSTD_decompressStream(s->context, &out, &in);
		s->filled = out.pos;
		if (ZSTD_isError(*left) || s->at + s->filled > size)
			return -EBADMSG;
	}
	return in.pos < in.size ? -EBADMSG : 0;
}

static int decompress_all(struct decompressor *s, int from, int to, uint64_t size)
{
	size_t left = 1;
	ssize_t got;
	while ((got = sys_read(from, s->in, s->in_room)) > 0) {
		int r = decode(s, (size_t)got, to, size, &left);
		if (r < 0)
			return r;
	}
	uint64_t all = s->at + s->filled;
	int r = got < 0 ? (int)got : pour(s, to, true);
	return r < 0 ? r : left || all != size ? -EBADMSG : 0;
}

int decompress(int from, uint64_t size, int *ret_fd)
{
	CLEANUP(decompressor_done)
	struct decompressor s = {
		.context = ZSTD_createDCtx(), .in_room = ZSTD_DStreamInSize(), .out_room = 1u << 20
	};
	AUTO_FD int to = sys_memfd("nova-guest-memory");
	s.in = malloc(s.in_room);
	s.out = malloc(s.out_room);
	int r = to < 0 ? to : !s.context || !s.in || !s.out ? -ENOMEM : sys_truncate(to, size);
	if (r == 0)
		r = decompress_all(&s, from, to, size);
	if (r == 0)
		*ret_fd = STEAL_FD(to);
	return r;
}
