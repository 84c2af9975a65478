/* SPDX-License-Identifier: MIT */
/*
 * The warm interpreter. worker.py imports the module once; each request is a fork of it that gets
 * its pipes as descriptors over a socket. Messages of the socket, one datagram each:
 *
 *   to it    N seq             a fork for the next request; descriptors: stdout, stderr, its end of
 * the talk, the group's cgroup.procs B, A              run the hooks: before a snapshot, after a
 * restore W                 look after the children P                 calls in place from now on;
 * descriptors: stdout, stderr, its end of the talk, to which B and A go too from it  R handler | R
 * script, \0, b and a for hooks that it has, p for calls in place, \0, what it drew (reseed.py),
 * \0, its name   ready D                 the hooks have run F error           a hook has failed; it
 * ends E error \0 text   the module cannot be had X seq status      that fork has ended
 *
 * The talk with a fork (prefork.c), datagrams too:
 *
 *   from it  r pid             it waits now (pid: four bytes)
 *   to it    id \0 timeout_ms \0 flags \0 file \0 input; by flag m a second one, with the input as
 * a descriptor from it  kind, length, peak memory (four bytes each), text: the result, in pieces
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "worker.h"

#define LOG_MAX     (64u << 10)
#define MESSAGE_MAX (160u << 10)

void worker_init(struct worker *worker)
{
	*worker = (struct worker){
		.spare.talk = -1,
		.place = { .output = { -1, -1 }, .talk = -1 },
		.sock = -1,
		.log_fd = -1,
		.log = BUF_INIT(LOG_MAX),
	};
}

/* The program as a file of memory, so that it needs no place on disk that could be full, or
 * changed. */
static int program_file(void)
{
	AUTO_FD int fd = sys_memfd("nova-worker");
	int r = fd < 0 ? fd : sys_write_all(fd, worker_py, worker_py_len);
	return r < 0 ? r : STEAL_FD(fd);
}

static int spawn_worker(struct agent *agent, int sock, int log)
{
	struct worker *worker = &agent->worker;
	const struct function *function = &agent->function;
	AUTO_FD int null = sys_open("/dev/null", O_RDONLY, 0);
	char code[80], modules[PATH_MAX];
	modules_path(agent, modules, sizeof(modules));
	AUTO_FD int program = program_file();
	if (program < 0)
		return program;
	/* The program comes on the interpreter's stdin, and is put aside there once it is read. */
	if (lseek(program, 0, SEEK_SET) < 0)
		return -errno;
	/* It runs in the code's directory, from which nothing of its own is to be imported. */
	snprintf(code, sizeof(code),
		"import sys;del sys.path[0];exec(open(0,'rb',closefd=False).read())");
	const char *argv[] = { function->program, "-c", code, "3", function->file, function->module,
		function->name, agent->code_dir, modules, NULL };
	struct launch launch = {
		.program = function->program,
		.argv = (char *const *)argv,
		.env = function->env,
		.directory = agent->code_dir,
		.fds = { program, log, log },
		.keep_fd = sock,
		.cgroup_procs = agent->cgroups.there ? agent->cgroups.worker_procs : -1,
		.as_function = true,
	};
	pid_t pid = spawn(agent, &launch);
	if (pid < 0)
		return pid;
	worker->pid = pid;
	return 0;
}

static int starting(struct worker *worker, int sock, int log)
{
	buf_reset(&worker->log);
	worker->sock = sock;
	worker->log_fd = log;
	worker->state = WORKER_STARTING;
	worker->deadline =
		deadline_in_ms(worker->timeout_ms ? worker->timeout_ms : DEFAULT_TIMEOUT_MS);
	return 0;
}

int worker_start(struct agent *agent)
{
	struct worker *worker = &agent->worker;
	struct blank blank;
	int sockets[2], pipes[2];
	if (blank_take(agent, &blank)) {
		worker->pid = blank.pid;
		return starting(worker, blank.sock, blank.log_fd);
	}
	int r = sys_socketpair(SOCK_SEQPACKET, sockets);
	if (r < 0)
		return r;
	AUTO_FD int ours = sockets[0], theirs = sockets[1];
	r = sys_pipe(pipes);
	if (r < 0)
		return r;
	AUTO_FD int log_in = pipes[0], log_out = pipes[1];
	r = sys_set_nonblock(ours, true);
	if (r == 0)
		r = sys_set_nonblock(log_in, true);
	if (r == 0)
		r = spawn_worker(agent, theirs, log_out);
	return r < 0 ? r : starting(worker, STEAL_FD(ours), STEAL_FD(log_in));
}

