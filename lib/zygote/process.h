/* SPDX-License-Identifier: MIT */
/* What belongs to the process as a whole: whether a child would have it, or miss it. */
#ifndef NOVA_LIB_ZYGOTE_PROCESS_H
#define NOVA_LIB_ZYGOTE_PROCESS_H

#include "zygote/reason.h"

/* While all threads stand. */
int process_check(struct reason *reason);
/* While all threads stand: what is a shared mapping of that file becomes a private one. */
int process_unshare(int fd, struct reason *reason);

#endif
