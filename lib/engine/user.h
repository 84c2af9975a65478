/* SPDX-License-Identifier: MIT */
/* Users that VMMs run as. */
#ifndef NOVA_LIB_ENGINE_USER_H
#define NOVA_LIB_ENGINE_USER_H

#include "base/base.h"

/* A user of `count` from `first` on that no VMM of this machine has; it is ours until *ret_lock is
 * closed, by us or by our death. NOVA_EBUSY: none is left. For root. */
int vmm_user_take(
	uint32_t first, uint32_t count, uint32_t *ret_uid, int *ret_lock, nova_error_t **error);
#define FIRST_VMM_UID 0x70000000u /* far above what any system hands out */
#define VMM_UIDS      0x01000000u

#endif
