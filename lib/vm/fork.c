/* SPDX-License-Identifier: MIT */
#include <nova/snapshot.h>

#include "vm/vm.h"

#define FORK_MOST 1000u

int nova_vm_fork(nova_vm_t *vm, size_t count, nova_vm_t **ret_children, nova_error_t **error)
{
	if (!vm || !ret_children || !count || count > FORK_MOST)
		return nova_fail(error, NOVA_EINVAL, "nova_vm_fork: 1 to %u children can be made at once", FORK_MOST);
	AUTO_FROZEN struct frozen *frozen = NULL;
	nova_vm_t **children = calloc(count, sizeof(nova_vm_t *));
	int code = children ? vm_freeze(vm, false, &frozen, error) : nova_oom(error);
	if (code == 0)
		code = vm_thaw_many(vm->host, frozen, count, children, error);
	if (code == 0)
		memcpy(ret_children, children, count * sizeof(nova_vm_t *));
	free(children);
	return code;
}

uint64_t nova_vm_stood_still_us(nova_vm_t *vm)
{
	pthread_mutex_lock(&vm->lock);
	uint64_t us = vm->stood_still_us;
	pthread_mutex_unlock(&vm->lock);
	return us;
}
