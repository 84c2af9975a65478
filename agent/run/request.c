/* SPDX-License-Identifier: MIT */
/* A request under way: its pipes, its time, its end. Every path out leads through request_finish(),
 * which answers once. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"

#define RESULT_HEAD 9 /* kind; length and peak memory, four bytes each: see worker.py */
#define MOST_TRIES  3 /* forks for one request, when they end before they have read it */
#define READ_BLOCK  (64u << 10)

struct request *request_find(struct agent *agent, const char *id)
{
	for (size_t i = 0; i < MAX_REQUESTS && *id; i++)
		if (agent->requests[i].state != REQUEST_FREE &&
			strcmp(agent->requests[i].id, id) == 0)
			return &agent->requests[i];
	return NULL;
}

bool request_any(const struct agent *agent)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->requests[i].state != REQUEST_FREE)
			return true;
	return false;
}

struct request *request_new(struct agent *agent, const char *id)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->requests[i];
		if (request->state != REQUEST_FREE)
			continue;
		*request = (struct request){
			.state = REQUEST_WAITING, .seq = ++agent->next_seq, .start = clock_ns()
		};
		request->result_fd = request->stdin_fd = -1;
		request->result = BUF_INIT(PROTO_OUTPUT_JSON_MAX + RESULT_HEAD);
		for (int n = 0; n < 2; n++)
			request->output[n] =
				(struct output){ .fd = -1, .kept = BUF_INIT(OUTPUT_CAP) };
		memcpy(request->id, id, strlen(id) + 1);
		return request;
	}
	return NULL;
}

/* --- the end --- */

static void close_fd(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

static void kill_processes(struct request *request)
{
	if (request->slot) {
		slot_kill(request->slot);
		return;
	}
	kill_group(request->pid);
}

/* One read; false at the end, and when there is nothing now. */
static bool read_output(struct output *out)
{
	static uint8_t block[READ_BLOCK];
	ssize_t got = sys_read(out->fd, block, sizeof(block));
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		if (!out->borrowed)
			fd_close(out->fd);
		out->fd = -1;
		return false;
	}
	if (out->whole && buf_append(&out->unsent, block, (size_t)got) < 0)
		out->truncated = true;
	size_t room = out->kept.max - out->kept.len, take = (size_t)got < room ? (size_t)got : room;
	out->total += (size_t)got;
	if (buf_append(&out->kept, block, take) < 0 || take < (size_t)got)
		out->truncated = true;
	return true;
}

/* What is in a pipe when the process is gone. Bounded: leftovers may be writing still. */
static void drain(struct request *request)
{
	for (int n = 0; n < 2; n++)
		for (int i = 0; i < 32 && request->output[n].fd >= 0; i++)
			if (!read_output(&request->output[n]))
				break;
}

void request_lend_ends(struct request *request, int talk, const int output[2])
{
	request->state = REQUEST_RUNNING;
	request->in_place = request->greeted = true;
	request->result_fd = talk;
	for (int n = 0; n < 2; n++) {
		request->output[n].fd = output[n];
		request->output[n].borrowed = true;
	}
}

void request_return_ends(struct request *request)
{
	request->result_fd = request->output[0].fd = request->output[1].fd = -1;
}

/* Frees all that the request has, and ends what it left behind. */
static void release(struct agent *agent, struct request *request)
{
	bool in_place = request->in_place;
	if (in_place)
		request_return_ends(request);
	else
		kill_processes(request);
	request->state = REQUEST_FREE;
	slot_give_back(request->slot);
	for (int n = 0; n < 2; n++) {
		close_fd(&request->output[n].fd);
		buf_free(&request->output[n].kept);
		buf_free(&request->output[n].unsent);
	}
	close_fd(&request->result_fd);
	close_fd(&request->stdin_fd);
	buf_free(&request->result);
	buf_free(&request->input);
	buf_free(&request->stdin_data);
	if (request->input_path)
		unlink(request->input_path);
	free(request->input_path);
	request->input_path = NULL;
	if (agent->worker.place.current == request)
		agent->worker.place.current = NULL;
	if (!agent->cgroups.there && !in_place)
		kill_orphans(agent, request->id, !request_any(agent));
}

