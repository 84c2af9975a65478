/* SPDX-License-Identifier: MIT */
#include "base/table.h"
#include "secret/secret.h"

static struct secret_record *place(struct seen_secrets *seen, const char *name)
{
	return &seen->at[hash_text(name) % SECRETS_SEEN];
}

static void at_stamp(struct seen_secrets *seen, uint64_t stamp)
{
	if (seen->stamp == stamp)
		return;
	for (size_t i = 0; i < SECRETS_SEEN; i++)
		secret_record_clear(&seen->at[i]);
	seen->stamp = stamp;
}

int seen_secret_get(struct seen_secrets *seen, uint64_t stamp, const char *name,
	struct secret_record *ret, nova_error_t **error)
{
	pthread_mutex_lock(&seen->lock);
	at_stamp(seen, stamp);
	const struct secret_record *record = place(seen, name);
	int code = record->name && !strcmp(record->name, name);
	if (code && secret_record_copy(ret, record, error) < 0)
		code = NOVA_ENOMEM;
	pthread_mutex_unlock(&seen->lock);
	return code;
}

/* Without the memory for it, it is looked up again. */
void seen_secret_put(struct seen_secrets *seen, uint64_t stamp, const struct secret_record *record)
{
	struct secret_record copy = { NULL };
	if (secret_record_copy(&copy, record, NULL) < 0)
		return;
	pthread_mutex_lock(&seen->lock);
	/* Another thread may have seen a later stamp since. */
	if (seen->stamp == stamp) {
		struct secret_record *to = place(seen, record->name);
		secret_record_clear(to);
		*to = copy;
		copy = (struct secret_record){ NULL };
	}
	pthread_mutex_unlock(&seen->lock);
	secret_record_clear(&copy);
}
