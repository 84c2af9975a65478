/* SPDX-License-Identifier: MIT */
/* The main job: function -> VM -> run -> give the VM back. */
#include "platform/platform.h"

/* --- ending a call from elsewhere ----------------------------------------------------------------------------------------- */

int stop_init(struct stop *stop, nova_error_t **error)
{
	*stop = (struct stop){ .asked = false };
	return pthread_mutex_init(&stop->lock, NULL) ? nova_oom(error) : 0;
}

void stop_done(struct stop *stop)
{
	pthread_mutex_destroy(&stop->lock);
}

bool stop_ask(struct stop *stop)
{
	pthread_mutex_lock(&stop->lock);
	stop->asked = true;
	if (stop->vm)
		nova_vm_kill(stop->vm);
	bool never_ran = !stop->begun;
	pthread_mutex_unlock(&stop->lock);
	return never_ran;
}

static int fail_canceled(nova_error_t **error)
{
	return nova_fail(error, NOVA_ECANCELED, "the call was cancelled before its function ran");
}

/* From here on stop_ask() reaches into the VM. NOVA_ECANCELED if it came before. */
static int stop_enter(struct stop *stop, nova_vm_t *vm, nova_error_t **error)
{
	if (!stop)
		return 0;
	pthread_mutex_lock(&stop->lock);
	bool asked = stop->asked;
	if (!asked) {
		stop->vm = vm;
		stop->begun = true;
	}
	pthread_mutex_unlock(&stop->lock);
	return asked ? fail_canceled(error) : 0;
}

/* The VM is about to be given back: nobody may reach into it any more. True: somebody has asked the call to end. */
static bool stop_leave(struct stop *stop)
{
	if (!stop)
		return false;
	pthread_mutex_lock(&stop->lock);
	stop->vm = NULL;
	bool asked = stop->asked;
	pthread_mutex_unlock(&stop->lock);
	return asked;
}

/* --- a VM for it ------------------------------------------------------------------------------------------------------------- */

static int acquire(struct invocation *c, nova_vm_t **ret_vm, nova_error_t **error)
{
	char key[FUNCTION_POOL_KEY];
	const struct function_record *r = &c->function->record;
	const struct runtime *runtime = runtime_find(r->runtime);
	if (!runtime)
		return nova_fail(error, NOVA_ECORRUPT, "function '%s' has the runtime '%s', which this libnova does not know", r->name,
			r->runtime);
	AUTO_FREE char *disk = registry_disk_path(c->nova, r->code_hash);
	if (!disk)
		return nova_oom(error);
	function_pool_key(r, key);
	nova_vm_opts vm = NOVA_VM_OPTS_INIT;
	vm.rootfs = runtime->image;
	vm.code_disk = disk;
	vm.memory_mb = r->memory_mb;
	vm.vcpus = r->vcpus;
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = r->runtime;
	init.handler = r->handler;
	init.env = (const char *const *)r->env;
	init.env_count = r->env_count;
	nova_pool_want want = { sizeof(want), key, &vm, &init };
	uint64_t begin = clock_ns();
	int code = nova_pool_acquire(c->nova->pool, &want, ret_vm, &c->cold, error);
	c->queue_us = us_since(begin);
	if (code < 0)
		return nova_wrap(error, code, "function '%s'", r->name);
	for (int part = NOVA_TIMING_START; c->cold && part <= NOVA_TIMING_INIT; part++)
		c->part_us[part] = nova_vm_timing_us(*ret_vm, part);
	return 0;
}

static bool disk_is_there(const struct invocation *c)
{
	AUTO_FREE char *disk = registry_disk_path(c->nova, c->function->record.code_hash);
	return !disk || fs_exists(disk);
}

