/* SPDX-License-Identifier: MIT */
/* The library's side of nova-keeper: starting it so that the host never sees it, and talking to it. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/base.h"
#include "keeper/keeper.h"
#include "keeper/wire.h"

struct keeper {
	pthread_mutex_t lock; /* one request at a time; protects socket */
	int socket;           /* -1: not running */
	char *run_dir;
	int lock_fd; /* borrowed */
	bool bare;   /* the environment is ignored */
};

/* --- finding and starting the program ----------------------------------------------------------------------- */

int keeper_program(const struct keeper *keeper, char **ret_path, nova_error_t **error)
{
	return program_find("nova-keeper", keeper->bare ? NULL : "NOVA_KEEPER", ret_path, error);
}

static int receive_reply(int socket, struct keeper_reply *reply, int *ret_fd)
{
	int fd = -1;
	ssize_t got = sys_recv_fd(socket, reply, sizeof(*reply), &fd);
	if (got != (ssize_t)sizeof(*reply) || reply->version != KEEPER_VERSION) {
		fd_close(fd);
		return got < 0 ? (int)got : -EPROTO;
	}
	if (ret_fd)
		*ret_fd = fd;
	else
		fd_close(fd);
	return 0;
}

static int start_program(struct keeper *keeper, nova_error_t **error)
{
	AUTO_FREE char *program = NULL;
	int code = keeper_program(keeper, &program, error);
	if (code < 0)
		return code;
	int pair[2];
	int r = sys_socketpair(SOCK_SEQPACKET, pair);
	if (r < 0)
		return nova_fail_os(error, r, "socket to nova-keeper");
	AUTO_FD int ours = pair[0], theirs = pair[1];
	AUTO_FD int self = sys_pidfd_open_self();
	if (self < 0)
		return nova_fail_os(error, self, "pidfd of this process (Linux 5.3 or later is needed)");
	const char *const argv[] = { program, keeper->run_dir, NULL };
	const int fds[] = { theirs, self, keeper->lock_fd };
	r = sys_spawn_detached(argv, fds, ARRAY_LEN(fds));
	if (r < 0)
		return nova_fail_os(error, r, "start of '%s'", program);
	theirs = (fd_close(theirs), -1);
	struct keeper_reply hello;
	r = receive_reply(ours, &hello, NULL);
	if (r < 0 || hello.kind != KEEPER_HELLO)
		return nova_fail(error, NOVA_EENGINE, "'%s' does not speak as this libnova expects; install both from the same build",
			program);
	keeper->socket = STEAL_FD(ours);
	return 0;
}

int keeper_new(const char *run_dir, int lock_fd, struct keeper **ret_keeper, nova_error_t **error)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	if (!keeper || !(keeper->run_dir = strdup(run_dir))) {
		free(keeper);
		return nova_oom(error);
	}
	pthread_mutex_init(&keeper->lock, NULL);
	keeper->socket = -1;
	keeper->lock_fd = lock_fd;
	*ret_keeper = keeper;
	return 0;
}

void keeper_obey_environment(struct keeper *keeper, bool obey)
{
	keeper->bare = !obey;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	if (keeper->socket >= 0) {
		/* It sees our end of the conversation, ends its children and then itself: that is when its end closes. */
		sys_shutdown_write(keeper->socket);
		char byte;
		while (sys_recv(keeper->socket, &byte, 1, 0) > 0)
			;
		fd_close(keeper->socket);
	}
	pthread_mutex_destroy(&keeper->lock);
	free(keeper->run_dir);
	free(keeper);
}

/* --- requests ------------------------------------------------------------------------------------------------- */

/* A keeper that has died took its children along; nothing is lost by starting another one for a new child. */
static int ask(struct keeper *keeper, const void *request, size_t len, const int *fds, size_t fd_count,
	struct keeper_reply *reply, int *ret_fd)
{
	int r = sys_send_fds(keeper->socket, request, len, fds, fd_count);
	if (r == 0)
		r = receive_reply(keeper->socket, reply, ret_fd);
	if (r < 0) {
		fd_close(keeper->socket);
		keeper->socket = -1;
	}
	return r;
}

static int encode_spawn(const struct spawn *spawn, struct buf *out)
{
	struct keeper_request request = {
		.kind = KEEPER_SPAWN,
		.change_user = spawn->change_user,
		.uid = spawn->uid,
		.gid = spawn->gid,
		.gid2 = spawn->gid2,
		.merge_memory = spawn->merge_memory,
		.frugal = spawn->frugal,
		.memory_limit = spawn->memory_limit,
	};
	while (spawn->argv[request.argc])
		request.argc++;
	int r = buf_append(out, &request, sizeof(request));
	for (uint32_t i = 0; r == 0 && i < request.argc; i++)
		r = buf_append(out, spawn->argv[i], strlen(spawn->argv[i]) + 1);
	return r;
}

static int spawn_failure(const struct keeper_reply *reply, const char *program, nova_error_t **error)
{
	static const char *const stages[] = {
		[KEEPER_STAGE_REQUEST] = "request", [KEEPER_STAGE_FORK] = "fork", [KEEPER_STAGE_FDS] = "descriptors",
		[KEEPER_STAGE_USER] = "change of user", [KEEPER_STAGE_EXEC] = "execution",
	};
	const char *stage = reply->stage < ARRAY_LEN(stages) && stages[reply->stage] ? stages[reply->stage] : "start";
	int code = nova_fail_os(error, reply->error, "'%s' could not be started (%s)", program, stage);
	return code == NOVA_EIO ? NOVA_EENGINE : code;
}

int keeper_spawn(struct keeper *keeper, const struct spawn *spawn, struct process *ret_process, nova_error_t **error)
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
		r = ask(keeper, request.data, request.len, spawn->fds, spawn->fd_count, &reply, &pidfd);
		if (r == 0)
			break;
	}
	pthread_mutex_unlock(&keeper->lock);
	if (code < 0)
		return code;
	if (r < 0)
		return nova_fail(error, NOVA_EENGINE, "nova-keeper ended while it started '%s'", spawn->argv[0]);
	if (reply.error)
		return spawn_failure(&reply, spawn->argv[0], error);
	*ret_process = (struct process){ keeper, reply.pid, pidfd };
	return 0;
}

/* --- processes --------------------------------------------------------------------------------------------------- */

void process_kill(const struct process *process)
{
	if (process->pidfd >= 0)
		sys_pidfd_kill(process->pidfd);
}

bool process_wait(const struct process *process, uint64_t deadline)
{
	if (process->pidfd < 0)
		return true;
	struct pollfd p = { process->pidfd, POLLIN, 0 };
	do {
		int n = sys_poll(&p, 1, deadline_poll_ms(deadline));
		if (n != 0)
			return n > 0;
	} while (!deadline_passed(deadline));
	return false;
}

static int reap(struct keeper *keeper, int64_t pid)
{
	struct keeper_request request = { .kind = KEEPER_REAP, .pid = pid };
	struct keeper_reply reply = { 0 };
	pthread_mutex_lock(&keeper->lock);
	int r = keeper->socket < 0 ? -1 : ask(keeper, &request, sizeof(request), NULL, 0, &reply, NULL);
	pthread_mutex_unlock(&keeper->lock);
	return r < 0 || reply.error ? -1 : reply.status;
}

void process_done(struct process *process, int *ret_status)
{
	int status = -1;
	if (process->pidfd >= 0) {
		process_kill(process);
		process_wait(process, NEVER);
		status = reap(process->keeper, process->pid);
		fd_close(process->pidfd);
	}
	*process = (struct process)PROCESS_NONE;
	if (ret_status)
		*ret_status = status;
}
