/* SPDX-License-Identifier: MIT */
/*
 * Inside pool only: what its files share.
 *
 * `lock` protects everything in the pool and its groups; VMs are started, paused and ended without
 * it. Each VM is a slot, and each slot is in one place: idle in its group, out with its callers, or
 * in a list of those that one thread is about to end. Nothing here lets go of the lock unless it
 * says so: functions put the VMs that are to end into the list `ending` of their caller, who ends
 * them (pool_reap()) before it waits for anything.
 *
 * Callers that have to wait take a ticket in the line of their group. Whoever changes something
 * hands VMs, or the permission to start one, to the tickets whose turn it is, and wakes these and
 * no others.
 */
#ifndef NOVA_LIB_POOL_INTERNAL_H
#define NOVA_LIB_POOL_INTERNAL_H

#include <pthread.h>

#include "base/list.h"
#include "base/table.h"
#include "pool/pool.h"
#include "template/template.h"

#define KEY_MAX         255u
#define LATENCIES       4u
#define LATENCY_BUCKETS 200u
#define POOL_COUNTERS   (NOVA_POOL_PARKED + 1)

/* --- groups: VMs with the same key --- */

/* A copy of what a caller wants, for starts without a caller. */
struct request {
	uint32_t references; /* with the lock: its group, and the start that is under way */
	struct pool_want want;
	struct vm_spec vm;
};

/* What is forked for the starts of a group: zygote.c. */
struct group_zygote {
	struct slot *slot;   /* it stands; NULL: there is none */
	struct link stands;  /* in pool->zygotes */
	struct link wanted;  /* in pool->wanted: a tick makes one */
	bool can_be, making; /* can_be: nothing is in the way on this host */
	/* its VM rehearses, and will stand */
	struct slot *rehearses;
	struct link rehearsing; /* in pool->rehearsing, but for the moment when it is looked at */
	struct frozen *made_of; /* the template of that one */
	/* earlier none is made, nor forked */
	uint64_t not_before, wait_ms;
	unsigned lost;      /* children, of those that it was blamed for */
	uint32_t forks;     /* under way: meanwhile it makes no place for others */
	bool of_runtime;    /* the group has no VMs of its own: see runtime.c */
	char *sample;       /* what the function wants to rehearse; NULL: nothing */
	uint32_t sample_ms; /* its time limit */
	struct link parked; /* slots that were forked of it ahead of their start: parked.c */
	uint32_t parked_count;
};

struct group {
	struct table_node node;
	/* slots; the one that was used last is first: its memory is the warmest */
	struct link idle;
	struct link open;    /* slots that are out and have room for more callers */
	struct link tickets; /* who waits, in order of arrival */
	/* in pool->unserved or pool->underserved: it may start a VM as soon as there is room */
	struct link turn;
	struct link kept;   /* in pool->kept */
	struct link unused; /* in pool->unused: it has no VM and no caller */
	/* VMs are not used twice, so waiting for one that comes back is no use */
	bool fresh;
	bool proven;  /* one has been started: its template is there */
	uint32_t vms; /* idle, out and starting */
	uint32_t starting, out, pausing, waiting;
	/* functions that go on using it whatever comes back or ends meanwhile */
	uint32_t busy;
	uint32_t concurrency;  /* callers that may share a VM */
	uint32_t memory_mb;    /* of each VM */
	struct frozen *frozen; /* the template, once it is known */
	bool unwritten;        /* another takes its place soon: see unwritten.c */
	uint64_t noted_ns;     /* when its use was noted on disk */
	uint64_t standby_until;
	uint64_t generation; /* nova_pool_forget() moves it on */
	/* until then a caller waits for a VM to come back: see may_reuse() */
	uint64_t reuse_until;
	uint64_t start_ns; /* what the last start took */
	uint64_t unused_until;
	uint32_t keep;           /* VMs that nova_pool_keep() asks for */
	uint64_t kept_memory_mb; /* of these together */
	struct request *request;
	uint64_t keep_retry, keep_wait_ms;
	struct group_zygote zygote;
	char key[];
};

