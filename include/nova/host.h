/* SPDX-License-Identifier: MIT */
/**
 * @file nova/host.h
 * The host context: what VMs and pools need from this host: settings, log, engines, directories.
 *
 *     nova_host_new(NULL, &host, &error);
 *     nova_host_set_log(host, on_log, NULL, NOVA_LOG_INFO);
 *     nova_vm_start(host, NULL, &vm, &error);
 *     nova_host_unref(host); // the VM keeps it for as long as it needs it
 *     nova_vm_free(vm);
 *
 * nova_open() makes a context of its own. Two contexts share nothing. VMs and pools hold a
 * reference to the context that they were made from, so they may be freed in any order. Any thread
 * may make these calls at any time.
 *
 * With its first VM the context starts a small helper process, `nova-keeper`, which is the parent
 * of all VMM processes. When your program ends, in whatever way, the keeper ends all VMs of this
 * context and removes its files under `$NOVA_HOME/run`. The VMMs are not children of your program:
 * waitpid() does not see them, and no SIGCHLD is sent for them.
 *
 * After fork() only the parent may use the context and what was made from it. In the child, calls
 * that return a code return #NOVA_EBUSY, calls that free or end something do nothing, and calls
 * that look at something give 0 or NULL (docs/threading.md). The child can make a new context.
 */
#ifndef NOVA_HOST_H
#define NOVA_HOST_H

#include <nova/base.h>
#include <nova/config.h>
#include <nova/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nova_host nova_host_t;

/**
 * Makes a context. Run directories that dead processes left under `$NOVA_HOME/run` are removed.
 * @param config settings, which are copied; NULL: the defaults, changed by the configuration file
 * and the environment
 * @param ret_host receives the context. Yours: give it back with nova_host_unref()
 * @return 0, or a code:
 *  - NOVA_ECONFIG: a setting cannot be understood
 *  - NOVA_EPERM: the state directory (setting `home`) cannot be made, or other users than its owner
 *    may write in it
 *  - NOVA_EIO, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Since 0.1.
 */
NOVA_API int nova_host_new(
	const nova_config_t *config, nova_host_t **ret_host, nova_error_t **error);

/**
 * Takes one more reference.
 * @param host NULL does nothing
 * @return its argument. Since 0.1.
 */
NOVA_API nova_host_t *nova_host_ref(nova_host_t *host);

/**
 * Gives a reference back; the last one frees the context.
 * @param host NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_host_unref(nova_host_t *host);

/**
 * Sends log messages to a function. When this call returns, the function that was set before is not
 * called any more.
 * @param host the context
 * @param fn the function; NULL: none, as at the start
 * @param userdata handed to it
 * @param level one of #nova_log_level, less important messages are not sent; or #NOVA_LOG_AS_SET
 * Since 0.1.
 */
NOVA_API void nova_host_set_log(nova_host_t *host, nova_log_fn fn, void *userdata, int level);

/**
 * The state directory in use.
 * @param host the context
 * @return text that lives as long as the context. Since 0.1.
 */
NOVA_API const char *nova_host_home(const nova_host_t *host);

/**
 * The image directory in use (nova/image.h). It need not exist.
 * @param host the context
 * @return text that lives as long as the context. Since 0.1.
 */
NOVA_API const char *nova_host_images(const nova_host_t *host);

/** What nova_host_capacity() counts. Since 0.1. */
enum nova_capacity {
	/** by the memory that is available, less what the setting `pool.min_free` leaves free; a
	 * control group with less counts */
	NOVA_CAPACITY_MEMORY = 0,
	NOVA_CAPACITY_PROCESSES = 1,   /**< by the processes that the kernel allows */
	NOVA_CAPACITY_DESCRIPTORS = 2, /**< by the descriptors that this process may have */
	/** by the processors; those that emulate run fewer VMs than those with KVM */
	NOVA_CAPACITY_PROCESSORS = 3,
};

/**
 * How many VMs of the usual size the host has room for now, counted by each of the things that a VM
 * needs. The least of these is what the setting `pool.max_vms` means by `auto`.
 * @param host the context
 * @param ret_vms receives them in the order of #nova_capacity, as far as there is room
 * @param count how many there is room for
 * @return how many there are, or a code:
 *  - NOVA_EINVAL: for NULL
 *  - NOVA_EBUSY: after fork()
 * Since 0.1.
 */
NOVA_API int nova_host_capacity(nova_host_t *host, uint64_t *ret_vms, size_t count);

