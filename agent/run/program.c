/* SPDX-License-Identifier: MIT */
/* Requests that are programs: functions without an interpreter of ours, and commands. */
#include <errno.h>
#include <fcntl.h>

#include "agent/run/run.h"

static int open_stdin(const struct run *run, const struct request *request)
{
	const struct function *function = &run->function;
	bool is_given = request->command || request->args;
	const char *path = is_given ? "" : function->stdin_path;
	if (!is_given && !*path && function->input_on_stdin)
		path = request->input_path;
	return sys_open(*path ? path : "/dev/null", O_RDONLY, 0);
}

/* 0 or -errno, without an answer. */
static int start(struct run *run, struct request *request, struct launch *launch)
{
	AUTO_FD int in = -1, out = -1, err = -1;
	int r = slot_take(&run->cgroups, &request->slot);
	if (r == 0)
		r = pipe_from(&request->output[0].fd, &out);
	if (r == 0)
		r = pipe_from(&request->output[1].fd, &err);
	if (r == 0 && (request->stdin_data.len || request->flows))
		r = pipe_to(&request->stdin_fd, &in);
	else if (r == 0 && (in = open_stdin(run, request)) < 0)
		r = in;
	if (r < 0)
		return r;
	launch->fds[0] = in;
	launch->fds[1] = out;
	launch->fds[2] = err;
	launch->keep[0] = -1;
	launch->cgroup_procs = slot_procs(request->slot);
	pid_t pid = spawn(run->guest, launch);
	if (pid < 0)
		return pid;
	request->pid = pid;
	request->state = REQUEST_RUNNING;
	return 0;
}

/* --- the function --- */

static char **function_env(const struct run *run, const struct request *request)
{
	const char *const first[] = { "NOVA_REQUEST_ID", request->id, "NOVA_INPUT",
		request->input_path, request->context ? "NOVA_CLIENT_CONTEXT" : NULL,
		request->context, NULL };
	char **env = env_make(first, NULL);
	int r = env ? env_add_all(&env, run->function.env) : -ENOMEM;
	if (r == 0)
		r = env_add_all(&env, run->secrets);
	if (r == 0)
		return env;
	strings_free(env);
	return NULL;
}

static int start_function(struct run *run, struct request *request, char **env, char **argv)
{
	if (!argv || !env)
		return -ENOMEM;
	struct launch launch = {
		.program = argv[0],
		.argv = argv,
		.env = env,
		.directory = run->guest->code_dir,
		.as_function = true,
	};
	return start(run, request, &launch);
}

void program_function(struct run *run, struct request *request)
{
	request->output[0].kept.max = PROTO_OUTPUT_MAX;
	request->wasm = run->function.runtime->compiled;
	int r = request_write_input(run, request);
	char **env = r == 0 ? function_env(run, request) : NULL;
	char **argv = r == 0 ? argv_make(run, request) : NULL;
	if (r == 0)
		r = start_function(run, request, env, argv);
	strings_free(env);
	strings_free(argv);
	if (r < 0)
		request_refuse(run, request,
			r == -ENOMEM || r == -EAGAIN || r == -ENOSPC ? "internal" : "code",
			"the function cannot be started", r);
}

/* --- commands --- */

/* Whether it is the command's own fault, as a shell would tell it. */
static bool cannot_be_run(int r)
{
	return r == -ENOENT || r == -EACCES || r == -ENOTDIR || r == -ENOEXEC || r == -ELOOP ||
	       r == -EISDIR || r == -ENAMETOOLONG;
}

void program_command(
	struct run *run, struct request *request, char **argv, char **env, const char *directory)
{
	struct launch launch = {
		.program = argv[0],
		.argv = argv,
		.env = env,
		.directory = directory,
		.search = true,
	};
	int r = start(run, request, &launch);
	if (r == 0)
		return;
	if (!cannot_be_run(r)) {
		request_refuse(run, request, "internal", "the command cannot be started", r);
		return;
	}
	AUTO_FREE char *text = str_format("%s: %s\n", argv[0], strerror(-r));
	if (text)
		buf_append_str(&request->output[1].kept, text);
	request->exit_code = r == -ENOENT || r == -ENOTDIR ? 127 : 126;
	request_finish(run, request);
}
