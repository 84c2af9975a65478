/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <net/if.h>

#include "net/message.h"

void message_append(struct message *m, void *data, size_t len)
{
	m->failed = m->failed || nlmsg_append(m->msg, data, len, NLMSG_ALIGNTO) < 0;
}

void message_put(struct message *m, int type, const void *data, size_t len)
{
	m->failed = m->failed || nla_put(m->msg, type, (int)len, data) < 0;
}

void message_put_text(struct message *m, int type, const char *text)
{
	message_put(m, type, text, strlen(text) + 1);
}

void message_put_u32(struct message *m, int type, uint32_t value)
{
	message_put(m, type, &value, sizeof(value));
}

void message_put_u8(struct message *m, int type, uint8_t value)
{
	message_put(m, type, &value, sizeof(value));
}

struct nlattr *message_begin_nest(struct message *m, int type)
{
	struct nlattr *nest = m->failed ? NULL : nla_nest_start(m->msg, type);
	m->failed |= !nest;
	return nest;
}

void message_end_nest(struct message *m, struct nlattr *nest)
{
	m->failed = m->failed || nla_nest_end(m->msg, nest) < 0;
}

struct message message_begin(uint16_t type, uint16_t flags)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK | flags);
	return (struct message){ msg, !msg };
}

struct message message_begin_link(
	uint16_t type, uint16_t flags, uint8_t family, const char *name, enum link_state state)
{
	struct message m = message_begin(type, flags);
	struct ifinfomsg link = {
		.ifi_family = family,
		.ifi_index = flags & NLM_F_CREATE ? 0 : (int)sys_link_index(name),
		.ifi_flags = state == LINK_UP ? IFF_UP : 0,
		.ifi_change = state == LINK_AS_IT_IS ? 0 : IFF_UP,
	};
	message_append(&m, &link, sizeof(link));
	return m;
}

/* --- asking --- */

static int exchange(struct nlmsghdr *h)
{
	_Alignas(NLMSG_ALIGNTO) char block[4096];
	AUTO_FD int fd = sys_netlink_open();
	ssize_t got = fd < 0 ? fd : sys_send(fd, h, h->nlmsg_len, 0);
	if (got >= 0)
		got = sys_recv(fd, block, sizeof(block), 0);
	const struct nlmsghdr *answer = (const struct nlmsghdr *)block;
	if (got < 0 || !nlmsg_ok(answer, (int)got) || answer->nlmsg_type != NLMSG_ERROR)
		return got < 0 ? (int)got : -EPROTO;
	return ((const struct nlmsgerr *)nlmsg_data(answer))->error;
}

int message_ask(struct message *m)
{
	int r = m->failed ? -ENOMEM : exchange(nlmsg_hdr(m->msg));
	nlmsg_free(m->msg);
	return r;
}
