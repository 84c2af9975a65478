/* SPDX-License-Identifier: MIT */
/* Files with holes, and the blocks that files share. */
#ifndef NOVA_LIB_BASE_SYS_SPARSE_H
#define NOVA_LIB_BASE_SYS_SPARSE_H

#include <stdint.h>

/* Where data, or a hole, begins at or after `from`; -ENXIO: nowhere. */
int64_t sys_next_data(int fd, uint64_t from);
int64_t sys_next_hole(int fd, uint64_t from);
/* Writes what is not zero, in pages of 4096: the rest stays a hole. `len` is a multiple of that. */
int sys_pwrite_sparse(int fd, const uint8_t *data, uint64_t len, uint64_t offset);
/* All of a file, without filling holes of either: a mapping would fill those of a memfd. */
int sys_copy_sparse(int from, int to, uint64_t size);
int sys_clone_file(int from, int to); /* shares the blocks, where the file system can */

#endif
