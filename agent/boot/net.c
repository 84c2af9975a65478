/* SPDX-License-Identifier: MIT */
/*
 * The network device, as the host wants it. Kernels of distributions have neither the driver nor
 * the reader of ip= built in, and a clone wakes up with the address of the guest that it was made
 * of: so it is all done here, by the host's word, and done again in each clone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/boot/boot.h"

#define DEVICE "eth0"

static struct sockaddr to_sockaddr(struct in_addr address)
{
	struct sockaddr out;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = address };
	memcpy(&out, &in, sizeof(out));
	return out;
}

/* "172.30.0.2/24" to address and mask. */
static bool read_address(const char *text, struct in_addr *address, struct in_addr *mask)
{
	char plain[20];
	const char *slash = strchr(text, '/');
	long prefix = slash ? strtol(slash + 1, NULL, 10) : 0;
	if (prefix < 1 || prefix > 32)
		return false;
	snprintf(plain, sizeof(plain), "%.*s", (int)(slash - text), text);
	mask->s_addr = htonl(~0u << (32 - prefix));
	return inet_pton(AF_INET, plain, address) == 1;
}

static struct ifreq request(void)
{
	struct ifreq r = { .ifr_name = DEVICE };
	return r;
}

static int set_mac(int fd, const char *text)
{
	struct ifreq r = request();
	unsigned b[6];
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		return -EINVAL;
	if (ioctl(fd, SIOCGIFHWADDR, &r) < 0)
		return -errno;
	bool same = true;
	for (int i = 0; i < 6; i++) {
		same &= (unsigned char)r.ifr_hwaddr.sa_data[i] == b[i];
		r.ifr_hwaddr.sa_data[i] = (char)b[i];
	}
	return same || ioctl(fd, SIOCSIFHWADDR, &r) == 0 ? 0 : -errno;
}

static int set_sockaddr(int fd, unsigned long what, struct in_addr address)
{
	struct ifreq r = request();
	r.ifr_addr = to_sockaddr(address);
	return ioctl(fd, what, &r) < 0 ? -errno : 0;
}

static int set_up(int fd)
{
	struct ifreq r = request();
	if (ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	if (r.ifr_flags & IFF_UP)
		return 0;
	/* the bridge has none: it would only be noise */
	write_text("/proc/sys/net/ipv6/conf/" DEVICE "/disable_ipv6", "1");
	r.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &r) < 0 ? -errno : 0;
}

/* With the former address the kernel has dropped the former routes. */
static int set_route(int fd, const char *gateway)
{
	struct in_addr any = { 0 }, by;
	if (inet_pton(AF_INET, gateway, &by) != 1)
		return -EINVAL;
	struct rtentry route = {
		.rt_dst = to_sockaddr(any),
		.rt_genmask = to_sockaddr(any),
		.rt_gateway = to_sockaddr(by),
		.rt_flags = RTF_UP | RTF_GATEWAY,
	};
	return ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST ? -errno : 0;
}

/* Where the root filesystem's /etc/resolv.conf leads. */
static int set_nameservers(const char *servers)
{
	AUTO_BUF struct buf text = BUF_INIT(1024);
	AUTO_FREE char *copy = strdup(servers);
	char *rest = copy, *word;
	AUTO_FD int fd = sys_open("/run/resolv.conf", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || !copy)
		return fd < 0 ? fd : -ENOMEM;
	while ((word = strsep(&rest, " ")))
		if (*word &&
			(buf_append_str(&text, "nameserver ") < 0 ||
				buf_append_str(&text, word) < 0 || buf_append_str(&text, "\n") < 0))
			return -ENOMEM;
	return sys_write_all(fd, text.data, text.len);
}

char *net_set(const struct net_order *order)
{
	struct in_addr address, mask;
	if (!read_address(order->address, &address, &mask))
		return str_format("resume: \"address\" is no IPv4 address with its length, as in "
				  "172.30.0.2/24");
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : set_mac(fd, order->mac);
	if (r == -ENODEV)
		return str_format("resume: this guest has no network device " DEVICE
				  ": its initramfs needs the module virtio_net");
	if (r == 0)
		r = set_sockaddr(fd, SIOCSIFADDR, address);
	if (r == 0)
		r = set_sockaddr(fd, SIOCSIFNETMASK, mask);
	if (r == 0)
		r = set_up(fd);
	if (r == 0)
		r = set_route(fd, order->gateway);
	if (r == 0)
		r = set_nameservers(order->nameservers);
	return r < 0 ? str_format("resume: network device " DEVICE ": %s", strerror(-r)) : NULL;
}
