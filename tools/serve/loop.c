/* SPDX-License-Identifier: MIT */
/* Waiting for descriptors, by epoll(7). */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "serve.h"

#define EVENTS      64 /* of one step; others come with the next */
#define WAIT_MAX_MS 60000

struct watch {
	struct loop *loop;
	struct watch *next_ended;
	int fd; /* -1: it has ended */
	uint32_t events;
	void (*ready)(void *userdata, uint32_t events);
	void *userdata;
};

struct loop {
	int epoll;
	struct watch *ended; /* to be freed when the step is over, which may still know them */
};

struct loop *loop_new(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return NULL;
	struct loop *loop = need(calloc(1, sizeof(*loop)));
	loop->epoll = epoll;
	return loop;
}

static void free_ended(struct loop *loop)
{
	for (struct watch *watch; (watch = loop->ended) != NULL;) {
		loop->ended = watch->next_ended;
		free(watch);
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	free_ended(loop);
	close(loop->epoll);
	free(loop);
}

struct watch *loop_watch(struct loop *loop, int fd, uint32_t events,
	void (*ready)(void *userdata, uint32_t events), void *userdata)
{
	struct watch *watch = need(calloc(1, sizeof(*watch)));
	*watch = (struct watch){ loop, NULL, fd, events, ready, userdata };
	struct epoll_event event = { .events = events, .data.ptr = watch };
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return watch;
	free(watch);
	return NULL;
}

void watch_for(struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };
	if (watch->events == events)
		return;
	watch->events = events;
	epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void watch_end(struct watch *watch)
{
	if (!watch)
		return;
	epoll_ctl(watch->loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
	watch->next_ended = watch->loop->ended;
	watch->loop->ended = watch;
}

static int wait_ms(int64_t deadline)
{
	int64_t left = deadline - now_ms();
	return deadline < 0 ? -1 : left < 0 ? 0 : left > WAIT_MAX_MS ? WAIT_MAX_MS : (int)left;
}

void loop_step(struct loop *loop, int64_t deadline)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(loop->epoll, events, EVENTS, wait_ms(deadline));
	for (int i = 0; i < count; i++) {
		const struct watch *watch = events[i].data.ptr;
		if (watch->fd >= 0)
			watch->ready(watch->userdata, events[i].events);
	}
	free_ended(loop);
}
