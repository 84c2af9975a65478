/* SPDX-License-Identifier: MIT */
/* What a VM is for: being given a function, running it, running commands. */
#include "vm/compiled.h"

#define STDIN_MAX    (4u << 20)
#define PING_TIMEOUT 3000u
#define DRAWS_MOST   400u

/* {"NAME": "value"} of "NAME=value" strings. */
static int env_object(
	const char *const *env, size_t count, json_t **ret_object, nova_error_t **error)
{
	AUTO_JSON json_t *object = json_object();
	if (count && !env)
		return nova_fail(error, NOVA_EINVAL, "env_count is %zu, but env is NULL", count);
	for (size_t i = 0; object && i < count; i++) {
		const char *equals = env[i] ? strchr(env[i], '=') : NULL;
		if (!equals || equals == env[i])
			return nova_fail(error, NOVA_EINVAL,
				"'%.80s' is no environment variable: write NAME=value",
				env[i] ? env[i] : "NULL");
		if (!text_is_utf8(env[i]))
			return nova_fail(error, NOVA_EINVAL,
				"the environment variable '%s' is not UTF-8", env[i]);
		AUTO_FREE char *name = strndup(env[i], (size_t)(equals - env[i]));
		if (!name || json_object_set_new(object, name, json_string(equals + 1)) < 0)
			return nova_oom(error);
	}
	*ret_object = STEAL(object);
	return *ret_object ? 0 : nova_oom(error);
}

static int argv_array(
	const char *const *words, size_t count, json_t **ret_array, nova_error_t **error)
{
	AUTO_JSON json_t *array = json_array();
	for (size_t i = 0; i < count; i++) {
		if (!words[i] || !text_is_utf8(words[i]))
			return nova_fail(
				error, NOVA_EINVAL, "argument %zu is NULL or not UTF-8", i);
		if (json_array_append_new(array, json_string(words[i])) < 0)
			return nova_oom(error);
	}
	*ret_array = STEAL(array);
	return *ret_array ? 0 : nova_oom(error);
}

/* --- init --- */

/* A guest's words for a log; NULL for none, or without memory. */
static char *one_line(struct json_span text)
{
	char *copy = text.len ? strndup(text.at,
					utf8_valid_prefix((const uint8_t *)text.at,
						text.len < DRAWS_MOST ? text.len : DRAWS_MOST)) :
				NULL;
	if (copy)
		text_flatten(copy);
	return copy;
}

/* Of an answer that it has one. */
static int note_function(
	nova_vm_t *vm, uint32_t concurrency, const struct guest_message *said, nova_error_t **error)
{
	vm->function = (struct guest_function){
		.is_there = true,
		.entrusted = vm->function.entrusted,
		.has_hooks = said->hooks,
		.concurrency = concurrency,
		.draws = one_line(said->draws),
	};
	vm->entry = strndup(said->calls.at ? said->calls.at : "", said->calls.len);
	/* a template would be made of it */
	return (said->draws.len && !vm->function.draws) || !vm->entry ? nova_oom(error) : 0;
}

static bool add_flags(json_t *payload, const struct vm_spec *spec)
{
	return (!spec->once || json_object_set_new(payload, "once", json_true()) == 0) &&
	       (!spec->program || json_object_set_new(payload, "program", json_true()) == 0);
}

/* What a runtime is that the agent does not know by its name. */
static bool add_own_runtime(json_t *payload, const struct function_config *c)
{
	if (!c->protocol || !*c->protocol)
		return true;
	json_t *argv = json_array();
	for (size_t i = 0; i < c->argv.count; i++)
		json_array_append_new(argv, json_string(c->argv.items[i]));
	return argv && json_array_size(argv) == c->argv.count &&
	       json_object_set_new(payload, "argv", argv) == 0 &&
	       json_object_set_new(payload, "protocol", json_string(c->protocol)) == 0;
}

