/* SPDX-License-Identifier: MIT */
/*
 * One request ahead: a fork of the warm interpreter that has its pipes, its group and its user, and
 * waits. A request only hands over its input, and what has to be done for the next one is done
 * after the answer. A snapshot holds the fork too, so the first call of a clone runs little more
 * than the handler. In a clone under emulation every piece of code that runs for the first time
 * costs, which counts more than what is saved in a warm VM.
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

void worker_init_done(struct worker *worker)
{
	const struct init_report report = {
		.warm = true,
		.hooks = worker->hook_before || worker->hook_after,
		.draws = worker->draws,
		.calls = worker->name,
	};
	init_done(worker->run, &report);
}

void worker_settle(struct worker *worker)
{
	worker->run->hook.runs = false;
	if (worker->state != WORKER_READY || worker->in_place.on || prefork_make(worker) < 0 ||
		worker->prefork.ready)
		hook_settled(worker->run);
}

void prefork_drop(struct worker *worker)
{
	struct prefork *fork = &worker->prefork;
	if (!fork->made)
		return;
	fork->made = false;
	/* One that is on its way still finds nobody to talk to, and ends. */
	ends_close(&fork->ends);
	kill_slot_or_group(fork->slot, fork->pid);
	slot_give_back(fork->slot);
}

/* Its ends go to the interpreter with the message. */
static int send_order(struct worker *worker, const struct prefork *fork, const int theirs[3])
{
	int fds[4] = { theirs[0], theirs[1], theirs[2], slot_procs(fork->slot) };
	char text[16];
	int len = snprintf(text, sizeof(text), "N%u", fork->seq);
	return sys_send_fds(worker->sock, text, (size_t)len, fds, fork->slot ? 4 : 3);
}

static int make(struct worker *worker, struct prefork *fork)
{
	int theirs[3] = { -1, -1, -1 };
	int r = slot_take(&worker->run->cgroups, &fork->slot);
	if (r == 0)
		r = ends_make(&fork->ends, theirs);
	if (r == 0)
		r = send_order(worker, fork, theirs);
	for (int i = 0; i < 3; i++)
		fd_close(theirs[i]);
	return r;
}

int prefork_make(struct worker *worker)
{
	struct prefork *fork = &worker->prefork;
	if (fork->made)
		return 0;
	if (worker->sock < 0)
		return -EPIPE;
	*fork = (struct prefork){ .made = true, .seq = ++worker->run->next_seq, .ends = NO_ENDS };
	int r = make(worker, fork);
	if (r < 0)
		prefork_drop(worker);
	return r;
}

/* What it says while nobody has asked it for anything: that it is there, or nothing more, ever. */
static void on_talk(void *owner, void *what, short events)
{
	struct worker *worker = owner;
	struct prefork *fork = what;
	uint8_t greeting[GREETING];
	(void)events;
	ssize_t got = sys_recv(fork->ends.talk, greeting, sizeof(greeting), 0);
	if (got == -EAGAIN)
		return;
	if (got == GREETING) {
		fork->pid = greeting_pid(greeting);
		fork->ready = true;
	} else {
		prefork_drop(worker);
	}
	worker_init_done(worker);
	hook_settled(worker->run);
}

void prefork_watch(struct worker *worker, struct loop *loop)
{
	struct prefork *fork = &worker->prefork;
	/* Its end shows when something is handed to it, so a fork that is ready need not be
	 * watched. */
	if (fork->made && !fork->ready)
		loop_watch(loop, &fork->ends.talk, POLLIN, on_talk, worker, fork);
}

int prefork_hand_over(struct worker *worker, struct request *request)
{
	struct prefork *fork = &worker->prefork;
	int r = hand_over(fork->ends.talk, worker->run, request, fork->copied);
	if (r < 0) {
		prefork_drop(worker);
		return r;
	}
	request->seq = fork->seq;
	request->pid = fork->pid;
	request->slot = fork->slot;
	request->greeted = fork->ready;
	request->output[0].fd = STEAL_FD(fork->ends.output[0]);
	request->output[1].fd = STEAL_FD(fork->ends.output[1]);
	/* What poll() has found there in this turn is the request's too: on_talk() would take the
	 * greeting from it. */
	request->result_fd = STEAL_FD(fork->ends.talk);
	fork->made = false;
	return 0;
}
