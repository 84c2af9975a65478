/* SPDX-License-Identifier: MIT */
/* Init: what function this is. */
#include "agent/agent.h"

/* Variables of its own that were told before; the import sees them. */
static char *add_secrets(struct run *run)
{
	int r = env_add_all(&run->function.env, run->secrets);
	return r < 0 ? strdup("out of memory") : NULL;
}

/* Sets it up; false after a refusal. */
static bool set_function(struct agent *agent, const char *id, struct function_order *order)
{
	struct function *function = &agent->run.function;
	const char *code = "invalid";
	AUTO_FREE char *wrong = function_set(function, &agent->guest, order);
	if (!wrong) {
		code = "internal";
		wrong = function->env ? add_secrets(&agent->run) : strdup("out of memory");
		if (!wrong)
			wrong = code_arrive(&agent->guest);
		if (!wrong) {
			code = "code";
			wrong = function_find(function, &agent->guest);
		}
		if (wrong || !function->runtime->warm)
			prestart_drop(&agent->worker);
	}
	if (!wrong)
		return true;
	function_clear(function);
	agent->run.init.pending = false;
	answer_refused(&agent->channel, id, code, "%s", wrong);
	return false;
}

/* The answer comes at once, or when the interpreter has imported the module, or it is compiled. */
static void start_function(struct agent *agent, uint32_t timeout_ms, bool compiled)
{
	struct run *run = &agent->run;
	struct function *function = &run->function;
	hooks_find(function, &agent->guest);
	agent->worker.timeout_ms = timeout_ms;
	bool ready = function->runtime->compiled ? compiled && compile_take(run) == 0 :
						   !function->runtime->warm;
	if (ready) {
		init_program_done(run);
		return;
	}
	int r = function->runtime->compiled ? compile_begin(run, timeout_ms) :
					      worker_start(&agent->worker);
	if (r < 0) {
		char text[160];
		snprintf(text, sizeof(text), "%s cannot be started: %s", function->program,
			strerror(-r));
		init_failed(run, text, NULL, 0);
	}
}

static void order_done(struct function_order *order)
{
	strings_free(order->argv);
}

static bool read_order(json_t *payload, struct function_order *order)
{
	json_t *argv = json_object_get(payload, "argv");
	order->env = json_object_get(payload, "env_vars");
	order->opened = json_object_get(payload, "preopens");
	order->argv = strings_of(argv);
	order->compiled = json_is_true(json_object_get(payload, "compiled"));
	return json_unpack(payload, "{s:s, s?s, s?s, s?b, s?b}", "runtime", &order->runtime,
		       "handler", &order->handler, "protocol", &order->protocol, "once",
		       &order->once, "program", &order->program) == 0 &&
	       (order->argv || !json_array_size(argv)) && payload_strings_only(order->env) &&
	       payload_strings_only(order->opened);
}

void on_init(struct agent *agent, const char *id, json_t *payload)
{
	struct run *run = &agent->run;
	uint32_t timeout_ms;
	json_t *resume = json_object_get(payload, "resume");
	if (resume && !resume_within_read(agent, id, resume))
		return;
	CLEANUP(order_done) struct function_order order = { .handler = "" };
	if (!read_order(payload, &order) || !payload_timeout(payload, &timeout_ms)) {
		answer_refused(&agent->channel, id, "invalid",
			"Init needs \"runtime\", and \"handler\", \"protocol\", what is in "
			"\"argv\" and the values of \"env_vars\" and \"preopens\" as text");
		return;
	}
	if (agent->guest.missing) {
		answer_refused(&agent->channel, id, "internal", "%s", agent->guest.missing);
		return;
	}
	if (request_any(run) || run->init.pending || run->hook.pending) {
		answer_refused(
			&agent->channel, id, "busy", "a function cannot be replaced while it runs");
		return;
	}
	worker_stop(&agent->worker);
	init_begin(&run->init, id);
	if (set_function(agent, id, &order))
		start_function(agent, timeout_ms, order.compiled);
}

/* What was told before is forgotten. */
void on_secrets(struct agent *agent, const char *id, json_t *payload)
{
	json_t *values = json_object_get(payload, "values");
	if (!json_is_object(values) || !payload_strings_only(values)) {
		answer_refused(&agent->channel, id, "invalid",
			"Secrets needs \"values\", an object of texts");
		return;
	}
	char **secrets = env_make(NULL, values);
	if (!secrets) {
		answer_refused(&agent->channel, id, "internal", "out of memory");
		return;
	}
	strings_free(agent->run.secrets);
	agent->run.secrets = secrets;
	answer_status(&agent->channel, id, "ok");
}
