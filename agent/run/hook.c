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

#include "agent/run/run.h"

#define SAID_MAX (64u << 10)

static const char *status_of(const struct hook *hook)
{
	return hook->before ? "frozen" : "resumed";
}

static const char *name_of(const struct hook *hook)
{
	return hook->before ? "before_snapshot" : "after_restore";
}

static void hook_path(const struct guest *guest, bool before, char *path, size_t size)
{
	snprintf(path, size, "%s/hooks/%s", guest->code_dir,
		before ? "before_snapshot" : "after_restore");
}

static bool has_program(const struct function *function, const struct guest *guest, bool before)
{
	char path[PATH_MAX];
	hook_path(guest, before, path, sizeof(path));
	return function->runtime && !function->runtime->warm && access(path, X_OK) == 0;
}

/* Looked for at Init, as a Resume should not have to. */
void hooks_find(struct function *function, const struct guest *guest)
{
	function->hook_before = has_program(function, guest, true);
	function->hook_after = has_program(function, guest, false);
}

static void end(struct run *run)
{
	struct hook *hook = &run->hook;
	tmp_mark(run);
	kill_slot_or_group(hook->slot, hook->pid);
	slot_give_back(hook->slot);
	fd_close(hook->said_fd);
	buf_free(&hook->said);
	*hook = (struct hook){ .said_fd = -1, .said = BUF_INIT(SAID_MAX) };
	if (!run->cgroups.there)
		kill_orphans(run, "", !request_any(run));
}

void hook_drop(struct run *run)
{
	if (run->hook.pending)
		end(run);
}

void hook_failed(struct run *run, const char *why, const void *text, size_t len)
{
	struct hook *hook = &run->hook;
	char error[512];
	if (!hook->pending)
		return;
	snprintf(error, sizeof(error), "%s: %s", name_of(hook), why);
	answer_refused_text(run->channel, hook->id, "code", error, text, len);
	end(run);
}

/* Done, once a fork waits that was made from the state that the hook has left. The machine may be
 * stopped as soon as it has answered: what came after that, each copy of it would have to do. */
void hook_settled(struct run *run)
{
	const struct hook done = run->hook;
	if (!done.pending || done.runs)
		return;
	end(run);
	answer_status(run->channel, done.id, status_of(&done));
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

static void on_said(void *owner, void *what, short events)
{
	(void)owner, (void)events;
	read_said(what);
}

void hook_watch(struct run *run, struct loop *loop)
{
	if (run->hook.pending)
		loop_watch(loop, &run->hook.said_fd, POLLIN, on_said, run, &run->hook);
}

void hook_exited(struct run *run, int status)
{
	struct hook *hook = &run->hook;
	char why[64];
	read_said(hook);
	if (!hook->slot)
		kill(-hook->pid, SIGKILL); /* the group; the number itself is free again */
	hook->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		hook->runs = false;
		hook_settled(run);
		return;
	}
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "exit %d", WEXITSTATUS(status));
	hook_failed(run, why, hook->said.data, hook->said.len);
}

bool hook_check_deadline(struct run *run)
{
	struct hook *hook = &run->hook;
	char why[64];
	if (!hook->pending || !deadline_passed(hook->deadline))
		return false;
	bool runs = hook->runs;
	snprintf(why, sizeof(why), "timeout after %u ms", hook->timeout_ms);
	read_said(hook);
	hook_failed(run, why, hook->said.data, hook->said.len);
	return runs;
}

int hook_run_program(struct run *run)
{
	struct hook *hook = &run->hook;
	char path[PATH_MAX];
	AUTO_FD int null = sys_open("/dev/null", O_RDONLY, 0), said = -1;
	hook_path(run->guest, hook->before, path, sizeof(path));
	int r = null < 0 ? null : pipe_from(&hook->said_fd, &said);
	if (r == 0)
		r = slot_take(&run->cgroups, &hook->slot);
	if (r < 0)
		return r;
	char *const argv[] = { path, NULL };
	struct launch launch = {
		.program = path,
		.argv = argv,
		.env = run->function.env,
		.directory = run->guest->code_dir,
		.fds = { null, said, said },
		.keep = { -1 },
		.cgroup_procs = slot_procs(hook->slot),
		.as_function = true,
	};
	pid_t pid = spawn(run->guest, &launch);
	hook->pid = pid < 0 ? 0 : pid;
	return pid < 0 ? pid : 0;
}

void hook_begin(struct hook *hook, const char *id, bool before, uint32_t timeout_ms)
{
	*hook = (struct hook){
		.pending = true, .before = before, .said_fd = -1, .said = BUF_INIT(SAID_MAX)
	};
	memcpy(hook->id, id, strlen(id) + 1);
	hook->timeout_ms = timeout_ms;
	hook->deadline = deadline_in_ms(timeout_ms);
}
