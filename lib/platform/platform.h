/* SPDX-License-Identifier: MIT */
/* The door of platform: nova_t, its instances, and what nova_invoke() asks of it. */
#ifndef NOVA_LIB_PLATFORM_H
#define NOVA_LIB_PLATFORM_H

#include <pthread.h>
#include <stdatomic.h>

#include <nova/function.h>
#include <nova/instance.h>
#include <nova/run.h>

#include "base/base.h"
#include "base/list.h"
#include "job/job.h"
#include "keys/keys.h"
#include "kv/kv.h"
#include "pool/pool.h"
#include "rate/rate.h"
#include "registry/registry.h"
#include "secret/secret.h"
#include "usage/usage.h"
#include "vm/vm.h"

#define FUNCTION_POOL_KEY 96 /* id and version; and for VMs of another kind a hash of that */
/* VMs are interchangeable for one version of one function. */
void function_pool_key(const struct function_record *record, char out[FUNCTION_POOL_KEY]);

/* --- replicas.c: VMs that are kept warm --- */

/* What the pool was asked to keep, as of one stamp of the store. */
/* Sorted. */
struct pool_keys {
	char (*list)[FUNCTION_POOL_KEY];
	size_t count;
};

struct replicas {
	pthread_mutex_t lock;
	bool known; /* there was a stamp */
	uint64_t stamp;
	/* of the functions then in the store, and of those that want VMs kept */
	struct pool_keys all, kept;
};
int replicas_init(struct replicas *replicas, nova_error_t **error);
void replicas_done(struct replicas *replicas);
/* At each tick of the pool: asks it to keep what the functions in the store want, and to end the
 * VMs of those that are gone, whichever process has deleted or replaced them. `nova` is a struct
 * nova. */
void replicas_apply(void *nova);

/* --- nova_t --- */

struct call_log;
struct meter;

struct nova {
	nova_host_t *host;
	nova_pool_t *pool; /* NULL in tests that need no VM */
	struct registry registry;
	struct keys keys;
	struct secrets secrets;
	struct kv kv;
	struct rates *rates;
	atomic_uint_fast64_t rate_look_at; /* not before is a store asked again that was away */
	struct jobs *jobs;                 /* NULL: there is no Redis */
	pthread_mutex_t instances_lock;    /* guards the list */
	struct link instances;             /* the oldest first */
	struct replicas replicas;
	struct call_log *log;
	struct meter *meter;
};

/* --- lease.c: a VM for a call or an instance, and its way back --- */

/* What the pool is asked for on behalf of a function. Points into itself and into the record: does
 * not move, and the record stays. */
struct function_want {
	char key[FUNCTION_POOL_KEY];
	struct function_vm of;
	struct pool_want want;
};
int function_want_init(struct function_want *want, const struct nova *nova,
	const struct function_record *record, const nova_instance_opts *machine,
	nova_error_t **error);
void function_want_done(struct function_want *want);

struct lease_request {
	const char *key; /* whose plan has to have room for it; NULL: nobody's */
	bool fresh;      /* nobody may have used it */
	char *snapshot;  /* to go on from, which nobody has used either; NULL: none */
	/* of code that is run once, which no function of the store has; NULL: none */
	char *code_disk;
	char *compiled; /* of that, where its machine code is kept; NULL: nowhere */
	bool program;   /* its code is not looked through for a handler */
	/* what its machine has of its own; NULL: nothing */
	const nova_instance_opts *machine;
	uint32_t queue_timeout_ms; /* 0: that of the pool */
	const struct stop *stop;   /* what may end the call; NULL: nothing */
	struct progress progress;
};

/* Of what a key may hold at a time. */
struct holding {
	struct holder *of; /* NULL: nothing is held */
	uint32_t vcpus, memory_mb;
};

struct lease {
	nova_vm_t *vm;
	struct holding holding; /* until it is returned, or its VM is seen dead */
	int cold;
	/* Forked for this call, it has answered nobody yet, nor run code that is run once. */
	bool unheard;
	uint64_t took_us, part_us[VM_TIMINGS];
};

