/* SPDX-License-Identifier: MIT */
/* Shared by the files of the snapshot room only. */
#ifndef NOVA_LIB_SNAPSHOT_MANIFEST_H
#define NOVA_LIB_SNAPSHOT_MANIFEST_H

#include "snapshot/snapshot.h"

/* NULL: out of memory. */
char *manifest_to_json(const struct manifest *manifest);
/* NOVA_ECORRUPT naming `where`. */
int manifest_from_json(const char *text, size_t len, const char *where, struct manifest *ret_manifest, nova_error_t **error);

/* The memory file's lock, shared or exclusive. -EWOULDBLOCK. */
int memory_lock(const char *directory, bool exclusive, int *ret_fd);

/* The file format of `pages`: header, runs, zeros up to a page, content. */
struct pages_header {
	char magic[8];
	uint32_t run_count, page_count;
};
#define PAGES_MAGIC "novapgs1"

#endif
