/* SPDX-License-Identifier: MIT */
/* Templates that are made before a call wants them. */
#include "platform/platform.h"
#include "template/template.h"

/* What both calls check; the token is in *ret_stop then. */
static int begin(struct nova *nova, const nova_template_opts *opts, nova_template_opts *ret_opts,
	struct stop *ret_stop, nova_error_t **error)
{
	const struct engine_ops *ops;
	int code = host_check_process(nova->host, error);
	if (code == 0)
		code = opts_import(ret_opts, sizeof(*ret_opts), opts, "nova_template_opts", error);
	if (code < 0)
		return code;
	*ret_stop = (struct stop){ ret_opts->interrupt, NULL };
	code = stop_check(ret_stop, "a template was made", error);
	if (code == 0)
		code = host_choose_engine(nova->host, NULL, &ops, error);
	if (code == 0 && !ops->save)
		code = nova_fail(error, NOVA_ENOTSUP, "the engine %s has no templates", ops->name);
	if (code == 0 && strcmp(config_str(host_config(nova->host), "pool.templates"), "on"))
		code = nova_fail(error, NOVA_ENOTSUP,
			"templates are switched off: set pool.templates to \"on\"");
	return code;
}

int nova_template_build(
	nova_t *nova, const char *function, const nova_template_opts *opts, nova_error_t **error)
{
	AUTO_FUNCTION nova_function_t *found = NULL;
	nova_template_opts o;
	struct stop stop;
	struct lease lease;
	if (ANY_NULL(error, nova, function))
		return NOVA_EINVAL;
	int code = begin(nova, opts, &o, &stop, error);
	const struct lease_request request = {
		.stop = &stop,
		.progress = { o.on_progress, o.userdata },
	};
	if (code == 0)
		code = registry_lookup(&nova->registry, function, &found, error);
	if (code == 0)
		code = lease_take(nova, &found, &request, &lease, error);
	if (code < 0)
		return code;
	lease_return(nova, &lease, true);
	pool_settle_templates(nova->pool, &stop);
	return 0;
}

int nova_template_prepare(nova_t *nova, const char *runtime, const nova_template_opts *opts,
	int *ret_made, nova_error_t **error)
{
	AUTO_VM_SPEC struct vm_spec vm = { .engine = NULL };
	nova_template_opts o;
	struct stop stop;
	bool made = false;
	if (ANY_NULL(error, nova, runtime))
		return NOVA_EINVAL;
	int code = runtime_vm_spec(&nova->registry, runtime, &vm, error);
	if (code == 0)
		code = begin(nova, opts, &o, &stop, error);
	if (code < 0)
		return code;
	const struct template_want want = {
		.name = runtime,
		.vm = &vm,
		.progress = { o.on_progress, o.userdata },
	};
	code = template_prepare(nova->host, &want,
		config_ms(host_config(nova->host), "pool.queue_timeout"), &stop, &made, error);
	if (code == 0 && ret_made)
		*ret_made = made;
	return code;
}
