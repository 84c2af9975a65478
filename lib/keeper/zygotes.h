/* SPDX-License-Identifier: MIT */
/* What the keeper says to its children that can be forked (docs/hot.md). */
#ifndef NOVA_LIB_KEEPER_ZYGOTES_H
#define NOVA_LIB_KEEPER_ZYGOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "zygote/wire.h"

/* The keeper's end of a conversation with one. */
struct zygote {
	int control; /* -1: it cannot be forked */
	bool greeted;
	uint64_t last; /* number of the last order */
};

/* Gives an order, whose number and version are filled in, and waits for the answer: 0;
 * -ENOTSUP, -EBUSY: it cannot do that, ever or now; -ETIMEDOUT; -EPIPE: it has gone; -EPROTO: what
 * it says makes no sense. answer->reason says why then. */
int zygote_ask(struct zygote *zygote, struct zygote_order *order, const int *fds, uint64_t deadline,
	struct zygote_answer *answer);
/* Gives the order without waiting for anything; its answer is had with zygote_hear(). As above. */
int zygote_tell(struct zygote *zygote, struct zygote_order *order, const int *fds,
	uint64_t deadline, struct zygote_answer *answer);
int zygote_hear(
	struct zygote *zygote, uint32_t kind, uint64_t deadline, struct zygote_answer *answer);
/* Threads that stand for a FORK whose answer nobody waited for go on. */
void zygote_let_go(struct zygote *zygote);

#endif
