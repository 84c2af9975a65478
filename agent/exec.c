/* SPDX-License-Identifier: MIT */
/* Exec and Command, and what is sent to those under way. */
#include "agent/agent.h"

#define STDIN_MAX (4u << 20)

/* --- the function --- */

/* What an Exec asks for. */
struct order {
	char id[MAX_ID + 1];
	uint32_t timeout_ms;
	bool stream, tidy, kv, resumes;
	struct json_span input, context;
	struct resume_order resume;
};

/* A new request, or NULL after a refusal. */
static struct request *admit(
	struct agent *agent, const char *id, uint32_t timeout_ms, bool stream, bool tidy)
{
	if (agent->guest.missing) {
		answer_refused(&agent->channel, id, "internal", "%s", agent->guest.missing);
		return NULL;
	}
	if (request_find(&agent->run, id)) {
		answer_refused(&agent->channel, id, "invalid",
			"a request with this request_id is under way");
		return NULL;
	}
	struct request *request = request_new(&agent->run, id);
	if (!request) {
		answer_refused(&agent->channel, id, "busy",
			"%d requests are under way, which is the limit", MAX_REQUESTS);
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
	if (payload_timeout(payload, &timeout_ms))
		return admit(agent, id, timeout_ms,
			json_is_true(json_object_get(payload, "stream")),
			json_is_true(json_object_get(payload, "tidy")));
	answer_refused(
		&agent->channel, id, "invalid", "\"timeout_ms\" is not a number of milliseconds");
	return NULL;
}

static bool can_exec(struct agent *agent, const char *id, struct json_span input)
{
	if (agent->run.hook.pending)
		answer_refused(&agent->channel, id, "busy", "a hook of the function runs");
	else if (!agent->run.function.runtime || agent->run.init.pending)
		answer_refused(&agent->channel, id, "invalid",
			"no function yet: send Init, and wait for its answer");
	else if (!input.at || input.len > PROTO_INPUT_MAX)
		answer_refused(&agent->channel, id, "invalid",
			"Exec needs \"input\", JSON of at most %u MiB", PROTO_INPUT_MAX >> 20);
	else
		return true;
	return false;
}

/* An object, as hosts send it; anything else is none. */
static bool take_context(struct request *request, struct json_span context)
{
	bool is_there = context.at && context.len <= MAX_CONTEXT && *context.at == '{';
	request->context = is_there ? strndup(context.at, context.len) : NULL;
	return request->context || !is_there;
}

static void exec_with(struct agent *agent, struct request *request, struct json_span input,
	struct json_span context)
{
	request->input = BUF_INIT(input.len);
	if (buf_append(&request->input, input.at, input.len) < 0 ||
		!take_context(request, context)) {
		request_refuse(&agent->run, request, "internal", "out of memory", 0);
		return;
	}
	if (agent->run.function.runtime->warm)
		call_begin(&agent->worker, request);
	else
		program_function(&agent->run, request);
}

/* Of a call of a program, instead of its input. */
static bool take_program(struct request *request, const struct function *function, json_t *program)
{
	const char *coded = "", *start = NULL, *name = NULL;
	size_t len = 0;
	json_t *args = NULL;
	if (function->runtime->warm ||
		json_unpack(program, "{s:o, s?s%, s?s, s?s}", "args", &args, "stdin", &coded, &len,
			"start", &start, "name", &name) < 0 ||
		!json_is_array(args) || ((start || name) && !function->runtime->compiled))
		return false;
	request->stdin_data = BUF_INIT(STDIN_MAX);
	request->stdin_ended = true;
	request->args = json_array_size(args) ? strings_of(args) : calloc(1, sizeof(char *));
	request->start_name = start ? strdup(start) : NULL;
	request->own_name = name ? strdup(name) : NULL;
	return request->args && !request->start_name == !start && !request->own_name == !name &&
	       base64_get(&request->stdin_data, coded, len) == 0;
}

void on_exec(struct agent *agent, const char *id, json_t *payload, struct json_span input)
{
	json_t *resume = json_object_get(payload, "resume");
	json_t *program = json_object_get(payload, "program");
	if (program)
		input = (struct json_span){ "{}", 2 };
	if ((resume && !resume_within_read(agent, id, resume)) || !can_exec(agent, id, input))
		return;
	struct request *request = admit_read(agent, id, payload);
	AUTO_FREE char *context =
		json_dumps(json_object_get(payload, "client_context"), JSON_COMPACT);
	if (!request)
		return;
	request->kv = json_is_true(json_object_get(payload, "kv"));
	if (program && !take_program(request, &agent->run.function, program)) {
		request_refuse(&agent->run, request, "invalid",
			"\"program\" needs \"args\", a list of texts, \"stdin\" of at most 4 MiB "
			"in "
			"base64, and a function that is a program; \"start\" and \"name\" are of a "
			"module's",
			0);
		return;
	}
	exec_with(agent, request, input,
		(struct json_span){ context, context ? strlen(context) : 0 });
}

static bool scan_exec(const char *text, size_t len, struct order *order)
{
	enum { ID, TIMEOUT, STREAM, TIDY, KV, INPUT, RESUME, CONTEXT };
	struct member members[] = { { "request_id" }, { "timeout_ms" }, { "stream" }, { "tidy" },
		{ "kv" }, { "input" }, { "resume" }, { "client_context" } };
	char no_id[MAX_ID + 1];
	int64_t timeout_ms = DEFAULT_TIMEOUT_MS;
	if (!members_scan(text, len, members, ARRAY_LEN(members)) ||
		!member_text(&members[ID], order->id, sizeof(order->id)) ||
		!member_number(&members[TIMEOUT], &timeout_ms) ||
		!member_bool(&members[STREAM], &order->stream) ||
		!member_bool(&members[TIDY], &order->tidy) ||
		!member_bool(&members[KV], &order->kv) || timeout_ms < 1 || timeout_ms > UINT32_MAX)
		return false;
	order->timeout_ms = (uint32_t)timeout_ms;
	order->input = members[INPUT].value;
	order->context = members[CONTEXT].value;
	struct json_span clone = members[RESUME].value;
	order->resumes = clone.at;
	return !clone.at || resume_scan(clone.at, clone.len, &order->resume, no_id);
}

/* Programs are the function's own from their beginning. */
static bool can_rehearse(struct agent *agent, const char *id)
{
	if (agent->run.function.runtime->warm)
		return true;
	answer_refused(&agent->channel, id, "invalid", "no interpreter waits for calls");
	return false;
}

bool on_plain_exec(struct agent *agent, const char *text, size_t len, bool rehearses)
{
	struct order order = { .resume.entropy = BUF_INIT(ENTROPY_MAX) };
	bool plain = scan_exec(text, len, &order);
	bool well = plain && (!order.resumes || resume_within(agent, order.id, &order.resume));
	if (well && can_exec(agent, order.id, order.input) &&
		(!rehearses || can_rehearse(agent, order.id))) {
		struct request *request =
			admit(agent, order.id, order.timeout_ms, order.stream, order.tidy);
		if (request) {
			request->rehearses = rehearses;
			request->kv = order.kv;
			exec_with(agent, request, order.input, order.context);
		}
	}
	resume_order_done(&order.resume);
	return plain;
}

/* --- commands --- */

static char **command_env(const struct agent *agent, const char *id, json_t *more)
{
	const char *const first[] = { "PATH", FUNCTION_PATH, "HOME", agent->guest.temp_dir, "LANG",
		"C.UTF-8", "NOVA_REQUEST_ID", id, NULL };
	return env_make(first, more);
}

static void command_with(struct agent *agent, struct request *request, json_t *payload,
	struct buf *bytes, char **argv)
{
	const char *directory = json_string_value(json_object_get(payload, "cwd"));
	char **env = command_env(agent, request->id, json_object_get(payload, "env"));
	if (!env) {
		request_refuse(&agent->run, request, "internal", "out of memory", 0);
		return;
	}
	request->command = true;
	request->stdin_data = *bytes;
	bytes->data = NULL;
	request->stdin_ended = true;
	if (json_is_true(json_object_get(payload, "flow")))
		flow_begin(request);
	program_command(
		&agent->run, request, argv, env, directory ? directory : agent->guest.temp_dir);
	strings_free(env);
}

void on_command(struct agent *agent, const char *id, json_t *payload)
{
	const char *directory = NULL, *input = "";
	size_t input_len = 0;
	json_t *env = json_object_get(payload, "env");
	char **argv = strings_of(json_object_get(payload, "argv"));
	AUTO_BUF struct buf bytes = BUF_INIT(STDIN_MAX);
	if (!argv || !argv[0][0] || !payload_strings_only(env) ||
		json_unpack(payload, "{s?s, s?s%}", "cwd", &directory, "stdin", &input,
			&input_len) < 0 ||
		base64_get(&bytes, input, input_len) < 0) {
		answer_refused(&agent->channel, id, "invalid",
			"Command needs \"argv\", a list of texts; \"env\" with texts, \"cwd\", and "
			"\"stdin\" of at most 4 MiB in base64");
		strings_free(argv);
		return;
	}
	struct request *request = admit_read(agent, id, payload);
	if (request)
		command_with(agent, request, payload, &bytes, argv);
	strings_free(argv);
}

/* --- those under way --- */

/* It has no more time, or is not wanted any more. */
static void cut_off(struct agent *agent, struct request *request)
{
	if (request->warm)
		call_cut_off(&agent->worker, request);
	else
		request_cut_off(&agent->run, request);
}

void exec_check_deadlines(struct agent *agent)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->run.requests[i];
		if (request->state == REQUEST_FREE || !deadline_passed(request->deadline))
			continue;
		request->timed_out = true;
		cut_off(agent, request);
	}
}

/* Answered by the request that it ends; one that is over already has its answer. */
void on_cancel(struct agent *agent, const char *id)
{
	struct request *request = request_find(&agent->run, id);
	if (!request)
		return;
	if (request->state == REQUEST_WAITING) {
		request_refuse(&agent->run, request, "canceled",
			"the request was cancelled before it began", 0);
		return;
	}
	request->canceled = true;
	cut_off(agent, request);
}

/* Neither has an answer, and what is over needs none. */
void on_flow(struct agent *agent, int type, const char *id, json_t *payload)
{
	struct request *request = request_find(&agent->run, id);
	if (!request)
		return;
	const char *wrong = type == NOVA_MSG_INPUT ? flow_input(request, payload) :
						     flow_credit(request, payload);
	if (wrong && request->in_place)
		cut_off(agent, request); /* which answers it; the interpreter has to end */
	else if (wrong)
		request_refuse(&agent->run, request, "invalid", wrong, 0);
}
