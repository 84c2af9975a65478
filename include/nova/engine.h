/* SPDX-License-Identifier: MIT */
/**
 * @file nova/engine.h
 * What engines can do. nova_engine_probe() of nova/host.h tells which of them work on this host.
 *
 *     int i = nova_probe_choice(probe); // the engine that will be used
 *     if (i < 0)
 *             fprintf(stderr, "%s\n", nova_probe_choice_reason(probe));
 *     else if (nova_probe_features(probe, (size_t)i) & NOVA_FEATURE_SNAPSHOT)
 *             printf("%s can take snapshots\n", nova_probe_engine(probe, (size_t)i));
 */
#ifndef NOVA_ENGINE_H
#define NOVA_ENGINE_H

#ifdef __cplusplus
extern "C" {
#endif

/** What an engine can do on this host: bits of nova_probe_features(). Since 0.1. */
enum nova_feature {
	NOVA_FEATURE_ISOLATES = 1 << 0, /**< code runs behind a virtual machine */
	/** with hardware virtualisation: a boundary against hostile code */
	NOVA_FEATURE_HARDWARE = 1 << 1,
	NOVA_FEATURE_PAUSE = 1 << 2,       /**< nova_vm_pause() and nova_vm_resume() */
	NOVA_FEATURE_SNAPSHOT = 1 << 3,    /**< memory snapshots, copy-on-write restore */
	NOVA_FEATURE_FORK = 1 << 4,        /**< forking a live VM */
	NOVA_FEATURE_NETWORK = 1 << 5,     /**< network devices: nova_vm_opts.network */
	NOVA_FEATURE_DISK_LIMITS = 1 << 6, /**< nova_vm_opts.disk_iops and .disk_bandwidth */
	/** nova_vm_opts.net_rx_bandwidth and .net_tx_bandwidth */
	NOVA_FEATURE_NET_LIMITS = 1 << 7,
	NOVA_FEATURE_GUEST = 1 << 8, /**< boots a guest: kernel and root filesystem are needed */
	/** a clone may have another code disk than the guest that it was made from */
	NOVA_FEATURE_LATE_CODE = 1 << 9,
};

#ifdef __cplusplus
}
#endif
#endif
