/* SPDX-License-Identifier: MIT */
/*
 * Requests ahead: forks of the warm interpreter that have their pipes, their group and their user,
 * and wait. A request only hands over its input. A snapshot holds the forks too, so the first call
 * of a clone runs little more than the handler: in a clone under emulation every piece of code that
 * runs for the first time costs, which counts more than what is saved in a warm VM.
 *
 * There are two: the second is for the call behind the next one, and what a call took is made anew
 * only when none has come for a while. So a machine that is to be frozen, or ended, right after an
 * answer need not wait for it, and clones that are called once never make one.
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

#define REFILL_MS 50

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

/* --- one of them --- */

static void drop(struct prefork *fork)
{
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

static int make_ends(struct worker *worker, struct prefork *fork)
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

static int make(struct worker *worker, struct prefork *fork)
{
	if (worker->sock < 0)
		return -EPIPE;
	*fork = (struct prefork){ .made = true, .seq = ++worker->run->next_seq, .ends = NO_ENDS };
	int r = make_ends(worker, fork);
	if (r < 0)
		drop(fork);
	return r;
}

/* --- all of them --- */

static bool is_before(const struct prefork *a, const struct prefork *b)
{
	return a->ready != b->ready ? a->ready : a->seq < b->seq;
}

/* The oldest that waits, else one that is on its way; NULL: none. */
static struct prefork *next(struct worker *worker)
{
	struct prefork *first = NULL;
	for (size_t i = 0; i < PREFORKS; i++) {
		struct prefork *fork = &worker->preforks[i];
		if (fork->made && (!first || is_before(fork, first)))
			first = fork;
	}
	return first;
}

static bool on_the_way(const struct worker *worker)
{
	for (size_t i = 0; i < PREFORKS; i++)
		if (worker->preforks[i].made && !worker->preforks[i].ready)
			return true;
	return false;
}

int prefork_make(struct worker *worker)
{
	return next(worker) ? 0 : make(worker, &worker->preforks[0]);
}

void prefork_make_all(struct worker *worker)
{
	worker->refill_at = NEVER;
	for (size_t i = 0; i < PREFORKS; i++)
		if (!worker->preforks[i].made)
			make(worker, &worker->preforks[i]);
}

/* At once if calls come one upon the other: the next one would wait for all of it. */
void prefork_make_later(struct worker *worker)
{
	if (worker->refill_at != NEVER)
		prefork_make(worker);
	worker->refill_at = deadline_in_ms(REFILL_MS);
}

uint64_t prefork_deadline(const struct worker *worker)
{
	return request_any(worker->run) ? NEVER : worker->refill_at;
}

void prefork_check_deadline(struct worker *worker)
{
	if (deadline_passed(prefork_deadline(worker)))
		prefork_make_all(worker);
}

void prefork_drop_all(struct worker *worker)
{
	worker->refill_at = NEVER;
	for (size_t i = 0; i < PREFORKS; i++)
		drop(&worker->preforks[i]);
}

/* One is there, or will never be: who waits for it goes on. */
static void note_one_less(struct worker *worker)
{
	worker_init_done(worker);
	if (!on_the_way(worker))
		hook_settled(worker->run);
}

bool prefork_exited(struct worker *worker, unsigned seq)
{
	for (size_t i = 0; i < PREFORKS; i++) {
		struct prefork *fork = &worker->preforks[i];
		if (!fork->made || fork->seq != seq)
			continue;
		fork->pid = 0; /* the number is free again */
		drop(fork);
		note_one_less(worker);
		return true;
	}
	return false;
}

void prefork_copied(struct worker *worker)
{
	for (size_t i = 0; i < PREFORKS; i++)
		worker->preforks[i].copied = true;
}

/* --- what waits for them --- */

/* A machine that has just answered is frozen as it is, with one that waits: what is made anew later
 * would be made by each copy of it. A copy is about to be called, and needs but one. */
void worker_settle(struct worker *worker)
{
	worker->run->hook.runs = false;
	if (worker->state == WORKER_READY && !worker->in_place.on) {
		if (worker->run->hook.before && worker->refill_at == NEVER)
			prefork_make_all(worker);
		else
			prefork_make(worker);
		worker->refill_at = NEVER;
	}
	if (worker->state != WORKER_READY || !on_the_way(worker))
		hook_settled(worker->run);
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
		drop(fork);
	}
	note_one_less(worker);
}

void prefork_watch(struct worker *worker, struct loop *loop)
{
	for (size_t i = 0; i < PREFORKS; i++) {
		struct prefork *fork = &worker->preforks[i];
		/* Its end shows when something is handed to it, so a fork that is ready need not be
		 * watched. */
		if (fork->made && !fork->ready)
			loop_watch(loop, &fork->ends.talk, POLLIN, on_talk, worker, fork);
	}
}

int prefork_hand_over(struct worker *worker, struct request *request)
{
	struct prefork *fork = next(worker);
	int r = fork ? hand_over(fork->ends.talk, worker->run, request, fork->copied) : -EPIPE;
	if (fork && r < 0)
		drop(fork);
	if (r < 0)
		return r;
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
