/* SPDX-License-Identifier: MIT */
/*
 * The door of host: the context that VMs and pools are made from.
 *
 * A host is immutable once made, but for its reference count (atomic), its log (log_lock) and what
 * is measured (measure_lock).
 */
#ifndef NOVA_LIB_HOST_HOST_H
#define NOVA_LIB_HOST_HOST_H

#include <nova/host.h>

#include "image/image.h"
#include "engine/engine.h"

/* For every room above: the log of the context, and what engines may use. The host is measured at
 * the first call. */
const struct logger *host_log(const nova_host_t *host);
/* The images that its guests are started of. */
struct image_set *host_image_set(nova_host_t *host);
const struct engine_env *host_engine_env(nova_host_t *host);
const nova_config_t *host_config(const nova_host_t *host);

/* While VMs are being closed that nobody waits for any more: those that do not end have two seconds
 * together. */
void host_hurry(nova_host_t *host, bool hurry);

/* Something of a room above that lives as long as the context: made at the first call, ended by
 * `done` before the keeper is. One room has one. NULL: out of memory, or (without `make`) none was
 * made. */
struct host_slot {
	void *(*make)(void);
	void (*done)(void *);
};
void *host_slot(nova_host_t *host, const struct host_slot *slot);

/* What is worth a line of the log, but not one each time: false the first time in a context. */
#define HOST_SAID_TEMPLATES_FULL 1u
bool host_said(nova_host_t *host, uint32_t what);

/* Makes the state directory if needed. NOVA_EPERM if others may write in it; what of it others may
 * read is closed to them, and what dead processes have left half done in it is removed. */
int home_open(const char *home, nova_error_t **error);

/* 0; NOVA_EBUSY in a fork of the process that made the context. There every lock may be held by a
 * thread that does not exist, and the VMs are the parent's: calls that use them are refused, and
 * those that free something leave it alone. */
int host_check_process(const nova_host_t *host, nova_error_t **error);
/* The same for what may outlive its context: `owner` is what host_owner() said. */
int64_t host_owner(const nova_host_t *host);
int host_check_owner(int64_t owner, nova_error_t **error);

/* The engine for a VM: by name, or (NULL) by the setting. NOVA_EINVAL for an unknown name,
 * NOVA_ENOTSUP if none is usable, with the reason. */
int host_choose_engine(nova_host_t *host, const char *name, const struct engine_ops **ret_ops,
	nova_error_t **error);

/* Memory of the host, or of the control groups that this process is in, where that is less.
 * Unknown: more than there can be. `pressure`: per cent of the time that programs waited for it. */
struct host_memory {
	uint64_t total_mb, available_mb;
	uint32_t pressure;
};
void host_memory_read(struct host_memory *ret);
/* What pool.max_vms is by itself: the least of nova_host_capacity(), and at least 1. */
uint32_t host_most_vms(nova_host_t *host);

#endif
