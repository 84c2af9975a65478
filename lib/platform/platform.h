/* SPDX-License-Identifier: MIT */
/*
 * The door of platform: nova_t, the registry of functions, and what nova_invoke() asks of it.
 *
 * On disk, below the state directory: the store (sqlite: nova.db), and disks/ with one image per
 * code, named by its own SHA-256. disks/.lock is held by whoever adds or removes an image together
 * with the record that uses it, so a record without its image cannot come to be, in whichever order
 * processes run or die. A process that dies leaves at most an image without user or an unfinished
 * one; the next registry_open() removes both.
 */
#ifndef NOVA_LIB_PLATFORM_H
#define NOVA_LIB_PLATFORM_H

#include <pthread.h>
#include <stdatomic.h>

#include <nova/function.h>
#include <nova/instance.h>

#include "base/base.h"
#include "pool/pool.h"
#include "store/store.h"
#include "vm/vm.h"

/* --- runtimes --- */

/* What the code of a runtime must look like before it is accepted. */
enum code_form {
	CODE_ANY,
	CODE_SOURCE_OR_ELF, /* if it is an ELF, it must be one that runs in the guest */
	CODE_ELF,
	CODE_WASM,
};

struct runtime {
	const char *name;
	const char *image; /* root filesystem */
	enum code_form form;
	const char *advice; /* how to make code of that form */
	/* with less the guest does not boot, or a function cannot be imported */
	uint32_t least_mb;
};

/* NULL: no such runtime. */
const struct runtime *runtime_find(const char *name);
/* NOVA_EINVAL with the least that is needed. A runtime that is not known has no least. */
int runtime_check_memory(const char *name, uint32_t memory_mb, nova_error_t **error);
/* The names, ending with NULL. */
const char *const *runtime_names(void);

/* --- code --- */

/* Checks that the code fits the runtime: NOVA_EINVAL with the way out, NOVA_ENOTFOUND, NOVA_EPERM.
 * What of a directory will not be in the guest is told to the log. */
int code_check(const struct runtime *runtime, const nova_function_opts *opts, const char *handler,
	const struct logger *log, nova_error_t **error);

/* --- function objects --- */

/* Immutable and counted, so the cache and any number of threads can share one. */
struct nova_function {
	atomic_uint references;
	struct function_record record;
};

/* Takes the content of the record, which is then empty. NULL: out of memory, the record is as it
 * was. */
nova_function_t *function_new(struct function_record *record);
nova_function_t *function_ref(nova_function_t *function);
static inline void function_freep(nova_function_t **function)
{
	nova_function_free(*function);
}
#define AUTO_FUNCTION CLEANUP(function_freep)

#define FUNCTION_POOL_KEY 96 /* id and version; and for VMs of another kind what they are */
/* VMs are interchangeable for one version of one function. */
void function_pool_key(const struct function_record *record, char out[FUNCTION_POOL_KEY]);

/* --- cache --- */

#define CACHE_BUCKETS 256u
#define CACHE_MAX     1024u

struct cache_entry;

/* Functions as they were at one stamp of the store; another stamp empties it. */
struct function_cache {
	pthread_mutex_t lock; /* guards all below */
	uint64_t stamp;
	size_t count;
	struct cache_entry *buckets[CACHE_BUCKETS];
};

int cache_init(struct function_cache *cache, nova_error_t **error);
void cache_free(struct function_cache *cache);
/* A new reference, or NULL. */
nova_function_t *cache_get(struct function_cache *cache, uint64_t stamp, const char *name);
/* Remembers what was read after `stamp`; forgetting to is no failure. */
void cache_put(struct function_cache *cache, uint64_t stamp, nova_function_t *function);

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

struct nova {
	nova_host_t *host;
	nova_pool_t *pool;   /* NULL in tests that need no VM */
	char *home;          /* state directory */
	struct store *store; /* opened and closed by the registry, as the members below */
	char *disks;         /* home/disks */
	struct function_cache cache;
	pthread_mutex_t instances_lock; /* guards the list */
	nova_instance_t *instances;     /* the oldest first */
	struct replicas replicas;
};

/* Makes the state directory `nova->home` if needed, opens the store named by the setting `store`,
 * and removes what a killed process left in disks/. On failure nothing is open. */
int registry_open(struct nova *nova, const char *store_name, nova_error_t **error);
/* Accepts a registry that was never opened (all members zero). */
void registry_close(struct nova *nova);

/* As nova_function_get(), in microseconds for a function that was looked up before; sees what other
 * processes changed. */
int registry_lookup(
	struct nova *nova, const char *name, nova_function_t **ret_function, nova_error_t **error);

