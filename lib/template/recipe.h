/* SPDX-License-Identifier: MIT */
/* Inside template only: what its files share. */
#ifndef NOVA_LIB_TEMPLATE_RECIPE_H
#define NOVA_LIB_TEMPLATE_RECIPE_H

#include "template/template.h"

/* One kind of template: what went into it, and how it comes to be. */
struct recipe {
	nova_host_t *host;
	const struct template_want *want;
	const struct stop *stop; /* what may end the making; NULL: nothing */
	uint64_t deadline;       /* of the wait for another who makes it */
	const struct engine_ops *ops;
	char *root; /* where templates are kept */
	/* a guest without a function, which boots; NULL: of a function */
	char *guest;
	bool lasting; /* is of no use unless it can be written */
	char *kernel, *initramfs, *rootfs, *code_disk;
	char id[SNAPSHOT_ID];
	nova_vm_t *vm; /* that it is made of; NULL: one that is started for it */
	/* gets the VM that it was made of, where that can go on; NULL: nobody wants it */
	nova_vm_t **ret_vm;
	struct unwritten *later; /* is filled, and nothing written; NULL: it is written at once */
	int (*make)(const struct recipe *recipe, struct frozen **ret_frozen, nova_error_t **error);
};
void recipe_done(struct recipe *recipe);
#define AUTO_RECIPE CLEANUP(recipe_done)

struct unwritten {
	struct recipe recipe; /* its `want` is over */
	struct frozen *frozen;
	uint64_t made_us;
	int lock; /* of its making; -1: another has it */
	char *lock_path;
};

/* Of a function, without `stop` and `deadline`. To be followed by recipe_done() in any case. */
int recipe_of_function(nova_host_t *host, const struct template_want *want,
	struct recipe *ret_recipe, nova_error_t **error);
/* The guest that the template of a function is made of: a clone of the template of its runtime,
 * with its code, but without the function. The first by want->clones if that can be. */
int recipe_clone_runtime(const struct recipe *function, nova_vm_t **ret_vm, nova_error_t **error);
int recipe_thaw_runtime(const struct recipe *function, nova_vm_t **ret_vm, nova_error_t **error);
/* Whether that failure of the first is a reason for the second. */
bool recipe_clone_failed(const struct template_want *want, int code);

/* rehearsal.c: of the template of a runtime, what its zygotes are made of. */
int rehearsal_prepare(const struct recipe *runtime, const struct frozen *frozen,
	struct frozen **ret_frozen, nova_error_t **error);

/* took.c: tells the caller and the log what is going to be made. */
void recipe_tell(const struct recipe *recipe);
/* For the next time that such a guest is made. */
void recipe_took(const struct recipe *recipe, uint64_t us);

/* Of the runtime that VMs of a function begin with; to be followed by recipe_done() as well. */
int recipe_of_runtime(
	const struct recipe *function, struct recipe *ret_recipe, nova_error_t **error);

/* limit.c: what the templates of a home may take of the disk. */

struct room {
	int lock; /* -1: none */
	uint64_t taken;
};
/* Room for `need` bytes more, for which others are removed: until room_done() nobody else writes
 * templates there. `tidy`: also what can be of no use any more is removed. NOVA_ELIMIT if what is
 * in use leaves too little; NOVA_ECANCELED. */
int room_make(const struct recipe *recipe, uint64_t need, bool tidy, struct room *ret_room,
	nova_error_t **error);
/* So many bytes were written. */
void room_done(const struct recipe *recipe, struct room *room, uint64_t bytes);

/* obtain.c: found, or made by one process while the others wait. */
int recipe_obtain(const struct recipe *recipe, struct frozen **ret_frozen, bool *ret_made,
	nova_error_t **error);

/* What was made with `later`. As template_write(). */
int recipe_write(const struct recipe *recipe, const struct frozen *frozen, uint64_t made_us,
	struct frozen **ret_frozen);

#endif