struct slot {
	struct table_node node; /* in pool->out, by VM */
	struct link idle;       /* in its group's */
	/* in pool->aged: may be ended when its time is over, or for another's sake */
	struct link age;
	struct link awake; /* in pool->awake: is to be paused */
	struct link open;  /* in its group's */
	struct link young; /* in pool->young */
	struct link
		parked; /* in its group's: its VM waits to be born, and `age` is in pool->parked */
	struct slot *next; /* in a list of ending ones */
	nova_vm_t *vm;
	struct group *group;
	uint64_t generation, idle_since, turn_ends, young_until;
	uint32_t memory_mb;
	uint32_t users;       /* callers who have it now */
	bool asleep, pausing; /* idle ones: paused, being paused */
	bool spoiled;         /* is ended when the last caller gives it back */
	const char *why;      /* it is ended, if that is worth a line in the log */
};

/* What the host lacks for another VM. */
enum shortage {
	SHORT_OF_NOTHING = 0,
	SHORT_OF_MEMORY,
	SHORT_BY_PRESSURE, /* programs wait for memory */
};

struct histogram {
	uint64_t counts[LATENCY_BUCKETS]; /* atomic */
};

struct nova_pool {
	nova_host_t *host;
	uint64_t ttl_ms, queue_ms, pause_ms, max_memory_mb; /* 0: is not paused; no limit */
	uint32_t max_vms, max_queue, standby;               /* the first: 0 until it is needed */
	uint32_t min_free, max_pressure;                    /* per cent */
	uint32_t max_zygotes;
	uint32_t max_parked, max_parked_all; /* of a group, of all groups */
	bool hot; /* VMs are forked as processes where that can be done */
	struct template_clones clones;
	/* ends the starts under way, of callers and of the pool's own, when it is triggered */
	nova_interrupt_t *end;

	pthread_mutex_t lock;
	/* while draining: a VM has come back, or a caller has left; a template is written */
	pthread_cond_t quieter;
	bool draining, closing;
	uint32_t alive;
	uint64_t memory_mb;
	struct table groups, out;
	struct link aged, awake; /* slots, the longest idle first */
	/* groups whose next start waits for room: those without any VM, and the others */
	struct link unserved, underserved;
	struct link zygotes;    /* groups with one that stands, the least lately used first */
	struct link wanted;     /* groups that want one */
	struct link rehearsing; /* groups with one that rehearses */
	struct link parked;     /* slots, the oldest first */
	struct link kept;       /* groups with VMs that are to be kept */
	uint32_t kept_vms;      /* of all of them together */
	uint64_t kept_memory_mb;
	struct link unused; /* groups that nobody uses, the longest so first */
	size_t unused_count;
	struct link unwritten;     /* see unwritten.c */
	uint32_t writing;          /* threads that write one of them */
	enum shortage shortage;    /* what the last start was held back by */
	struct host_memory memory; /* as it was when it was looked at */
	uint64_t look_at, look_again;
	struct slot *leaving; /* killed, for a tick to destroy */
	struct link young;    /* slots whose VM may yet take its memory, the oldest first */
	uint64_t young_mb;
	uint64_t counters[POOL_COUNTERS];
	int timer; /* of nova_pool_fd(); -1: nobody has asked */
	/* when the next tick has something to do, as far as is known */
	uint64_t armed;
	bool threaded;
	pthread_t thread;

	void (*on_tick)(void *);
	void *on_tick_data;
	struct histogram latency[LATENCIES];
};

/* --- timer.c --- */

/* A tick will have something to do then. */
void pool_due(nova_pool_t *pool, uint64_t when);
/* The descriptor of nova_pool_fd(); -errno. */
int pool_timer_open(nova_pool_t *pool);

/* --- request.c --- */

/* Of a caller's options. *ret_spec, which it points to, is to be done in any case. */
int want_import(struct pool_want *ret, struct vm_spec *ret_spec, nova_interrupt_t **ret_interrupt,
	const nova_pool_want *want, nova_error_t **error);
