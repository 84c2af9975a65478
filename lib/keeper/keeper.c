/* SPDX-License-Identifier: MIT */
/* The library's side of nova-keeper: starting it so that the host never sees it, and talking to it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/base.h"
#include "keeper/cgroup.h"
#include "keeper/keeper.h"
#include "keeper/ask.h"

#define ANSWER_MS 10000u /* for an answer, and for the end of a child that was killed */
#define HURRY_MS  2000u  /* for all of that together once the context is being closed */
#define END_MS    1000u  /* for the end of a keeper that was killed, and of its children */
#define LEAVE_MS  1500u  /* for one that was asked to end */
#define SLICE_MS  100u   /* after which a wait looks whether there is haste */

struct keeper {
	pthread_mutex_t lock; /* one request at a time; protects what follows */
	struct detached program;
	int64_t pid;
	int socket;      /* -1: not running */
	uint64_t number; /* of the last request */
	/* number of a KEEPER_SPAWN whose reply did not arrive, which the keeper has yet to be told;
	 * 0: none */
	uint64_t lost;
	uint64_t closing; /* atomic: when all patience ends; NEVER unless there is haste */
	char *run_dir;
	int lock_fd; /* borrowed */
	bool bare;   /* the environment is ignored */
	bool told;   /* that there are no memory limits */
	const struct logger *log;
};

/* --- patience --- */

void keeper_hurry(struct keeper *keeper, bool hurry)
{
	__atomic_store_n(
		&keeper->closing, hurry ? deadline_in_ms(HURRY_MS) : NEVER, __ATOMIC_RELAXED);
}

/* `deadline`, or sooner. */
static uint64_t in_haste(const struct keeper *keeper, uint64_t deadline)
{
	uint64_t closing = __atomic_load_n(&keeper->closing, __ATOMIC_RELAXED);
	return closing < deadline ? closing : deadline;
}

static uint64_t next_look(const struct keeper *keeper, uint64_t deadline)
{
	uint64_t slice = deadline_in_ms(SLICE_MS);
	deadline = in_haste(keeper, deadline);
	return slice < deadline ? slice : deadline;
}

/* --- finding, starting and ending the program --- */

int keeper_program(const struct keeper *keeper, char **ret_path, nova_error_t **error)
{
	return program_find("nova-keeper", keeper->bare ? NULL : "NOVA_KEEPER", ret_path, error);
}

/* 0; -EPIPE: the keeper has ended; -ETIMEDOUT; -EPROTO. *ret_fd as of sys_recv_fd(). */
static int receive(
	const struct keeper *keeper, struct keeper_reply *reply, int *ret_fd, uint64_t deadline)
{
	ssize_t got;
	do
		got = sys_recv_fd(
			keeper->socket, reply, sizeof(*reply), ret_fd, next_look(keeper, deadline));
	while (got == -ETIMEDOUT && !deadline_passed(in_haste(keeper, deadline)));
	if (got == (ssize_t)sizeof(*reply) && reply->version == KEEPER_VERSION)
		return 0;
	if (got >= 0)
		fd_close(*ret_fd);
	*ret_fd = -1;
	return got == 0 || got == -ECONNRESET ? -EPIPE : got < 0 ? (int)got : -EPROTO;
}

/* All of it, whatever state it is in. What has not ended by then stays in keeper->program, and
 * nothing is started beside it. */
static void end_program(struct keeper *keeper)
{
	sys_detached_kill(&keeper->program);
	sys_detached_end(&keeper->program, deadline_in_ms(END_MS));
	fd_close(keeper->socket);
	keeper->socket = -1;
	keeper->lost = 0;
}

static int greet(struct keeper *keeper, const char *program, nova_error_t **error)
{
	struct keeper_reply hello = { 0 };
	int fd = -1, r = receive(keeper, &hello, &fd, deadline_in_ms(ANSWER_MS));
	fd_close(fd);
	keeper->pid = hello.pid;
	if (r == 0 && hello.kind == KEEPER_HELLO)
		return 0;
	end_program(keeper);
	if (r == -ETIMEDOUT)
		return nova_fail(error, NOVA_EENGINE, "'%s' was started and says nothing", program);
	if (r < 0 && r != -EPROTO && r != -EPIPE)
		return nova_fail_os(error, r, "first word of '%s'", program);
	return nova_fail(error, NOVA_EENGINE,
		"'%s' does not speak as this libnova expects; install both from the same build",
		program);
}

