/* SPDX-License-Identifier: MIT */
/*
 * The door of net: a TAP and an address for a machine, at a bridge of this host that leads out by
 * masquerade.
 *
 * An address is in use as long as the bridge's table has its hardware address at some port. The
 * kernel gives each there to one port only, and takes it back with the port. So nothing is kept
 * that could be wrong after a crash, and processes that share a host, even with different state
 * directories, need not know of each other. A TAP ends with the last process that has it open; one
 * that a VMM opens by name has to stay without that, and is recorded in the run directory until it
 * is removed, by the keeper if need be.
 */
#ifndef NOVA_LIB_NET_NET_H
#define NOVA_LIB_NET_NET_H

#include "config/config.h"
#include "keeper/keeper.h"

#define NET_NAME 16 /* of a device, with its NUL */
#define NET_MAC  6

/* What a VM is given: "none", or "nat" (out by masquerade). */
enum net_kind {
	NET_NONE = 0,
	NET_NAT = 1,
};
/* NULL: "none". False: there is no such kind. */
bool net_kind_parse(const char *text, enum net_kind *ret);
const char *net_kind_name(enum net_kind kind);

/* --- subnet.c: addresses as numbers, the first of their bytes highest. Pure. --- */

struct net_subnet {
	uint32_t address; /* of the network */
	uint8_t prefix;   /* 1 to 30 */
};
#define NET_TEXT 20 /* "255.255.255.255/32" */
/* Such as "172.30.0.0/24"; host bits are dropped. */
bool net_subnet_parse(const char *text, struct net_subnet *ret);
bool net_address_parse(const char *text, uint32_t *ret);
void net_address_text(uint32_t address, char out[NET_TEXT]);
uint32_t net_mask(const struct net_subnet *subnet);
uint32_t net_gateway(const struct net_subnet *subnet); /* the first host */
/* The address for a guest that comes behind another, and behind the last again the first. `address`
 * may be one of another subnet: the first. */
uint32_t net_next_address(const struct net_subnet *subnet, uint32_t address);
uint32_t net_address_count(const struct net_subnet *subnet); /* for guests */
/* 02:fc:00 and the last bytes of the address: no two on a bridge have the same, and what a host
 * remembers of an address stays true. */
void net_mac(uint32_t address, uint8_t out[NET_MAC]);
/* "nova-", 6 characters of the VM's id, and, if that is taken (turn > 0), a number. */
void net_tap_name(const char *id, unsigned turn, char out[NET_NAME]);
/* Of the device that what comes out of a TAP waits in. */
void net_queue_name(const char *tap, char out[NET_NAME]);

/* --- net.c --- */

/* What one machine has. */
struct net_link {
	char name[NET_NAME]; /* of the TAP; "": none */
	/* of the TAP, which lives as long as it; -1: it stays until it is removed */
	int fd;
	char *record; /* of one that stays */
	/* record of the device that what the guest sends waits in, which goes when the TAP has;
	 * NULL: none */
	char *queue;
	bool limited;
	struct net_subnet subnet;
	uint32_t address;
};
#define NET_LINK_NONE                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* The network of a context. Any thread. NULL: out of memory. The arguments must live as long. */
struct net *net_new(struct keeper *keeper, const nova_config_t *config, const struct logger *log,
	const char *run_dir);
void net_free(struct net *net); /* NULL is accepted */

/* Makes the bridge and the way out, if they are not there, and a TAP with an address of its own.
 * `same` (NULL: none): the link of a machine that the new one continues, in whose place it comes;
 * the TAP itself, if it is one that ends with its descriptor. NOVA_EPERM without the rights,
 * NOVA_ELIMIT if all addresses are in use, NOVA_ECONFIG, NOVA_ENOTFOUND, NOVA_EIO. */
int net_attach(struct net *net, const char *id, const struct net_link *same,
	struct net_link *ret_link, nova_error_t **error);
/* For a VMM that opens its TAP by name, as that user. */
int net_hand_over(struct net *net, struct net_link *link, uint32_t owner, nova_error_t **error);
/* Bytes a second into and out of a guest; 0: no limit. Once for each TAP. NOVA_ENOTSUP: this kernel
 * cannot do that. */
int net_limit(struct net *net, struct net_link *link, uint64_t rx_bandwidth, uint64_t tx_bandwidth,
	nova_error_t **error);
/* Has frames for the link's address go there, also if another TAP had that address since. */
void net_point_at(const struct net_link *link);
/* Nothing gets in or out by it any more. NOVA_EIO. */
int net_cut(const struct net_link *link, nova_error_t **error);
/* The TAP goes, if this was the last that has it. Idempotent. */
void net_detach(struct net_link *link);

/* Removes the TAPs that a context which died with its keeper has left, also from processes that are
 * about to end. */
void net_sweep(const char *run_dir);

/* What the guest is to be told: members of a JSON object, with a comma before. NULL: out of memory.
 * Caller frees. */
char *net_members(const struct net_link *link);
/* The same as the kernel's argument ip=, as far as that goes. */
char *net_kernel_argument(const struct net_link *link);

/* --- names.c: name servers --- */

#define NET_SERVERS     3  /* more are not asked by any resolver */
#define NET_SERVERS_MAX 64 /* "1.2.3.4 5.6.7.8" */
/* The IPv4 servers in a resolv.conf that a guest can ask: none on the host's loopback. */
void net_servers_in(const char *text, char out[NET_SERVERS_MAX]);
/* Those of this host; public ones if it names none. `root` is "" for this host. */
void net_servers(const char *root, char out[NET_SERVERS_MAX]);

/* --- link.c: what the kernel is asked for. All: 0 or -errno. --- */

/* Before the others, but for link_delete(): the module netlink is there. */
int link_ready(nova_error_t **error);
int link_make_bridge(const char *name, uint32_t address, uint8_t prefix);
/* Attaches a TAP to a bridge, isolated from the others there. */
int link_attach(const char *tap, const char *bridge);
/* Frames for that address go to that port only. -EEXIST: it is another port's, unless it is to be
 * taken from others. */
int link_claim(const char *tap, const uint8_t mac[NET_MAC], bool from_others);
/* This host asks nobody on the bridge who has that address, and believes no answer. It stays: it is
 * true of whoever is given the address next. */
int link_pin(const char *bridge, uint32_t address);
int link_raise(const char *tap);
int link_lower(const char *tap);
int link_delete(const char *name);

/* --- limit.c --- */

int link_limit(const struct net_link *link, uint64_t rx_bandwidth, uint64_t tx_bandwidth);

/* --- nat.c --- */

/* Forwarding and masquerade for that bridge; nothing is done twice. */
int nat_make(struct keeper *keeper, bool environment, const char *bridge,
	const struct net_subnet *subnet, nova_error_t **error);

#endif
