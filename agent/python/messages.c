/* SPDX-License-Identifier: MIT */
/*
 * What the warm interpreter says. Messages of its socket, one datagram each:
 *
 *   to it    N seq       a fork for the next request; descriptors: stdout, stderr, its end of the
 *                        talk (handover.c), the group's cgroup.procs
 *            B, A        run the hooks: before a snapshot, after a restore
 *            W           look after the children
 *            P           calls in place from now on; descriptors: stdout, stderr, its end of the
 *                        talk, to which B and A go too
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

#include "agent/python/python.h"

#define MESSAGE_MAX (160u << 10)

static struct request *by_seq(struct run *run, unsigned long seq)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (run->requests[i].state == REQUEST_RUNNING && run->requests[i].warm &&
			run->requests[i].seq == seq)
			return &run->requests[i];
	return NULL;
}

static void take_exit(struct python *python, char *text)
{
	struct run *run = python->run;
	unsigned long seq = strtoul(text, &text, 10);
	struct request *request = by_seq(run, seq);
	struct prefork *fork = &python->prefork;
	if (request) {
		call_fork_exited(python, request, (int)strtol(text, NULL, 10));
	} else if (fork->made && fork->seq == seq) {
		fork->pid = 0; /* the number is free again */
		prefork_drop(python);
	} else if (!run->cgroups.there) {
		/* what it had started is ours since it is gone */
		kill_orphans(run, "", !request_any(run));
	}
}

static void begin_in_place(struct python *python)
{
	if (in_place_open(python) < 0)
		kill_group(python->run->interpreter); /* its end tells all who wait */
	else
		python_init_done(python);
}

/* The field behind this one, each ended by NUL; "" behind the last. */
static const char *field_behind(const char *field, const char *end)
{
	const char *next = field + strlen(field) + 1;
	return next < end ? next : "";
}

/* Behind the kind: letters; the draw of the import that no reseeding takes back; what is called. */
static void take_ready(struct python *python, const char *text, size_t len)
{
	const char *letters = field_behind(text, text + len);
	const char *draws = field_behind(letters, text + len);
	python->state = PYTHON_READY;
	cgroup_measure_worker(&python->run->cgroups);
	python->script = strcmp(text, "Rscript") == 0;
	python->hook_before = strchr(letters, 'b');
	python->hook_after = strchr(letters, 'a');
	snprintf(python->draws, sizeof(python->draws), "%s", draws);
	snprintf(python->name, sizeof(python->name), "%s", field_behind(draws, text + len));
	/* Whoever takes a snapshot now finds a fork that waits; without one the requests tell what
	 * is wrong. */
	if (strchr(letters, 'p'))
		begin_in_place(python);
	else if (prefork_make(python) < 0)
		python_init_done(python);
	call_waiting(python);
}

static void take_hook_failure(struct python *python, const char *why)
{
	python_read_log(python);
	hook_failed(python->run, why, python->log.data, python->log.len);
	python_stop(python);
}

static void take_message(struct python *python, char *text, size_t len)
{
	bool starting = python->state == PYTHON_STARTING;
	size_t error_len = strlen(text);
	switch (text[0]) {
	case 'R':
		if (starting)
			take_ready(python, text, len);
		break;
	case 'E':
		if (starting)
			python_start_failed(python, text + 1, text + error_len + 1,
				len > error_len ? len - error_len - 1 : 0);
		break;
	case 'D':
		python_settle(python);
		break;
	case 'F':
		take_hook_failure(python, text + 1);
		break;
	case 'X':
		take_exit(python, text + 1);
		break;
	default:
		break;
	}
}

/* One message; false when there is none. At the end of the stream the socket is closed. */
static bool take_next(struct python *python)
{
	static char text[MESSAGE_MAX + 1];
	ssize_t got = python->sock < 0 ? -EAGAIN : sys_recv(python->sock, text, MESSAGE_MAX, 0);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		close_fd(&python->sock);
		return false;
	}
	text[got] = 0;
	take_message(python, text, (size_t)got);
	return true;
}

static void on_sock(void *owner, void *what, short events)
{
	struct python *python = owner;
	(void)what, (void)events;
	/* Without its socket it is about to end, or has hidden it: of no more use. Its status tells
	 * more. */
	if (!take_next(python) && python->sock < 0)
		kill_group(python->run->interpreter);
}

static void on_log(void *owner, void *what, short events)
{
	(void)what, (void)events;
	python_read_log(owner);
}

void python_watch(struct python *python, struct loop *loop)
{
	loop_watch(loop, &python->sock, POLLIN, on_sock, python, NULL);
	loop_watch(loop, &python->log_fd, POLLIN, on_log, python, NULL);
	prefork_watch(python, loop);
	call_watch(python, loop);
}

/* --- its end --- */

static void tell_start_failed(struct python *python, int status)
{
	char error[128];
	if (WIFSIGNALED(status))
		snprintf(error, sizeof(error),
			"the interpreter was ended by signal %d while it imported the function",
			WTERMSIG(status));
	else
		snprintf(error, sizeof(error),
			"the interpreter ended with exit status %d while it imported the function",
			WEXITSTATUS(status));
	python_start_failed(python, error, NULL, 0);
}

/* The request that was in it ends as it did. */
static void end_in_place(struct python *python, int status)
{
	struct request *request = python->in_place.current;
	python->in_place.broken = true;
	if (!request)
		return;
	request->oom = cgroup_worker_oom(&python->run->cgroups);
	call_exited(python, request, status, 0);
}

void python_exited(struct python *python, int status)
{
	struct run *run = python->run;
	run->interpreter = 0;
	/* It may have said why, and the signal of its end was faster. */
	while (take_next(python))
		;
	if (python->state == PYTHON_OFF)
		return;
	if (python->state == PYTHON_STARTING) {
		tell_start_failed(python, status);
		return;
	}
	bool in_place = python->in_place.on;
	cgroup_kill_worker(&run->cgroups);
	if (in_place)
		end_in_place(python, status);
	python_gone(python, cgroup_worker_oom(&run->cgroups));
	hook_failed(run, "the interpreter has ended", NULL, 0);
	/* With nobody waiting the next request starts it: a module that ends by itself would be
	 * started for ever. */
	if (in_place && in_place_wanted(python))
		python_revive(python);
}

void python_check_deadline(struct python *python)
{
	char error[96];
	if (python->state == PYTHON_READY && python->run->init.pending &&
		deadline_passed(python->deadline))
		python_init_done(python);
	if (python->state != PYTHON_STARTING || !deadline_passed(python->deadline))
		return;
	snprintf(error, sizeof(error), "importing the function took longer than %u ms",
		python->timeout_ms ? python->timeout_ms : DEFAULT_TIMEOUT_MS);
	python_start_failed(python, error, NULL, 0);
}
