/* SPDX-License-Identifier: MIT */
/* Processes. */
#ifndef NOVA_LIB_BASE_SYS_PROCESS_H
#define NOVA_LIB_BASE_SYS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

size_t sys_processors(void);              /* that this thread may run on; at least 1 */
int sys_pidfd_open(int64_t pid);          /* of a process that is no child of ours, too */
int sys_pidfd_signal(int pidfd, int sig); /* -ENOSYS before Linux 5.1, and under valgrind */
int sys_process_cpu_us(int64_t pid, uint64_t *ret_us); /* of all its threads */
/* Copies all between one local buffer and places in another process, which together are `len` bytes
 * long; `remote` is used up. */
int sys_process_memory_all(
	int64_t pid, void *local, size_t len, struct iovec *remote, size_t count, bool out);

#endif
