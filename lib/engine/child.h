/* SPDX-License-Identifier: MIT */
/* Machines that are children of the keeper: what their engines have in common. */
#ifndef NOVA_LIB_ENGINE_CHILD_H
#define NOVA_LIB_ENGINE_CHILD_H

#include "engine/engine.h"
#include "keeper/keeper.h"

/* The first member of their structs. */
struct child_machine {
	struct machine machine;
	struct process process; /* what it has open ends with it */
};
static inline struct child_machine *child_of(struct machine *m)
{
	return (struct child_machine *)m; /* its first member */
}

/* Operations for the engine's table. */
void child_kill(struct machine *m);
int child_end_fd(const struct machine *m);
void child_end(struct machine *m);
int64_t child_pid(const struct machine *m);

#endif
