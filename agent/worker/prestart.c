/* SPDX-License-Identifier: MIT */
/*
 * An interpreter that is started before there is a function, in guests whose function comes later
 * (root.c), so that the snapshot that functions are made from holds it. At Init it becomes the warm
 * interpreter (worker.c), unless the function's environment has something that counts only at the
 * start of an interpreter; then it is ended and another one started, as in any guest.
 *
 *   from it  w        it waits
 *   to it    file \0 module \0 name \0 directory \0 modules \0 variable \0 …
 *                     whose it is; variables as NAME=VALUE
 */
#include <errno.h>
#include <sys/socket.h>

#include "agent/worker/worker.h"
#include "prestart_py.h"

#define START_MS    30000
#define MESSAGE_MAX (96u << 10) /* less than a datagram of the socket may have */

static int start(struct worker *worker, const char *program)
{
	const char *directory = worker->run->guest->temp_dir;
	const char *const first[] = { "PATH", FUNCTION_PATH, "HOME", directory, "LANG", "C.UTF-8",
		NULL };
	AUTO_FREE char *text = strndup((const char *)prestart_py, prestart_py_len);
	char **env = env_make(first, NULL);
	const char *argv[] = { program, "-c", text, "3", NULL };
	struct launch launch = {
		.program = program,
		.argv = (char *const *)argv,
		.env = env,
		.directory = directory,
	};
	int r = text && env ? interpreter_launch(worker->run, &launch, &worker->prestarted) :
			      -ENOMEM;
	strings_free(env);
	return r;
}

void prestart(struct worker *worker)
{
	const char *program = function_python();
	if (!program || start(worker, program) < 0)
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
	struct interpreter *self = &worker->prestarted;
	fd_close(self->sock);
	fd_close(self->log_fd);
	*self = (struct interpreter){ 0, -1, -1 };
}

void prestart_drop(struct worker *worker)
{
	if (!worker->prestarted.pid)
		return;
	cgroup_kill_worker(&worker->run->cgroups);
	kill_group(worker->prestarted.pid);
	prestart_exited(worker);
}

static bool counts_at_start(const struct run *run, const char *variable)
{
	static const char *const prefixes[] = { "PYTHON", "LD_", "LC_", "LANGUAGE=", "MALLOC_",
		"GLIBC_" };
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_starts(variable, prefixes[i]))
			return true;
	if (str_starts(variable, "LANG="))
		return strcmp(variable, "LANG=C.UTF-8") != 0;
	return str_starts(variable, "HOME=") && strcmp(variable + 5, run->guest->temp_dir) != 0;
}

static int compose(const struct run *run, struct buf *text)
{
	const struct function *function = &run->function;
	char modules[PATH_MAX];
	modules_path(run->guest, modules, sizeof(modules));
	const char *const fields[] = { function->file, function->module, function->name,
		run->guest->code_dir, modules };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++)
		r = buf_append(text, fields[i], strlen(fields[i]) + (i + 1 < ARRAY_LEN(fields)));
	for (char **variable = function->env; r == 0 && *variable; variable++) {
		if (counts_at_start(run, *variable))
			return -EINVAL;
		r = buf_append(text, "", 1);
		if (r == 0)
			r = buf_append(text, *variable, strlen(*variable));
	}
	return r;
}

bool prestart_take(struct worker *worker, struct interpreter *ret)
{
	AUTO_BUF struct buf text = BUF_INIT(MESSAGE_MAX);
	struct interpreter *self = &worker->prestarted;
	if (!self->pid)
		return false;
	if (compose(worker->run, &text) < 0 ||
		sys_send(self->sock, text.data, text.len, MSG_DONTWAIT) != (ssize_t)text.len) {
		prestart_drop(worker);
		return false;
	}
	*ret = *self;
	*self = (struct interpreter){ 0, -1, -1 };
	return true;
}