void request_finish(struct agent *agent, struct request *request)
{
	drain(request);
	if (request->signal == SIGKILL || request->timed_out || request->exit_code)
		request->oom = (slot_oom(request->slot) || request->oom) && !request->timed_out &&
			       !request->canceled;
	answer_stream(agent, request, true);
	answer_result(agent, request);
	bool warm = request->warm;
	bool tidy = request->tidy && !agent->worker.place.on;
	release(agent, request);
	if (tidy && !request_any(agent))
		tmp_clean(agent);
	if (agent->worker.place.on)
		place_next(agent);
	/* Failing is no harm: the next request tries it again, and tells. */
	else if (warm && agent->worker.state == WORKER_READY)
		worker_prefork(agent);
}

static void refuse(
	struct agent *agent, struct request *request, const char *code, const char *what, int r)
{
	answer_refused(agent, request->id, code, "%s: %s", what, strerror(-r));
	release(agent, request);
}

void request_exited(struct agent *agent, struct request *request, int status, uint64_t peak_kb)
{
	request->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	request->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	request->peak_kb = peak_kb;
	/* The group still holds what it left, but its own number may be given to another from now
	 * on. */
	/* 0: it had not said its name yet; that would be our own group */
	if (!request->slot && request->pid > 1)
		kill(-request->pid, SIGKILL);
	request->pid = 0;
	request_finish(agent, request);
}

void request_drop_all(struct agent *agent)
{
	bool in_place = agent->worker.place.current;
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (agent->requests[i].state != REQUEST_FREE)
			release(agent, &agent->requests[i]);
	/* It is still in the handler, and would give its answer to the next one. */
	if (in_place)
		worker_stop(agent);
}

/* It has no more time, or is not wanted any more. */
static void cut_off(struct agent *agent, struct request *request)
{
	/* As a shell's user knows it from a process that was killed. */
	request->signal = SIGKILL;
	if (request->in_place) {
		place_cut_off(agent, request);
		return;
	}
	kill_processes(request);
	/* An interpreter that did not even begin is stopped, or stuck. */
	if (request->warm && !request->pid && request->state == REQUEST_RUNNING)
		worker_stop(agent);
	if (request->state != REQUEST_FREE)
		request_finish(agent, request);
}

void request_check_deadlines(struct agent *agent)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->requests[i];
		if (request->state == REQUEST_FREE || !deadline_passed(request->deadline))
			continue;
		request->timed_out = true;
		cut_off(agent, request);
	}
}

void request_cancel(struct agent *agent, struct request *request)
{
	if (request->state == REQUEST_WAITING) {
		answer_refused(agent, request->id, "canceled",
			"the request was cancelled before it began");
		release(agent, request);
		return;
	}
	request->canceled = true;
	cut_off(agent, request);
}

void request_refuse(struct agent *agent, struct request *request, const char *why)
{
	if (request->in_place) {
		cut_off(agent, request); /* which answers it; the interpreter has to end */
		return;
	}
	answer_refused(agent, request->id, "invalid", "%s", why);
	release(agent, request);
}

/* --- while it runs --- */

static void on_output(struct agent *agent, void *what, short events)
{
	struct output *out = what;
	(void)events, (void)agent;
	for (int i = 0; i < 4 && out->fd >= 0 && !flow_is_full(out); i++)
		if (!read_output(out))
			break;
}

static void on_stdin(struct agent *agent, void *what, short events)
{
	struct request *request = what;
	(void)events;
	ssize_t put =
		sys_write(request->stdin_fd, request->stdin_data.data, request->stdin_data.len);
	if (put > 0)
		buf_consume(&request->stdin_data, (size_t)put);
	if (put < 0 && put != -EAGAIN)
		flow_stdin_refused(request);
	else if (put > 0)
		flow_stdin_taken(agent, request, (size_t)put);
}

