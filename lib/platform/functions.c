/* SPDX-License-Identifier: MIT */
/* The registry's calls of nova/function.h: what changes there is told to the pool. */
#include "platform/platform.h"

/* `former`: what has been replaced or deleted. Its VMs are waited for, unless it is a version that
 * can still be called. */
static void functions_changed(nova_t *nova, const struct function_record *former)
{
	char key[FUNCTION_POOL_KEY];
	if (!nova->pool)
		return;
	if (former && !registry_has_key(&nova->registry, former)) {
		function_pool_key(former, key);
		nova_pool_forget(nova->pool, key);
	}
	pool_want_tick(nova->pool); /* the functions' min_replicas are to be looked at */
}

int nova_function_register(nova_t *nova, const nova_function_opts *opts,
	nova_function_t **ret_function, nova_error_t **error)
{
	nova_function_opts o;
	AUTO_FUNCTION nova_function_t *function = NULL;
	AUTO_RECORD struct function_record former = { 0 };
	if (ANY_NULL(error, nova, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_function_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_function_opts", error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = registry_register(&nova->registry, &o, &former, &function, error);
	if (code < 0)
		return code;
	functions_changed(nova, former.name ? &former : NULL);
	if (ret_function)
		*ret_function = STEAL(function);
	return 0;
}

int nova_function_update(nova_t *nova, const char *name, const nova_function_update_opts *opts,
	nova_function_t **ret_function, nova_error_t **error)
{
	nova_function_update_opts o;
	AUTO_FUNCTION nova_function_t *function = NULL;
	AUTO_RECORD struct function_record former = { 0 };
	if (ANY_NULL(error, nova, name, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_function_update_opts", error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0)
		code = registry_update(&nova->registry, name, &o, &former, &function, error);
	if (code < 0)
		return code;
	functions_changed(nova, former.name ? &former : NULL);
	if (ret_function)
		*ret_function = STEAL(function);
	return 0;
}

int nova_function_get(
	nova_t *nova, const char *name, nova_function_t **ret_function, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name, ret_function))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : registry_lookup(&nova->registry, name, ret_function, error);
}

static int check_filter(const nova_function_list_opts *o, const struct function_filter *filter,
	nova_error_t **error)
{
	if (o->labels_count && !o->labels)
		return nova_fail(error, NOVA_EINVAL, "nova_function_list_opts: labels is NULL");
	if (o->after && !text_is_utf8(o->after))
		return nova_fail(error, NOVA_EINVAL, "after: it is not UTF-8");
	int code = opts_reserved(o->reserved, "nova_function_list_opts", error);
	return code < 0 ? code : check_wanted_labels(filter->labels, error);
}

int nova_function_list(nova_t *nova, const nova_function_list_opts *opts,
	nova_function_t ***ret_functions, size_t *ret_count, nova_error_t **error)
{
	nova_function_list_opts o;
	if (ANY_NULL(error, nova, ret_functions, ret_count))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_function_list_opts", error);
	if (code < 0)
		return code;
	const struct text_list labels = { (char **)(uintptr_t)o.labels, o.labels_count };
	const struct function_filter filter = { &labels, o.after, o.limit };
	code = check_filter(&o, &filter, error);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	return code < 0 ? code :
			  registry_list(&nova->registry, &filter, ret_functions, ret_count, error);
}

int nova_function_check(nova_t *nova, const char *name, nova_error_t **error)
{
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	int code = registry_check_process(&nova->registry, error);
	return code < 0 ? code : registry_check_code(&nova->registry, name, error);
}

/* Instances of this platform: what others have is theirs to know. */
static int check_instances(nova_t *nova, const char *name, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *function = NULL;
	char instance[RECORD_NAME_MAX + 1];
	int code = registry_lookup(&nova->registry, name, &function, error);
	if (code < 0 || !instances_run(nova, function, instance))
		return code;
	return nova_fail(error, NOVA_EBUSY,
		"'%s' is what the instance '%s' runs; stop it first, or leave it as it is "
		"(NOVA_DELETE_FORCE)",
		name, instance);
}

int nova_function_delete_with(
	nova_t *nova, const char *name, const nova_function_delete_opts *opts, nova_error_t **error)
{
	nova_function_delete_opts o;
	AUTO_FUNCTION nova_function_t *function = NULL;
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_function_delete_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_function_delete_opts", error);
	if (code == 0 && o.flags & ~NOVA_DELETE_FORCE)
		code = nova_fail(
			error, NOVA_EINVAL, "flags: 0x%x has bits that are not defined", o.flags);
	if (code == 0)
		code = registry_check_process(&nova->registry, error);
	if (code == 0 && !(o.flags & NOVA_DELETE_FORCE) && nova->host)
		code = check_instances(nova, name, error);
	if (code == 0)
		code = registry_delete(&nova->registry, name, &o, &function, error);
	if (code == 0)
		functions_changed(nova, &function->record);
	if (code == 0 && !strchr(name, ':'))
		kv_clear(&nova->kv, function->record.id);
	return code;
}

int nova_function_delete(nova_t *nova, const char *name, uint32_t flags, nova_error_t **error)
{
	const nova_function_delete_opts opts = { sizeof(opts), .flags = flags };
	if (ANY_NULL(error, nova, name))
		return NOVA_EINVAL;
	return nova_function_delete_with(nova, name, &opts, error);
}
