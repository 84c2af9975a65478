/* SPDX-License-Identifier: MIT */
/*
 * The door of vm: a machine together with the agent in it.
 *
 * Who uses a VM first takes a turn (turn.c): several calls may be inside it together, whoever
 * changes the machine is alone with it. `lock` is held for moments; it protects the turns and what
 * is under way on the channel. `end_lock` is held by whoever kills or ends the VMM, so that
 * nova_vm_kill() never waits for anything. It is taken last.
 */
#ifndef NOVA_LIB_VM_VM_H
#define NOVA_LIB_VM_VM_H

#include <pthread.h>

#include <nova/snapshot.h>
#include <nova/vm.h>

#include "engine/engine.h"
#include "host/host.h"
#include "proto/proto.h"

#define VM_TIMINGS      8      /* enum nova_timing */
#define VM_CALLS_MOST   16u    /* at once in one VM: as many as an agent takes */
#define DEFAULT_TIMEOUT 30000u /* of a function or command, ms */
/* the agent enforces the time limit; this long after it, it is taken for dead */
#define ANSWER_GRACE 5000u

/* Memory that clones share. Immutable and counted; the file must not change while anyone uses it.
 */
struct vm_base {
	int references; /* atomic */
	int fd;
	uint64_t device, inode; /* of fd: which file it is */
	/* shared lock that keeps a base on disk from being deleted; -1: it is in memory only */
	int lock_fd;
	char *root, *id; /* of the snapshot on disk that it belongs to; NULL: in memory only */
};

/* A VM at one instant, from which any number of clones can go on. Immutable and counted. */
struct frozen {
	int references; /* atomic */
	const struct engine_ops *ops;
	struct machine_config shape; /* what was true at the boot stays true for clones */
	struct vm_base *base;
	struct pages pages; /* what differs from the base */
	int state_fd;       /* devices and processors */
	bool has_function, has_hooks;
	uint32_t concurrency;
	/* of a template that was made before its function's import: what that draws. NULL: it is no
	 * such template */
	char *draws;
	/* on disk, that it is or came from: the parent of the next one; "": none */
	char snapshot[17];
};

/* Somebody who uses a VM, or waits to: on the stack of its thread. Protected by vm->lock. */
struct vm_call {
	struct vm_call *next; /* in vm->calls */
	const char *id;       /* request_id; "": what the agent says unasked; NULL: not listed */
	struct sleeper woken;
	const struct stop *stop; /* what may end it; NULL: nothing */
	bool canceled;
	/* its turn */
	struct vm_call *behind;
	bool alone, admitted;
	/* on the channel */
	const struct vm_request *request; /* NULL: it is not there yet */
	uint64_t deadline;
	struct proto_frame *first, **last; /* that it has not looked at yet */
	size_t pending;                    /* bytes of these */
	bool answered;                     /* the last one is the answer */
	struct output_pieces output;       /* that have come before it */
	bool waits, wants_pen;             /* for frames that another call reads; to write */
	bool cancel_sent;
};

struct vm_turns {
	struct vm_call *first, **last; /* the line */
	unsigned inside, most;         /* calls; `most` is the concurrency */
	bool alone;
};

struct nova_vm {
	nova_host_t *host;
	const struct engine_ops *ops;
	char id[9];
	uint32_t boot_timeout_ms;

	pthread_mutex_t lock;
	struct vm_turns turns;
	struct vm_call *calls; /* that are under way, or wait for their turn */
	/* who waits for bytes for all, and who is in the middle of a frame */
	struct vm_call *reader, *writer;
	int wake; /* event: wakes the reader */
	nova_decoder_t *decoder;
	char snapshot[17];      /* that it went on from, or has left last; "": none */
	bool lost;              /* no call can be answered any more, for this reason */
	int lost_code, lost_os; /* an errno, where that was the reason */
	char *lost_why;

