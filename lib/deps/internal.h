/* SPDX-License-Identifier: MIT */
/* Inside deps only: what the files on the library's side share. */
#ifndef NOVA_LIB_DEPS_INTERNAL_H
#define NOVA_LIB_DEPS_INTERNAL_H

#include "deps/deps.h"
#include "hash/hash.h"
#include "keeper/keeper.h"

/* Installs into `work`/target; afterwards no process of it is left. */
int install_run(nova_host_t *host, const struct deps_want *want, const struct deps_guest *guest,
	const char *work, const struct stop *stop, nova_error_t **error);

/* A hash of all that decides what is installed; "": that cannot be known, as the file refers to
 * others. */
int deps_key(const struct deps_want *want, const struct deps_guest *guest, char out[SHA256_HEX],
	nova_error_t **error);

#endif