static int init_payload(
	const struct vm_spec *spec, uint32_t limit_ms, json_t **ret_payload, nova_error_t **error)
{
	const struct function_config *c = &spec->config;
	AUTO_JSON json_t *env = NULL, *opened = NULL;
	if (!text_is_utf8(c->runtime) || !text_is_utf8(c->handler))
		return nova_fail(error, NOVA_EINVAL, "runtime or handler is not UTF-8");
	int code = env_object((const char *const *)c->env.items, c->env.count, &env, error);
	if (code == 0)
		code = check_preopens(property_find("preopens"), &c->preopens, NOVA_EINVAL, error);
	if (code == 0)
		code = env_object(
			(const char *const *)c->preopens.items, c->preopens.count, &opened, error);
	if (code < 0)
		return code;
	AUTO_JSON json_t *payload =
		json_pack("{s:s, s:s, s:O, s:O, s:I}", "runtime", c->runtime, "handler", c->handler,
			"env_vars", env, "preopens", opened, "timeout_ms", (json_int_t)limit_ms);
	if (!payload || !add_own_runtime(payload, c) || !add_flags(payload, spec))
		return nova_oom(error);
	*ret_payload = STEAL(payload);
	return 0;
}

/* What the agent could not do, it may have done in part. */
static int init_done(
	const struct vm_spec *spec, const struct vm_answer *answer, nova_error_t **error)
{
	int code = vm_done(answer, error);
	return code == NOVA_EAGENT && spec->once ?
		       nova_set_outcome(error, code, NOVA_OUTCOME_UNKNOWN) :
		       code;
}

static int ask_init(nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop,
	struct vm_answer *answer, nova_error_t **error)
{
	uint32_t limit_ms = spec->init_timeout_ms ? spec->init_timeout_ms : vm->boot_timeout_ms;
	uint64_t wait_ms = (uint64_t)limit_ms + ANSWER_GRACE;
	struct vm_request how = { .deadline = deadline_in_ms(wait_ms), .stop = stop };
	AUTO_JSON json_t *payload = NULL;
	int code = init_payload(spec, limit_ms, &payload, error);
	if (code < 0)
		return code;
	const char *directory =
		engine_has(vm->ops, NOVA_FEATURE_GUEST) && vm->shape.rootfs ? spec->compiled : NULL;
	bool given = directory && compiled_give(vm, directory, &how);
	if (given && json_object_set_new(payload, "compiled", json_true()) < 0)
		return nova_oom(error);
	/* Whether it has come up is known before it is given what may run but once. */
	how.may_carry = !spec->once || vm->path == VM_PATH_CLASSIC;
	how.runs_code = spec->once;
	code = vm_ask_json_as(vm, NOVA_MSG_INIT, STEAL(payload), &how, answer, error);
	how.may_carry = how.runs_code = false;
	if (code == 0)
		code = init_done(spec, answer, error);
	how.deadline = deadline_in_ms(wait_ms);
	if (code == 0 && directory && !given)
		compiled_keep(vm, directory, &how);
	return code;
}

static int init_alone(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = ask_init(vm, spec, stop, &answer, error);
	__atomic_store_n(&vm->timing_us[NOVA_TIMING_INIT], us_since(begin), __ATOMIC_RELAXED);
	pthread_mutex_lock(&vm->lock); /* queues look at its concurrency meanwhile */
	bool entrusted = vm->function.entrusted;
	guest_function_done(&vm->function);
	vm->function.entrusted = entrusted;
	free(STEAL(vm->entry));
	if (code == 0)
		code = note_function(vm, spec->config.concurrency, &answer.said, error);
	pthread_mutex_unlock(&vm->lock);
	return code;
}

int vm_init(
	nova_vm_t *vm, const struct vm_spec *spec, const struct stop *stop, nova_error_t **error)
{
	if (spec->config.concurrency > VM_CALLS_MOST)
		return nova_fail(error, NOVA_EINVAL, "a concurrency of %u is out of range: 1 to %u",
			spec->config.concurrency, VM_CALLS_MOST);
	const struct vm_secrets *secrets = &spec->secrets;
	int code = host_check_process(vm->host, error);
	if (code == 0 && secrets->entrust && (secrets->at_init || spec->once))
		code = secrets->entrust(secrets->userdata, vm, &secrets->variables, stop, error);
	if (code == 0)
		code = vm_enter_alone(vm, stop, error);
	if (code < 0)
		return code;
	code = init_alone(vm, spec, stop, error);
	vm_leave_alone(vm);
	return code;
}

