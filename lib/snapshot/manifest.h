/* SPDX-License-Identifier: MIT */
/* Shared by the files of the snapshot room only. */
#ifndef NOVA_LIB_SNAPSHOT_MANIFEST_H
#define NOVA_LIB_SNAPSHOT_MANIFEST_H

#include "snapshot/snapshot.h"

/* NULL: out of memory. */
char *manifest_to_json(const struct manifest *manifest);
/* NOVA_ECORRUPT naming `where`. */
int manifest_from_json(const char *text, size_t len, const char *where,
	struct manifest *ret_manifest, nova_error_t **error);

/* What the files are called. */
static inline const char *memory_name(const struct manifest *m)
{
	return m->memory.unpacked ? "memory.zst" : "memory";
}
static inline const char *pages_name(const struct manifest *m)
{
	return m->pages.unpacked ? "pages.zst" : "pages";
}

/* A file of a snapshot, with its lock. -EWOULDBLOCK, also if it is being removed. */
int file_lock(const char *directory, const char *name, bool exclusive, int *ret_fd);

/* --- read.c --- */

/* Its files are whole, as their sums say, and are not read again before they change. */
void remember_checked(const char *directory, const struct manifest *manifest);

/* --- compress.c --- */

struct compressor {
	int fd;
	uint64_t at;
	struct ZSTD_CCtx_s *context;
	uint8_t *out;
	size_t room;
};
/* To a file that will hold `size` bytes compressed. compressor_done() in any case. -errno. */
int compressor_begin(struct compressor *s, int fd, uint64_t size);
int compressor_add(struct compressor *s, const void *data, size_t len);
int compressor_end(struct compressor *s);
void compressor_done(struct compressor *s);
/* From the place where the file stands into a new file of memory, sparse. -EBADMSG if it is no
 * compressed file of `size` bytes. */
int decompress(int from, uint64_t size, int *ret_fd);

/* The file format of `pages`: header, runs, zeros up to a page, content. */
struct pages_header {
	char magic[8];
	uint32_t run_count, count, fine;
	uint32_t zero;
};
#define PAGES_MAGIC "novapgs2"

#endif
