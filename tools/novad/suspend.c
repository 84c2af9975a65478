/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait. libmicrohttpd does not look at their sockets then, so that the end of the
 * client is watched for here.
 */
#include <sys/epoll.h>

#include "http.h"

void exchange_resume(struct exchange *x)
{
	if (!x->suspended)
		return;
	x->suspended = false;
	watch_end(x->hang_up);
	x->hang_up = NULL;
	x->client->endpoint->pending = true;
	MHD_resume_connection(x->connection);
}

static void on_hang_up(void *userdata, uint32_t events)
{
	(void)events;
	struct exchange *x = userdata;
	if (x->kept) {                 /* who asks again gets its answer */
		watch_end(x->hang_up); /* EPOLLHUP and EPOLLERR would come without end */
		x->hang_up = NULL;
		return;
	}
	x->gone = true;
	x->novad->counters[COUNTER_ABANDONED]++;
	if (x->job)
		job_abandon(x->job);
	x->job = NULL;
	exchange_resume(x);
}

bool exchange_suspend(struct exchange *x)
{
	x->hang_up =
		loop_watch(server_loop(x->novad->server), x->client->fd, EPOLLRDHUP, on_hang_up, x);
	if (!x->hang_up)
		return false;
	x->suspended = true;
	x->client->deadline = -1;
	MHD_suspend_connection(x->connection);
	return true;
}
