/* SPDX-License-Identifier: MIT */
/* The calls of nova/kv.h. */
#include "platform/platform.h"

/* The function whose space it is. */
static int find(
	nova_t *nova, const char *function, nova_function_t **ret_function, nova_error_t **error)
{
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : registry_lookup(&nova->registry, function, ret_function, error);
}

int nova_kv_put(nova_t *nova, const char *function, const nova_kv_put_opts *opts,
	uint64_t *ret_version, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	nova_kv_put_opts o;
	if (ANY_NULL(error, nova, function, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_kv_put_opts", error);
	if (code == 0)
		code = find(nova, function, &found, error);
	return code < 0 ? code : kv_put(&nova->kv, found->record.id, &o, ret_version, error);
}

int nova_kv_get(nova_t *nova, const char *function, const char *key,
	const nova_kv_entry **ret_entry, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	if (ANY_NULL(error, nova, function, key, ret_entry))
		return NOVA_EINVAL;
	int code = find(nova, function, &found, error);
	return code < 0 ? code : kv_get(&nova->kv, found->record.id, key, ret_entry, error);
}

int nova_kv_delete(nova_t *nova, const char *function, const char *key, uint64_t if_version,
	nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	if (ANY_NULL(error, nova, function, key))
		return NOVA_EINVAL;
	int code = find(nova, function, &found, error);
	return code < 0 ? code : kv_delete(&nova->kv, found->record.id, key, if_version, error);
}

int nova_kv_list(nova_t *nova, const char *function, const nova_kv_list_opts *opts,
	const nova_kv_entry ***ret_entries, size_t *ret_count, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	nova_kv_list_opts o;
	if (ANY_NULL(error, nova, function, ret_entries, ret_count))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_kv_list_opts", error);
	if (code == 0)
		code = find(nova, function, &found, error);
	return code < 0 ? code :
			  kv_list(&nova->kv, found->record.id, &o, ret_entries, ret_count, error);
}

int nova_file_put(
	nova_t *nova, const char *function, const nova_file_put_opts *opts, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	nova_file_put_opts o;
	if (ANY_NULL(error, nova, function, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_file_put_opts", error);
	if (code == 0)
		code = find(nova, function, &found, error);
	return code < 0 ? code : kv_file_put(&nova->kv, found->record.id, &o, error);
}

int nova_file_get(nova_t *nova, const char *function, const char *name, const nova_file **ret_file,
	nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	if (ANY_NULL(error, nova, function, name, ret_file))
		return NOVA_EINVAL;
	int code = find(nova, function, &found, error);
	return code < 0 ? code : kv_file_get(&nova->kv, found->record.id, name, ret_file, error);
}

int nova_file_delete(nova_t *nova, const char *function, const char *name, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	if (ANY_NULL(error, nova, function, name))
		return NOVA_EINVAL;
	int code = find(nova, function, &found, error);
	return code < 0 ? code : kv_file_delete(&nova->kv, found->record.id, name, error);
}

int nova_file_list(nova_t *nova, const char *function, const nova_kv_list_opts *opts,
	const nova_file ***ret_files, size_t *ret_count, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	nova_kv_list_opts o;
	if (ANY_NULL(error, nova, function, ret_files, ret_count))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_kv_list_opts", error);
	if (code == 0)
		code = find(nova, function, &found, error);
	return code < 0 ?
		       code :
		       kv_file_list(&nova->kv, found->record.id, &o, ret_files, ret_count, error);
}
