/* SPDX-License-Identifier: MIT */
/* What the descriptors of the process are, from /proc. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "zygote/descriptors.h"
#include "zygote/next.h"
#include "zygote/proc.h"
#include "zygote/raw.h"

#define ARMED (EPOLLERR | EPOLLHUP) /* of a watch that waits, always */

/* One descriptor that is looked at. */
struct look {
	int fd, flags;
	uint64_t position;
	char link[256];
	char info[PROC_TEXT];
};

/* --- eventfds --- */

static atomic_bool semaphore_made;

/* Linux before 6.5 does not tell what is a semaphore, so it is noted whether there may be one. */
INTERPOSED int eventfd(unsigned count, int flags)
{
	static void *_Atomic known;
	int (*next)(unsigned, int) = (int (*)(unsigned, int))next_function(&known, "eventfd", NULL);
	if (flags & EFD_SEMAPHORE)
		semaphore_made = true;
	return next(count, flags);
}

static int note_event(const struct look *look, struct descriptor *d, struct reason *reason)
{
	const char *count = proc_field(look->info, "eventfd-count");
	const char *semaphore = proc_field(look->info, "eventfd-semaphore");
	if (!count || (!semaphore && semaphore_made))
		return refuse(
			reason, "this kernel does not tell the state of eventfd %d", look->fd);
	d->kind = DESCRIPTOR_EVENT;
	d->event.count = proc_number(count, 16);
	d->event.semaphore = proc_number(semaphore, 10) != 0;
	return 0;
}

/* --- timers --- */

/* "(seconds, nanoseconds)" */
static void pair(const char *value, uint64_t *pair)
{
	const char *comma = value ? strchr(value, ',') : NULL;
	pair[0] = comma ? proc_number(value + 1, 10) : 0;
	pair[1] = comma ? proc_number(comma + 1, 10) : 0;
}

static int note_timer(const struct look *look, struct descriptor *d, struct reason *reason)
{
	const char *clock = proc_field(look->info, "clockid");
	if (!clock || !proc_field(look->info, "it_interval"))
		return refuse(
			reason, "this kernel does not tell the state of timerfd %d", look->fd);
	d->kind = DESCRIPTOR_TIMER;
	d->timer.clock = (int)proc_number(clock, 10);
	d->timer.ticks = proc_number(proc_field(look->info, "ticks"), 10);
	d->timer.flags = (int)proc_number(proc_field(look->info, "settime flags"), 8);
	pair(proc_field(look->info, "it_value"), d->timer.left);
	pair(proc_field(look->info, "it_interval"), d->timer.interval);
	return 0;
}

/* --- epoll sets --- */

/* A watch is of an open file, and stays when its number is closed, if there is another. Adding it
 * again fails only if its number is still that file. */
static bool is_watched(const struct watch *w)
{
	struct epoll_event nothing = { 0 };
	return raw6(SYS_epoll_ctl, w->set, EPOLL_CTL_ADD, w->fd, (long)&nothing, 0) == -EEXIST;
}

/* "tfd: 5 events: 19 data: ffffffff pos:0 ino:5 sdev:1" */
static int note_watch(struct descriptors *all, int set, const char *line, struct reason *reason)
{
	const char *events = strstr(line, "events:"), *data = strstr(line, "data:");
	if (all->watch_count == MAX_WATCHES || !events || !data)
		return refuse(reason, "there are too many descriptors in epoll sets");
	struct watch *w = &all->watches[all->watch_count++];
	*w = (struct watch){
		.set = set,
		.fd = (int)proc_number(line, 10),
		.events = (uint32_t)proc_number(events + strlen("events:"), 16),
		.data = proc_number(data + strlen("data:"), 16),
	};
	if (!(w->events & ARMED))
		return refuse(reason, "epoll set %d has a one-shot watch of %d that has happened",
			set, w->fd);
	if (!is_watched(w))
		return refuse(reason, "epoll set %d watches what was closed as %d", set, w->fd);
	return 0;
}

static int note_set(struct descriptors *all, const struct look *look, struct descriptor *d,
	struct reason *reason)
{
	d->kind = DESCRIPTOR_EPOLL;
	const char *line = look->info;
	int r = 0;
	while (r == 0 && (line = proc_field(line, "tfd")))
		r = note_watch(all, look->fd, line, reason);
	return r;
}

/* --- others --- */

static bool is_among(int fd, const int32_t *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] == fd)
			return true;
	return false;
}

static bool has_state_of_its_own(const struct look *look, const struct descriptor_wish *wish)
{
	struct stat st;
	if (raw(SYS_fstat, look->fd, (long)&st, 0) < 0)
		return true;
	if (S_ISCHR(st.st_mode)) /* null, zero, full, random, urandom */
		return major(st.st_rdev) != 1 || !memchr("\3\5\7\10\11", (int)minor(st.st_rdev), 5);
	bool file = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode);
	if (file && is_among(look->fd, wish->shared, wish->shared_count))
		return false;
	return !file || (look->flags & O_ACCMODE) != O_RDONLY || look->position != 0;
}