/* A copy with one reference. NOVA_ENOMEM. */
int request_new(const struct pool_want *want, struct request **ret_request, nova_error_t **error);
void request_free(struct request *request); /* one reference; NULL is accepted */

/* --- group.c --- */

struct group *group_get(nova_pool_t *pool, const char *key, bool fresh, bool create);
/* It is not forgotten until group_put(): somebody counts in it, or is about to. */
void group_hold(nova_pool_t *pool, struct group *g);
/* Notes that nobody uses a group, and forgets those that have been unused too long, so that a host
 * with ever new keys does not grow. */
void group_put(nova_pool_t *pool, struct group *g);
void groups_forget_unused(nova_pool_t *pool, size_t most);
/* The group's template, which is the caller's now; NULL: it has none. */
struct frozen *group_lose_template(struct group *g);
/* The slot that rehearses is in no place any more. */
void group_rehearses_no_more(struct group *g);
/* Wants VMMs on standby for the group's template for another while. */
void group_want_standby(nova_pool_t *pool, struct group *g, uint64_t now);
/* Room for callers of the group: an idle VM that lives, or one that is out and may be shared. It is
 * out then. NULL: none. */
struct slot *group_take(nova_pool_t *pool, struct group *g, struct slot **ending);
void slot_hand_out(nova_pool_t *pool, struct slot *s);
struct slot *slot_of_vm(const nova_pool_t *pool, const nova_vm_t *vm);
/* Whether it is open for more callers may have changed. */
void slot_note_open(struct slot *s);
/* It serves no caller, but is forked for the starts of its group. */
static inline bool slot_is_zygote(const struct slot *s)
{
	return s->group->zygote.slot == s;
}
static inline bool slot_is_being_forked(const struct slot *s)
{
	return slot_is_zygote(s) && s->group->zygote.forks;
}
static inline bool slot_rehearses(const struct slot *s)
{
	return s->group->zygote.rehearses == s;
}
static inline bool slot_is_parked(const struct slot *s)
{
	return linked(&s->parked);
}
void slot_make_idle(nova_pool_t *pool, struct slot *s);
/* One that is parked for the group and lives; it stays where it is. NULL: there is none. */
struct slot *parked_first(nova_pool_t *pool, struct group *g, struct slot **ending);
/* It is in no place any more, and starts. */
void parked_take(nova_pool_t *pool, struct slot *s);
void parked_end(nova_pool_t *pool, struct group *g, struct slot **ending); /* all of a group */
/* Takes a slot that is idle, or in no place any more, out of its group; it counts as alive until it
 * is destroyed. The log, which may take its time, gets s->why then. */
void slot_end(nova_pool_t *pool, struct slot *s, int counter, struct slot **ending);
void group_end_idle(nova_pool_t *pool, struct group *g, struct slot **ending);
/* Ends VMs past their time. */
void pool_expire(nova_pool_t *pool, struct slot **ending);
/* Both without the lock, and without the books. Killed together they end side by side. */
void slots_kill(struct slot *ending);
void slots_destroy(nova_pool_t *pool, struct slot *ending);
static inline void pool_note(nova_pool_t *pool)
{
	if (pool->draining)
		pthread_cond_broadcast(&pool->quieter);
}

/* --- room.c --- */

/* What the setting pool.max_vms means by `auto` is found out when it is needed, as it takes a look
 * at the host. */
void room_settle(nova_pool_t *pool);

/* Room for one more VM of a group by ending idle ones if need be, for slot_start(): `fresh` is
 * taken for it, a slot of zeros, or one that is parked, and counts as starting then. Those that
 * must end first hang at its `next`. NULL: no room; an idle VM may be in `ending` then, after whose
 * end there may be. */
struct slot *room_take(
	nova_pool_t *pool, struct group *g, struct slot **fresh, struct slot **ending);

/* The same for a zygote: room that nobody waits for, beside which there is some for a child. NULL:
 * none. Without a place in its group. */