/* Looks the function up again: another process may have replaced or deleted it since, and its former code disk with it. */
static int look_again(struct invocation *c, nova_error_t **error)
{
	const struct function_record *old = &c->function->record;
	AUTO_FUNCTION nova_function_t *now = NULL;
	int code = registry_lookup(c->nova, old->name, &now, error);
	if (code < 0)
		return code;
	if (now->record.version == old->version && !strcmp(now->record.id, old->id)) {
		AUTO_FREE char *disk = registry_disk_path(c->nova, old->code_hash);
		return nova_fail(error, NOVA_ECORRUPT, "the code disk of function '%s' is gone: %s; register the function again to make it",
			old->name, disk ? disk : "");
	}
	nova_function_free(c->function);
	c->function = STEAL(now);
	return 0;
}

static int acquire_present(struct invocation *c, nova_vm_t **ret_vm, nova_error_t **error)
{
	for (;;) {
		nova_error_t *failure = NULL;
		int code = acquire(c, ret_vm, &failure);
		if (code != NOVA_ENOTFOUND || disk_is_there(c)) {
			if (error)
				*error = failure;
			else
				nova_error_free(failure);
			return code;
		}
		nova_error_free(failure);
		code = look_again(c, error);
		if (code < 0)
			return code;
	}
}

/* A VM that was lost, fell silent, had to kill its function or ran out of memory (its /tmp may be full) is not used again; one whose
 * function merely failed is as good as before, for no process of a request outlives it. */
static bool reusable(int code, const nova_result_t *result)
{
	if (code == NOVA_EFUNCTION)
		return !result || !str_starts(nova_result_failure(result), "out of memory");
	return code == 0 || code == NOVA_EINVAL || code == NOVA_ETOOBIG;
}

/* What a call has come to whose VM was killed because it was to end. */
static int canceled_in_vm(nova_error_t *failure, nova_error_t **error)
{
	int outcome = nova_error_outcome(failure);
	nova_error_free(failure);
	if (outcome == NOVA_OUTCOME_NEVER_RAN)
		return fail_canceled(error);
	return nova_fail_ran(error, NOVA_ECANCELED, outcome, "the call was cancelled while its function may have been running; its microVM was ended");
}

static int run_in(struct invocation *c, nova_vm_t *vm, nova_result_t **ret_result, nova_error_t **error)
{
	nova_error_t *failure = NULL;
	int code = stop_enter(c->stop, vm, error);
	if (code < 0) { /* the VM has not been used */
		nova_pool_release(c->nova->pool, vm, 1);
		return code;
	}
	code = vm_exec(vm, &c->exec, ret_result, &failure);
	bool asked = stop_leave(c->stop);
	nova_pool_release(c->nova->pool, vm, reusable(code, *ret_result));
	if (asked && (code == NOVA_ELOST || code == NOVA_EAGENT))
		return canceled_in_vm(failure, error);
	if (error)
		*error = failure;
	else
		nova_error_free(failure);
	return code;
}

static int run_once(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	nova_vm_t *vm;
	int code = acquire_present(c, &vm, error);
	return code < 0 ? code : run_in(c, vm, ret_result, error);
}

/* A waiting VM can die just before it is given work. It is known then that nothing ran, so a new VM is tried, once. */
static bool worth_another(const struct invocation *c, int code, const nova_error_t *failure)
{
	return !c->cold && (code == NOVA_ELOST || code == NOVA_EAGENT) && nova_error_outcome(failure) == NOVA_OUTCOME_NEVER_RAN;
}

static int run(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	nova_error_t *failure = NULL;
	int code = run_once(c, ret_result, &failure);
	if (code < 0 && worth_another(c, code, failure)) {
		nova_error_free(failure);
		failure = NULL;
		code = run_once(c, ret_result, &failure);
	}
	if (error)
		*error = failure;
	else
		nova_error_free(failure);
	return code;
}