/* Replaces *function by what it is now should its code disk be gone. */
int lease_take(struct nova *nova, nova_function_t **function, const struct lease_request *request,
	struct lease *ret_lease, nova_error_t **error);
void lease_return(struct nova *nova, struct lease *lease, bool reusable);
/* Makes nova_vm_snapshot() of its VM do as lease_snapshot(). Before others know of the VM. */
int lease_lend(struct lease *lease, const struct function_record *record, nova_error_t **error);
/* A snapshot that is known to be of this function. */
int lease_snapshot(const struct lease *lease, const struct function_record *record,
	const nova_snapshot_opts *opts, const struct stop *stop, nova_snapshot_t **ret_snapshot,
	nova_error_t **error);

/* --- instance.c --- */

struct nova_instance {
	atomic_uint references;
	struct link link;  /* in nova->instances */
	bool listed;       /* it can be found there */
	struct nova *nova; /* NULL once that is closed */
	nova_vm_t *vm;     /* lent to all who have a handle, dead or alive; NULL as well */
	int64_t owner;     /* of its context */
	nova_function_t *function;
	char id[9], vm_id[9];
	char *name;
	uint64_t created_us;
	struct lease lease;
	char key[USAGE_TEXT + 1]; /* whose usage it is */
	uint32_t memory_mb, vcpus;
	atomic_uint_fast64_t metered_us; /* monotonic: up to here usage has been recorded; 0: none
					    is */
	pthread_mutex_t lock;            /* guards those below */
	pthread_cond_t left; /* there are no users any more; somebody is in a hurry; it is gone */
	uint32_t users;
	bool ended;        /* it is being stopped, or has been */
	uint64_t deadline; /* for those in it, from then on: the earliest of those who stop it */
	uint32_t grace_ms; /* that led to it */
	bool killed;       /* at that deadline */
	bool gone;         /* its VM, and it from the list */
	int end_code;      /* of its end, for all who stop it */
};

nova_instance_t *instance_ref(nova_instance_t *instance);
/* As nova_instance_start(), with more that may end it. */
int instance_start(nova_t *nova, const nova_instance_opts *opts, const struct stop *stop,
	nova_instance_t **ret_instance, nova_error_t **error);
/* It is not stopped before instance_leave(), unless time is up. NOVA_ELOST: it has been. */
int instance_enter(nova_instance_t *instance, nova_error_t **error);
void instance_leave(nova_instance_t *instance);
/* Whether one runs that version, or any version if it was not published. Writes its name. */
bool instances_run(
	struct nova *nova, const nova_function_t *function, char ret_name[RECORD_NAME_MAX + 1]);
/* Of those that run; false: none does. */
bool instances_measure(nova_t *nova);
/* All, when nothing else goes on. */
void instances_end(struct nova *nova);

/* --- invoke.c: one call, from its options to its result --- */

enum fate {
	FATE_OPEN,
	FATE_BEGUN /* the request has been in a VM, or is about to be sent to one */,
	FATE_CALLED_OFF
};

/* A call whose request has been checked. Does not move in memory. */
struct invocation {
	nova_t *nova; /* set before invocation_prepare() */
	nova_function_t *function;
	struct vm_exec exec;
	struct secret_set *secrets;  /* of the function; NULL: it has none */
	nova_function_t *secrets_of; /* whose variables they point into; NULL: not found yet */
	bool checkpoint;
	char *checkpoint_name; /* NULL: the snapshot is named by its id */
	/* its token, and around it what is set before invocation_run() */
	struct stop stop;
	int fate; /* atomic */
	struct lease_request request;
	struct lease lease;        /* the VM in it is there during the run only */
	nova_instance_t *instance; /* that it runs in; NULL: a VM of the pool */
	uint64_t begin_ns, prepared_ns;
	uint64_t started_us; /* wall clock; 0: it was refused, and leaves no record */
	size_t input_size;
	atomic_bool logged;
	const char *if_label;     /* as in nova_job_opts; set before invocation_prepare() */
	char key[USAGE_TEXT + 1]; /* whose usage it is */
	uint64_t used_us;         /* it had a VM, or shared one */
	bool has_run;
};

