/* SPDX-License-Identifier: MIT */
/*
 * What the library and nova-keeper say to each other over one SOCK_SEQPACKET pair: a request, then
 * its reply, which bears its number, so that one which nobody waits for any more is not taken for
 * the next. Both come out of one build, so the structs themselves are the format; KEEPER_VERSION
 * guards against a mixed installation.
 */
#ifndef NOVA_LIB_KEEPER_WIRE_H
#define NOVA_LIB_KEEPER_WIRE_H

#include <stdint.h>

#define KEEPER_VERSION   6
#define KEEPER_SOCKET_FD 3 /* the keeper finds its end of the pair here, */
/* the lock of the run directory here, to hold it as long as it lives, */
#define KEEPER_LOCK_FD     4
#define KEEPER_HOST_FD     5 /* and here what sys_detached_start() says of the host program */
#define KEEPER_MAX_FDS     16
#define KEEPER_MAX_REQUEST 65536
#define KEEPER_FIRST_FD    3 /* descriptors given to a child are numbered from here */
/* The environment of the keeper, and of what it starts. */
#define KEEPER_PATH   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define KEEPER_LOCALE "LC_ALL=C"

enum keeper_kind {
	KEEPER_HELLO = 1,   /* keeper to library, once: it is up */
	KEEPER_SPAWN = 2,   /* start a program; its descriptors come along */
	KEEPER_REAP = 3,    /* collect the exit status of a child that has ended */
	KEEPER_SIGNAL = 4,  /* to a child, where pidfds know no signals */
	KEEPER_ABANDON = 5, /* end a child, and collect it when that may be; there is no reply */
	/* fork a child that was started for it; what its child is given comes along, unless that is
	 * to wait. The reply comes as soon as the child is there, so that its parent can go on */
	KEEPER_FORK = 6,
	KEEPER_ORDER = 7, /* another order to such a child */
	/* wait until one that KEEPER_FORK has made lives; one that has waited for it is given its
	 * descriptors */
	KEEPER_BORN = 8,
};

/* A request; for KEEPER_SPAWN `argc` NUL-terminated strings follow, and the path of nova-zygote.so
 * if `zygote` is set, for KEEPER_FORK a struct keeper_fork. */
struct keeper_request {
	uint32_t kind;
	uint32_t argc;
	uint64_t number; /* of this request, never 0 */
	/* KEEPER_ABANDON: the number of the KEEPER_SPAWN whose reply was lost, 0: none */
	uint64_t lost;
	int64_t pid;       /* of the child, but for KEEPER_SPAWN */
	uint32_t signal;   /* KEEPER_SIGNAL */
	uint32_t fd_count; /* that come along */
	/* become these if change_user is set; gid2 (a device's group) is added if not 0 */
	uint32_t uid, gid;
	uint32_t gid2;
	uint32_t change_user;
	uint32_t merge_memory; /* let the kernel merge equal pages of this process with others' */
	/* memory is dearer than speed: no huge pages, and one heap for all threads */
	uint32_t frugal;
	uint32_t no_stdout;   /* stdout is /dev/null, and only stderr is the first descriptor */
	uint32_t needs_kvm;   /* a failure if it may not open /dev/kvm */
	uint32_t only_try;    /* it ends where it would be executed */
	uint32_t zygote;      /* KEEPER_SPAWN: it can be forked */
	uint32_t order;       /* KEEPER_ORDER: enum zygote_kind */
	int32_t file;         /* KEEPER_ORDER: of ZYGOTE_UNSHARE */
	uint32_t patience_ms; /* KEEPER_BORN */
	uint32_t zero;
	uint64_t memory_limit; /* bytes, for a cgroup; 0: none */
};

struct keeper_fork {
	uint32_t target_count, shared_count; /* numbers in the program: see struct zygote_order */
	int32_t targets[KEEPER_MAX_FDS], shared[KEEPER_MAX_FDS];
	uint32_t patience_ms;
	uint32_t more;    /* it stays where it stands, for another fork */
	uint32_t fertile; /* the child may be forked again */
	uint32_t waits;   /* the child stays unborn until KEEPER_BORN */
};

/* What went wrong in the child between fork and exec, or in the keeper itself. */
enum keeper_stage {
	KEEPER_STAGE_NONE = 0,
	KEEPER_STAGE_REQUEST,
	KEEPER_STAGE_FORK,
	KEEPER_STAGE_FDS,
	KEEPER_STAGE_USER,
	KEEPER_STAGE_KVM,
	KEEPER_STAGE_EXEC,
	KEEPER_STAGE_ZYGOTE, /* what was to be forked, */
	KEEPER_STAGE_CHILD,  /* and its child */
};
#define KEEPER_REASON 160

struct keeper_reply {
	uint32_t kind;
	uint32_t version;
	int32_t error; /* 0 or an errno */
	uint32_t stage;
	uint64_t number;            /* of the request */
	int64_t pid;                /* KEEPER_SPAWN, KEEPER_FORK: with a pidfd beside it */
	int32_t status;             /* KEEPER_REAP: as waitpid(2) gives it */
	uint32_t limited;           /* KEEPER_SPAWN: the memory limit is in force */
	char reason[KEEPER_REASON]; /* why it was not forked; what else needs words has a stage */
};

#endif
