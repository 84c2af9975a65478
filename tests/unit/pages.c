/* SPDX-License-Identifier: MIT */
/*
 * The private pages of another process, which the kernel moves less than 2 GiB of at once: the
 * short form gives the system call a smaller limit, the long form (NOVA_TEST_LONG) has the true
 * one.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "memory/memory.h"
#include "test.h"

#define MIB ((size_t)1 << 20)

static nova_error_t *error;

/* --- a system call that moves less than it is asked for --- */

static size_t at_most = SIZE_MAX; /* bytes a call */
static unsigned calls, fails_at;  /* fails_at: the call that fails with EFAULT; 0: none */

typedef ssize_t move_fn(pid_t pid, const struct iovec *local, unsigned long n,
	const struct iovec *remote, unsigned long m, unsigned long flags);
move_fn __real_process_vm_readv, __real_process_vm_writev, __wrap_process_vm_readv,
	__wrap_process_vm_writev;

static ssize_t move_some(move_fn *move, pid_t pid, const struct iovec *local,
	const struct iovec *remote, unsigned long count)
{
	struct iovec here = *local;
	if (++calls == fails_at) {
		errno = EFAULT;
		return -1;
	}
	here.iov_len = here.iov_len < at_most ? here.iov_len : at_most;
	return move(pid, &here, 1, remote, count, 0);
}

ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *local, unsigned long n,
	const struct iovec *remote, unsigned long m, unsigned long flags)
{
	(void)n, (void)flags;
	return move_some(__real_process_vm_readv, pid, local, remote, m);
}

ssize_t __wrap_process_vm_writev(pid_t pid, const struct iovec *local, unsigned long n,
	const struct iovec *remote, unsigned long m, unsigned long flags)
{
	(void)n, (void)flags;
	return move_some(__real_process_vm_writev, pid, local, remote, m);
}

/* --- a process with memory --- */

static uint8_t *memory;
static size_t memory_size;

/* What is in a page is its number; there are two holes, so there are three runs. */
static bool is_hole(size_t page)
{
	return page == 1 || page == memory_size / PAGE_BYTES / 2;
}

static void fill(void)
{
	for (size_t page = 0; page < memory_size / PAGE_BYTES; page++)
		if (!is_hole(page))
			*(volatile size_t *)(memory + page * PAGE_BYTES) = page;
}

/* A child with that much memory, whose pages are its own: with `filled`, once this returns they are
 * in it. */
