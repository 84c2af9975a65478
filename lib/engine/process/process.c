/* SPDX-License-Identifier: MIT */
/*
 * The engine of processes, which users know as "fake": the guest's agent as a plain child process,
 * with its disks unpacked into directories. It isolates nothing, says so, and is never chosen by
 * itself. Tests and the measurement of our own overhead use it.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nova/disk.h>

#include "engine/child.h"

#define PROCESS_FEATURES NOVA_FEATURE_PAUSE

struct process_machine {
	struct child_machine child;
	char *directory; /* work/ of this machine, and its disks by name */
};

static struct process_machine *process_of(struct machine *m)
{
	return (struct process_machine *)m; /* its first member */
}

static int find_agent(const struct engine_env *env, char **ret_path, nova_error_t **error)
{
	const char *variable = config_environment(env->config) ? "NOVA_AGENT" : NULL;
	return program_find("nova-agent", variable, ret_path, error);
}

static int probe_agent(
	const struct engine_env *env, struct engine_report *report, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	report->accelerator = "none";
	report->features = PROCESS_FEATURES;
	int code = find_agent(env, &report->binary, &why);
	if (code_is_refusal(code)) {
		if (error)
			*error = STEAL(why);
		return code;
	}
	report->usable = code == 0;
	report->reason = strdup(report->usable ? "runs functions as plain processes of this host: "
						 "isolates NOTHING, for tests only" :
						 nova_error_message(why));
	return report->reason ? 0 : nova_oom(error);
}

static int unpack(
	const struct process_machine *p, const struct machine_disk *disk, nova_error_t **error)
{
	AUTO_FREE char *to = path_join(p->directory, disk->name);
	int r = to ? fs_mkdirs(to, 0755) : -ENOMEM;
	return r < 0 ? nova_fail_os(error, r, "directory '%s'", to ? to : disk->name) :
		       nova_disk_extract(disk->path, to, error);
}

static int prepare(struct process_machine *p, const struct engine_env *env,
	const struct machine_spec *spec, char **ret_code, char **ret_work, nova_error_t **error)
{
	struct machine_disk disks[MACHINE_DISKS];
	size_t count = machine_disks(&spec->config, disks);
	p->directory = str_format("%s/fake-%s", env->run_dir, spec->id);
	*ret_code = p->directory ? path_join(p->directory, "code") : NULL;
	*ret_work = p->directory ? path_join(p->directory, "work") : NULL;
	if (!*ret_code || !*ret_work)
		return nova_oom(error);
	int r = fs_mkdirs(*ret_code, 0755); /* the agent wants it, also without such a disk */
	if (r == 0)
		r = fs_mkdirs(*ret_work, 0777);
	if (r < 0)
		return nova_fail_os(error, r, "directory '%s'", p->directory);
	int code = 0;
	for (size_t i = 0; code == 0 && i < count; i++)
		code = unpack(p, &disks[i], error);
	return code;
}

static int start_agent(struct machine *m, const struct engine_env *env,
	const struct machine_spec *spec, nova_error_t **error)
{
	struct process_machine *p = process_of(m);
	AUTO_FREE char *agent = NULL, *code_dir = NULL, *work_dir = NULL;
	int code = find_agent(env, &agent, error);
	if (code == 0)
		code = prepare(p, env, spec, &code_dir, &work_dir, error);
	if (code < 0)
		return code;
	int diag[2], channel[2];
	int r = sys_socketpair(SOCK_STREAM, diag);
	if (r < 0)
		return nova_fail_os(error, r, "socket to the agent");
	AUTO_FD int their_diag = diag[1];
	m->diag = diag[0];
	r = sys_socketpair(SOCK_STREAM, channel);
	if (r < 0)
		return nova_fail_os(error, r, "socket to the agent");
	AUTO_FD int their_channel = channel[1];
	m->channel = channel[0];
	sys_set_nonblock(m->diag, true);
	sys_set_nonblock(their_diag, true);
	const char *const argv[] = { agent, "--fd", "4", "--code", code_dir, "--work", work_dir,
		NULL };
	const int fds[] = { their_diag, their_channel };
	struct spawn spawn = { .argv = argv, .fds = fds, .fd_count = ARRAY_LEN(fds) };
	log_warn(env->log, "fake",
		"machine %s isolates nothing: its functions run as processes of this host",
		spec->id);
	return keeper_spawn(env->keeper, &spawn, &child_of(m)->process, error);
}

/* The agent is stopped, which is all that there is of a machine while no function runs. */
static int set_stopped(struct machine *m, bool stop, nova_error_t **error)
{
	int r = process_stop(&child_of(m)->process, stop);
	return r < 0 ? nova_fail_os(error, r, "pausing the agent") : 0;
}

static int pause_agent(struct machine *m, nova_error_t **error)
{
	return set_stopped(m, true, error);
}

static int resume_agent(struct machine *m, nova_error_t **error)
{
	return set_stopped(m, false, error);
}

static void remove_directory(struct machine *m)
{
	struct process_machine *p = process_of(m);
	if (p->directory)
		fs_remove_tree(p->directory);
	free(p->directory);
	p->directory = NULL;
}

const struct engine_ops process_engine = {
	.name = "fake",
	.machine_size = sizeof(struct process_machine),
	.features = PROCESS_FEATURES,
	.boot_timeout_key = "qemu.boot_timeout",
	.probe = probe_agent,
	.start = start_agent,
	.kill = child_kill,
	.end_fd = child_end_fd,
	.end = child_end,
	.pid = child_pid,
	.pause = pause_agent,
	.resume = resume_agent,
	.release = remove_directory,
};
