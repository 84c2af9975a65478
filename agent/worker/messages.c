/* SPDX-License-Identifier: MIT */
/*
 * What the warm interpreter says. Messages of its socket, one datagram each:
 *
 *   to it    N seq       a fork for the next request; descriptors: stdout, stderr, its end of the
 *                        talk (handover.c), the group's cgroup.procs
 *            B, A        run the hooks: before a snapshot, after a restore
 *            W           look after the children
 *            P           calls in place from now on; descriptors: stdout, stderr, its end of the
 *                        talk, to which B and A go too. A language without forks has had them
 *                        from its start, as descriptors 1, 2 and 4
 *   from it  R handler | R script, \0, b and a for hooks that it has, p for calls in place, \0,
 *            what it drew (reseed.py), \0, its name
 *                        ready
 *            D           the hooks have run
 *            F error     a hook has failed; it ends
 *            E error \0 text
 *                        the module cannot be had
 *            X seq status
 *                        that fork has ended
 */
#include <errno.h>
#include <sys/wait.h>

#include "agent/worker/worker.h"

#define MESSAGE_MAX (160u << 10)

static struct request *by_seq(struct run *run, unsigned long seq)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state == REQUEST_RUNNING && run->requests[i].warm &&
			run->requests[i].seq == seq)
			return &run->requests[i];
	return NULL;
}

static void take_exit(struct worker *worker, char *text)
{
	struct run *run = worker->run;
	unsigned long seq = strtoul(text, &text, 10);
	struct request *request = by_seq(run, seq);
	if (request) {
		call_fork_exited(worker, request, (int)strtol(text, NULL, 10));
	} else if (!prefork_exited(worker, (unsigned)seq) && !run->cgroups.there) {
		/* what it had started is ours since it is gone */
		kill_orphans(run, "", !request_any(run));
	}
}

static void begin_in_place(struct worker *worker)
{
	if (in_place_open(worker) < 0)
		kill_group(worker->run->interpreter); /* its end tells all who wait */
	else
		worker_init_done(worker);
}

/* The field behind this one, each ended by NUL; "" behind the last. */
static const char *field_behind(const char *field, const char *end)
{
	const char *next = field + strlen(field) + 1;
	return next < end ? next : "";
}

/* Behind the kind: letters; the draw of the import that no reseeding takes back; what is called. */
static void take_ready(struct worker *worker, const char *text, size_t len)
{
	const char *letters = field_behind(text, text + len);
	const char *draws = field_behind(letters, text + len);
	worker_read_log(worker);
	worker->state = WORKER_READY;
	if (!worker->run->function.once)
		cgroup_measure_worker(&worker->run->cgroups);
	worker->script = strcmp(text, "Rscript") == 0;
	worker->hook_before = strchr(letters, 'b');
	worker->hook_after = strchr(letters, 'a');
	snprintf(worker->draws, sizeof(worker->draws), "%s", draws);
	snprintf(worker->name, sizeof(worker->name), "%s", field_behind(draws, text + len));
	/* Whoever takes a snapshot now finds a fork that waits; without one the requests tell what
	 * is wrong. */
	if (strchr(letters, 'p'))
		begin_in_place(worker);
	else if (prefork_make(worker) < 0)
		worker_init_done(worker);
	call_waiting(worker);
}

static void take_hook_failure(struct worker *worker, const char *why)
{
	worker_read_log(worker);
	hook_failed(worker->run, why, worker->log.data, worker->log.len);
	worker_stop(worker);
}

static void take_message(struct worker *worker, char *text, size_t len)
{
	bool starting = worker->state == WORKER_STARTING;
	size_t error_len = strlen(text);
	switch (text[0]) {
	case 'R':
		if (starting)
			take_ready(worker, text, len);
		break;
	case 'E':
		if (starting)
			worker_start_failed(worker, text + 1, text + error_len + 1,
				len > error_len ? len - error_len - 1 : 0);
		break;
	case 'D':
		worker_read_log(worker); /* what hooks have printed is no call's */
		worker_settle(worker);
		break;
	case 'F':
		take_hook_failure(worker, text + 1);
		break;
	case 'X':
		take_exit(worker, text + 1);
		break;
	default:
		break;
	}
}

