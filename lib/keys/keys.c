/* SPDX-License-Identifier: MIT */
/* Keys: made, checked, shown. */
#include "keys/keys.h"

#define BEGINNING "nova_"
#define DIGITS    40
#define TEXT_LEN  (sizeof(BEGINNING) - 1 + DIGITS)
#define PREFIX    12

struct key {
	nova_key is; /* first: what others see of it */
	struct key_record record;
	char text[TEXT_LEN + 1];
};

/* --- objects --- */

void nova_key_free(const nova_key *key)
{
	struct key *own = (struct key *)(uintptr_t)key;
	if (!own)
		return;
	key_record_clear(&own->record);
	explicit_bzero(own->text, sizeof(own->text));
	free(own);
}

void nova_key_list_free(const nova_key **keys, size_t count)
{
	for (size_t i = 0; keys && i < count; i++)
		nova_key_free(keys[i]);
	free(keys);
}

/* Takes the content of the record. */
static int key_new(struct key_record *record, struct key **ret, nova_error_t **error)
{
	struct key *key = calloc(1, sizeof(*key));
	if (!key)
		return nova_oom(error);
	key->record = *record;
	memset(record, 0, sizeof(*record));
	const struct key_record *r = &key->record;
	key->is = (nova_key){
		.size = sizeof(nova_key),
		.name = r->name,
		.prefix = r->prefix,
		.tier = r->tier,
		.expires_us = r->expires_us,
		.created_us = r->created_us,
		.updated_us = r->updated_us,
		.revoked = r->revoked,
		.rate = r->rate,
		.period_ms = r->period_ms,
		.burst = r->burst,
	};
	*ret = key;
	return 0;
}

static int take(struct key_record *record, const nova_key **ret, nova_error_t **error)
{
	struct key *key;
	int code = key_new(record, &key, error);
	if (code == 0)
		*ret = &key->is;
	return code;
}

void keys_init(struct keys *keys, struct store *store)
{
	*keys = (struct keys){ .store = store };
	pthread_mutex_init(&keys->seen.lock, NULL);
}

void keys_done(struct keys *keys)
{
	for (size_t i = 0; i < KEYS_SEEN; i++)
		key_record_clear(&keys->seen.at[i]);
	pthread_mutex_destroy(&keys->seen.lock);
}

/* --- making one --- */

static int draw(char text[TEXT_LEN + 1], nova_error_t **error)
{
	memcpy(text, BEGINNING, sizeof(BEGINNING));
	int r = random_hex(text + strlen(BEGINNING), DIGITS);
	return r < 0 ? nova_fail_os(error, r, "random numbers for a key") : 0;
}

static int hash_of(const char *text, char hash[SHA256_HEX], nova_error_t **error)
{
	int code = hash_ready(error);
	if (code < 0)
		return code;
	int r = sha256_hex(text, strlen(text), hash);
	return r < 0 ? nova_fail_os(error, r, "hash of a key") : 0;
}

static int take_rate(struct key_record *r, const nova_key_opts *o, nova_error_t **error)
{
	int code = opts_reserved(o->reserved, "nova_key_opts", error);
	if (code < 0)
		return code;
	if (!o->rate && (o->period_ms || o->burst))
		return nova_fail(error, NOVA_EINVAL, "rate: required with %s",
			o->burst ? "burst" : "period_ms");
	r->rate = o->rate;
	r->period_ms = o->rate && !o->period_ms ? 1000 : o->period_ms;
	r->burst = o->burst ? o->burst : o->rate;
	if (r->rate > KEY_RATE_MOST || r->burst > KEY_RATE_MOST)
		return nova_fail(error, NOVA_EINVAL, "%s: %u is not from 1 to %u",
			r->rate > KEY_RATE_MOST ? "rate" : "burst",
			r->rate > KEY_RATE_MOST ? r->rate : r->burst, KEY_RATE_MOST);
	if (r->period_ms > KEY_PERIOD_MOST)
		return nova_fail(error, NOVA_EINVAL, "period_ms: %u is not from 1 to %u",
			r->period_ms, KEY_PERIOD_MOST);
	return 0;
}

