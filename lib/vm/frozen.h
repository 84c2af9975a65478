/* SPDX-License-Identifier: MIT */
/* Private to the room: VMs at one instant, and the memory that their clones share. */
#ifndef NOVA_LIB_VM_FROZEN_H
#define NOVA_LIB_VM_FROZEN_H

#include "snapshot/snapshot.h"
#include "vm/vm.h"

/* Memory that clones share. Immutable and counted; the file must not change while anyone uses it.
 */
struct vm_base {
	int references; /* atomic */
	int fd;
	uint64_t device, inode; /* of fd: which file it is */
	/* shared lock that keeps a base on disk from being deleted; -1: it is in memory only */
	int lock_fd;
	char *root, *id;      /* of the snapshot on disk that it belongs to; NULL: in memory only */
	char sum[SHA256_HEX]; /* of that snapshot's memory */
};

/* A VM at one instant, from which any number of clones can go on. Immutable and counted. */
struct frozen {
	int references; /* atomic */
	const struct engine_ops *ops;
	struct machine_config shape; /* what was true at the boot stays true for clones */
	struct vm_base *base;
	struct pages pages; /* what differs from the base */
	int state_fd;       /* devices and processors */
	struct guest_function function;
	/* on disk, that it is or came from: the parent of the next one; "": none */
	char snapshot[SNAPSHOT_ID];
	bool is_on_disk; /* it is that one, in the root of its base */
	char *rehearsal; /* the Rehearse for a zygote without a function, JSON; NULL: none */
};

/* --- frozen.c --- */

/* Takes `fd` over; NULL: it is left to the caller. */
struct vm_base *base_new(int fd);
struct vm_base *base_ref(struct vm_base *base);
void base_unref(struct vm_base *base);

/* --- vmm.c --- */

/* Starts a machine of a VM, with a TAP if `spec` has a network. `same`: the machine whose place it
 * takes, NULL: none. */
int vmm_start(nova_host_t *host, const struct engine_ops *ops, struct machine *m,
	const struct machine_spec *spec, const struct machine *same, nova_error_t **error);
/* One that waits at the base of `frozen`. */
int vmm_start_waiting(nova_host_t *host, const struct frozen *frozen, struct machine *m,
	const char *id, const struct machine *same, nova_error_t **error);
/* The same for no VM yet, under an id of its own: all of a thaw that can be done beforehand. */
int vmm_start_standby(nova_host_t *host, struct frozen *frozen, struct machine **ret_machine,
	nova_error_t **error);

/* --- freeze.c, thaw.c --- */

/* Alone. Has a VM that is to stand still for a moment do what its copies would have to do
 * otherwise. NOVA_ELOST. */
int vm_get_ready(nova_vm_t *vm, const struct stop *stop, nova_error_t **error);
/* After a failure: because it has died? */
bool vm_is_lost(nova_vm_t *vm);
/* Where children of the VM start: base and shape, but no instant. A booted VM becomes a clone of
 * itself, as by vm_freeze(). */
int vm_origin(
	nova_vm_t *vm, const struct stop *stop, struct frozen **ret_frozen, nova_error_t **error);
/* Several at once, side by side: all or none. Where that can be (deferred_can_stand_still()) they
 * stand still until their first request. */
int vm_thaw_many(nova_host_t *host, struct frozen *frozen, size_t count, const struct stop *stop,
	nova_vm_t **ret_vms, nova_error_t **error);

#endif
