/* SPDX-License-Identifier: MIT */
/* Inside base only: a system call that is made again as long as a signal interrupts it. */
#ifndef NOVA_LIB_BASE_RETRY_H
#define NOVA_LIB_BASE_RETRY_H

#include <errno.h>

/* its result, or -errno */
#define RETRY(expr)                                                                                \
	(__extension__({                                                                           \
		__typeof__(expr) r_;                                                               \
		do                                                                                 \
			r_ = (expr);                                                               \
		while (r_ < 0 && errno == EINTR);                                                  \
		r_ < 0 ? -errno : r_;                                                              \
	}))

#endif
