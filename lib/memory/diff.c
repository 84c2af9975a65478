/* SPDX-License-Identifier: MIT */
/* Pages as files: for engines that write what has changed into a sparse file, and take memory as a
 * whole file. */
#include <errno.h>
#include <fcntl.h>

#include "memory/memory.h"

/* --- adding up --- */

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

static int add_run(struct pages *to, size_t *cap, struct page_run run, const uint8_t *content)
{
	int r = sys_pwrite_all(to->fd, content, run.count * piece_bytes(to), pages_bytes(to));
	for (uint32_t i = 0; r == 0 && i < run.count; i++)
		if (pages_add(to, cap, run.first + i) < 0)
			r = -ENOMEM;
	return r;
}

/* The older of two lists, as far as it has been walked through. */
struct older {
	const struct pages *pages;
	const uint8_t *content; /* of what is next */
	size_t run;
	uint32_t done; /* pieces of that run */
};

/* Walks up to piece `until`, and adds what is passed. `to` NULL: it is left out. */
static int walk(struct older *o, uint64_t until, struct pages *to, size_t *cap)
{
	int r = 0;
	while (r == 0 && o->run < o->pages->run_count) {
		const struct page_run *run = &o->pages->runs[o->run];
		struct page_run part = { run->first + o->done, run->count - o->done };
		if (part.first >= until)
			break;
		if (part.count > until - part.first)
			part.count = (uint32_t)(until - part.first);
		if (to)
			r = add_run(to, cap, part, o->content);
		o->content += part.count * piece_bytes(o->pages);
		o->done += part.count;
		if (o->done == run->count) {
			o->run++;
			o->done = 0;
		}
	}
	return r;
}

/* Both lists as one; where both have something, the newer content counts. `newer` are whole pages,
 * which lie at their places in a file of all memory. */
static int merge(const struct pages *older, const uint8_t *old_content, const struct pages *newer,
	const uint8_t *new_memory, struct pages *ret)
{
	struct older o = { older, old_content, 0, 0 };
	size_t cap = 0;
	int r = 0;
	ret->fine = older->fine;
	for (size_t i = 0; r == 0 && i < newer->run_count; i++) {
		const struct page_run *run = &newer->runs[i];
		struct page_run part = { run->first << ret->fine, run->count << ret->fine };
		r = walk(&o, part.first, ret, &cap);
		if (r == 0)
			r = walk(&o, (uint64_t)part.first + part.count, NULL, NULL);
		if (r == 0)
			r = add_run(
				ret, &cap, part, new_memory + (uint64_t)run->first * PAGE_BYTES);
	}
	return r == 0 ? walk(&o, UINT64_MAX, ret, &cap) : r;
}

int pages_update(struct pages *pages, int diff_fd, uint64_t size, nova_error_t **error)
{
	struct pages newer = PAGES_NONE, sum = PAGES_NONE;
	size_t bytes = pages_bytes(pages);
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
	if (pages->count) {
		copy.runs = malloc(pages->run_count * sizeof(*copy.runs));
		copy.fd = sys_dup(pages->fd);
		if (!copy.runs || copy.fd < 0) {
			int code = copy.runs ? nova_fail_os(error, copy.fd, "pages of a microVM") :
					       nova_oom(error);
			pages_done(&copy);
			return code;
		}
		memcpy(copy.runs, pages->runs, pages->run_count * sizeof(*copy.runs));
		copy.run_count = pages->run_count;
		copy.count = pages->count;
		copy.fine = pages->fine;
		copy.offset = pages->offset;
	}
	*ret = copy;
	return 0;
}

/* --- a whole file --- */

int pages_lay_over(const struct pages *pages, int to)
{
	uint64_t bytes = pages_bytes(pages), done = 0;
	const size_t piece = piece_bytes(pages);
	uint8_t *content = bytes ? sys_map(pages->fd, pages->offset, bytes, false) : NULL;
	int r = bytes && !content ? -ENOMEM : 0;
	for (size_t i = 0; r == 0 && i < pages->run_count; i++) {
		size_t len = pages->runs[i].count * piece;
		r = sys_pwrite_all(to, content + done, len, (uint64_t)pages->runs[i].first * piece);
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
