/* SPDX-License-Identifier: MIT */
/*
 * What a program that can be forked (a zygote) and its driver, the keeper, say to each other: over
 * one SOCK_SEQPACKET pair for each process, an order, then its answer, which bears its number. The
 * first message is an answer that nobody asked for: HELLO, whether the process can be forked at
 * all. Both sides come out of one build, so the structs themselves are the format; the version
 * guards against a mixed installation.
 */
#ifndef NOVA_LIB_ZYGOTE_WIRE_H
#define NOVA_LIB_ZYGOTE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define ZYGOTE_VERSION 2
/* The variable that tells the number of the socket to a program that is started. */
#define ZYGOTE_VARIABLE    "NOVA_ZYGOTE_FD"
#define ZYGOTE_MAX_FDS     32
#define ZYGOTE_MAX_FD      65535 /* the highest number that a descriptor of a child is given */
#define ZYGOTE_PATIENCE_MS 10000 /* the longest that an order may ask for */

enum zygote_kind {
	ZYGOTE_HELLO = 1,   /* an answer only */
	ZYGOTE_CHECK = 2,   /* could it be forked now? */
	ZYGOTE_FORK = 3,    /* one descriptor comes along: the socket for the child's own orders */
	ZYGOTE_RELEASE = 4, /* threads that ZYGOTE_HOLD keeps standing go on */
	/* To a child that is not born yet: the descriptors that were promised come along, and its
	 * threads go on. */
	ZYGOTE_BIRTH = 5,
	/* It may do no more than it needs, and be forked, from now on: see rights.c. */
	ZYGOTE_CONFINE = 6,
	/* Memory that is a shared mapping of the one file that `shared` names becomes a private one
	 * of the same content: the file is as it was then, for ever. */
	ZYGOTE_UNSHARE = 7,
};

enum zygote_flag {
	ZYGOTE_HOLD = 1,    /* FORK: the threads of the parent stay where they stand */
	ZYGOTE_USER = 2,    /* BIRTH: it becomes the user that the order names */
	ZYGOTE_FILTER = 4,  /* BIRTH: it may do no more than it needs: see rights.c */
	ZYGOTE_FERTILE = 8, /* BIRTH, with one of the two: it may be forked again */
};

struct zygote_order {
	uint32_t version;
	uint32_t kind;
	uint64_t number; /* of this order, never 0 */
	uint32_t flags;
	uint32_t fd_count; /* that come along */
	/* FORK, CHECK, UNSHARE: how long to wait for the threads to come to rest; 0: 200 */
	uint32_t patience_ms;
	/* FORK, CHECK: the numbers of the descriptors that the child is going to be given at its
	 * birth, in this order. They take the place of those that cannot be shared. */
	uint32_t target_count;
	int32_t targets[ZYGOTE_MAX_FDS];
	/* FORK, CHECK: files that parent and child may share although they are open for writing, or
	 * at some position: whoever orders this knows that they are used at given offsets alone. */
	int32_t shared[ZYGOTE_MAX_FDS];
	uint32_t shared_count;
	uint32_t uid, gid;
	uint32_t extra_gid; /* 0: none */
	uint32_t zero[4];
};

struct zygote_answer {
	uint32_t version;
	uint32_t kind; /* of the order */
	uint64_t number;
	/* Why the order was not carried out; then everything is as before, but for a child in its
	 * birth, which has ended. */
	uint32_t refused;
	int32_t pid; /* FORK: of the child; HELLO, BIRTH: of the one that answers */
	uint32_t threads;
	uint32_t attempts; /* until all threads were at rest */
	uint64_t stop_ns;  /* until then */
	uint64_t audit_ns; /* for a look at what the process has */
	uint64_t fork_ns;  /* for clone(2): with a thread that waited, the pause of the process */
	char reason[160];
};

_Static_assert(sizeof(struct zygote_order) == 320, "wire format");
_Static_assert(sizeof(struct zygote_answer) == 216, "wire format");

/* What is wrong with an order that came with so many bytes and descriptors; NULL: nothing. */
const char *zygote_order_wrong(const struct zygote_order *order, size_t len, size_t fd_count);
/* What is wrong with the answer to the order of that kind and number; NULL: nothing. */
const char *zygote_answer_wrong(
	const struct zygote_answer *answer, size_t len, uint32_t kind, uint64_t number);

#endif
