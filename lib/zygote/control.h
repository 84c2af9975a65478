/* SPDX-License-Identifier: MIT */
/* The thread that takes orders, and its socket. */
#ifndef NOVA_LIB_ZYGOTE_CONTROL_H
#define NOVA_LIB_ZYGOTE_CONTROL_H

#include "zygote/reason.h"

/* Says hello. With a reason (else NULL) that is all that is ever said, and the socket is closed. */
void control_hello(int socket, const struct reason *reason);
int control_begin(int socket, struct reason *reason);

#endif
