/* SPDX-License-Identifier: MIT */
/* The firecracker engine: one Firecracker process a machine, spoken to over its API socket. */
#include <fcntl.h>
#include <unistd.h>

#include "engine/firecracker/firecracker.h"

#define VMM_OVERHEAD (128ull << 20) /* what Firecracker may need beside the guest's memory */

/* --- files and descriptors --- */

/* For the VMM, in the order of enum fc_fd, and our end of what it prints. */
struct wiring {
	int theirs[FC_FDS];
	size_t count;
	int diag;
};

static void wiring_done(struct wiring *w)
{
	while (w->count)
		fd_close(w->theirs[--w->count]);
	fd_close(w->diag);
}

/* `fd` may be -errno. */
static int wire_fd(struct wiring *w, int fd, const char *what, nova_error_t **error)
{
	if (fd < 0)
		return nova_fail_os(error, fd, "%s", what);
	w->theirs[w->count++] = fd;
	return 0;
}

/* A file of ours that the VMM gets too. */
static int wire_shared(struct wiring *w, int fd, int *ours, const char *what, nova_error_t **error)
{
	*ours = fd < 0 ? -1 : fd;
	return wire_fd(w, fd < 0 ? fd : sys_dup(fd), what, error);
}

static int wire_files(struct wiring *w, struct fc_machine *f, const struct machine_spec *spec,
	nova_error_t **error)
{
	uint64_t bytes = (uint64_t)spec->config.memory_mb << 20;
	struct machine_disk disks[MACHINE_DISKS];
	size_t count = machine_disks(&spec->config, disks);
	int code = wire_fd(w, sys_dup(f->place.fd), "directory of Firecracker", error);
	for (size_t i = 0; code == 0 && i < MACHINE_DISKS; i++) {
		/* what comes behind them keeps its number */
		const char *path = i < count ? disks[i].path : "/dev/null";
		code = wire_fd(w, sys_open(path, O_RDONLY, 0), path, error);
	}
	if (code == 0)
		code = wire_shared(w,
			f->clone ? sys_dup(spec->base_fd) : sys_memfd("nova-guest-memory"),
			&f->memory, "guest memory", error);
	if (code == 0)
		code = wire_shared(w, sys_memfd("nova-device-state"), &f->state,
			"file for a machine's state", error);
	if (code == 0)
		code = wire_shared(w, sys_memfd("nova-changed-memory"), &f->diff,
			"file for changed memory", error);
	int r = code < 0 ? 0 : sys_truncate(f->diff, bytes);
	if (r == 0 && code == 0 && !f->clone)
		r = sys_truncate(f->memory, bytes);
	return r < 0 ? nova_fail_os(error, r, "guest memory of %u MB", spec->config.memory_mb) :
		       code;
}

/* Into a jail nothing can be handed: all must lie in it before. */
static int fill_jail(struct fc_machine *f, const struct machine_spec *spec, nova_error_t **error)
{
	struct machine_disk disks[MACHINE_DISKS];
	size_t count = machine_disks(&spec->config, disks);
	int code = 0;
	for (size_t i = 0; code == 0 && i < count; i++)
		code = fc_place_path(&f->place, fc_disk(i), disks[i].path, error);
	if (code < 0 || !f->clone)
		return code;
	f->memory = sys_dup(spec->base_fd);
	return f->memory < 0 ? nova_fail_os(error, f->memory, "guest memory") :
			       fc_place_fd(&f->place, FC_MEMORY, f->memory, error);
}

static int place(struct fc_machine *f, const struct machine_spec *spec, struct wiring *w,
	nova_error_t **error)
{
	int code = fc_place_diag(&f->place, &w->diag, &w->theirs[0], error);
	w->count = code == 0;
	if (code == 0)
		code = f->place.jailed ? fill_jail(f, spec, error) : wire_files(w, f, spec, error);
	if (code == 0 && !f->clone)
		code = fc_place_path(&f->place, FC_KERNEL, spec->kernel, error);
	if (code == 0 && !f->clone && spec->initramfs)
		code = fc_place_path(&f->place, FC_INITRAMFS, spec->initramfs, error);
	f->api.socket = fc_path(&f->place, FC_API);
	return code < 0 || f->api.socket ? code : nova_oom(error);
}

static bool has_console(const struct fc_machine *f)
{
	return !strcmp(config_str(f->env->config, "firecracker.console"), "on");
}

static int launch(struct fc_machine *f, const struct machine_spec *spec, const char *binary,
	const char *jailer, nova_error_t **error)
{
	CLEANUP(wiring_done) struct wiring w = { .diag = -1 };
	CLEANUP(fc_command_done) struct fc_command command = { .api = NULL };
	AUTO_FREE char *jails = fc_jails(f->env);
	int code = place(f, spec, &w, error);
	if (code < 0)
		return code;
	fc_place_logs(&f->place, f->env, &f->child.machine.log);
	if (!jails || fc_command_make(&command, jailer, binary, &f->place, jails) < 0)
		return nova_oom(error);
	struct spawn spawn = {
		.argv = command.argv,
		.fds = w.theirs,
		.fd_count = w.count,
		/* that is the serial port, which a guest has in any case */
		.no_stdout = !has_console(f),
		/* twice: a snapshot is in memory, too, and the VMM writes it */
		.memory_limit = 2 * ((uint64_t)spec->config.memory_mb << 20) + VMM_OVERHEAD,
	};
	code = keeper_spawn(f->env->keeper, &spawn, &f->child.process, error);
	f->child.machine.diag = code == 0 ? STEAL_FD(w.diag) : -1;
	if (code == 0)
		fc_place_links(&f->place, f->env, true);
	return code;
}

