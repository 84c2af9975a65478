/* SPDX-License-Identifier: MIT */
/*
 * An interpreter that is started before there is a function, in guests whose function comes later
 * (root.c), so that the snapshot that functions are made from holds it. At Init it becomes the warm
 * interpreter (worker.c), unless the function's environment has something that counts only at the
 * start of an interpreter; then it is ended and another one started, as in any guest.
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"

#define START_MS 30000

static int start(struct worker *worker, const struct language *language, const char *program)
{
	const char *directory = worker->run->guest->temp_dir;
	const char *const first[] = { "PATH", FUNCTION_PATH, "HOME", directory, "LANG", "C.UTF-8",
		NULL };
	char **env = env_make(first, NULL);
	struct launch launch = { .program = program, .env = env, .directory = directory };
	int r = env ? interpreter_launch(worker->run, language, &launch, &worker->prestarted) :
		      -ENOMEM;
	strings_free(env);
	return r;
}

void prestart(struct worker *worker)
{
	const char *program;
	const struct language *language = language_here(&program);
	if (!language || start(worker, language, program) < 0)
		return;
	char said = 0;
	struct pollfd in = { worker->prestarted.sock, POLLIN, 0 };
	/* Nothing else is to be done yet: the guest is not ready before its interpreter is. */
	if (sys_poll(&in, 1, START_MS) != 1 || sys_recv(in.fd, &said, 1, 0) != 1 || said != 'w')
		prestart_drop(worker);
}

/* Its number is free again: nothing more may be done to it. */
void prestart_exited(struct worker *worker)
{
	interpreter_forget(&worker->prestarted);
}

void prestart_drop(struct worker *worker)
{
	if (!worker->prestarted.pid)
		return;
	cgroup_kill_worker(&worker->run->cgroups);
	kill_group(worker->prestarted.pid);
	prestart_exited(worker);
}

#define COPY_SAID 5 /* w, and its number in four bytes */

/* It comes with its own end of a new socket. */
static int order_copy(const struct interpreter *self, int *ret_sock)
{
	int sockets[2];
	int r = sys_socketpair(SOCK_SEQPACKET, sockets);
	if (r < 0)
		return r;
	r = sys_send_fds(self->sock, "F", 1, &sockets[1], 1);
	fd_close(sockets[1]);
	if (r == 0)
		r = sys_set_nonblock(sockets[0], true);
	if (r < 0)
		fd_close(sockets[0]);
	else
		*ret_sock = sockets[0];
	return r;
}

int prestart_copy(const struct worker *worker, uint64_t deadline, struct interpreter *ret)
{
	const struct interpreter *self = &worker->prestarted;
	uint8_t said[COPY_SAID] = { 0 };
	int32_t pid;
	*ret = (struct interpreter)INTERPRETER_INIT;
	if (!self->pid || !self->language->forks)
		return 0;
	AUTO_FD int sock = -1;
	int r = order_copy(self, &sock);
	struct pollfd in = { sock, POLLIN, 0 };
	if (r < 0)
		return r;
	if (sys_poll(&in, 1, deadline_poll_ms(deadline)) != 1)
		return -ETIMEDOUT;
	if (sys_recv(sock, said, sizeof(said), 0) != sizeof(said) || said[0] != 'w')
		return -EPROTO;
	memcpy(&pid, said + 1, sizeof(pid));
	ret->language = self->language;
	ret->pid = pid;
	ret->log_fd = self->log_fd;
	ret->sock = STEAL_FD(sock);
	return 0;
}

void prestart_drop_log(const struct worker *worker)
{
	char block[1024];
	while (worker->prestarted.log_fd >= 0 &&
		sys_read(worker->prestarted.log_fd, block, sizeof(block)) > 0)
		;
}

static bool counts_at_start(
	const struct language *language, const struct run *run, const char *variable)
{
	const char *const *prefix = language->at_start;
	for (size_t i = 0; i < ARRAY_LEN(language->at_start) && prefix[i]; i++)
		if (str_starts(variable, prefix[i]))
			return true;
	if (str_starts(variable, "LANG="))
		return strcmp(variable, "LANG=C.UTF-8") != 0;
	return str_starts(variable, "HOME=") && strcmp(variable + 5, run->guest->temp_dir) != 0;
}

/* Whether it is as it would be if it were started for the function. */
static bool fits(const struct worker *worker, const struct language *language)
{
	const struct function *function = &worker->run->function;
	const char *program;
	if (worker->prestarted.language != language || language_here(&program) != language ||
		strcmp(program, function->program) != 0 || (function->argv && function->argv[1]))
		return false;
	for (char **variable = worker->run->function.env; *variable; variable++)
		if (counts_at_start(language, worker->run, *variable))
			return false;
	return true;
}

bool prestart_take(struct worker *worker, const struct language *language, struct interpreter *ret)
{
	struct interpreter *self = &worker->prestarted;
	if (!self->pid)
		return false;
	if (!fits(worker, language) ||
		interpreter_tell(worker->run, worker->run->function.env, self) < 0) {
		prestart_drop(worker);
		return false;
	}
	*ret = *self;
	*self = (struct interpreter)INTERPRETER_INIT;
	return true;
}
