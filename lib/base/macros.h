/* SPDX-License-Identifier: MIT */
/* What the language lacks: sizes of arrays, locals that clean themselves, hand-over. */
#ifndef NOVA_LIB_BASE_MACROS_H
#define NOVA_LIB_BASE_MACROS_H

#include <stdlib.h>

#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn)       __attribute__((cleanup(fn), unused))
/* For functions of a child that shares its parent's memory: they never return, and what a sanitizer
 * notes of them is not undone. */
#define IN_VFORK __attribute__((no_sanitize("thread", "address")))
/* Takes the value out of an owning variable and leaves it empty: marks every hand-over. */
#define STEAL(p)                                                                                   \
	(__extension__({                                                                           \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	}))
#define STEAL_FD(fd)                                                                               \
	(__extension__({                                                                           \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	}))

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define AUTO_FREE CLEANUP(freep)

#endif
