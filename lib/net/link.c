/* SPDX-License-Identifier: MIT */
/* Links and addresses by netlink: one request, and its answer. Messages are built and taken apart
 * by libnl; no program is run. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "module/netlink.h"
#include "net/net.h"

int link_ready(nova_error_t **error)
{
	return netlink_load(error);
}

/* What fails while it is built, for lack of memory, is told by ask(). */
struct message {
	struct nl_msg *msg;
	bool failed;
};

static void append(struct message *m, void *data, size_t len)
{
	m->failed = m->failed || nlmsg_append(m->msg, data, len, NLMSG_ALIGNTO) < 0;
}

static void put(struct message *m, int type, const void *data, size_t len)
{
	m->failed = m->failed || nla_put(m->msg, type, (int)len, data) < 0;
}

static void put_text(struct message *m, int type, const char *text)
{
	put(m, type, text, strlen(text) + 1);
}

static void put_u32(struct message *m, int type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static void put_u8(struct message *m, int type, uint8_t value)
{
	put(m, type, &value, sizeof(value));
}

static struct nlattr *begin_nest(struct message *m, int type)
{
	struct nlattr *nest = m->failed ? NULL : nla_nest_start(m->msg, type);
	m->failed |= !nest;
	return nest;
}

static void end_nest(struct message *m, struct nlattr *nest)
{
	m->failed = m->failed || nla_nest_end(m->msg, nest) < 0;
}

static struct message begin(uint16_t type, uint16_t flags)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK | flags);
	return (struct message){ msg, !msg };
}

static struct message begin_link(
	uint16_t type, uint16_t flags, uint8_t family, const char *name, bool up)
{
	struct message m = begin(type, flags);
	struct ifinfomsg link = {
		.ifi_family = family,
		.ifi_index = flags & NLM_F_CREATE ? 0 : (int)sys_link_index(name),
		.ifi_flags = up ? IFF_UP : 0,
		.ifi_change = up ? IFF_UP : 0,
	};
	append(&m, &link, sizeof(link));
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

/* 0 or -errno, as the kernel answers. The message is gone. */
static int ask(struct message *m)
{
	int r = m->failed ? -ENOMEM : exchange(nlmsg_hdr(m->msg));
	nlmsg_free(m->msg);
	return r;
}

/* --- a bridge --- */

/* With an address of its own: else it takes that of its lowest port, so that it changes while
 * guests remember it. */
static int add_bridge(const char *name, uint32_t address)
{
	uint8_t mac[NET_MAC];
	struct message m =
		begin_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, name, true);
	net_mac(address, mac);
	put_text(&m, IFLA_IFNAME, name);
	put(&m, IFLA_ADDRESS, mac, sizeof(mac));
	struct nlattr *info = begin_nest(&m, IFLA_LINKINFO);
	put_text(&m, IFLA_INFO_KIND, "bridge");
	end_nest(&m, info);
	return ask(&m);
}

static int add_address(const char *name, uint32_t address, uint8_t prefix)
{
	struct message m = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg a = {
		.ifa_family = AF_INET,
		.ifa_prefixlen = prefix,
		.ifa_index = sys_link_index(name),
	};
	append(&m, &a, sizeof(a));
	put_u32(&m, IFA_LOCAL, htonl(address));
	put_u32(&m, IFA_ADDRESS, htonl(address));
	put_u32(&m, IFA_BROADCAST, htonl(address | (prefix < 32 ? ~0u >> prefix : 0)));
	return ask(&m);
}

int link_make_bridge(const char *name, uint32_t address, uint8_t prefix)
{
	if (link_ready(NULL) < 0)
		return -ELIBACC;
	int r = add_bridge(name, address);
	if (r == -EEXIST) /* ours of before, or the user's own */
		r = link_raise(name);
	return r < 0 ? r : add_address(name, address, prefix);
}

/* --- a TAP --- */

/* Nothing is learned from what guests send, and nothing is sent to a port on the chance that
 * somebody is there: link_claim() says who is. */
static int isolate(const char *tap)
{
	struct message m = begin_link(RTM_SETLINK, 0, AF_BRIDGE, tap, false);
	struct nlattr *port = begin_nest(&m, IFLA_PROTINFO);
	put_u8(&m, IFLA_BRPORT_ISOLATED, 1);
	put_u8(&m, IFLA_BRPORT_LEARNING, 0);
	put_u8(&m, IFLA_BRPORT_UNICAST_FLOOD, 0);
	end_nest(&m, port);
	return ask(&m);
}

int link_attach(const char *tap, const char *bridge)
{
	struct message m = begin_link(RTM_NEWLINK, 0, AF_UNSPEC, tap, false);
	put_u32(&m, IFLA_MASTER, sys_link_index(bridge));
	int r = ask(&m);
	return r < 0 ? r : isolate(tap);
}

int link_raise(const char *name)
{
	struct message m = begin_link(RTM_NEWLINK, 0, AF_UNSPEC, name, true);
	return ask(&m);
}

int link_delete(const char *name)
{
	if (link_ready(NULL) < 0)
		return -ELIBACC;
	struct message m = begin_link(RTM_DELLINK, 0, AF_UNSPEC, name, false);
	/* without it index 0, of a device that is gone, would be all there is */
	put_text(&m, IFLA_IFNAME, name);
	return ask(&m);
}

int link_claim(const char *tap, const uint8_t mac[NET_MAC], bool from_others)
{
	struct message m =
		begin(RTM_NEWNEIGH, NLM_F_CREATE | (from_others ? NLM_F_REPLACE : NLM_F_EXCL));
	struct ndmsg entry = {
		.ndm_family = PF_BRIDGE,
		.ndm_ifindex = (int)sys_link_index(tap),
		.ndm_state = NUD_NOARP, /* static, but not the bridge's own */
		.ndm_flags = NTF_MASTER,
	};
	append(&m, &entry, sizeof(entry));
	put(&m, NDA_LLADDR, mac, NET_MAC);
	return ask(&m);
}
