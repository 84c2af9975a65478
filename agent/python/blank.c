/* SPDX-License-Identifier: MIT */
/*
 * A blank interpreter: started before there is a function, in guests whose function comes later
 * (root.c), so that the snapshot that functions are made from holds it. At Init it becomes the warm
 * interpreter (warm.c), unless the function's environment has something that counts only at the
 * start of an interpreter; then it is ended and another one started, as in any guest.
 *
 *   from it  w                                                    it waits
 *   to it    file \0 module \0 name \0 directory \0 modules \0 variable \0 …   whose it is;
 * variables as NAME=VALUE
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "blank.h"
#include "worker.h"

#define START_MS    30000
#define MESSAGE_MAX (96u << 10) /* less than a datagram of the socket may have */

static int program_on_stdin(void)
{
	AUTO_FD int fd = sys_memfd("nova-worker");
	int r = fd < 0 ? fd : sys_write_all(fd, worker_py, worker_py_len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : STEAL_FD(fd);
}

static pid_t launch_blank(struct agent *agent, const char *python, int sock, int log)
{
	AUTO_FD int program = program_on_stdin();
	AUTO_FREE char *text = strndup((const char *)blank_py, blank_py_len);
	const char *const env_first[] = { "PATH", FUNCTION_PATH, "HOME", agent->temp_dir, "LANG",
		"C.UTF-8", NULL };
	char **env = env_make(env_first, NULL);
	const char *argv[] = { python, "-c", text, "3", NULL };
	struct launch launch = {
		.program = python,
		.argv = (char *const *)argv,
		.env = env,
		.directory = agent->temp_dir,
		.fds = { program, log, log },
		.keep_fd = sock,
		.cgroup_procs = agent->cgroups.there ? agent->cgroups.worker_procs : -1,
		.as_function = true,
	};
	pid_t pid = program < 0 ? program : text && env ? spawn(agent, &launch) : -ENOMEM;
	strings_free(env);
	return pid;
}

static int start(struct agent *agent, const char *python)
{
	struct blank *blank = &agent->blank;
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
	if (r == 0)
		r = blank->pid = launch_blank(agent, python, theirs, log_out);
	if (r < 0)
		return r;
	blank->sock = STEAL_FD(ours);
	blank->log_fd = STEAL_FD(log_in);
	return 0;
}

void blank_start(struct agent *agent)
{
	const char *python = function_python();
	agent->blank = (struct blank){ .sock = -1, .log_fd = -1 };
	if (!python || start(agent, python) < 0)
		return;
	char said = 0;
	struct pollfd in = { agent->blank.sock, POLLIN, 0 };
	/* Nothing else is to be done yet: the guest is not ready before its interpreter is. */
	if (sys_poll(&in, 1, START_MS) != 1 || sys_recv(in.fd, &said, 1, 0) != 1 || said != 'w')
		blank_drop(agent);
}

/* Its number is free again: nothing more may be done to it. */
void blank_exited(struct agent *agent)
{
	struct blank *blank = &agent->blank;
	fd_close(blank->sock);
	fd_close(blank->log_fd);
	*blank = (struct blank){ .sock = -1, .log_fd = -1 };
}

void blank_drop(struct agent *agent)
{
	if (!agent->blank.pid)
		return;
	cgroup_kill_worker(agent);
	kill_group(agent->blank.pid);
	blank_exited(agent);
}

static bool counts_at_start(const struct agent *agent, const char *variable)
{
	static const char *const prefixes[] = { "PYTHON", "LD_", "LC_", "LANGUAGE=", "MALLOC_",
		"GLIBC_" };
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_starts(variable, prefixes[i]))
			return true;
	if (str_starts(variable, "LANG="))
		return strcmp(variable, "LANG=C.UTF-8") != 0;
	return str_starts(variable, "HOME=") && strcmp(variable + 5, agent->temp_dir) != 0;
}

static int compose(const struct agent *agent, struct buf *text)
{
	const struct function *function = &agent->function;
	char modules[PATH_MAX];
	modules_path(agent, modules, sizeof(modules));
	const char *const fields[] = { function->file, function->module, function->name,
		agent->code_dir, modules };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
		r = buf_append(text, fields[i], strlen(fields[i]) + (i + 1 < ARRAY_LEN(fields)));
	for (char **variable = function->env; r == 0 && *variable; variable++) {
		if (counts_at_start(agent, *variable))
			return -EINVAL;
		r = buf_append(text, "", 1);
		if (r == 0)
			r = buf_append(text, *variable, strlen(*variable));
	}
	return r;
}

bool blank_take(struct agent *agent, struct blank *ret_blank)
{
	AUTO_BUF struct buf text = BUF_INIT(MESSAGE_MAX);
	struct blank *blank = &agent->blank;
	if (!blank->pid)
		return false;
	if (compose(agent, &text) < 0 ||
		sys_send(blank->sock, text.data, text.len, MSG_DONTWAIT) != (ssize_t)text.len) {
		blank_drop(agent);
		return false;
	}
	*ret_blank = *blank;
	*blank = (struct blank){ .sock = -1, .log_fd = -1 };
	return true;
}
