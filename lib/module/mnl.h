/* SPDX-License-Identifier: MIT */
/* Messages of netlink. */
#ifndef NOVA_LIB_MODULE_MNL_H
#define NOVA_LIB_MODULE_MNL_H

#include <libmnl/libmnl.h>

#include "module/module.h"

#define MNL_FUNCTIONS(F)                                                                           \
	F(mnl_attr_nest_end)                                                                       \
	F(mnl_attr_nest_start)                                                                     \
	F(mnl_attr_put)                                                                            \
	F(mnl_attr_put_strz)                                                                       \
	F(mnl_attr_put_u32)                                                                        \
	F(mnl_attr_put_u8)                                                                         \
	F(mnl_nlmsg_get_payload)                                                                   \
	F(mnl_nlmsg_ok)                                                                            \
	F(mnl_nlmsg_put_extra_header)                                                              \
	F(mnl_nlmsg_put_header)

MODULE_DOOR(mnl, MODULE_MNL, MNL_FUNCTIONS)

#ifndef IN_MODULE
#define mnl_attr_nest_end          mnl_functions()->mnl_attr_nest_end
#define mnl_attr_nest_start        mnl_functions()->mnl_attr_nest_start
#define mnl_attr_put               mnl_functions()->mnl_attr_put
#define mnl_attr_put_strz          mnl_functions()->mnl_attr_put_strz
#define mnl_attr_put_u32           mnl_functions()->mnl_attr_put_u32
#define mnl_attr_put_u8            mnl_functions()->mnl_attr_put_u8
#define mnl_nlmsg_get_payload      mnl_functions()->mnl_nlmsg_get_payload
#define mnl_nlmsg_ok               mnl_functions()->mnl_nlmsg_ok
#define mnl_nlmsg_put_extra_header mnl_functions()->mnl_nlmsg_put_extra_header
#define mnl_nlmsg_put_header       mnl_functions()->mnl_nlmsg_put_header
#endif

#endif
