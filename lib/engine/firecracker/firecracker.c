/* SPDX-License-Identifier: MIT */
/* The firecracker engine: one Firecracker process a machine, spoken to over its API socket. */
#include <fcntl.h>
#include <sys/socket.h>

#include "engine/firecracker/firecracker.h"

#define VMM_OVERHEAD (128ull << 20) /* what Firecracker may need beside the guest's memory */

/* --- files and descriptors ---------------------------------------------------------------------------------------------- */

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

static int wire_diag(struct wiring *w, nova_error_t **error)
{
	int pair[2];
	int r = sys_socketpair(SOCK_STREAM, pair);
	if (r < 0)
		return nova_fail_os(error, r, "socket to Firecracker");
	w->diag = pair[0];
	sys_set_nonblock(pair[1], true); /* what it prints is dropped rather than waited for */
	return wire_fd(w, pair[1], "socket to Firecracker", error);
}

/* A file of ours that the VMM gets too. */
static int wire_shared(struct wiring *w, int fd, int *ours, const char *what, nova_error_t **error)
{
	*ours = fd < 0 ? -1 : fd;
	return wire_fd(w, fd < 0 ? fd : sys_dup(fd), what, error);
}

static int wire(struct wiring *w, struct fc_machine *f, const struct machine_spec *spec, nova_error_t **error)
{
	uint64_t bytes = (uint64_t)spec->memory_mb << 20;
	const char *const disks[] = { spec->rootfs ? spec->rootfs : "/dev/null", spec->code_disk ? spec->code_disk : "/dev/null" };
	int code = wire_diag(w, error);
	if (code == 0)
		code = wire_fd(w, sys_open(f->directory, O_RDONLY | O_DIRECTORY, 0), f->directory, error);
	for (size_t i = 0; code == 0 && i < ARRAY_LEN(disks); i++)
		code = wire_fd(w, sys_open(disks[i], O_RDONLY, 0), disks[i], error);
	if (code == 0)
		code = wire_shared(w, f->clone ? sys_dup(spec->base_fd) : sys_memfd("nova-guest-memory"), &f->memory, "guest memory", error);
	if (code == 0)
		code = wire_shared(w, sys_memfd("nova-device-state"), &f->state, "file for a machine's state", error);
	if (code == 0)
		code = wire_shared(w, sys_memfd("nova-changed-memory"), &f->diff, "file for changed memory", error);
	int r = code < 0 ? 0 : sys_truncate(f->diff, bytes);
	if (r == 0 && code == 0 && !f->clone)
		r = sys_truncate(f->memory, bytes);
	return r < 0 ? nova_fail_os(error, r, "guest memory of %u MB", spec->memory_mb) : code;
}

/* A name of its own also beside another machine of the same VM, which goes on as a clone of itself. */
static int make_directory(struct fc_machine *f, const char *id, nova_error_t **error)
{
	char suffix[5];
	if (random_hex(suffix, 4) < 0)
		return nova_oom(error);
	f->directory = str_format("%s/fc-%s-%s", f->env->run_dir, id, suffix);
	f->vsock = f->directory ? path_join(f->directory, "vsock") : NULL;
	f->api.socket = f->directory ? path_join(f->directory, "api") : NULL;
	if (!f->vsock || !f->api.socket)
		return nova_oom(error);
	int r = fs_mkdirs(f->directory, 0700);
	return r < 0 ? nova_fail_os(error, r, "directory '%s'", f->directory) : 0;
}

static int launch(struct fc_machine *f, const struct machine_spec *spec, const struct wiring *w, nova_error_t **error)
{
	AUTO_FREE char *binary = NULL, *id = str_format("nova-%s", spec->id), *socket = str_format("/proc/self/fd/%d/api", FC_FD_DIRECTORY);
	int code = id && socket ? fc_binary(f->env, &binary, error) : nova_oom(error);
	if (code < 0)
		return code;
	const char *const argv[] = { binary, "--id", id, "--api-sock", socket, "--level", "Warning", NULL };
	struct spawn spawn = {
		.argv = argv, .fds = w->theirs, .fd_count = w->count, .memory_limit = 2 * ((uint64_t)spec->memory_mb << 20) + VMM_OVERHEAD, /* twice: a snapshot is in memory, too, and the VMM writes it */
	};
	return keeper_spawn(f->env->keeper, &spawn, &f->machine.process, error);
}

