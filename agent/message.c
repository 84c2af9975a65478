/* SPDX-License-Identifier: MIT */
/* One function a message: checks what the host sent, and has it done. */
#include <errno.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"

void message_ready(struct agent *agent)
{
	struct utsname name;
	struct timespec up;
	uname(&name);
	clock_gettime(CLOCK_BOOTTIME, &up);
	AUTO_JSON json_t *ready = json_pack("{s:s, s:s, s:I, s:b, s:s}", "agent",
		NOVA_VERSION_STRING, "kernel", name.release, "boot_us",
		(json_int_t)(up.tv_sec * 1000000 + up.tv_nsec / 1000), "pid1", agent->pid1, "root",
		agent->root);
	if (agent->missing)
		json_object_set_new(ready, "error", json_string(agent->missing));
	struct buf frame = PROTO_FRAME_BUF;
	void *data;
	if (proto_encode_json(NOVA_MSG_READY, ready, &data, &frame.len, NULL) < 0)
		return;
	frame.data = data;
	frame.cap = frame.len;
	channel_send(agent, &frame);
}

/* --- Init --- */

void message_init_done(struct agent *agent, bool warm)
{
	if (!agent->init.pending)
		return;
	agent->init.pending = false;
	tmp_mark(agent);
	const struct worker *worker = &agent->worker;
	AUTO_BUF struct buf draws = BUF_INIT(6 * sizeof(worker->draws) + 3);
	if (json_put_string(&draws, worker->draws, strlen(worker->draws)) < 0)
		return;
	/* The name is that of something in Python, and needs no escapes. */
	AUTO_FREE char *more = str_format(
		",\"warm\":%s,\"hooks\":%s,\"draws\":%.*s,\"calls\":\"%s\",\"duration_us\":%llu",
		warm ? "true" : "false",
		hook_wanted(agent, true) || hook_wanted(agent, false) ? "true" : "false",
		(int)draws.len, (char *)draws.data, warm ? worker->name : "",
		(unsigned long long)(clock_ns() - agent->init.start) / 1000);
	if (more)
		answer_status_with(agent, agent->init.id, "initialized", more);
}

void message_init_failed(struct agent *agent, const char *error, const void *text, size_t text_len)
{
	if (!agent->init.pending)
		return;
	agent->init.pending = false;
	function_clear(&agent->function);
	answer_refused_text(agent, agent->init.id, "code", error, text, text_len);
}

/* Milliseconds from "timeout_ms" or "timeout_s"; false for what is no time. */
static bool read_timeout(json_t *payload, uint32_t *ret_ms)
{
	json_t *ms = json_object_get(payload, "timeout_ms"),
	       *s = json_object_get(payload, "timeout_s");
	double value = DEFAULT_TIMEOUT_MS;
	if (ms && !json_is_null(ms))
		value = json_is_number(ms) ? json_number_value(ms) : -1;
	else if (s && !json_is_null(s))
		value = json_is_number(s) ? json_number_value(s) * 1000 : -1;
	if (!(value >= 0) || value > UINT32_MAX)
		return false;
	*ret_ms = value >= 1 ? (uint32_t)value : DEFAULT_TIMEOUT_MS;
	return true;
}

/* An object whose values are strings, and whose names can be names of variables; NULL is one, too.
 */
static bool strings_only(json_t *env)
{
	const char *name;
	json_t *value;
	if (env && !json_is_null(env) && !json_is_object(env))
		return false;
	json_object_foreach(env, name, value)
	{
		const char *text = json_string_value(value);
		if (!*name || strchr(name, '=') || !text ||
			strlen(text) != json_string_length(value))
			return false;
	}
	return true;
}

static void on_init(struct agent *agent, const char *id, json_t *payload)
{
	const char *runtime = NULL, *handler = "", *code = "invalid";
	json_t *env = json_object_get(payload, "env_vars");
	uint32_t timeout_ms;
	if (json_unpack(payload, "{s:s, s?s}", "runtime", &runtime, "handler", &handler) < 0 ||
		!strings_only(env) || !read_timeout(payload, &timeout_ms)) {
		answer_refused(agent, id, "invalid",
			"Init needs \"runtime\", and \"handler\" and the values of \"env_vars\" as "
			"text");
		return;
	}
	if (agent->missing) {
		answer_refused(agent, id, "internal", "%s", agent->missing);
		return;
	}
	if (request_any(agent) || agent->init.pending || agent->hook.pending) {
		answer_refused(agent, id, "busy", "a function cannot be replaced while it runs");
		return;
	}
	worker_stop(agent);
	agent->init = (struct init){ .pending = true, .start = clock_ns() };
	snprintf(agent->init.id, sizeof(agent->init.id), "%s", id);
	AUTO_FREE char *wrong = function_set(agent, runtime, handler, env, &code);
	if (wrong) {
		agent->init.pending = false;
		answer_refused(agent, id, code, "%s", wrong);
		return;
	}
	hooks_find(agent);
	agent->worker.timeout_ms = timeout_ms;
	if (!agent->function.runtime->warm) {
		message_init_done(agent, false);
		return;
	}
	int r = worker_start(agent);
	if (r < 0) {
		char text[160];
		snprintf(text, sizeof(text), "%s cannot be started: %s", agent->function.program,
			strerror(-r));
		message_init_failed(agent, text, NULL, 0);
	}
}

