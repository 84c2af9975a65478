/* SPDX-License-Identifier: MIT */
/* Templates: instants with a function ready to run, found or made. Used by the pool only. */
#ifndef NOVA_LIB_POOL_TEMPLATE_H
#define NOVA_LIB_POOL_TEMPLATE_H

#include <nova/pool.h>

#include "vm/vm.h"

/* Whether VMs for this want can come from a template: there is a function, and the engine can. */
bool template_possible(nova_host_t *host, const nova_pool_want *want);

/*
 * The instant of a VM that has just been given its function. It is keyed by everything that went in (kernel, agent, root filesystem, code, handler,
 * environment, memory, vCPUs, VMM), so a changed input simply is another template. It is made at first use, by one process while the
 * others wait; *ret_made tells.
 */
int template_get(nova_host_t *host, const nova_pool_want *want, struct frozen **ret_frozen, bool *ret_made, nova_error_t **error);

/* Removes a template from disk that has proved useless. */
void template_discard(nova_host_t *host, const struct frozen *frozen);

#endif

