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
 * Makes a context.
 * @param config settings, which are copied; NULL: nova_config_load(NULL) and nova_config_load_env()
 * on defaults
 * @return 0; NOVA_ECONFIG; NOVA_EIO or NOVA_EPERM if the state directory (key `home`) cannot be
 * made; NOVA_EPERM if users other than its owner may write in it; NOVA_ENOMEM. Run directories that
 * dead processes left under `$NOVA_HOME/run` are removed. Since 0.1.
 */
NOVA_API int nova_host_new(
	const nova_config_t *config, nova_host_t **ret_host, nova_error_t **error);

/** Takes one more reference; returns its argument. Since 0.1. */
NOVA_API nova_host_t *nova_host_ref(nova_host_t *host);

/** Gives a reference back; the last one frees the context. NULL is accepted. Since 0.1. */
NOVA_API void nova_host_unref(nova_host_t *host);

/**
 * Sends log messages up to `level` (see #nova_log_level) to `fn`. NULL: silence, as at the start.
 * When it returns, no call of the former function is under way. Since 0.1.
 */
NOVA_API void nova_host_set_log(nova_host_t *host, nova_log_fn fn, void *userdata, int level);

/** The state directory in use. Lives as long as the context. Since 0.1. */
NOVA_API const char *nova_host_home(const nova_host_t *host);

/** The image directory in use (see nova/image.h); it need not exist. Lives as long as the context.
 * Since 0.1. */
NOVA_API const char *nova_host_images(const nova_host_t *host);

/** The value of a setting in force, as nova_config_get(). Lives as long as the context. Since 0.1.
 */
NOVA_API const char *nova_host_setting(const nova_host_t *host, const char *key);

/* --- engines --- */

/** What nova_engine_probe() found out about every engine. Immutable. */
typedef struct nova_probe nova_probe_t;

/**
 * Examines this host: which engines can be used, how, and what to do about those that cannot.
 * The fitness of KVM is measured with a tiny guest (about 20 ms), once for each boot of this host,
 * and remembered in the state directory.
 * @return 0 even if no engine is usable; NOVA_ENOMEM. Since 0.1.
 */
NOVA_API int nova_engine_probe(nova_host_t *host, nova_probe_t **ret_probe, nova_error_t **error);

/** Frees the probe. NULL is accepted. Since 0.1. */
NOVA_API void nova_probe_free(nova_probe_t *probe);

/** Number of engines, usable or not. Since 0.1. */
NOVA_API size_t nova_probe_count(const nova_probe_t *probe);

/** Name of the i-th engine: "firecracker", "qemu" or "fake"; NULL past the end. Since 0.1. */
NOVA_API const char *nova_probe_engine(const nova_probe_t *probe, size_t i);

/** 1 if VMs of the i-th engine can be started here, else 0. Since 0.1. */
NOVA_API int nova_probe_usable(const nova_probe_t *probe, size_t i);

/** One sentence: why it is usable and how fast, or what is missing. Never NULL. Since 0.1. */
NOVA_API const char *nova_probe_reason(const nova_probe_t *probe, size_t i);

/** What to type or do to make it usable or better, one advice a line; "" if there is nothing. Since
 * 0.1. */
NOVA_API const char *nova_probe_advice(const nova_probe_t *probe, size_t i);

/** Version of the engine's program; "" if unknown. Since 0.1. */
NOVA_API const char *nova_probe_version(const nova_probe_t *probe, size_t i);

/** Path of the engine's program; "" if none was found. Since 0.1. */
NOVA_API const char *nova_probe_binary(const nova_probe_t *probe, size_t i);

/** "kvm", "tcg" or "none": what executes guest code. Since 0.1. */
NOVA_API const char *nova_probe_accelerator(const nova_probe_t *probe, size_t i);

/** Features of the i-th engine on this host, bits of #nova_feature. Since 0.1. */
NOVA_API uint32_t nova_probe_features(const nova_probe_t *probe, size_t i);

/** Index of the engine that will be used (setting `engine`; "auto" takes firecracker, else qemu,
 * and never one that does not isolate), or -1 if none can be. Since 0.1. */
NOVA_API int nova_probe_choice(const nova_probe_t *probe);

/** One sentence: why that one was chosen, or why none. Never NULL. Since 0.1. */
NOVA_API const char *nova_probe_choice_reason(const nova_probe_t *probe);

/** Why the memory that a VMM itself takes cannot be limited on this host (which is also logged at
 * the first that cannot);
 * "": it can, and is. Since 0.1. */
NOVA_API const char *nova_probe_unlimited(const nova_probe_t *probe);

/** One sentence about KVM on this host: absent, no rights (and who gives them), the kvm_pvm of a
 * host that is a guest itself (and what it would need), too slow to be fit (with the measured
 * speed), or fit. Since 0.1. */
NOVA_API const char *nova_probe_kvm(const nova_probe_t *probe);

#ifdef __cplusplus
}
#endif
#endif
