/* SPDX-License-Identifier: MIT */
/* Private to the room: what vm.h does not tell of VMMs on standby. */
#ifndef NOVA_LIB_VM_STANDBY_H
#define NOVA_LIB_VM_STANDBY_H

#include "vm/vm.h"

/* One that lives and fits the base and shape of `frozen`, now the caller's; NULL: there is none. */
struct machine *standby_take(nova_host_t *host, const struct frozen *frozen);
/* Starts what is missing of them, now. NOVA_ELIMIT: not all. */
int standby_fill(nova_host_t *host, const struct frozen *frozen, nova_error_t **error);
/* Ends those of the snapshot on disk. */
void standby_drop_base(nova_host_t *host, const char *root, const char *id);

#endif
