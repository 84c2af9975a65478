/* SPDX-License-Identifier: MIT */
/* What the rooms above ask for. */
#include "template/recipe.h"

bool template_possible(nova_host_t *host, const struct template_want *want)
{
	const struct engine_ops *ops;
	return want->vm->config.runtime &&
	       !strcmp(config_str(host_config(host), "pool.templates"), "on") &&
	       host_choose_engine(host, want->vm->engine, &ops, NULL) == 0 && ops->save;
}

int template_get(nova_host_t *host, const struct template_want *want, uint64_t wait_ms,
	const struct stop *stop, struct frozen **ret, struct template_made *ret_made,
	nova_error_t **error)
{
	struct unwritten *later = calloc(1, sizeof(*later));
	bool made = false;
	*ret_made = (struct template_made){ .vm = NULL };
	if (!later)
		return nova_oom(error);
	later->lock = -1;
	struct recipe *r = &later->recipe;
	int code = recipe_of_function(host, want, r, error);
	r->stop = stop;
	r->deadline = deadline_in_ms(wait_ms);
	r->later = later;
	r->ret_vm = &ret_made->vm;
	if (code == 0)
		code = recipe_obtain(r, ret, &made, error);
	r->want = NULL;
	r->ret_vm = NULL;
	if (made)
		ret_made->unwritten = later;
	else
		unwritten_free(later);
	return code;
}

int template_prepare(nova_host_t *host, const struct template_want *want, uint64_t wait_ms,
	const struct stop *stop, bool *ret_made, nova_error_t **error)
{
	AUTO_RECIPE struct recipe any = { .root = NULL }, runtime = { .root = NULL };
	AUTO_FROZEN struct frozen *frozen = NULL;
	*ret_made = false;
	int code = recipe_of_function(host, want, &any, error);
	if (code < 0)
		return code;
	if (!engine_has(any.ops, NOVA_FEATURE_LATE_CODE))
		return nova_fail(error, NOVA_ENOTSUP, "the engine %s has no templates of runtimes",
			any.ops->name);
	any.stop = stop;
	any.deadline = deadline_in_ms(wait_ms);
	any.lasting = true;
	code = recipe_of_runtime(&any, &runtime, error);
	return code < 0 ? code : recipe_obtain(&runtime, &frozen, ret_made, error);
}

/* How the VM of a trial comes to be, up to its function. */
typedef int (*trial_fn)(nova_host_t *host, const struct template_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error);

/* NOVA_ENOTSUP where there are no templates, or none of runtimes. */
static int clone_in(nova_host_t *host, const struct template_want *want,
	int (*clone)(const struct recipe *r, nova_vm_t **ret_vm, nova_error_t **error),
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	AUTO_RECIPE struct recipe r = { .root = NULL };
	if (!template_possible(host, want))
		return NOVA_ENOTSUP;
	int code = recipe_of_function(host, want, &r, error);
	r.stop = stop;
	r.deadline = deadline_in_ms(want->vm->init_timeout_ms);
	if (code == 0 && (!r.code_disk || !engine_has(r.ops, NOVA_FEATURE_LATE_CODE)))
		code = NOVA_ENOTSUP;
	return code < 0 ? code : clone(&r, ret_vm, error);
}

static int clone_for_trial(nova_host_t *host, const struct template_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	return clone_in(host, want, recipe_clone_runtime, stop, ret_vm, error);
}

static int thaw_for_trial(nova_host_t *host, const struct template_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	return clone_in(host, want, recipe_thaw_runtime, stop, ret_vm, error);
}

static int boot_for_trial(nova_host_t *host, const struct template_want *want,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	return vm_start(host, want->vm, stop, ret_vm, error);
}

static int try_in(nova_host_t *host, const struct template_want *want, trial_fn begin,
	const struct stop *stop, nova_vm_t **ret_vm, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = begin(host, want, stop, &vm, error);
	if (code < 0)
		return code;
	code = vm_init(vm, want->vm, stop, error);
	if (code < 0)
		nova_vm_free(vm);
	else
		*ret_vm = vm;
	return code;
}

int template_try(nova_host_t *host, const struct template_want *want, const struct stop *stop,
	nova_vm_t **ret_vm, nova_error_t **error)
{
	static const struct {
		trial_fn begin;
		const char *name;
	} ways[] = { { clone_for_trial, "" }, { thaw_for_trial, "the classic way" },
		{ boot_for_trial, "a boot" } };
	const size_t count = ARRAY_LEN(ways);
	for (size_t i = 0;; i++) {
		AUTO_ERROR nova_error_t *failure = NULL;
		int code = try_in(host, want, ways[i].begin, stop, ret_vm, &failure);
		if (code == 0)
			return 0;
		if (i + 1 == count || code == NOVA_ECANCELED || template_blames_function(code) ||
			nova_error_outcome(failure) != NOVA_OUTCOME_NEVER_RAN) {
			if (error)
				*error = STEAL(failure);
			return code;
		}
		if (i == 0 && !recipe_clone_failed(want, code))
			i++;
		if (failure)
			log_warn(host_log(host), "template", "a trial begins with %s: %s",
				ways[i + 1].name, nova_error_message(failure));
	}
}

/* Its disk is the stored one by now, which has the same content. */
static int freeze_given(const struct recipe *r, struct frozen **ret, nova_error_t **error)
{
	int code = vm_freeze(r->vm, true, r->stop, ret, error);
	if (code < 0)
		return code;
	code = frozen_set_code(*ret, r->code_disk, error);
	if (code < 0)
		frozen_unref(STEAL(*ret));
	return code;
}

int template_keep(nova_host_t *host, const struct template_want *want, nova_vm_t *vm,
	const struct stop *stop, nova_error_t **error)
{
	AUTO_RECIPE struct recipe r = { .root = NULL };
	AUTO_FROZEN struct frozen *frozen = NULL;
	bool made;
	if (!template_possible(host, want))
		return 0;
	int code = recipe_of_function(host, want, &r, error);
	r.stop = stop;
	r.vm = vm;
	r.make = freeze_given;
	return code < 0 ? code : recipe_obtain(&r, &frozen, &made, error);
}
