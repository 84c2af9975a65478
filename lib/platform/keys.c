/* SPDX-License-Identifier: MIT */
/* The calls of nova/key.h. */
#include "platform/platform.h"

int nova_key_create(
	nova_t *nova, const nova_key_opts *opts, const nova_key **ret_key, nova_error_t **error)
{
	nova_key_opts o;
	if (ANY_NULL(error, nova, opts, ret_key))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_key_opts", error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : keys_create(&nova->keys, &o, ret_key, error);
}

int nova_key_check(nova_t *nova, const char *text, const nova_key **ret_key, nova_error_t **error)
{
	if (ANY_NULL(error, nova, text, ret_key))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : keys_check(&nova->keys, text, ret_key, error);
}

int nova_key_get(nova_t *nova, const char *name, const nova_key **ret_key, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name, ret_key))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : keys_get(&nova->keys, name, ret_key, error);
}

int nova_key_list(nova_t *nova, const nova_key ***ret_keys, size_t *ret_count, nova_error_t **error)
{
	if (ANY_NULL(error, nova, ret_keys, ret_count))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : keys_list(&nova->keys, ret_keys, ret_count, error);
}

int nova_key_revoke(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	struct store *store = nova->keys.store;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : store->ops->keys->revoke(store, name, clock_unix_us(), error);
}

int nova_key_delete(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	struct store *store = nova->keys.store;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : store->ops->keys->remove(store, name, error);
}
