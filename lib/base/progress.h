/* SPDX-License-Identifier: MIT */
/* Whom a caller wants to be told what is being done, where that takes its time. */
#ifndef NOVA_LIB_BASE_PROGRESS_H
#define NOVA_LIB_BASE_PROGRESS_H

#include <nova/base.h>

struct progress {
	nova_progress_fn fn; /* NULL: nobody */
	void *userdata;
};
static inline void progress_tell(const struct progress *progress, const char *what)
{
	if (progress->fn)
		progress->fn(progress->userdata, what);
}

#endif
