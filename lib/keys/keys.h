/* SPDX-License-Identifier: MIT */
/* The door of keys: those of a host program's callers (nova/key.h), in the store. */
#ifndef NOVA_LIB_KEYS_H
#define NOVA_LIB_KEYS_H

#include <pthread.h>

#include <nova/key.h>

#include "base/table.h"
#include "hash/hash.h"
#include "store/store.h"

/* --- seen.c: keys that were looked up lately --- */

#define KEYS_SEEN 192u

/* Those of one stamp of the store, each in the place that its hash names. */
struct seen_keys {
	pthread_mutex_t lock;
	uint64_t stamp;
	struct key_record at[KEYS_SEEN]; /* without a name: none */
};

/* Into an empty record: 1; 0: it was not seen at that stamp. */
int seen_get(struct seen_keys *seen, uint64_t stamp, const char *hash, struct key_record *ret,
	nova_error_t **error);
void seen_put(struct seen_keys *seen, uint64_t stamp, const struct key_record *record);

/* --- keys.c --- */

struct keys {
	struct store *store; /* borrowed */
	struct seen_keys seen;
};

void keys_init(struct keys *keys, struct store *store);
void keys_done(struct keys *keys);

/* Each as the function of nova/key.h. */
int keys_create(
	struct keys *keys, const nova_key_opts *opts, const nova_key **ret, nova_error_t **error);
int keys_check(struct keys *keys, const char *text, const nova_key **ret, nova_error_t **error);
int keys_get(struct keys *keys, const char *name, const nova_key **ret, nova_error_t **error);
int keys_list(
	struct keys *keys, const nova_key ***ret_keys, size_t *ret_count, nova_error_t **error);

#endif