int nova_vm_init(nova_vm_t *vm, const nova_vm_init_opts *opts, nova_error_t **error)
{
	nova_vm_init_opts o;
	AUTO_VM_SPEC struct vm_spec spec = { .engine = NULL };
	if (ANY_NULL(error, vm, opts))
		return NOVA_EINVAL;
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_init_opts", error);
	if (code == 0)
		code = vm_spec_import(&spec, NULL, &o, error);
	const struct stop stop = { o.interrupt, NULL };
	return code < 0 ? code : vm_init(vm, &spec, &stop, error);
}

/* --- invoke --- */

static bool request_id_ok(const char *id)
{
	size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	return len && len <= 64 && !id[len];
}

/* The failure that the function's own result reports, or 0. */
static int function_failure(const nova_result_t *result, nova_error_t **error)
{
	if (result->canceled)
		return nova_fail_ran(
			error, NOVA_ECANCELED, NOVA_OUTCOME_RAN, "the call was cancelled");
	if (result->timed_out)
		return nova_fail_ran(
			error, NOVA_ETIMEDOUT, NOVA_OUTCOME_RAN, "%s", result->failure.at);
	if (result->failure.len)
		return nova_fail_ran(
			error, NOVA_EFUNCTION, NOVA_OUTCOME_RAN, "%s", result->failure.at);
	return 0;
}

void vm_exec_done(struct vm_exec *exec)
{
	free(exec->frame);
	exec->frame = NULL;
}

#define CONTEXT_MAX 4096u /* bytes */

static int check_context(const char *text, nova_error_t **error)
{
	struct json_fault fault;
	size_t len = strlen(text);
	if (len > CONTEXT_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"a client_context of %zu bytes is over the limit of %u", len, CONTEXT_MAX);
	if (*text != '{' || !json_text_check(text, len, PROTO_DEPTH_USER, &fault))
		return nova_fail(
			error, NOVA_EINVAL, "client_context is not the text of a JSON object");
	return 0;
}

static int add_context(struct vm_exec *exec, nova_error_t **error)
{
	void *plain = exec->frame;
	AUTO_FREE char *member = str_format("\"client_context\":%s,", exec->client_context);
	if (!member)
		return nova_oom(error);
	int code = proto_add_member(plain, exec->frame_len, member, strlen(member), &exec->frame,
		&exec->frame_len, error);
	if (code == 0)
		free(plain);
	return code;
}

/* --- a call of a program --- */

#define ARGS_MAX 32768u /* bytes, as a list of JSON */

static int check_word(const char *word, const char *what, nova_error_t **error)
{
	if (!word || (*word && strlen(word) <= 255 && text_is_utf8(word)))
		return 0;
	return nova_fail(
		error, NOVA_EINVAL, "%s is empty, not UTF-8, or longer than 255 bytes", what);
}

static int check_program(const struct vm_program *p, nova_error_t **error)
{
	if (p->args_count && !p->args)
		return nova_fail(
			error, NOVA_EINVAL, "args_count is %zu, but args is NULL", p->args_count);
	if (p->stdin_len && !p->stdin_data)
		return nova_fail(error, NOVA_EINVAL, "stdin_len is %zu, but stdin_data is NULL",
			p->stdin_len);
	if (p->stdin_len > STDIN_MAX)
		return nova_fail(
			error, NOVA_ETOOBIG, "stdin_data is limited to %u bytes", STDIN_MAX);
	int code = check_word(p->start, "start", error);
	return code < 0 ? code : check_word(p->name, "program_name", error);
}

static int program_arguments(const struct vm_program *p, json_t **ret_array, nova_error_t **error)
{
	AUTO_JSON json_t *array = NULL;
	int code = argv_array(p->args, p->args_count, &array, error);
	if (code < 0)
		return code;
	if (json_dumpb(array, NULL, 0, JSON_COMPACT) > ARGS_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"the arguments are too long: %u bytes as a list of JSON are the limit; "
			"stdin has more room",
			ARGS_MAX);
	*ret_array = STEAL(array);
	return 0;
}

/* Without `input`: an agent that knows no programs refuses it, and does not call the function as
 * it would another time. */