static int start_program(struct keeper *keeper, nova_error_t **error)
{
	AUTO_FREE char *program = NULL;
	int code = keeper_program(keeper, &program, error);
	if (code < 0)
		return code;
	/* Two keepers do not share a directory: what is left of the last one has to be gone. */
	if (!sys_detached_end(&keeper->program, deadline_in_ms(END_MS)))
		return nova_fail(error, NOVA_EENGINE,
			"the last nova-keeper (process %lld) was killed, and it or a microVM of it "
			"does not end: look for what its processes wait for",
			(long long)keeper->pid);
	int pair[2];
	int r = sys_socketpair(SOCK_SEQPACKET, pair);
	if (r < 0)
		return nova_fail_os(error, r, "socket to nova-keeper");
	AUTO_FD int ours = pair[0], theirs = pair[1];
	const char *const argv[] = { program, keeper->run_dir, NULL };
	/* the host's may hold keys and passwords, and what a keeper starts has another anyway */
	static const char *const environment[] = { KEEPER_PATH, KEEPER_LOCALE, NULL };
	const int fds[] = { theirs, keeper->lock_fd };
	r = sys_detached_start(argv, environment, fds, ARRAY_LEN(fds), &keeper->program);
	if (r < 0)
		return nova_fail_os(error, r, "start of '%s'", program);
	keeper->socket = STEAL_FD(ours);
	fd_close(STEAL_FD(theirs)); /* so that its end shows */
	return greet(keeper, program, error);
}

int keeper_new(const char *run_dir, int lock_fd, struct keeper **ret_keeper, nova_error_t **error)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	if (!keeper || !(keeper->run_dir = strdup(run_dir))) {
		free(keeper);
		return nova_oom(error);
	}
	pthread_mutex_init(&keeper->lock, NULL);
	keeper->program = (struct detached)DETACHED_NONE;
	keeper->socket = -1;
	keeper->closing = NEVER;
	keeper->lock_fd = lock_fd;
	*ret_keeper = keeper;
	return 0;
}

void keeper_obey_environment(struct keeper *keeper, bool obey)
{
	keeper->bare = !obey;
}

bool keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return true;
	/* It sees our end of the conversation, ends its children and then itself. */
	if (keeper->socket >= 0)
		sys_shutdown_write(keeper->socket);
	bool ended = sys_detached_end(&keeper->program, deadline_in_ms(LEAVE_MS));
	if (!ended)
		end_program(keeper);
	ended = keeper->program.reaper == 0;
	fd_close(keeper->program.life);
	fd_close(keeper->socket);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper->run_dir);
	free(keeper);
	return ended;
}

/* --- requests --- */

static int send_request(const struct keeper *keeper, const void *request, size_t len,
	const int *fds, size_t fd_count, uint64_t deadline)
{
	int r;
	do
		r = sys_send_fds_until(
			keeper->socket, request, len, fds, fd_count, next_look(keeper, deadline));
	while (r == -ETIMEDOUT && !deadline_passed(in_haste(keeper, deadline)));
	return r == -ECONNRESET ? -EPIPE : r;
}

/* What was started for a reply that nobody has seen is ended, whenever that can be told. */
static int tell_lost(struct keeper *keeper, uint64_t deadline)
{
	struct keeper_request request = {
		.kind = KEEPER_ABANDON, .number = ++keeper->number, .lost = keeper->lost
	};
	int r = keeper->lost ? send_request(keeper, &request, sizeof(request), NULL, 0, deadline) :
			       0;
	if (r == 0)
		keeper->lost = 0;
	return r;
}

static int receive_own(struct keeper *keeper, uint64_t number, struct keeper_reply *reply,
	int *ret_fd, uint64_t deadline)
{
	for (;;) {
		int r = receive(keeper, reply, ret_fd, deadline);
		if (r < 0 || reply->number == number)
			return r;
		/* of a request that was given up; its process has been abandoned */
		fd_close(*ret_fd);
		*ret_fd = -1;
	}
}

/* 0 or -errno. Only -EPIPE means that the keeper has ended, and it is gone then, as after
 * -ETIMEDOUT and -EPROTO; anything else passes. */
