/* SPDX-License-Identifier: MIT */
/* Pages as files: for engines that write what has changed into a sparse file, and take memory as a
 * whole file. */
#include <errno.h>
#include <fcntl.h>

#include "memory/memory.h"

/* --- adding up --- */

/* Steps through the page numbers of a list of runs, upwards. */
struct cursor {
	const struct pages *pages;
	size_t run, index; /* index: of the page among all */
	uint32_t in_run;
};

static uint32_t here(const struct cursor *c)
{
	return c->run < c->pages->run_count ? c->pages->runs[c->run].first + c->in_run : UINT32_MAX;
}

static void step(struct cursor *c)
{
	c->index++;
	if (++c->in_run == c->pages->runs[c->run].count) {
		c->run++;
		c->in_run = 0;
	}
}

/* What of a sparse file is no hole. */
static int runs_of(int fd, uint64_t size, struct pages *ret)
{
	size_t cap = 0;
	for (int64_t at = 0, end;
		(at = sys_next_data(fd, (uint64_t)at)) >= 0 && (uint64_t)at < size; at = end) {
		end = sys_next_hole(fd, (uint64_t)at);
		if (end < 0)
			return (int)end;
		if (at == 0 && (uint64_t)end >= size)
			/* a file system that knows no holes: nothing of it could be believed */
			return -EOPNOTSUPP;
		for (int64_t page = at / PAGE_BYTES; page < (end + PAGE_BYTES - 1) / PAGE_BYTES;
			page++)
			if (pages_add(ret, &cap, (uint32_t)page) < 0)
				return -ENOMEM;
	}
	return 0;
}

/* Both lists as one; where both have a page, the newer content counts. `newer` lies at its place in
 * a file of all memory. */
static int merge(const struct pages *older, const uint8_t *old_content, const struct pages *newer,
	const uint8_t *new_memory, struct pages *ret)
{
	struct cursor o = { older, 0, 0, 0 }, n = { newer, 0, 0, 0 };
	size_t cap = 0;
	int r = 0;
	while (r == 0 && (here(&o) != UINT32_MAX || here(&n) != UINT32_MAX)) {
		bool take_new = here(&n) <= here(&o);
		uint32_t page = take_new ? here(&n) : here(&o);
		const uint8_t *content = take_new ? new_memory + (uint64_t)page * PAGE_BYTES :
						    old_content + o.index * PAGE_BYTES;
		r = sys_pwrite_all(
			ret->fd, content, PAGE_BYTES, ret->page_count * (uint64_t)PAGE_BYTES);
		if (r == 0 && pages_add(ret, &cap, page) < 0)
			r = -ENOMEM;
		if (here(&o) == page)
			step(&o);
		if (take_new)
			step(&n);
	}
	return r;
}

int pages_update(struct pages *pages, int diff_fd, uint64_t size, nova_error_t **error)
{
	struct pages newer = PAGES_NONE, sum = PAGES_NONE;
	size_t bytes = pages->page_count * PAGE_BYTES;
	uint8_t *old_content = bytes ? sys_map(pages->fd, pages->offset, bytes, false) : NULL;
	uint8_t *memory = sys_map(diff_fd, 0, size, false);
	int r = memory && (old_content || !bytes) ? runs_of(diff_fd, size, &newer) : -ENOMEM;
	if (r == 0)
		r = sum.fd = sys_memfd("nova-pages");
	if (r >= 0)
		r = merge(pages, old_content, &newer, memory, &sum);
	sys_unmap(memory, size);
	sys_unmap(old_content, bytes);
	pages_done(&newer);
	if (r < 0) {
		pages_done(&sum);
		return nova_fail_os(error, r, "pages of a microVM");
	}
	pages_done(pages);
	*pages = sum;
	return 0;
}

int pages_copy(const struct pages *pages, struct pages *ret, nova_error_t **error)
{
	struct pages copy = PAGES_NONE;
	if (pages->page_count) {
		copy.runs = malloc(pages->run_count * sizeof(*copy.runs));
		copy.fd = sys_dup(pages->fd);
		if (!copy.runs || copy.fd < 0) {
			pages_done(&copy);
			return nova_oom(error);
		}
		memcpy(copy.runs, pages->runs, pages->run_count * sizeof(*copy.runs));
		copy.run_count = pages->run_count;
		copy.page_count = pages->page_count;
		copy.offset = pages->offset;
	}
	*ret = copy;
	return 0;
}

/* --- a whole file --- */

int pages_lay_over(const struct pages *pages, int to)
{
	uint64_t bytes = pages->page_count * (uint64_t)PAGE_BYTES, done = 0;
	uint8_t *content = bytes ? sys_map(pages->fd, pages->offset, bytes, false) : NULL;
	int r = bytes && !content ? -ENOMEM : 0;
	for (size_t i = 0; r == 0 && i < pages->run_count; i++) {
		size_t len = (size_t)pages->runs[i].count * PAGE_BYTES;
		r = sys_pwrite_all(
			to, content + done, len, (uint64_t)pages->runs[i].first * PAGE_BYTES);
		done += len;
	}
	sys_unmap(content, bytes);
	return r;
}

static int write_whole(const struct pages *pages, int base_fd, uint64_t size, const char *path)
{
	AUTO_FD int fd = sys_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	int r = fd < 0 ? fd : sys_copy_sparse(base_fd, fd, size);
	return r == 0 ? pages_lay_over(pages, fd) : r;
}

int pages_whole(const struct pages *pages, const char *directory, int base_fd, uint64_t size,
	char **ret_path, nova_error_t **error)
{
	char **kept = (char **)&pages->whole; /* what is remembered there is no part of the pages */
	char suffix[17], *nothing = NULL, *known = __atomic_load_n(kept, __ATOMIC_ACQUIRE);
	if (!known) {
		AUTO_FREE char *path = random_hex(suffix, 16) < 0 ?
					       NULL :
					       str_format("%s/memory-%s", directory, suffix);
		int r = path ? write_whole(pages, base_fd, size, path) : -ENOMEM;
		if (r < 0) {
			if (path)
				fs_unlink(path);
			return nova_fail_os(error, r, "copy of the memory of a microVM");
		}
		if (__atomic_compare_exchange_n(
			    kept, &nothing, path, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			known = STEAL(path);
		} else { /* another thread was faster */
			fs_unlink(path);
			known = nothing;
		}
	}
	*ret_path = strdup(known);
	return *ret_path ? 0 : nova_oom(error);
}