/* As worker.py words it. */
#define TOO_DEEP                                                                                   \
	"ValueError: the handler's return value is nested too deeply: 512 levels are the limit"
#define NOT_UNDERSTOOD                                                                             \
	"the interpreter's result cannot be understood (did the function write to its "            \
	"descriptor?)"

static uint32_t number_at(const uint8_t *bytes)
{
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static int exit_number(const struct buf *digits)
{
	int value = 0;
	for (size_t i = 0; i < digits->len && digits->data[i] >= '0' && digits->data[i] <= '9'; i++)
		value = (value * 10 + (digits->data[i] - '0')) & 0xffff;
	return value & 255;
}

/* The interpreter's word on how it went; the function could have written there too, so nothing is
 * taken for granted. */
static void take_result(struct agent *agent, struct request *request)
{
	struct buf *result = &request->result;
	request->kind = (char)result->data[0];
	request->peak_kb = number_at(result->data + 5);
	buf_consume(result, RESULT_HEAD);
	struct json_fault fault = { 0, false };
	if (request->kind == 'X') {
		request->exit_code = exit_number(result);
	} else if (request->kind == 'E') {
		request->exit_code = 1;
	} else if (request->kind != 'R' ||
		   !json_text_check((char *)result->data, result->len, PROTO_DEPTH_USER, &fault)) {
		request->kind = 'E';
		request->exit_code = 1;
		buf_reset(result);
		buf_append_str(result, fault.too_deep ? TOO_DEEP : NOT_UNDERSTOOD);
	}
	request_finish(agent, request);
}

static bool try_again(struct agent *agent, struct request *request);

/* One piece of the result; false when there was none. */
static bool take_piece(struct agent *agent, struct request *request)
{
	struct buf *result = &request->result;
	size_t want =
		READ_BLOCK < result->max - result->len ? READ_BLOCK : result->max - result->len;
	uint8_t *to = want ? buf_reserve(result, want) : NULL;
	ssize_t got = to ? sys_read(request->result_fd, to, want) : 0;
	if (got == -EAGAIN ||
		(got == -ECONNRESET && !request->in_place && try_again(agent, request)))
		return false;
	if (got <= 0) {
		/* The process ended without a word; the interpreter, its parent, will tell how. */
		if (request->in_place)
			request->result_fd = -1;
		else
			close_fd(&request->result_fd);
		worker_nudge(agent);
		return false;
	}
	result->len += (size_t)got;
	if (!request->greeted && result->len >= GREETING) {
		request->greeted = true;
		request->pid = worker_greeting(result->data);
		buf_consume(result, GREETING);
	}
	if (request->greeted && result->len >= RESULT_HEAD &&
		result->len - RESULT_HEAD >= number_at(result->data + 1))
		take_result(agent, request);
	return true;
}

static void on_result(struct agent *agent, void *what, short events)
{
	(void)events;
	take_piece(agent, what);
}

void request_fork_exited(struct agent *agent, struct request *request, int status)
{
	unsigned seq = request->seq;
	/* Its last words are in the socket, if it had any. */
	while (request->result_fd >= 0 && request->state == REQUEST_RUNNING &&
		request->seq == seq && take_piece(agent, request))
		;
	if (request->state == REQUEST_RUNNING && request->seq == seq)
		request_exited(agent, request, status, 0);
}

void request_watch(struct agent *agent, struct request *request)
{
	loop_watch(agent, &request->result_fd, POLLIN, on_result, request);
	for (int n = 0; n < 2; n++)
		if (!flow_is_full(&request->output[n]))
			loop_watch(agent, &request->output[n].fd, POLLIN, on_output,
				&request->output[n]);
	if (request->stdin_data.len)
		loop_watch(agent, &request->stdin_fd, POLLOUT, on_stdin, request);
}

/* --- the beginning --- */

/* A pipe of which we read, without blocking; the other end blocks, as a program expects. It belongs
 * to the function's user, who then can open /dev/stdout and the like. */
int pipe_from(int *ret_ours, int *ret_theirs)
{
	int ends[2];
	int r = sys_pipe(ends);
	if (r < 0)
		return r;
	*ret_ours = ends[0];
	*ret_theirs = ends[1];
	if (getpid() == 1 && fchown(ends[1], FUNCTION_UID, FUNCTION_UID) < 0)
		return -errno;
	return sys_set_nonblock(ends[0], true);
}

static int stdin_pipe(int *ret_ours, int *ret_theirs)
{
	int ends[2];
	int r = sys_pipe(ends);
	if (r < 0)
		return r;
	*ret_ours = ends[1];
	*ret_theirs = ends[0];
	return sys_set_nonblock(ends[1], true);
}

/* In a place of its own, which a full /tmp cannot deny us. */
static int write_input(struct agent *agent, struct request *request)
{
	request->input_path = str_format("%s/input-%u.json", agent->input_dir, request->seq);
	if (!request->input_path)
		return -ENOMEM;
	AUTO_FD int fd = sys_open(request->input_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	int r = fd < 0 ? fd : sys_write_all(fd, request->input.data, request->input.len);
	if (r == 0 && agent->pid1 && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0)
		r = -errno;
	buf_free(&request->input);
	return r;
}

static int take_slot(struct agent *agent, struct request *request)
{
	request->slot = slot_take(agent);
	return agent->cgroups.there && !request->slot ? -EAGAIN : 0;
}

static void run_warm(struct agent *agent, struct request *request)
{
	if (agent->worker.script)
		request->output[0].kept.max = PROTO_OUTPUT_MAX; /* it is the output */
	int r = agent->worker.script && !request->input_path ? write_input(agent, request) : 0;
	while (r == 0) {
		r = worker_prefork(agent);
		if (r == 0)
			r = worker_hand_over(agent, request);
		if (r != -EPIPE || agent->worker.sock < 0 || ++request->tries >= MOST_TRIES)
			break;
		r = 0; /* the fork was gone; nothing of the request has been read */
	}
	request->state = REQUEST_RUNNING;
	if (r < 0)
		refuse(agent, request, "internal", "the request cannot be given to the interpreter",
			r);
}

/* The fork was gone before it read its request: nothing has run yet, so another one can have it. */
static bool try_again(struct agent *agent, struct request *request)
{
	if (agent->worker.state != WORKER_READY || ++request->tries >= MOST_TRIES ||
		(!request->input.len && !request->input_path))
		return false;
	kill_processes(request);
	slot_give_back(request->slot);
	request->slot = NULL;
	request->pid = 0;
	close_fd(&request->output[0].fd);
	close_fd(&request->output[1].fd);
	close_fd(&request->result_fd);
	run_warm(agent, request);
	return true;
}

/* Starts a program for the request; 0 or -errno, without an answer. */
static int run_program(struct agent *agent, struct request *request, struct launch *launch)
{
	AUTO_FD int in = -1, out = -1, err = -1;
	int r = take_slot(agent, request);
	if (r == 0)
		r = pipe_from(&request->output[0].fd, &out);
	if (r == 0)
		r = pipe_from(&request->output[1].fd, &err);
	if (r == 0 && (request->stdin_data.len || request->flows))
		r = stdin_pipe(&request->stdin_fd, &in);
	else if (r == 0 && (in = sys_open("/dev/null", O_RDONLY, 0)) < 0)
		r = in;
	if (r < 0)
		return r;
	launch->fds[0] = in;
	launch->fds[1] = out;
	launch->fds[2] = err;
	launch->keep_fd = -1;
	launch->cgroup_procs = request->slot ? request->slot->procs : -1;
	pid_t pid = spawn(agent, launch);
	if (pid < 0)
		return pid;
	request->pid = pid;
	request->state = REQUEST_RUNNING;
	return 0;
}

static char **exec_env(const struct agent *agent, const struct request *request)
{
	char **env = env_make(NULL, NULL);
	int r = env ? env_add(&env, "NOVA_REQUEST_ID", request->id) : -ENOMEM;
	for (char **at = agent->function.env; r == 0 && *at; at++) {
		char *equals = strchr(*at, '=');
		*equals = 0;
		r = env_add(&env, *at, equals + 1);
		*equals = '=';
	}
	if (r == 0)
		return env;
	strings_free(env);
	return NULL;
}

static void exec_argv(const struct function *function, const char *input, const char *argv[8])
{
	size_t n = 0;
	if (function->program)
		argv[n++] = function->program;
	for (const char *const *at = function->runtime->before; *at; at++)
		argv[n++] = *at;
	argv[n++] = function->file;
	argv[n++] = input;
	argv[n] = NULL;
}

static void run_function(struct agent *agent, struct request *request)
{
	const struct function *function = &agent->function;
	const char *argv[8];
	request->output[0].kept.max = PROTO_OUTPUT_MAX;
	int r = write_input(agent, request);
	char **env = r == 0 ? exec_env(agent, request) : NULL;
	if (r == 0 && !env)
		r = -ENOMEM;
	if (r == 0) {
		exec_argv(function, request->input_path, argv);
		struct launch launch = {
			.program = argv[0],
			.argv = (char *const *)argv,
			.env = env,
			.directory = agent->code_dir,
			.as_function = true,
		};
		r = run_program(agent, request, &launch);
	}
	strings_free(env);
	if (r < 0)
		refuse(agent, request,
			r == -ENOMEM || r == -EAGAIN || r == -ENOSPC ? "internal" : "code",
			"the function cannot be started", r);
}

void request_exec(struct agent *agent, struct request *request)
{
	if (!agent->function.runtime->warm) {
		run_function(agent, request);
		return;
	}
	request->warm = true;
	if (agent->worker.state == WORKER_READY && agent->worker.place.on) {
		place_next(agent);
		return;
	}
	if (agent->worker.state == WORKER_READY) {
		run_warm(agent, request);
		return;
	}
	int r = agent->worker.state == WORKER_OFF ? worker_start(agent) : 0;
	if (r < 0)
		refuse(agent, request, "internal", "the interpreter cannot be started", r);
}

static bool waits(const struct request *request)
{
	return request->state == REQUEST_WAITING && request->warm;
}

void request_worker_ready(struct agent *agent)
{
	if (agent->worker.place.on) {
		place_next(agent);
		return;
	}
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		if (waits(&agent->requests[i]))
			run_warm(agent, &agent->requests[i]);
}

void request_worker_failed(
	struct agent *agent, const char *error, const void *text, size_t text_len)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->requests[i];
		if (!waits(request))
			continue;
		answer_refused_text(agent, request->id, "code", error, text, text_len);
		release(agent, request);
	}
}