static int ask(struct keeper *keeper, struct keeper_request *request, size_t len, const int *fds,
	struct keeper_reply *reply, int *ret_fd)
{
	uint64_t deadline = deadline_in_ms(ANSWER_MS);
	int r = tell_lost(keeper, deadline);
	request->number = ++keeper->number;
	if (r == 0)
		r = send_request(keeper, request, len, fds, request->fd_count, deadline);
	if (r == 0) {
		r = receive_own(keeper, request->number, reply, ret_fd, deadline);
		if (r == 0 && *ret_fd == -EMFILE)
			r = -EMFILE;
		if (r < 0 && (request->kind == KEEPER_SPAWN || request->kind == KEEPER_FORK))
			keeper->lost = request->number;
	}
	if (r == -EPIPE || r == -ETIMEDOUT || r == -EPROTO)
		end_program(keeper);
	else if (r < 0)
		tell_lost(keeper, deadline);
	return r;
}

static int encode_spawn(const struct spawn *spawn, struct buf *out)
{
	struct keeper_request request = {
		.kind = KEEPER_SPAWN,
		.fd_count = (uint32_t)spawn->fd_count,
		.change_user = spawn->change_user,
		.uid = spawn->uid,
		.gid = spawn->gid,
		.gid2 = spawn->gid2,
		.merge_memory = spawn->merge_memory,
		.frugal = spawn->frugal,
		.no_stdout = spawn->no_stdout,
		.needs_kvm = spawn->no_kvm != NULL,
		.only_try = spawn->only_try,
		.zygote = spawn->zygote != NULL,
		.memory_limit = spawn->memory_limit,
	};
	while (spawn->argv[request.argc])
		request.argc++;
	int r = buf_append(out, &request, sizeof(request));
	for (uint32_t i = 0; r == 0 && i < request.argc; i++)
		r = buf_append(out, spawn->argv[i], strlen(spawn->argv[i]) + 1);
	if (r == 0 && spawn->zygote)
		r = buf_append(out, spawn->zygote, strlen(spawn->zygote) + 1);
	return r;
}

static int spawn_failure(
	const struct keeper_reply *reply, const struct spawn *spawn, nova_error_t **error)
{
	static const char *const stages[] = {
		[KEEPER_STAGE_REQUEST] = "request",
		[KEEPER_STAGE_FORK] = "fork",
		[KEEPER_STAGE_FDS] = "descriptors",
		[KEEPER_STAGE_USER] = "change of user",
		[KEEPER_STAGE_KVM] = "/dev/kvm",
		[KEEPER_STAGE_EXEC] = "execution",
	};
	const char *stage = reply->stage < ARRAY_LEN(stages) && stages[reply->stage] ?
				    stages[reply->stage] :
				    "start";
	int code = nova_code_of_errno(reply->error);
	if (reply->stage == KEEPER_STAGE_KVM && code == NOVA_EPERM)
		return nova_fail(error, code, "%s", spawn->no_kvm);
	return nova_fail_os(
		error, reply->error, "'%s' could not be started (%s)", spawn->argv[0], stage);
}

static int no_reply(const struct keeper *keeper, int r, const char *program, nova_error_t **error)
{
	switch (r) {
	case -EPIPE:
		return nova_fail(
			error, NOVA_EENGINE, "nova-keeper ended while it started '%s'", program);
	case -ETIMEDOUT:
		return nova_fail(error, NOVA_EENGINE,
			"nova-keeper (process %lld) did not answer and was killed, and with it all "
			"microVMs of this context: '%s' was not started",
			(long long)keeper->pid, program);
	case -EPROTO:
		return nova_fail(error, NOVA_EENGINE,
			"nova-keeper (process %lld) says what this libnova does not understand; "
			"install both from the same build",
			(long long)keeper->pid);
	default:
		return nova_fail_os(
			error, r, "'%s' could not be started (talking to nova-keeper)", program);
	}
}

void keeper_set_log(struct keeper *keeper, const struct logger *log)
{
	keeper->log = log;
}

static void tell_unlimited(const struct keeper *keeper)
{
	const char *why = cgroup_obstacle();
	log_warn(keeper->log, "keeper", "the memory that a VMM takes is not limited: %s",
		why ? why : "the kernel refused it");
}

