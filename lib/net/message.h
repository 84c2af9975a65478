/* SPDX-License-Identifier: MIT */
/* One request to the kernel by netlink, and its answer, for the files of net that make some.
 * Messages are built and taken apart by libnl. */
#ifndef NOVA_LIB_NET_MESSAGE_H
#define NOVA_LIB_NET_MESSAGE_H

#include <linux/rtnetlink.h>

#include "module/netlink.h"

/* What fails while it is built, for lack of memory, is told by message_ask(). */
struct message {
	struct nl_msg *msg;
	bool failed;
};
struct message message_begin(uint16_t type, uint16_t flags);
/* Of a device; with NLM_F_CREATE of a new one. */
enum link_state {
	LINK_AS_IT_IS,
	LINK_UP,
	LINK_DOWN,
};
struct message message_begin_link(
	uint16_t type, uint16_t flags, uint8_t family, const char *name, enum link_state state);
void message_append(struct message *m, void *data, size_t len);
/* Attributes. */
void message_put(struct message *m, int type, const void *data, size_t len);
void message_put_text(struct message *m, int type, const char *text);
void message_put_u32(struct message *m, int type, uint32_t value);
void message_put_u8(struct message *m, int type, uint8_t value);
struct nlattr *message_begin_nest(struct message *m, int type);
void message_end_nest(struct message *m, struct nlattr *nest);
/* 0 or -errno, as the kernel answers. The message is gone. */
int message_ask(struct message *m);

#endif
