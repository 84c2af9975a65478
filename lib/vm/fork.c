/* SPDX-License-Identifier: MIT */
#include <nova/snapshot.h>

#include "vm/frozen.h"
#include "vm/hot.h"
#include "vm/object.h"
#include "vm/standby.h"

#define FORK_MOST    1000u
#define PARK_LIFE_MS 60000u

int vm_fork_check(size_t count, nova_error_t **error)
{
	return count && count <= FORK_MOST ?
		       0 :
		       nova_fail(error, NOVA_EINVAL,
			       "nova_vm_fork: 1 to %u children can be made at once", FORK_MOST);
}

/* By a snapshot that is in memory alone, and clones of it. */
static int fork_classic(nova_vm_t *vm, size_t count, const struct stop *stop, nova_vm_t **children,
	nova_error_t **error)
{
	AUTO_FROZEN struct frozen *frozen = NULL;
	int code = vm_freeze(vm, false, stop, &frozen, error);
	return code < 0 ? code : vm_thaw_many(vm->host, frozen, count, stop, children, error);
}

static int fork_any(nova_vm_t *vm, size_t count, const struct stop *stop, nova_vm_t **children,
	nova_error_t **error)
{
	char why[VM_PATH_WHY] = "";
	const struct hot_fork how = { .count = count };
	int code = vm_fork_hot(vm, &how, stop, children, why, error);
	if (code != 0)
		return code < 0 ? code : 0;
	code = fork_classic(vm, count, stop, children, error);
	for (size_t i = 0; code == 0 && i < count; i++)
		memcpy(children[i]->path_why, why, sizeof(why));
	return code;
}

int vm_fork(nova_vm_t *vm, size_t count, const struct stop *stop, nova_vm_t **ret_children,
	nova_error_t **error)
{
	int code = host_check_process(vm->host, error);
	if (code < 0)
		return code;
	nova_vm_t **children = calloc(count, sizeof(nova_vm_t *));
	code = children ? fork_any(vm, count, stop, children, error) : nova_oom(error);
	if (code == 0)
		memcpy(ret_children, children, count * sizeof(nova_vm_t *));
	free(children);
	return code;
}

int nova_vm_fork(nova_vm_t *vm, size_t count, const nova_wait_opts *wait, nova_vm_t **ret_children,
	nova_error_t **error)
{
	struct stop stop;
	if (ANY_NULL(error, vm, ret_children))
		return NOVA_EINVAL;
	int code = vm_fork_check(count, error);
	if (code == 0)
		code = host_check_process(vm->host, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	return code < 0 ? code : vm_fork(vm, count, &stop, ret_children, error);
}

int nova_vm_park(nova_vm_t *vm, size_t count, uint32_t life_ms, const nova_wait_opts *wait,
	nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	if (count > FORK_MOST)
		return nova_fail(error, NOVA_EINVAL,
			"nova_vm_park: 0 to %u VMMs can be on standby for one microVM", FORK_MOST);
	AUTO_FROZEN struct frozen *origin = NULL;
	struct stop stop;
	int code = host_check_process(vm->host, error);
	if (code == 0)
		code = stop_import(&stop, wait, error);
	if (code == 0)
		code = vm_origin(vm, &stop, &origin, error);
	if (code < 0)
		return code;
	if (!count) {
		standby_drop(vm->host, origin);
		return 0;
	}
	if (standby_keep(vm->host, origin, count, life_ms ? life_ms : PARK_LIFE_MS) < 0)
		return nova_oom(error);
	return standby_fill(vm->host, origin, error);
}
