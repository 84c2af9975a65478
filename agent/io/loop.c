/* SPDX-License-Identifier: MIT */
/* The poll loop. What to watch is asked anew each round: there are few descriptors, and nothing can
 * be forgotten. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/agent.h"

#define AWAY_MS 50 /* how often a hung-up virtio port is looked at */

void loop_watch(struct agent *agent, const int *fd, short events, watch_fn fn, void *what)
{
	if (*fd < 0 || agent->watched == MAX_WATCHES)
		return;
	agent->fds[agent->watched] = (struct pollfd){ *fd, events, 0 };
	agent->watches[agent->watched++] = (struct watch){ fn, what, fd };
}

static void ended(struct agent *agent, pid_t pid, int status, const struct rusage *usage)
{
	if (pid == agent->worker.pid) {
		worker_exited(agent, status);
		return;
	}
	if (pid == agent->blank.pid) {
		blank_exited(agent);
		return;
	}
	if (agent->hook.pending && pid == agent->hook.pid) {
		hook_exited(agent, status);
		return;
	}
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->requests[i];
		if (request->state == REQUEST_RUNNING && request->pid == pid) {
			request_exited(agent, request, status, (uint64_t)usage->ru_maxrss);
			return;
		}
	}
}

void loop_reap(struct agent *agent)
{
	struct rusage usage;
	int status;
	pid_t pid;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		ended(agent, pid, status, &usage);
}

static void on_signal(struct agent *agent, void *what, short events)
{
	struct signalfd_siginfo info;
	(void)what, (void)events;
	while (sys_read(agent->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD && !agent->pid1)
			agent->done = true;
	loop_reap(agent);
}

static int next_timeout(const struct agent *agent)
{
	uint64_t next = agent->worker.state == WORKER_STARTING || agent->init.pending ?
				agent->worker.deadline :
				NEVER;
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->requests[i].state != REQUEST_FREE && agent->requests[i].deadline < next)
			next = agent->requests[i].deadline;
	if (agent->hook.pending && agent->hook.deadline < next)
		next = agent->hook.deadline;
	int ms = deadline_poll_ms(next);
	if (agent->channel.away && (ms < 0 || ms > AWAY_MS))
		return AWAY_MS;
	return ms;
}

/* Comes before anything is watched: what the channel does not take at once has to be waited for. */
static void stream_all(struct agent *agent)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->requests[i].state == REQUEST_RUNNING)
			answer_stream(agent, &agent->requests[i], false);
}

static void watch_all(struct agent *agent)
{
	agent->watched = 0;
	channel_watch(agent);
	loop_watch(agent, &agent->signals, POLLIN, on_signal, NULL);
	worker_watch(agent);
	hook_watch(agent);
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->requests[i].state == REQUEST_RUNNING)
			request_watch(agent, &agent->requests[i]);
}

void agent_loop(struct agent *agent)
{
	while (!agent->done) {
		stream_all(agent);
		watch_all(agent);
		if (sys_poll(agent->fds, agent->watched, next_timeout(agent)) < 0)
			continue;
		for (nfds_t i = 0; i < agent->watched && !agent->done; i++) {
			struct watch *watch = &agent->watches[i];
			if (agent->fds[i].revents && *watch->fd == agent->fds[i].fd)
				watch->fn(agent, watch->what, agent->fds[i].revents);
		}
		request_check_deadlines(agent);
		worker_check_deadline(agent);
		hook_check_deadline(agent);
	}
}
