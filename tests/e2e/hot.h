/* SPDX-License-Identifier: MIT */
/* The cases of e2e-hot, one file each. */
#ifndef NOVA_TESTS_HOT_H
#define NOVA_TESTS_HOT_H

#include "vmtest.h"

#define HOT_PATIENCE "5s" /* of a host that has a lot to do */

TCase *zygote_cases(void); /* zygotes.c: those that stand in the pool */

#endif
