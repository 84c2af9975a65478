/* SPDX-License-Identifier: MIT */
/* Private to the room: forks of a VM's process, with what its processor has learned. */
#ifndef NOVA_LIB_VM_HOT_H
#define NOVA_LIB_VM_HOT_H

#include "vm/vm.h"

struct hot_fork {
	size_t count;
	const char *code_disk; /* of the children; NULL: that of the VM */
	bool for_init;         /* vm_init() comes next, which tells them who they are */
	bool waits;            /* for vm_child_born(): of vm_fork_ahead() alone */
};

/* As vm_fork(). 1: that is done; 0: it cannot be done so, for the reason in `why`, and the VM is as
 * it was. A failure: it cannot be forked in any way. */
int vm_fork_hot(nova_vm_t *vm, const struct hot_fork *how, const struct stop *stop,
	nova_vm_t **ret_children, char why[VM_PATH_WHY], nova_error_t **error);
/* One child, which waits: it can do nothing until vm_child_born(), and costs next to nothing. Both
 * answer as vm_fork_hot(); the child that was not born is of no use. */
int vm_fork_ahead(nova_vm_t *vm, const struct stop *stop, nova_vm_t **ret_child,
	char why[VM_PATH_WHY], nova_error_t **error);
int vm_child_born(
	nova_vm_t *child, const struct stop *stop, char why[VM_PATH_WHY], nova_error_t **error);

#endif
