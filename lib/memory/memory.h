/* SPDX-License-Identifier: MIT */
/*
 * The door of memory: what a clone has written of its guest's memory since it was loaded, as pages
 * that differ from its base. Nothing here keeps state.
 */
#ifndef NOVA_LIB_MEMORY_MEMORY_H
#define NOVA_LIB_MEMORY_MEMORY_H

#include "base/base.h"

/* Pages of guest memory that differ from the base: runs of neighbours, and their content one after
 * the other in `fd`. */
struct page_run {
	uint32_t first, count; /* in pages of PAGE_BYTES */
};
struct pages {
	struct page_run *runs;
	size_t run_count, page_count;
	int fd;          /* -1: no pages */
	uint64_t offset; /* of the first content in fd, a multiple of PAGE_BYTES */
	/* atomic; file made by pages_whole(), which ends with the pages. NULL: none yet */
	char *whole;
};
#define PAGE_BYTES 4096u
#define PAGES_NONE                                                                                 \
	{                                                                                          \
		NULL, 0, 0, -1, 0, NULL                                                            \
	}
void pages_done(struct pages *pages);
/* Appends a page to the runs; numbers must rise. `cap` begins with 0. NOVA_ENOMEM. */
int pages_add(struct pages *pages, size_t *cap, uint32_t page);
/* Copies out of a process what it has written to its private mapping, of that size. */
int pages_read(int64_t pid, uint64_t address, uint64_t size, struct pages *ret_pages,
	nova_error_t **error);
/* Puts them into such a mapping. */
int pages_write(int64_t pid, uint64_t address, const struct pages *pages, nova_error_t **error);

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
