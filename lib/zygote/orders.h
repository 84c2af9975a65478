/* SPDX-License-Identifier: MIT */
/* What the process does when it is told to. */
#ifndef NOVA_LIB_ZYGOTE_ORDERS_H
#define NOVA_LIB_ZYGOTE_ORDERS_H

#include <stdbool.h>

#include "zygote/reason.h"
#include "zygote/wire.h"

/* Once, in the main thread: what a child has to be given again. `socket` is where orders come from,
 * in every child, too. */
void orders_begin(int socket);
/* Once, in the thread that takes orders. */
void orders_enter(void);
/* Carries one out that is sound, and fills the answer in. In a child, FORK comes back with an
 * answer to the child's own driver. The descriptors are closed, whatever happens. */
void orders_perform(const struct zygote_order *order, int *fds, struct zygote_answer *answer);
/* It cannot go on: after the answer it has to end. */
bool orders_failed(void);
/* Nobody gives orders any more. */
void orders_end(void);

#endif
