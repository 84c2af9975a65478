/* SPDX-License-Identifier: MIT */
/* Links and addresses by netlink: one request, and its answer. Messages are built and taken apart
 * by libmnl; no program is run. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "module/mnl.h"
#include "net/net.h"

int link_ready(nova_error_t **error)
{
	return mnl_load(error);
}

struct message {
	_Alignas(NLMSG_ALIGNTO) char space[1024];
};

static struct nlmsghdr *begin(struct message *m, uint16_t type, uint16_t flags)
{
	memset(m, 0, sizeof(*m));
	struct nlmsghdr *h = mnl_nlmsg_put_header(m->space);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	return h;
}

static struct nlmsghdr *begin_link(
	struct message *m, uint16_t flags, uint8_t family, const char *name, bool up)
{
	struct nlmsghdr *h = begin(m, RTM_NEWLINK, NLM_F_ACK | flags);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(h, sizeof(*link));
	link->ifi_family = family;
	link->ifi_index = flags & NLM_F_CREATE ? 0 : (int)sys_link_index(name);
	link->ifi_flags = up ? IFF_UP : 0;
	link->ifi_change = up ? IFF_UP : 0;
	return h;
}

/* --- asking --- */

/* 0 or -errno, as the kernel answers. */
static int ask(struct nlmsghdr *h)
{
	_Alignas(NLMSG_ALIGNTO) char block[4096];
	AUTO_FD int fd = sys_netlink_open();
	ssize_t got = fd < 0 ? fd : sys_send(fd, h, h->nlmsg_len, 0);
	if (got >= 0)
		got = sys_recv(fd, block, sizeof(block), 0);
	const struct nlmsghdr *answer = (const struct nlmsghdr *)block;
	if (got < 0 || !mnl_nlmsg_ok(answer, (int)got) || answer->nlmsg_type != NLMSG_ERROR)
		return got < 0 ? (int)got : -EPROTO;
	return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(answer))->error;
}

/* --- a bridge --- */

/* With an address of its own: else it takes that of its lowest port, so that it changes while
 * guests remember it. */
static int add_bridge(const char *name, uint32_t address)
{
	struct message m;
	uint8_t mac[NET_MAC];
	struct nlmsghdr *h = begin_link(&m, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, name, true);
	net_mac(address, mac);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put(h, IFLA_ADDRESS, sizeof(mac), mac);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(h, info);
	return ask(h);
}

static int add_address(const char *name, uint32_t address, uint8_t prefix)
{
	struct message m;
	struct nlmsghdr *h = begin(&m, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *a = mnl_nlmsg_put_extra_header(h, sizeof(*a));
	a->ifa_family = AF_INET;
	a->ifa_prefixlen = prefix;
	a->ifa_index = sys_link_index(name);
	mnl_attr_put_u32(h, IFA_LOCAL, htonl(address));
	mnl_attr_put_u32(h, IFA_ADDRESS, htonl(address));
	mnl_attr_put_u32(h, IFA_BROADCAST, htonl(address | (prefix < 32 ? ~0u >> prefix : 0)));
	return ask(h);
}

int link_make_bridge(const char *name, uint32_t address, uint8_t prefix)
{
	if (link_ready(NULL) < 0)
		return -ELIBACC;
	struct message m;
	int r = add_bridge(name, address);
	if (r == -EEXIST) /* ours of before, or the user's own */
		r = ask(begin_link(&m, 0, AF_UNSPEC, name, true));
	return r < 0 ? r : add_address(name, address, prefix);
}

/* --- a TAP --- */

/* Nothing is learned from what guests send, and nothing is sent to a port on the chance that
 * somebody is there: link_claim() says who is. */
static int isolate(const char *tap)
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, 0, AF_BRIDGE, tap, false);
	h->nlmsg_type = RTM_SETLINK;
	struct nlattr *port = mnl_attr_nest_start(h, IFLA_PROTINFO | NLA_F_NESTED);
	mnl_attr_put_u8(h, IFLA_BRPORT_ISOLATED, 1);
	mnl_attr_put_u8(h, IFLA_BRPORT_LEARNING, 0);
	mnl_attr_put_u8(h, IFLA_BRPORT_UNICAST_FLOOD, 0);
	mnl_attr_nest_end(h, port);
	return ask(h);
}

int link_attach(const char *tap, const char *bridge)
{
	struct message m;
	struct nlmsghdr *h = begin_link(&m, 0, AF_UNSPEC, tap, false);
	mnl_attr_put_u32(h, IFLA_MASTER, sys_link_index(bridge));
	int r = ask(h);
	return r < 0 ? r : isolate(tap);
}

int link_raise(const char *tap)
{
	struct message m;
	return ask(begin_link(&m, 0, AF_UNSPEC, tap, true));
}

int link_delete(const char *name)
{
	if (link_ready(NULL) < 0)
		return -ELIBACC;
	struct message m;
	struct nlmsghdr *h = begin_link(&m, 0, AF_UNSPEC, name, false);
	h->nlmsg_type = RTM_DELLINK;
	/* without it index 0, of a device that is gone, would be all there is */
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	return ask(h);
}

int link_claim(const char *tap, const uint8_t mac[NET_MAC], bool from_others)
{
	struct message m;
	struct nlmsghdr *h = begin(&m, RTM_NEWNEIGH,
		NLM_F_ACK | NLM_F_CREATE | (from_others ? NLM_F_REPLACE : NLM_F_EXCL));
	struct ndmsg *entry = mnl_nlmsg_put_extra_header(h, sizeof(*entry));
	entry->ndm_family = PF_BRIDGE;
	entry->ndm_ifindex = (int)sys_link_index(tap);
	entry->ndm_state = NUD_NOARP; /* static, but not the bridge's own */
	entry->ndm_flags = NTF_MASTER;
	mnl_attr_put(h, NDA_LLADDR, NET_MAC, mac);
	return ask(h);
}
