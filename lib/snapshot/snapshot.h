/* SPDX-License-Identifier: MIT */
/*
 * The door of snapshot: instants of VMs in directories.
 *
 * A root (snapshots/ or templates/ in the state directory) holds one directory an instant, named by
 * its id:
 *
 *     manifest.json   what it is, what it needs, sizes and checksums of the files
 *     state           devices and processors
 *     memory          all of guest memory, sparse; or
 *     pages           what differs from the memory of `base`
 *                     or either of them as .zst
 *
 * It is written as .tmp-<id>, synced and renamed, so it is there whole or not at all. Whoever uses
 * `memory` or `state` holds a shared lock on it; deleting needs an exclusive one on both. The
 * kernel drops the locks of the dead. What a dead process left as .tmp-… is removed by the next
 * writer, and when a context is opened. The time of manifest.json is that of the last use.
 */
#ifndef NOVA_LIB_SNAPSHOT_H
#define NOVA_LIB_SNAPSHOT_H

#include "base/base.h"
#include "engine/engine.h"
#include "hash/hash.h"

#define SNAPSHOT_ID 17 /* 16 hex digits and a NUL */
/* Of the names of templates, before their id; no user's name can have it. */
#define TEMPLATE_PREFIX "template:"

struct file_sum {
	uint64_t size;
	uint64_t unpacked;       /* its size once uncompressed; 0: it is not compressed */
	char sha256[SHA256_HEX]; /* of `memory`: as by sha256_pages_hex() */
};

/* What a guest has of its function: of a VM, of its instants, and of their manifests. */
struct guest_function {
	bool is_there, has_hooks; /* hooks: it wants to know of snapshots */
	uint32_t concurrency;     /* calls that may be under way at once */
	/* the call by which its import gets what no clone may share; NULL: none. Of an instant only
	 * if it was taken before that import, which then is each clone's own. Owned */
	char *draws;
	bool entrusted; /* it has been given secrets: it is not written to a disk */
};
#define GUEST_FUNCTION_NONE                                                                        \
	{                                                                                          \
		.concurrency = 1                                                                   \
	}
/* Into an empty one. NOVA_ENOMEM. */
int guest_function_copy(struct guest_function *to, const struct guest_function *from);
void guest_function_done(struct guest_function *function);

/* Texts are owned; "" or NULL where nothing applies. */
struct manifest {
	char id[SNAPSHOT_ID], base[SNAPSHOT_ID];
	/* of the base's file of memory, as another may come to have its id; "": not known */
	char base_sum[SHA256_HEX];
	/* of this branch: what its VM had gone on from, or left last; "": nothing. It may be gone
	 */
	char parent[SNAPSHOT_ID];
	char *name;
	uint64_t created_us, life_time_s;
	char *engine;
	/* the VMM's program and the processor it shows to guests: must be the same at restore */
	char *engine_identity;
	struct machine_config config;
	char *rootfs_identity, *code_identity; /* of the files that its paths name; "": none */
	/* of a template: the other files that went in, as "identity path"; it is of no use when one
	 * has changed */
	char **inputs;
	size_t input_count;
	char *owner; /* whom the platform took it for; "": nobody */
	struct guest_function function;
	struct file_sum memory, pages, state; /* size 0: no such file */
};
void manifest_done(struct manifest *manifest);
void manifests_free(struct manifest *list, size_t count);
#define AUTO_MANIFEST CLEANUP(manifest_done)

/* "size:mtime:inode" of a file, which changes when its content does; caller frees. */
int file_identity(const char *path, char **ret_identity, nova_error_t **error);

/* The open files of a snapshot. */
struct snapshot_files {
	int memory, memory_lock; /* -1 unless it has its own memory; the lock is shared */
	int state;               /* with a shared lock, too */
	struct pages pages;
};
#define SNAPSHOT_FILES_NONE                                                                        \
	{                                                                                          \
		-1, -1, -1, PAGES_NONE                                                             \
	}
void snapshot_files_done(struct snapshot_files *files);

/* NOVA_ENOTSUP without its module: to be asked before parts with `compress` are written. */
int snapshot_can_compress(nova_error_t **error);

/* What an instant consists of. */
struct snapshot_parts {
	/* -1: the pages are written, for an instant with a base; else the memory with the pages
	 * laid over it */
	int memory;
	const struct pages *pages;
	int state;
	bool compress;
	const struct stop *stop; /* what may end the writing; NULL: nothing */
};
/* Removes what dead processes have left half done. */
void snapshot_sweep(const char *root);
/* Writes the files, fills their sums in, and publishes all of it under manifest->id. */
int snapshot_write(const char *root, struct manifest *manifest, const struct snapshot_parts *parts,
	nova_error_t **error);
/* By id or name. NOVA_ENOTFOUND; NOVA_ECORRUPT for a manifest that is none. */
int snapshot_find(
	const char *root, const char *name, struct manifest *ret_manifest, nova_error_t **error);
/* NOVA_EEXIST: it has one; or the code of why nobody can tell. */
int snapshot_check_free(const char *root, const char *name, nova_error_t **error);
/* Checks and opens the files. NOVA_ECORRUPT naming the file; NOVA_ENOTFOUND. */
int snapshot_open(const char *root, const struct manifest *manifest,
	struct snapshot_files *ret_files, nova_error_t **error);
/* All that can be read, in no order; to be freed by manifests_free(). */
int snapshot_list(
	const char *root, struct manifest **ret_manifests, size_t *ret_count, nova_error_t **error);
/* NOVA_EBUSY while a VM uses its memory, or another snapshot is based on it (it is named). */
int snapshot_remove(const char *root, const struct manifest *manifest, nova_error_t **error);
/* Those of `list` that no VM uses, and on which nothing is based that stays; the others stay, and
 * that is no failure. */
int snapshot_remove_unused(const char *root, const struct manifest *const *list, size_t count,
	size_t *ret_removed, nova_error_t **error);
/* Removes what is damaged, whoever uses it: VMs keep the files that they have open. */
void snapshot_discard(const char *root, const char *id);
/* Bytes on disk, holes not counted. */
uint64_t snapshot_disk_bytes(const char *root, const char *id);
/* It is being used: noted once a minute at most. */
void snapshot_note_use(const char *root, const char *id);
/* When that was noted last, or it was made; 0: it is not there. */
uint64_t snapshot_last_use_us(const char *root, const char *id);

#endif
