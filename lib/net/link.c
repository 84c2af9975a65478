/* SPDX-License-Identifier: MIT */
/* Links and addresses by netlink: one request, and its answer. No program is run. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>

#include "net/message.h"
#include "net/net.h"

int link_ready(nova_error_t **error)
{
	return netlink_load(error);
}

/* --- a bridge --- */

/* With an address of its own: else it takes that of its lowest port, so that it changes while
 * guests remember it. */
static int add_bridge(const char *name, uint32_t address)
{
	uint8_t mac[NET_MAC];
	struct message m = message_begin_link(
		RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, name, LINK_UP);
	net_mac(address, mac);
	message_put_text(&m, IFLA_IFNAME, name);
	message_put(&m, IFLA_ADDRESS, mac, sizeof(mac));
	struct nlattr *info = message_begin_nest(&m, IFLA_LINKINFO);
	message_put_text(&m, IFLA_INFO_KIND, "bridge");
	message_end_nest(&m, info);
	return message_ask(&m);
}

static int add_address(const char *name, uint32_t address, uint8_t prefix)
{
	struct message m = message_begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg a = {
		.ifa_family = AF_INET,
		.ifa_prefixlen = prefix,
		.ifa_index = sys_link_index(name),
	};
	message_append(&m, &a, sizeof(a));
	message_put_u32(&m, IFA_LOCAL, htonl(address));
	message_put_u32(&m, IFA_ADDRESS, htonl(address));
	message_put_u32(&m, IFA_BROADCAST, htonl(address | (prefix < 32 ? ~0u >> prefix : 0)));
	return message_ask(&m);
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
 * somebody is there: link_claim() says who is. Frames of another sender are dropped, by kernels
 * since 5.18; older ones know no such attribute, and leave it out. */
static int isolate(const char *tap)
{
	struct message m = message_begin_link(RTM_SETLINK, 0, AF_BRIDGE, tap, LINK_AS_IT_IS);
	struct nlattr *port = message_begin_nest(&m, IFLA_PROTINFO);
	message_put_u8(&m, IFLA_BRPORT_ISOLATED, 1);
	message_put_u8(&m, IFLA_BRPORT_LEARNING, 0);
	message_put_u8(&m, IFLA_BRPORT_UNICAST_FLOOD, 0);
	message_put_u8(&m, IFLA_BRPORT_LOCKED, 1);
	message_end_nest(&m, port);
	return message_ask(&m);
}

int link_attach(const char *tap, const char *bridge)
{
	struct message m = message_begin_link(RTM_NEWLINK, 0, AF_UNSPEC, tap, LINK_AS_IT_IS);
	message_put_u32(&m, IFLA_MASTER, sys_link_index(bridge));
	int r = message_ask(&m);
	return r < 0 ? r : isolate(tap);
}

int link_raise(const char *name)
{
	struct message m = message_begin_link(RTM_NEWLINK, 0, AF_UNSPEC, name, LINK_UP);
	return message_ask(&m);
}

int link_lower(const char *tap)
{
	struct message m = message_begin_link(RTM_NEWLINK, 0, AF_UNSPEC, tap, LINK_DOWN);
	return message_ask(&m);
}

int link_delete(const char *name)
{
	if (link_ready(NULL) < 0)
		return -ELIBACC;
	struct message m = message_begin_link(RTM_DELLINK, 0, AF_UNSPEC, name, LINK_AS_IT_IS);
	/* without it index 0, of a device that is gone, would be all there is */
	message_put_text(&m, IFLA_IFNAME, name);
	return message_ask(&m);
}

int link_claim(const char *tap, const uint8_t mac[NET_MAC], bool from_others)
{
	struct message m = message_begin(
		RTM_NEWNEIGH, NLM_F_CREATE | (from_others ? NLM_F_REPLACE : NLM_F_EXCL));
	struct ndmsg entry = {
		.ndm_family = PF_BRIDGE,
		.ndm_ifindex = (int)sys_link_index(tap),
		.ndm_state = NUD_NOARP, /* static, but not the bridge's own */
		.ndm_flags = NTF_MASTER,
	};
	message_append(&m, &entry, sizeof(entry));
	message_put(&m, NDA_LLADDR, mac, NET_MAC);
	return message_ask(&m);
}

int link_pin(const char *bridge, uint32_t address)
{
	uint8_t mac[NET_MAC];
	struct message m = message_begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
	struct ndmsg entry = {
		.ndm_family = AF_INET,
		.ndm_ifindex = (int)sys_link_index(bridge),
		.ndm_state = NUD_PERMANENT,
	};
	net_mac(address, mac);
	message_append(&m, &entry, sizeof(entry));
	message_put_u32(&m, NDA_DST, htonl(address));
	message_put(&m, NDA_LLADDR, mac, NET_MAC);
	return message_ask(&m);
}
