/* SPDX-License-Identifier: MIT */
/* Files that functions keep. */
#include "hash/hash.h"
#include "kv/kv.h"

#define TYPE_DEFAULT "application/octet-stream"

struct file {
	nova_file is; /* first: what others see of it */
	struct file_record record;
};

void nova_file_free(const nova_file *file)
{
	struct file *own = (struct file *)(uintptr_t)file;
	if (own)
		file_record_clear(&own->record);
	free(own);
}

void nova_file_list_free(const nova_file **files, size_t count)
{
	for (size_t i = 0; files && i < count; i++)
		nova_file_free(files[i]);
	free(files);
}

/* Takes the record. */
static int file_new(struct file_record *record, const nova_file **ret, nova_error_t **error)
{
	struct file *own = calloc(1, sizeof(*own));
	if (!own)
		return nova_oom(error);
	own->record = *record;
	memset(record, 0, sizeof(*record));
	own->is = (nova_file){
		.size = sizeof(nova_file),
		.name = own->record.name,
		.type = own->record.type,
		.sha256 = own->record.hash,
		.data = own->record.data,
		.data_len = own->record.len,
		.updated_us = own->record.updated_us,
	};
	*ret = &own->is;
	return 0;
}

static int check_put(const struct kv *kv, const nova_file_put_opts *o, nova_error_t **error)
{
	int code = kv_text_check("name", o->name, KV_NAME_MAX, NOVA_EINVAL, error);
	if (code < 0)
		return code;
	if (o->type && !kv_is_type(o->type))
		return nova_fail(error, NOVA_EINVAL,
			"type: 1 to %u printable characters of ASCII, such as image/png",
			KV_TYPE_MAX);
	if (o->data_len && !o->data)
		return nova_fail(
			error, NOVA_EINVAL, "data_len is %zu, but data is NULL", o->data_len);
	if (o->data_len > kv->file_max)
		return nova_fail(error, NOVA_ETOOBIG,
			"the file '%.80s' has %zu bytes, and may have %llu (setting kv.max_file)",
			o->name, o->data_len, (unsigned long long)kv->file_max);
	return 0;
}

int kv_file_put(struct kv *kv, const char *space, const nova_file_put_opts *o, nova_error_t **error)
{
	char hash[SHA256_HEX];
	struct store *store;
	struct kv_turn turn;
	const void *data = o->data ? o->data : "";
	int code = check_put(kv, o, error);
	if (code == 0)
		code = hash_ready(error);
	if (code == 0 && sha256_hex(data, o->data_len, hash) < 0)
		code = nova_oom(error);
	if (code == 0)
		code = kv_enter(kv, space, &turn, &store, error);
	if (code < 0)
		return code;
	const struct file_record record = {
		.name = (char *)(uintptr_t)o->name,
		.type = (char *)(uintptr_t)(o->type ? o->type : TYPE_DEFAULT),
		.hash = hash,
		.data = (void *)(uintptr_t)data,
		.len = o->data_len,
		.updated_us = clock_unix_us(),
	};
	code = store->ops->kv->put_file(store, space, &record, &kv->files, error);
	kv_leave(kv, &turn);
	return code;
}

int kv_file_get(struct kv *kv, const char *space, const char *name, const nova_file **ret_file,
	nova_error_t **error)
{
	AUTO_FILE_RECORD struct file_record record = { NULL };
	struct store *store;
	int code = kv_text_check("name", name, KV_NAME_MAX, NOVA_EINVAL, error);
	if (code == 0)
		code = kv_store(kv, &store, error);
	if (code == 0)
		code = store->ops->kv->get_file(store, space, name, &record, error);
	return code < 0 ? code : file_new(&record, ret_file, error);
}

int kv_file_delete(struct kv *kv, const char *space, const char *name, nova_error_t **error)
{
	struct store *store;
	struct kv_turn turn;
	int code = kv_text_check("name", name, KV_NAME_MAX, NOVA_EINVAL, error);
	if (code == 0)
		code = kv_enter(kv, space, &turn, &store, error);
	if (code < 0)
		return code;
	code = store->ops->kv->remove_file(store, space, name, error);
	kv_leave(kv, &turn);
	return code;
}

static int give(struct file_record *records, size_t count, const nova_file ***ret_files,
	size_t *ret_count, nova_error_t **error)
{
	int code = 0;
	const nova_file **all = count ? calloc(count, sizeof(*all)) : NULL;
	if (count && !all)
		return nova_oom(error);
	for (size_t i = 0; i < count && code == 0; i++)
		code = file_new(&records[i], &all[i], error);
	if (code < 0) {
		nova_file_list_free(all, count);
		return code;
	}
	*ret_files = all;
	*ret_count = count;
	return 0;
}

int kv_file_list(struct kv *kv, const char *space, const nova_kv_list_opts *opts,
	const nova_file ***ret_files, size_t *ret_count, nova_error_t **error)
{
	struct kv_page page;
	struct file_record *records = NULL;
	struct store *store;
	size_t count = 0;
	int code = kv_page(opts, &page, error);
	if (code == 0)
		code = kv_store(kv, &store, error);
	if (code == 0)
		code = store->ops->kv->list_files(store, space, &page, &records, &count, error);
	if (code == 0)
		code = give(records, count, ret_files, ret_count, error);
	file_record_list_free(records, count);
	return code;
}