/**
 * The value of a setting in this context, as nova_config_get().
 * @param host the context
 * @param key as "pool.idle_ttl"
 * @return text that lives as long as the context; NULL for an unknown key. Since 0.1.
 */
NOVA_API const char *nova_host_setting(const nova_host_t *host, const char *key);

/* --- engines --- */

/** What nova_engine_probe() found out about every engine. It never changes; any thread may read it.
 */
typedef struct nova_probe nova_probe_t;

/**
 * Finds out which engines can be used on this host, and why the others cannot. After each boot of
 * the host the first probe also measures KVM with a tiny guest, which takes about 20 ms.
 * @param host the context
 * @param ret_probe receives what was found. Yours: free it with nova_probe_free()
 * @return 0, also if no engine can be used, or a code:
 *  - NOVA_EBUSY: after fork()
 *  - NOVA_ENOMEM: no memory
 * Since 0.1.
 */
NOVA_API int nova_engine_probe(nova_host_t *host, nova_probe_t **ret_probe, nova_error_t **error);

/**
 * Frees a probe.
 * @param probe NULL does nothing
 * Since 0.1.
 */
NOVA_API void nova_probe_free(nova_probe_t *probe);

/**
 * The number of engines, usable or not.
 * @param probe may be NULL
 * @return the number. Since 0.1.
 */
NOVA_API size_t nova_probe_count(const nova_probe_t *probe);

/**
 * The name of an engine.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return "firecracker", "qemu" or "fake"; NULL behind the last. Since 0.1.
 */
NOVA_API const char *nova_probe_engine(const nova_probe_t *probe, size_t i);

/**
 * Whether VMs of an engine can be started here.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return 1 or 0. Since 0.1.
 */
NOVA_API int nova_probe_usable(const nova_probe_t *probe, size_t i);

/**
 * Why an engine can be used and how fast it is, or what is missing.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return one sentence, never NULL. Since 0.1.
 */
NOVA_API const char *nova_probe_reason(const nova_probe_t *probe, size_t i);

/**
 * What to type or to do to make an engine usable, or better.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return one advice a line; "" if there is none. Since 0.1.
 */
NOVA_API const char *nova_probe_advice(const nova_probe_t *probe, size_t i);

/**
 * The version of an engine's program.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return the version; "" if unknown. Since 0.1.
 */
NOVA_API const char *nova_probe_version(const nova_probe_t *probe, size_t i);

/**
 * The path of an engine's program.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return the path; "" if none was found. Since 0.1.
 */
NOVA_API const char *nova_probe_binary(const nova_probe_t *probe, size_t i);

/**
 * What executes the code of the guests of an engine.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return "kvm", "tcg" or "none". Since 0.1.
 */
NOVA_API const char *nova_probe_accelerator(const nova_probe_t *probe, size_t i);

/**
 * What an engine can do on this host.
 * @param probe may be NULL
 * @param i index of the engine, from 0 to nova_probe_count() - 1
 * @return bits of #nova_feature. Since 0.1.
 */
NOVA_API uint32_t nova_probe_features(const nova_probe_t *probe, size_t i);

/**
 * The engine that will be used (setting `engine`). "auto" takes firecracker, else qemu, and never
 * one that does not isolate.
 * @param probe may be NULL
 * @return its index; -1 if none can be used. Since 0.1.
 */
NOVA_API int nova_probe_choice(const nova_probe_t *probe);

/**
 * Why this engine was chosen, or why none.
 * @param probe may be NULL
 * @return one sentence, never NULL. Since 0.1.
 */
NOVA_API const char *nova_probe_choice_reason(const nova_probe_t *probe);

/**
 * Why the memory that a VMM takes for itself cannot be limited on this host.
 * @param probe may be NULL
 * @return one sentence; "" if it can be, and is. Since 0.1.
 */
NOVA_API const char *nova_probe_unlimited(const nova_probe_t *probe);

/**
 * Why running microVMs are not forked as the processes that they are (docs/hot.md). Of a host that
 * has not been asked before, that is tried.
 * @param probe may be NULL
 * @return one sentence; "" if they are. Since 0.1.
 */
NOVA_API const char *nova_probe_not_hot(const nova_probe_t *probe);

/**
 * Whether KVM can be used on this host, and if not, why: it is missing, this user may not use it,
 * or it is too slow.
 * @param probe may be NULL
 * @return one sentence. Since 0.1.
 */
NOVA_API const char *nova_probe_kvm(const nova_probe_t *probe);

#ifdef __cplusplus
}
#endif
#endif
