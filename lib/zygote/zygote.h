/* SPDX-License-Identifier: MIT */
/* The door of zygote: a program that can be forked with all its threads, translated code included.
 * What is loaded into such a program is a file of its own, which shares nothing but wire.h. */
#ifndef NOVA_LIB_ZYGOTE_ZYGOTE_H
#define NOVA_LIB_ZYGOTE_ZYGOTE_H

#include "base/base.h"
#include "zygote/wire.h"

/* Path of nova-zygote.so, for LD_PRELOAD. NOVA_ENOTSUP: this build has none; NOVA_ENOTFOUND with
 * the way out. */
int zygote_find(char **ret_path, nova_error_t **error);

#endif
