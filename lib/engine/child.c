/* SPDX-License-Identifier: MIT */
#include "engine/child.h"

static const struct process *process_of(const struct machine *m)
{
	return &((const struct child_machine *)m)->process;
}

void child_kill(struct machine *m)
{
	process_kill(process_of(m));
}

int child_end_fd(const struct machine *m)
{
	return process_of(m)->pid ? process_of(m)->pidfd : -1;
}

void child_end(struct machine *m)
{
	process_done(&child_of(m)->process, NULL);
}

int64_t child_pid(const struct machine *m)
{
	return process_of(m)->pid;
}
