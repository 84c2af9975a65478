/* SPDX-License-Identifier: MIT */
/* The calls of nova/runtime.h. */
#include "platform/platform.h"

int nova_runtime_register(nova_t *nova, const nova_runtime_opts *opts,
	const nova_runtime **ret_runtime, nova_error_t **error)
{
	nova_runtime_opts o;
	AUTO_RUNTIME const struct runtime *runtime = NULL;
	if (ANY_NULL(error, nova, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_runtime_opts", error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = registry_register_runtime(&nova->registry, &o, &runtime, error);
	if (code == 0 && ret_runtime)
		*ret_runtime = &STEAL(runtime)->is;
	return code;
}

int nova_runtime_get(
	nova_t *nova, const char *name, const nova_runtime **ret_runtime, nova_error_t **error)
{
	const struct runtime *runtime = NULL;
	if (ANY_NULL(error, nova, name, ret_runtime))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = registry_find_runtime(&nova->registry, name, &runtime, error);
	if (code < 0)
		return nova_wrap(error, code, "runtime");
	*ret_runtime = &runtime->is;
	return 0;
}

int nova_runtime_list(
	nova_t *nova, const nova_runtime ***ret_runtimes, size_t *ret_count, nova_error_t **error)
{
	if (ANY_NULL(error, nova, ret_runtimes, ret_count))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code :
			  registry_list_runtimes(&nova->registry, ret_runtimes, ret_count, error);
}

int nova_runtime_delete(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : registry_delete_runtime(&nova->registry, name, error);
}

int nova_runtime_check(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : registry_check_runtime(&nova->registry, name, error);
}
