/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/mman.h>

#include "base/guarded.h"

/* Before what is handed out, so that this is aligned for anything. */
union head {
	size_t size; /* of all */
	max_align_t align;
};

void *guarded_alloc(size_t size)
{
	size_t whole;
	if (__builtin_add_overflow(size, sizeof(union head), &whole))
		return NULL;
	union head *head =
		mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (head == MAP_FAILED)
		return NULL;
	if (madvise(head, whole, MADV_DONTDUMP) < 0 || madvise(head, whole, MADV_WIPEONFORK) < 0) {
		munmap(head, whole);
		return NULL;
	}
	mlock(head, whole); /* without the right to, it may be swapped */
	head->size = whole;
	return head + 1;
}

void guarded_free(void *at)
{
	if (!at)
		return;
	union head *head = (union head *)at - 1;
	size_t whole = head->size;
	explicit_bzero(head, whole);
	munmap(head, whole);
}
