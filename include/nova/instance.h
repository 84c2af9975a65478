/* SPDX-License-Identifier: MIT */
/**
 * @file nova/instance.h
 * Instances: VMs of one function that stay until they are stopped. A call finds what calls before
 * it have left in /tmp or, of a function that runs in place, in memory.
 *
 *     nova_instance_opts start = NOVA_INSTANCE_OPTS_INIT;
 *     nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
 *     start.function = "shop";
 *     if (nova_instance_start(nova, &start, &opts.instance, &error) == 0)
 *             nova_invoke(nova, NULL, "{}", &opts, &result, &error);
 *
 * The platform owns its instances. They live, and can be found by name or id, until
 * nova_instance_stop() or nova_close(), even if nobody holds a handle. A handle stays valid until
 * it is freed; once the instance has ended, calls on it fail with #NOVA_ELOST. An instance whose VM
 * has died stays in the list, as #NOVA_VM_DEAD, until it is stopped. Instances count as VMs for the
 * limits of the pool.
 *
 * An instance keeps the version of the function with which it was started, even if the function is
 * replaced or deleted.
 *
 * Threads: any thread may make these calls at any time. Calls that run something in one instance
 * wait for each other.
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
	/** name or id of a snapshot of this function to go on from; NULL: none */
	const char *snapshot;
	/** 64 to 65536, for Python from 96, for Node from 192; 0: as the function has. Not with a
	 * snapshot */
	uint32_t memory_mb;
	uint32_t vcpus; /**< 1 to 32; 0: as the function has. Not with a snapshot */
	/** ends the call; borrowed until it returns; NULL: nothing does */
	nova_interrupt_t *interrupt;
	void *userdata;  /**< given back by nova_call_userdata(), and not used otherwise */
	const char *key; /**< to whom its usage belongs, as nova_invoke_opts.key */
} nova_instance_opts;
#define NOVA_INSTANCE_OPTS_INIT                                                                    \
	{                                                                                          \
		sizeof(nova_instance_opts), 0, 0, 0, 0, 0, 0, 0, 0                                 \
	}

/**
 * Starts an instance.
 * @param nova the platform
 * @param opts the function and more; required
 * @param ret_instance receives a handle. Yours: free it with nova_instance_free(). May be NULL
 * @return 0, or a code:
 *  - NOVA_EINVAL: a bad name or size, or a snapshot of another function
 *  - NOVA_EEXIST: the name is taken
 *  - NOVA_ENOTFOUND: no such function or snapshot
 *  - NOVA_ELIMIT: there is no room for its VM, or what the plan has is used up: nova_error_limit()
 *  - NOVA_ECANCELED: by the token
 *  - the codes of nova_pool_acquire() and, with a snapshot, of nova_vm_restore()
 * Since 0.1.
 */
NOVA_API int nova_instance_start(nova_t *nova, const nova_instance_opts *opts,
	nova_instance_t **ret_instance, nova_error_t **error);

/**
 * Finds an instance.
 * @param nova the platform
 * @param name its name or id
 * @param ret_instance receives a handle. Yours: free it with nova_instance_free()
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is none, or it has been stopped
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_instance_get(
	nova_t *nova, const char *name, nova_instance_t **ret_instance, nova_error_t **error);

/**
 * All instances, the oldest first.
 * @param nova the platform
 * @param ret_instances receives an array. Yours: free it with nova_instance_list_free(). NULL if
 * there are none
 * @param ret_count receives their number
 * @return 0, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_instance_list(
	nova_t *nova, nova_instance_t ***ret_instances, size_t *ret_count, nova_error_t **error);

/**
 * Frees a handle. The instance goes on.
 * @param instance NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_instance_free(nova_instance_t *instance);

/**
 * Frees what nova_instance_list() gave, with the handles in it.
 * @param instances the array; NULL does nothing
 * @param count their number
 * Since 0.1.
 */
NOVA_API void nova_instance_list_free(nova_instance_t **instances, size_t count);

/**
 * The id of an instance.
 * @param instance may be NULL
 * @return 8 hex digits. Since 0.1.
 */
NOVA_API const char *nova_instance_id(const nova_instance_t *instance);

/**
 * The name of an instance.
 * @param instance may be NULL
 * @return the name. Since 0.1.
 */
NOVA_API const char *nova_instance_name(const nova_instance_t *instance);

/**
 * The name of the function of an instance.
 * @param instance may be NULL
 * @return the name. Since 0.1.
 */
NOVA_API const char *nova_instance_function(const nova_instance_t *instance);

/**
 * The version of the function that an instance runs.
 * @param instance may be NULL
 * @return as nova_function_version(). Since 0.1.
 */
NOVA_API uint32_t nova_instance_version(const nova_instance_t *instance);

/**
 * When an instance was started.
 * @param instance may be NULL
 * @return microseconds since 1970. Since 0.1.
 */
NOVA_API uint64_t nova_instance_created_us(const nova_instance_t *instance);

/**
 * The state of an instance, as of now.
 * @param instance NULL is #NOVA_VM_DEAD
 * @return one of #nova_vm_state, or a code:
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_instance_state(nova_instance_t *instance);

/**
 * An instance as one JSON object.
 * @param instance the instance
 * @return text. Yours: free it with nova_free(). NULL if there is no memory, and after fork().
 * Since 0.1.
 */
NOVA_API char *nova_instance_to_json(nova_instance_t *instance);

/**
 * The VM of an instance, for everything in nova/vm.h and nova/snapshot.h: run a command, pause,
 * resume, fork, take a snapshot (calls of the function can go on from it).
 *
 * It is lent to you: do not free it, and do not give it another function with nova_vm_init(). Use
 * it while you have the handle, and not after nova_close(). Once the instance is stopped, calls on
 * the VM fail with #NOVA_ELOST. Only the process that started an instance can use it; other
 * processes ask a program that serves them, such as `novactl daemon`.
 * @param instance NULL gives NULL
 * @return the VM; NULL after nova_close(). Any thread. Since 0.1.
 */
NOVA_API nova_vm_t *nova_instance_vm(nova_instance_t *instance);

/**
 * Ends an instance and takes it out of the list. New calls are refused. Calls and commands under
 * way have some time to finish; then they are killed. If several threads stop one instance, all
 * wait for its end and get the same code, and the shortest time counts. For an instance that has
 * ended this call only tells how it ended.
 * @param instance the instance
 * @param grace_ms milliseconds for what is under way; 0: 2000
 * @return 0, or a code. The instance has ended in all cases, except after fork():
 *  - NOVA_ETIMEDOUT: something had to be killed
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_instance_stop(nova_instance_t *instance, uint32_t grace_ms, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