static void finish_timing(const struct invocation *c, nova_result_t *r, uint64_t run_ns)
{
	uint64_t made_us = 0, waited_us = (run_ns - c->prepared_ns) / 1000u + c->queue_us;
	for (int part = NOVA_TIMING_START; part <= NOVA_TIMING_INIT; part++)
		made_us += r->timing_us[part] = c->part_us[part];
	r->timing_us[NOVA_TIMING_LOOKUP] = (c->prepared_ns - c->begin_ns) / 1000u;
	r->timing_us[NOVA_TIMING_QUEUE] = waited_us > made_us ? waited_us - made_us : 0;
	r->timing_us[NOVA_TIMING_TOTAL] = us_since(c->begin_ns);
	r->cold_start = c->cold;
}

/* --- a call as a whole ---------------------------------------------------------------------------------------------------------- */

/* The request is checked before a VM is started for it. */
static int prepare(struct invocation *c, const char *name, const void *payload, size_t payload_len, const nova_invoke_opts *opts,
	nova_error_t **error)
{
	int code = registry_lookup(c->nova, name, &c->function, error);
	if (code < 0)
		return code;
	c->exec.on_output = opts->on_output;
	c->exec.userdata = opts->userdata;
	uint32_t limit = opts->timeout_ms ? opts->timeout_ms : c->function->record.timeout_s * 1000u;
	return vm_exec_prepare(&c->exec, payload ? payload : "{}", payload ? payload_len : 2, limit, opts->request_id, error);
}

int invocation_prepare(struct invocation *c, nova_t *nova, const char *function, const void *payload, size_t payload_len,
	const nova_invoke_opts *opts, nova_error_t **error)
{
	nova_invoke_opts o;
	*c = (struct invocation){ .nova = nova, .cold = 1, .begin_ns = clock_ns() };
	int code = opts_import(&o, sizeof(o), opts, "nova_invoke_opts", error);
	if (code == 0)
		code = host_check_process(nova->host, error);
	if (code == 0)
		code = prepare(c, function, payload, payload_len, &o, error);
	c->prepared_ns = clock_ns();
	return code;
}

int invocation_run(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	int code = run(c, ret_result, error);
	if (*ret_result)
		finish_timing(c, *ret_result, begin);
	return code;
}

void invocation_done(struct invocation *c)
{
	vm_exec_done(&c->exec);
	nova_function_free(c->function);
	c->function = NULL;
}

int nova_template_build(nova_t *nova, const char *function, nova_error_t **error)
{
	struct invocation c = { .nova = nova };
	const struct engine_ops *ops;
	nova_vm_t *vm;
	if (!nova || !function)
		return nova_fail(error, NOVA_EINVAL, "nova_template_build: an argument is NULL");
	int code = host_choose_engine(nova->host, NULL, &ops, error);
	if (code == 0 && !ops->save)
		code = nova_fail(error, NOVA_ENOTSUP, "the engine %s has no templates", ops->name);
	if (code == 0 && strcmp(config_str(host_config(nova->host), "pool.templates"), "on"))
		code = nova_fail(error, NOVA_ENOTSUP, "templates are switched off: set pool.templates to \"on\"");
	if (code == 0)
		code = host_check_process(nova->host, error);
	if (code == 0)
		code = registry_lookup(nova, function, &c.function, error);
	if (code == 0)
		code = acquire_present(&c, &vm, error);
	if (code == 0)
		nova_pool_release(nova->pool, vm, 1);
	nova_function_free(c.function);
	return code;
}

int nova_invoke(nova_t *nova, const char *function, const void *payload, size_t payload_len, const nova_invoke_opts *opts,
	nova_result_t **ret_result, nova_error_t **error)
{
	struct invocation c;
	if (!nova || !function || !ret_result)
		return nova_fail(error, NOVA_EINVAL, "nova_invoke: an argument is NULL");
	*ret_result = NULL;
	int code = invocation_prepare(&c, nova, function, payload, payload_len, opts, error);
	if (code == 0)
		code = invocation_run(&c, ret_result, error);
	invocation_done(&c);
	return code;
}
