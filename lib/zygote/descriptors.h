/* SPDX-License-Identifier: MIT */
/*
 * Every descriptor is accounted for. A child has the same numbers, but of a kind with a state (a
 * counter, a set, a timer, a conversation) it needs one of its own:
 *
 *  - eventfds, epoll sets, timerfds and signalfds are made anew with the same state;
 *  - what only reads a file from its beginning, or is /dev/null and the like, may be shared, and
 * any file of which whoever orders the fork says so;
 *  - all others get a successor, which whoever orders the fork sends, or there is no fork.
 */
#ifndef NOVA_LIB_ZYGOTE_DESCRIPTORS_H
#define NOVA_LIB_ZYGOTE_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

#include "zygote/reason.h"

#define MAX_DESCRIPTORS 128
#define MAX_WATCHES     256

enum descriptor_kind {
	DESCRIPTOR_EVENT,
	DESCRIPTOR_EPOLL,
	DESCRIPTOR_TIMER,
	DESCRIPTOR_SIGNAL,
	DESCRIPTOR_SUCCEEDED,
};

/* One that a child cannot share. */
struct descriptor {
	int fd;
	int flags; /* of the open file, and O_CLOEXEC */
	enum descriptor_kind kind;
	const struct descriptor *same; /* the other number of an open file, or NULL */
	union {
		struct {
			uint64_t count;
			int semaphore;
		} event;
		struct {
			int clock, flags;
			uint64_t ticks;
			uint64_t left[2], interval[2]; /* seconds, nanoseconds */
		} timer;
		uint64_t signals;
	};
};

/* What an epoll set waits for. */
struct watch {
	int set, fd;
	uint32_t events;
	uint64_t data;
};

struct descriptors {
	struct descriptor list[MAX_DESCRIPTORS];
	size_t count;
	struct watch watches[MAX_WATCHES];
	size_t watch_count;
};

/* What whoever orders a fork says of them. */
struct descriptor_wish {
	const int32_t *targets; /* that get successors */
	size_t target_count;
	const int32_t *shared; /* files that are used at given offsets alone */
	size_t shared_count;
	int ours[2]; /* that do not belong to the program; -1: none */
};

/* Notes all, while all threads stand. */
int descriptors_note(
	struct descriptors *all, const struct descriptor_wish *wish, struct reason *reason);

/* In a child, before any other thread lives: those made anew. What belongs to the parent's
 * conversations is closed, though its number stays taken. */
int descriptors_renew(const struct descriptors *all, struct reason *reason);
/* At its birth: successors take their places, timers run, and sets wait for what is new. `fds` are
 * closed and -1, whatever happens. */
int descriptors_succeed(const struct descriptors *all, const int32_t *targets, int *fds,
	size_t count, struct reason *reason);

#endif
