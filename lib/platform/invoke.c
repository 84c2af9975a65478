/* SPDX-License-Identifier: MIT */
/* The main job: function -> VM -> run -> give the VM back. */
#include "platform/platform.h"

/* --- ending a call from elsewhere --- */

/* Whether anything of the call runs is decided once, by whoever comes first: its own thread, or the
 * one that calls it off. */
bool invocation_call_off(struct invocation *c)
{
	int fate = FATE_OPEN;
	return __atomic_compare_exchange_n(
		&c->fate, &fate, FATE_CALLED_OFF, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static int begin(struct invocation *c, nova_error_t **error)
{
	int fate = FATE_OPEN;
	if (__atomic_compare_exchange_n(
		    &c->fate, &fate, FATE_BEGUN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
		fate == FATE_BEGUN)
		return 0;
	return nova_fail(error, NOVA_ECANCELED, "the call was cancelled before its function ran");
}

/* --- one run --- */

/* A VM that was lost, fell silent, had to kill its function or ran out of memory (its /tmp may be
 * full) is not used again; one whose function merely failed, or was cancelled, is as good as
 * before, for no process of a request outlives it. */
static bool reusable(int code, const nova_result_t *result)
{
	if (code == NOVA_EFUNCTION)
		return !result || !str_starts(nova_result_failure(result), "out of memory");
	return code == 0 || code == NOVA_EINVAL || code == NOVA_ETOOBIG || code == NOVA_ECANCELED;
}

/* The function may be another one of that name by now. */
static int check_label(const struct invocation *c, nova_error_t **error)
{
	const struct function_record *r = &c->function->record;
	if (!c->if_label || label_is_there(&r->config.labels, c->if_label))
		return 0;
	return nova_fail(error, NOVA_EINVAL,
		"function '%s' belongs to somebody else than it was to (nova_job_opts.if_label): "
		"it "
		"is not called",
		r->name);
}

/* Runs the request in a VM. *ret_used: it has got there. */
static int exec_in(struct invocation *c, nova_vm_t *vm, nova_result_t **ret_result, bool *ret_used,
	nova_error_t **error)
{
	int code = begin(c, error);
	uint64_t begin_ns = clock_ns();
	*ret_used = false;
	if (code == 0)
		code = check_label(c, error);
	if (code == 0 && c->secrets_of != c->function) /* it is another since */
		code = invocation_find_secrets(c, error);
	if (code == 0 && c->secrets)
		code = secret_set_entrust(c->secrets, vm, c->request.stop, error);
	if (code == 0)
		c->has_run = *ret_used = true;
	if (code == 0)
		code = vm_exec(vm, &c->exec, c->request.stop, ret_result, error);
	c->used_us += us_since(begin_ns);
	return code;
}

/* What the call has left in its VM becomes a snapshot. */
static int checkpoint(const struct invocation *c, const struct lease *lease, nova_result_t *result,
	nova_error_t **error)
{
	nova_snapshot_opts opts = NOVA_SNAPSHOT_OPTS_INIT;
	nova_snapshot_t *snapshot = NULL;
	opts.name = c->checkpoint_name;
	int code = lease_snapshot(
		lease, &c->function->record, &opts, c->request.stop, &snapshot, error);
	if (code < 0) {
		nova_wrap(
			error, code, "the function succeeded, but its snapshot could not be taken");
		return nova_set_outcome(error, code, NOVA_OUTCOME_RAN);
	}
	snprintf(result->snapshot, sizeof(result->snapshot), "%s", nova_snapshot_id(snapshot));
	nova_snapshot_free(snapshot);
	return 0;
}

static int run_leased(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	bool used;
	int code = lease_take(c->nova, &c->function, &c->request, &c->lease, error);
	if (code < 0)
		return code;
	code = exec_in(c, c->lease.vm, ret_result, &used, error);
	bool as_good_as_before = !used || reusable(code, *ret_result);
	if (code == 0 && c->checkpoint)
		code = checkpoint(c, &c->lease, *ret_result, error);
	lease_return(c->nova, &c->lease, as_good_as_before && !c->request.fresh);
	return code;
}

static int run_in_instance(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	bool used;
	int code = instance_enter(c->instance, error);
	if (code < 0)
		return code;
	code = exec_in(c, c->instance->vm, ret_result, &used, error);
	if (code == 0 && c->checkpoint)
		code = checkpoint(c, &c->instance->lease, *ret_result, error);
	if (*ret_result)
		snprintf((*ret_result)->instance, sizeof((*ret_result)->instance), "%s",
			c->instance->id);
	instance_leave(c->instance);
	return code < 0 && !*ret_result ?
		       nova_wrap(error, code, "instance '%s'", c->instance->name) :
		       code;
}

static int run_once(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	return c->instance ? run_in_instance(c, ret_result, error) :
			     run_leased(c, ret_result, error);
}

/* A waiting VM can die just before it is given work, and a fork show then that it has not come up.
 * It is known that nothing ran, so a new VM is tried, once. */
static bool worth_another(const struct invocation *c, int code, const nova_error_t *failure)
{
	bool unproven = c->lease.unheard || (!c->request.fresh && !c->lease.cold);
	return unproven && !c->instance && (code == NOVA_ELOST || code == NOVA_EAGENT) &&
	       nova_error_outcome(failure) == NOVA_OUTCOME_NEVER_RAN;
}

/* `error` is not NULL. */
static int run(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	int code = run_once(c, ret_result, error);
	if (code < 0 && worth_another(c, code, *error)) {
		nova_error_free(STEAL(*error));
		code = run_once(c, ret_result, error);
	}
	return code;
}

static void finish_result(const struct invocation *c, nova_result_t *r, uint64_t run_ns)
{
	uint64_t made_us = 0, waited_us = (run_ns - c->prepared_ns) / 1000u + c->lease.took_us;
	for (int part = NOVA_TIMING_START; part <= NOVA_TIMING_INIT; part++)
		made_us += r->timing_us[part] = c->lease.part_us[part];
	r->timing_us[NOVA_TIMING_LOOKUP] = (c->prepared_ns - c->begin_ns) / 1000u;
	r->timing_us[NOVA_TIMING_QUEUE] = waited_us > made_us ? waited_us - made_us : 0;
	r->timing_us[NOVA_TIMING_TOTAL] = us_since(c->begin_ns);
	r->cold_start = c->lease.cold;
	r->version = c->function->published ? c->function->record.version : 0;
}

/* --- a call as a whole --- */

/* Whose space it is is told by the call, and by nothing that comes from the guest. */
static int answer_kv(void *userdata, char *ask, size_t len, struct buf *reply)
{
	const struct invocation *c = userdata;
	return kv_answer(&c->nova->kv, c->function->record.id, ask, len, reply);
}

/* See NOVA_REGISTER_KEEP_TMP. */
static bool keeps_tmp(const struct function_record *r)
{
	for (size_t i = 0; i < r->config.env.count; i++)
		if (!strcmp(r->config.env.items[i], "NOVA_KEEP_TMP=1"))
			return true;
	return false;
}

/* By its name whichever version the instance has, or by that version. */
static bool is_named(const nova_function_t *function, const char *name)
{
	const struct function_record *r = &function->record;
	AUTO_FREE char *version = str_format("%s:%u", r->name, r->version);
	return !name || !strcmp(r->name, name) || (version && !strcmp(version, name));
}

/* The function is as it was when the instance was started. */
static int use_instance(
	struct invocation *c, const char *name, nova_instance_t *instance, nova_error_t **error)
{
	const char *own = instance->function->record.name;
	bool named = is_named(instance->function, name);
	const char *what = named ? "platform" : strchr(name, ':') ? "version" : "function";
	if (instance->nova != c->nova || !named)
		return nova_fail(error, NOVA_EINVAL,
			"instance '%s' is of another %s, '%s', and not of '%s'", instance->name,
			what, own, name ? name : own);
	c->instance = instance_ref(instance);
	c->function = function_ref(instance->function);
	c->lease.cold = 0;
	return 0;
}

/* What only programs have, and what they have not. */
static int check_program(const struct function_config *config, const char *payload,
	const nova_invoke_opts *o, nova_error_t **error)
{
	bool is_program = o->flags & NOVA_INVOKE_PROGRAM;
	if (!is_program && (o->args_count || o->stdin_len || o->start || o->program_name))
		return nova_fail(error, NOVA_EINVAL,
			"args, stdin, start and program_name are for calls with "
			"NOVA_INVOKE_PROGRAM");
	if (is_program && payload)
		return nova_fail(error, NOVA_EINVAL,
			"a program has arguments and stdin, and no payload: give NULL");
	return is_program ? runtime_check_program(config, o->start || o->program_name, error) : 0;
}

static int frame(
	struct invocation *c, const char *payload, const nova_invoke_opts *o, nova_error_t **error)
{
	const struct vm_program program = { o->args, o->args_count, o->stdin_data, o->stdin_len,
		o->start, o->program_name };
	uint32_t limit =
		o->timeout_ms ? o->timeout_ms : c->function->record.config.timeout_s * 1000u;
	payload = payload ? payload : "{}";
	c->exec.client_context = o->client_context;
	c->exec.program = o->flags & NOVA_INVOKE_PROGRAM ? &program : NULL;
	int code = vm_exec_prepare(&c->exec, payload, strlen(payload), limit, o->request_id, error);
	/* they are in the frame, and the caller's */
	c->exec.client_context = NULL;
	c->exec.program = NULL;
	return code;
}

/* The request is checked before a VM is started for it. */
static int prepare(struct invocation *c, const char *name, const char *payload,
	const nova_invoke_opts *opts, nova_error_t **error)
{
	if (!name && !opts->instance)
		return nova_fail(
			error, NOVA_EINVAL, "function: NULL is possible with an instance only");
	int code = opts->instance ? use_instance(c, name, opts->instance, error) :
				    registry_lookup(&c->nova->registry, name, &c->function, error);
	if (code == 0)
		code = check_label(c, error);
	if (code == 0)
		code = check_program(&c->function->record.config, payload, opts, error);
	if (code < 0)
		return code;
	c->exec.on_output = opts->on_output;
	c->exec.userdata = opts->userdata;
	c->exec.on_kv = answer_kv;
	c->exec.kv_userdata = c;
	c->exec.tidy = !needs_new_vm(opts) && !opts->instance && !keeps_tmp(&c->function->record);
	return frame(c, payload, opts, error);
}

/* One that is not there is told before there is a VM. */
int invocation_find_secrets(struct invocation *c, nova_error_t **error)
{
	const struct function_record *r = &c->function->record;
	secret_set_free(STEAL(c->secrets));
	nova_function_free(c->secrets_of);
	c->secrets_of = function_ref(c->function);
	int code = secret_set_find(&c->nova->secrets, &r->config.env, &c->secrets, error);
	if (code == 0 && c->secrets && c->checkpoint)
		code = nova_fail(error, NOVA_ENOTSUP,
			"it is given secrets, which a snapshot of what the call leaves would write "
			"to the disk");
	return code < 0 ? nova_wrap(error, code, "function '%s'", r->name) : 0;
}

int invocation_prepare(struct invocation *c, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_error_t **error)
{
	nova_invoke_opts o;
	c->begin_ns = clock_ns();
	c->lease.cold = 1;
	int code = opts_import(&o, sizeof(o), opts, "nova_invoke_opts", error);
	c->stop.interrupt = o.interrupt;
	c->request.key = c->key;
	c->request.stop = &c->stop;
	c->request.progress = (struct progress){ o.on_progress, o.userdata };
	if (code == 0)
		code = stop_check(&c->stop, "it began", error);
	if (code == 0)
		code = host_check_process(c->nova->host, error);
	if (code == 0)
		code = prepare(c, function, payload, &o, error);
	if (code == 0)
		code = mode_prepare(c, &o, error);
	if (code == 0)
		code = invocation_find_secrets(c, error);
	if (code == 0)
		code = meter_check_key(o.key, c->key, error);
	if (code == 0)
		code = meter_admit(c->nova->meter, error);
	if (code == 0) /* the last: a call that is refused for something else uses nothing up */
		code = rate_admit(
			c->nova, c->function, c->instance || c->function->published, error);
	c->prepared_ns = clock_ns();
	if (code == 0)
		invocation_accepted(c, payload ? strlen(payload) : 0);
	return code;
}

int invocation_run(struct invocation *c, nova_result_t **ret_result, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *failure = NULL;
	uint64_t begin = clock_ns();
	int code = run(c, ret_result, &failure);
	if (*ret_result)
		finish_result(c, *ret_result, begin);
	meter_call(c, *ret_result);
	call_log_note(c, code, *ret_result, failure);
	if (code < 0 && error)
		*error = STEAL(failure);
	return code;
}

void invocation_accepted(struct invocation *c, size_t input_size)
{
	c->input_size = input_size;
	c->started_us = clock_unix_us();
}

void invocation_done(struct invocation *c)
{
	call_log_note(c, NOVA_ECANCELED, NULL, NULL); /* it waited, and was called off */
	if (c->request.code_disk)
		fs_unlink(c->request.code_disk);
	vm_exec_done(&c->exec);
	secret_set_free(STEAL(c->secrets));
	nova_function_free(STEAL(c->secrets_of));
	nova_function_free(c->function);
	nova_instance_free(c->instance);
	free(c->request.snapshot);
	free(STEAL(c->request.code_disk));
	free(STEAL(c->request.compiled));
	free(c->checkpoint_name);
	c->function = NULL;
	c->instance = NULL;
	c->request.snapshot = c->checkpoint_name = NULL;
}

int invocation_call(struct invocation *c, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_result_t **ret_result, nova_error_t **error)
{
	int code = invocation_prepare(c, function, payload, opts, error);
	if (code == 0)
		code = invocation_run(c, ret_result, error);
	invocation_done(c);
	return code;
}

int nova_invoke(nova_t *nova, const char *function, const char *payload,
	const nova_invoke_opts *opts, nova_result_t **ret_result, nova_error_t **error)
{
	struct invocation c = { .nova = nova };
	if (ret_result)
		*ret_result = NULL;
	if (ANY_NULL(error, nova, ret_result))
		return NOVA_EINVAL;
	return invocation_call(&c, function, payload, opts, ret_result, error);
}