static void forget(struct agent *agent)
{
	struct worker *worker = &agent->worker;
	worker_drop_spare(agent);
	place_close(agent);
	fd_close(worker->sock);
	fd_close(worker->log_fd);
	worker->sock = worker->log_fd = -1;
	worker->draws[0] = 0;
	worker->pid = 0;
	worker->state = WORKER_OFF;
}

void worker_stop(struct agent *agent)
{
	struct worker *worker = &agent->worker;
	if (worker->state == WORKER_OFF)
		return;
	cgroup_kill_worker(agent);
	kill_group(worker->pid);
	forget(agent);
	request_worker_lost(agent, false);
}

static void read_log(struct worker *worker)
{
	uint8_t block[4096];
	ssize_t got;
	while (worker->log_fd >= 0 &&
		(got = sys_read(worker->log_fd, block, sizeof(block))) != -EAGAIN) {
		if (got <= 0) {
			fd_close(worker->log_fd);
			worker->log_fd = -1;
			return;
		}
		if (worker->log.len + (size_t)got > LOG_MAX)
			buf_consume(&worker->log, worker->log.len + (size_t)got - LOG_MAX);
		buf_append(&worker->log, block, (size_t)got);
	}
}

/* It could not take the module, or fell over it: nothing can run, and who waits is told why. */
static void start_failed(struct agent *agent, const char *error, const void *text, size_t text_len)
{
	struct worker *worker = &agent->worker;
	if (!text_len) {
		read_log(worker);
		text = worker->log.data;
		text_len = worker->log.len;
	}
	cgroup_kill_worker(agent);
	kill_group(worker->pid);
	forget(agent);
	request_worker_failed(agent, error, text, text_len);
	message_init_failed(agent, error, text, text_len);
}

void worker_check_deadline(struct agent *agent)
{
	struct worker *worker = &agent->worker;
	char error[96];
	if (worker->state == WORKER_READY && agent->init.pending &&
		deadline_passed(worker->deadline))
		message_init_done(agent, true);
	if (worker->state != WORKER_STARTING || !deadline_passed(worker->deadline))
		return;
	snprintf(error, sizeof(error), "importing the function took longer than %u ms",
		worker->timeout_ms ? worker->timeout_ms : DEFAULT_TIMEOUT_MS);
	start_failed(agent, error, NULL, 0);
}

static struct request *by_seq(struct agent *agent, unsigned long seq)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->requests[i].state == REQUEST_RUNNING && agent->requests[i].warm &&
			agent->requests[i].seq == seq)
			return &agent->requests[i];
	return NULL;
}

static void take_exit(struct agent *agent, char *text)
{
	unsigned long seq = strtoul(text, &text, 10);
	struct request *request = by_seq(agent, seq);
	struct spare *spare = &agent->worker.spare;
	if (request)
		request_fork_exited(agent, request, (int)strtol(text, NULL, 10));
	else if (spare->made && spare->seq == seq) {
		spare->pid = 0; /* the number is free again */
		worker_drop_spare(agent);
	} else if (!agent->cgroups.there)
		/* what it had started is ours since it is gone */
		kill_orphans(agent, "", !request_any(agent));
}

static void begin_in_place(struct agent *agent)
{
	if (place_open(agent) < 0)
		kill_group(agent->worker.pid); /* its end tells all who wait */
	else
		message_init_done(agent, true);
}

/* The field behind this one, each ended by NUL; "" behind the last. */
static const char *field_behind(const char *field, const char *end)
{
	const char *next = field + strlen(field) + 1;
	return next < end ? next : "";
}

/* Behind the kind: letters; the draw of the import that no reseeding takes back; what is called. */
static void take_ready(struct agent *agent, const char *text, size_t len)
{
	struct worker *worker = &agent->worker;
	const char *letters = field_behind(text, text + len),
		   *draws = field_behind(letters, text + len);
	worker->state = WORKER_READY;
	cgroup_measure_worker(agent);
	worker->script = strcmp(text, "Rscript") == 0;
	worker->hook_before = strchr(letters, 'b');
	worker->hook_after = strchr(letters, 'a');
	snprintf(worker->draws, sizeof(worker->draws), "%s", draws);
	snprintf(worker->name, sizeof(worker->name), "%s", field_behind(draws, text + len));
	/* Whoever takes a snapshot now finds a fork that waits; without one the requests tell what
	 * is wrong. */
	if (strchr(letters, 'p'))
		begin_in_place(agent);
	else if (worker_prefork(agent) < 0)
		message_init_done(agent, true);
	request_worker_ready(agent);
}

