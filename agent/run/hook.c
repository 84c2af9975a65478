/* SPDX-License-Identifier: MIT */
/*
 * What a function wants done before a snapshot of its machine is taken, and after each restore: a
 * Python module declares it (worker.py), any other function has programs for it in /code/hooks.
 * While a hook runs nothing else begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"

#define SAID_MAX (64u << 10)

static const char *status_of(const struct hook *hook)
{
	return hook->before ? "frozen" : "resumed";
}

static const char *name_of(const struct hook *hook)
{
	return hook->before ? "before_snapshot" : "after_restore";
}

static bool hook_path(const struct agent *agent, bool before, char *path, size_t size)
{
	snprintf(path, size, "%s/hooks/%s", agent->code_dir,
		before ? "before_snapshot" : "after_restore");
	return agent->function.runtime && !agent->function.runtime->warm && access(path, X_OK) == 0;
}

/* Looked for at Init, as a Resume should not have to. */
void hooks_find(struct agent *agent)
{
	char path[PATH_MAX];
	agent->function.hook_before = hook_path(agent, true, path, sizeof(path));
	agent->function.hook_after = hook_path(agent, false, path, sizeof(path));
}

static void end(struct agent *agent)
{
	struct hook *hook = &agent->hook;
	tmp_mark(agent);
	if (hook->slot)
		slot_kill(hook->slot);
	else
		kill_group(hook->pid);
	slot_give_back(hook->slot);
	fd_close(hook->said_fd);
	buf_free(&hook->said);
	*hook = (struct hook){ .said_fd = -1, .said = BUF_INIT(SAID_MAX) };
	if (!agent->cgroups.there)
		kill_orphans(agent, "", !request_any(agent));
}

void hook_drop(struct agent *agent)
{
	if (agent->hook.pending)
		end(agent);
}

void hook_failed(struct agent *agent, const char *why, const void *text, size_t len)
{
	struct hook *hook = &agent->hook;
	char error[512];
	if (!hook->pending)
		return;
	snprintf(error, sizeof(error), "%s: %s", name_of(hook), why);
	answer_refused_text(agent, hook->id, "code", error, text, len);
	end(agent);
}

/* Done, once a fork waits that was made from the state that the hook has left. */
void hook_settled(struct agent *agent)
{
	struct hook *hook = &agent->hook;
	if (!hook->pending || hook->runs)
		return;
	answer_status(agent, hook->id, status_of(hook));
	end(agent);
}

void hook_done(struct agent *agent)
{
	agent->hook.runs = false;
	if (agent->worker.state != WORKER_READY || agent->worker.place.on ||
		worker_prefork(agent) < 0 || agent->worker.spare.ready)
		hook_settled(agent);
}

static void read_said(struct hook *hook)
{
	uint8_t block[4096];
	ssize_t got;
	while (hook->said_fd >= 0 &&
		(got = sys_read(hook->said_fd, block, sizeof(block))) != -EAGAIN) {
		if (got <= 0) {
			fd_close(hook->said_fd);
			hook->said_fd = -1;
		} else {
			/* what is too much is dropped */
			buf_append(&hook->said, block, (size_t)got);
		}
	}
}

static void on_said(struct agent *agent, void *what, short events)
{
	(void)agent, (void)events;
	read_said(what);
}

void hook_watch(struct agent *agent)
{
	if (agent->hook.pending)
		loop_watch(agent, &agent->hook.said_fd, POLLIN, on_said, &agent->hook);
}

void hook_exited(struct agent *agent, int status)
{
	struct hook *hook = &agent->hook;
	char why[64];
	read_said(hook);
	if (!hook->slot)
		kill(-hook->pid, SIGKILL); /* the group; the number itself is free again */
	hook->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		hook_done(agent);
		return;
	}
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "exit %d", WEXITSTATUS(status));
	hook_failed(agent, why, hook->said.data, hook->said.len);
}

void hook_check_deadline(struct agent *agent)
{
	struct hook *hook = &agent->hook;
	char why[64];
	if (!hook->pending || !deadline_passed(hook->deadline))
		return;
	snprintf(why, sizeof(why), "timeout after %u ms", hook->timeout_ms);
	bool stuck = hook->runs && agent->worker.state == WORKER_READY;
	read_said(hook);
	hook_failed(agent, why, hook->said.data, hook->said.len);
	/* In the middle of a hook the interpreter is in no state that a request should see. */
	if (stuck)
		worker_stop(agent);
}

static int run_program(struct agent *agent, struct hook *hook)
{
	char path[PATH_MAX];
	AUTO_FD int null = sys_open("/dev/null", O_RDONLY, 0), said = -1;
	hook_path(agent, hook->before, path, sizeof(path));
	int r = null < 0 ? null : pipe_from(&hook->said_fd, &said);
	hook->slot = slot_take(agent);
	if (r == 0 && agent->cgroups.there && !hook->slot)
		r = -EAGAIN;
	if (r < 0)
		return r;
	char *const argv[] = { path, NULL };
	struct launch launch = {
		.program = path,
		.argv = argv,
		.env = agent->function.env,
		.directory = agent->code_dir,
		.fds = { null, said, said },
		.keep_fd = -1,
		.cgroup_procs = hook->slot ? hook->slot->procs : -1,
		.as_function = true,
	};
	pid_t pid = spawn(agent, &launch);
	hook->pid = pid < 0 ? 0 : pid;
	return pid < 0 ? pid : 0;
}

bool hook_wanted(const struct agent *agent, bool before)
{
	if (agent->worker.state == WORKER_READY)
		return before ? agent->worker.hook_before : agent->worker.hook_after;
	return before ? agent->function.hook_before : agent->function.hook_after;
}

void hook_run(struct agent *agent, const char *id, bool before, uint32_t timeout_ms)
{
	struct hook *hook = &agent->hook;
	*hook = (struct hook){
		.pending = true, .before = before, .said_fd = -1, .said = BUF_INIT(SAID_MAX)
	};
	memcpy(hook->id, id, strlen(id) + 1);
	hook->timeout_ms = timeout_ms;
	hook->deadline = deadline_in_ms(timeout_ms);
	if (!hook_wanted(agent, before)) {
		hook_done(agent);
		return;
	}
	hook->runs = true;
	int r = agent->worker.state == WORKER_READY ? worker_hook(agent, before) :
						      run_program(agent, hook);
	if (r < 0)
		hook_failed(agent, strerror(-r), NULL, 0);
}
