/* SPDX-License-Identifier: MIT */
/* The door of hash: checksums. -ELIBACC: the module of the library is not there; hash_ready() says
 * so in a sentence. */
#ifndef NOVA_LIB_HASH_H
#define NOVA_LIB_HASH_H

#include "base/base.h"

#define SHA256_HEX 65 /* 64 digits and a NUL */

int hash_ready(nova_error_t **error);
int sha256_hex(const void *data, size_t len, char out[SHA256_HEX]);
int sha256_file_hex(const char *path, char out[SHA256_HEX]);
/* Of the pages of 4096 bytes that are not all zero, each with its number before it: much quicker
 * where most of a file is holes. */
int sha256_pages_hex(const char *path, char out[SHA256_HEX]);

#endif
