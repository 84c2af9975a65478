/* SPDX-License-Identifier: MIT */
/*
 * The compressions of a Linux kernel. Each reader writes into memory of the declared size and must
 * fill it exactly, so neither a bomb nor a short stream gets through.
 */
#include <errno.h>
#include <limits.h>

#include "image/image.h"
#include "module/compress.h"

struct stream {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len; /* what must come out */
};

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* Readers return 0, -EBADMSG for a stream that is damaged, or -ENOMEM. */
static int read_gzip(const struct stream *s)
{
	z_stream z = {
		.next_in = (Bytef *)s->in,
		.avail_in = (uInt)s->in_len,
		.next_out = s->out,
		.avail_out = (uInt)s->out_len,
	};
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	int r = inflate(&z, Z_FINISH);
	bool whole = r == Z_STREAM_END && z.total_out == s->out_len;
	inflateEnd(&z);
	return whole ? 0 : r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int read_xz(const struct stream *s)
{
	uint64_t memory = 256u << 20;
	size_t in_at = 0, out_at = 0;
	lzma_ret r = lzma_stream_buffer_decode(
		&memory, 0, NULL, s->in, &in_at, s->in_len, s->out, &out_at, s->out_len);
	return r == LZMA_OK && out_at == s->out_len ? 0 : r == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int read_zstd(const struct stream *s)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	if (!context)
		return -ENOMEM;
	size_t got = ZSTD_decompressDCtx(context, s->out, s->out_len, s->in, s->in_len);
	ZSTD_freeDCtx(context);
	return got == s->out_len ? 0 : -EBADMSG;
}

/* The legacy frame: a magic, then blocks of 8 MiB of content, each behind its compressed length. */
static int read_lz4(const struct stream *s)
{
	const size_t block_max = 8u << 20;
	size_t in_at = 4, out_at = 0;
	while (in_at < s->in_len && out_at < s->out_len) {
		if (s->in_len - in_at < 4)
			return -EBADMSG;
		uint32_t len = get32(s->in + in_at);
		in_at += 4;
		if (!len || len > s->in_len - in_at || len > INT_MAX)
			return -EBADMSG;
		size_t room = s->out_len - out_at < block_max ? s->out_len - out_at : block_max;
		int got = LZ4_decompress_safe(
			(const char *)s->in + in_at, (char *)s->out + out_at, (int)len, (int)room);
		if (got <= 0)
			return -EBADMSG;
		in_at += len;
		out_at += (size_t)got;
	}
	return in_at == s->in_len && out_at == s->out_len ? 0 : -EBADMSG;
}

static const struct format {
	const char *name;
	uint8_t magic[6];
	uint8_t magic_len;
	uint8_t tail; /* bytes at the end that declare the size and are not part of the stream */
	int (*read)(const struct stream *s); /* NULL: known only by name */
} formats[] = {
	{ "gzip", { 0x1f, 0x8b }, 2, 0, read_gzip }, /* the size is gzip's own last field */
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, 4, read_xz },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, 4, read_lz4 },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, 4, read_zstd },
	{ "bzip2", { 'B', 'Z', 'h' }, 3, 4, NULL },
	{ "lzma", { 0x5d, 0, 0 }, 3, 4, NULL },
	{ "lzo", { 0x89, 'L', 'Z', 'O' }, 4, 4, NULL },
};

static const struct format *format_of(const uint8_t *payload, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (len >= formats[i].magic_len &&
			!memcmp(payload, formats[i].magic, formats[i].magic_len))
			return &formats[i];
	return NULL;
}

int image_inflate(const uint8_t *payload, size_t len, uint8_t **ret_data, size_t *ret_len,
	nova_error_t **error)
{
	const struct format *format = format_of(payload, len);
	if (!format)
		return nova_fail(error, NOVA_ECORRUPT,
			"the kernel inside is compressed in no way that Linux uses");
	if (!format->read)
		return nova_fail(error, NOVA_ENOTSUP,
			"the kernel inside is compressed with %s; gzip, xz, lz4 and zstd can be "
			"read",
			format->name);
	size_t size = len < 12 ? 0 : get32(payload + len - 4);
	if (!size || size > IMAGE_MAX_KERNEL)
		return nova_fail(error, NOVA_ECORRUPT,
			"the %s stream inside declares an impossible size", format->name);
	int code = compress_load(error);
	if (code < 0)
		return code;
	AUTO_FREE uint8_t *data = malloc(size);
	if (!data)
		return nova_oom(error);
	struct stream stream = { payload, len - format->tail, data, size };
	int r = format->read(&stream);
	if (r == -ENOMEM)
		return nova_oom(error);
	if (r < 0)
		return nova_fail(
			error, NOVA_ECORRUPT, "the %s stream inside is damaged", format->name);
	*ret_data = STEAL(data);
	*ret_len = size;
	return 0;
}
