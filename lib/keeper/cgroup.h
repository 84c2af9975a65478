/* SPDX-License-Identifier: MIT */
/* Memory limits of children, where control groups can be made by this user; elsewhere there is
 * none. And the limits that this process is under itself. */
#ifndef NOVA_LIB_KEEPER_CGROUP_H
#define NOVA_LIB_KEEPER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Puts a process into a group of its own with that limit; true: the limit is in force. 0 bytes:
 * nothing is done. */
bool cgroup_limit(pid_t pid, uint64_t bytes);
/* From now on the group of a process may take so much more than it has. What a child took before it
 * had a group of its own stays on the account of its parent's, for as long as the child lives: a
 * parent of many would be ended for their memory. */
void cgroup_limit_anew(pid_t pid, uint64_t bytes);
/* Removes the group of a process that has been reaped. False: another is in it yet, as a zygote's
 * children are at first. */
bool cgroup_forget(pid_t pid);
/* Removes such groups. False: in some of them there is somebody yet. */
bool cgroup_forget_gone(void);
/* Removes the groups that keepers which were killed have left beside ours. */
void cgroup_sweep(void);
/* What the limits of the control groups that this process is in still allow, and the least of their
 * memory limits: bytes and processes. UINT64_MAX: there is none. */
struct cgroup_room {
	uint64_t memory_limit, memory, processes;
};
void cgroup_room(struct cgroup_room *ret);
/* Why no limit can be set here; NULL: it can. Static text. */
const char *cgroup_obstacle(void);

#endif
