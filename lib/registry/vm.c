/* SPDX-License-Identifier: MIT */
/* From a function to a VM with it: what its start and its init are given. */
#include "registry/internal.h"

/* Unless it says so itself; who may run longer may be imported as long. */
static uint32_t import_limit_s(const struct function_config *config, const struct runtime *runtime)
{
	if (config->init_timeout_s)
		return config->init_timeout_s;
	uint32_t least = runtime->import_s ? runtime->import_s : IMPORT_LIMIT_S;
	return config->timeout_s > least ? config->timeout_s : least;
}

/* What a function may want to know of itself; its own variables come behind and win. Not its
 * version: a template that was made for the same code before would not be found again. */
static int function_env(struct function_vm *f, const struct function_record *r)
{
	size_t facts = ARRAY_LEN(f->facts);
	f->facts[0] = str_format("NOVA_FUNCTION_NAME=%s", r->name);
	f->facts[1] = str_format("NOVA_FUNCTION_MEMORY_MB=%u", r->config.machine.memory_mb);
	f->env = calloc(facts + r->config.env.count, sizeof(*f->env));
	for (size_t i = 0; i < facts; i++) {
		if (!f->env || !f->facts[i])
			return NOVA_ENOMEM;
		f->env[i] = f->facts[i];
	}
	size_t count = facts;
	for (size_t i = 0; i < r->config.env.count; i++)
		if (!secret_reference(r->config.env.items[i]))
			f->env[count++] = r->config.env.items[i];
	f->vm.config.env = (struct text_list){ f->env, count };
	return 0;
}

/* Borrows the variables. */
static void give_secrets(struct function_vm *f, const struct registry *registry)
{
	const struct text_list *env = &f->config->env;
	if (!registry->secrets || !secret_in_list(env))
		return;
	f->vm.secrets = (struct vm_secrets){ secret_entrust, registry->secrets, *env, false };
	for (size_t i = 0; i < env->count; i++)
		f->vm.secrets.at_init |= !strcmp(env->items[i], SECRET_AT_INIT);
}

static int choose_config(struct function_vm *f, const struct function_config *config,
	const nova_instance_opts *machine, nova_error_t **error)
{
	f->config = config;
	if (!machine || !properties_given(IN_INSTANCE, machine))
		return 0;
	f->config = &f->own;
	return function_config_copy(&f->own, config) < 0 ?
		       nova_oom(error) :
		       properties_override(&f->own, IN_INSTANCE, machine, error);
}

/* `disk`: the image of its code, which is not stored yet; NULL: as it is stored. */
static int find_disk(struct function_vm *f, const struct registry *registry,
	const struct function_record *r, const char *disk, nova_error_t **error)
{
	if (disk)
		return (f->disk = strdup(disk)) ? 0 : nova_oom(error);
	return r->code_hash ?
		       registry->blobs->ops->get(registry->blobs, r->code_hash, &f->disk, error) :
		       0;
}

int function_vm_init(struct function_vm *f, const struct registry *registry,
	const struct function_record *r, const char *disk, const nova_instance_opts *machine,
	nova_error_t **error)
{
	const struct runtime *rules = runtime_rules(&r->config);
	memset(f, 0, sizeof(*f));
	int code = choose_config(f, &r->config, machine, error);
	if (code < 0)
		return code;
	if (!rules)
		return nova_fail(error, NOVA_ECORRUPT,
			"function '%s' has the runtime '%s', which this libnova does not know",
			r->name, r->config.runtime);
	code = find_disk(f, registry, r, disk, error);
	if (code < 0)
		return nova_wrap(error, code, "function '%s'", r->name);
	const char *image = r->config.image && *r->config.image ? r->config.image : rules->image;
	code = runtime_rootfs(registry, r->config.runtime, image, &f->rootfs, error);
	if (code < 0)
		return code;
	f->vm.init_timeout_ms = import_limit_s(f->config, rules) * 1000u;
	f->vm.config = *f->config;
	f->vm.config.machine.rootfs = f->rootfs;
	f->vm.config.machine.code_disk = f->disk;
	give_secrets(f, registry);
	if (rules->form == CODE_WASM && r->code_hash)
		f->vm.compiled = f->compiled = compiled_path(registry, r->code_hash);
	if (rules->form == CODE_WASM && r->code_hash && !f->compiled)
		return nova_oom(error);
	return function_env(f, r) < 0 ? nova_oom(error) : 0;
}

void function_vm_done(struct function_vm *f)
{
	for (size_t i = 0; i < ARRAY_LEN(f->facts); i++)
		free(f->facts[i]);
	free(f->env);
	free(f->disk);
	free(f->rootfs);
	free(f->compiled);
	function_config_done(&f->own);
	memset(f, 0, sizeof(*f));
}

int runtime_vm_spec(
	struct registry *registry, const char *name, struct vm_spec *spec, nova_error_t **error)
{
	AUTO_RUNTIME const struct runtime *runtime = NULL;
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	int code = registry_get_runtime(registry, name, &runtime, error);
	if (code < 0)
		return code;
	opts.runtime = runtime->is.name;
	code = properties_import(&spec->config, IN_REGISTER, &opts, error);
	if (code < 0)
		return code;
	if (runtime->is.memory_mb)
		spec->config.machine.memory_mb = runtime->is.memory_mb;
	return runtime_rootfs(
		registry, runtime->is.name, runtime->image, &spec->config.machine.rootfs, error);
}
