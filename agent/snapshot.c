/* SPDX-License-Identifier: MIT */
/* Freeze and Resume: before a snapshot of the machine, and in what was made of it. */
#include "agent/agent.h"

static bool hook_wanted(const struct agent *agent, bool before)
{
	const struct worker *worker = &agent->worker;
	const struct function *function = &agent->run.function;
	if (worker->state == WORKER_READY)
		return before ? worker->hook_before : worker->hook_after;
	return before ? function->hook_before : function->hook_after;
}

/* Answers when the hooks, if there are any, have run and a fork waits. */
static void run_hooks(struct agent *agent, const char *id, bool before, uint32_t timeout_ms)
{
	struct run *run = &agent->run;
	hook_begin(&run->hook, id, before, timeout_ms);
	if (!hook_wanted(agent, before)) {
		worker_settle(&agent->worker);
		return;
	}
	run->hook.runs = true;
	int r = agent->worker.state == WORKER_READY ? worker_hook(&agent->worker, before) :
						      hook_run_program(run);
	if (r < 0)
		hook_failed(run, strerror(-r), NULL, 0);
}

static void refuse(struct agent *agent, const char *id, const char *code, const char *why)
{
	answer_refused(&agent->channel, id, code, "%s", why);
}

/* With hooks the Resume of a clone is a message of its own, as it may fail by itself. */
static bool may_resume(struct agent *agent, const char *id, bool clone)
{
	if (!clone || !hook_wanted(agent, false))
		return true;
	refuse(agent, id, "invalid",
		"the function has a hook for after_restore: send Resume by itself");
	return false;
}

/* Becomes somebody of its own; false after a refusal. */
static bool resumed(struct agent *agent, const char *id, const struct resume_order *order)
{
	if (order->entropy.len) /* else it is the same machine as before, and only late */
		worker_copied(&agent->worker);
	AUTO_FREE char *wrong = agent->guest.pid1 ? resume_guest(&agent->identity, order) : NULL;
	if (wrong)
		refuse(agent, id, "internal", wrong);
	return !wrong;
}

bool resume_within(struct agent *agent, const char *id, const struct resume_order *order)
{
	return may_resume(agent, id, order->entropy.len) && resumed(agent, id, order);
}

/* False after a refusal; what was read is to be freed in any case. */
static bool read_order(
	struct agent *agent, const char *id, json_t *payload, struct resume_order *order)
{
	AUTO_FREE char *wrong = resume_read(payload, order);
	if (wrong)
		refuse(agent, id, "invalid", wrong);
	return !wrong;
}

bool resume_within_read(struct agent *agent, const char *id, json_t *payload)
{
	struct resume_order order;
	bool well = read_order(agent, id, payload, &order) && resume_within(agent, id, &order);
	resume_order_done(&order);
	return well;
}

/* A hook is for a clone, not for a machine that is only late. It has its time from the parser's way
 * only: the short one takes no timeout. */
static void after_resume(struct agent *agent, const char *id, bool clone, uint32_t timeout_ms)
{
	if (!clone || !hook_wanted(agent, false))
		answer_status(&agent->channel, id, "resumed");
	else if (request_any(&agent->run) || agent->run.hook.pending)
		refuse(agent, id, "busy",
			"the hook for after_restore cannot run while requests do");
	else
		run_hooks(agent, id, false, timeout_ms);
}

void on_resume(struct agent *agent, const char *id, json_t *payload)
{
	struct resume_order order;
	uint32_t timeout_ms;
	if (!payload_timeout(payload, &timeout_ms)) {
		refuse(agent, id, "invalid", "\"timeout_ms\" is not a number of milliseconds");
		return;
	}
	if (read_order(agent, id, payload, &order) && resumed(agent, id, &order))
		after_resume(agent, id, order.entropy.len, timeout_ms);
	resume_order_done(&order);
}

bool on_plain_resume(struct agent *agent, const char *text, size_t len)
{
	struct resume_order order;
	char id[MAX_ID + 1] = "";
	bool plain = resume_scan(text, len, &order, id);
	if (plain && resumed(agent, id, &order))
		after_resume(agent, id, order.entropy.len, DEFAULT_TIMEOUT_MS);
	resume_order_done(&order);
	return plain;
}

void on_freeze(struct agent *agent, const char *id, json_t *payload)
{
	struct run *run = &agent->run;
	uint32_t timeout_ms;
	if (!payload_timeout(payload, &timeout_ms))
		refuse(agent, id, "invalid", "\"timeout_ms\" is not a number of milliseconds");
	else if (request_any(run) || run->init.pending || run->hook.pending)
		refuse(agent, id, "busy", "a snapshot would hold a request that is under way");
	else
		run_hooks(agent, id, true, timeout_ms);
}
