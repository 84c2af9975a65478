/* SPDX-License-Identifier: MIT */
/* This host's processor. */
#ifndef NOVA_LIB_ENGINE_CPU_H
#define NOVA_LIB_ENGINE_CPU_H

#include "base/base.h"

/* Text that differs between processors of another model or with other features, where a guest of
 * KVM that is restored would meet an instruction that is not there. Below `root` ("" for this
 * host); caller frees. */
int cpu_identity(const char *root, char **ret, nova_error_t **error);

#endif
