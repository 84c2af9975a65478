/* SPDX-License-Identifier: MIT */
/* The calls of nova/version.h. */
#include "platform/platform.h"

int nova_function_publish(
	nova_t *nova, const char *name, nova_function_t **ret_function, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = registry_publish(&nova->registry, name, &function, error);
	if (code == 0 && ret_function)
		*ret_function = STEAL(function);
	return code;
}

int nova_function_list_versions(nova_t *nova, const char *name, nova_function_t ***ret_functions,
	size_t *ret_count, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name, ret_functions, ret_count))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code :
			  registry_list_versions(
				  &nova->registry, name, ret_functions, ret_count, error);
}

int nova_alias_set(nova_t *nova, const nova_alias_opts *opts, const nova_alias **ret_alias,
	nova_error_t **error)
{
	nova_alias_opts o;
	const nova_alias *alias = NULL;
	if (ANY_NULL(error, nova, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_alias_opts", error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = registry_set_alias(&nova->registry, &o, &alias, error);
	if (code == 0 && ret_alias)
		*ret_alias = alias;
	else
		nova_alias_free(alias);
	return code;
}

int nova_alias_get(nova_t *nova, const char *function, const char *name,
	const nova_alias **ret_alias, nova_error_t **error)
{
	if (ANY_NULL(error, nova, function, name, ret_alias))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code :
			  registry_get_alias(&nova->registry, function, name, ret_alias, error);
}

int nova_alias_list(nova_t *nova, const char *function, const nova_alias ***ret_aliases,
	size_t *ret_count, nova_error_t **error)
{
	if (ANY_NULL(error, nova, function, ret_aliases, ret_count))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code :
			  registry_list_aliases(
				  &nova->registry, function, ret_aliases, ret_count, error);
}

int nova_alias_delete(nova_t *nova, const char *function, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, function, name))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : registry_delete_alias(&nova->registry, function, name, error);
}