static int look_at(int fd, struct look *look, struct reason *reason)
{
	char path[64];
	text_put(path, sizeof(path), "/proc/self/fd/%d", fd);
	long n = raw6(
		SYS_readlinkat, AT_FDCWD, (long)path, (long)look->link, sizeof(look->link) - 1, 0);
	text_put(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (n < 0 || !proc_read(path, look->info, sizeof(look->info)))
		return refuse(reason, "%s cannot be read, or is too long", path);
	look->link[n] = 0;
	look->fd = fd;
	look->flags = (int)proc_number(proc_field(look->info, "flags"), 8);
	look->position = proc_number(proc_field(look->info, "pos"), 10);
	if (look->flags & O_ASYNC)
		return refuse(reason, "descriptor %d sends signals", fd);
	if (proc_field(look->info, "lock"))
		return refuse(reason, "descriptor %d holds a lock on a file", fd);
	return 0;
}

static int note_kind(struct descriptors *all, const struct look *look, struct descriptor *d,
	struct reason *reason)
{
	if (strcmp(look->link, "anon_inode:[eventfd]") == 0)
		return note_event(look, d, reason);
	if (strcmp(look->link, "anon_inode:[eventpoll]") == 0)
		return note_set(all, look, d, reason);
	if (strcmp(look->link, "anon_inode:[timerfd]") == 0)
		return note_timer(look, d, reason);
	if (strcmp(look->link, "anon_inode:[signalfd]") == 0) {
		d->kind = DESCRIPTOR_SIGNAL;
		d->signals = proc_number(proc_field(look->info, "sigmask"), 16);
		return 0;
	}
	return refuse(reason, "descriptor %d is %s, and has no successor", look->fd, look->link);
}

static int note(
	struct descriptors *all, int fd, const struct descriptor_wish *wish, struct reason *reason)
{
	struct look look;
	if (look_at(fd, &look, reason) < 0)
		return -1;
	bool target = is_among(fd, wish->targets, wish->target_count);
	bool anonymous = strncmp(look.link, "anon_inode:", strlen("anon_inode:")) == 0;
	if (!target && !anonymous && !has_state_of_its_own(&look, wish))
		return 0;
	if (all->count == MAX_DESCRIPTORS)
		return refuse(reason, "there are too many descriptors");
	struct descriptor *d = &all->list[all->count++];
	*d = (struct descriptor){ .fd = fd, .flags = look.flags, .kind = DESCRIPTOR_SUCCEEDED };
	return target ? 0 : note_kind(all, &look, d, reason);
}

/* Numbers that a child is going to have beyond those of its parent are taken, too. */
static int note_new_targets(
	struct descriptors *all, const struct descriptor_wish *wish, struct reason *reason)
{
	size_t known = all->count;
	for (size_t i = 0; i < wish->target_count; i++) {
		size_t at = 0;
		while (at < known && all->list[at].fd != wish->targets[i])
			at++;
		if (at < known)
			continue;
		if (all->count == MAX_DESCRIPTORS)
			return refuse(reason, "there are too many descriptors");
		all->list[all->count++] = (struct descriptor){
			.fd = wish->targets[i], .flags = O_CLOEXEC, .kind = DESCRIPTOR_SUCCEEDED
		};
	}
	return 0;
}

/* --- two numbers of one open file --- */

/* The flags belong to the open file, so one that shows under both numbers tells. O_APPEND has no
 * meaning for what is looked at here. (kcmp(2) would say so too, but containers forbid it.) */
static void find_same(struct descriptors *all, size_t first)
{
	struct descriptor *d = &all->list[first];
	int flags = d->flags & ~O_CLOEXEC;
	if (d->kind == DESCRIPTOR_SUCCEEDED || d->same || flags & O_APPEND ||
		raw_fcntl(d->fd, F_SETFL, flags | O_APPEND) < 0)
		return;
	for (struct descriptor *o = d + 1; o < all->list + all->count; o++)
		if (o->kind == d->kind && raw_fcntl(o->fd, F_GETFL, 0) & O_APPEND &&
			!(o->flags & O_APPEND))
			o->same = d;
	raw_fcntl(d->fd, F_SETFL, flags);
}

int descriptors_note(
	struct descriptors *all, const struct descriptor_wish *wish, struct reason *reason)
{
	struct proc_list list;
	all->count = all->watch_count = 0;
	if (!proc_list_open(&list, "/proc/self/fd"))
		return refuse(reason, "/proc/self/fd cannot be read");
	int fd, r = 0;
	while (r == 0 && proc_list_next(&list, &fd))
		if (fd != list.fd && fd != wish->ours[0] && fd != wish->ours[1])
			r = note(all, fd, wish, reason);
	proc_list_close(&list);
	if (r == 0)
		r = note_new_targets(all, wish, reason);
	for (size_t i = 0; r == 0 && i < all->count; i++)
		find_same(all, i);
	return r;
}
