/* SPDX-License-Identifier: MIT */
/* The pool's ticks: a thread of their own makes them, since one may start VMs and take seconds. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "serve.h"

#define TICK_MS     1000 /* how long a change of the store may go unnoticed */
#define TICK_MIN_MS 5    /* between two ticks, whatever the pool says */

struct ticker {
	pthread_t thread;
	nova_pool_t *pool;
	int stop; /* eventfd */
};

/* The pool says when something is due; it does not hear of what other processes do to the store. */
static void *tick_until_stopped(void *userdata)
{
	struct ticker *ticker = userdata;
	int due = nova_pool_fd(ticker->pool);
	struct pollfd fds[] = { { ticker->stop, POLLIN, 0 }, { due < 0 ? -1 : due, POLLIN, 0 } };
	do {
		int64_t next = nova_pool_tick(ticker->pool);
		int wait = next < 0 || next > TICK_MS ? TICK_MS : (int)next;
		poll(fds, 1, TICK_MIN_MS);
		if (!fds[0].revents && wait > TICK_MIN_MS)
			poll(fds, ARRAY_LEN(fds), wait - TICK_MIN_MS);
	} while (!fds[0].revents);
	return NULL;
}

struct ticker *ticker_start(nova_t *nova)
{
	struct ticker *ticker = need(calloc(1, sizeof(*ticker)));
	ticker->pool = nova_pool_get(nova);
	ticker->stop = eventfd(0, EFD_CLOEXEC);
	if (ticker->stop >= 0 &&
		pthread_create(&ticker->thread, NULL, tick_until_stopped, ticker) == 0)
		return ticker;
	if (ticker->stop >= 0)
		close(ticker->stop);
	free(ticker);
	return NULL;
}

void ticker_stop(struct ticker *ticker)
{
	if (!ticker)
		return;
	eventfd_write(ticker->stop, 1);
	pthread_join(ticker->thread, NULL);
	close(ticker->stop);
	free(ticker);
}
