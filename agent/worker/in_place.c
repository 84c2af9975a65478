/* SPDX-License-Identifier: MIT */
/*
 * Calls in place: a module that says so has its handler called in the interpreter itself, one call
 * at a time, without a fork. The interpreter has one pair of pipes and one talk for all of them,
 * which a request borrows while it is the one that runs. What has to be killed takes the
 * interpreter with it, and a new one is started.
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

int in_place_open(struct worker *worker)
{
	struct in_place *self = &worker->in_place;
	int theirs[3] = { -1, -1, -1 };
	self->on = worker->run->keeps_tmp = true;
	self->broken = self->copied = false;
	if (!worker->language->forks)
		return 0; /* it has had them from its start */
	int r = ends_make(&self->ends, theirs);
	if (r == 0)
		r = sys_send_fds(worker->sock, "P", 1, theirs, 3);
	for (int i = 0; i < 3; i++)
		fd_close(theirs[i]);
	return r;
}

void in_place_close(struct worker *worker)
{
	struct in_place *self = &worker->in_place;
	if (self->current)
		request_return_ends(self->current);
	ends_close(&self->ends);
	*self = (struct in_place){ .on = false, .ends = NO_ENDS };
	worker->run->keeps_tmp = false;
}

/* Those that came first go first. */
static struct request *first_waiting(struct run *run)
{
	struct request *first = NULL;
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &run->requests[i];
		if (request->state == REQUEST_WAITING && request->warm &&
			(!first || request->seq < first->seq))
			first = request;
	}
	return first;
}

bool in_place_wanted(struct worker *worker)
{
	return first_waiting(worker->run) != NULL;
}

/* Its input becomes a file for a script, and where it cannot go as a descriptor. A script's output
 * is what it prints. */
static int prepare(const struct worker *worker, struct request *request)
{
	bool large = request->input.len > INLINE_MAX && !worker->language->forks;
	if (!worker->script && !large)
		return 0;
	if (worker->script)
		request->output[0].kept.max = PROTO_OUTPUT_MAX;
	return request_write_input(worker->run, request);
}

void in_place_next(struct worker *worker)
{
	struct in_place *self = &worker->in_place;
	bool is_free = worker->state == WORKER_READY && !self->current && !self->broken;
	struct request *request = is_free ? first_waiting(worker->run) : NULL;
	if (!request)
		return;
	int r = prepare(worker, request);
	if (r < 0) {
		request_refuse(worker->run, request, "internal",
			"the request cannot be given to the interpreter", r);
		return;
	}
	if (hand_over(self->ends.talk, worker->run, request, self->copied) < 0) {
		/* It is about to end, or has hidden its socket; whoever waits gets the next one. */
		kill_group(worker->run->interpreter);
		return;
	}
	self->copied = false;
	self->current = request;
	request_lend_ends(request, self->ends.talk, self->ends.output);
}

int in_place_tell(struct worker *worker, const char *what)
{
	ssize_t put = sys_send(worker->in_place.ends.talk, what, 1, MSG_DONTWAIT);
	return put < 0 ? (int)put : 0;
}
