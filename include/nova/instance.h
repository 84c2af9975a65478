/* SPDX-License-Identifier: MIT */
/**
 * @file nova/instance.h
 * Instances: VMs of one function that stay until they are stopped. What a call leaves in /tmp, or
 * in the memory of a function that works in place, is there for the next one.
 *
 *     nova_instance_start(nova, &opts, &instance, NULL);
 *     invoke.instance = instance;
 *     nova_invoke(nova, NULL, "{}", &invoke, &result, NULL);
 *     nova_instance_stop(instance, 0, NULL);
 *     nova_instance_free(instance);
 *
 * The platform owns its instances: they live, and can be found by name or id, until
 * nova_instance_stop() or nova_close(), whoever holds a handle. A handle is good for as long as its
 * holder keeps it; once the instance has ended, calls fail with #NOVA_ELOST. An instance whose VM
 * died stays in the list as #NOVA_VM_DEAD until it is stopped. Each counts as a VM against the
 * limits of the pool.
 *
 * An instance goes on with the function as it was when it was started, also when that is replaced
 * or deleted.
 *
 * Threads: every call may be made from any thread at any time; calls that run something in one
 * instance wait for one another.
 */
#ifndef NOVA_INSTANCE_H
#define NOVA_INSTANCE_H

#include <nova/base.h>
#include <nova/function.h>
#include <nova/result.h>
#include <nova/snapshot.h>
#include <nova/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Options of nova_instance_start(). Since 0.1. */
typedef struct nova_instance_opts {
	size_t size;          /**< sizeof(nova_instance_opts) */
	const char *function; /**< required */
	/** 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit; unique
	 * among the instances; NULL: the id */
	const char *name;
	/** name or id of a snapshot of this function to go on from; NULL: begin anew */
	const char *snapshot;
	/** 64 to 65536, for Python from 96; 0: the function's. Not with a snapshot, which has its
	 * own */
	uint32_t memory_mb;
	uint32_t vcpus; /**< 1 to 32; 0: the function's. Not with a snapshot */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
} nova_instance_opts;
#define NOVA_INSTANCE_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_instance_opts), 0, 0, 0, 0, 0, 0                                       \
	}

/**
 * Starts an instance.
 * @param ret_instance a handle, to be freed with nova_instance_free(); may be NULL
 * @return 0; NOVA_EEXIST for a name that is taken; NOVA_EINVAL; NOVA_ENOTFOUND (function,
 * snapshot); the codes of nova_pool_acquire() and nova_vm_restore(). Since 0.1.
 */
NOVA_API int nova_instance_start(nova_t *nova, const nova_instance_opts *opts,
	nova_instance_t **ret_instance, nova_error_t **error);

/** Finds an instance by id or name. @return 0; NOVA_ENOTFOUND. Since 0.1. */
NOVA_API int nova_instance_get(
	nova_t *nova, const char *name, nova_instance_t **ret_instance, nova_error_t **error);

/** All instances, the oldest first. Free with nova_instance_list_free(). @return 0; NOVA_ENOMEM.
 * Since 0.1. */
NOVA_API int nova_instance_list(
	nova_t *nova, nova_instance_t ***ret_instances, size_t *ret_count, nova_error_t **error);

/** Lets go of a handle; the instance goes on. NULL is accepted. Since 0.1. */
NOVA_API void nova_instance_free(nova_instance_t *instance);

/** Frees what nova_instance_list() gave. Since 0.1. */
NOVA_API void nova_instance_list_free(nova_instance_t **instances, size_t count);

/** 8 hex digits. Since 0.1. */
NOVA_API const char *nova_instance_id(const nova_instance_t *instance);
NOVA_API const char *nova_instance_name(const nova_instance_t *instance); /**< Since 0.1. */
/** name of its function. Since 0.1. */
NOVA_API const char *nova_instance_function(const nova_instance_t *instance);
/** version of the function that it runs. Since 0.1. */
NOVA_API uint32_t nova_instance_version(const nova_instance_t *instance);
NOVA_API const char *nova_instance_vm_id(const nova_instance_t *instance); /**< Since 0.1. */
/** microseconds since 1970. Since 0.1. */
NOVA_API uint64_t nova_instance_created_us(const nova_instance_t *instance);
/** one of #nova_vm_state, as of now; NOVA_EBUSY after fork(). Since 0.1. */
NOVA_API int nova_instance_state(nova_instance_t *instance);
/** The whole instance as one JSON object. Free with nova_free(); NULL when out of memory, or after
 * fork(). Since 0.1. */
NOVA_API char *nova_instance_to_json(nova_instance_t *instance);

/**
 * The VM of an instance, for everything that nova/vm.h and nova/snapshot.h can do with a VM: run a
 * command, pause, resume, take a snapshot (which then is one of its function), fork.
 *
 * It is lent: do not free it with nova_vm_free() and give it no other function with nova_vm_init().
 * It can be used as long as you have the handle, until nova_close() at most. Once the instance is
 * stopped, calls on it fail with #NOVA_ELOST. An instance belongs to the process that started it:
 * other processes reach it through a program that serves them, such as `novactl daemon`.
 * @param instance NULL gives NULL
 * @return the VM; NULL after nova_close(). Any thread. Since 0.1.
 */
NOVA_API nova_vm_t *nova_instance_vm(nova_instance_t *instance);

/**
 * Ends an instance, which is then in no list any more. New calls are refused; those under way have
 * `grace_ms` (0: 2000) to finish and are then killed, as are commands. Who stops it while somebody
 * else does waits for the same end, and is told the same; the shorter of the graces counts.
 * Stopping an instance that has ended does nothing but tell how it ended.
 * @return 0; NOVA_ETIMEDOUT if something had to be killed. It has ended in both cases, and is in no
 * list. Since 0.1.
 */
NOVA_API int nova_instance_stop(nova_instance_t *instance, uint32_t grace_ms, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
