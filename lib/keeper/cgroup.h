/* SPDX-License-Identifier: MIT */
/* Memory limits for the keeper's children, where the host lets us make control groups. */
#ifndef NOVA_LIB_KEEPER_CGROUP_H
#define NOVA_LIB_KEEPER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Puts the process into a group of its own with that limit; false where that is not possible (no rights, no
 * memory controller). 0 bytes: does nothing. */
bool cgroup_limit(pid_t pid, uint64_t bytes);

/* Removes the group of a process that has been reaped. */
void cgroup_forget(pid_t pid);

/* Removes the groups that keepers have left which were killed. */
void cgroup_sweep(void);

#endif
