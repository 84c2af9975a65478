/* SPDX-License-Identifier: MIT */
/* What the function "f" keeps: a key "k", and a file "n", which come and go. */
#include "inject.h"

static void remove_all(void)
{
	nova_kv_delete(world.nova, "f", "k", 0, NULL);
	nova_file_delete(world.nova, "f", "n", NULL);
}

static int put(nova_error_t **error)
{
	const nova_kv_put_opts opts = { sizeof(opts), .key = "k", .value = "v", .value_len = 1 };
	uint64_t version;
	return nova_kv_put(world.nova, "f", &opts, &version, error);
}

static int put_file(nova_error_t **error)
{
	const nova_file_put_opts opts = { sizeof(opts), .name = "n", .data = "v", .data_len = 1 };
	return nova_file_put(world.nova, "f", &opts, error);
}

static void prepare(void)
{
	remove_all();
	MUST(put(&world.error));
	MUST(put_file(&world.error));
}

static int get(nova_error_t **error)
{
	const nova_kv_entry *entry = NULL;
	int code = nova_kv_get(world.nova, "f", "k", &entry, error);
	nova_kv_entry_free(entry);
	return code;
}

static int get_file(nova_error_t **error)
{
	const nova_file *file = NULL;
	int code = nova_file_get(world.nova, "f", "n", &file, error);
	nova_file_free(file);
	return code;
}

static int list(nova_error_t **error)
{
	const nova_kv_entry **entries = NULL;
	size_t count = 0;
	int code = nova_kv_list(world.nova, "f", NULL, &entries, &count, error);
	nova_kv_list_free(entries, count);
	return code < 0 || count == 1 ? code : NOVA_EAGENT;
}

static int list_files(nova_error_t **error)
{
	const nova_file **files = NULL;
	size_t count = 0;
	int code = nova_file_list(world.nova, "f", NULL, &files, &count, error);
	nova_file_list_free(files, count);
	return code < 0 || count == 1 ? code : NOVA_EAGENT;
}

static int delete (nova_error_t **error)
{
	return nova_kv_delete(world.nova, "f", "k", 0, error);
}

static int delete_file(nova_error_t **error)
{
	return nova_file_delete(world.nova, "f", "n", error);
}

const struct inject_case kv_cases[] = {
	{ "nova_kv_put", NULL, remove_all, put, remove_all },
	{ "nova_kv_get nova_kv_entry_free", NULL, prepare, get, remove_all },
	{ "nova_kv_delete", NULL, prepare, delete, remove_all },
	{ "nova_kv_list nova_kv_list_free", NULL, prepare, list, remove_all },
	{ "nova_file_put", NULL, remove_all, put_file, remove_all },
	{ "nova_file_get nova_file_free", NULL, prepare, get_file, remove_all },
	{ "nova_file_delete", NULL, prepare, delete_file, remove_all },
	{ "nova_file_list nova_file_list_free", NULL, prepare, list_files, remove_all },
	{ NULL },
};
