/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/mnl.h"

MODULE_OF_SHARED(mnl, MNL_FUNCTIONS, "the libmnl of this system");
