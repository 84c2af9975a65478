/* SPDX-License-Identifier: MIT */
/* In a child: descriptors of its own, under the numbers of its parent's. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "zygote/descriptors.h"
#include "zygote/raw.h"

#define FILE_FLAGS (O_NONBLOCK | O_APPEND) /* what fcntl(2) sets of them here */

/* Takes `fd`; 0 or a negative errno. */
static long place(long fd, const struct descriptor *d)
{
	if (fd < 0)
		return fd;
	long r = raw(SYS_dup3, fd, d->fd, d->flags & O_CLOEXEC);
	raw_close((int)fd);
	return r < 0 ? r : 0;
}

static long make(const struct descriptor *d)
{
	int flags = d->flags & O_NONBLOCK;
	switch (d->kind) {
	case DESCRIPTOR_EVENT:
		if (d->event.semaphore)
			flags |= EFD_SEMAPHORE;
		return raw(SYS_eventfd2, 0, flags, 0);
	case DESCRIPTOR_EPOLL:
		return raw(SYS_epoll_create1, 0, 0, 0);
	case DESCRIPTOR_TIMER:
		return raw(SYS_timerfd_create, d->timer.clock, flags, 0);
	case DESCRIPTOR_SIGNAL:
		return raw6(SYS_signalfd4, -1, (long)&d->signals, sizeof(d->signals), flags, 0);
	case DESCRIPTOR_SUCCEEDED:
		break;
	}
	return raw(SYS_eventfd2, 0, 0, 0); /* keeps the number, and nothing else */
}

static long renew(const struct descriptor *d)
{
	if (d->same) {
		long r = raw(SYS_dup3, d->same->fd, d->fd, d->flags & O_CLOEXEC);
		return r < 0 ? r : 0;
	}
	long r = place(make(d), d);
	if (r == 0 && d->kind == DESCRIPTOR_EVENT && d->event.count)
		r = raw(SYS_write, d->fd, (long)&d->event.count, sizeof(d->event.count));
	return r < 0 ? r : 0;
}

int descriptors_renew(const struct descriptors *all, struct reason *reason)
{
	for (const struct descriptor *d = all->list; d < all->list + all->count; d++) {
		long r = renew(d);
		if (r < 0)
			return refuse(reason, "descriptor %d could not be made anew (errno %d)",
				d->fd, (int)-r);
	}
	return 0;
}

/* --- at birth --- */

static const struct descriptor *find(const struct descriptors *all, int fd)
{
	for (const struct descriptor *d = all->list; d < all->list + all->count; d++)
		if (d->fd == fd)
			return d;
	return NULL;
}

/* The successor is what the parent's descriptor was: closed by execve(2) or not, waiting or not.
 * Its number has been kept for it, so `fd` is another. */
static long succeed(const struct descriptors *all, int target, int fd)
{
	const struct descriptor *d = find(all, target);
	if (!d)
		return -EBADF;
	long r = raw(SYS_dup3, fd, target, d->flags & O_CLOEXEC);
	if (r >= 0 && d->flags & FILE_FLAGS)
		r = raw_fcntl(
			target, F_SETFL, raw_fcntl(target, F_GETFL, 0) | (d->flags & FILE_FLAGS));
	return r;
}

static void add(struct timespec *time, const struct timespec *more)
{
	time->tv_sec += more->tv_sec;
	time->tv_nsec += more->tv_nsec;
	if (time->tv_nsec >= 1000000000) {
		time->tv_sec++;
		time->tv_nsec -= 1000000000;
	}
}

/* Its time has stood still since the fork, unless it is one of the clock. One that has expired, and
 * nobody has looked, does so again at once, before anyone can look: the kernel counts further
 * periods only when it is read. */
static long start_timer(const struct descriptor *d)
{
	struct timespec now = { 0 }, patience = { 1, 0 };
	struct itimerspec timer = {
		.it_value = { (time_t)d->timer.left[0], (long)d->timer.left[1] },
		.it_interval = { (time_t)d->timer.interval[0], (long)d->timer.interval[1] },
	};
	if (d->timer.ticks)
		timer.it_value = (struct timespec){ 0, 1 };
	bool runs = timer.it_value.tv_sec || timer.it_value.tv_nsec;
	if (runs && d->timer.flags & TFD_TIMER_ABSTIME) {
		raw(SYS_clock_gettime, d->timer.clock, (long)&now, 0);
		add(&timer.it_value, &now);
	}
	long r = raw6(SYS_timerfd_settime, d->fd, d->timer.flags, (long)&timer, 0, 0);
	struct pollfd p = { d->fd, POLLIN, 0 };
	if (r == 0 && d->timer.ticks)
		r = raw6(SYS_ppoll, (long)&p, 1, (long)&patience, 0, 0) == 1 ? 0 : -ETIME;
	return r;
}

static int start_timers(const struct descriptors *all, struct reason *reason)
{
	for (const struct descriptor *d = all->list; d < all->list + all->count; d++) {
		long r = d->kind == DESCRIPTOR_TIMER && !d->same ? start_timer(d) : 0;
		if (r < 0)
			return refuse(reason, "timerfd %d could not be started (errno %d)", d->fd,
				(int)-r);
	}
	return 0;
}

static int fill_sets(const struct descriptors *all, struct reason *reason)
{
	for (const struct watch *w = all->watches; w < all->watches + all->watch_count; w++) {
		struct epoll_event event = { .events = w->events, .data.u64 = w->data };
		long r = raw6(SYS_epoll_ctl, w->set, EPOLL_CTL_ADD, w->fd, (long)&event, 0);
		if (r < 0 && r != -EEXIST) /* a set that has two numbers */
			return refuse(reason, "epoll set %d could not be filled with %d (errno %d)",
				w->set, w->fd, (int)-r);
	}
	return 0;
}

int descriptors_succeed(const struct descriptors *all, const int32_t *targets, int *fds,
	size_t count, struct reason *reason)
{
	int r = 0;
	for (size_t i = 0; i < count; i++) {
		long done = r == 0 ? succeed(all, targets[i], fds[i]) : 0;
		if (done < 0)
			r = refuse(reason, "descriptor %d could not be given (errno %d)",
				targets[i], (int)-done);
		raw_close(fds[i]);
		fds[i] = -1;
	}
	if (r == 0)
		r = start_timers(all, reason);
	return r == 0 ? fill_sets(all, reason) : r;
}
