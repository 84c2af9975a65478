/* SPDX-License-Identifier: MIT */
/*
 * Locks that know who holds them by the number of a thread: recursive, error-checking, robust and
 * priority-inheriting mutexes, and read-write locks held for writing. In a child the threads have
 * other numbers, so such a lock could never be opened again. Their holders are counted.
 */
#ifndef NOVA_LIB_ZYGOTE_LOCKS_H
#define NOVA_LIB_ZYGOTE_LOCKS_H

#include <stdint.h>

/* How many the calling thread holds. */
uint32_t locks_held(void);

#endif
