/* SPDX-License-Identifier: MIT */
/* Devices, as the kernel finds them. */
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "agent/boot/boot.h"

int device_events(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		close(STEAL_FD(fd));
	return fd;
}

bool device_wait(int events, bool (*there)(void *), void *what, int ms)
{
	char dropped[4096];
	uint64_t end = deadline_in_ms((uint64_t)ms);
	while (!there(what)) {
		if (deadline_passed(end))
			return false;
		struct pollfd in = { events, POLLIN, 0 };
		/* Without them (they need CONFIG_NET) this is a plain poll of the predicate. */
		sys_poll(&in, 1, events < 0 ? 5 : deadline_poll_ms(end));
		while (events >= 0 && recv(events, dropped, sizeof(dropped), 0) > 0)
			;
	}
	return true;
}

bool device_exists(unsigned virtio_id)
{
	char **names;
	bool found = false;
	int count = fs_list("/sys/bus/virtio/devices", &names);
	for (int i = 0; i < count && !found; i++) {
		char path[300];
		AUTO_BUF struct buf text = BUF_INIT(64);
		snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/device", names[i]);
		found = fs_read_file(path, &text) == 0 && buf_append(&text, "", 1) == 0 &&
			strtoul((char *)text.data, NULL, 16) == virtio_id;
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}
