/* SPDX-License-Identifier: MIT */
#include "engine/qemu/qemu.h"

/* QEMU (7.2) closes what it was told to only if the machine runs. As long as it is open there is no
 * fork, but nothing else suffers. */
static void close_old_sets(struct qemu_machine *q)
{
	for (size_t i = 0; i < q->old_set_count; i++)
		qmp_do(&q->qmp, "remove-fd", json_pack("{s:i}", "fdset-id", q->old_sets[i]),
			deadline_in_ms(MONITOR_TIMEOUT), NULL, NULL);
	q->old_set_count = 0;
}

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
	if (code == 0 && running)
		close_old_sets(q);
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
