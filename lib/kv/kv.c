/* SPDX-License-Identifier: MIT */
/* The store of what functions keep: opened late, swept now and then. */
#include "kv/kv.h"

#define LIST_DEFAULT 100u
#define LIST_MOST    1000u
#define SWEEP_MS     10000u
#define ORPHANS_MS   600000u
#define SWEEPS_MOST  20u /* of one tick */
#define MEGABYTE     (1u << 20)

void kv_init(struct kv *kv, struct store *base, const nova_config_t *config)
{
	uint64_t total = config_u64(config, "kv.max_total") * MEGABYTE;
	*kv = (struct kv){
		.base = base,
		.config = config,
		.value_max = config_u64(config, "kv.max_value"),
		.file_max = config_u64(config, "kv.max_file"),
		.keys = { config_u64(config, "kv.max_keys"), total },
		.files = { config_u64(config, "kv.max_files"), total },
		.rate = config_u64(config, "kv.rate"),
		.sweep_at = deadline_in_ms(SWEEP_MS),
		.orphans_at = deadline_in_ms(ORPHANS_MS),
	};
	pthread_mutex_init(&kv->lock, NULL);
}

void kv_done(struct kv *kv)
{
	if (!kv->base)
		return;
	if (kv->store && kv->store != kv->base)
		kv->store->ops->close(kv->store);
	pthread_mutex_destroy(&kv->lock);
}

int kv_store(struct kv *kv, struct store **ret_store, nova_error_t **error)
{
	const struct store_ops *own = kv->base->ops->kv_store;
	pthread_mutex_lock(&kv->lock);
	int code = kv->store || !own ? 0 : own->open(kv->config, &kv->store, error);
	if (code == 0 && !kv->store)
		kv->store = kv->base;
	*ret_store = kv->store;
	pthread_mutex_unlock(&kv->lock);
	return code;
}

/* --- checks --- */

/* Those of ASCII and of Latin 1: a guest chooses names, and terminals show them. */
static bool has_control(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		if (*at < ' ' || *at == 127 || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
			return true;
	return false;
}

int kv_check_text(const char *what, const char *text, size_t most, nova_error_t **error)
{
	size_t len = text ? strlen(text) : 0;
	if (!len || len > most || !text_is_utf8(text))
		return nova_fail(
			error, NOVA_EINVAL, "%s: required, 1 to %zu bytes of UTF-8", what, most);
	if (has_control(text))
		return nova_fail(error, NOVA_EINVAL, "%s: it has a control character", what);
	return 0;
}

static int check_place(const char *what, const char *text, nova_error_t **error)
{
	if (text && (strlen(text) > KV_KEY_MAX || !text_is_utf8(text)))
		return nova_fail(
			error, NOVA_EINVAL, "%s: at most %u bytes of UTF-8", what, KV_KEY_MAX);
	return 0;
}

int kv_page(const nova_kv_list_opts *o, struct kv_page *ret_page, nova_error_t **error)
{
	int code = check_place("prefix", o->prefix, error);
	if (code == 0)
		code = check_place("after", o->after, error);
	if (code == 0 && o->limit > LIST_MOST)
		code = nova_fail(
			error, NOVA_EINVAL, "limit: %u is more than %u", o->limit, LIST_MOST);
	*ret_page = (struct kv_page){
		.prefix = o->prefix ? o->prefix : "",
		.after = o->after ? o->after : "",
		.now_us = clock_unix_us(),
		.most = o->limit ? o->limit : LIST_DEFAULT,
	};
	return code < 0 ? code : opts_reserved(o->reserved, "nova_kv_list_opts", error);
}

/* --- what goes by itself --- */

/* Where no function keeps anything no file is made. */
static bool is_there(const struct kv *kv)
{
	const struct store_ops *own = kv->base->ops->kv_store;
	AUTO_FREE char *path = own ? path_join(config_str(kv->config, "home"), own->file) : NULL;
	return !path || fs_exists(path);
}

void kv_clear(struct kv *kv, const char *space)
{
	struct store *store;
	if (is_there(kv) && kv_store(kv, &store, NULL) == 0)
		store->ops->kv->clear(store, space, NULL);
}

static void sweep(struct store *store)
{
	bool more = true;
	for (unsigned i = 0; i < SWEEPS_MOST && more; i++)
		if (store->ops->kv->sweep(store, clock_unix_us(), &more, NULL) < 0)
			return;
}

static bool has_id(const struct function_record *records, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(records[i].id, id))
			return true;
	return false;
}

/* Of functions whose deletion was cut off, or which wrote while they were deleted. Spaces are
 * looked at first: a function is there before its space is. */
static void remove_orphans(struct kv *kv, struct store *store)
{
	char **spaces = NULL;
	size_t count = 0, functions = 0;
	struct function_record *records = NULL;
	struct store *base = kv->base;
	if (store->ops->kv->spaces(store, &spaces, &count, NULL) == 0 && count &&
		base->ops->functions->list(base, NULL, &records, &functions, NULL) == 0)
		for (size_t i = 0; i < count; i++)
			if (!has_id(records, functions, spaces[i]))
				store->ops->kv->clear(store, spaces[i], NULL);
	record_list_free(records, functions);
	strv_free(spaces, count);
}

static bool is_due(uint64_t *at, uint64_t ms)
{
	bool due = deadline_passed(*at);
	if (due)
		*at = deadline_in_ms(ms);
	return due;
}

/* Whoever keeps nothing in this process leaves it to those who do. */
void kv_tick(struct kv *kv)
{
	pthread_mutex_lock(&kv->lock);
	struct store *store = kv->store;
	bool sweeps = store && is_due(&kv->sweep_at, SWEEP_MS);
	bool orphans = store && is_due(&kv->orphans_at, ORPHANS_MS);
	pthread_mutex_unlock(&kv->lock);
	if (sweeps)
		sweep(store);
	if (orphans)
		remove_orphans(kv, store);
}