struct slot *room_spare(nova_pool_t *pool, struct group *g, struct slot **fresh);
bool room_is_spare(nova_pool_t *pool, const struct group *g); /* whether there is some */
/* Of a slot whose VM could not be made. */
void room_give_back(nova_pool_t *pool, struct slot *s);

/* --- shortage.c --- */

/* A VM counts with all its memory from now on, until it has given back or grown old. */
void young_add(nova_pool_t *pool, struct slot *s);
void young_remove(nova_pool_t *pool, struct slot *s);
/* Looks what the host has, if that is not just known; lets go of the lock. */
void pool_look(nova_pool_t *pool);
/* Whether a VM of the group must wait for the host to have more memory. */
bool host_is_short(nova_pool_t *pool, const struct group *g);
/* The same for one that nobody waits for, and a child of it. */
bool host_spares(nova_pool_t *pool, const struct group *g);
/* NOVA_ELIMIT with what is short. */
int fail_short(
	const nova_pool_t *pool, const struct group *g, uint64_t waited_ms, nova_error_t **error);

/* --- tickets.c --- */

enum ticket_state {
	TICKET_WAITS,
	TICKET_GIVEN,    /* a slot, which is out already */
	TICKET_STARTS,   /* there is room: the caller starts a VM */
	TICKET_FAILED,   /* with `failure` */
	TICKET_CANCELED, /* by its caller's `stop` */
	TICKET_CLOSED,   /* by nova_pool_drain() */
};
struct ticket {
	struct link link; /* in its group's line */
	struct group *group;
	struct sleeper wake;
	const struct stop *stop; /* what may end its waiting; NULL: nothing */
	enum ticket_state state;
	uint64_t deadline;
	uint64_t until;    /* when it will look for itself */
	struct slot *slot; /* TICKET_GIVEN; TICKET_STARTS: from room_take() */
	/* for room_take(): whoever gives out room must not fail for lack of memory */
	struct slot *fresh;
	nova_error_t *failure;
};
/* Puts a ticket (all zero but for group, wake, fresh and deadline) in line; it may have what
 * it wants then. Lets go of the lock at times. */
void ticket_enter(nova_pool_t *pool, struct ticket *t, struct slot **ending);
/* Until it is something else than waiting; false: the time is over. */
bool ticket_wait(nova_pool_t *pool, struct ticket *t, struct slot **ending);
/* Out of the line; group_changed() is to follow. */
void ticket_end(nova_pool_t *pool, struct ticket *t, enum ticket_state state);
void tickets_end(
	nova_pool_t *pool, struct group *g, enum ticket_state state, const nova_error_t *failure);
void tickets_close_all(nova_pool_t *pool);
/* After a change in a group: gives what it has to its tickets, and room to whom it is due. */
void group_changed(nova_pool_t *pool, struct group *g, struct slot **ending);
/* Hands out what room there is. Idle VMs, and those in `ending`, make place. */
void tickets_serve(nova_pool_t *pool, struct slot **ending);
/* A caller is done with it. */
void slot_put_back(nova_pool_t *pool, struct slot *s, bool sound, struct slot **ending);
/* Ends them; lets go of the lock if there are any. */
void pool_reap(nova_pool_t *pool, struct slot **ending);
/* The same for who gives a VM back: where somebody ticks and nobody waits they are only killed, as
 * the end of a process takes milliseconds, and a tick does the rest. */
void pool_reap_later(nova_pool_t *pool, struct slot **ending);
/* What was left to a tick, for pool_reap(). */
void pool_take_leaving(nova_pool_t *pool, struct slot **ending);

/* --- start.c --- */

/* Starts a VM in a slot of room_take(), which is in no place then. Lets go of the lock. On failure
 * the slot is gone, and those who waited for it, if there is nothing else to wait for, get the same
 * error. group_changed() is to follow. */
int slot_start(nova_pool_t *pool, struct slot *s, const struct pool_want *want,
	const struct pool_maker *maker, const struct stop *stop, nova_error_t **error);
