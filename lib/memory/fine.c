/* SPDX-License-Identifier: MIT */
/*
 * What differs inside of pages. Of those that an import has written, a quarter is as it was, and in
 * half of the others fewer than 256 bytes differ: counters of references, for the most part.
 */
#include <errno.h>

#include "memory/memory.h"

#define PIECE  (PAGE_BYTES >> PAGES_FINEST)
#define PIECES (PAGE_BYTES / PIECE)
/* Between two that differ, what is the same goes along if it is no more than this: each run costs 8
 * bytes, and time when it is written to its place. */
#define GAP (128u / PIECE)

struct refining {
	struct pages fine;
	size_t cap;
	uint8_t *out; /* mapped: the content of `fine` */
};

static int add_pieces(
	struct refining *r, uint32_t page, const uint8_t *content, size_t from, size_t to)
{
	memcpy(r->out + pages_bytes(&r->fine), content + from * PIECE, (to - from) * PIECE);
	for (size_t i = from; i < to; i++)
		if (pages_add(&r->fine, &r->cap, page * PIECES + (uint32_t)i) < 0)
			return NOVA_ENOMEM;
	return 0;
}

static int add_page(struct refining *r, uint32_t page, const uint8_t *content, const uint8_t *base)
{
	size_t begin = 0, end = 0; /* of what is to be added */
	int code = 0;
	for (size_t i = 0; code == 0 && i < PIECES; i++) {
		if (!memcmp(content + i * PIECE, base + i * PIECE, PIECE))
			continue;
		if (i - end > GAP || !end) {
			code = add_pieces(r, page, content, begin, end);
			begin = i;
		}
		end = i + 1;
	}
	return code == 0 ? add_pieces(r, page, content, begin, end) : code;
}

static int add_all(
	struct refining *r, const struct pages *pages, const uint8_t *content, int base_fd)
{
	uint8_t base[PAGE_BYTES];
	for (size_t i = 0; i < pages->run_count; i++)
		for (uint32_t n = 0; n < pages->runs[i].count; n++, content += PAGE_BYTES) {
			uint32_t page = pages->runs[i].first + n;
			int os = sys_pread_all(
				base_fd, base, sizeof(base), (uint64_t)page * PAGE_BYTES);
			if (os == 0 && add_page(r, page, content, base) < 0)
				os = -ENOMEM;
			if (os < 0)
				return os;
		}
	return 0;
}

/* Into a file that is as large as the pages, at first. */
static int refine(
	struct refining *r, const struct pages *pages, const uint8_t *content, int base_fd)
{
	size_t most = pages_bytes(pages);
	int os = r->fine.fd = sys_memfd("nova-pages");
	if (os >= 0)
		os = sys_truncate(r->fine.fd, most);
	if (os == 0 && !(r->out = sys_map(r->fine.fd, 0, most, true)))
		os = -ENOMEM;
	if (os == 0)
		os = add_all(r, pages, content, base_fd);
	sys_unmap(r->out, most);
	return os == 0 ? sys_truncate(r->fine.fd, pages_bytes(&r->fine)) : os;
}

int pages_refine(struct pages *pages, int base_fd, nova_error_t **error)
{
	struct refining r = { .fine = PAGES_NONE };
	size_t bytes = pages_bytes(pages);
	if (pages->fine || !bytes || pages->count > UINT32_MAX / PIECES)
		return 0; /* nothing finer can be said */
	r.fine.fine = PAGES_FINEST;
	uint8_t *content = sys_map(pages->fd, pages->offset, bytes, false);
	int os = content ? refine(&r, pages, content, base_fd) : -ENOMEM;
	sys_unmap(content, bytes);
	if (os < 0) {
		pages_done(&r.fine);
		return nova_fail_os(error, os, "what differs in %zu pages", pages->count);
	}
	pages_done(pages);
	*pages = r.fine;
	return 0;
}
