/* SPDX-License-Identifier: MIT */
/* The poll loop. What to watch is asked anew each turn: there are few descriptors, and nothing can
 * be forgotten. */
#include "agent/io/io.h"

void loop_begin(struct loop *loop)
{
	loop->watched = 0;
}

void loop_watch(
	struct loop *loop, const int *fd, short events, watch_fn fn, void *owner, void *what)
{
	if (*fd < 0 || loop->watched == MAX_WATCHES)
		return;
	loop->fds[loop->watched] = (struct pollfd){ *fd, events, 0 };
	loop->watches[loop->watched++] = (struct watch){ fn, owner, what, fd };
}

bool loop_turn(struct loop *loop, int timeout_ms)
{
	if (sys_poll(loop->fds, loop->watched, timeout_ms) < 0)
		return false;
	for (nfds_t i = 0; i < loop->watched && !loop->done; i++) {
		struct watch *watch = &loop->watches[i];
		if (loop->fds[i].revents && *watch->fd == loop->fds[i].fd)
			watch->fn(watch->owner, watch->what, loop->fds[i].revents);
	}
	return true;
}