/* One message; false when there is none. At the end of the stream the socket is closed. */
static bool take_next(struct worker *worker)
{
	static char text[MESSAGE_MAX + 1];
	ssize_t got = worker->sock < 0 ? -EAGAIN : sys_recv(worker->sock, text, MESSAGE_MAX, 0);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		close_fd(&worker->sock);
		return false;
	}
	text[got] = 0;
	take_message(worker, text, (size_t)got);
	return true;
}

static void on_sock(void *owner, void *what, short events)
{
	struct worker *worker = owner;
	(void)what, (void)events;
	/* Without its socket it is about to end, or has hidden it: of no more use. Its status tells
	 * more. */
	if (!take_next(worker) && worker->sock < 0)
		kill_group(worker->run->interpreter);
}

static void on_log(void *owner, void *what, short events)
{
	(void)what, (void)events;
	worker_read_log(owner);
}

void worker_watch(struct worker *worker, struct loop *loop)
{
	loop_watch(loop, &worker->sock, POLLIN, on_sock, worker, NULL);
	loop_watch(loop, &worker->log_fd, POLLIN, on_log, worker, NULL);
	for (int n = 0; n < 2 && worker->state == WORKER_STARTING; n++)
		loop_watch(loop, &worker->in_place.ends.output[n], POLLIN, on_log, worker, NULL);
	prefork_watch(worker, loop);
	call_watch(worker, loop);
}

/* --- its end --- */

static void tell_start_failed(struct worker *worker, int status)
{
	char error[128];
	if (cgroup_worker_oom(&worker->run->cgroups))
		snprintf(error, sizeof(error),
			"out of memory: the interpreter needed more while it imported the "
			"function");
	else if (WIFSIGNALED(status))
		snprintf(error, sizeof(error),
			"the interpreter was ended by signal %d while it imported the function",
			WTERMSIG(status));
	else
		snprintf(error, sizeof(error),
			"the interpreter ended with exit status %d while it imported the function",
			WEXITSTATUS(status));
	worker_start_failed(worker, error, NULL, 0);
}

/* V8 ends its process by itself then, with these words. */
static bool heap_is_full(const struct request *request)
{
	static const char words[] = "heap out of memory";
	const struct buf *said = &request->output[1].kept;
	return said->len && memmem(said->data, said->len, words, sizeof(words) - 1);
}

/* The request that was in it ends as it did. */
static void end_in_place(struct worker *worker, int status)
{
	struct request *request = worker->in_place.current;
	worker->in_place.broken = true;
	if (request)
		call_last_words(worker, request);
	if (!request || worker->in_place.current != request)
		return;
	output_drain(request->output);
	request->oom = cgroup_worker_oom(&worker->run->cgroups) || heap_is_full(request);
	call_exited(worker, request, status, 0);
}

void worker_exited(struct worker *worker, int status)
{
	struct run *run = worker->run;
	run->interpreter = 0;
	/* It may have said why, and the signal of its end was faster. */
	while (take_next(worker))
		;
	if (worker->state == WORKER_OFF)
		return;
	if (worker->state == WORKER_STARTING) {
		tell_start_failed(worker, status);
		return;
	}
	bool in_place = worker->in_place.on;
	cgroup_kill_worker(&run->cgroups);
	if (in_place)
		end_in_place(worker, status);
	worker_gone(worker, cgroup_worker_oom(&run->cgroups));
	hook_failed(run, "the interpreter has ended", NULL, 0);
	/* With nobody waiting the next request starts it: a module that ends by itself would be
	 * started for ever. */
	if (in_place && in_place_wanted(worker))
		worker_revive(worker);
}

void worker_check_deadline(struct worker *worker)
{
	char error[96];
	if (worker->state == WORKER_READY && worker->run->init.pending &&
		deadline_passed(worker->deadline))
		worker_init_done(worker);
	if (worker->state != WORKER_STARTING || !deadline_passed(worker->deadline))
		return;
	snprintf(error, sizeof(error), "importing the function took longer than %u ms",
		worker->timeout_ms ? worker->timeout_ms : DEFAULT_TIMEOUT_MS);
	worker_start_failed(worker, error, NULL, 0);
}
