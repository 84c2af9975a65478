/* SPDX-License-Identifier: MIT */
/* Network devices. */
#ifndef NOVA_LIB_BASE_SYS_NET_H
#define NOVA_LIB_BASE_SYS_NET_H

#include <stdint.h>

int sys_netlink_open(void);                /* NETLINK_ROUTE */
uint32_t sys_link_index(const char *name); /* 0: there is none */
/* A new TAP, with virtio headers, for one who does not block on it; it lives as long as the
 * descriptor. -EBUSY: the name is taken. */
int sys_tap_new(const char *name);
/* Has it stay without a descriptor, until sys_tap_remove(), so that `owner` can open it by name. */
int sys_tap_keep(int fd, uint32_t owner);
/* How many bytes stand before each frame. */
int sys_tap_header(int fd);
int sys_tap_set_header(int fd, int size);
int sys_tap_remove(const char *name);        /* -EBUSY while somebody has it open */
void sys_taps_remove(const char *directory); /* those that files in it are named after */

#endif
