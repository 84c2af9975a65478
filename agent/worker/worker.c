/* SPDX-License-Identifier: MIT */
/* The life of the warm interpreter: worker.py imports the module once; each call is a fork of it
 * that gets its pipes as descriptors over a socket, or runs in it. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

#define LOG_MAX (64u << 10)

void worker_init(struct worker *worker, struct run *run)
{
	*worker = (struct worker){
		.run = run,
		.prestarted = INTERPRETER_INIT,
		.refill_at = NEVER,
		.in_place = { .ends = NO_ENDS },
		.sock = -1,
		.log_fd = -1,
		.log = BUF_INIT(LOG_MAX),
	};
}

void worker_done(struct worker *worker)
{
	buf_free(&worker->log);
}

/* One of its own, which has the function's environment from its start. */
static int launch(struct run *run, const struct language *language, struct interpreter *ret)
{
	const struct function *function = &run->function;
	struct launch launch = {
		.program = function->program,
		.argv = function->argv ? function->argv + 1 : NULL,
		.env = function->env,
		.directory = run->guest->code_dir,
	};
	int r = interpreter_launch(run, language, &launch, ret);
	if (r == 0 && (r = interpreter_tell(run, NULL, ret)) < 0) {
		kill_group(ret->pid);
		interpreter_forget(ret);
	}
	return r;
}

int worker_start(struct worker *worker)
{
	struct interpreter started;
	const struct language *language = language_find(worker->run->function.runtime->name);
	int r = prestart_take(worker, language, &started) ? 0 :
							    launch(worker->run, language, &started);
	if (r < 0)
		return r;
	buf_reset(&worker->log);
	worker->run->interpreter = started.pid;
	worker->language = language;
	worker->sock = started.sock;
	worker->log_fd = started.log_fd;
	worker->in_place.ends = started.ends;
	worker->state = WORKER_STARTING;
	worker->deadline =
		deadline_in_ms(worker->timeout_ms ? worker->timeout_ms : DEFAULT_TIMEOUT_MS);
	return 0;
}

static void forget(struct worker *worker)
{
	prefork_drop_all(worker);
	in_place_close(worker);
	close_fd(&worker->sock);
	close_fd(&worker->log_fd);
	worker->draws[0] = 0;
	worker->run->interpreter = 0;
	worker->state = WORKER_OFF;
}

static void end(struct worker *worker)
{
	cgroup_kill_worker(&worker->run->cgroups);
	kill_group(worker->run->interpreter);
	forget(worker);
}

/* Requests in forks of it may still send their result; but of their processes nobody tells. */
void worker_gone(struct worker *worker, bool out_of_memory)
{
	struct run *run = worker->run;
	forget(worker);
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

void worker_stop(struct worker *worker)
{
	if (worker->state == WORKER_OFF)
		return;
	end(worker);
	worker_gone(worker, false);
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

void worker_start_failed(
	struct worker *worker, const char *error, const void *text, size_t text_len)
{
	if (!text_len) {
		worker_read_log(worker);
		text = worker->log.data;
		text_len = worker->log.len;
	}
	end(worker);
	refuse_waiting(worker->run, error, text, text_len);
	init_failed(worker->run, error, text, text_len);
}

void worker_revive(struct worker *worker)
{
	bool gone = worker->run->function.runtime && worker->state == WORKER_OFF;
	int r = gone ? worker_start(worker) : 0;
	if (r < 0)
		refuse_waiting(worker->run, strerror(-r), NULL, 0);
}

static void read_log(struct buf *log, int *fd)
{
	uint8_t block[4096];
	ssize_t got;
	while (*fd >= 0 && (got = sys_read(*fd, block, sizeof(block))) != -EAGAIN) {
		if (got <= 0) {
			close_fd(fd);
			return;
		}
		if (log->len + (size_t)got > LOG_MAX)
			buf_consume(log, log->len + (size_t)got - LOG_MAX);
		buf_append(log, block, (size_t)got);
	}
}

void worker_read_log(struct worker *worker)
{
	read_log(&worker->log, &worker->log_fd);
	for (int n = 0; n < 2 && !worker->in_place.current; n++)
		read_log(&worker->log, &worker->in_place.ends.output[n]);
}

/* Python runs its signal handlers between two steps only: a signal just before it waits is not seen
 * until a message comes. */
void worker_nudge(struct worker *worker)
{
	if (worker->sock >= 0)
		sys_send(worker->sock, "W", 1, MSG_DONTWAIT);
}

int worker_hook(struct worker *worker, bool before)
{
	/* The forks that wait have the state from before. */
	prefork_drop_all(worker);
	buf_reset(&worker->log);
	if (worker->in_place.on)
		return in_place_tell(worker, before ? "B" : "A");
	ssize_t put = sys_send(worker->sock, before ? "B" : "A", 1, MSG_DONTWAIT);
	return put < 0 ? (int)put : 0;
}

void worker_copied(struct worker *worker)
{
	worker->in_place.copied = true;
	prefork_copied(worker);
}