static int record_from(
	struct key_record *r, const nova_key_opts *o, const char *text, nova_error_t **error)
{
	char hash[SHA256_HEX];
	int code = hash_of(text, hash, error);
	if (code < 0)
		return code;
	r->name = strdup(o->name);
	r->hash = strdup(hash);
	r->prefix = strndup(text, PREFIX);
	r->tier = strdup(o->tier ? o->tier : "default");
	r->expires_us = o->expires_us;
	r->created_us = r->updated_us = clock_unix_us();
	if (!r->name || !r->hash || !r->prefix || !r->tier)
		return nova_oom(error);
	if (r->expires_us && (r->expires_us <= r->created_us || r->expires_us > INT64_MAX))
		return nova_fail(error, NOVA_EINVAL,
			"expires_us: that is not in the future; it is microseconds since 1970");
	int code_rate = take_rate(r, o, error);
	return code_rate < 0 ? code_rate : key_record_check(r, NOVA_EINVAL, error);
}

/* With its text, and before it is stored: what is stored nobody may fail to get. */
static int make(const nova_key_opts *o, struct key **ret, nova_error_t **error)
{
	AUTO_KEY_RECORD struct key_record record = { NULL };
	char text[TEXT_LEN + 1];
	int code = draw(text, error);
	if (code == 0)
		code = record_from(&record, o, text, error);
	if (code == 0)
		code = key_new(&record, ret, error);
	if (code == 0) {
		memcpy((*ret)->text, text, sizeof(text));
		(*ret)->is.text = (*ret)->text;
	}
	explicit_bzero(text, sizeof(text));
	return code;
}

int keys_create(
	struct keys *keys, const nova_key_opts *o, const nova_key **ret, nova_error_t **error)
{
	struct key *key = NULL;
	if (!o->name)
		return nova_fail(error, NOVA_EINVAL, "name: required");
	int code = make(o, &key, error);
	if (code < 0)
		return code;
	code = keys->store->ops->keys->put(keys->store, &key->record, error);
	if (code < 0)
		nova_key_free(&key->is);
	else
		*ret = &key->is;
	return code;
}

/* --- asking for them --- */

static int look_up(
	struct keys *keys, const char *hash, struct key_record *record, nova_error_t **error)
{
	uint64_t stamp;
	struct store *store = keys->store;
	int code = store->ops->stamp(store, &stamp, error);
	if (code < 0)
		return code;
	code = seen_get(&keys->seen, stamp, hash, record, error);
	if (code != 0)
		return code < 0 ? code : 0;
	code = store->ops->keys->find(store, hash, record, error);
	if (code == 0)
		seen_put(&keys->seen, stamp, record);
	return code;
}

static int check_validity(const struct key_record *record, nova_error_t **error)
{
	if (record->revoked)
		return nova_fail(error, NOVA_EPERM, "key '%s' was revoked", record->name);
	if (record->expires_us && record->expires_us <= clock_unix_us())
		return nova_fail(error, NOVA_EPERM, "the time of key '%s' is over", record->name);
	return 0;
}

int keys_check(struct keys *keys, const char *text, const nova_key **ret, nova_error_t **error)
{
	AUTO_KEY_RECORD struct key_record record = { NULL };
	char hash[SHA256_HEX];
	int code = hash_of(text, hash, error);
	if (code == 0)
		code = look_up(keys, hash, &record, error);
	if (code == 0)
		code = check_validity(&record, error);
	return code < 0 ? code : take(&record, ret, error);
}

int keys_get(struct keys *keys, const char *name, const nova_key **ret, nova_error_t **error)
{
	AUTO_KEY_RECORD struct key_record record = { NULL };
	int code = keys->store->ops->keys->get(keys->store, name, &record, error);
	return code < 0 ? code : take(&record, ret, error);
}

int keys_list(
	struct keys *keys, const nova_key ***ret_keys, size_t *ret_count, nova_error_t **error)
{
	struct key_record *records;
	size_t count, made = 0;
	int code = keys->store->ops->keys->list(keys->store, &records, &count, error);
	if (code < 0)
		return code;
	const nova_key **all = count ? calloc(count, sizeof(*all)) : NULL;
	while (all && made < count && take(&records[made], &all[made], NULL) == 0)
		made++;
	key_record_list_free(records, count);
	if (made < count) {
		nova_key_list_free(all, made);
		return nova_oom(error);
	}
	*ret_keys = all;
	*ret_count = count;
	return 0;
}
