/* SPDX-License-Identifier: MIT */
/* The door of template: instants with a function ready to run, found or made. */
#ifndef NOVA_LIB_TEMPLATE_H
#define NOVA_LIB_TEMPLATE_H

#include "vm/instant.h"

/* What else may make clones of the template of a runtime. */
struct runtime_clone {
	const char *id;        /* of the template */
	struct frozen *frozen; /* the template, with what is rehearsed; for keeps by a reference */
	const char *code_disk; /* of the clone */
};
struct template_clones {
	/* As vm_thaw_for_call(). 1: that is done; 0: not so, for the reason in `why` ("": nobody
	 * asks for it). NOVA_ECANCELED, NOVA_ENOMEM. */
	int (*make)(void *userdata, const struct runtime_clone *what, const struct stop *stop,
		nova_vm_t **ret_vm, char why[VM_PATH_WHY], nova_error_t **error);
	void *userdata;
};

/* What a template is of; borrowed. */
struct template_want {
	const char *name; /* for errors and the log */
	const struct vm_spec *vm;
	struct progress progress;             /* told what is made */
	const struct template_clones *clones; /* NULL: none */
};

/* Whether VMs for this want can come from a template: there is a function, and the engine can. */
bool template_possible(nova_host_t *host, const struct template_want *want);

/*
 * The instant of a VM that has just been given its function. It is keyed by everything that went in
 * (kernel, agent, root filesystem, code, handler, environment, memory, vCPUs, VMM), so a changed
 * input simply is another template. It is made at first use, by one process while the others wait,
 * for `wait_ms` at most: then it is NOVA_EBUSY with the maker's name. It serves from memory then,
 * and is to be written by template_write() soon: who has waited for that for three seconds makes
 * its own.
 *
 * It is made from the template of its runtime: the same guest with its root filesystem, but without
 * a function, which is made from a boot at the first use of any function.
 *
 * A function whose import draws what clones must not share has a template without it
 * (frozen_draws()): each VM is given it anew.
 */
struct unwritten;
struct template_made {
	struct unwritten *unwritten; /* NULL: it was there */
	/* that it was made of: as a clone of it, without the time that one takes; NULL: it ended */
	nova_vm_t *vm;
};
int template_get(nova_host_t *host, const struct template_want *want, uint64_t wait_ms,
	const struct stop *stop, struct frozen **ret_frozen, struct template_made *ret_made,
	nova_error_t **error);

/* Any thread. NOVA_ECANCELED by `stop`: nothing has happened. Else `unwritten` is over, and
 * *ret_frozen is the template on disk; NULL: it could not be written, as the log tells. */
int template_write(
	struct unwritten *unwritten, const struct stop *stop, struct frozen **ret_frozen);
/* Not to be written at all. NULL is accepted. */
void unwritten_free(struct unwritten *unwritten);

/* Makes the template of the runtime that VMs of this want begin with, unless it is there.
 * NOVA_ENOTSUP: the engine has none. */
int template_prepare(nova_host_t *host, const struct template_want *want, uint64_t wait_ms,
	const struct stop *stop, bool *ret_made, nova_error_t **error);

/* What the function itself is to blame for would be no better after a boot. */
bool template_blames_function(int code);

/* A VM with its function, as it is made for a template, but without leaving one of the function. */
int template_try(nova_host_t *host, const struct template_want *want, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error);

/* Makes the template of a VM that has been given just this function, as by template_try(), unless
 * there is one, or can be none. The VM ends with it. */
int template_keep(nova_host_t *host, const struct template_want *want, nova_vm_t *vm,
	const struct stop *stop, nova_error_t **error);

/* It has been used until now. */
void template_note_use(const struct frozen *frozen);

/* Removes a template from disk that has proved useless. */
void template_discard(nova_host_t *host, const struct frozen *frozen);

#endif
