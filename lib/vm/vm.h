/* SPDX-License-Identifier: MIT */
/*
 * The door of vm: a machine together with the agent in it. What a VM consists of is known to the
 * files of this room alone.
 */
#ifndef NOVA_LIB_VM_VM_H
#define NOVA_LIB_VM_VM_H

#include <nova/snapshot.h>
#include <nova/vm.h>

#include "engine/engine.h"
#include "host/host.h"
#include "proto/proto.h"

#define VM_TIMINGS      8      /* enum nova_timing */
#define DEFAULT_TIMEOUT 30000u /* of a function or command, ms */

/* --- what it is --- */

/* How a guest comes to know variables that no template may have. */
struct vm_secrets {
	/* By vm_entrust(); NULL: there are none. */
	int (*entrust)(void *userdata, nova_vm_t *vm, const struct text_list *variables,
		const struct stop *stop, nova_error_t **error);
	void *userdata;
	struct text_list variables; /* what it goes by: all of the function's */
	bool at_init;               /* the import needs them, so it is in no template either */
};

/* What a VM is started with, and given: nova_vm_opts and nova_vm_init_opts but for their tokens. */
struct vm_spec {
	char *engine;             /* NULL: the setting */
	uint32_t boot_timeout_ms; /* 0: the setting of the engine */
	uint32_t init_timeout_ms; /* 0: the same */
	/* of a module of WebAssembly: the directory of its machine code, made and filled if need
	 * be; NULL: it is compiled in each guest */
	char *compiled;
	/* what only functions have means nothing here; runtime NULL: it is given no function */
	struct function_config config;
	bool once;    /* the function is called once: nothing is got ready for more calls */
	bool program; /* it is run, and no handler looked for */
	struct vm_secrets secrets; /* without at_init they are for calls, and who makes those */
};
#define AUTO_VM_SPEC CLEANUP(vm_spec_done)
void vm_spec_done(struct vm_spec *spec);
/* Of whole options, with texts and lists of its own, into an empty one; either may be NULL. On
 * failure (NOVA_EINVAL, NOVA_ENOMEM) what was copied is there, as by the next. */
int vm_spec_import(struct vm_spec *to, const nova_vm_opts *vm, const nova_vm_init_opts *init,
	nova_error_t **error);
int vm_spec_copy(struct vm_spec *to, const struct vm_spec *from);

/* --- life --- */