	/* Changed by who is alone. */
	struct machine *machine;
	struct machine_config shape;
	struct vm_base *base;         /* NULL: a booted VM with memory of its own */
	bool has_function, has_hooks; /* hooks: the function wants to know of snapshots */
	/* the function that its requests call; "": none, it is run; NULL: it has none */
	char *entry;
	/* the call by which the function's import got what no clone may share; NULL: none */
	char *draws;
	struct siblings *siblings; /* made by the same fork; NULL: it need not care */
	bool had_turn;             /* one request has been through since it was forked */
	/* its processors may stand still, though it is not paused: the next request makes them go
	 * on. For who writes, or is alone */
	bool rests;
	bool from_shell; /* its VMM had been parked */
	/* It has been paused, so the guest's clock is late: its next request tells the time. For
	 * who writes, or is alone. */
	bool clock_stood;
	/* a clone that has not been told who it is: its first request does that. For who writes */
	bool unintroduced;
	uint64_t stood_still_us; /* at the last freeze */
	uint64_t timing_us[VM_TIMINGS];

	/* protects ended and killed; also held while machine->process is signalled */
	pthread_mutex_t end_lock;
	bool ended; /* the VMM is being, or has been, disposed of */
	/* by nova_vm_kill(): a machine that comes in its place must not live either */
	bool killed;
	int state; /* atomic; enum nova_vm_state */
};

/* flow.c: the streams of a command that come and go while it runs. Of the thread of its call. */
struct vm_flow {
	int fd;            /* where its stdin comes from; -1: it has none */
	bool ready, ended; /* something can be read there; the end has been sent */
	int os;            /* -errno: why it cannot go on; 0: it can */
	const char *what;  /* cannot be done then */
	size_t on_its_way; /* bytes of stdin for which no credit has come yet */
	size_t taken;      /* bytes of output for which none has been given yet */
};
/* Where more of its stdin is to be waited for; -1: nowhere, now. */
int flow_wants(const struct vm_flow *flow);
/* It has something to send. */
bool flow_is_due(const struct vm_flow *flow);
/* The frame of that: 1; 0: there is none after all. Sets `os` when its stdin cannot be read, or
 * there is no memory. */
int flow_next(struct vm_flow *flow, const char *id, void **ret_frame, size_t *ret_len);
/* NOVA_EAGENT: more than was sent. */
int flow_take_credit(struct vm_flow *flow, const struct guest_message *said, nova_error_t **error);
void flow_fail(struct vm_flow *flow, int os, const char *what);
/* What `os` says, which has ended the call with `code`, whatever that says of itself. */
int flow_failure(const struct vm_flow *flow, int code, nova_error_t **error);

struct vm_request {
	const char *id; /* request_id in the frame */
	const void *frame;
	size_t frame_len;
	bool runs_code;  /* lost answers have the outcome "unknown"; it can be cancelled */
	bool has_output; /* an Exec: its output may come in pieces */
	bool may_carry;  /* an Exec: what tells a clone who it is may go into its frame */
	nova_output_fn on_output;
	void *userdata;
	struct vm_flow *flow; /* NULL: its streams do not flow */
	uint64_t deadline;
	const struct stop *stop; /* what may end the waiting for its answer; NULL: nothing */
};

struct vm_answer {
	struct guest_message said; /* lies in the frame, but for a long output */
	struct proto_frame *frame;
	void *output; /* that came in pieces; NULL: none did */
};
#define VM_ANSWER_NONE                                                                             \
	{                                                                                          \
		.frame = NULL                                                                      \
	}
void vm_answer_done(struct vm_answer *answer);
#define AUTO_ANSWER CLEANUP(vm_answer_done)

/* --- turn.c --- */

void vm_call_init(struct vm_call *call, const char *id, const struct stop *stop);
/* With vm->lock held: it is to end. */
bool vm_call_canceled(struct vm_call *call);
void vm_call_done(struct vm_call *call);
void vm_turns_init(struct vm_turns *turns);
/* With vm->lock held. NOVA_EINVAL: one of that id is listed. */
int vm_call_list(nova_vm_t *vm, struct vm_call *call, nova_error_t **error);
void vm_call_unlist(nova_vm_t *vm, struct vm_call *call);
struct vm_call *vm_call_find(nova_vm_t *vm, const char *id, size_t len);
/* Waits for a turn as a call, one of those that may be inside together. NOVA_EINVAL for an id that
 * is under way; NOVA_ECANCELED by nova_vm_cancel(), or by what may end the call; NOVA_EBUSY in a
 * fork of the process. */