int keeper_spawn(struct keeper *keeper, const struct spawn *spawn, struct process *ret_process,
	nova_error_t **error)
{
	AUTO_BUF struct buf request = BUF_INIT(KEEPER_MAX_REQUEST);
	int r = encode_spawn(spawn, &request);
	if (r < 0)
		return nova_fail_os(error, r, "command line of '%s'", spawn->argv[0]);
	struct keeper_reply reply = { 0 };
	int pidfd = -1, code = 0;
	pthread_mutex_lock(&keeper->lock);
	for (int attempt = 0; attempt < 2; attempt++) {
		code = keeper->socket < 0 ? start_program(keeper, error) : 0;
		if (code < 0)
			break;
		r = ask(keeper, (struct keeper_request *)(void *)request.data, request.len,
			spawn->fds, &reply, &pidfd);
		/* one that has died took its children along: nothing is lost by starting another */
		if (r != -EPIPE)
			break;
	}
	if (code == 0 && r < 0)
		code = no_reply(keeper, r, spawn->argv[0], error);
	bool tell = !code && !reply.error && spawn->memory_limit && !reply.limited && !keeper->told;
	keeper->told |= tell;
	pthread_mutex_unlock(&keeper->lock);
	if (tell)
		tell_unlimited(keeper);
	if (code < 0)
		return code;
	if (reply.error)
		return spawn_failure(&reply, spawn, error);
	*ret_process = (struct process){ keeper, reply.pid, pidfd };
	return 0;
}

/* --- processes --- */

int keeper_ask(struct keeper *keeper, struct keeper_request *request, size_t len, const int *fds,
	struct keeper_reply *reply, int *ret_fd)
{
	pthread_mutex_lock(&keeper->lock);
	int r = keeper->socket < 0 ? -EPIPE : ask(keeper, request, len, fds, reply, ret_fd);
	pthread_mutex_unlock(&keeper->lock);
	return r;
}

/* 0 or -errno. */
static int ask_about(
	struct keeper *keeper, struct keeper_request *request, struct keeper_reply *reply)
{
	int fd = -1;
	int r = keeper_ask(keeper, request, sizeof(*request), NULL, reply, &fd);
	fd_close(fd);
	return r < 0 ? r : -reply->error;
}

static int process_signal(const struct process *process, int sig)
{
	int r = sys_pidfd_signal(process->pidfd, sig);
	if (r != -ENOSYS)
		return r;
	struct keeper_request request = {
		.kind = KEEPER_SIGNAL, .pid = process->pid, .signal = (uint32_t)sig
	};
	struct keeper_reply reply;
	return ask_about(process->keeper, &request, &reply);
}

void process_kill(const struct process *process)
{
	if (process->pid)
		process_signal(process, SIGKILL);
}

int process_stop(const struct process *process, bool stop)
{
	return process_signal(process, stop ? SIGSTOP : SIGCONT);
}

bool process_wait(const struct process *process, uint64_t deadline)
{
	return !process->pid || sys_await_readable(process->pidfd, deadline);
}

static bool await_end(const struct process *process)
{
	uint64_t deadline = deadline_in_ms(ANSWER_MS);
	while (!process_wait(process, next_look(process->keeper, deadline)))
		if (deadline_passed(in_haste(process->keeper, deadline)))
			return false;
	return true;
}

/* The keeper goes on without us. If that cannot be told, it is collected when the keeper ends. */
static void abandon(const struct process *process)
{
	struct keeper *keeper = process->keeper;
	struct keeper_request request = { .kind = KEEPER_ABANDON, .pid = process->pid };
	pthread_mutex_lock(&keeper->lock);
	request.number = ++keeper->number;
	if (keeper->socket >= 0)
		send_request(keeper, &request, sizeof(request), NULL, 0, deadline_in_ms(SLICE_MS));
	pthread_mutex_unlock(&keeper->lock);
}

void process_done(struct process *process, int *ret_status)
{
	int status = -1;
	if (process->pid) {
		struct keeper_request request = { .kind = KEEPER_REAP, .pid = process->pid };
		struct keeper_reply reply;
		process_kill(process);
		if (await_end(process) && ask_about(process->keeper, &request, &reply) == 0)
			status = reply.status;
		else
			abandon(process);
		fd_close(process->pidfd);
	}
	*process = (struct process)PROCESS_NONE;
	if (ret_status)
		*ret_status = status;
}
