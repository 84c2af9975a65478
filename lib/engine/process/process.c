/* SPDX-License-Identifier: MIT */
/*
 * The fake engine: the guest's agent as a plain child process, with the code disk unpacked into a
 * directory. It isolates nothing, says so, and is never chosen by itself. Tests and the measurement
 * of our own overhead use it.
 */
#include <sys/socket.h>
#include <unistd.h>

#include <nova/disk.h>

#include "engine/child.h"

#define FAKE_FEATURES NOVA_FEATURE_PAUSE

struct fake_machine {
	struct child_machine child;
	char *directory; /* code/ and work/ of this machine */
};

static struct fake_machine *fake_of(struct machine *m)
{
	return (struct fake_machine *)m;
}

static int find_agent(const struct engine_env *env, char **ret_path, nova_error_t **error)
{
	const char *variable = config_environment(env->config) ? "NOVA_AGENT" : NULL;
	return program_find("nova-agent", variable, ret_path, error);
}

static int fake_probe(
	const struct engine_env *env, struct engine_report *report, nova_error_t **error)
{
	AUTO_ERROR nova_error_t *why = NULL;
	report->accelerator = "none";
	report->features = FAKE_FEATURES;
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

static int prepare(struct fake_machine *f, const struct engine_env *env,
	const struct machine_spec *spec, char **ret_code, char **ret_work, nova_error_t **error)
{
	f->directory = str_format("%s/fake-%s", env->run_dir, spec->id);
	*ret_code = f->directory ? path_join(f->directory, "code") : NULL;
	*ret_work = f->directory ? path_join(f->directory, "work") : NULL;
	if (!*ret_code || !*ret_work)
		return nova_oom(error);
	int r = fs_mkdirs(*ret_code, 0755);
	if (r == 0)
		r = fs_mkdirs(*ret_work, 0777);
	if (r < 0)
		return nova_fail_os(error, r, "directory '%s'", f->directory);
	return spec->config.code_disk ?
		       nova_disk_extract(spec->config.code_disk, *ret_code, error) :
		       0;
}

static int fake_start(struct machine *m, const struct engine_env *env,
	const struct machine_spec *spec, nova_error_t **error)
{
	struct fake_machine *f = fake_of(m);
	AUTO_FREE char *agent = NULL, *code_dir = NULL, *work_dir = NULL;
	int code = find_agent(env, &agent, error);
	if (code == 0)
		code = prepare(f, env, spec, &code_dir, &work_dir, error);
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
static int stop_agent(struct machine *m, bool stop, nova_error_t **error)
{
	int r = process_stop(&child_of(m)->process, stop);
	return r < 0 ? nova_fail_os(error, r, "pausing the agent") : 0;
}

static int fake_pause(struct machine *m, nova_error_t **error)
{
	return stop_agent(m, true, error);
}

static int fake_resume(struct machine *m, nova_error_t **error)
{
	return stop_agent(m, false, error);
}

static void fake_release(struct machine *m)
{
	struct fake_machine *f = fake_of(m);
	if (f->directory)
		fs_remove_tree(f->directory);
	free(f->directory);
	f->directory = NULL;
}

const struct engine_ops fake_engine = {
	.name = "fake",
	.machine_size = sizeof(struct fake_machine),
	.features = FAKE_FEATURES,
	.boot_timeout_key = "qemu.boot_timeout",
	.probe = fake_probe,
	.start = fake_start,
	.kill = child_kill,
	.end_fd = child_end_fd,
	.end = child_end,
	.pid = child_pid,
	.pause = fake_pause,
	.resume = fake_resume,
	.release = fake_release,
};