/* --- start --- */

static int boot(struct fc_machine *f, const struct machine_spec *spec, nova_error_t **error)
{
	char *seen[FC_VSOCK + 1];
	bool whole = true;
	f->tracked = fc_must_track(&f->version, fc_swap_is_on(""));
	for (int i = 0; i <= FC_VSOCK; i++)
		whole &= (seen[i] = fc_seen(&f->place, (enum fc_file)i)) != NULL;
	struct fc_boot b = {
		.version = f->version,
		.kernel = seen[FC_KERNEL],
		.initramfs = spec->initramfs ? seen[FC_INITRAMFS] : NULL,
		.vsock = seen[FC_VSOCK],
		.config = spec->config,
		.link = f->child.machine.link.name[0] ? &f->child.machine.link : NULL,
		.console = has_console(f),
		.async = f->async,
		.track = f->tracked,
	};
	b.disk_count = machine_disks(&spec->config, b.disks);
	for (size_t i = 0; i < b.disk_count; i++)
		b.disks[i].path = seen[fc_disk(i)];
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	if (whole)
		fc_plan_boot(&plan, &b);
	int code = whole ? fc_call_plan(&f->api, &plan, deadline_in_ms(FC_LONG_TIMEOUT), error) :
			   nova_oom(error);
	for (int i = 0; i <= FC_VSOCK; i++)
		free(seen[i]);
	return code < 0 ? code : fc_connect_agent(f, false, spec->deadline, spec->stop, error);
}

static int fc_start(struct machine *m, const struct engine_env *env,
	const struct machine_spec *spec, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	f->env = env;
	f->state = f->diff = f->memory = f->former = -1;
	f->written = (struct pages)PAGES_NONE;
	f->memory_mb = spec->config.memory_mb;
	f->deadline = spec->deadline;
	f->clone = spec->base_fd >= 0;
	f->api.process = &f->child.process;
	f->api.log = env->log;
	AUTO_FREE char *binary = NULL, *jailer = NULL;
	int code = fc_binary(env, &binary, error);
	if (code == 0)
		code = fc_jailer(env, binary, &jailer, error);
	if (code == 0)
		code = fc_wants_async("", env, geteuid() == 0 && !jailer, &f->async, error);
	if (code == 0)
		code = fc_place_make(&f->place, env, binary, jailer != NULL, spec->id, error);
	if (code == 0 && m->link.name[0])
		code = net_hand_over(
			env->net, &m->link, f->place.jailed ? f->place.uid : geteuid(), error);
	if (code == 0)
		code = launch(f, spec, binary, jailer, error);
	if (code < 0)
		return code;
	if (f->clone)
		return 0; /* it comes up while others are started */
	code = fc_await(m, error);
	if (code < 0)
		return code;
	code = boot(f, spec, error);
	return code < 0 ? fc_with_last_words(f, code, error) : 0;
}

/* --- pause and resume --- */

static int fc_pause(struct machine *m, nova_error_t **error)
{
	return fc_set_running(fc_of(m), false, error);
}

/* A snapshot has cut the stream to the agent, or has to, where nothing goes over it any more. */
static int fc_resume(struct machine *m, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	bool deaf = f->paused && m->channel >= 0 && fc_has(&f->version, FC_PAUSE_STOPS_STREAMS);
	int code = deaf ? fc_reset_streams(f, error) : 0;
	if (code == 0)
		code = fc_set_running(f, true, error);
	return code < 0 ? code : fc_reconnect_agent(f, error);
}

static void fc_release(struct machine *m)
{
	struct fc_machine *f = fc_of(m);
	if (!f->env)
		return; /* never started */
	fc_api_done(&f->api);
	fd_close(f->state);
	fd_close(f->diff);
	fd_close(f->memory);
	fd_close(f->former);
	f->state = f->diff = f->memory = f->former = -1;
	pages_done(&f->written);
	fc_place_links(&f->place, f->env, false);
	fc_place_done(&f->place);
	free(f->whole);
	f->whole = NULL;
}

const struct engine_ops firecracker_engine = {
	.name = "firecracker",
	.machine_size = sizeof(struct fc_machine),
	/* but not LATE_CODE: its devices cannot be reset, so a driver that has let go of one does
	   not get it again */
	.features = FC_FEATURES,
	.boot_timeout_key = "firecracker.boot_timeout",
	.kernel_key = "firecracker.kernel",
	.rootfs_key = "firecracker.rootfs",
	.rootfs_dir_key = "firecracker.rootfs_dir",
	.probe = fc_probe,
	.is_preferred = fc_is_preferred,
	.sweep = fc_sweep,
	.start = fc_start,
	.kill = child_kill,
	.end_fd = child_end_fd,
	.end = child_end,
	.pid = child_pid,
	.await = fc_await,
	.pause = fc_pause,
	.resume = fc_resume,
	.identity = fc_identity,
	.save = fc_save,
	.load = fc_load,
	.take_pages = fc_take_pages,
	.give_pages = fc_give_pages,
	.release = fc_release,
};
