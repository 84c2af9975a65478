/* SPDX-License-Identifier: MIT */
/* Memory for what nobody else may see: it is in no core dump, in no child of fork(), not on the
 * swap if the limits allow that, and it is wiped before it goes. */
#ifndef NOVA_LIB_BASE_GUARDED_H
#define NOVA_LIB_BASE_GUARDED_H

#include <stddef.h>

#include "base/macros.h"

/* Zeros; NULL: out of memory. Takes whole pages, so it is for few things. */
void *guarded_alloc(size_t size);
void guarded_free(void *at); /* NULL is accepted */
static inline void guarded_freep(void *p)
{
	guarded_free(*(void **)p);
}
#define AUTO_GUARDED CLEANUP(guarded_freep)

#endif
