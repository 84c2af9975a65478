/* SPDX-License-Identifier: MIT */
#define IN_MODULE
#include "module/netlink.h"

MODULE(netlink, NETLINK_FUNCTIONS, "libnl " LIBNL_VERSION);
