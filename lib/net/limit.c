/* SPDX-License-Identifier: MIT */
/*
 * Limits of what goes through a TAP. What a guest receives waits in front of the TAP. What it sends
 * has no queue there, so it goes through a device (ifb) that has one: frames wait rather than being
 * dropped, which TCP takes better. That device does not end with the TAP, so it is recorded as one
 * that stays.
 */
#include <arpa/inet.h>
#include <errno.h>

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>

#include "net/message.h"
#include "net/net.h"

#define INGRESS     (TC_H_INGRESS & 0xffff0000u)
#define LEAST_BURST 8192u       /* more than a frame */
#define MOST_BURST  (64u << 20) /* of a rate that is no limit any more */
#define LEAST_QUEUE 65536u      /* bytes that wait */

static uint32_t between(uint64_t least, uint64_t value, uint64_t most)
{
	return (uint32_t)(value < least ? least : value > most ? most : value);
}

/* `info`: of a filter, its place and protocol. */
static struct message begin_traffic(uint16_t type, uint16_t flags, const char *device,
	uint32_t handle, uint32_t parent, uint32_t info)
{
	struct message m = message_begin(type, NLM_F_CREATE | flags);
	struct tcmsg t = {
		.tcm_ifindex = (int)sys_link_index(device),
		.tcm_handle = handle,
		.tcm_parent = parent,
		.tcm_info = info,
	};
	message_append(&m, &t, sizeof(t));
	return m;
}

/* What is sent to a device: a tenth of a second at once, and a quarter of one in the queue. */
static int limit_sending(const char *device, uint64_t rate)
{
	uint32_t burst = between(LEAST_BURST, rate / 10, MOST_BURST);
	struct tc_tbf_qopt tbf = {
		.rate.rate = between(0, rate, UINT32_MAX),
		.rate.linklayer = TC_LINKLAYER_ETHERNET,
		.limit = between(LEAST_QUEUE, rate / 4, MOST_BURST),
	};
	struct message m = begin_traffic(
		RTM_NEWQDISC, NLM_F_REPLACE, device, TC_H_MAKE(1u << 16, 0), TC_H_ROOT, 0);
	message_put_text(&m, TCA_KIND, "tbf");
	struct nlattr *options = message_begin_nest(&m, TCA_OPTIONS);
	message_put(&m, TCA_TBF_PARMS, &tbf, sizeof(tbf));
	message_put_u32(&m, TCA_TBF_BURST, burst);
	if (rate > UINT32_MAX)
		message_put(&m, TCA_TBF_RATE64, &rate, sizeof(rate));
	message_end_nest(&m, options);
	return message_ask(&m);
}

static int make_queue(const char *device)
{
	struct message m = message_begin_link(
		RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, device, LINK_UP);
	message_put_text(&m, IFLA_IFNAME, device);
	struct nlattr *info = message_begin_nest(&m, IFLA_LINKINFO);
	message_put_text(&m, IFLA_INFO_KIND, "ifb");
	message_end_nest(&m, info);
	return message_ask(&m);
}

static int watch_arriving(const char *tap)
{
	struct message m =
		begin_traffic(RTM_NEWQDISC, NLM_F_REPLACE, tap, INGRESS, TC_H_INGRESS, 0);
	message_put_text(&m, TCA_KIND, "ingress");
	return message_ask(&m);
}

static void put_redirection(struct message *m, const char *to)
{
	struct tc_mirred mirred = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_EGRESS_REDIR,
		.ifindex = sys_link_index(to),
	};
	struct nlattr *actions = message_begin_nest(m, TCA_U32_ACT);
	struct nlattr *first = message_begin_nest(m, 1);
	message_put_text(m, TCA_ACT_KIND, "mirred");
	struct nlattr *options = message_begin_nest(m, TCA_ACT_OPTIONS);
	message_put(m, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	message_end_nest(m, options);
	message_end_nest(m, first);
	message_end_nest(m, actions);
}

/* All that arrives at the TAP, by the one kind of filter that every kernel has. */
static int redirect(const char *tap, const char *to)
{
	struct tc_u32_sel selector = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
	char all[sizeof(selector) + sizeof(struct tc_u32_key)] = { 0 }; /* its key: anything */
	memcpy(all, &selector, sizeof(selector));
	uint32_t place = TC_H_MAKE(1u << 16, htons(ETH_P_ALL));
	struct message m = begin_traffic(RTM_NEWTFILTER, NLM_F_EXCL, tap, 0, INGRESS, place);
	message_put_text(&m, TCA_KIND, "u32");
	struct nlattr *options = message_begin_nest(&m, TCA_OPTIONS);
	message_put(&m, TCA_U32_SEL, all, sizeof(all));
	put_redirection(&m, to);
	message_end_nest(&m, options);
	return message_ask(&m);
}

static int limit_arriving(const struct net_link *link, uint64_t rate)
{
	char queue[NET_NAME];
	net_queue_name(link->name, queue);
	int r = make_queue(queue);
	if (r == -EEXIST && (r = link_delete(queue)) == 0) /* of a TAP that is gone */
		r = make_queue(queue);
	if (r == 0)
		r = limit_sending(queue, rate);
	if (r == 0)
		r = watch_arriving(link->name);
	return r < 0 ? r : redirect(link->name, queue);
}

int link_limit(const struct net_link *link, uint64_t rx_bandwidth, uint64_t tx_bandwidth)
{
	int r = rx_bandwidth ? limit_sending(link->name, rx_bandwidth) : 0;
	if (r == 0 && tx_bandwidth)
		r = limit_arriving(link, tx_bandwidth);
	return r;
}
