/* SPDX-License-Identifier: MIT */
/**
 * @file nova/host.h
 * The host context: settings, log, engines and run directory that VMs and pools are made from.
 *
 * Two contexts share nothing. VMs and pools hold a reference to the context they were made from, so
 * the order of freeing does not matter. All calls here may be made from any thread at any time.
 *
 * The context starts one small helper process (`nova-keeper`) when the first VM is made. It owns
 * every VMM process: when the host program ends, however it ends, the keeper and with it every VM
 * of this context ends too, and the files of the context under `$NOVA_HOME/run` are removed. The
 * VMMs are no children of the host program: waitpid() there never sees them and no SIGCHLD is sent
 * for them, even if it is PID 1 or a subreaper. After fork() only the parent may use the context
 * and what was made from it. In the child, calls that return a code return NOVA_EBUSY, those that
 * end, free or give back something do nothing, and those that look at something alive give 0 or
 * NULL (docs/threading.md). A child can make a context of its own.
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
 * @param config settings, which are copied; NULL: nova_config_load(NULL) and
 * nova_config_load_env() on the defaults
 * @param ret_host receives the context. Yours: give it back with nova_host_unref()
 * @return 0, or a code:
 *  - NOVA_ECONFIG: a setting cannot be understood
 *  - NOVA_EPERM: the state directory (setting `home`) cannot be made, or users other than its
 *    owner may write in it
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
 * Has log messages sent to a function. When it returns, no call of the former function is under
 * way.
 * @param host the context
 * @param fn the function; NULL: none, as at the start
 * @param userdata handed to it
 * @param level the least important messages that are wanted: one of #nova_log_level
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

/**
 * The value of a setting in force, as nova_config_get().
 * @param host the context
 * @param key as "pool.idle_ttl"
 * @return text that lives as long as the context; NULL for an unknown key. Since 0.1.
 */
NOVA_API const char *nova_host_setting(const nova_host_t *host, const char *key);

/* --- engines --- */

/** What nova_engine_probe() found out about every engine. Immutable. */
typedef struct nova_probe nova_probe_t;

/**
 * Examines this host: which engines can be used, how, and what to do about the others. The speed
 * of KVM is measured with a tiny guest (about 20 ms) once after each boot of the host, and
 * remembered in the state directory.
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
 * Why that engine was chosen, or why none.
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
 * What KVM is good for on this host: absent, no rights (and who gives them), the kvm_pvm of a
 * host that is a guest itself, too slow (with the measured speed), or fit.
 * @param probe may be NULL
 * @return one sentence. Since 0.1.
 */
NOVA_API const char *nova_probe_kvm(const nova_probe_t *probe);

#ifdef __cplusplus
}
#endif
#endif
