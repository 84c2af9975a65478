/* SPDX-License-Identifier: MIT */
/* The store of what functions keep, which is opened late, and what may be asked of it. */
#include "kv/kv.h"

#define LIST_DEFAULT 100u
#define LIST_MOST    1000u
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
	};
	pthread_mutex_init(&kv->lock, NULL);
	pthread_mutex_init(&kv->turns_lock, NULL);
}

void kv_done(struct kv *kv)
{
	if (!kv->base)
		return;
	if (kv->store)
		kv->store->ops->close(kv->store);
	strv_free(kv->orphans, kv->orphan_count);
	pthread_mutex_destroy(&kv->lock);
	pthread_mutex_destroy(&kv->turns_lock);
}

int kv_store(struct kv *kv, struct store **ret_store, nova_error_t **error)
{
	pthread_mutex_lock(&kv->lock);
	bool opens = !kv->store;
	int code = opens ? kv->base->ops->kv_store->open(kv->config, &kv->store, error) : 0;
	if (opens && code == 0)
		kv_begin_sweeping(kv);
	*ret_store = kv->store;
	pthread_mutex_unlock(&kv->lock);
	return code;
}

/* --- checks --- */

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

/* --- where there may be nothing --- */

/* Where no function keeps anything no file is made. */
static bool is_there(const struct kv *kv)
{
	const char *file = kv->base->ops->kv_store->file;
	AUTO_FREE char *path = file ? path_join(config_str(kv->config, "home"), file) : NULL;
	return !path || fs_exists(path);
}

int kv_open(void *of, bool makes, struct store **ret_store, nova_error_t **error)
{
	struct kv *kv = of;
	*ret_store = NULL;
	return makes || is_there(kv) ? kv_store(kv, ret_store, error) : 0;
}
