/* SPDX-License-Identifier: MIT */
/*
 * Calls in place: a module that says so has its handler called in the interpreter itself, one call
 * at a time, without a fork. The interpreter has one pair of pipes and one talk for all of them,
 * which a request borrows while it is the one that runs. What has to be killed takes the
 * interpreter with it, and a new one is started.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "agent/agent.h"

static void close_fd(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

static int give_ends(struct place *place, int sock)
{
	AUTO_FD int out = -1, err = -1, talk = -1;
	int ends[2];
	int r = pipe_from(&place->output[0], &out);
	if (r == 0)
		r = pipe_from(&place->output[1], &err);
	if (r == 0)
		r = sys_socketpair(SOCK_SEQPACKET, ends);
	if (r < 0)
		return r;
	place->talk = ends[0];
	talk = ends[1];
	r = sys_set_nonblock(place->talk, true);
	return r < 0 ? r : sys_send_fds(sock, "P", 1, (int[]){ out, err, talk }, 3);
}

int place_open(struct agent *agent)
{
	struct place *place = &agent->worker.place;
	*place = (struct place){ .on = true, .output = { -1, -1 }, .talk = -1 };
	return give_ends(place, agent->worker.sock);
}

void place_close(struct agent *agent)
{
	struct place *place = &agent->worker.place;
	if (!place->on)
		return;
	if (place->current)
		request_return_ends(place->current);
	close_fd(&place->talk);
	close_fd(&place->output[0]);
	close_fd(&place->output[1]);
	*place = (struct place){ .on = false, .output = { -1, -1 }, .talk = -1 };
}

/* Those that came first go first. */
static struct request *first_waiting(struct agent *agent)
{
	struct request *first = NULL;
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->requests[i];
		if (request->state == REQUEST_WAITING && request->warm &&
			(!first || request->seq < first->seq))
			first = request;
	}
	return first;
}

bool place_wanted(struct agent *agent)
{
	return first_waiting(agent) != NULL;
}

void place_next(struct agent *agent)
{
	struct place *place = &agent->worker.place;
	struct request *request =
		agent->worker.state == WORKER_READY && !place->current && !place->broken ?
			first_waiting(agent) :
			NULL;
	if (!request)
		return;
	if (worker_say(place->talk, request, place->copied) < 0) {
		/* It is about to end, or has hidden its socket; whoever waits gets the next one. */
		kill_group(agent->worker.pid);
		return;
	}
	place->copied = false;
	place->current = request;
	request_lend_ends(request, place->talk, place->output);
}

void place_cut_off(struct agent *agent, struct request *request)
{
	cgroup_kill_worker(agent);
	kill_group(agent->worker.pid);
	agent->worker.place.broken = true; /* nobody else is let in */
	request_finish(agent, request);
	worker_stop(agent);
	worker_revive(agent);
}

int place_tell(struct agent *agent, const char *what)
{
	ssize_t put = sys_send(agent->worker.place.talk, what, 1, MSG_DONTWAIT);
	return put < 0 ? (int)put : 0;
}