/* Without the lock: ends the VMMs on standby for clones of it. NULL is accepted. */
void template_drop(nova_pool_t *pool, struct frozen *frozen);

/* --- unwritten.c --- */

/* Takes over what is to be written of the group's template, which is in memory. */
void template_later(
	nova_pool_t *pool, struct group *g, struct unwritten *unwritten, struct frozen *frozen);
/* Writes what there is; lets go of the lock. What `stop` ends is left. */
void templates_write(nova_pool_t *pool, const struct stop *stop);
/* The same of those that belong to that key. */
void templates_write_of(nova_pool_t *pool, const char *key, const struct stop *stop);
/* That template is not to be written, unless it is just being. */
void templates_forget(nova_pool_t *pool, const struct frozen *frozen);

/* --- keep.c --- */

/* Starts what is missing of the VMs that are to be kept; lets go of the lock. */
void pool_keep_maintain(nova_pool_t *pool);
uint64_t pool_keep_due(const nova_pool_t *pool);
void group_end_keep(nova_pool_t *pool, struct group *g);
/* NOVA_ELIMIT if `vms` VMs of a group never find room beside those that are kept for others. */
int keep_leaves_room(const nova_pool_t *pool, const struct group *g, uint32_t vms,
	uint32_t memory_mb, nova_error_t **error);

/* --- zygote.c --- */

void zygotes_read_limits(nova_pool_t *pool, const nova_config_t *config);
/* Of a VM that the template was made of: whether the next may come from a zygote, and why it did
 * not itself. */
void zygote_first(
	nova_pool_t *pool, struct group *g, const struct frozen *frozen, char why[VM_PATH_WHY]);
/* A start in the classic way has succeeded. */
void zygote_want(nova_pool_t *pool, struct group *g);
/* What the next one is to rehearse, by whoever has just found the template. */
void zygote_note_sample(struct group *g, const struct pool_want *want);
/* A start may need it: it is the last to make place. */
void zygote_used(nova_pool_t *pool, struct group *g);
/* None is wanted any more. */
void zygote_end(nova_pool_t *pool, struct group *g, struct slot **ending);
/* Without the lock. A clone of the template by a fork of the group's zygote: 1; 0: not so, for the
 * reason in `why` ("": nobody asks for it). NOVA_ECANCELED, NOVA_ENOMEM. */
int zygote_start(nova_pool_t *pool, struct group *g, const struct frozen *frozen,
	const struct stop *stop, nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error);
/* The same of any group, which can have one, with another code disk if that is not NULL. */
int zygote_fork(nova_pool_t *pool, struct group *g, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error);
/* It could not be forked just now: so it rests, or ends. */
void zygote_failed(
	nova_pool_t *pool, struct group *g, const nova_vm_t *zygote, struct slot **ending);
/* Makes those that are wanted, and ends the dead; lets go of the lock. */
void zygotes_maintain(nova_pool_t *pool);
uint64_t zygotes_due(const nova_pool_t *pool);

/* --- runtime.c --- */

void runtimes_init(nova_pool_t *pool);

/* --- parked.c --- */

void parked_read_limits(nova_pool_t *pool, const nova_config_t *config);
/* Without the lock: as zygote_start(), with the VM that s->vm was; that is NULL then. */
int parked_start(nova_pool_t *pool, struct slot *s, const struct stop *stop, nova_vm_t **ret_vm,
	char why[VM_PATH_WHY], nova_error_t **error);
/* Makes what is missing, and ends the dead and what is not wanted; lets go of the lock. */
void parked_maintain(nova_pool_t *pool);

/* --- maintain.c --- */

int pool_thread_start(nova_pool_t *pool, nova_error_t **error);
void pool_thread_end(nova_pool_t *pool);

/* --- stats.c --- */

void latency_note(nova_pool_t *pool, int latency, uint64_t begin_ns);
static inline void count(nova_pool_t *pool, int counter)
{
	pool->counters[counter]++;
}

#endif
