/* SPDX-License-Identifier: MIT */
/* Room for work on a full disk. */
#ifndef NOVA_LIB_BASE_RESERVE_H
#define NOVA_LIB_BASE_RESERVE_H

#include <stdbool.h>

/* Minds a file that holds some room in a directory, for work that is to be possible on a full disk:
 * opening, reading, deleting. `working`: that follows, so the room is given up if there is little
 * else; otherwise it is taken again as far as possible. */
void fs_reserve(const char *directory, bool working);
/* The disk is so full that this room was given up: nothing that takes more should begin. */
bool fs_reserve_is_spent(const char *directory);

#endif
