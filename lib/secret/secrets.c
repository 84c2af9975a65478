/* SPDX-License-Identifier: MIT */
/* Secrets: set, shown without their values, given another key. */
#include "secret/secret.h"

#define TRIES 5 /* against somebody else who changes the same secret */

struct secret {
	nova_secret is; /* first: what others see of it */
	struct secret_record record;
};

void secrets_init(struct secrets *secrets, struct store *store, const nova_config_t *config)
{
	*secrets = (struct secrets){ .store = store, .config = config };
	pthread_mutex_init(&secrets->lock, NULL);
	pthread_mutex_init(&secrets->seen.lock, NULL);
}

void secrets_done(struct secrets *secrets)
{
	for (size_t i = 0; i < SECRETS_SEEN; i++)
		secret_record_clear(&secrets->seen.at[i]);
	sealer_free(secrets->sealer);
	pthread_mutex_destroy(&secrets->seen.lock);
	pthread_mutex_destroy(&secrets->lock);
}

/* It is made once, and used by several threads then. */
static int get_sealer(struct secrets *secrets, struct sealer **ret, nova_error_t **error)
{
	pthread_mutex_lock(&secrets->lock);
	int code = secrets->sealer ? 0 : sealer_new(&secrets->sealer, error);
	*ret = secrets->sealer;
	pthread_mutex_unlock(&secrets->lock);
	return code;
}

int secrets_keys(const struct secrets *secrets, struct keyring **ret_ring, nova_error_t **error)
{
	return keyring_read(config_str(secrets->config, "secret.key_file"),
		config_environment(secrets->config), ret_ring, error);
}

/* --- one value --- */

static int check_value(const void *value, size_t len, nova_error_t **error)
{
	if (len > SECRET_VALUE_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"the value of a secret is limited to %u bytes, and this one has %zu",
			SECRET_VALUE_MAX, len);
	if (len && memchr(value, 0, len))
		return nova_fail(error, NOVA_EINVAL,
			"the value of a secret becomes that of a variable, so it cannot have a NUL "
			"in it: encode it (base64)");
	if (len && utf8_valid_prefix(value, len) < len)
		return nova_fail(error, NOVA_EINVAL,
			"the value of a secret has to be UTF-8: encode what is not (base64)");
	return 0;
}

/* 1: in place of what was sealed with another key; 0: somebody has changed or deleted that since,
 * so there is nothing left to do. */
static int seal_again(struct secrets *secrets, const struct keyring *ring,
	struct secret_record *record, const void *value, size_t len, nova_error_t **error)
{
	AUTO_SECRET_RECORD struct secret_record after = { .name = strdup(record->name) };
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = after.name ? seal(secrets->sealer, &ring->keys[0], value, len, &after, error) :
				nova_oom(error);
	if (code < 0)
		return code;
	code = secrets->store->ops->secrets->reseal(secrets->store, &after, record, &failure);
	if (code == NOVA_EBUSY)
		return 0;
	if (code < 0) {
		if (error)
			*error = STEAL(failure);
		return code;
	}
	struct secret_record before = *record;
	*record = after;
	after = before;
	return 1;
}

/* A rotation that began after the keys were read may not have seen what is put only now, so they
 * are read again: whoever takes the old key away must find nothing that needs it. */
static int follow_keys(struct secrets *secrets, struct secret_record *record, const void *value,
	size_t len, nova_error_t **error)
{
	for (int i = 0; i < TRIES; i++) {
		AUTO_KEYRING struct keyring *ring = NULL;
		int code = secrets_keys(secrets, &ring, error);
		if (code < 0 || !strcmp(record->key_id, ring->keys[0].id))
			return code;
		code = seal_again(secrets, ring, record, value, len, error);
		if (code <= 0)
			return code;
	}
	return nova_fail(error, NOVA_EBUSY, "the keys for secrets change all the time: try again");
}

static int put_sealed(struct secrets *secrets, struct secret_record *record, const void *value,
	size_t len, nova_error_t **error)
{
	AUTO_KEYRING struct keyring *ring = NULL;
	struct sealer *sealer;
	int code = secrets_keys(secrets, &ring, error);
	if (code == 0)
		code = get_sealer(secrets, &sealer, error);
	if (code == 0)
		code = seal(sealer, &ring->keys[0], value, len, record, error);
	if (code == 0)
		code = secrets->store->ops->secrets->put(secrets->store, record, error);
	return code < 0 ? code : follow_keys(secrets, record, value, len, error);
}

int secrets_set(struct secrets *secrets, const char *name, const void *value, size_t len,
	nova_error_t **error)
{
	AUTO_SECRET_RECORD struct secret_record record = { .name = strdup(name) };
	record.created_us = record.updated_us = clock_unix_us();
	int code = record.name ? word_check("name", name, NOVA_EINVAL, error) : nova_oom(error);
	if (code == 0)
		code = check_value(value, len, error);
	return code < 0 ? code : put_sealed(secrets, &record, value, len, error);
}

int secrets_open(struct secrets *secrets, const struct keyring *ring,
	const struct secret_record *record, char **ret_value, size_t *ret_len, nova_error_t **error)
{
	const struct secret_key *key = keyring_find(ring, record->key_id);
	struct sealer *sealer;
	char keys[KEYRING_TEXT];
	keyring_tell(ring, keys);
	if (!key)
		return nova_fail(error, NOVA_ECONFIG,
			"secret '%s' was sealed with key %s, and those given are %s: add that key, "
			"or set the secret anew",
			record->name, record->key_id, keys);
	int code = get_sealer(secrets, &sealer, error);
	if (code < 0)
		return code;
	AUTO_GUARDED char *value = guarded_alloc(record->sealed_len + 1);
	code = value ? unseal(sealer, key, record, value, error) : nova_oom(error);
	if (code < 0)
		return code;
	*ret_len = record->sealed_len - SECRET_SEAL;
	value[*ret_len] = 0;
	*ret_value = STEAL(value);
	return 0;
}

