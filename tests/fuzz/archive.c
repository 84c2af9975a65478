/* SPDX-License-Identifier: MIT */
/* The reader of archives. The first byte: 0, the rest is the file; else the rest are changes to
 * what is in a good one, whose headers are given their sums again if it is 2. */
#include <assert.h>
#include <fcntl.h>

#include "module/compress.h"
#include "patch.h"
#include "tar/tar.h"

#define BLOCK  512u
#define MOST   (16 * BLOCK)
#define HEADER 148u /* where its sum is */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* To its end, or to what is wrong. */
static void read_all(const char *path)
{
	CLEANUP(tar_reader_freep) struct tar_reader *r = NULL;
	AUTO_ERROR nova_error_t *error = NULL;
	char name[TAR_NAME];
	uint8_t part[100];
	uint64_t size;
	int code = tar_reader_new(path, &r, &error);
	while (code == 0 && (code = tar_next(r, name, &size, &error)) > 0) {
		assert(strlen(name) < TAR_NAME && size < TAR_MOST);
		code = tar_read(r, part, size < sizeof(part) ? (size_t)size : sizeof(part), &error);
	}
	assert(code == 0 || code == NOVA_ECORRUPT || code == NOVA_ENOMEM);
	assert(code == 0 || error);
}

static void read_bytes(const uint8_t *data, size_t len)
{
	char path[32];
	AUTO_FD int fd = sys_memfd("archive");
	assert(fd >= 0 && sys_write_all(fd, data, len) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_all(path);
}

/* --- what is changed --- */

static size_t write_good(uint8_t out[MOST])
{
	char path[] = "/tmp/nova-fuzz-archive-XXXXXX";
	CLEANUP(tar_writer_freep) struct tar_writer *w = NULL;
	AUTO_BUF struct buf file = BUF_INIT(1 << 20);
	AUTO_FD int fd = mkstemp(path);
	assert(fd >= 0 && tar_writer_new(path, &w, NULL) == 0);
	assert(tar_add(w, "manifest.json", "{}", 2, NULL) == 0);
	assert(tar_add(w, "store.jsonl", "", 0, NULL) == 0);
	assert(tar_add(w, "blobs/code", path, sizeof(path), NULL) == 0);
	assert(tar_finish(w, NULL) == 0);
	assert(fs_read_file(path, &file) == 0 && fs_unlink(path) == 0);
	z_stream z = { .next_in = file.data, .avail_in = (uInt)file.len };
	z.next_out = out;
	z.avail_out = MOST;
	assert(inflateInit2(&z, 16 + MAX_WBITS) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END);
	inflateEnd(&z);
	return MOST - z.avail_out;
}

static void give_sums(uint8_t *tar, size_t len)
{
	for (uint8_t *h = tar; h < tar + len; h += BLOCK) {
		unsigned sum = 0;
		memset(h + HEADER, ' ', 8);
		for (size_t i = 0; i < BLOCK; i++)
			sum += h[i];
		if (sum != 8 * ' ')
			snprintf((char *)h + HEADER, 7, "%06o", sum);
		else
			memset(h + HEADER, 0, 8);
	}
}

static void read_tar(const uint8_t *tar, size_t len)
{
	static uint8_t packed[2 * MOST];
	z_stream z = { .next_in = (Bytef *)(uintptr_t)tar, .avail_in = (uInt)len };
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&z);
	read_bytes(packed, sizeof(packed) - z.avail_out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t good[MOST];
	static size_t good_len;
	if (compress_load(NULL) < 0)
		abort();
	if (!good_len)
		good_len = write_good(good);
	if (!len || data[0] == 0) {
		read_bytes(data + !!len, len - !!len);
		return 0;
	}
	static uint8_t tar[MOST];
	memcpy(tar, good, good_len);
	apply_patches(tar, good_len, data + 1, len - 1);
	if (data[0] == 2)
		give_sums(tar, good_len);
	read_tar(tar, good_len);
	return 0;
}
