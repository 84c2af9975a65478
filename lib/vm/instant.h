/* SPDX-License-Identifier: MIT */
/* Frozen instants on disk: for nova_snapshot_…() and for templates. */
#ifndef NOVA_LIB_VM_INSTANT_H
#define NOVA_LIB_VM_INSTANT_H

#include "snapshot/snapshot.h"
#include "vm/vm.h"

#define TEMPLATE_PREFIX "template:" /* of the names of templates; no user's name can have it */

/* The directory of snapshots and templates; NULL: out of memory. */
char *instants_root(const nova_host_t *host);

/* Writes under `id`, NULL: a new one. `name` NULL: the id. The base must be on disk under the same root, or be written with it (then no pages may
 * differ from it: frozen_flatten()). */
int instant_write(nova_host_t *host, const char *root, const struct frozen *frozen, const char *id, const char *name, uint64_t life_time_s,
	struct manifest *ret_manifest, nova_error_t **error);

/* NOVA_ESTALE naming what does not fit; NOVA_ECORRUPT; NOVA_ENOTFOUND. */
int instant_read(nova_host_t *host, const char *root, const struct manifest *manifest, struct frozen **ret_frozen, nova_error_t **error);

/* Makes an instant self-contained unless its base is on disk under `root`: a copy of the base with the pages laid over it becomes its own memory. */
int frozen_flatten(struct frozen *frozen, const char *root, nova_error_t **error);

#endif
