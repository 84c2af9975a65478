/* SPDX-License-Identifier: MIT */
/* Running a command of a sandbox, in a thread of its own: it may go on for as long as that. */
#include <stdlib.h>
#include <string.h>

#include "e2b.h"

#define PID_MAX 32  /* bytes of the line that tells it */
#define WHY_MAX 500 /* of what is said instead */

/* Tells the process id by a line before all else. What asks for bash where there is none gets sh.
 */
#define LAUNCH                                                                                     \
	"if [ \"$1\" = /bin/bash ] && ! [ -x /bin/bash ]; then shift; set -- /bin/sh \"$@\"; fi\n" \
	"echo $$; exec \"$@\""

struct run {
	char line[PID_MAX];
	size_t len;
	bool is_known;
	struct bytes why; /* what was said before, which is why there is none */
};

static void pass_on(struct job *job, const char *part, const char *data, size_t len)
{
	while (len && !job_print_within(job, part, data, len, 500))
		;
}

/* Takes what belongs to the line; the rest is the command's own. */
static size_t take_line(struct job *job, struct run *run, const char *data, size_t len)
{
	size_t n = 0;
	while (n < len && !run->is_known) {
		run->is_known = data[n] == '\n' || run->len == PID_MAX - 1;
		run->line[run->len] = data[n];
		run->len += !run->is_known;
		n++;
	}
	run->line[run->len] = 0;
	if (run->is_known)
		pass_on(job, "pid", run->line, run->len + 1);
	return n;
}

static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	struct job *job = userdata;
	struct run *run = job_held(job);
	const char *at = data;
	if (stream == 2 && !run->is_known) {
		size_t room = WHY_MAX - run->why.len;
		bytes_add(&run->why, data, len < room ? len : room);
		return;
	}
	size_t line = run->is_known ? 0 : take_line(job, run, at, len);
	pass_on(job, stream == 2 ? "stderr" : "stdout", at + line, len - line);
}

/* Those of the sandbox, and the command's own, which win. */
static char **environment(const struct job *job, const json_t *config, size_t *ret_count)
{
	struct sandbox sandbox;
	sandbox_find(job_text(job, "sandbox"), NULL, &sandbox);
	sandbox_add_pairs(&sandbox);
	json_object_update(sandbox.envs, json_object_get(config, "envs"));
	char **env = pairs_of(sandbox.envs, ret_count);
	sandbox_clear(&sandbox);
	return env;
}

static const char **arguments(const json_t *config, size_t *ret_count)
{
	static const char *const launch[] = { "/bin/sh", "-c", LAUNCH, "sh" };
	size_t count;
	const char **args = texts_of(json_object_get(config, "args"), &count);
	const char **all = need(calloc(ARRAY_LEN(launch) + 1 + count + 1, sizeof(*all)));
	memcpy(all, launch, sizeof(launch));
	all[ARRAY_LEN(launch)] = json_string_value(json_object_get(config, "cmd"));
	memcpy(all + ARRAY_LEN(launch) + 1, args, count * sizeof(*args));
	*ret_count = ARRAY_LEN(launch) + 1 + count;
	free(args);
	return all;
}

static int run_it(struct job *job, nova_vm_t *vm, nova_result_t **result, nova_error_t **error)
{
	nova_vm_command_opts opts = NOVA_VM_COMMAND_OPTS_INIT;
	const json_t *config = json_object_get(job_fields(job), "process");
	const char *cwd = json_string_value(json_object_get(config, "cwd"));
	char *directory = cwd ? e2b_path(cwd) : NULL;
	const char **argv = arguments(config, &opts.argc);
	char **env = environment(job, config, &opts.env_count);
	opts.argv = argv;
	opts.env = (const char *const *)env;
	opts.directory = directory;
	opts.timeout_ms = job_number(job, "timeout_ms");
	opts.flags = NOVA_COMMAND_STREAMED;
	opts.stdin_fd = job_stdin(job);
	opts.on_output = on_output;
	opts.userdata = job;
	opts.interrupt = job_interrupt(job);
	int code = nova_vm_command(vm, &opts, result, error);
	pairs_free(env);
	free(argv);
	free(directory);
	return code;
}

static void release(void *held)
{
	struct run *run = held;
	bytes_free(&run->why);
	free(run);
}

/* Without a process id nothing was run. */
static void refuse(struct job *job, const struct run *run)
{
	const json_t *config = json_object_get(job_fields(job), "process");
	const char *cwd = json_string_value(json_object_get(config, "cwd"));
	if (run->why.data)
		job_problem(job, 400, "invalid", "the command cannot begin: %s", run->why.data);
	else
		job_problem(job, 400, "invalid",
			"the command cannot begin: '%.500s' is not a directory to run in",
			cwd ? cwd : "/tmp");
}

static void answer(struct job *job, const nova_result_t *result)
{
	const struct run *run = job_held(job);
	int status = nova_result_exit_code(result);
	if (run->is_known)
		json_object_set_new(job_reply(job), "exit_status", json_integer(status));
	else
		refuse(job, run);
}

static void run(struct job *job)
{
	nova_error_t *error = NULL;
	nova_result_t *result = NULL;
	nova_instance_t *instance = NULL;
	job_hold(job, need(calloc(1, sizeof(struct run))), release);
	int code = nova_instance_get(job_nova(job), job_text(job, "sandbox"), &instance, &error);
	if (code == 0)
		code = run_it(job, nova_instance_vm(instance), &result, &error);
	if (code != 0)
		job_fail_by(job, error);
	else
		answer(job, result);
	nova_instance_free(instance);
	nova_result_free(result);
	nova_error_free(error);
}

const struct job_verb verb_e2b_run = { .name = "run", .work = run };
