/* SPDX-License-Identifier: MIT */
/* Private to the room: a request to a keeper, and its reply. */
#ifndef NOVA_LIB_KEEPER_ASK_H
#define NOVA_LIB_KEEPER_ASK_H

#include "keeper/keeper.h"
#include "keeper/wire.h"

/* To one that runs. 0 or -errno; *ret_fd as of sys_recv_fd(). */
int keeper_ask(struct keeper *keeper, struct keeper_request *request, size_t len, const int *fds,
	struct keeper_reply *reply, int *ret_fd);

#endif
