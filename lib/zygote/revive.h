/* SPDX-License-Identifier: MIT */
/* In a child: its threads, from the frames of those that stood in its parent. */
#ifndef NOVA_LIB_ZYGOTE_REVIVE_H
#define NOVA_LIB_ZYGOTE_REVIVE_H

#include <stddef.h>

#include "zygote/reason.h"

/* Once, in the main thread: what must be known of the C library. */
int revive_begin(struct reason *reason);
/* Where the C library keeps the number of a thread whose TLS begins there. */
int *revive_number(const void *tls);
/* While all stand: that the numbers are where they are expected. */
int revive_check(struct reason *reason);
/* Whoever is going to lose the right to be less nice than others must have no thread that is. */
int revive_check_niceness(struct reason *reason);
/* All of them go on, or none does. */
int revive_all(struct reason *reason);

#endif
