/* SPDX-License-Identifier: MIT */
/*
 * The door of secret: values that functions are given, which the store has sealed (nova/secret.h).
 *
 * A value in the clear, and the keys, are in guarded memory (base/guarded.h), and only while they
 * are used: keys are read anew each time, so a file that was changed counts at once.
 */
#ifndef NOVA_LIB_SECRET_H
#define NOVA_LIB_SECRET_H

#include <pthread.h>

#include <nova/secret.h>

#include "base/guarded.h"
#include "config/config.h"
#include "property/property.h"
#include "store/store.h"
#include "vm/vm.h"

/* --- keyring.c: where the keys are --- */

#define SECRET_KEY 32u
#define KEYS_MOST  16u

struct secret_key {
	uint8_t bytes[SECRET_KEY];
	char id[SECRET_KEY_ID];
};
/* In guarded memory. The first seals, all of them open. */
struct keyring {
	unsigned count;
	struct secret_key keys[KEYS_MOST];
};
static inline void keyring_freep(struct keyring **ring)
{
	guarded_free(*ring);
}
#define AUTO_KEYRING CLEANUP(keyring_freep)

/* `file` "": there is none. NOVA_ECONFIG: there are no keys, or they are none; NOVA_EPERM: others
 * can read the file. */
int keyring_read(
	const char *file, bool environment, struct keyring **ret_ring, nova_error_t **error);
/* NULL: not there. */
const struct secret_key *keyring_find(const struct keyring *ring, const char *id);
/* "1234…, 5678…" */
#define KEYRING_TEXT (KEYS_MOST * (SECRET_KEY_ID + 1u) + 1u)
void keyring_tell(const struct keyring *ring, char out[KEYRING_TEXT]);
/* Puts a new key before those of the file, which is made if it is not there. */
int keyring_add(const char *file, nova_error_t **error);

/* --- seal.c: AES-256-GCM --- */

struct sealer;
int sealer_new(struct sealer **ret_sealer, nova_error_t **error);
void sealer_free(struct sealer *sealer);
/* `ret` gets the key's id, and what is sealed; it has a name. */
int seal(struct sealer *sealer, const struct secret_key *key, const void *value, size_t len,
	struct secret_record *ret, nova_error_t **error);
/* `out` has room for the value. NOVA_ECORRUPT: it is not what was sealed by that name. */
int unseal(struct sealer *sealer, const struct secret_key *key, const struct secret_record *record,
	void *out, nova_error_t **error);

/* --- seen.c: records that were looked up lately --- */

#define SECRETS_SEEN 64u

/* Those of one stamp of the store, each in the place that its name has. */
struct seen_secrets {
	pthread_mutex_t lock;
	uint64_t stamp;
	struct secret_record at[SECRETS_SEEN]; /* without a name: none */
};
/* Into an empty record: 1; 0: it was not seen at that stamp. */
int seen_secret_get(struct seen_secrets *seen, uint64_t stamp, const char *name,
	struct secret_record *ret, nova_error_t **error);
void seen_secret_put(struct seen_secrets *seen, uint64_t stamp, const struct secret_record *record);

/* --- secrets.c --- */

struct secrets {
	struct store *store;         /* borrowed */
	const nova_config_t *config; /* borrowed */
	pthread_mutex_t lock;        /* guards the next */
	struct sealer *sealer;       /* NULL: not needed yet */
	struct seen_secrets seen;
};
void secrets_init(struct secrets *secrets, struct store *store, const nova_config_t *config);
void secrets_done(struct secrets *secrets);
/* Each as the function of nova/secret.h. */
int secrets_set(struct secrets *secrets, const char *name, const void *value, size_t len,
	nova_error_t **error);
int secrets_list(struct secrets *secrets, const nova_secret ***ret_secrets, size_t *ret_count,
	nova_error_t **error);
int secrets_rotate(struct secrets *secrets, size_t *ret_count, nova_error_t **error);
/* The value of a record into guarded memory, with a NUL behind it. */
int secrets_open(struct secrets *secrets, const struct keyring *ring,
	const struct secret_record *record, char **ret_value, size_t *ret_len,
	nova_error_t **error);
int secrets_keys(const struct secrets *secrets, struct keyring **ret_ring, nova_error_t **error);
/* From the store, unless nothing has changed there since it was read last. */
int secrets_find(struct secrets *secrets, const char *name, struct secret_record *ret_record,
	nova_error_t **error);

/* --- values.c: what a function is given --- */

#define SECRET_REFERENCE "$SECRET:"
/* A variable that a function has to which its import is to be given them. */
#define SECRET_AT_INIT "NOVA_SECRETS_AT_INIT=1"
/* Of all secrets of a function together, as "NAME=value" with a NUL each: the agent has no more
 * room on the way to an interpreter. */
#define SECRET_VARIABLES_MAX (96u << 10)

/* The name of the secret that is the value of "NAME=$SECRET:name"; NULL: it is another value. */
const char *secret_reference(const char *variable);
bool secret_in_list(const struct text_list *variables);
/* What stands for a secret is one, and all of the value. */
int secret_check_variables(const struct text_list *variables, nova_error_t **error);
/* The secrets among a function's variables, as they were found at one moment. One thread. */
struct secret_set;
/* NULL: there are none. NOVA_ECONFIG: one is not there. */
int secret_set_find(struct secrets *secrets, const struct text_list *variables,
	struct secret_set **ret_set, nova_error_t **error);
void secret_set_free(struct secret_set *set);
static inline void secret_set_freep(struct secret_set **set)
{
	secret_set_free(*set);
}
/* Stands for the values, and tells nothing of them. */
const char *secret_set_digest(const struct secret_set *set);
/* As JSON, {"NAME":"value", ...}, in guarded memory: free it with guarded_free(). NOVA_ECONFIG:
 * there is no key for one. */
int secret_set_values(
	struct secret_set *set, char **ret_json, size_t *ret_len, nova_error_t **error);
/* Tells a guest what it does not know of them yet. */
int secret_set_entrust(
	struct secret_set *set, nova_vm_t *vm, const struct stop *stop, nova_error_t **error);
/* The same for whoever has variables alone: a function for struct vm_secrets, whose userdata is a
 * struct secrets. */
int secret_entrust(void *secrets, nova_vm_t *vm, const struct text_list *variables,
	const struct stop *stop, nova_error_t **error);

#endif
