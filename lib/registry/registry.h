/* SPDX-License-Identifier: MIT */
/*
 * The door of registry: functions by name, with their code, and runtimes by name.
 *
 * The store keeps the records, blobs the images that their code became, and the root filesystems of
 * runtimes that are not built in. Whoever adds or removes an image together with the record that
 * uses it has the lock of the blobs meanwhile, so a record without its image cannot come to be, in
 * whichever order processes run or die. A process that dies leaves at most an image without user or
 * an unfinished one; the next registry_open() removes both.
 */
#ifndef NOVA_LIB_REGISTRY_H
#define NOVA_LIB_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include <nova/function.h>
#include <nova/instance.h>
#include <nova/run.h>
#include <nova/runtime.h>
#include <nova/version.h>

#include "base/list.h"
#include "base/table.h"
#include "blob/blob.h"
#include "host/host.h"
#include "secret/secret.h"
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

#define IMPORT_LIMIT_S 30u

struct runtime {
	nova_runtime is;   /* what everybody may know of it; with less than its least memory the
			      guest does not boot, or a function cannot be imported */
	const char *image; /* its root filesystem, as in struct runtime_record */
	enum code_form form;
	const char *advice; /* how to make code of that form */
	uint32_t import_s;  /* what an import may take at least; 0: IMPORT_LIMIT_S */
	/* where its interpreter is, the first that is there; none: it has none, or names it */
	const char *programs[4];
	/* endings of the file of a module; none: the code is the file `handler` only */
	const char *modules[8];
	const char *main_too; /* how the module main may be called as well; NULL: not at all */
	bool handler_is_file; /* the handler, if there is one, is the name of the code's file */
	/* What code has that is run as a script. NULL: no code is imported, and all is run. */
	const char *no_handler;
	bool opens;         /* its functions have preopens */
	bool in_place;      /* its calls can be, or are always */
	const char *client; /* that installs packages (deps); NULL: none does */
};

/* One that is built in, by its name or alias, or in the order in which they are shown. NULL: none.
 */
const struct runtime *runtime_built_in(const char *name);
const struct runtime *runtime_at(size_t index);
/* The one whose warm protocol a runtime of the user's own has, or one with the rules for those that
 * have none. NULL: there is no such protocol. */
const struct runtime *runtime_of_protocol(const char *protocol);
/* The one whose rules are those of a function: its own, or that of its protocol. NULL: this library
 * does not know it. */
const struct runtime *runtime_rules(const struct function_config *config);
/* NOVA_EINVAL with the least that is needed. A runtime that is not known has no least. */
int runtime_check_memory(
	const struct function_config *config, uint32_t memory_mb, nova_error_t **error);
/* NOVA_EINVAL: it has some, and its runtime opens no directories. */
int runtime_check_preopens(const struct function_config *config, nova_error_t **error);
/* NOVA_EINVAL: its calls are no programs, or, with `is_module`, no modules of WebAssembly. */
int runtime_check_program(
	const struct function_config *config, bool is_module, nova_error_t **error);
/* What the VMs of a function with it are given. */
int runtime_give(
	const struct runtime *runtime, struct function_config *config, nova_error_t **error);
/* Of one that is built in, too, which stays. */
void runtime_free(const struct runtime *runtime);
static inline void runtime_freep(const struct runtime **runtime)
{
	runtime_free(*runtime);
}
#define AUTO_RUNTIME CLEANUP(runtime_freep)

/* --- function objects --- */

