/* SPDX-License-Identifier: MIT */
/* Randomness of the kernel's. */
#ifndef NOVA_LIB_BASE_RANDOM_H
#define NOVA_LIB_BASE_RANDOM_H

#include <stddef.h>

int random_bytes(void *out, size_t len);
/* Writes `digits` (at most 64) random hex digits and a NUL. */
int random_hex(char *out, size_t digits);
#define UUID_SIZE 37u                 /* with the NUL */
int random_uuid(char out[UUID_SIZE]); /* version 4 */

#endif
