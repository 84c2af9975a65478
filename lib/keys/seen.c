/* SPDX-License-Identifier: MIT */
#include "keys/keys.h"

static struct key_record *place(struct seen_keys *seen, const char *hash)
{
	return &seen->at[hash_text(hash) % KEYS_SEEN];
}

static void at_stamp(struct seen_keys *seen, uint64_t stamp)
{
	if (seen->stamp == stamp)
		return;
	for (size_t i = 0; i < KEYS_SEEN; i++)
		key_record_clear(&seen->at[i]);
	seen->stamp = stamp;
}

int seen_get(struct seen_keys *seen, uint64_t stamp, const char *hash, struct key_record *ret,
	nova_error_t **error)
{
	pthread_mutex_lock(&seen->lock);
	at_stamp(seen, stamp);
	const struct key_record *record = place(seen, hash);
	int code = record->name && !strcmp(record->hash, hash);
	if (code && key_record_copy(ret, record, error) < 0)
		code = NOVA_ENOMEM;
	pthread_mutex_unlock(&seen->lock);
	return code;
}

/* Without the memory for it, it is looked up again. */
void seen_put(struct seen_keys *seen, uint64_t stamp, const struct key_record *record)
{
	struct key_record copy = { NULL };
	if (key_record_copy(&copy, record, NULL) < 0)
		return;
	pthread_mutex_lock(&seen->lock);
	/* Another thread may have seen a later stamp since. */
	if (seen->stamp == stamp) {
		struct key_record *to = place(seen, record->hash);
		key_record_clear(to);
		*to = copy;
		copy = (struct key_record){ NULL };
	}
	pthread_mutex_unlock(&seen->lock);
	key_record_clear(&copy);
}
