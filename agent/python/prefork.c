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

#include "agent/python/python.h"

void python_init_done(struct python *python)
{
	const struct init_report report = {
		.warm = true,
		.hooks = python->hook_before || python->hook_after,
		.draws = python->draws,
		.calls = python->name,
	};
	init_done(python->run, &report);
}

void python_settle(struct python *python)
{
	python->run->hook.runs = false;
	if (python->state != PYTHON_READY || python->in_place.on || prefork_make(python) < 0 ||
		python->prefork.ready)
		hook_settled(python->run);
}

void prefork_drop(struct python *python)
{
	struct prefork *fork = &python->prefork;
	if (!fork->made)
		return;
	fork->made = false;
	/* One that is on its way still finds nobody to talk to, and ends. */
	ends_close(&fork->ends);
	kill_slot_or_group(fork->slot, fork->pid);
	slot_give_back(fork->slot);
}

/* Its ends go to the interpreter with the message. */
static int send_order(struct python *python, const struct prefork *fork, const int theirs[3])
{
	int fds[4] = { theirs[0], theirs[1], theirs[2], slot_procs(fork->slot) };
	char text[16];
	int len = snprintf(text, sizeof(text), "N%u", fork->seq);
	return sys_send_fds(python->sock, text, (size_t)len, fds, fork->slot ? 4 : 3);
}

static int make(struct python *python, struct prefork *fork)
{
	int theirs[3] = { -1, -1, -1 };
	int r = slot_take(&python->run->cgroups, &fork->slot);
	if (r == 0)
		r = ends_make(&fork->ends, theirs);
	if (r == 0)
		r = send_order(python, fork, theirs);
	for (int i = 0; i < 3; i++)
		fd_close(theirs[i]);
	return r;
}

int prefork_make(struct python *python)
{
	struct prefork *fork = &python->prefork;
	if (fork->made)
		return 0;
	if (python->sock < 0)
		return -EPIPE;
	*fork = (struct prefork){ .made = true, .seq = ++python->run->next_seq, .ends = NO_ENDS };
	int r = make(python, fork);
	if (r < 0)
		prefork_drop(python);
	return r;
}

/* What it says while nobody has asked it for anything: that it is there, or nothing more, ever. */
static void on_talk(void *owner, void *what, short events)
{
	struct python *python = owner;
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
		prefork_drop(python);
	}
	python_init_done(python);
	hook_settled(python->run);
}

void prefork_watch(struct python *python, struct loop *loop)
{
	struct prefork *fork = &python->prefork;
	/* Its end shows when something is handed to it, so a fork that is ready need not be
	 * watched. */
	if (fork->made && !fork->ready)
		loop_watch(loop, &fork->ends.talk, POLLIN, on_talk, python, fork);
}

int prefork_hand_over(struct python *python, struct request *request)
{
	struct prefork *fork = &python->prefork;
	int r = hand_over(fork->ends.talk, request, fork->copied);
	if (r < 0) {
		prefork_drop(python);
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
