/* SPDX-License-Identifier: MIT */
/* The calls of nova/secret.h. */
#include "platform/platform.h"

int nova_secret_set(
	nova_t *nova, const char *name, const void *value, size_t value_len, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name) || (value_len && ANY_NULL(error, value)))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : secrets_set(&nova->secrets, name, value, value_len, error);
}

int nova_secret_list(
	nova_t *nova, const nova_secret ***ret_secrets, size_t *ret_count, nova_error_t **error)
{
	if (ANY_NULL(error, nova, ret_secrets, ret_count))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : secrets_list(&nova->secrets, ret_secrets, ret_count, error);
}

int nova_secret_delete(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	struct store *store = nova->secrets.store;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : store->ops->secrets->remove(store, name, error);
}

int nova_secret_rotate(nova_t *nova, size_t *ret_count, nova_error_t **error)
{
	size_t count = 0;
	if (ret_count)
		*ret_count = 0;
	if (ANY_NULL(error, nova))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = secrets_rotate(&nova->secrets, &count, error);
	if (ret_count)
		*ret_count = count;
	return code;
}

int nova_secret_key_create(const char *path, nova_error_t **error)
{
	return ANY_NULL(error, path) ? NOVA_EINVAL : keyring_add(path, error);
}
