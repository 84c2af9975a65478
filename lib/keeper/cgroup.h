/* SPDX-License-Identifier: MIT */
/* Memory limits of children, where control groups can be made by this user; elsewhere there is
 * none. */
#ifndef NOVA_LIB_KEEPER_CGROUP_H
#define NOVA_LIB_KEEPER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Puts a process into a group of its own with that limit; true: the limit is in force. 0 bytes:
 * nothing is done. */
bool cgroup_limit(pid_t pid, uint64_t bytes);
/* Removes the group of a process that has been reaped. */
void cgroup_forget(pid_t pid);
/* Removes the groups that keepers which were killed have left beside ours. */
void cgroup_sweep(void);
/* Why no limit can be set here; NULL: it can. Static text. */
const char *cgroup_obstacle(void);

#endif
