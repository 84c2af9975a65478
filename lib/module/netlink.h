/* SPDX-License-Identifier: MIT */
/* Messages of netlink. */
#ifndef NOVA_LIB_MODULE_NETLINK_H
#define NOVA_LIB_MODULE_NETLINK_H

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/version.h>

#include "module/module.h"

#define NETLINK_FUNCTIONS(F)                                                                       \
	F(nla_nest_end)                                                                            \
	F(nla_nest_start)                                                                          \
	F(nla_put)                                                                                 \
	F(nlmsg_alloc_simple)                                                                      \
	F(nlmsg_append)                                                                            \
	F(nlmsg_data)                                                                              \
	F(nlmsg_free)                                                                              \
	F(nlmsg_hdr)                                                                               \
	F(nlmsg_ok)

MODULE_DOOR(netlink, MODULE_NETLINK, NETLINK_FUNCTIONS)

#ifndef IN_MODULE
#define nla_nest_end       netlink_functions()->nla_nest_end
#define nla_nest_start     netlink_functions()->nla_nest_start
#define nla_put            netlink_functions()->nla_put
#define nlmsg_alloc_simple netlink_functions()->nlmsg_alloc_simple
#define nlmsg_append       netlink_functions()->nlmsg_append
#define nlmsg_data         netlink_functions()->nlmsg_data
#define nlmsg_free         netlink_functions()->nlmsg_free
#define nlmsg_hdr          netlink_functions()->nlmsg_hdr
#define nlmsg_ok           netlink_functions()->nlmsg_ok
#endif

#endif