/* Immutable and counted, so the cache and any number of threads can share one. */
struct nova_function {
	atomic_uint references;
	bool published; /* a version that was published, and not the function as it is now */
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

/* --- cache --- */

#define CACHE_MAX 1024u

/* What a name stands for: a function or a version of it, or two that share the calls. */
struct named_function {
	nova_function_t *function, *second; /* of 100 calls `weight` go to the second; NULL: none */
	uint32_t weight;
};
void named_function_clear(struct named_function *named);

/* Functions as they were at one stamp of the store; another stamp empties it. */
struct function_cache {
	pthread_mutex_t lock; /* guards all below */
	uint64_t stamp;
	uint64_t draws;         /* state of the random numbers that share out calls */
	struct table functions; /* by name */
	struct link entries;    /* the same */
};

int cache_init(struct function_cache *cache, nova_error_t **error);
void cache_free(struct function_cache *cache);
/* A new reference, or NULL. Of two by chance. */
nova_function_t *cache_get(struct function_cache *cache, uint64_t stamp, const char *name);
/* Remembers what was read after `stamp`; forgetting to is no failure. A new reference as above. */
nova_function_t *cache_put(struct function_cache *cache, uint64_t stamp, const char *name,
	const struct named_function *named);

/* --- the registry --- */

struct registry {
	nova_host_t *host;       /* NULL in tests that need no VM; set, and kept, by the caller */
	struct secrets *secrets; /* the same; NULL: functions have none */
	struct store *store;     /* this and those below are opened and closed here */
	char *home;              /* state directory */
	struct blobs *blobs;     /* images of code */
	struct function_cache cache;
	const struct template_clones *clones; /* for trials, lent; NULL: none. By the caller */
};

/* Makes the state directory if needed, opens the store of these settings, which are not kept, and
 * removes what a killed process left in disks/. On failure nothing is open. */
int registry_open(struct registry *registry, const nova_config_t *config, nova_error_t **error);
/* Accepts one that was never opened (all members zero). */
void registry_close(struct registry *registry);
/* 0; NOVA_EBUSY in a fork of the process, where neither the store's connection nor any lock can be
 * used. */
int registry_check_process(const struct registry *registry, nova_error_t **error);

/* As nova_function_get(), in microseconds for a name that was looked up before; sees what other
 * processes changed. */
int registry_lookup(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error);
/* As nova_function_list(). `filter` has been checked. */
int registry_list(struct registry *registry, const struct function_filter *filter,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error);
/* As nova_function_register(), of whole options. *ret_former (empty): the version that it
 * replaces, if it does. */
int registry_register(struct registry *registry, const nova_function_opts *opts,
	struct function_record *ret_former, nova_function_t **ret_function, nova_error_t **error);
/* As nova_function_check(). */
int registry_check_code(struct registry *registry, const char *name, nova_error_t **error);
/* As nova_function_update(). */
int registry_update(struct registry *registry, const char *name,
	const nova_function_update_opts *opts, struct function_record *ret_former,
	nova_function_t **ret_function, nova_error_t **error);
/* As nova_function_delete_with(), of whole options. *ret_function is what it was. */
int registry_delete(struct registry *registry, const char *name,
	const nova_function_delete_opts *opts, nova_function_t **ret_function,
	nova_error_t **error);
/* Whether VMs of that version of a function are of use to anybody. */
bool registry_has_key(struct registry *registry, const struct function_record *record);

/* --- archive.c --- */

/* The store of what functions keep. */
struct kept {
	/* NULL in *ret_store: nothing is kept; not if it `makes` one. */
	int (*open)(void *userdata, bool makes, struct store **ret_store, nova_error_t **error);
	void *userdata;
};

/* As nova_export() and nova_import(). */
int registry_export(
	struct registry *registry, const struct kept *kept, const char *path, nova_error_t **error);
int registry_import(struct registry *registry, const struct kept *kept, const char *path,
	bool merges, nova_error_t **error);

/* --- versions.c, aliases.c --- */

/* As the calls of nova/version.h. */
int registry_publish(struct registry *registry, const char *name, nova_function_t **ret_function,
	nova_error_t **error);
int registry_list_versions(struct registry *registry, const char *name,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error);
int registry_set_alias(struct registry *registry, const nova_alias_opts *opts,
	const nova_alias **ret_alias, nova_error_t **error);
int registry_get_alias(struct registry *registry, const char *function, const char *name,
	const nova_alias **ret_alias, nova_error_t **error);
int registry_list_aliases(struct registry *registry, const char *function,
	const nova_alias ***ret_aliases, size_t *ret_count, nova_error_t **error);
int registry_delete_alias(
	struct registry *registry, const char *function, const char *name, nova_error_t **error);

/* --- once.c --- */

/* Of what nova_run() takes, in whole options. The caller frees all three. */
struct once {
	nova_function_t *function; /* nobody can look it up; no code_hash, and an id of its own */
	char *disk;                /* with its code, in the run directory; the caller removes it */
	char *compiled;            /* where machine code of it is kept; NULL: it is not */
};
int registry_make_once(struct registry *registry, const char *language, const char *code,
	const nova_run_opts *opts, struct once *ret_once, nova_error_t **error);

/* --- runtimes of the user's own, and those that are built in --- */

/* Any runtime. Free it with runtime_free(). NOVA_ENOTFOUND, with all names or the nearest. */
int registry_find_runtime(struct registry *registry, const char *name,
	const struct runtime **ret_runtime, nova_error_t **error);
/* The same as an option of something else: one that is missing is NOVA_EINVAL. */
int registry_get_runtime(struct registry *registry, const char *name,
	const struct runtime **ret_runtime, nova_error_t **error);
/* As the calls of nova/runtime.h. */
int registry_register_runtime(struct registry *registry, const nova_runtime_opts *opts,
	const struct runtime **ret_runtime, nova_error_t **error);
int registry_list_runtimes(struct registry *registry, const nova_runtime ***ret_runtimes,
	size_t *ret_count, nova_error_t **error);
int registry_delete_runtime(struct registry *registry, const char *name, nova_error_t **error);
int registry_check_runtime(struct registry *registry, const char *name, nova_error_t **error);

/* Whether the files of a function are there: NOVA_ECORRUPT, with the way out, if one is gone. */
int registry_check_files(const struct registry *registry, const struct function_record *record,
	nova_error_t **error);

/* --- vm.c --- */

/* What a VM of a function is started with, and given. Points into itself and into the record: does
 * not move, and the record stays. */
struct function_vm {
	const struct function_config *config; /* the function's, or this one */
	struct function_config own;
	char *disk, *rootfs, *compiled;
	char *facts[2]; /* variables that tell a function of itself */
	char **env;     /* these, and the function's own */
	struct vm_spec vm;
};
/* `machine`: what it has instead of what the function's have; NULL: nothing. `disk`: the image of
 * its code where that is not stored yet, else NULL. A record without code_hash has none. */
int function_vm_init(struct function_vm *ret_vm, const struct registry *registry,
	const struct function_record *record, const char *disk, const nova_instance_opts *machine,
	nova_error_t **error);
void function_vm_done(struct function_vm *vm);
/* What a VM has for a function of that runtime that asks for nothing, but for its code. To be
 * followed by vm_spec_done() in any case. NOVA_EINVAL. */
int runtime_vm_spec(struct registry *registry, const char *name, struct vm_spec *ret_spec,
	nova_error_t **error);

#endif
