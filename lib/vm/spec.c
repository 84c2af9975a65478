/* SPDX-License-Identifier: MIT */
#include "vm/vm.h"

void vm_spec_done(struct vm_spec *spec)
{
	free(spec->engine);
	free(spec->compiled);
	function_config_done(&spec->config);
	text_list_done(&spec->secrets.variables);
	*spec = (struct vm_spec){ .engine = NULL };
}

static int import_vm(struct vm_spec *to, const nova_vm_opts *o, nova_error_t **error)
{
	if (o->flags)
		return nova_fail(
			error, NOVA_EINVAL, "nova_vm_opts.flags has unknown bits 0x%x", o->flags);
	to->boot_timeout_ms = o->boot_timeout_ms;
	to->engine = o->engine ? strdup(o->engine) : NULL;
	if (o->engine && !to->engine)
		return nova_oom(error);
	return properties_import(&to->config, IN_VM, o, error);
}

static int import_init(struct vm_spec *to, const nova_vm_init_opts *o, nova_error_t **error)
{
	if (!o->runtime)
		return nova_fail(error, NOVA_EINVAL, "nova_vm_init_opts.runtime must not be NULL");
	to->init_timeout_ms = o->timeout_ms;
	return properties_import(&to->config, IN_INIT, o, error);
}

int vm_spec_import(struct vm_spec *to, const nova_vm_opts *vm, const nova_vm_init_opts *init,
	nova_error_t **error)
{
	int code = vm ? import_vm(to, vm, error) : 0;
	return code == 0 && init ? import_init(to, init, error) : code;
}

int vm_spec_copy(struct vm_spec *to, const struct vm_spec *from)
{
	to->boot_timeout_ms = from->boot_timeout_ms;
	to->init_timeout_ms = from->init_timeout_ms;
	to->once = from->once;
	to->program = from->program;
	to->secrets = from->secrets;
	to->secrets.variables = (struct text_list){ NULL, 0 };
	for (size_t i = 0; i < from->secrets.variables.count; i++)
		if (text_list_add(&to->secrets.variables, from->secrets.variables.items[i]) < 0)
			return NOVA_ENOMEM;
	to->engine = from->engine ? strdup(from->engine) : NULL;
	to->compiled = from->compiled ? strdup(from->compiled) : NULL;
	if ((from->engine && !to->engine) || (from->compiled && !to->compiled))
		return NOVA_ENOMEM;
	return function_config_copy(&to->config, &from->config);
}
