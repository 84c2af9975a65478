/* SPDX-License-Identifier: MIT */
/* Files of guests: listings, the messages about them, and what a merge makes of several. */
#ifndef NOVA_LIB_FILES_FILES_H
#define NOVA_LIB_FILES_FILES_H

#include "vm/vm.h"

#define FILES_MOST      100000u
#define FILES_NAMES     (16u << 20) /* bytes of all names and targets of a listing */
#define MERGE_MOST      64u         /* branches */
#define MERGE_DIRECTORY "/tmp"

struct file {
	char *path, *target; /* target: "" unless it is a link */
	int kind;
	uint32_t mode;
	uint64_t size, mtime_us;
	char digest[17]; /* "": none */
};

/* In the order of proto_path_order(); the parent of each entry is a directory of the listing, or
 * the one that was listed. */
struct nova_files {
	struct file *items;
	size_t count, capacity, names;
};

/* Adds a page of a listing, as the guest answered it. NOVA_EAGENT for what cannot be true;
 * NOVA_ETOOBIG. */
int files_add_page(
	struct nova_files *files, const struct guest_message *said, nova_error_t **error);
const struct file *files_find(const struct nova_files *files, const char *path, size_t len);

/* A piece of the file at `path`, whose listing said `expected`: NOVA_EBUSY if it has changed. */
int vm_file_piece(nova_vm_t *vm, const char *path, const struct file *expected, uint64_t offset,
	const struct stop *stop, struct buf *out, nova_error_t **error);
/* What shall be at `path`; the content of a regular file comes in pieces of at most
 * PROTO_FILE_PIECE, one after the other, with the same `part`. */
struct file_change {
	const struct file *file; /* NULL: it is removed */
	const char *part;        /* 16 hex digits; of a file or link */
	const void *data;
	size_t len;
	uint64_t offset;
	bool last;
};
int vm_file_change(nova_vm_t *vm, const char *path, const struct file_change *change,
	const struct stop *stop, nova_error_t **error);

/* --- plan.c: no VM is needed for it --- */

/* One path of the parent or a branch, in the order of listings. */
struct merge_row {
	const char *path;
	const struct file *base, *final; /* NULL: it is not there */
	size_t parent;                   /* row; SIZE_MAX: the directory itself */
	/* that had its way; -1: none changed it, or it is refused */
	int branch;
	bool conflict;
};

struct merge_plan {
	struct merge_row *rows;
	size_t count, conflicts;
	const struct file **files; /* `branches` for each row; NULL: it is not there */
	/* as many: the branch has put something below, which needs a directory here */
	bool *needs;
	size_t branches;
};
void merge_plan_done(struct merge_plan *plan);
/* listings[0] is the parent's. NOVA_ENOMEM. */
int merge_plan_make(struct merge_plan *plan, const struct nova_files *const *listings,
	size_t branches, uint32_t on_conflict, nova_error_t **error);
bool files_same(const struct file *a, const struct file *b);

#endif
