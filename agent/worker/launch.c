/* SPDX-License-Identifier: MIT */
/* A process of an interpreter that runs worker.py. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/worker/worker.h"
#include "worker_py.h"

/* As a file of memory, so that it needs no place on disk that could be full, or changed. */
static int program_on_stdin(void)
{
	AUTO_FD int fd = sys_memfd("nova-worker");
	int r = fd < 0 ? fd : sys_write_all(fd, worker_py, worker_py_len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : STEAL_FD(fd);
}

static pid_t start(struct run *run, struct launch *launch, int sock, int log)
{
	AUTO_FD int program = program_on_stdin();
	if (program < 0)
		return program;
	launch->fds[0] = program;
	launch->fds[1] = launch->fds[2] = log;
	launch->keep_fd = sock;
	launch->cgroup_procs = cgroup_worker_procs(&run->cgroups);
	launch->as_function = true;
	return spawn(run->guest, launch);
}

int interpreter_launch(struct run *run, struct launch *launch, struct interpreter *ret)
{
	int sockets[2], pipes[2];
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
	pid_t pid = r == 0 ? start(run, launch, theirs, log_out) : r;
	if (pid < 0)
		return pid;
	*ret = (struct interpreter){ pid, STEAL_FD(ours), STEAL_FD(log_in) };
	return 0;
}
