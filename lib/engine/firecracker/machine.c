/* SPDX-License-Identifier: MIT */
/* A machine once it is there: its VMM's answers, the stream to its agent, and whether it runs. */
#include "engine/firecracker/firecracker.h"

#define ENDING 16u /* by which two texts are told to end alike */

/* Firecracker logs what it answers. */
static bool is_said_already(const char *why, const char *words)
{
	size_t len = strlen(why), of_words = strlen(words);
	return len > ENDING && of_words > ENDING &&
	       !strcmp(why + len - ENDING, words + of_words - ENDING);
}

int fc_with_last_words(struct fc_machine *f, int code, nova_error_t **error)
{
	AUTO_FREE char *words = machine_last_words(&f->child.machine, 300);
	/* to this user, who it runs as then */
	AUTO_FREE char *closed = kvm_is_closed(&f->env->kvm);
	const char *why = error && *error ? nova_error_message(*error) : "Firecracker failed";
	nova_error_t *whole = NULL;
	bool said = words && is_said_already(why, words);
	if (said && !closed)
		return code;
	nova_fail(&whole, code, "%s%s%s%s%s", why,
		said ? "" : "; it said: ", said || !words ? "" : words, closed ? "; " : "",
		closed ? closed : "");
	if (error) {
		nova_error_free(*error);
		*error = whole;
	} else {
		nova_error_free(whole);
	}
	return code;
}

int fc_await(struct machine *m, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	if (f->greeted)
		return 0;
	int code = fc_greet(&f->api, f->deadline, &f->version, error);
	f->greeted = code == 0;
	return code < 0 ? fc_with_last_words(f, code, error) : 0;
}

void fc_put_aside(struct fc_machine *f)
{
	if (f->child.machine.channel < 0)
		return;
	fd_close(f->former);
	f->former = STEAL_FD(f->child.machine.channel);
}

int fc_connect_agent(struct fc_machine *f, bool renewed, uint64_t deadline, const struct stop *stop,
	nova_error_t **error)
{
	if (f->child.machine.channel >= 0)
		return 0;
	AUTO_FREE char *path = fc_path(&f->place, FC_VSOCK);
	if (!path)
		return nova_oom(error);
	bool doubtful = renewed && fc_has(&f->version, FC_RESET_COMES_LATE);
	int code = fc_vsock_connect(path, FC_AGENT_PORT, doubtful, &f->child.process, deadline,
		stop, &f->child.machine.channel, error);
	fd_close(f->former);
	f->former = -1;
	return code;
}

int fc_reconnect_agent(struct fc_machine *f, nova_error_t **error)
{
	uint64_t ms = config_ms(f->env->config, "firecracker.boot_timeout");
	return fc_connect_agent(f, true, deadline_in_ms(ms), NULL, error);
}

int fc_set_running(struct fc_machine *f, bool running, nova_error_t **error)
{
	if (f->paused == !running)
		return 0;
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	fc_plan_state(&plan, running);
	int code = fc_call_plan(&f->api, &plan, deadline_in_ms(FC_LONG_TIMEOUT), error);
	if (code == 0)
		f->paused = !running;
	return code;
}
