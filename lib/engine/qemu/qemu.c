/* SPDX-License-Identifier: MIT */
/* The qemu engine: QEMU's microvm machine, with KVM where that is fit, else TCG. */
#include "engine/qemu/qemu.h"

static int qemu_start(struct machine *m, const struct engine_env *env,
	const struct machine_spec *spec, nova_error_t **error)
{
	const char *cpu;
	struct machine_spec own = *spec;
	int code = qemu_cpu(env, &cpu, error);
	if (code < 0) {
		qemu_of(m)->qmp.fd = -1; /* it is released */
		return code;
	}
	own.forkable = !qemu_hot_obstacle(env, false);
	return qemu_start_as(m, env, &own, cpu, error);
}

const struct engine_ops qemu_engine = {
	.name = "qemu",
	.machine_size = sizeof(struct qemu_machine),
	.features = QEMU_FEATURES,
	.boot_timeout_key = "qemu.boot_timeout",
	.probe = qemu_probe,
	.start = qemu_start,
	.kill = child_kill,
	.end_fd = child_end_fd,
	.end = child_end,
	.pid = child_pid,
	.await = qemu_await,
	.pause = qemu_pause,
	.resume = qemu_resume,
	.resume_soon = qemu_resume_soon,
	.pause_soon = qemu_pause_soon,
	.identity = qemu_identity,
	.save = qemu_save,
	.load = qemu_load,
	.load_still = qemu_load_still,
	.take_pages = qemu_take_pages,
	.give_pages = qemu_give_pages,
	.fork_obstacle = qemu_hot_obstacle,
	.fork = qemu_fork,
	.birth = qemu_birth,
	.detach = qemu_detach,
	.fork_strike = qemu_hot_strike,
	.release = qemu_release,
};
