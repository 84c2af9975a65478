/* SPDX-License-Identifier: MIT */
/*
 * A process of an interpreter: it starts, waits to be told whose it is, and then imports that
 * function. Messages before that:
 *
 *   from it  w        it waits
 *   to it    F        another one like it waits at the socket that comes along, for a rehearsal; it
 *                     says w there, and its pid (four bytes)
 *   to it    file \0 module \0 name \0 directory \0 modules \0 flags \0 variable \0 …
 *                     whose it is. Flags: 1 one call only, p the file is a program; variables as
 *                     NAME=VALUE, if they are others than it has
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/worker/worker.h"

#define ORDER_MAX (96u << 10) /* less than a datagram of the socket may have */

/* As a file of memory, so that it needs no place on disk that could be full, or changed. -1: there
 * is none. */
static int memory_file(const char *name, const struct embedded *content)
{
	if (!content->len)
		return -1;
	AUTO_FD int fd = sys_memfd(name);
	int r = fd < 0 ? fd : sys_write_all(fd, content->data, content->len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : STEAL_FD(fd);
}

/* Its program comes on its stdin. */
static pid_t start(struct run *run, const struct language *language, struct launch *launch)
{
	AUTO_FD int program = memory_file("nova-worker", &language->program);
	AUTO_FD int native = memory_file("nova-native", &language->native);
	if (program < 0)
		return program;
	launch->fds[0] = program;
	launch->keep[2] = native;
	launch->cgroup_procs = cgroup_worker_procs(&run->cgroups);
	launch->as_function = true;
	return spawn(run->guest, launch);
}

#define ARGV_MOST (8 + ARGV_ENTRIES)

static void launch_argv(const struct launch *launch, const struct language *language,
	const char *heap, const char *argv[ARGV_MOST])
{
	size_t n = 0;
	argv[n++] = launch->program;
	for (char *const *option = launch->argv; option && *option; option++)
		argv[n++] = *option;
	if (*heap)
		argv[n++] = heap;
	for (size_t i = 0; i < ARRAY_LEN(language->argv) && language->argv[i]; i++)
		argv[n++] = language->argv[i];
	argv[n] = NULL;
}

/* Its socket is there; what it prints goes to a log, or with calls in place only to their pipes. */
static pid_t start_with(struct run *run, struct launch *launch, struct interpreter *self)
{
	int theirs[3] = { -1, -1, -1 }, log[2] = { -1, -1 };
	int r = self->language->forks ? sys_pipe(log) : ends_make(&self->ends, theirs);
	if (r == 0 && self->language->forks) {
		self->log_fd = log[0];
		theirs[0] = theirs[1] = log[1];
		r = sys_set_nonblock(log[0], true);
	}
	launch->fds[1] = theirs[0];
	launch->fds[2] = theirs[1];
	launch->keep[1] = theirs[2];
	pid_t pid = r == 0 ? start(run, self->language, launch) : r;
	fd_close(theirs[0]);
	if (!self->language->forks) {
		fd_close(theirs[1]);
		fd_close(theirs[2]);
	}
	return pid;
}

int interpreter_launch(struct run *run, const struct language *language, struct launch *launch,
	struct interpreter *ret)
{
	const char *argv[ARGV_MOST];
	int sockets[2];
	char heap[48];
	int r = sys_socketpair(SOCK_SEQPACKET, sockets);
	if (r < 0)
		return r;
	AUTO_FD int theirs = sockets[1];
	struct interpreter self = INTERPRETER_INIT;
	self.language = language;
	self.sock = sockets[0];
	language_heap(language, run, heap, sizeof(heap));
	launch_argv(launch, language, heap, argv);
	launch->argv = (char *const *)argv;
	launch->keep[0] = theirs;
	r = sys_set_nonblock(self.sock, true);
	self.pid = r == 0 ? start_with(run, launch, &self) : r;
	if (self.pid < 0) {
		r = self.pid;
		interpreter_forget(&self);
		return r;
	}
	*ret = self;
	return 0;
}

void interpreter_forget(struct interpreter *self)
{
	fd_close(self->sock);
	fd_close(self->log_fd);
	ends_close(&self->ends);
	*self = (struct interpreter)INTERPRETER_INIT;
}

static int compose(const struct run *run, char *const *env, struct buf *text)
{
	const struct function *function = &run->function;
	char modules[PATH_MAX], flags[4];
	modules_path(run->guest, modules, sizeof(modules));
	snprintf(flags, sizeof(flags), "%s%s", function->once ? "1" : "",
		function->is_program ? "p" : "");
	const char *const fields[] = { function->file, function->module, function->name,
		run->guest->code_dir, modules, flags };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
		r = buf_append(text, fields[i], strlen(fields[i]) + (i + 1 < ARRAY_LEN(fields)));
	for (; r == 0 && env && *env; env++) {
		r = buf_append(text, "", 1);
		if (r == 0)
			r = buf_append(text, *env, strlen(*env));
	}
	return r;
}

int interpreter_tell(const struct run *run, char *const *env, const struct interpreter *self)
{
	AUTO_BUF struct buf text = BUF_INIT(ORDER_MAX);
	int r = compose(run, env, &text);
	if (r < 0)
		return r;
	ssize_t put = sys_send(self->sock, text.data, text.len, MSG_DONTWAIT);
	return put < 0 ? (int)put : put == (ssize_t)text.len ? 0 : -EIO;
}
