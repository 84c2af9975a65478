/* SPDX-License-Identifier: MIT */
/* Values under keys. */
#include "kv/kv.h"

#define TTL_MOST UINT64_C(315360000000) /* 10 years, ms */

struct entry {
	nova_kv_entry is; /* first: what others see of it */
	struct kv_record record;
};

void nova_kv_entry_free(const nova_kv_entry *entry)
{
	struct entry *own = (struct entry *)(uintptr_t)entry;
	if (own)
		kv_record_clear(&own->record);
	free(own);
}

void nova_kv_list_free(const nova_kv_entry **entries, size_t count)
{
	for (size_t i = 0; entries && i < count; i++)
		nova_kv_entry_free(entries[i]);
	free(entries);
}

/* Takes the record. */
static int entry_new(struct kv_record *record, const nova_kv_entry **ret, nova_error_t **error)
{
	struct entry *own = calloc(1, sizeof(*own));
	if (!own)
		return nova_oom(error);
	own->record = *record;
	memset(record, 0, sizeof(*record));
	own->is = (nova_kv_entry){
		.size = sizeof(nova_kv_entry),
		.key = own->record.key,
		.value = own->record.value,
		.value_len = own->record.len,
		.version = own->record.version,
		.expires_us = own->record.expires_us,
	};
	*ret = &own->is;
	return 0;
}

static int check_put(const struct kv *kv, const nova_kv_put_opts *o, nova_error_t **error)
{
	int code = kv_text_check("key", o->key, KV_KEY_MAX, NOVA_EINVAL, error);
	if (code < 0)
		return code;
	if (o->value_len && !o->value)
		return nova_fail(
			error, NOVA_EINVAL, "value_len is %zu, but value is NULL", o->value_len);
	if (o->value_len > kv->value_max)
		return nova_fail(error, NOVA_ETOOBIG,
			"the value of '%.80s' has %zu bytes, and may have %llu (setting "
			"kv.max_value); what is longer can be a file",
			o->key, o->value_len, (unsigned long long)kv->value_max);
	if (o->ttl_ms > TTL_MOST)
		return nova_fail(error, NOVA_EINVAL, "ttl_ms: %llu is more than 10 years",
			(unsigned long long)o->ttl_ms);
	if (o->flags & ~(uint32_t)NOVA_KV_NEW || o->if_version > INT64_MAX)
		return nova_fail(error, NOVA_EINVAL,
			"flags, or if_version: there is no such flag, or version");
	if (o->flags && o->if_version)
		return nova_fail(error, NOVA_EINVAL,
			"a key that is not to be there (NOVA_KV_NEW) has no version (if_version)");
	return opts_reserved(o->reserved, "nova_kv_put_opts", error);
}

int kv_put(struct kv *kv, const char *space, const nova_kv_put_opts *o, uint64_t *ret_version,
	nova_error_t **error)
{
	struct store *store;
	struct kv_turn turn;
	int code = check_put(kv, o, error);
	if (code == 0)
		code = kv_enter(kv, space, &turn, &store, error);
	if (code < 0)
		return code;
	uint64_t now_us = clock_unix_us(), version = 0;
	const struct kv_condition condition = { o->if_version, o->flags & NOVA_KV_NEW, now_us };
	const struct kv_record record = {
		.key = (char *)(uintptr_t)o->key,
		.value = (void *)(uintptr_t)(o->value ? o->value : ""),
		.len = o->value_len,
		.expires_us = o->ttl_ms ? now_us + o->ttl_ms * 1000 : 0,
	};
	code = store->ops->kv->put(store, space, &record, &condition, &kv->keys, &version, error);
	kv_leave(kv, &turn);
	if (code == 0 && o->ttl_ms)
		kv_note_ttl(kv, o->ttl_ms);
	if (code == 0 && ret_version)
		*ret_version = version;
	return code;
}

int kv_get(struct kv *kv, const char *space, const char *key, const nova_kv_entry **ret_entry,
	nova_error_t **error)
{
	AUTO_KV_RECORD struct kv_record record = { NULL };
	struct store *store;
	int code = kv_text_check("key", key, KV_KEY_MAX, NOVA_EINVAL, error);
	if (code == 0)
		code = kv_store(kv, &store, error);
	if (code == 0)
		code = store->ops->kv->get(store, space, key, clock_unix_us(), &record, error);
	return code < 0 ? code : entry_new(&record, ret_entry, error);
}

int kv_delete(struct kv *kv, const char *space, const char *key, uint64_t if_version,
	nova_error_t **error)
{
	struct store *store;
	struct kv_turn turn;
	int code = kv_text_check("key", key, KV_KEY_MAX, NOVA_EINVAL, error);
	if (code == 0 && if_version > INT64_MAX)
		code = nova_fail(error, NOVA_EINVAL, "if_version: there is no such version");
	if (code == 0)
		code = kv_enter(kv, space, &turn, &store, error);
	if (code < 0)
		return code;
	const struct kv_condition condition = { if_version, false, clock_unix_us() };
	code = store->ops->kv->remove(store, space, key, &condition, error);
	kv_leave(kv, &turn);
	return code;
}

static int give(struct kv_record *records, size_t count, const nova_kv_entry ***ret_entries,
	size_t *ret_count, nova_error_t **error)
{
	int code = 0;
	const nova_kv_entry **all = count ? calloc(count, sizeof(*all)) : NULL;
	if (count && !all)
		return nova_oom(error);
	for (size_t i = 0; i < count && code == 0; i++)
		code = entry_new(&records[i], &all[i], error);
	if (code < 0) {
		nova_kv_list_free(all, count);
		return code;
	}
	*ret_entries = all;
	*ret_count = count;
	return 0;
}

int kv_list(struct kv *kv, const char *space, const nova_kv_list_opts *opts,
	const nova_kv_entry ***ret_entries, size_t *ret_count, nova_error_t **error)
{
	struct kv_page page;
	struct kv_record *records = NULL;
	struct store *store;
	size_t count = 0;
	int code = kv_page(opts, &page, error);
	if (code == 0)
		code = kv_store(kv, &store, error);
	if (code == 0)
		code = store->ops->kv->list(store, space, &page, &records, &count, error);
	if (code == 0)
		code = give(records, count, ret_entries, ret_count, error);
	kv_record_list_free(records, count);
	return code;
}

/* --- all of a space, files too --- */

void kv_clear(struct kv *kv, const char *space)
{
	struct store *store;
	struct kv_turn turn;
	if (kv_open(kv, false, &store, NULL) < 0 || !store ||
		kv_enter(kv, space, &turn, &store, NULL) < 0)
		return;
	store->ops->kv->clear(store, space, NULL);
	kv_leave(kv, &turn);
}
