/* SPDX-License-Identifier: MIT */
/* What a child may have of the host's memory. */
#ifndef NOVA_LIB_KEEPER_LIMITS_H
#define NOVA_LIB_KEEPER_LIMITS_H

#include "keeper/wire.h"

/* Looks what the host does by itself. Once, before the first child. */
void limits_begin(void);
/* In the child, between fork and exec. Where the kernel lacks one of them, that is all. */
void limits_take(const struct keeper_request *request);

#endif
