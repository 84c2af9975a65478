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
	ck_assert_uint_eq(pages.page_count, count - 2);
	ck_assert_uint_eq(pages.run_count, 3);
	ck_assert_uint_eq(first_word(&pages, 1), 2);
	ck_assert_uint_eq(first_word(&pages, count - 3), count - 1);
	pid_t to = start(size, false);
	ck_ok(pages_write(to, (uint64_t)(uintptr_t)memory, &pages, &error));
	ck_assert_uint_gt(calls, 2);
	ck_ok(read_pages(to, &again));
	end(to);
	ck_assert_uint_eq(again.page_count, count - 2);
	for (size_t i = 0; i < again.page_count;
		i += i < 4 || i + 8 > again.page_count ? 1 : again.page_count / 64)
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

static Suite *pages_suite(void)
{
	Suite *suite = suite_create("pages");
	TCase *tc = tcase_create("pages");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, pages_are_moved_whole_however_little_one_call_moves, 0, 3);
	tcase_add_test(tc, more_than_two_gibibytes_of_private_pages_are_moved);
	tcase_add_test(tc, what_fails_in_the_middle_is_told_with_its_own_reason);
	tcase_add_test(tc, a_copy_is_as_sparse_as_its_source_which_stays_so);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(pages_suite)
