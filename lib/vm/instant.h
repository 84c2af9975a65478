/* SPDX-License-Identifier: MIT */
/* Frozen instants on disk: for nova_snapshot_…() and for templates. */
#ifndef NOVA_LIB_VM_INSTANT_H
#define NOVA_LIB_VM_INSTANT_H

#include "snapshot/snapshot.h"
#include "vm/vm.h"

/* The directory of snapshots and templates; NULL: out of memory. */
char *instants_root(const nova_host_t *host);

/* What an instant on disk is called, and more that its manifest tells. */
struct instant_label {
	const char *id, *name; /* NULL: a new id; the id */
	uint64_t life_time_s;
	const char *const *inputs; /* paths: see struct manifest */
	size_t input_count;
	const char *owner; /* see struct manifest; NULL: nobody */
	bool compress;
	const struct stop *stop; /* what may end the writing; NULL: nothing */
};
/* With a base on disk under the same root the pages that differ from it are written, else the whole
 * memory. */
int instant_write(nova_host_t *host, const char *root, const struct frozen *frozen,
	const struct instant_label *label, struct manifest *ret_manifest, nova_error_t **error);

/* Makes it as small as it can be written; no other thread may use it. */
int instant_refine(struct frozen *frozen, const char *root, nova_error_t **error);

/* How many bytes of the disk that takes, at most. */
uint64_t instant_need(const struct frozen *frozen, const char *root);

/* NOVA_ESTALE naming what does not fit; NOVA_ECORRUPT; NOVA_ENOTFOUND. */
int instant_read(nova_host_t *host, const char *root, const struct manifest *manifest,
	struct frozen **ret_frozen, nova_error_t **error);

/* Whether instant_read() would take it, as far as can be said without reading its files, and all
 * that went in is what it was. NOVA_ESTALE; NOVA_ENOTFOUND. */
int instant_check(
	nova_host_t *host, const char *root, const struct manifest *manifest, nova_error_t **error);

#endif
