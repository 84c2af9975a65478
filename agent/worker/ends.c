/* SPDX-License-Identifier: MIT */
/* The pipes and the socket of a call. */
#include <sys/socket.h>

#include "agent/worker/worker.h"

int ends_make(struct ends *ours, int theirs[3])
{
	int talk[2];
	int r = pipe_from(&ours->output[0], &theirs[0]);
	if (r == 0)
		r = pipe_from(&ours->output[1], &theirs[1]);
	if (r == 0)
		r = sys_socketpair(SOCK_SEQPACKET, talk);
	if (r < 0)
		return r;
	ours->talk = talk[0];
	theirs[2] = talk[1];
	return sys_set_nonblock(ours->talk, true);
}

void ends_close(struct ends *ours)
{
	close_fd(&ours->talk);
	close_fd(&ours->output[0]);
	close_fd(&ours->output[1]);
}