static pid_t start(size_t size, bool filled)
{
	int ready[2];
	char byte;
	memory_size = size;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	madvise(memory, size, MADV_NOHUGEPAGE); /* there would be no holes */
	ck_assert_int_eq(pipe(ready), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (filled)
			fill();
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int read_pages(pid_t pid, struct pages *ret_pages)
{
	return pages_read(pid, (uint64_t)(uintptr_t)memory, memory_size, ret_pages, &error);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(memory, memory_size);
}

static size_t first_word(const struct pages *pages, size_t index)
{
	size_t word = 0;
	ck_assert_int_eq(sys_pread_all(pages->fd, &word, sizeof(word), index * PAGE_BYTES), 0);
	return word;
}

/* Reads them out of one process and writes them into another, which then has the same ones. */
static void there_and_back(size_t size)
{
	pid_t from = start(size, true);
	struct pages pages = PAGES_NONE, again = PAGES_NONE;
	size_t count = size / PAGE_BYTES;
	ck_ok(read_pages(from, &pages));
	end(from);
	ck_assert_uint_eq(pages.count, count - 2);
	ck_assert_uint_eq(pages.run_count, 3);
	ck_assert_uint_eq(first_word(&pages, 1), 2);
	ck_assert_uint_eq(first_word(&pages, count - 3), count - 1);
	pid_t to = start(size, false);
	ck_ok(pages_write(to, (uint64_t)(uintptr_t)memory, &pages, &error));
	ck_assert_uint_gt(calls, 2);
	ck_ok(read_pages(to, &again));
	end(to);
	ck_assert_uint_eq(again.count, count - 2);
	for (size_t i = 0; i < again.count;
		i += i < 4 || i + 8 > again.count ? 1 : again.count / 64)
		ck_assert_uint_eq(first_word(&again, i), first_word(&pages, i));
	pages_done(&pages);
	pages_done(&again);
}

START_TEST(pages_are_moved_whole_however_little_one_call_moves)
{
	static const size_t limits[] = { 3 * MIB, MIB + PAGE_BYTES, 100 * PAGE_BYTES };
	at_most = limits[_i];
	there_and_back(8 * MIB);
}
END_TEST

START_TEST(more_than_two_gibibytes_of_private_pages_are_moved)
{
	const char *is_long = getenv("NOVA_TEST_LONG");
	if (is_long && *is_long)
		there_and_back((size_t)2304 * MIB);
}
END_TEST

/* --- as files --- */

static uint64_t kept(int fd)
{
	struct stat st;
	ck_assert_int_eq(sys_fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

START_TEST(a_copy_is_as_sparse_as_its_source_which_stays_so)
{
	AUTO_FD int from = sys_memfd("from"), to = sys_memfd("to");
	char found[4];
	uint64_t size = 64 * MIB + 10;
	ck_assert_int_eq(sys_truncate(from, size), 0);
	ck_assert_int_eq(sys_pwrite_all(from, "late", 4, 40 * MIB + 4094), 0); /* in two pages */
	ck_assert_int_eq(sys_pwrite_all(from, "last", 4, size - 4), 0);
	uint64_t before = kept(from);
	ck_assert_uint_lt(before, 8 * MIB); /* huge pages, where a host has them there */
	ck_assert_int_eq(sys_copy_sparse(from, to, size), 0);
	ck_assert_uint_eq(kept(from), before);
	ck_assert_uint_le(kept(to), before);
	ck_assert_int_eq(sys_pread_all(to, found, 4, 40 * MIB + 4094), 0);
	ck_assert_mem_eq(found, "late", 4);
	ck_assert_int_eq(sys_pread_all(to, found, 4, size - 4), 0);
	ck_assert_mem_eq(found, "last", 4);
}
END_TEST

START_TEST(what_fails_in_the_middle_is_told_with_its_own_reason)
{
	struct pages pages = PAGES_NONE;
	pid_t pid = start(4 * MIB, true);
	at_most = MIB;
	fails_at = 3;
	ck_assert_int_eq(read_pages(pid, &pages), NOVA_EIO);
	ck_assert_int_eq(nova_error_os(error), EFAULT);
	ck_assert_ptr_null(strstr(nova_error_message(error), "right to trace"));
	nova_error_free(error);
	error = NULL;
	ck_assert_int_eq(pages.fd, -1);
	end(pid);
}
END_TEST

/* --- inside of pages --- */

#define REFINED 8u /* pages; what of them is another than in the base: */

static const struct {
	size_t from, to;
} others[] = {
	{ PAGE_BYTES + 7, PAGE_BYTES + 8 },         /* one byte */
	{ PAGE_BYTES + 300, PAGE_BYTES + 301 },     /* another, too far from it for one run */
	{ PAGE_BYTES + 400, PAGE_BYTES + 410 },     /* and one that is near enough */
	{ 2 * PAGE_BYTES - 1, 2 * PAGE_BYTES + 1 }, /* on both sides of a border */
	{ 4 * PAGE_BYTES, 5 * PAGE_BYTES },         /* all of a page */
	{ 8 * PAGE_BYTES - 16, 8 * PAGE_BYTES },    /* the end */
};

/* A base, and all of its pages as a clone may have them. */
static int refined(uint8_t *want, struct pages *ret)
{
	int base = sys_memfd("base");
	size_t cap = 0;
	ck_assert_int_eq(random_bytes(want, REFINED * PAGE_BYTES), 0);
	ck_assert_int_eq(sys_pwrite_all(base, want, REFINED * PAGE_BYTES, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		for (size_t at = others[i].from; at < others[i].to; at++)
			want[at] ^= 0xff;
	*ret = (struct pages)PAGES_NONE;
	ret->fd = sys_memfd("pages");
	ret->offset = PAGE_BYTES;
	ck_assert_int_eq(sys_pwrite_all(ret->fd, want, REFINED * PAGE_BYTES, PAGE_BYTES), 0);
	for (uint32_t i = 0; i < REFINED; i++)
		ck_assert_int_eq(pages_add(ret, &cap, i), 0);
	ck_ok(pages_refine(ret, base, &error));
	return base;
}

static void ck_memory(int fd, const uint8_t *want)
{
	static uint8_t got[REFINED * PAGE_BYTES];
	ck_assert_int_eq(sys_pread_all(fd, got, sizeof(got), 0), 0);
	ck_assert_mem_eq(got, want, sizeof(got));
}

START_TEST(of_pages_that_differ_in_a_few_bytes_these_are_kept)
{
	static uint8_t want[REFINED * PAGE_BYTES];
	CLEANUP(pages_done) struct pages pages;
	AUTO_FD int base = refined(want, &pages);
	ck_assert_uint_eq(pages.run_count, 5);
	ck_assert_uint_eq(pages.runs[0].first, (PAGE_BYTES + 7) / 16);
	ck_assert_uint_eq(pages.runs[1].first, (PAGE_BYTES + 300) / 16);
	ck_assert_uint_eq(pages.runs[1].count, 8);
	ck_assert_uint_eq(pages.runs[2].count, 2);
	ck_assert_uint_eq(pages_bytes(&pages), 16 + 8 * 16 + 2 * 16 + PAGE_BYTES + 16);
	ck_assert_uint_le(kept(pages.fd), 2 * PAGE_BYTES);
	ck_ok(pages_refine(&pages, base, &error)); /* nothing is lost by doing it again */
	ck_assert_uint_eq(pages.run_count, 5);
	ck_assert_int_eq(pages_lay_over(&pages, base), 0);
	ck_memory(base, want);
}
END_TEST

/* As a VMM gets them that has mapped the base, and as one that takes a whole file. */
START_TEST(parts_of_pages_come_to_where_they_were)
{
	static uint8_t want[REFINED * PAGE_BYTES];
	CLEANUP(pages_done) struct pages pages;
	CLEANUP(pages_done) struct pages copy;
	AUTO_FD int base = refined(want, &pages);
	pid_t pid = start(REFINED * PAGE_BYTES, true);
	struct iovec remote = { memory, sizeof(want) };
	static uint8_t got[sizeof(want)], before[sizeof(want)];
	ck_assert_int_eq(sys_pread_all(base, before, sizeof(before), 0), 0);
	ck_assert_int_eq(sys_process_memory_all(pid, before, sizeof(before), &remote, 1, false), 0);
	ck_ok(pages_copy(&pages, &copy, &error));
	ck_ok(pages_write(pid, (uint64_t)(uintptr_t)memory, &copy, &error));
	remote = (struct iovec){ memory, sizeof(want) };
	ck_assert_int_eq(sys_process_memory_all(pid, got, sizeof(got), &remote, 1, true), 0);
	ck_assert_mem_eq(got, want, sizeof(want));
	end(pid);
}
END_TEST

START_TEST(a_copy_of_pages_that_finds_no_descriptor_says_so)
{
	static uint8_t want[REFINED * PAGE_BYTES];
	CLEANUP(pages_done) struct pages pages;
	struct pages copy = PAGES_NONE;
	struct rlimit before;
	AUTO_FD int base = refined(want, &pages);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	AUTO_FD int last = sys_dup(base); /* the first that was free */
	const struct rlimit none = { (rlim_t)last + 1, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	int code = pages_copy(&pages, &copy, &error);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(nova_error_os(error), EMFILE);
	ck_fails(NOVA_EIO, code);
	ck_assert(copy.fd < 0 && !copy.count);
}
END_TEST

/* What was written since, as whole pages: before, in the middle of, and behind what was there. */
START_TEST(newer_pages_replace_the_parts_that_were_there)
{
	static uint8_t want[REFINED * PAGE_BYTES];
	CLEANUP(pages_done) struct pages pages;
	AUTO_FD int base = refined(want, &pages), newer = sys_memfd("newer");
	static const size_t written[] = { 0, 2, 7 };
	ck_assert_int_eq(sys_truncate(newer, sizeof(want)), 0);
	for (size_t i = 0; i < ARRAY_LEN(written); i++) {
		uint8_t *page = want + written[i] * PAGE_BYTES;
		memset(page, (int)i + 1, PAGE_BYTES);
		ck_assert_int_eq(
			sys_pwrite_all(newer, page, PAGE_BYTES, written[i] * PAGE_BYTES), 0);
	}
	ck_ok(pages_update(&pages, newer, sizeof(want), &error));
	ck_assert_uint_eq(pages.fine, PAGES_FINEST);
	ck_assert_int_eq(pages_lay_over(&pages, base), 0);
	ck_memory(base, want);
}
END_TEST

START_TEST(a_base_that_is_cut_off_is_an_error)
{
	uint8_t page[PAGE_BYTES] = { 1 };
	struct pages pages = PAGES_NONE;
	AUTO_FD int base = sys_memfd("base");
	size_t cap = 0;
	pages.fd = sys_memfd("pages");
	ck_assert_int_eq(sys_pwrite_all(pages.fd, page, sizeof(page), 0), 0);
	ck_assert_int_eq(pages_add(&pages, &cap, 3), 0);
	ck_assert_int_lt(pages_refine(&pages, base, &error), 0);
	ck_assert_str_ne(nova_error_message(error), "");
	nova_error_free(error);
	error = NULL;
	ck_assert(!pages.fine && pages.count == 1);
	pages_done(&pages);
}
END_TEST

static Suite *pages_suite(void)
{
	Suite *suite = suite_create("pages");
	TCase *tc = tcase_create("pages");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, pages_are_moved_whole_however_little_one_call_moves, 0, 3);
	tcase_add_test(tc, more_than_two_gibibytes_of_private_pages_are_moved);
	tcase_add_test(tc, what_fails_in_the_middle_is_told_with_its_own_reason);
	tcase_add_test(tc, a_copy_is_as_sparse_as_its_source_which_stays_so);
	tcase_add_test(tc, of_pages_that_differ_in_a_few_bytes_these_are_kept);
	tcase_add_test(tc, parts_of_pages_come_to_where_they_were);
	tcase_add_test(tc, a_copy_of_pages_that_finds_no_descriptor_says_so);
	tcase_add_test(tc, newer_pages_replace_the_parts_that_were_there);
	tcase_add_test(tc, a_base_that_is_cut_off_is_an_error);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(pages_suite)
