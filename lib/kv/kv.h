/* SPDX-License-Identifier: MIT */
/*
 * The door of kv: what functions keep between their calls (nova/kv.h), in the store. `space` is the
 * id of a function, which is its caller's to know: no name of a space ever comes from a guest.
 */
#ifndef NOVA_LIB_KV_H
#define NOVA_LIB_KV_H

#include <pthread.h>

#include <nova/kv.h>

#include "json/json.h"
#include "rate/rate.h"
#include "store/store.h"

/* Somebody who changes what a function keeps, or waits for that. */
struct kv_turn {
	const char *space;
	pthread_cond_t come;
	struct kv_turn *next;
};

struct kv {
	struct store *base; /* with the functions; borrowed */
	const nova_config_t *config;
	uint64_t value_max, file_max;
	struct kv_limits keys, files;
	uint64_t rate; /* of what guests of one function may ask for in a second; 0: any */
	/* Borrowed; set after kv_init(), and so is how a tick is asked for. */
	struct rates *rates;
	nova_pool_t *pool;
	void (*want_tick)(nova_pool_t *pool, uint64_t when);
	pthread_mutex_t lock; /* guards those below */
	struct store *store;  /* NULL: not open */
	uint64_t sweep_at, orphans_at;
	char **orphans; /* spaces without a function when it was looked last; a tick's own */
	size_t orphan_count;
	pthread_mutex_t turns_lock; /* guards those below */
	struct kv_turn *turns;      /* in the order in which they came */
};

/* Opens nothing yet. */
void kv_init(struct kv *kv, struct store *base, const nova_config_t *config);
void kv_done(struct kv *kv);

/* Each as the function of nova/kv.h. Options have been imported. */
int kv_put(struct kv *kv, const char *space, const nova_kv_put_opts *opts, uint64_t *ret_version,
	nova_error_t **error);
int kv_get(struct kv *kv, const char *space, const char *key, const nova_kv_entry **ret_entry,
	nova_error_t **error);
int kv_delete(struct kv *kv, const char *space, const char *key, uint64_t if_version,
	nova_error_t **error);
int kv_list(struct kv *kv, const char *space, const nova_kv_list_opts *opts,
	const nova_kv_entry ***ret_entries, size_t *ret_count, nova_error_t **error);
int kv_file_put(
	struct kv *kv, const char *space, const nova_file_put_opts *opts, nova_error_t **error);
int kv_file_get(struct kv *kv, const char *space, const char *name, const nova_file **ret_file,
	nova_error_t **error);
int kv_file_delete(struct kv *kv, const char *space, const char *name, nova_error_t **error);
int kv_file_list(struct kv *kv, const char *space, const nova_kv_list_opts *opts,
	const nova_file ***ret_files, size_t *ret_count, nova_error_t **error);

/* Of a function that was deleted. What cannot be removed now is by a tick. */
void kv_clear(struct kv *kv, const char *space);
/* At each tick of the pool: removes what has expired, and what no function has any more. */
void kv_tick(struct kv *kv);

/* For archives: the store, or NULL if no function keeps anything, unless it `makes` one. */
int kv_open(void *kv, bool makes, struct store **ret_store, nova_error_t **error);

/*
 * What a function asks for while it runs: docs/kv.md. `ask` is JSON that anybody may have written,
 * and is written to. The reply is a JSON object: what was asked for, or "code" and "error".
 * -ENOMEM.
 */
int kv_answer(struct kv *kv, const char *space, char *ask, size_t len, struct buf *reply);

/* --- inside the room --- */

/* The members of what is asked for. */
struct kv_ask {
	/* Text, with a NUL behind it; {NULL, 0}: not there. */
	struct json_span op, key, value, type, prefix, after;
	int64_t ttl_ms, if_version, limit; /* 0: not there */
	bool is_new;
};
/* Reads the text, which it writes to. NOVA_EINVAL, naming the member. */
int kv_ask_read(char *text, size_t len, struct kv_ask *ret_ask, nova_error_t **error);

/* With the lock, when the store has been opened. */
void kv_begin_sweeping(struct kv *kv);
/* Something goes then. */
void kv_note_ttl(struct kv *kv, uint64_t ttl_ms);

/* Opened when it is needed first. It stays. */
int kv_store(struct kv *kv, struct store **ret_store, nova_error_t **error);
/* The same for one who changes something: when nobody else of this process changes what is in that
 * space, until kv_leave(). NOVA_EIO: others took too long. */
int kv_enter(struct kv *kv, const char *space, struct kv_turn *ret_turn, struct store **ret_store,
	nova_error_t **error);
void kv_leave(struct kv *kv, struct kv_turn *turn);
/* NOVA_EINVAL. */
int kv_page(const nova_kv_list_opts *opts, struct kv_page *ret_page, nova_error_t **error);

#endif