/* As nova_vm_start(), nova_vm_init() and nova_vm_fork(). */
int vm_start(nova_host_t *host, const struct vm_spec *spec, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
int vm_init(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **error);
int vm_fork(nova_vm_t *vm, size_t count, const struct stop *stop, nova_vm_t **ret_children,
	nova_error_t **error);
/* NOVA_EINVAL. */
int vm_fork_check(size_t count, nova_error_t **error);
/* One more who has the VM: after nova_vm_free() it is dead, and its memory stays as long. */
nova_vm_t *vm_ref(nova_vm_t *vm);
void vm_unref(nova_vm_t *vm);
/* nova_vm_snapshot() writes it into the snapshots of the VM. Before others know of the VM. */
int vm_set_owner(nova_vm_t *vm, const char *owner, nova_error_t **error);
/* Calls that come from now on fail with NOVA_ELOST. */
void vm_close(nova_vm_t *vm);
/* Waits for the calls that are under way until the deadline and kills the VM then, or else asks it
 * to end. It is dead afterwards. NOVA_ETIMEDOUT: it had to be killed. */
int vm_stop_by(nova_vm_t *vm, uint64_t deadline);
/* As nova_vm_resume(), but does not wait until the guest runs where the engine can do without: what
 * is sent next is answered by then. The guest's clock has stood still, which the next call puts
 * right. */
int vm_wake(nova_vm_t *vm, nova_error_t **error);
/* Kernel, initramfs and root filesystem for a guest: those of the image directory, unless the
 * engine's own settings name others. Caller frees all three, also after a failure. */
int vm_find_images(nova_host_t *host, const struct engine_ops *ops, const char *name, char **kernel,
	char **initramfs, char **rootfs, nova_error_t **error);

/* How a VM has come to be, and why not in a better way. */
enum vm_path {
	VM_PATH_CLASSIC, /* it booted, or a VMM loaded what was frozen */
	VM_PATH_PARKED,  /* a fork of a process that was made ahead */
	VM_PATH_HOT,     /* a fork of a process */
};
#define VM_PATH_WHY 160
const char *vm_path_name(enum vm_path path);
enum vm_path vm_path(const nova_vm_t *vm);
/* What nova_vm_path_why() says. Before others know of the VM. */
void vm_set_path_why(nova_vm_t *vm, const char *why);

/* --- what the rooms above see of a VM; none of these waits --- */

const struct engine_ops *vm_ops(const nova_vm_t *vm);
/* As host_check_process() of its host. */
int vm_check_process(const nova_vm_t *vm, nova_error_t **error);
/* By what is known, without asking the kernel for its process: who takes it out of a pool does
 * that. */
bool vm_seems_running(const nova_vm_t *vm);
/* By the last vm_init(), and lent until the next one: the call by which the function's import got
 * what no clone may share (NULL: none), and the function that requests call ("": none, it is run;
 * NULL: the VM has none). */
const char *vm_draws(const nova_vm_t *vm);
const char *vm_entry(const nova_vm_t *vm);
/* How many calls may be inside it together. */
uint32_t vm_concurrency(nova_vm_t *vm);
/* The parts of its start: NOVA_TIMING_START, _BOOT and _INIT. */
uint64_t vm_timing_us(const nova_vm_t *vm, int timing);
/* The making of the template that it comes from was a part of its init. */
void vm_add_init_us(nova_vm_t *vm, uint64_t us);
/* It went on from an instant, and did not boot. */
bool vm_is_clone(const nova_vm_t *vm);
/* Whether it is as good as a clone of itself when it has been frozen, and at no cost: it does not
 * boot anew for it, and its function need not be told. */
bool vm_goes_on(const nova_vm_t *vm);
/* Its VMM had been on standby. */
bool vm_from_standby(const nova_vm_t *vm);
/* The snapshot that this VM went on from, or has left last. */
void vm_snapshot_of(nova_vm_t *vm, char ret_id[17]);

/* --- entrust.c: secrets --- */

/* Tells the guest variables (JSON, {"NAME":"value", ...}) that its function has from now on,
 * instead of those that were told before. `digest` stands for them. NOVA_ENOTSUP: its agent knows
 * no such message. */
int vm_entrust(nova_vm_t *vm, const char digest[SHA256_HEX], const char *values, size_t len,
	const struct stop *stop, nova_error_t **error);
/* It was told those last. */
bool vm_knows(nova_vm_t *vm, const char digest[SHA256_HEX]);
bool vm_is_entrusted(nova_vm_t *vm);
/* NOVA_ENOTSUP: no snapshot of it can be. */
int vm_check_not_entrusted(nova_vm_t *vm, nova_error_t **error);

/* --- a request that is checked and framed before there is a VM for it --- */

/* What a function that runs asks for: JSON text, which may be written to, and is its own. `reply`
 * is empty, and gets a JSON object. -ENOMEM. */
typedef int (*vm_kv_fn)(void *userdata, char *ask, size_t len, struct buf *reply);

/* What a program is given instead of a payload, as of nova_invoke_opts. */
struct vm_program {
	const char *const *args;
	size_t args_count;
	const void *stdin_data;
	size_t stdin_len;
	const char *start, *name;
};

struct vm_exec {
	nova_output_fn on_output; /* set these seven before vm_exec_prepare() */
	void *userdata;
	vm_kv_fn on_kv; /* in the thread of the call; NULL: it keeps nothing */
	void *kv_userdata;
	bool tidy;                         /* what it leaves in /tmp goes */
	const char *client_context;        /* as of nova_invoke_opts */
	const struct vm_program *program;  /* NULL: it has a payload */
	const nova_interrupt_t *interrupt; /* by vm_exec_import() */
	bool is_program;                   /* the frame is that of one */
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
/* The same from the options of nova_vm_invoke(). */
int vm_exec_import(struct vm_exec *exec, const char *payload, const nova_vm_invoke_opts *opts,
	nova_error_t **error);
/* As nova_vm_invoke(). *ret_result must be NULL. */
int vm_exec(nova_vm_t *vm, const struct vm_exec *exec, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **error);

/* A command, likewise. */
struct vm_command {
	nova_output_fn on_output;
	void *userdata;
	const nova_interrupt_t *interrupt;
	uint32_t limit_ms;
	bool streamed;
	int stdin_fd;
	json_t *payload;
};
void vm_command_done(struct vm_command *command);
#define AUTO_COMMAND CLEANUP(vm_command_done)
/* NOVA_EINVAL, NOVA_ETOOBIG, NOVA_EABI. */
int vm_command_import(
	struct vm_command *command, const nova_vm_command_opts *opts, nova_error_t **error);
/* As nova_vm_command(), once. *ret_result must be NULL. */
int vm_command(nova_vm_t *vm, struct vm_command *command, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **error);

struct nova_result {
	struct proto_frame *frame; /* the answer, in which these are; each ends with a NUL */
	void *long_output;         /* the output is here instead; NULL: it is not */
	struct json_span output, failure, out, err;
	char request_id[65], vm_id[9];
	char snapshot[17], instance[9]; /* "": none; written by the platform */
	uint32_t version;               /* that was published; 0: none; written by the platform */
	int exit_code, cold_start;
	enum vm_path path; /* of its VM */
	char path_why[VM_PATH_WHY];
	bool truncated, timed_out, canceled;
	uint64_t memory_peak; /* bytes; 0: not known */
	uint64_t timing_us[VM_TIMINGS];
};

/* --- any other request --- */

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

/* As one of the calls that may be inside together: sends `payload` (stolen) and waits until the
 * agent says that it is done. `type` is one whose Resp has a status. The time limit begins with the
 * call's turn; what the guest took is added to `took`, ns, unless that is NULL. The failure that a
 * Resp reports; NOVA_EAGENT; NOVA_ELOST; NOVA_ECANCELED. */
int vm_request(nova_vm_t *vm, int type, json_t *payload, uint32_t timeout_ms, uint64_t *took,
	const struct stop *stop, struct vm_answer *ret_answer, nova_error_t **error);

/* --- instants in memory --- */

struct frozen;
struct frozen *frozen_ref(struct frozen *frozen);
void frozen_unref(struct frozen *frozen);
static inline void frozen_unrefp(struct frozen **frozen)
{
	frozen_unref(*frozen);
}
#define AUTO_FROZEN CLEANUP(frozen_unrefp)
/* Of a template that was made before its function's import: what that draws. NULL: it is no such
 * template. The second takes `draws` over. */
const char *frozen_draws(const struct frozen *frozen);
void frozen_set_draws(struct frozen *frozen, char *draws);
uint32_t frozen_memory_mb(const struct frozen *frozen);
/* Whether their memory begins with the same file. */
bool frozen_same_base(const struct frozen *a, const struct frozen *b);
/* Whether it was read from disk: which snapshot it is. Lent. */
bool frozen_on_disk(const struct frozen *frozen, const char **ret_root, const char **ret_id);

/* The same instant, with another code disk. For one that was taken without a function
 * (PROTO_CODE_LATER) and has its own memory. */
int frozen_with_code(const struct frozen *from, const char *code_disk, struct frozen **ret_frozen,
	nova_error_t **error);

/* The same once more, of one in memory: see instant_refine(). */
int frozen_copy(const struct frozen *frozen, struct frozen **ret_frozen, nova_error_t **error);

/* Of one that nobody else has yet: clones find the content of its code disk in another file. */
int frozen_set_code(struct frozen *frozen, const char *code_disk, nova_error_t **error);

/* Of one without a function that nobody else has yet: what a zygote of it is asked before it stands
 * still, a Rehearse in JSON, which is taken over. */
void frozen_set_rehearsal(struct frozen *frozen, char *rehearsal);

/* Takes the instant of a VM that runs or is paused. It goes on afterwards as it was, after
 * milliseconds; a booted VM goes on as a clone of itself, since its memory has become the base.
 * `end`: it does not go on, which saves the work. NOVA_ENOTSUP; NOVA_ELOST; NOVA_EENGINE. */
int vm_freeze(nova_vm_t *vm, bool end, const struct stop *stop, struct frozen **ret_frozen,
	nova_error_t **error);
/* A new VM that goes on from there, in a VMM on standby if there is one. */
int vm_thaw(nova_host_t *host, struct frozen *frozen, const struct stop *stop, nova_vm_t **ret_vm,
	nova_error_t **error);
/* As vm_thaw(), but the guest is told who it is together with its first request, a call or, without
 * a function, vm_init(). That saves a round trip through code that it runs for the first time.
 * Whether it lives shows then. */
int vm_thaw_for_call(nova_host_t *host, struct frozen *frozen, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);

/* --- zygotes: VMs that stand still, and are forked as processes for each start --- */

/* Why clones of it cannot be made so; NULL: they can. Lent. The first time it is found out, which
 * takes two seconds at most. */
const char *frozen_hot_obstacle(nova_host_t *host, const struct frozen *frozen);
/* An input of its function's, which the user wants it to be called with ahead. */
struct vm_sample {
	const char *input; /* JSON; NULL: none */
	uint32_t timeout_ms;
};
/* A clone that does what its children need not do again, `sample` (borrowed) included. Then
 * vm_zygote_settle(): 1: it is paused for good; 0: it is still at it. */
int vm_zygote_new(nova_host_t *host, struct frozen *frozen, const struct vm_sample *sample,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error);
int vm_zygote_settle(nova_vm_t *vm, const struct stop *stop, nova_error_t **error);
/* As vm_thaw_for_call() of what the zygote was made of; with another code disk if `code_disk` is
 * not NULL (frozen_with_code()). 1: that is done; 0: not so, for the reason in `why`, and the
 * zygote is as it was. Several threads come one after the other. */
int vm_zygote_fork(nova_vm_t *zygote, const char *code_disk, const struct stop *stop,
	nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error);
/* The same ahead of its use: until vm_unpark() it has no more than a process, which does nothing.
 * Then 0: it cannot be used, for the reason in `why`. */
int vm_zygote_park(nova_vm_t *zygote, const struct stop *stop, nova_vm_t **ret_vm,
	char why[VM_PATH_WHY], nova_error_t **error);
/* So many of its last children were lost before anybody's code could run in them. */
unsigned vm_children_lost(const nova_vm_t *zygote);
int vm_unpark(nova_vm_t *vm, const struct stop *stop, char why[VM_PATH_WHY], nova_error_t **error);

/* --- standby: VMMs that have come up and wait for the next clone of a base. In a fork of the
 * process all of these do nothing --- */

/* There shall be `count` for that base and shape, for `life_ms` from now. Nothing is started; 0:
 * the next standby_tend() ends them. NOVA_ENOMEM. */
int standby_keep(nova_host_t *host, struct frozen *frozen, size_t count, uint64_t life_ms);
/* Starts what is missing, ends what is dead, over or unwanted. Milliseconds until there is
 * something to do; -1: nothing. */
int64_t standby_tend(nova_host_t *host);
/* Ends those of that base and shape. */
void standby_drop(nova_host_t *host, const struct frozen *frozen);
size_t standby_count(nova_host_t *host);

/* --- snapshots that belong to somebody --- */

/* As nova_vm_snapshot(); `owner` is a text of the caller's own, "": nobody, NULL: that of the VM.
 */
int vm_snapshot(nova_vm_t *vm, const char *owner, const nova_snapshot_opts *opts,
	const struct stop *stop, nova_snapshot_t **ret_snapshot, nova_error_t **error);
/* As nova_vm_restore(). */
int vm_restore(nova_host_t *host, const nova_snapshot_t *snapshot, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);
/* One more who has the handle. */
nova_snapshot_t *snapshot_ref(const nova_snapshot_t *snapshot);
const char *snapshot_owner(const nova_snapshot_t *snapshot);
const char *snapshot_engine(const nova_snapshot_t *snapshot);
uint32_t snapshot_memory_mb(const nova_snapshot_t *snapshot);
uint32_t snapshot_vcpus(const nova_snapshot_t *snapshot);
/* NOVA_EINVAL: no name for a snapshot. */
int snapshot_check_name(const char *name, nova_error_t **error);
/* Nor NOVA_EEXIST: it is taken; or the code of why nobody can tell. */
int snapshot_check_new_name(nova_host_t *host, const char *name, nova_error_t **error);

static inline uint64_t us_since(uint64_t begin_ns)
{
	return (clock_ns() - begin_ns) / 1000u;
}

#endif
