/* SPDX-License-Identifier: MIT */
/*
 * The look at a function in a guest before it is stored: its module is imported once, as before
 * every first call. What is wrong with it is told at registering, and which function is called.
 */
#include "registry/internal.h"
#include "template/template.h"

void trial_done(struct trial *trial)
{
	nova_vm_free(trial->vm);
	if (trial->disk)
		fs_unlink(trial->disk);
	free(trial->disk);
}

static int build_disk(struct registry *registry, const struct code_source *source,
	struct trial *trial, nova_error_t **error)
{
	char random[17];
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	const char *directory = host_engine_env(registry->host)->run_dir;
	trial->disk = str_format("%s/check-%s.ext4", directory, random);
	return trial->disk ? code_disk_build(trial->disk, source, trial->hash, error) :
			     nova_oom(error);
}

/* Whether this host can have a guest at all, not whether it would come up. */
static int find_guest(
	struct registry *registry, const struct runtime *runtime, nova_error_t **error)
{
	const struct engine_ops *ops;
	AUTO_FREE char *image = NULL, *kernel = NULL, *initramfs = NULL, *rootfs = NULL;
	int code = host_choose_engine(registry->host, NULL, &ops, error);
	if (code < 0 || !engine_has(ops, NOVA_FEATURE_GUEST))
		return code;
	code = runtime_rootfs(registry, runtime->is.name, runtime->image, &image, error);
	return code < 0 ? code :
			  vm_find_images(
				  registry->host, ops, image, &kernel, &initramfs, &rootfs, error);
}

static int try_in_guest(struct registry *registry, const nova_function_opts *o,
	const struct function_record *record, struct trial *trial, nova_error_t **error)
{
	CLEANUP(function_vm_done) struct function_vm f = { .disk = NULL };
	const struct stop stop = { o->interrupt, NULL };
	struct function_record stored_soon = *record;
	stored_soon.id = (char *)"check";
	stored_soon.version = 1;
	int code = function_vm_init(&f, registry, &stored_soon, trial->disk, NULL, error);
	if (code < 0)
		return code;
	const struct template_want want = {
		.name = record->name,
		.vm = &f.vm,
		.progress = { o->on_progress, o->userdata },
		.clones = registry->clones,
	};
	code = template_try(registry->host, &want, &stop, &trial->vm, error);
	return code < 0 ? nova_wrap(error, code, "function '%s'", record->name) : 0;
}

/* What was found is the handler, unless one was named. A typing error in its name makes a script of
 * a file, which is therefore said. */
static int take_handler(struct registry *registry, const struct trial *trial,
	struct function_record *record, nova_error_t **error)
{
	if (*record->config.handler)
		return 0;
	const char *no_handler = runtime_rules(&record->config)->no_handler;
	if (!*vm_entry(trial->vm) && no_handler)
		log_warn(host_log(registry->host), "function",
			"'%s' has %s: each call runs it as a script", record->name, no_handler);
	if (!*vm_entry(trial->vm))
		return 0;
	char *handler = str_format("main.%s", vm_entry(trial->vm));
	if (!handler)
		return nova_oom(error);
	free(record->config.handler);
	record->config.handler = handler;
	return 0;
}

static void tell_draws(struct registry *registry, const struct trial *trial, const char *name)
{
	if (vm_draws(trial->vm))
		log_warn(host_log(registry->host), "function",
			"'%s' is imported anew in each VM, as clones would share what its import "
			"draws: %s",
			name, vm_draws(trial->vm));
}

/* In the function's code, or asked for by the caller. */
static bool is_the_answer(int code, const nova_function_opts *o)
{
	return code == 0 || code == NOVA_EFUNCTION || code == NOVA_ECANCELED ||
	       code == NOVA_ENOMEM || o->check == NOVA_CHECK_ALWAYS;
}

static int check(struct registry *registry, const struct code_source *source,
	struct function_record *record, struct trial *trial, nova_error_t **error)
{
	const nova_function_opts *o = source->opts;
	bool known = false;
	int code = build_disk(registry, source, trial, error);
	record->code_hash = trial->hash;
	if (code == 0)
		code = registry_has_version(registry, record, &known, error);
	if (code == 0 && !known) {
		AUTO_ERROR nova_error_t *failure = NULL;
		code = try_in_guest(registry, o, record, trial, &failure);
		if (!is_the_answer(code, o)) {
			log_warn(host_log(registry->host), "function",
				"'%s' is stored unchecked: %s", record->name,
				nova_error_message(failure));
			code = 0;
		} else if (error) {
			*error = STEAL(failure);
		}
	}
	record->code_hash = NULL; /* the image that is stored is another one */
	if (code < 0 || !trial->vm)
		return code;
	tell_draws(registry, trial, record->name);
	return take_handler(registry, trial, record, error);
}

/* One of what its import draws has nothing in it that the first call could be spared. */
void trial_keep(struct registry *registry, const struct function_record *stored,
	const nova_function_opts *o, struct trial *trial)
{
	CLEANUP(function_vm_done) struct function_vm f = { .disk = NULL };
	AUTO_ERROR nova_error_t *failure = NULL;
	const struct stop stop = { o->interrupt, NULL };
	if (!(o->flags & NOVA_REGISTER_TEMPLATE) || !trial->vm || vm_draws(trial->vm) ||
		vm_is_entrusted(trial->vm) || strcmp(trial->hash, stored->code_hash) != 0)
		return;
	int code = function_vm_init(&f, registry, stored, NULL, NULL, &failure);
	const struct template_want want = {
		.name = stored->name,
		.vm = &f.vm,
		.progress = { o->on_progress, o->userdata },
	};
	if (code == 0)
		code = template_keep(registry->host, &want, trial->vm, &stop, &failure);
	if (code < 0)
		log_warn(host_log(registry->host), "template",
			"the first call of '%s' will load it again: %s", stored->name,
			nova_error_message(failure));
}

int function_check(struct registry *registry, const struct code_source *source,
	const struct runtime *runtime, struct function_record *record, struct trial *ret_trial,
	nova_error_t **error)
{
	uint32_t when = source->opts->check;
	bool always = when == NOVA_CHECK_ALWAYS;
	AUTO_ERROR nova_error_t *why = NULL;
	if (when == NOVA_CHECK_NEVER || !registry->host) /* without one: a store by itself */
		return 0;
	int code = find_guest(registry, runtime, &why);
	if (code < 0 && always) {
		if (error)
			*error = STEAL(why);
		return code;
	}
	if (code == NOVA_ENOTFOUND) /* other images may be there, and all else works */
		log_warn(host_log(registry->host), "function",
			"'%s' is stored, but cannot be called yet: %s", record->name,
			nova_error_message(why));
	if (code < 0 || (!always && !runtime->no_handler))
		return 0;
	return check(registry, source, record, ret_trial, error);
}
