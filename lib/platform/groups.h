/* SPDX-License-Identifier: MIT */
/*
 * Private to the room: whose turn it is in a queue. Calls of one group keep their order, and groups
 * take turns: those that have no call under way first. Whoever has the queue has its lock.
 */
#ifndef NOVA_LIB_PLATFORM_GROUPS_H
#define NOVA_LIB_PLATFORM_GROUPS_H

#include <nova/vm.h>

#include "base/list.h"
#include "base/table.h"

/* A member of the call that waits. All zero: it does not. */
struct turn {
	struct link link; /* in its group */
	struct group_of_calls *group;
	bool alone; /* in its group: begins when those before it are over, and the others wait for
		       it */
};

struct groups {
	struct table by_key;
	/* those that have a call to begin, without and with others under way; and those whose calls
	 * have to wait for these */
	struct link fresh, busy, blocked;
	uint32_t waiting; /* calls */
};
int groups_init(struct groups *groups); /* 0 or -ENOMEM */
void groups_done(struct groups *groups);
/* Of a group in a VM no more calls are under way than can be inside that; NULL: any number. The
 * caller keeps the VM as long as the call is in the group. 0 or -ENOMEM. */
int groups_add(struct groups *groups, struct turn *turn, const char *key, nova_vm_t *vm);
/* The next call to begin, or NULL; which stays where it is. `fresh_only`: of a group that has none
 * under way. */
struct turn *groups_next(const struct groups *groups, bool fresh_only);
/* Any call that waits, or NULL. */
struct turn *groups_any(const struct groups *groups);
void groups_begin(struct groups *groups, struct turn *turn);
/* A call goes: one that waits, and one that was begun. */
void groups_leave(struct groups *groups, struct turn *turn);
void groups_end(struct groups *groups, struct turn *turn);

#endif
