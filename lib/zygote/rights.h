/* SPDX-License-Identifier: MIT */
/* What a child may do, set at its birth, before its threads: they inherit it. */
#ifndef NOVA_LIB_ZYGOTE_RIGHTS_H
#define NOVA_LIB_ZYGOTE_RIGHTS_H

#include "zygote/reason.h"
#include "zygote/wire.h"

/* How a process is made of one with all its threads; a filter lets this through by value. */
#define FORK_FLAGS (SIGCHLD | CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)

/* Becomes the user, and puts the filter on, that the order names. */
int rights_take(const struct zygote_order *order, struct reason *reason);
/* Puts the filter of who may be forked on all threads of a program that runs. */
int rights_confine(struct reason *reason);

#endif