/* Takes what nova_invoke() takes; fails where nothing has run. To be followed by invocation_done()
 * in every case. */
int invocation_prepare(struct invocation *c, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_error_t **error);
/* As the last part of that. */
int invocation_find_secrets(struct invocation *c, nova_error_t **error);
/* Any thread. True: nothing of the call has run, nor will it, whatever its thread is waiting for.
 * False: what stops it has to be triggered. */
bool invocation_call_off(struct invocation *c);
/* As nova_invoke(), with what is set in *c. */
int invocation_call(struct invocation *c, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_result_t **ret_result, nova_error_t **error);
/* Waits for the answer. *ret_result must be NULL. */
int invocation_run(struct invocation *c, nova_result_t **ret_result, nova_error_t **error);
void invocation_done(struct invocation *c);
/* Its request is whole and will be run: from here on it leaves a record. */
void invocation_accepted(struct invocation *c, size_t input_size);

/* --- log.c: what calls leave behind --- */

/* Opens nothing yet. NULL: out of memory. */
struct call_log *call_log_new(nova_t *nova);
/* Nothing is logged before. */
/* The codes of redis_open(). */
int call_log_configure(struct call_log *log, const nova_config_t *config, nova_error_t **error);
/* Writes what has not been written. */
void call_log_close(struct call_log *log);
/* A call has come to its end; once. Does not wait for the disk, unless nobody has ticked the pool
 * for a while, or more calls end than are written. */
void call_log_note(
	struct invocation *c, int code, const nova_result_t *result, const nova_error_t *failure);
/* At each tick of the pool. */
void call_log_tick(struct call_log *log);

/* --- rate.c: how often functions are called --- */

/* NOVA_ELIMIT, with the time after which there is a call again; NOVA_ENOMEM. `may_be_old`: it is a
 * published version, or as it was when an instance was started. */
int rate_admit(
	nova_t *nova, const nova_function_t *function, bool may_be_old, nova_error_t **error);

/* --- meter.c: what is used --- */

/* Opens nothing yet. `measure`: at each tick, what takes time as it goes on; false: nothing does.
 * NULL: out of memory. */
struct meter *meter_new(nova_t *nova, bool (*measure)(nova_t *));
/* Nothing is recorded before. NOVA_ECONFIG. */
int meter_configure(struct meter *meter, const nova_config_t *config, nova_error_t **error);
/* Takes what is in the journal into the store. */
void meter_close(struct meter *meter);
/* At each tick of the pool. */
void meter_tick(struct meter *meter);
/* NOVA_ELIMIT: what the plan has is used up. */
int meter_admit(struct meter *meter, nova_error_t **error);
/* Whether a plan limits what keys hold. */
bool meter_is_limited(const struct meter *meter);
/* Has `more` held by that key, until meter_let_go(). NOVA_ELIMIT: the plan has not that much. */
int meter_hold(struct meter *meter, const char *key, struct holding *more, nova_error_t **error);
void meter_let_go(struct meter *meter, struct holding *holding);
int meter_check_key(const char *key, char out[USAGE_TEXT + 1], nova_error_t **error);
/* A call has come to its end; once, before its answer leaves. */
void meter_call(const struct invocation *c, const nova_result_t *result);
/* From when on an instance is used; the time since then, or since the time before; its end. */
void meter_instance_begin(nova_instance_t *instance);
void meter_instance(nova_instance_t *instance, bool last);

/* --- run.c --- */

/* As invocation_prepare(), of what nova_run() takes. */
int invocation_prepare_run(struct invocation *c, const char *language, const char *code,
	const nova_run_opts *opts, nova_error_t **error);

/* --- mode.c --- */

/* Checks the options that say where the call runs and what it leaves, and copies them. */
int mode_prepare(struct invocation *c, const nova_invoke_opts *opts, nova_error_t **error);
/* No VM will do that somebody has used, but for that of an instance. */
bool needs_new_vm(const nova_invoke_opts *opts);
/* NOVA_ENOTSUP: the engine takes no snapshots. */
int mode_check_engine(struct nova *nova, nova_error_t **error);

#endif
