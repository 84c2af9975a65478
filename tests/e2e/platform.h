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

/* --- a function that the pool alone is asked for --- */

struct function {
	char *directory, *disk;
	nova_vm_opts vm;
	nova_vm_init_opts init;
	nova_pool_want want;
};
/* `file` with that content in a directory of the platform's; more may be put beside it. */
void function_write(struct function *f, const struct platform *p, const char *key, const char *file,
	const char *content);
/* Packs the directory, for the runtime and the root file system of that name. */
void function_pack(struct function *f, const char *runtime);
nova_vm_t *function_take(const struct platform *p, const struct function *f);
void function_free(struct function *f);

#endif
