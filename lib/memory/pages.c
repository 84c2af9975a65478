/* SPDX-License-Identifier: MIT */
/*
 * The pages that a clone has written. Its memory is a private mapping of the base, so the kernel
 * knows them: they are in memory and no longer pages of the file. Reading and writing another
 * process's memory needs the right to trace it: root, or the same user.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/uio.h>

#include "memory/memory.h"

#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FILE    (1ull << 61)
#define IOV_AT_ONCE   512u

void pages_done(struct pages *pages)
{
	free(pages->runs);
	fd_close(pages->fd);
	if (pages->whole)
		fs_unlink(pages->whole);
	free(pages->whole);
	*pages = (struct pages)PAGES_NONE;
}

static bool is_private(uint64_t entry)
{
	return (entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) && !(entry & ENTRY_FILE);
}

int pages_add(struct pages *pages, size_t *cap, uint32_t piece)
{
	struct page_run *last = pages->run_count ? &pages->runs[pages->run_count - 1] : NULL;
	pages->count++;
	if (last && last->first + last->count == piece) {
		last->count++;
		return 0;
	}
	if (pages->run_count == *cap) {
		size_t larger = *cap ? *cap * 2 : 64;
		struct page_run *grown = realloc(pages->runs, larger * sizeof(*grown));
		if (!grown)
			return NOVA_ENOMEM;
		pages->runs = grown;
		*cap = larger;
	}
	pages->runs[pages->run_count++] = (struct page_run){ piece, 1 };
	return 0;
}

static int find_runs(
	int64_t pid, uint64_t address, uint64_t size, struct pages *pages, nova_error_t **error)
{
	size_t count = size / PAGE_BYTES, cap = 0;
	AUTO_FREE char *path = str_format("/proc/%" PRId64 "/pagemap", pid);
	AUTO_FREE uint64_t *entries = malloc(count * sizeof(*entries));
	if (!path || !entries)
		return nova_oom(error);
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	int r = fd < 0 ? fd :
			 sys_pread_all(fd, entries, count * sizeof(*entries),
				 address / PAGE_BYTES * sizeof(*entries));
	if (r < 0)
		return nova_fail_os(error, r, "pages of process %" PRId64, pid);
	for (size_t i = 0; i < count; i++)
		if (is_private(entries[i]) && pages_add(pages, &cap, (uint32_t)i) < 0)
			return nova_oom(error);
	return 0;
}

/* Moves all runs between the VMM and `local`, in which they lie one after the other. */
static int transfer(int64_t pid, uint64_t address, const struct pages *pages, uint8_t *local,
	bool out, nova_error_t **error)
{
	const size_t piece = piece_bytes(pages);
	struct iovec remote[IOV_AT_ONCE];
	for (size_t from = 0; from < pages->run_count;) {
		size_t n = 0, bytes = 0;
		while (n < IOV_AT_ONCE && from + n < pages->run_count) {
			const struct page_run *run = &pages->runs[from + n];
			remote[n] = (struct iovec){
				(void *)(uintptr_t)(address + (uint64_t)run->first * piece),
				(size_t)run->count * piece
			};
			bytes += remote[n++].iov_len;
		}
		int r = sys_process_memory_all(pid, local, bytes, remote, n, out);
		if (r < 0)
			return nova_fail_os(error, r, "memory of process %" PRId64 "%s", pid,
				nova_code_of_errno(r) == NOVA_EPERM ?
					" (this needs the right to trace it)" :
					"");
		local += bytes;
		from += n;
	}
	return 0;
}

static int move(
	int64_t pid, uint64_t address, const struct pages *pages, bool out, nova_error_t **error)
{
	size_t bytes = pages_bytes(pages);
	if (!bytes)
		return 0;
	uint8_t *local = sys_map(pages->fd, pages->offset, bytes, out);
	if (!local)
		return nova_oom(error);
	int code = transfer(pid, address, pages, local, out, error);
	sys_unmap(local, bytes);
	return code;
}

int pages_read(
	int64_t pid, uint64_t address, uint64_t size, struct pages *ret_pages, nova_error_t **error)
{
	struct pages pages = PAGES_NONE;
	int code = find_runs(pid, address, size, &pages, error);
	if (code == 0) {
		pages.fd = sys_memfd("nova-pages");
		int r = pages.fd < 0 ? pages.fd : sys_truncate(pages.fd, pages_bytes(&pages));
		code = r < 0 ? nova_fail_os(error, r, "file for %zu pages", pages.count) :
			       move(pid, address, &pages, true, error);
	}
	if (code < 0)
		pages_done(&pages);
	else
		*ret_pages = pages;
	return code;
}

int pages_write(int64_t pid, uint64_t address, const struct pages *pages, nova_error_t **error)
{
	return move(pid, address, pages, false, error);
}
