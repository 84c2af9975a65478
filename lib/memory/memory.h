/* SPDX-License-Identifier: MIT */
/*
 * The door of memory: what a clone has written of its guest's memory since it was loaded, as pages
 * that differ from its base. Nothing here keeps state.
 */
#ifndef NOVA_LIB_MEMORY_MEMORY_H
#define NOVA_LIB_MEMORY_MEMORY_H

#include "base/base.h"

/* Pieces of guest memory that differ from the base: runs of neighbours, and their content one
 * after the other in `fd`. A piece is a page, or with `fine` a part of one: what a clone has
 * written is known by pages, but in most of them only a few bytes are others. */
struct page_run {
	uint32_t first, count; /* in pieces */
};
struct pages {
	struct page_run *runs;
	size_t run_count, count; /* count: of pieces in all runs */
	int fd;                  /* -1: no pages */
	uint64_t offset;         /* of the first content in fd, a multiple of PAGE_BYTES */
	/* atomic; file made by pages_whole(), which ends with the pages. NULL: none yet */
	char *whole;
	uint8_t fine; /* a page is 2^fine pieces; at most PAGES_FINEST */
};
#define PAGE_BYTES   4096u
#define PAGES_FINEST 8u /* so that 64 GiB have numbers of 32 bits */
#define PAGES_NONE                                                                                 \
	{                                                                                          \
		NULL, 0, 0, -1, 0, NULL, 0                                                         \
	}
static inline size_t piece_bytes(const struct pages *pages)
{
	return PAGE_BYTES >> pages->fine;
}
/* Of all content. */
static inline uint64_t pages_bytes(const struct pages *pages)
{
	return (uint64_t)pages->count * piece_bytes(pages);
}
void pages_done(struct pages *pages);
/* Appends a piece to the runs; numbers must rise. `cap` begins with 0. NOVA_ENOMEM. */
int pages_add(struct pages *pages, size_t *cap, uint32_t piece);
/* Copies out of a process what it has written to its private mapping, of that size. */
int pages_read(int64_t pid, uint64_t address, uint64_t size, struct pages *ret_pages,
	nova_error_t **error);
/* Puts them into such a mapping. */
int pages_write(int64_t pid, uint64_t address, const struct pages *pages, nova_error_t **error);

/* Leaves what differs from the base alone, in the finest pieces. (fine.c) */
int pages_refine(struct pages *pages, int base_fd, nova_error_t **error);

/* --- pages as files (diff.c) --- */

/* Lays a sparse file of all memory, whose holes say "unchanged", over the pages. */
int pages_update(struct pages *pages, int diff_fd, uint64_t size, nova_error_t **error);
int pages_copy(const struct pages *pages, struct pages *ret, nova_error_t **error);
/* Writes them to their places in a file; 0 or -errno. */
int pages_lay_over(const struct pages *pages, int to);
/* A file in `directory` with the base and the pages over it: made once, and removed by
 * pages_done(). Any thread. Caller frees the path. */
int pages_whole(const struct pages *pages, const char *directory, int base_fd, uint64_t size,
	char **ret_path, nova_error_t **error);

#endif