/* --- Exec and Command --- */

/* What an Exec asks for. */
struct order {
	char id[MAX_ID + 1];
	uint32_t timeout_ms;
	bool stream, tidy, resumes;
	struct json_span input;
	struct resume_order resume;
};

/* A free place for a request, or NULL after a refusal. */
static struct request *admit(
	struct agent *agent, const char *id, uint32_t timeout_ms, bool stream, bool tidy)
{
	if (agent->missing) {
		answer_refused(agent, id, "internal", "%s", agent->missing);
		return NULL;
	}
	if (request_find(agent, id)) {
		answer_refused(agent, id, "invalid", "a request with this request_id is under way");
		return NULL;
	}
	struct request *request = request_new(agent, id);
	if (!request) {
		answer_refused(agent, id, "busy", "%d requests are under way, which is the limit",
			MAX_REQUESTS);
		return NULL;
	}
	request->timeout_ms = timeout_ms;
	request->deadline = deadline_in_ms(timeout_ms);
	request->stream = stream;
	request->tidy = tidy;
	return request;
}

static struct request *admit_read(struct agent *agent, const char *id, json_t *payload)
{
	uint32_t timeout_ms;
	if (read_timeout(payload, &timeout_ms))
		return admit(agent, id, timeout_ms,
			json_is_true(json_object_get(payload, "stream")),
			json_is_true(json_object_get(payload, "tidy")));
	answer_refused(agent, id, "invalid", "\"timeout_ms\" is not a number of milliseconds");
	return NULL;
}

static bool can_exec(struct agent *agent, const char *id, struct json_span input)
{
	if (agent->hook.pending)
		answer_refused(agent, id, "busy", "a hook of the function runs");
	else if (!agent->function.runtime || agent->init.pending)
		answer_refused(agent, id, "invalid",
			"no function yet: send Init, and wait for its answer");
	else if (!input.at || input.len > PROTO_INPUT_MAX)
		answer_refused(agent, id, "invalid", "Exec needs \"input\", JSON of at most %u MiB",
			PROTO_INPUT_MAX >> 20);
	else
		return true;
	return false;
}

static void exec_with(struct agent *agent, struct request *request, struct json_span input)
{
	request->input = BUF_INIT(input.len);
	if (buf_append(&request->input, input.at, input.len) < 0) {
		answer_refused(agent, request->id, "internal", "out of memory");
		request->state = REQUEST_FREE;
		return;
	}
	request_exec(agent, request);
}

/* With hooks the Resume of a clone is a message of its own, as it may fail by itself. */
static bool may_ride(struct agent *agent, const char *id, bool clone)
{
	if (!clone || !hook_wanted(agent, false))
		return true;
	answer_refused(agent, id, "invalid",
		"the function has a hook for after_restore: send Resume by itself");
	return false;
}

/* Becomes somebody of its own before the function runs; false after a refusal. */
static bool resumed(struct agent *agent, const char *id, const struct resume_order *order)
{
	AUTO_FREE char *wrong = resume(agent, order);
	if (wrong)
		answer_refused(agent, id, "internal", "%s", wrong);
	return !wrong;
}

/* `rides`: it came within an Exec. */
static bool resumed_by(
	struct agent *agent, const char *id, json_t *payload, bool rides, bool *ret_clone)
{
	struct resume_order order;
	AUTO_FREE char *wrong = resume_read(payload, &order);
	*ret_clone = order.entropy.len;
	if (wrong)
		answer_refused(agent, id, "invalid", "%s", wrong);
	bool well =
		!wrong && (!rides || may_ride(agent, id, *ret_clone)) && resumed(agent, id, &order);
	resume_order_done(&order);
	return well;
}

static void on_exec(struct agent *agent, const char *id, json_t *payload, struct json_span input)
{
	json_t *resume = json_object_get(payload, "resume");
	bool clone;
	if ((resume && !resumed_by(agent, id, resume, true, &clone)) || !can_exec(agent, id, input))
		return;
	struct request *request = admit_read(agent, id, payload);
	if (request)
		exec_with(agent, request, input);
}