/* --- start ------------------------------------------------------------------------------------------------------------------ */

int fc_with_last_words(struct fc_machine *f, int code, nova_error_t **error)
{
	AUTO_FREE char *words = machine_last_words(&f->machine, 300);
	const char *why = error && *error ? nova_error_message(*error) : "Firecracker failed";
	nova_error_t *whole = NULL;
	nova_fail(&whole, code, "%s; it said: %s", why, words ? words : "");
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

int fc_connect_agent(struct fc_machine *f, uint64_t deadline, nova_error_t **error)
{
	if (f->machine.channel >= 0)
		return 0;
	return fc_vsock_connect(f->vsock, FC_AGENT_PORT, &f->machine.process, deadline, &f->machine.channel, error);
}

static int boot(struct fc_machine *f, const struct machine_spec *spec, nova_error_t **error)
{
	AUTO_FREE char *kernel = path_absolute(spec->kernel), *initramfs = spec->initramfs ? path_absolute(spec->initramfs) : NULL;
	AUTO_FREE char *rootfs = str_format("/proc/self/fd/%d", FC_FD_ROOTFS), *code_disk = str_format("/proc/self/fd/%d", FC_FD_CODE);
	AUTO_FREE char *vsock = str_format("/proc/self/fd/%d/vsock", FC_FD_DIRECTORY);
	if (!kernel || !rootfs || !code_disk || !vsock || !initramfs != !spec->initramfs)
		return nova_oom(error);
	struct fc_boot b = {
		.version = f->version, .kernel = kernel, .initramfs = initramfs, .rootfs = spec->rootfs ? rootfs : NULL,
		.code = spec->code_disk ? code_disk : NULL, .vsock = vsock, .memory_mb = spec->memory_mb, .vcpus = spec->vcpus,
		.console = !strcmp(config_str(f->env->config, "firecracker.console"), "on"),
	};
	CLEANUP(fc_plan_done) struct fc_plan plan = { .count = 0 };
	fc_plan_boot(&plan, &b);
	int code = fc_call_plan(&f->api, &plan, deadline_in_ms(FC_LONG_TIMEOUT), error);
	return code < 0 ? code : fc_connect_agent(f, spec->deadline, error);
}

static int fc_start(struct machine *m, const struct engine_env *env, const struct machine_spec *spec, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	f->env = env;
	f->state = f->diff = f->memory = -1;
	f->written = (struct pages)PAGES_NONE;
	f->memory_mb = spec->memory_mb;
	f->deadline = spec->deadline;
	f->clone = spec->base_fd >= 0;
	f->api.process = &m->process;
	f->api.log = env->log;
	CLEANUP(wiring_done) struct wiring w = { .diag = -1 };
	int code = make_directory(f, spec->id, error);
	if (code == 0)
		code = wire(&w, f, spec, error);
	if (code == 0)
		code = launch(f, spec, &w, error);
	if (code < 0)
		return code;
	m->diag = STEAL_FD(w.diag);
	if (f->clone)
		return 0; /* it comes up while others are started */
	code = fc_await(m, error);
	if (code < 0)
		return code;
	code = boot(f, spec, error);
	return code < 0 ? fc_with_last_words(f, code, error) : 0;
}

/* --- pause and resume --------------------------------------------------------------------------------------------------------- */

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

static int fc_pause(struct machine *m, nova_error_t **error)
{
	return fc_set_running(fc_of(m), false, error);
}

/* A snapshot has cut the stream to the agent. */
static int fc_resume(struct machine *m, nova_error_t **error)
{
	struct fc_machine *f = fc_of(m);
	int code = fc_set_running(f, true, error);
	return code < 0 ? code : fc_connect_agent(f, deadline_in_ms(config_ms(f->env->config, "firecracker.boot_timeout")), error);
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
	f->state = f->diff = f->memory = -1;
	pages_done(&f->written);
	if (f->directory)
		fs_remove_tree(f->directory);
	free(f->directory);
	free(f->vsock);
	free(f->whole);
	f->directory = f->vsock = f->whole = NULL;
}

const struct engine_ops firecracker_engine = {
	.name = "firecracker",
	.machine_size = sizeof(struct fc_machine),
	.needs_guest = true,
	.boot_timeout_key = "firecracker.boot_timeout",
	.probe = fc_probe,
	.is_preferred = fc_is_preferred,
	.start = fc_start,
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
