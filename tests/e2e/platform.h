/* SPDX-License-Identifier: MIT */
/* The cases of e2e-platform, one file each. */
#ifndef NOVA_TESTS_PLATFORM_H
#define NOVA_TESTS_PLATFORM_H

#include "vmtest.h"

TCase *call_cases(void);    /* calls.c: what one caller sees */
TCase *check_cases(void);   /* check.c: functions that are looked at before they are stored */
TCase *pool_cases(void);    /* warm.c: VMs that wait, come back, or die */
TCase *sharing_cases(void); /* sharing.c: threads, processes, kill -9 */
TCase *network_cases(void); /* network.c: guests with a network device */
TCase *broken_cases(void);  /* broken.c: images, QEMU, disks and rights */
TCase *keeper_cases(void);  /* keeper.c: a keeper that stands still, a table that is full */
TCase *limit_cases(void);   /* limits.c: of disks and networks */
TCase *network_limit_cases(void);
TCase *template_cases(void);   /* template.c: templates … */
TCase *randomness_cases(void); /* randomness.c: what copies of a function draw */
TCase *node_cases(void);       /* node.c: functions of Node */
TCase *room_cases(void);       /* room.c: rights, memory and /tmp of a function */
TCase *runtime_cases(void);
TCase *standby_cases(void); /* … and VMMs that wait at them */

#endif
