/* SPDX-License-Identifier: MIT */
/* A pool whose VMs are nothing but handles: their start can be held up, made to fail and counted.
 */
#ifndef NOVA_TESTS_POOL_DOUBLE_H
#define NOVA_TESTS_POOL_DOUBLE_H

#include <pthread.h>

#include "pool/internal.h"
#include "vm/frozen.h"
#include "template/template.h"
#include "vm/object.h"

#include "../counter.h"
#include "test.h"

extern nova_error_t *error;

/* What the doubles have seen and are told; atomic. */
struct doubles {
	int starts, alive, most_alive, most_memory, memory, frees;
	int gate; /* 1: starts wait until it is 0 again */
	int failing;
	int deep_sleep;        /* VMs die of being woken, that many times */
	nova_pool_t *dropping; /* whose standby is dropped */
	int dropped;
	/* what host_memory_read() finds, of 4000 MB, and what the end of a VM adds to that */
	uint64_t available_mb, given_back_mb;
	uint32_t pressure;
	void (*meanwhile)(nova_pool_t *pool); /* once, while somebody looks there; NULL: nothing */
	/* VMs that are forked */
	struct frozen *template;       /* of all functions */
	nova_vm_t *origin;             /* that the next template is made of; NULL: it is there */
	const char *obstacle, *reason; /* why none can be, why this one was not; NULL: they are */
	int forks, zygotes, inits;     /* how many were made, or given their function */
	int zygotes_failing;
	int rehearsing;        /* 1: they are still at it; -1: they fail */
	char sample[32];       /* that the last one was given */
	const char *code_disk; /* that the last fork was asked for; NULL: the zygote's own */
	nova_vm_t *zygote;     /* the last one */
	int parks, births;     /* of children that were forked ahead */
	nova_vm_t *parked;     /* the last one */
	const char *stillborn; /* why none of these can be used; NULL: they can */
};
extern struct doubles doubles;

struct setting {
	char *dir;
	nova_host_t *host;
	nova_pool_t *pool;
};
/* `opts` NULL: one VM, nothing is paused. */
struct setting set_up(const nova_pool_opts *opts);
/* The same with a setting. */
struct setting set_up_as(const nova_pool_opts *opts, const char *key, const char *value);
/* Frees the pool and asserts that no VM is left. */
void tear_down(struct setting *s);

static inline nova_pool_opts limits(uint32_t max_vms, uint32_t queue_timeout_ms)
{
	nova_pool_opts o = NOVA_POOL_OPTS_INIT;
	o.max_vms = max_vms;
	o.queue_timeout_ms = queue_timeout_ms;
	o.pause_after_ms = 3600000;
	return o;
}

static inline nova_pool_want want_of(const char *key)
{
	nova_pool_want w = NOVA_POOL_WANT_INIT;
	w.key = key;
	return w;
}

/* One call in a thread of its own. */
struct caller {
	nova_pool_t *pool;
	nova_pool_want want;

	bool keeps; /* does not give the VM back */
	int *order; /* of all callers that share it: how many had a VM before */
	pthread_t thread;
	int code, place, cold;
	nova_vm_t *vm;
	char text[300];
};
void caller_start(struct setting *s, struct caller *c, const char *key);
void caller_end(struct caller *c);
/* The same, and then gives back what it kept. */
void caller_return(struct caller *c);

/* Until the counter of the pool has that value. */
void await_count(nova_pool_t *pool, int counter, uint64_t value);
void await_int(const int *value, int expected);
nova_vm_t *take(struct setting *s, const char *key);
void kill_double(nova_vm_t *vm);
/* The time is over in which a VM serves its own kind before others. */
void end_turn(struct setting *s, nova_vm_t *vm);

TCase *waiting_cases(void);
TCase *limit_cases(void);
TCase *idle_cases(void);
TCase *shortage_cases(void);
TCase *zygote_cases(void);
TCase *parked_cases(void);

#endif
