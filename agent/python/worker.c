/* SPDX-License-Identifier: MIT */
/* The life of the warm interpreter: worker.py imports the module once; each call is a fork of it
 * that gets its pipes as descriptors over a socket, or runs in it. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "agent/python/python.h"

#define LOG_MAX (64u << 10)

void python_init(struct python *python, struct run *run)
{
	*python = (struct python){
		.run = run,
		.prestarted = { 0, -1, -1 },
		.prefork = { .ends = NO_ENDS },
		.in_place = { .ends = NO_ENDS },
		.sock = -1,
		.log_fd = -1,
		.log = BUF_INIT(LOG_MAX),
	};
}

void python_done(struct python *python)
{
	buf_free(&python->log);
}

static int launch(struct run *run, struct interpreter *ret)
{
	const struct function *function = &run->function;
	const char *directory = run->guest->code_dir;
	char modules[PATH_MAX];
	modules_path(run->guest, modules, sizeof(modules));
	/* The program comes on the interpreter's stdin, and is put aside there once it is read. It
	 * runs in the code's directory, from which nothing of its own is to be imported. */
	const char *argv[] = { function->program, "-c",
		"import sys;del sys.path[0];exec(open(0,'rb',closefd=False).read())", "3",
		function->file, function->module, function->name, directory, modules, NULL };
	struct launch launch = {
		.program = function->program,
		.argv = (char *const *)argv,
		.env = function->env,
		.directory = directory,
	};
	return interpreter_launch(run, &launch, ret);
}

int python_start(struct python *python)
{
	struct interpreter started;
	int r = prestart_take(python, &started) ? 0 : launch(python->run, &started);
	if (r < 0)
		return r;
	buf_reset(&python->log);
	python->run->interpreter = started.pid;
	python->sock = started.sock;
	python->log_fd = started.log_fd;
	python->state = PYTHON_STARTING;
	python->deadline =
		deadline_in_ms(python->timeout_ms ? python->timeout_ms : DEFAULT_TIMEOUT_MS);
	return 0;
}

static void forget(struct python *python)
{
	prefork_drop(python);
	in_place_close(python);
	close_fd(&python->sock);
	close_fd(&python->log_fd);
	python->draws[0] = 0;
	python->run->interpreter = 0;
	python->state = PYTHON_OFF;
}

static void end(struct python *python)
{
	cgroup_kill_worker(&python->run->cgroups);
	kill_group(python->run->interpreter);
	forget(python);
}

/* Requests in forks of it may still send their result; but of their processes nobody tells. */
void python_gone(struct python *python, bool out_of_memory)
{
	struct run *run = python->run;
	forget(python);
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &run->requests[i];
		if (request->state != REQUEST_RUNNING || !request->warm)
			continue;
		request_kill(request);
		request->signal = SIGKILL;
		request->oom = out_of_memory;
		request_finish(run, request);
	}
}

void python_stop(struct python *python)
{
	if (python->state == PYTHON_OFF)
		return;
	end(python);
	python_gone(python, false);
}

static void refuse_waiting(struct run *run, const char *error, const void *text, size_t text_len)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &run->requests[i];
		if (request->state != REQUEST_WAITING || !request->warm)
			continue;
		answer_refused_text(run->channel, request->id, "code", error, text, text_len);
		request_release(run, request);
	}
}

void python_start_failed(
	struct python *python, const char *error, const void *text, size_t text_len)
{
	if (!text_len) {
		python_read_log(python);
		text = python->log.data;
		text_len = python->log.len;
	}
	end(python);
	refuse_waiting(python->run, error, text, text_len);
	init_failed(python->run, error, text, text_len);
}

void python_revive(struct python *python)
{
	bool gone = python->run->function.runtime && python->state == PYTHON_OFF;
	int r = gone ? python_start(python) : 0;
	if (r < 0)
		refuse_waiting(python->run, strerror(-r), NULL, 0);
}

void python_read_log(struct python *python)
{
	uint8_t block[4096];
	ssize_t got;
	while (python->log_fd >= 0 &&
		(got = sys_read(python->log_fd, block, sizeof(block))) != -EAGAIN) {
		if (got <= 0) {
			close_fd(&python->log_fd);
			return;
		}
		if (python->log.len + (size_t)got > LOG_MAX)
			buf_consume(&python->log, python->log.len + (size_t)got - LOG_MAX);
		buf_append(&python->log, block, (size_t)got);
	}
}

/* Python runs its signal handlers between two steps only: a signal just before it waits is not seen
 * until a message comes. */
void python_nudge(struct python *python)
{
	if (python->sock >= 0)
		sys_send(python->sock, "W", 1, MSG_DONTWAIT);
}

int python_hook(struct python *python, bool before)
{
	/* The fork that waits has the state from before. */
	prefork_drop(python);
	buf_reset(&python->log);
	if (python->in_place.on)
		return in_place_tell(python, before ? "B" : "A");
	ssize_t put = sys_send(python->sock, before ? "B" : "A", 1, MSG_DONTWAIT);
	return put < 0 ? (int)put : 0;
}

void python_copied(struct python *python)
{
	python->in_place.copied = python->prefork.copied = true;
}