/* The same without a parser, for what is of the plain shape; false: nothing is done yet. */
static bool scan_exec(const char *text, size_t len, struct order *order)
{
	enum { ID, TIMEOUT, STREAM, TIDY, INPUT, RESUME };
	struct member members[] = { { "request_id" }, { "timeout_ms" }, { "stream" }, { "tidy" },
		{ "input" }, { "resume" } };
	char no_id[MAX_ID + 1];
	int64_t timeout_ms = DEFAULT_TIMEOUT_MS;
	if (!members_scan(text, len, members, ARRAY_LEN(members)) ||
		!member_text(&members[ID], order->id, sizeof(order->id)) ||
		!member_number(&members[TIMEOUT], &timeout_ms) ||
		!member_bool(&members[STREAM], &order->stream) ||
		!member_bool(&members[TIDY], &order->tidy) || timeout_ms < 1 ||
		timeout_ms > UINT32_MAX)
		return false;
	order->timeout_ms = (uint32_t)timeout_ms;
	order->input = members[INPUT].value;
	struct json_span clone = members[RESUME].value;
	order->resumes = clone.at;
	return !clone.at || resume_scan(clone.at, clone.len, &order->resume, no_id);
}

/* What the order says of the machine's becoming another one, or of its being late. */
static bool rode(struct agent *agent, const struct order *order)
{
	if (!order->resumes)
		return true;
	return may_ride(agent, order->id, order->resume.entropy.len) &&
	       resumed(agent, order->id, &order->resume);
}

static bool plain_exec(struct agent *agent, const char *text, size_t len)
{
	struct order order = { .resume.entropy = BUF_INIT(ENTROPY_MAX) };
	bool plain = scan_exec(text, len, &order);
	if (plain && rode(agent, &order) && can_exec(agent, order.id, order.input)) {
		struct request *request =
			admit(agent, order.id, order.timeout_ms, order.stream, order.tidy);
		if (request)
			exec_with(agent, request, order.input);
	}
	resume_order_done(&order.resume);
	return plain;
}

static char **argv_of(json_t *list)
{
	size_t count = json_array_size(list), i;
	json_t *item;
	char **argv = count ? calloc(count + 1, sizeof(*argv)) : NULL;
	if (!argv)
		return NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		argv[i] = text && strlen(text) == json_string_length(item) ? strdup(text) : NULL;
		if (!argv[i]) {
			strings_free(argv);
			return NULL;
		}
	}
	return argv;
}

static char **command_env(const struct agent *agent, const char *id, json_t *more)
{
	const char *const first[] = { "PATH", FUNCTION_PATH, "HOME", agent->temp_dir, "LANG",
		"C.UTF-8", "NOVA_REQUEST_ID", id, NULL };
	return env_make(first, more);
}

static void on_command(struct agent *agent, const char *id, json_t *payload)
{
	const char *directory = NULL, *input = "";
	size_t input_len = 0;
	json_t *env = json_object_get(payload, "env");
	char **argv = argv_of(json_object_get(payload, "argv"));
	AUTO_BUF struct buf bytes = BUF_INIT(STDIN_MAX);
	if (!argv || !argv[0][0] || !strings_only(env) ||
		json_unpack(payload, "{s?s, s?s%}", "cwd", &directory, "stdin", &input,
			&input_len) < 0 ||
		base64_get(&bytes, input, input_len) < 0) {
		answer_refused(agent, id, "invalid",
			"Command needs \"argv\", a list of texts; \"env\" with texts, \"cwd\", and "
			"\"stdin\" of at most 4 MiB in base64");
		strings_free(argv);
		return;
	}
	char **variables = command_env(agent, id, env);
	struct request *request = variables ? admit_read(agent, id, payload) : NULL;
	if (request) {
		request->command = true;
		request->stdin_data = bytes;
		bytes.data = NULL;
		request->stdin_ended = true;
		if (json_is_true(json_object_get(payload, "flow")))
			flow_begin(request);
		request_command(
			agent, request, argv, variables, directory ? directory : agent->temp_dir);
	}
	strings_free(variables);
	strings_free(argv);
}

/* --- the rest --- */

/* Answered by the request that it ends; one that is over already has its answer. */
static void on_cancel(struct agent *agent, const char *id)
{
	struct request *request = request_find(agent, id);
	if (request)
		request_cancel(agent, request);
}

/* Neither has an answer, and what is over needs none. */
static void on_flow(struct agent *agent, int type, const char *id, json_t *payload)
{
	struct request *request = request_find(agent, id);
	if (request && type == NOVA_MSG_INPUT)
		flow_input(agent, request, payload);
	else if (request)
		flow_credit(agent, request, payload);
}

