/* SPDX-License-Identifier: MIT */
/* A context's network: made when the first machine wants it, and then a TAP for each. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "net/net.h"

/* of this host, whatever the state directory: while the bridge and the way out are made */
#define LOCK       "/run/nova-net.lock"
#define NAME_TURNS 1000u

struct net {
	struct keeper *keeper;
	const struct logger *log;
	const nova_config_t *config;
	const char *run_dir;
	pthread_mutex_t lock; /* held while a link is made; protects what follows */
	bool routed;          /* the way out is there */
	/* address that was given; what was freed waits its turn, so that nobody mistakes the new
	 * guest for the old */
	uint32_t last;
};

struct net *net_new(struct keeper *keeper, const nova_config_t *config, const struct logger *log,
	const char *run_dir)
{
	struct net *net = calloc(1, sizeof(*net));
	if (!net)
		return NULL;
	*net = (struct net){ .keeper = keeper, .log = log, .config = config, .run_dir = run_dir };
	pthread_mutex_init(&net->lock, NULL);
	return net;
}

void net_free(struct net *net)
{
	if (net)
		pthread_mutex_destroy(&net->lock);
	free(net);
}

static const char *bridge_of(const struct net *net)
{
	return config_str(net->config, "firecracker.bridge_name");
}

static int refuse(int r, const char *what, nova_error_t **error)
{
	if (r == -EPERM || r == -EACCES)
		return nova_fail(error, NOVA_EPERM,
			"a microVM with a network needs the rights of root (%s was refused): run "
			"as root, or ask for the network none",
			what);
	return nova_fail_os(error, r, "'%s', for a microVM's network", what);
}

/* --- a TAP --- */

static int make_tap(const char *id, struct net_link *link, nova_error_t **error)
{
	int fd = -EBUSY;
	for (unsigned turn = 0; fd == -EBUSY && turn < NAME_TURNS; turn++) {
		net_tap_name(id, turn, link->name);
		fd = sys_tap_new(link->name);
	}
	if (fd >= 0) {
		link->fd = fd;
		return 0;
	}
	link->name[0] = 0;
	if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
		return nova_fail(error, NOVA_ENOTSUP,
			"this host has no /dev/net/tun, so no microVM can have a network: load the "
			"module tun, or give the container that device");
	return refuse(fd, "/dev/net/tun", error);
}

/* The next one that the kernel lets the port have. */
static int claim_address(struct net *net, struct net_link *link, nova_error_t **error)
{
	uint8_t mac[NET_MAC];
	uint32_t left = net_address_count(&link->subnet);
	int r = -EEXIST;
	while (r == -EEXIST && left--) {
		net->last = net_next_address(&link->subnet, net->last);
		net_mac(net->last, mac);
		r = link_claim(link->name, mac, false);
	}
	link->address = net->last;
	if (r == -EEXIST)
		return nova_fail(error, NOVA_ELIMIT,
			"all addresses for microVMs are in use: give the setting "
			"firecracker.subnet a wider one");
	return r < 0 ? refuse(r, bridge_of(net), error) : 0;
}

static int plug_in(struct net *net, struct net_link *link, nova_error_t **error)
{
	int r = link_attach(link->name, bridge_of(net));
	if (r < 0)
		return refuse(r, bridge_of(net), error);
	int code = 0;
	if (link->address)
		net_point_at(link);
	else
		code = claim_address(net, link, error);
	if (code < 0)
		return code;
	r = link_pin(bridge_of(net), link->address);
	if (r < 0)
		return refuse(r, bridge_of(net), error);
	r = link_raise(link->name);
	return r < 0 ? refuse(r, link->name, error) : 0;
}

/* --- the bridge --- */