/*
 * Path of a code disk; NULL: out of memory. Between lookup and use another process may delete or
 * replace the function, and its image with it: who finds no file there looks the function up again.
 */
char *registry_disk_path(const struct nova *nova, const char *code_hash);

/* --- lease.c: a VM for a call or an instance, and its way back --- */

/* What the pool is asked for on behalf of a function. Points into itself and into the record: does
 * not move, and the record stays. */
struct function_want {
	char key[FUNCTION_POOL_KEY];
	char *disk;
	char *facts[2];   /* variables that tell a function of itself */
	const char **env; /* these, and the function's own */
	nova_vm_opts vm;
	nova_vm_init_opts init;
	nova_pool_want want;
};
int function_want_init(struct function_want *want, const struct nova *nova,
	const struct function_record *record, nova_error_t **error);
void function_want_done(struct function_want *want);

struct lease_wish {
	bool fresh;                /* nobody may have used it */
	char *snapshot;            /* to go on from, which nobody has used either; NULL: none */
	uint32_t memory_mb, vcpus; /* 0: those of the function */
	uint32_t queue_timeout_ms; /* 0: that of the pool */
	const struct stop *stop;   /* what may end the call; NULL: nothing */
};

struct lease {
	nova_vm_t *vm;
	int cold;
	uint64_t took_us, part_us[VM_TIMINGS];
};

/* Replaces *function by what it is now should its code disk be gone. */
int lease_take(struct nova *nova, nova_function_t **function, const struct lease_wish *wish,
	struct lease *ret_lease, nova_error_t **error);
void lease_return(struct nova *nova, struct lease *lease, bool reusable);
/* A snapshot that is known to be of this function. */
int lease_snapshot(const struct lease *lease, const struct function_record *record,
	const nova_snapshot_opts *opts, const struct stop *stop, nova_snapshot_t **ret_snapshot,
	nova_error_t **error);

/* --- instance.c --- */

struct nova_instance {
	atomic_uint references;
	nova_instance_t *next; /* in nova->instances */
	struct nova *nova;     /* which a handle may outlive */
	int64_t owner;         /* of its context */
	nova_function_t *function;
	char id[9], vm_id[9];
	char *name;
	uint64_t created_us;
	struct lease lease;   /* its VM is there until `ended`, and longer for users */
	pthread_mutex_t lock; /* guards those below */
	pthread_cond_t left;  /* there are no users any more; somebody is in a hurry; it is gone */
	uint32_t users;
	bool ended;        /* it is being stopped, or has been */
	uint64_t deadline; /* for those in it, from then on: the earliest of those who stop it */
	uint32_t grace_ms; /* that led to it */
	bool killed;       /* at that deadline */
	bool gone;         /* its VM, and it from the list */
	int end_code;      /* of its end, for all who stop it */
};

/* `name` NULL: its id. */
int instance_start(struct nova *nova, nova_function_t **function, const char *name,
	const struct lease_wish *wish, nova_instance_t **ret_instance, nova_error_t **error);
/* Its VM stays until instance_leave(). NOVA_ELOST: it has been stopped. */
int instance_enter(nova_instance_t *instance, nova_error_t **error);
void instance_leave(nova_instance_t *instance);
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
	nova_t *nova;              /* this and the next are set before invocation_prepare() */
	nova_function_t *function; /* NULL: it is looked up by name */
	struct vm_exec exec;
	uint32_t mode;
	bool checkpoint_after;
	char *snapshot_after; /* NULL: the snapshot is named by its id */
	/* its token, and around it what is set before invocation_run() */
	struct stop stop;
	int fate; /* atomic */
	struct lease_wish wish;
	struct lease lease;        /* the VM in it is there during the run only */
	nova_instance_t *instance; /* NULL: none, or none yet */
	uint64_t begin_ns, prepared_ns;
};

/* Takes what nova_invoke() takes; fails where nothing has run. To be followed by invocation_done()
 * in every case. */
int invocation_prepare(struct invocation *c, const char *function, const void *payload,
	size_t payload_len, const nova_invoke_opts *opts, nova_error_t **error);
/* Any thread. True: nothing of the call has run, nor will it, whatever its thread is waiting for.
 * False: what stops it has to be triggered. */
bool invocation_call_off(struct invocation *c);
/* Waits for the answer. *ret_result must be NULL. */
int invocation_run(struct invocation *c, nova_result_t **ret_result, nova_error_t **error);
void invocation_done(struct invocation *c);

/* --- mode.c --- */

/* With c->function: checks the options that concern the mode, and copies them. */
int mode_prepare(struct invocation *c, const nova_invoke_opts *opts, nova_error_t **error);
/* NOVA_ENOTSUP: the engine takes no snapshots. */
int mode_check_engine(struct nova *nova, nova_error_t **error);

#endif