static int program_frame(struct vm_exec *exec, nova_error_t **error)
{
	const struct vm_program *p = exec->program;
	AUTO_JSON json_t *args = NULL, *message = NULL;
	AUTO_BUF struct buf coded = BUF_INIT(STDIN_MAX * 2);
	int code = check_program(p, error);
	if (code == 0)
		code = program_arguments(p, &args, error);
	if (code < 0)
		return code;
	if (base64_put(&coded, p->stdin_data, p->stdin_len) < 0)
		return nova_oom(error);
	message = json_pack("{s:s, s:I, s:b, s:b, s:b, s:{s:O, s:s%, s:s*, s:s*}}", "request_id",
		exec->id, "timeout_ms", (json_int_t)exec->limit_ms, "stream",
		exec->on_output != NULL, "tidy", exec->tidy, "kv", exec->on_kv != NULL, "program",
		"args", args, "stdin", coded.len ? (char *)coded.data : "", coded.len, "start",
		p->start, "name", p->name);
	return proto_encode_json(NOVA_MSG_EXEC, message, &exec->frame, &exec->frame_len, error);
}

static int payload_frame(
	struct vm_exec *exec, const void *payload, size_t payload_len, nova_error_t **error)
{
	unsigned flags = (exec->on_output ? PROTO_EXEC_STREAM : 0) |
			 (exec->tidy ? PROTO_EXEC_TIDY : 0) | (exec->on_kv ? PROTO_EXEC_KV : 0);
	return proto_exec_frame(exec->id, payload, payload_len, exec->limit_ms, flags, &exec->frame,
		&exec->frame_len, error);
}

int vm_exec_prepare(struct vm_exec *exec, const void *payload, size_t payload_len,
	uint32_t timeout_ms, const char *request_id, nova_error_t **error)
{
	if (request_id && !request_id_ok(request_id))
		return nova_fail(error, NOVA_EINVAL,
			"'%.80s' is no request id: at most 64 letters, digits, '-' and '_'",
			request_id);
	if (request_id)
		snprintf(exec->id, sizeof(exec->id), "%s", request_id);
	else if (random_hex(exec->id, 8) < 0)
		return nova_oom(error);
	exec->limit_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT;
	int code = exec->client_context ? check_context(exec->client_context, error) : 0;
	if (code < 0)
		return code;
	exec->is_program = exec->program;
	code = exec->program ? program_frame(exec, error) :
			       payload_frame(exec, payload, payload_len, error);
	return code == 0 && exec->client_context ? add_context(exec, error) : code;
}

static void note_result(const nova_vm_t *vm, nova_result_t *result, uint64_t begin)
{
	result->timing_us[NOVA_TIMING_EXEC] = result->timing_us[NOVA_TIMING_TOTAL] =
		us_since(begin);
	result->path = vm->path;
	memcpy(result->path_why, vm->path_why, sizeof(result->path_why));
}

/* Such an agent misses the input. */
static bool knows_no_programs(const struct vm_answer *answer)
{
	const struct json_span *error = &answer->said.error;
	return answer->said.code.at && error->at && str_starts(error->at, "Exec needs \"input\"");
}

static int exec_inside(nova_vm_t *vm, struct vm_call *call, const struct vm_exec *exec,
	nova_result_t **ret_result, nova_error_t **error)
{
	struct vm_request request = {
		.id = exec->id,
		.frame = exec->frame,
		.frame_len = exec->frame_len,
		.runs_code = true,
		.can_cancel = true,
		.has_output = true,
		.may_carry = true,
		.on_output = exec->on_output,
		.userdata = exec->userdata,
		.on_kv = exec->on_kv,
		.kv_userdata = exec->kv_userdata,
		.deadline = deadline_in_ms((uint64_t)exec->limit_ms + ANSWER_GRACE),
	};
	if (!vm->function.is_there && !vm->ended)
		return nova_fail(error, NOVA_EBUSY,
			"microVM %s has no function yet: nova_vm_init() comes first", vm->id);
	uint64_t begin = clock_ns();
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = vm_ask_as(vm, call, &request, &answer, error);
	if (code == 0 && exec->is_program && knows_no_programs(&answer))
		return nova_fail(error, NOVA_ENOTSUP,
			"the agent of the guest image is older than this library and calls no "
			"function as a program: tools/images makes the images anew");
	if (code == 0)
		code = vm_refusal(&answer, error);
	if (code < 0)
		return code;
	code = result_from_answer(&answer, exec->id, vm->id, ret_result, error);
	if (code < 0)
		return nova_set_outcome(error, code, NOVA_OUTCOME_UNKNOWN);
	note_result(vm, *ret_result, begin);
	return function_failure(*ret_result, error);
}

