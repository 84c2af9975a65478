/* SPDX-License-Identifier: MIT */
/* Network devices of this host: TAPs, and the socket on which the kernel is asked for links and
 * addresses. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/sys.h"
#include "base/sys_net.h"
#include "base/text.h"

int sys_netlink_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? -errno : fd_high(fd);
}

static int tap_attach(const char *name, int flags)
{
	struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags) };
	size_t len = strlen(name);
	if (len >= sizeof(request.ifr_name))
		return -ENAMETOOLONG;
	memcpy(request.ifr_name, name, len + 1);
	AUTO_FD int fd = sys_open("/dev/net/tun", O_RDWR | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	return ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : STEAL_FD(fd);
}

int sys_tap_new(const char *name)
{
	return tap_attach(name, IFF_TUN_EXCL);
}

int sys_tap_keep(int fd, uint32_t owner)
{
	return ioctl(fd, TUNSETOWNER, owner) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0 ? -errno : 0;
}

int sys_tap_header(int fd)
{
	int size;
	return ioctl(fd, TUNGETVNETHDRSZ, &size) < 0 ? -errno : size;
}

int sys_tap_set_header(int fd, int size)
{
	return ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ? -errno : 0;
}

/* Whoever has it open for the last time, and it is not to stay, has it removed. */
int sys_tap_remove(const char *name)
{
	AUTO_FD int fd = tap_attach(name, 0);
	return fd < 0 ? fd : ioctl(fd, TUNSETPERSIST, 0) < 0 ? -errno : 0;
}

/* By a message that is written out here, as the keeper has no library for it. */
static int link_remove(const char *name)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} m = { .header = {
			.nlmsg_len = sizeof(m),
			.nlmsg_type = RTM_DELLINK,
			.nlmsg_flags = NLM_F_REQUEST,
		} };
	AUTO_FD int fd = sys_netlink_open();
	m.link.ifi_index = (int)if_nametoindex(name);
	if (fd < 0 || !m.link.ifi_index)
		return fd < 0 ? fd : -ENODEV;
	return send(fd, &m, sizeof(m), 0) < 0 ? -errno : 0;
}

void sys_taps_remove(const char *directory)
{
	char **names;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++)
		if (sys_tap_remove(names[i]) < 0)
			link_remove(names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
}

uint32_t sys_link_index(const char *name)
{
	return if_nametoindex(name);
}