static int check_settings(const struct net *net, struct net_subnet *ret, nova_error_t **error)
{
	const char *text = config_str(net->config, "firecracker.subnet"), *bridge = bridge_of(net);
	if (!net_subnet_parse(text, ret))
		return nova_fail(error, NOVA_ECONFIG,
			"the setting firecracker.subnet is '%s': write an IPv4 network and its "
			"length, 1 to 30, as in 172.30.0.0/24",
			text);
	if (strspn(bridge, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
		strlen(bridge))
		return nova_fail(error, NOVA_ECONFIG,
			"the setting firecracker.bridge_name is '%s': letters, digits, '-' and '_' "
			"make up a name",
			bridge);
	return 0;
}

/* Made anew if somebody has removed it. With net->lock held. */
static int make_bridge(struct net *net, const struct net_subnet *subnet, nova_error_t **error)
{
	int code = link_ready(error);
	if (code < 0)
		return code;
	bool there = sys_link_index(bridge_of(net)) > 0;
	if (there && net->routed)
		return 0;
	AUTO_FD int lock = -1;
	int r = fs_lock(LOCK, true, &lock); /* so that no rule is made twice */
	if (r == 0)
		r = link_make_bridge(bridge_of(net), net_gateway(subnet), subnet->prefix);
	if (r < 0)
		return refuse(r, bridge_of(net), error);
	bool environment = config_environment(net->config);
	code = nat_make(net->keeper, environment, bridge_of(net), subnet, error);
	net->routed = code == 0;
	if (code == 0 && !there)
		log_info(net->log, "net",
			"the bridge %s was made for microVMs with a network, and stays",
			bridge_of(net));
	return code;
}

/* --- the door --- */

static int attach_locked(
	struct net *net, const char *id, struct net_link *link, nova_error_t **error)
{
	int code = make_bridge(net, &link->subnet, error);
	if (code == 0)
		code = make_tap(id, link, error);
	return code < 0 ? code : plug_in(net, link, error);
}

/* The descriptor's copy is the same TAP. */
static int share(const struct net_link *same, struct net_link *link, nova_error_t **error)
{
	AUTO_FREE char *queue = same->queue ? strdup(same->queue) : NULL;
	AUTO_FD int fd = sys_dup(same->fd);
	if (fd < 0)
		return nova_fail_os(error, fd, "TAP %s", same->name);
	if (same->queue && !queue)
		return nova_oom(error);
	*link = *same;
	link->queue = STEAL(queue);
	link->fd = STEAL_FD(fd);
	return 0;
}

int net_attach(struct net *net, const char *id, const struct net_link *same,
	struct net_link *ret_link, nova_error_t **error)
{
	struct net_link link = NET_LINK_NONE;
	if (same && same->fd >= 0)
		return share(same, ret_link, error);
	int code = check_settings(net, &link.subnet, error);
	if (code < 0)
		return code;
	if (same) {
		link.subnet = same->subnet;
		link.address = same->address;
	}
	pthread_mutex_lock(&net->lock);
	code = attach_locked(net, id, &link, error);
	pthread_mutex_unlock(&net->lock);
	if (code < 0)
		net_detach(&link);
	else
		*ret_link = link;
	return code;
}

/* A file named after a device that does not end by itself. */
static int record_device(struct net *net, const char *name, char **ret_record, nova_error_t **error)
{
	AUTO_FREE char *taps = path_join(net->run_dir, "taps"),
		       *record = taps ? path_join(taps, name) : NULL;
	if (!record)
		return nova_oom(error);
	int r = fs_mkdirs(taps, 0700);
	AUTO_FD int fd = r < 0 ? r : sys_open(record, O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		return nova_fail_os(error, fd, "'%s'", record);
	*ret_record = STEAL(record);
	return 0;
}

int net_hand_over(struct net *net, struct net_link *link, uint32_t owner, nova_error_t **error)
{
	AUTO_FREE char *record = NULL;
	int code = record_device(net, link->name, &record, error);
	if (code < 0)
		return code;
	int r = sys_tap_keep(link->fd, owner);
	if (r < 0)
		return nova_fail_os(error, r, "TAP %s", link->name);
	link->record = STEAL(record);
	fd_close(STEAL_FD(link->fd));
	return 0;
}

int net_limit(struct net *net, struct net_link *link, uint64_t rx_bandwidth, uint64_t tx_bandwidth,
	nova_error_t **error)
{
	char queue[NET_NAME];
	if (link->limited || !link->name[0] || !(rx_bandwidth || tx_bandwidth))
		return 0;
	net_queue_name(link->name, queue);
	int code = tx_bandwidth ? record_device(net, queue, &link->queue, error) : 0;
	if (code < 0)
		return code;
	int r = link_limit(link, rx_bandwidth, tx_bandwidth);
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return nova_fail(error, NOVA_ENOTSUP,
			"this kernel cannot limit the bandwidth of a network: load the modules "
			"sch_tbf, sch_ingress, cls_u32, act_mirred and ifb, or do without "
			"net_rx_bandwidth and net_tx_bandwidth");
	if (r < 0)
		return refuse(r, link->name, error);
	link->limited = true;
	return 0;
}

void net_point_at(const struct net_link *link)
{
	uint8_t mac[NET_MAC];
	net_mac(link->address, mac);
	if (link->name[0])
		link_claim(link->name, mac, true);
}

int net_cut(const struct net_link *link, nova_error_t **error)
{
	int r = link->name[0] ? link_lower(link->name) : 0;
	return r < 0 ? refuse(r, link->name, error) : 0;
}

/* Unless the machine that came in the place of this one has the TAP. */
static void remove_queue(const struct net_link *link)
{
	char queue[NET_NAME];
	net_queue_name(link->name, queue);
	if (sys_link_index(link->name))
		return;
	link_delete(queue);
	fs_unlink(link->queue);
}

void net_detach(struct net_link *link)
{
	fd_close(link->fd);
	if (link->record) {
		sys_tap_remove(link->name);
		fs_unlink(link->record);
	}
	if (link->queue)
		remove_queue(link);
	free(link->queue);
	free(link->record);
	*link = (struct net_link)NET_LINK_NONE;
}

void net_sweep(const char *run_dir)
{
	AUTO_FREE char *taps = path_join(run_dir, "taps");
	char **names;
	int count = taps ? fs_list(taps, &names) : -1;
	for (int i = 0; i < count; i++)
		link_delete(names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
}

char *net_members(const struct net_link *link)
{
	char address[NET_TEXT], gateway[NET_TEXT], servers[NET_SERVERS_MAX];
	uint8_t mac[NET_MAC];
	net_address_text(link->address, address);
	net_address_text(net_gateway(&link->subnet), gateway);
	net_servers("", servers);
	net_mac(link->address, mac);
	return str_format(",\"address\":\"%s/"
			  "%u\",\"gateway\":\"%s\",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\","
			  "\"nameservers\":\"%s\"",
		address, link->subnet.prefix, gateway, mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5], servers);
}

char *net_kernel_argument(const struct net_link *link)
{
	char address[NET_TEXT], gateway[NET_TEXT], mask[NET_TEXT];
	net_address_text(link->address, address);
	net_address_text(net_gateway(&link->subnet), gateway);
	net_address_text(net_mask(&link->subnet), mask);
	return str_format("ip=%s::%s:%s::eth0:off", address, gateway, mask);
}
