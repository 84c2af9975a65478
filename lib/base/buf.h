/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a maximum from its birth. */
#ifndef NOVA_LIB_BASE_BUF_H
#define NOVA_LIB_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct buf {
	uint8_t *data;
	size_t len, cap, max;
};
#define BUF_INIT(maximum) ((struct buf){ NULL, 0, 0, (maximum) })

/* 0; -ENOMEM; -EMSGSIZE when the maximum would be passed (nothing is then appended). */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *text);
/* Makes room for `len` more bytes and returns where to write them, or NULL; then add to b->len. */
uint8_t *buf_reserve(struct buf *b, size_t len);
/* Drops the first `len` bytes. */
void buf_consume(struct buf *b, size_t len);
void buf_reset(struct buf *b); /* empty, memory kept */
void buf_free(struct buf *b);
/* The content as a NUL-terminated string that the caller frees; the buffer is then empty. NULL: out
 * of memory. */
char *buf_steal_str(struct buf *b);
#define AUTO_BUF CLEANUP(buf_free)

#endif