static void on_stop(struct agent *agent, const char *id)
{
	answer_status(agent, id, "stopping");
	agent->stopping = agent->done = true;
}

/* A hook is for a clone, not for a machine that is only late. It has its time from the parser's way
 * only: the short one takes no timeout. */
static void after_resume(struct agent *agent, const char *id, bool clone, uint32_t timeout_ms)
{
	if (!clone || !hook_wanted(agent, false))
		answer_status(agent, id, "resumed");
	else if (request_any(agent) || agent->hook.pending)
		answer_refused(agent, id, "busy",
			"the hook for after_restore cannot run while requests do");
	else
		hook_run(agent, id, false, timeout_ms);
}

static void on_resume(struct agent *agent, const char *id, json_t *payload)
{
	uint32_t timeout_ms;
	bool clone;
	if (!read_timeout(payload, &timeout_ms))
		answer_refused(
			agent, id, "invalid", "\"timeout_ms\" is not a number of milliseconds");
	else if (resumed_by(agent, id, payload, false, &clone))
		after_resume(agent, id, clone, timeout_ms);
}

static void on_freeze(struct agent *agent, const char *id, json_t *payload)
{
	uint32_t timeout_ms;
	if (!read_timeout(payload, &timeout_ms))
		answer_refused(
			agent, id, "invalid", "\"timeout_ms\" is not a number of milliseconds");
	else if (request_any(agent) || agent->init.pending || agent->hook.pending)
		answer_refused(
			agent, id, "busy", "a snapshot would hold a request that is under way");
	else
		hook_run(agent, id, true, timeout_ms);
}

static bool plain_resume(struct agent *agent, const char *text, size_t len)
{
	struct resume_order order;
	char id[MAX_ID + 1] = "";
	bool plain = resume_scan(text, len, &order, id);
	if (plain && resumed(agent, id, &order))
		after_resume(agent, id, order.entropy.len, DEFAULT_TIMEOUT_MS);
	resume_order_done(&order);
	return plain;
}

static const char *id_of(json_t *payload, char out[MAX_ID + 1])
{
	json_t *id = json_object_get(payload, "request_id");
	const char *text = json_string_value(id);
	out[0] = 0;
	if (!text)
		return id && !json_is_null(id) ? "\"request_id\" is not a text" : NULL;
	if (json_string_length(id) > MAX_ID || strlen(text) != json_string_length(id))
		return "\"request_id\" is longer than 128 bytes, or has a NUL in it";
	memcpy(out, text, strlen(text) + 1);
	return NULL;
}

void message_handle(struct agent *agent, int type, const char *payload, size_t len)
{
	char id[MAX_ID + 1] = "";
	AUTO_JSON json_t *object = NULL;
	AUTO_ERROR nova_error_t *error = NULL;
	struct json_span input = { NULL, 0 };
	if ((type == NOVA_MSG_EXEC && plain_exec(agent, payload, len)) ||
		(type == NOVA_MSG_RESUME && plain_resume(agent, payload, len)))
		return;
	const char *raw = type == NOVA_MSG_EXEC       ? "input" :
			  type == NOVA_MSG_FILE_WRITE ? "base64" :
							NULL;
	if (proto_decode_payload(payload, len, raw, &object, &input, &error) < 0) {
		answer_refused(agent, id, "invalid", "%s", nova_error_message(error));
		return;
	}
	const char *wrong = id_of(object, id);
	if (wrong) {
		answer_refused(agent, id, "invalid", "%s", wrong);
		return;
	}
	switch (type) {
	case NOVA_MSG_INIT:
		on_init(agent, id, object);
		break;
	case NOVA_MSG_EXEC:
		on_exec(agent, id, object, input);
		break;
	case NOVA_MSG_PING:
		answer_status(agent, id, "ok");
		break;
	case NOVA_MSG_STOP:
		on_stop(agent, id);
		break;
	case NOVA_MSG_RESUME:
		on_resume(agent, id, object);
		break;
	case NOVA_MSG_FREEZE:
		on_freeze(agent, id, object);
		break;
	case NOVA_MSG_COMMAND:
		on_command(agent, id, object);
		break;
	case NOVA_MSG_CANCEL:
		on_cancel(agent, id);
		break;
	case NOVA_MSG_INPUT:
	case NOVA_MSG_CREDIT:
		on_flow(agent, type, id, object);
		break;
	default:
		if (files_handle(agent, type, id, object, input))
			break;
		answer_refused(agent, id, "invalid", "this agent (%s) has no message of type %d",
			NOVA_VERSION_STRING, type);
	}
}
