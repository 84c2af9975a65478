/* SPDX-License-Identifier: MIT */
/* What happens, until the agent is to end: who is watched, and who hears of it. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/agent.h"

#define AWAY_MS 50 /* how often a hung-up virtio port is looked at */

void serve_ready(struct agent *agent)
{
	struct utsname name;
	struct timespec up;
	uname(&name);
	clock_gettime(CLOCK_BOOTTIME, &up);
	AUTO_JSON json_t *ready =
		json_pack("{s:s, s:s, s:I, s:b, s:s}", "agent", NOVA_VERSION_STRING, "kernel",
			name.release, "boot_us", (json_int_t)timespec_to_us(&up), "pid1",
			agent->guest.pid1, "root", agent->guest.root);
	if (agent->guest.missing)
		json_object_set_new(ready, "error", json_string(agent->guest.missing));
	struct buf frame = PROTO_FRAME_BUF;
	void *data;
	if (proto_encode_json(NOVA_MSG_READY, ready, &data, &frame.len, NULL) < 0)
		return;
	frame.data = data;
	frame.cap = frame.len;
	channel_send(&agent->channel, &frame);
}

/* --- the host --- */

/* Its requests have nobody to answer to. */
static void lose_host(struct agent *agent)
{
	if (!channel_reset(&agent->channel))
		agent->loop.done = true;
	call_drop_all(&agent->worker);
	hook_drop(&agent->run);
	compile_drop(&agent->run);
	agent->run.init.pending = false;
}

static void on_channel(void *owner, void *what, short events)
{
	struct agent *agent = owner;
	struct channel *channel = what;
	const char *payload;
	size_t len;
	int type, r = channel_serve(channel, events) ? 1 : -1;
	while (r > 0 && !agent->stopping) {
		r = channel_next(channel, &type, &payload, &len);
		if (r > 0)
			message_handle(agent, type, payload, len);
	}
	if (r < 0)
		lose_host(agent);
}

static void on_connection(void *owner, void *what, short events)
{
	(void)events;
	if (channel_accept(what))
		serve_ready(owner);
}

static void watch_channel(struct agent *agent)
{
	struct channel *channel = &agent->channel;
	struct loop *loop = &agent->loop;
	if (channel->listener >= 0 && channel->fd < 0)
		loop_watch(loop, &channel->listener, POLLIN, on_connection, agent, channel);
	if (channel_came_back(channel))
		serve_ready(agent);
	short events = channel_events(channel);
	if (events)
		loop_watch(loop, &channel->fd, events, on_channel, agent, channel);
}

/* --- processes --- */

static struct request *by_pid(struct run *run, pid_t pid)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state == REQUEST_RUNNING && run->requests[i].pid == pid)
			return &run->requests[i];
	return NULL;
}

static void ended(struct agent *agent, pid_t pid, int status, uint64_t peak_kb)
{
	struct run *run = &agent->run;
	struct request *request = by_pid(run, pid);
	if (pid == run->interpreter)
		worker_exited(&agent->worker, status);
	else if (pid == agent->worker.prestarted.pid)
		prestart_exited(&agent->worker);
	else if (run->compile.pending && pid == run->compile.pid)
		compile_exited(run, status);
	else if (run->hook.pending && pid == run->hook.pid)
		hook_exited(run, status);
	else if (request && request->warm)
		call_exited(&agent->worker, request, status, peak_kb);
	else if (request)
		request_exited(run, request, status, peak_kb);
}

static void on_signal(void *owner, void *what, short events)
{
	struct agent *agent = owner;
	struct signalfd_siginfo info;
	struct rusage usage;
	int status;
	pid_t pid;
	(void)what, (void)events;
	while (sys_read(agent->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD && !agent->guest.pid1)
			agent->loop.done = true;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		ended(agent, pid, status, (uint64_t)usage.ru_maxrss);
}

/* --- the turns --- */

static int next_timeout(const struct agent *agent)
{
	const struct run *run = &agent->run;
	const struct worker *worker = &agent->worker;
	uint64_t next = NEVER;
	if (run->compile.pending)
		next = run->compile.deadline;
	else if (worker->state == WORKER_STARTING || run->init.pending)
		next = worker->deadline;
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state != REQUEST_FREE && run->requests[i].deadline < next)
			next = run->requests[i].deadline;
	if (kv_deadline(&run->kv) < next)
		next = kv_deadline(&run->kv);
	if (run->hook.pending && run->hook.deadline < next)
		next = run->hook.deadline;
	if (prefork_deadline(worker) < next)
		next = prefork_deadline(worker);
	int ms = deadline_poll_ms(next);
	if (agent->channel.away && (ms < 0 || ms > AWAY_MS))
		return AWAY_MS;
	return ms;
}

/* Comes before anything is watched: what the channel does not take at once has to be waited for. */
static void stream_all(struct agent *agent)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->run.requests[i].state == REQUEST_RUNNING)
			result_stream(&agent->channel, &agent->run.requests[i], false);
}

static void watch_all(struct agent *agent)
{
	struct run *run = &agent->run;
	struct loop *loop = &agent->loop;
	loop_begin(loop);
	watch_channel(agent);
	loop_watch(loop, &agent->signals, POLLIN, on_signal, agent, NULL);
	worker_watch(&agent->worker, loop);
	hook_watch(run, loop);
	compile_watch(run, loop);
	kv_watch(run, loop);
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state == REQUEST_RUNNING)
			request_watch(run, &run->requests[i], loop);
}

static void check_deadlines(struct agent *agent)
{
	exec_check_deadlines(agent);
	worker_check_deadline(&agent->worker);
	prefork_check_deadline(&agent->worker);
	compile_check_deadline(&agent->run);
	kv_check_deadlines(&agent->run.kv);
	/* In the middle of a hook the interpreter is in no state that a request should see. */
	if (hook_check_deadline(&agent->run) && agent->worker.state == WORKER_READY)
		worker_stop(&agent->worker);
}

void serve(struct agent *agent)
{
	while (!agent->loop.done) {
		stream_all(agent);
		watch_all(agent);
		if (loop_turn(&agent->loop, next_timeout(agent)))
			check_deadlines(agent);
	}
}