static void take_message(struct agent *agent, char *text, size_t len)
{
	struct worker *worker = &agent->worker;
	size_t error_len = strlen(text);
	switch (text[0]) {
	case 'R':
		if (worker->state == WORKER_STARTING)
			take_ready(agent, text, len);
		break;
	case 'E':
		if (worker->state == WORKER_STARTING)
			start_failed(agent, text + 1, text + error_len + 1,
				len > error_len ? len - error_len - 1 : 0);
		break;
	case 'D':
		hook_done(agent);
		break;
	case 'F':
		read_log(worker);
		hook_failed(agent, text + 1, worker->log.data, worker->log.len);
		worker_stop(agent);
		break;
	case 'X':
		take_exit(agent, text + 1);
		break;
	default:
		break;
	}
}

/* One message; false when there is none. At the end of the stream the socket is closed. */
static bool take_next(struct agent *agent)
{
	static char text[MESSAGE_MAX + 1];
	struct worker *worker = &agent->worker;
	ssize_t got = worker->sock < 0 ? -EAGAIN : sys_recv(worker->sock, text, MESSAGE_MAX, 0);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		fd_close(worker->sock);
		worker->sock = -1;
		return false;
	}
	text[got] = 0;
	take_message(agent, text, (size_t)got);
	return true;
}

static void on_sock(struct agent *agent, void *what, short events)
{
	struct worker *worker = what;
	(void)events;
	/* Without its socket it is about to end, or has hidden it: of no more use. Its status tells
	 * more. */
	if (!take_next(agent) && worker->sock < 0)
		kill_group(worker->pid);
}

/* The request that was in it ends as it did. */
static void end_in_place(struct agent *agent, int status)
{
	struct place *place = &agent->worker.place;
	place->broken = true;
	if (!place->current)
		return;
	place->current->oom = cgroup_worker_oom(agent);
	request_exited(agent, place->current, status, 0);
}

void worker_revive(struct agent *agent)
{
	int r = agent->function.runtime && agent->worker.state == WORKER_OFF ? worker_start(agent) :
									       0;
	if (r < 0)
		request_worker_failed(agent, strerror(-r), NULL, 0);
}

void worker_exited(struct agent *agent, int status)
{
	struct worker *worker = &agent->worker;
	char error[128];
	worker->pid = 0;
	/* It may have said why, and the signal of its end was faster. */
	while (take_next(agent))
		;
	if (worker->state == WORKER_OFF)
		return;
	if (worker->state == WORKER_STARTING) {
		if (WIFSIGNALED(status))
			snprintf(error, sizeof(error),
				"the interpreter was ended by signal %d while it imported the "
				"function",
				WTERMSIG(status));
		else
			snprintf(error, sizeof(error),
				"the interpreter ended with exit status %d while it imported the "
				"function",
				WEXITSTATUS(status));
		start_failed(agent, error, NULL, 0);
		return;
	}
	bool in_place = worker->place.on;
	cgroup_kill_worker(agent);
	if (in_place)
		end_in_place(agent, status);
	forget(agent);
	request_worker_lost(agent, cgroup_worker_oom(agent));
	hook_failed(agent, "the interpreter has ended", NULL, 0);
	/* With nobody waiting the next request starts it: a module that ends by itself would be
	 * started for ever. */
	if (in_place && place_wanted(agent))
		worker_revive(agent);
}

static void on_log(struct agent *agent, void *what, short events)
{
	(void)agent, (void)events;
	read_log(what);
}

void worker_watch(struct agent *agent)
{
	struct worker *worker = &agent->worker;
	loop_watch(agent, &worker->sock, POLLIN, on_sock, worker);
	loop_watch(agent, &worker->log_fd, POLLIN, on_log, worker);
	worker_watch_spare(agent);
}

int worker_hook(struct agent *agent, bool before)
{
	/* The fork that waits has the state from before. */
	worker_drop_spare(agent);
	buf_reset(&agent->worker.log);
	if (agent->worker.place.on)
		return place_tell(agent, before ? "B" : "A");
	ssize_t put = sys_send(agent->worker.sock, before ? "B" : "A", 1, MSG_DONTWAIT);
	return put < 0 ? (int)put : 0;
}

/* Python runs its signal handlers between two steps only: a signal just before it waits is not seen
 * until a message comes. */
void worker_nudge(struct agent *agent)
{
	if (agent->worker.sock >= 0)
		sys_send(agent->worker.sock, "W", 1, MSG_DONTWAIT);
}
