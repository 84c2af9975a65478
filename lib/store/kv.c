/* SPDX-License-Identifier: MIT */
/* The records of what functions keep: memory. */
#include "store/store.h"

void kv_record_clear(struct kv_record *r)
{
	free(r->key);
	free(r->value);
	memset(r, 0, sizeof(*r));
}

void kv_record_list_free(struct kv_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		kv_record_clear(&records[i]);
	free(records);
}

void file_record_clear(struct file_record *r)
{
	free(r->name);
	free(r->type);
	free(r->hash);
	free(r->data);
	memset(r, 0, sizeof(*r));
}

void file_record_list_free(struct file_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		file_record_clear(&records[i]);
	free(records);
}
