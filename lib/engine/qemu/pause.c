/* SPDX-License-Identifier: MIT */
#include "engine/qemu/qemu.h"

static int set_running(struct machine *m, bool running, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	if (q->paused == !running)
		return 0;
	int code = qemu_go_on(q, error);
	if (code < 0)
		return code;
	code = qmp_do(&q->qmp, running ? "cont" : "stop", NULL, deadline_in_ms(MONITOR_TIMEOUT),
		NULL, error);
	/* A stop without an answer may be carried out yet: resume() has to say `cont` then. */
	if (code == 0 || !running)
		q->paused = !running;
	return code;
}

int qemu_pause(struct machine *m, nova_error_t **error)
{
	return set_running(m, false, error);
}

int qemu_resume(struct machine *m, nova_error_t **error)
{
	return set_running(m, true, error);
}

static int set_running_soon(struct machine *m, bool running, nova_error_t **error)
{
	struct qemu_machine *q = qemu_of(m);
	if (q->paused != running)
		return 0;
	int code = qemu_go_on(q, error);
	if (code == 0)
		code = qmp_post(&q->qmp, running ? "cont" : "stop", error);
	if (code == 0)
		q->paused = !running;
	return code;
}

int qemu_pause_soon(struct machine *m, nova_error_t **error)
{
	return set_running_soon(m, false, error);
}

int qemu_resume_soon(struct machine *m, nova_error_t **error)
{
	return set_running_soon(m, true, error);
}