/* Requests in forks of it may still send their result; those of which no word can come any more end
 * here. */
void request_worker_lost(struct agent *agent, bool out_of_memory)
{
	for (size_t i = 0; i < MAX_REQUESTS; i++) {
		struct request *request = &agent->requests[i];
		if (request->state != REQUEST_RUNNING || !request->warm)
			continue;
		kill_processes(request);
		request->signal = SIGKILL;
		request->oom = out_of_memory;
		request_finish(agent, request);
	}
}

void request_command(struct agent *agent, struct request *request, char **argv, char **env,
	const char *directory)
{
	struct launch launch = {
		.program = argv[0],
		.argv = argv,
		.env = env,
		.directory = directory,
		.search = true,
	};
	int r = run_program(agent, request, &launch);
	if (r == 0)
		return;
	if (r != -ENOENT && r != -EACCES && r != -ENOTDIR && r != -ENOEXEC && r != -ELOOP &&
		r != -EISDIR && r != -ENAMETOOLONG) {
		refuse(agent, request, "internal", "the command cannot be started", r);
		return;
	}
	AUTO_FREE char *text = str_format("%s: %s\n", argv[0], strerror(-r));
	if (text)
		buf_append_str(&request->output[1].kept, text);
	request->exit_code = r == -ENOENT || r == -ENOTDIR ? 127 : 126;
	request_finish(agent, request);
}