int vm_exec(nova_vm_t *vm, const struct vm_exec *exec, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **error)
{
	struct vm_call call;
	vm_call_init(&call, exec->id, stop);
	int code = vm_enter(vm, &call, error);
	if (code == 0) {
		code = exec_inside(vm, &call, exec, ret_result, error);
		vm_leave(vm, &call);
	}
	vm_call_done(&call);
	return code;
}

int vm_exec_import(struct vm_exec *exec, const char *payload, const nova_vm_invoke_opts *opts,
	nova_error_t **error)
{
	nova_vm_invoke_opts o;
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_invoke_opts", error);
	if (code == 0)
		code = opts_reserved(o.reserved, "nova_vm_invoke_opts", error);
	if (code < 0)
		return code;
	exec->on_output = o.on_output;
	exec->userdata = o.userdata;
	exec->interrupt = o.interrupt;
	return vm_exec_prepare(exec, payload, strlen(payload), o.timeout_ms, o.request_id, error);
}

int nova_vm_invoke(nova_vm_t *vm, const char *payload, const nova_vm_invoke_opts *opts,
	nova_result_t **ret_result, nova_error_t **error)
{
	AUTO_EXEC struct vm_exec exec = { .frame = NULL };
	if (ret_result)
		*ret_result = NULL;
	if (ANY_NULL(error, vm, payload, ret_result))
		return NOVA_EINVAL;
	int code = vm_exec_import(&exec, payload, opts, error);
	const struct stop stop = { exec.interrupt, NULL };
	return code < 0 ? code : vm_exec(vm, &exec, &stop, ret_result, error);
}

/* --- command --- */

static int check_command(const nova_vm_command_opts *o, nova_error_t **error)
{
	if (!o->argc || !o->argv)
		return nova_fail(error, NOVA_EINVAL, "nova_vm_command: argv is empty");
	if (o->stdin_len && !o->stdin_data)
		return nova_fail(error, NOVA_EINVAL, "stdin_len is %zu, but stdin_data is NULL",
			o->stdin_len);
	if (o->stdin_len > STDIN_MAX)
		return nova_fail(error, NOVA_ETOOBIG,
			"stdin_data is limited to %u bytes: more can come from stdin_fd",
			STDIN_MAX);
	if (o->flags & ~(uint32_t)NOVA_COMMAND_STREAMED)
		return nova_fail(error, NOVA_EABI,
			"nova_vm_command_opts.flags has bits that this library does not know");
	if (o->stdin_len && o->flags & NOVA_COMMAND_STREAMED)
		return nova_fail(error, NOVA_EINVAL,
			"stdin is either stdin_data or, with NOVA_COMMAND_STREAMED, stdin_fd");
	if (o->directory && !text_is_utf8(o->directory))
		return nova_fail(
			error, NOVA_EINVAL, "the working directory of the command is not UTF-8");
	return opts_reserved(o->reserved, "nova_vm_command_opts", error);
}

static int command_payload(
	const nova_vm_command_opts *o, uint32_t limit, json_t **ret_payload, nova_error_t **error)
{
	AUTO_JSON json_t *argv = NULL, *env = NULL;
	AUTO_BUF struct buf coded = BUF_INIT(STDIN_MAX * 2);
	int code = argv_array(o->argv, o->argc, &argv, error);
	if (code == 0)
		code = env_object(o->env, o->env_count, &env, error);
	if (code < 0)
		return code;
	if (base64_put(&coded, o->stdin_data, o->stdin_len) < 0)
		return nova_oom(error);
	*ret_payload = json_pack("{s:O, s:O, s:s, s:s%, s:I, s:b, s:b}", "argv", argv, "env", env,
		"cwd", o->directory ? o->directory : "/tmp", "stdin",
		coded.len ? (char *)coded.data : "", coded.len, "timeout_ms", (json_int_t)limit,
		"stream", o->on_output != NULL, "flow", (o->flags & NOVA_COMMAND_STREAMED) != 0);
	return *ret_payload ? 0 : nova_oom(error);
}