int vm_enter(nova_vm_t *vm, struct vm_call *call, nova_error_t **error);
void vm_leave(nova_vm_t *vm, struct vm_call *call);
/* Waits until the calls before it are over; later ones wait for it. NOVA_ECANCELED; with `stop`
 * NULL it does not fail. Not in a fork of the process. */
int vm_enter_alone(nova_vm_t *vm, const struct stop *stop, nova_error_t **error);
void vm_leave_alone(nova_vm_t *vm);

/* --- vm.c --- */

/* As nova_vm_start() and nova_vm_init(), with more that may end them. */
int vm_start(nova_host_t *host, const nova_vm_opts *opts, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
int vm_init(nova_vm_t *vm, const nova_vm_init_opts *opts, const struct stop *stop,
	nova_error_t **error);

/* Alone: kills the VMM, waits for its end and releases what it had. Idempotent. */
void vm_end(nova_vm_t *vm);
/* By what is known, without asking the kernel for its process: who takes it out of a pool does
 * that. */
bool vm_seems_running(const nova_vm_t *vm);
/* Inside: 0 if requests can be sent, else NOVA_EBUSY or NOVA_ELOST. */
int vm_check_running(nova_vm_t *vm, nova_error_t **error);

/* As nova_vm_resume(), but does not wait until the guest runs where the engine can do without: what
 * is sent next is answered by then. The guest's clock has stood still, which the next call puts
 * right. */
int vm_wake(nova_vm_t *vm, nova_error_t **error);

/* Kernel, initramfs and root filesystem for a guest: those of the image directory, unless the
 * engine's own settings name others. Caller frees all three, also after a failure. */
int vm_find_images(nova_host_t *host, const struct engine_ops *ops, const char *name, char **kernel,
	char **initramfs, char **rootfs, nova_error_t **error);
/* Gives a machine that is to be started its TAP, if its shape has a network. `same`: the machine
 * whose place it takes, NULL: none. */
int vm_attach(nova_host_t *host, struct machine *m, const char *id,
	const struct machine_config *shape, const struct machine *same, nova_error_t **error);
/* A VM without machine; the engine's name is checked by the caller. */
int vm_new(nova_host_t *host, const struct engine_ops *ops, const struct machine_config *shape,
	nova_vm_t **ret_vm, nova_error_t **error);
/* Tells a guest that has just come to life who it is: entropy, clock, names. First half and second
 * half. */
int vm_introduce_send(nova_vm_t *vm, nova_error_t **error);
int vm_introduce_await(
	nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error);
/* What a guest is told before its request: all that, or, after a pause, the time. */
enum vm_news { VM_IS_CLONE, VM_IS_LATE };
/* As a request (its frame is freed by the caller), and as a member of an Exec, with a comma (NULL:
 * out of memory). */
int vm_news_message(
	nova_vm_t *vm, enum vm_news kind, struct vm_request *ret_request, nova_error_t **error);
char *vm_news_member(nova_vm_t *vm, enum vm_news kind);

/* --- what the rooms above see of a VM; none of these waits --- */

const struct engine_ops *vm_ops(const nova_vm_t *vm);
/* By the last vm_init(), and lent until the next one: the call by which the function's import got
 * what no clone may share (NULL: none), and the function that requests call ("": none, it is run;
 * NULL: the VM has none). */
const char *vm_draws(const nova_vm_t *vm);
const char *vm_entry(const nova_vm_t *vm);
/* Of its start: as nova_vm_timing_us(), for who started it. */
uint64_t vm_timing_us(const nova_vm_t *vm, int timing);
/* Its VMM had been waiting for it. */
bool vm_from_standby(const nova_vm_t *vm);

/* --- freeze.c --- */

/* See struct frozen; the second takes `draws` over. */
const char *frozen_draws(const struct frozen *frozen);
void frozen_set_draws(struct frozen *frozen, char *draws);
/* Whether its memory is on disk: in which snapshot. Lent. */
bool frozen_on_disk(const struct frozen *frozen, const char **ret_root, const char **ret_id);

/* Takes `fd` over; NULL: it is left to the caller. */
struct vm_base *base_new(int fd);
struct vm_base *base_ref(struct vm_base *base);
void base_unref(struct vm_base *base);
struct frozen *frozen_ref(struct frozen *frozen);
void frozen_unref(struct frozen *frozen);
static inline void frozen_unrefp(struct frozen **frozen)
{
	frozen_unref(*frozen);
}
#define AUTO_FROZEN CLEANUP(frozen_unrefp)

/* Takes the instant of a VM that runs or is paused. It goes on afterwards as it was, after
 * milliseconds; a booted VM goes on as a clone of itself, since its memory has become the base.
 * `end`: it does not go on, which saves the work. NOVA_ENOTSUP; NOVA_ELOST; NOVA_EENGINE. */
int vm_freeze(nova_vm_t *vm, bool end, const struct stop *stop, struct frozen **ret_frozen,
	nova_error_t **error);
/* Where children of the VM start: base and shape, but no instant. A booted VM becomes a clone of
 * itself, as by vm_freeze(). */
int vm_place(
	nova_vm_t *vm, const struct stop *stop, struct frozen **ret_frozen, nova_error_t **error);
/* Starts a machine that waits at the base of `frozen`: all of a thaw that can be done beforehand.
 */
int vm_park(nova_host_t *host, struct frozen *frozen, struct machine **ret_machine,
	nova_error_t **error);
/* A new VM that goes on from there, in a shell if one waits. */
int vm_thaw(nova_host_t *host, struct frozen *frozen, const struct stop *stop, nova_vm_t **ret_vm,
	nova_error_t **error);
/* As vm_thaw(), but the guest is told who it is together with its first request, which saves a
 * round trip through code that it runs for the first time. Whether it lives shows then. */
int vm_thaw_for_call(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
/* Several at once, side by side: all or none. Where that can be (see waits_for_call()) they stand
 * still until their first request. */
int vm_thaw_many(nova_host_t *host, struct frozen *frozen, size_t count, const struct stop *stop,
	nova_vm_t **ret_vms, nova_error_t **error);

/* --- siblings.c: children of one fork --- */

/* None of them has been asked yet. Without memory for it they do not care for each other. */
void siblings_bind(nova_vm_t **vms, size_t count);
/* A request has been through: as long as others have not had their turn, the VM stands still until
 * its next one. With its lock held and nobody inside. */
void siblings_had_turn(nova_vm_t *vm);
/* The VM is no more. */
void siblings_leave(nova_vm_t *vm);

/* --- shells.c: VMMs that wait for the next clone of a base. In a fork of the process all of these
 * do nothing --- */

/* One that lives and fits the base and shape of `frozen`, now the caller's; NULL: there is none. */
struct machine *shells_take(nova_host_t *host, const struct frozen *frozen);
/* There shall be `count` for that base and shape, for `life_ms` from now. Nothing is started; 0:
 * the next shells_tend() ends them. NOVA_ENOMEM. */
int shells_keep(nova_host_t *host, struct frozen *frozen, size_t count, uint64_t life_ms);
/* Starts what is missing of them, now. NOVA_ELIMIT: not all. */
int shells_fill(nova_host_t *host, const struct frozen *frozen, nova_error_t **error);
/* Starts what is missing, ends what is dead, over or unwanted. Milliseconds until there is
 * something to do; -1: nothing. */
int64_t shells_tend(nova_host_t *host);
/* Ends those of that base and shape, or of the snapshot on disk. */
void shells_drop(nova_host_t *host, const struct frozen *frozen);
void shells_drop_base(nova_host_t *host, const char *root, const char *id);
size_t shells_count(nova_host_t *host);

/* --- channel.c: a request, its Resp. Inside, or alone; the first three also before others know of
 * the VM. --- */

/* The two halves of an introduction, for several VMs at once. */
int vm_send(nova_vm_t *vm, const struct vm_request *request, nova_error_t **error);
int vm_await(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer,
	nova_error_t **error);
/* 0, also if the Resp reports a failure; otherwise the VM is lost, as nothing that comes later
 * could be trusted, except after NOVA_ECANCELED, NOVA_ENOMEM or NOVA_EINVAL. `call` has been let
 * in. */
int vm_ask_as(nova_vm_t *vm, struct vm_call *call, const struct vm_request *request,
	struct vm_answer *ret_answer, nova_error_t **error);
/* For who is alone, or has a call inside that has no id. */
int vm_ask(nova_vm_t *vm, const struct vm_request *request, struct vm_answer *ret_answer,
	nova_error_t **error);
/* Builds the frame around `payload` (stolen; request_id is added) and asks. */
int vm_ask_json(nova_vm_t *vm, int type, json_t *payload, uint64_t deadline,
	const struct stop *stop, struct vm_answer *ret_answer, nova_error_t **error);
/* The same with what `how` has besides id and frame. */
int vm_ask_json_as(nova_vm_t *vm, int type, json_t *payload, const struct vm_request *how,
	struct vm_answer *ret_answer, nova_error_t **error);
/* Waits for Ready. */
int vm_await_ready(nova_vm_t *vm, uint64_t deadline, const struct stop *stop, nova_error_t **error);
/* The failure that a Resp with a `code` reports, or 0. */
int vm_refusal(const struct vm_answer *answer, nova_error_t **error);
/* The same, or NOVA_EAGENT if it does not say that it is done. Not for results, which have no
 * status. */
int vm_done(const struct vm_answer *answer, nova_error_t **error);

/* --- run.c: a request that is checked and framed before there is a VM for it --- */

struct vm_exec {
	nova_output_fn on_output; /* set these three before vm_exec_prepare() */
	void *userdata;
	bool tidy; /* what it leaves in /tmp goes */
	char id[65];
	uint32_t limit_ms;
	void *frame;
	size_t frame_len;
};
void vm_exec_done(struct vm_exec *exec);
#define AUTO_EXEC CLEANUP(vm_exec_done)
/* NOVA_EINVAL if the payload is not JSON or the request id no such; NOVA_ETOOBIG. */
int vm_exec_prepare(struct vm_exec *exec, const void *payload, size_t payload_len,
	uint32_t timeout_ms, const char *request_id, nova_error_t **error);
/* As nova_vm_invoke(). *ret_result must be NULL. */
int vm_exec(nova_vm_t *vm, const struct vm_exec *exec, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **error);

/* --- snapshot.c: snapshots that belong to somebody --- */

/* As nova_vm_snapshot(); `owner` is a text of the caller's own, "": nobody. */
int vm_snapshot(nova_vm_t *vm, const char *owner, const nova_snapshot_opts *opts,
	const struct stop *stop, nova_snapshot_t **ret_snapshot, nova_error_t **error);
/* As nova_vm_restore(). */
int vm_restore(nova_host_t *host, const nova_snapshot_t *snapshot, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
/* The snapshot that this VM went on from, or has left last. */
void vm_snapshot_of(nova_vm_t *vm, char ret_id[17]);
const char *snapshot_owner(const nova_snapshot_t *snapshot);
const char *snapshot_engine(const nova_snapshot_t *snapshot);
uint32_t snapshot_memory_mb(const nova_snapshot_t *snapshot);
/* NOVA_EINVAL: no name for a snapshot. */
int snapshot_check_name(const char *name, nova_error_t **error);

/* --- result.c --- */

struct nova_result {
	struct proto_frame *frame; /* the answer, in which these are; each ends with a NUL */
	void *long_output;         /* the output is here instead; NULL: it is not */
	struct json_span output, failure, out, err;
	char request_id[65], vm_id[9];
	char snapshot[17], instance[9]; /* "": none; written by the platform */
	int exit_code, cold_start;
	bool truncated, timed_out, canceled;
	uint64_t timing_us[VM_TIMINGS];
};

/* From the answer to Exec or Command, whose frame it takes. NOVA_EAGENT: it is no result. */
int result_from_answer(struct vm_answer *answer, const char *request_id, const char *vm_id,
	nova_result_t **ret_result, nova_error_t **error);

static inline uint64_t us_since(uint64_t begin_ns)
{
	return (clock_ns() - begin_ns) / 1000u;
}

#endif