int secrets_find(struct secrets *secrets, const char *name, struct secret_record *ret_record,
	nova_error_t **error)
{
	uint64_t stamp;
	struct store *store = secrets->store;
	int code = store->ops->stamp(store, &stamp, error);
	if (code == 0)
		code = seen_secret_get(&secrets->seen, stamp, name, ret_record, error);
	if (code != 0)
		return code < 0 ? code : 0;
	code = store->ops->secrets->get(store, name, ret_record, error);
	if (code == 0)
		seen_secret_put(&secrets->seen, stamp, ret_record);
	return code;
}

/* --- the list --- */

void nova_secret_list_free(const nova_secret **list, size_t count)
{
	for (size_t i = 0; list && i < count; i++) {
		struct secret *own = (struct secret *)(uintptr_t)list[i];
		secret_record_clear(&own->record);
		free(own);
	}
	free(list);
}

/* Takes the content of the record. */
static const nova_secret *take(struct secret_record *record)
{
	struct secret *secret = calloc(1, sizeof(*secret));
	if (!secret)
		return NULL;
	secret->record = *record;
	memset(record, 0, sizeof(*record));
	secret->is = (nova_secret){
		.size = sizeof(nova_secret),
		.name = secret->record.name,
		.key_id = secret->record.key_id,
		.created_us = secret->record.created_us,
		.updated_us = secret->record.updated_us,
	};
	return &secret->is;
}

int secrets_list(struct secrets *secrets, const nova_secret ***ret_secrets, size_t *ret_count,
	nova_error_t **error)
{
	struct secret_record *records;
	size_t count, made = 0;
	int code = secrets->store->ops->secrets->list(secrets->store, &records, &count, error);
	if (code < 0)
		return code;
	const nova_secret **all = count ? calloc(count, sizeof(*all)) : NULL;
	while (all && made < count && (all[made] = take(&records[made])))
		made++;
	secret_record_list_free(records, count);
	if (made < count) {
		nova_secret_list_free(all, made);
		return nova_oom(error);
	}
	*ret_secrets = all;
	*ret_count = count;
	return 0;
}

/* --- another key --- */

/* 1: it was given the first key; 0: it had that, or is gone. */
static int reseal(
	struct secrets *secrets, const struct keyring *ring, const char *name, nova_error_t **error)
{
	AUTO_SECRET_RECORD struct secret_record before = { NULL }, after = { NULL };
	AUTO_GUARDED char *value = NULL;
	const struct secret_ops *ops = secrets->store->ops->secrets;
	size_t len;
	int code = ops->get(secrets->store, name, &before, error);
	if (code < 0)
		return code;
	if (!strcmp(before.key_id, ring->keys[0].id))
		return 0;
	code = secrets_open(secrets, ring, &before, &value, &len, error);
	if (code < 0)
		return code;
	after.name = strdup(name);
	code = after.name ? seal(secrets->sealer, &ring->keys[0], value, len, &after, error) :
			    nova_oom(error);
	if (code == 0)
		code = ops->reseal(secrets->store, &after, &before, error);
	return code < 0 ? code : 1;
}

static int rotate_one(
	struct secrets *secrets, const struct keyring *ring, const char *name, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	int code = NOVA_EBUSY;
	for (int i = 0; i < TRIES && code == NOVA_EBUSY; i++) {
		nova_error_free(STEAL(failure));
		code = reseal(secrets, ring, name, &failure);
	}
	if (code == NOVA_ENOTFOUND)
		return 0;
	if (code < 0 && error && !*error)
		*error = STEAL(failure);
	return code;
}

/* All that the store has now. One that cannot be opened holds up no other. */
static int rotate_pass(struct secrets *secrets, const struct keyring *ring, size_t *ret_other,
	size_t *ret_count, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *first = NULL;
	struct secret_record *records = NULL;
	size_t count = 0;
	*ret_other = 0;
	int code = secrets->store->ops->secrets->list(secrets->store, &records, &count, error);
	if (code < 0)
		return code;
	for (size_t i = 0; i < count; i++) {
		bool other = strcmp(records[i].key_id, ring->keys[0].id) != 0;
		int done = other ? rotate_one(secrets, ring, records[i].name, &first) : 0;
		*ret_other += other;
		*ret_count += done > 0;
		code = done < 0 && code == 0 ? done : code;
	}
	secret_record_list_free(records, count);
	if (code < 0 && error)
		*error = STEAL(first);
	return code;
}

/* Until a pass has found nothing: who has read the keys before may put something behind one. */
int secrets_rotate(struct secrets *secrets, size_t *ret_count, nova_error_t **error)
{
	AUTO_KEYRING struct keyring *ring = NULL;
	size_t other = 1;
	*ret_count = 0;
	int code = secrets_keys(secrets, &ring, error);
	for (int i = 0; i < TRIES && code == 0 && other; i++)
		code = rotate_pass(secrets, ring, &other, ret_count, error);
	if (code == 0 && other)
		return nova_fail(error, NOVA_EBUSY,
			"somebody goes on setting secrets with another key than %s: give all "
			"hosts the same first key, and call it again",
			ring->keys[0].id);
	return code;
}