int vm_command_import(
	struct vm_command *command, const nova_vm_command_opts *opts, nova_error_t **error)
{
	nova_vm_command_opts o;
	int code = opts_import(&o, sizeof(o), opts, "nova_vm_command_opts", error);
	if (code == 0)
		code = check_command(&o, error);
	if (code < 0)
		return code;
	*command = (struct vm_command){
		.on_output = o.on_output,
		.userdata = o.userdata,
		.interrupt = o.interrupt,
		.limit_ms = o.timeout_ms ? o.timeout_ms : DEFAULT_TIMEOUT,
		.streamed = o.flags & NOVA_COMMAND_STREAMED,
		.stdin_fd = o.stdin_fd < 0 ? -1 : o.stdin_fd,
	};
	return command_payload(&o, command->limit_ms, &command->payload, error);
}

void vm_command_done(struct vm_command *command)
{
	json_decref(STEAL(command->payload));
}

static int command_inside(nova_vm_t *vm, struct vm_command *c, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **error)
{
	uint64_t begin = clock_ns();
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	struct vm_flow flow = { .fd = c->stdin_fd };
	const struct vm_request how = {
		.runs_code = true,
		.can_cancel = true,
		.on_output = c->on_output,
		.userdata = c->userdata,
		.deadline = deadline_in_ms((uint64_t)c->limit_ms + ANSWER_GRACE),
		.stop = stop,
		.flow = c->streamed ? &flow : NULL,
	};
	int code = vm_ask_json_as(vm, NOVA_MSG_COMMAND, STEAL(c->payload), &how, &answer, error);
	if (code == 0)
		code = vm_refusal(&answer, error);
	if (flow.os)
		return flow_failure(&flow, code, error);
	if (code < 0)
		return code;
	code = result_from_answer(&answer, answer.said.request_id.at, vm->id, ret_result, error);
	if (code < 0)
		return nova_set_outcome(error, code, NOVA_OUTCOME_UNKNOWN);
	note_result(vm, *ret_result, begin);
	return (*ret_result)->timed_out || (*ret_result)->canceled ?
		       function_failure(*ret_result, error) :
		       0;
}

int vm_command(nova_vm_t *vm, struct vm_command *command, const struct stop *stop,
	nova_result_t **ret_result, nova_error_t **error)
{
	struct vm_call call;
	vm_call_init(&call, NULL, stop);
	int code = vm_enter(vm, &call, error);
	if (code == 0) {
		code = command_inside(vm, command, stop, ret_result, error);
		vm_leave(vm, &call);
	}
	vm_call_done(&call);
	return code;
}

int nova_vm_command(nova_vm_t *vm, const nova_vm_command_opts *opts, nova_result_t **ret_result,
	nova_error_t **error)
{
	AUTO_COMMAND struct vm_command command = { .payload = NULL };
	if (ret_result)
		*ret_result = NULL;
	if (ANY_NULL(error, vm, opts, ret_result))
		return NOVA_EINVAL;
	int code = vm_command_import(&command, opts, error);
	const struct stop stop = { command.interrupt, NULL };
	return code < 0 ? code : vm_command(vm, &command, &stop, ret_result, error);
}

/* --- ping --- */

int nova_vm_ping(
	nova_vm_t *vm, uint32_t timeout_ms, const nova_wait_opts *wait, nova_error_t **error)
{
	if (ANY_NULL(error, vm))
		return NOVA_EINVAL;
	struct stop stop;
	AUTO_ANSWER struct vm_answer answer = VM_ANSWER_NONE;
	int code = stop_import(&stop, wait, error);
	return code < 0 ?
		       code :
		       vm_request(vm, NOVA_MSG_PING, json_object(),
			       timeout_ms ? timeout_ms : PING_TIMEOUT, NULL, &stop, &answer, error);
}
