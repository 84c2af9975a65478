/* SPDX-License-Identifier: MIT */
/*
 * WebAssembly. A module becomes machine code at Init, once for all calls and for all clones of a
 * template, unless the host brings what came of it before: where the processor is emulated that
 * takes seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/run.h"

#define SAID_MAX (64u << 10)

/* What may be executed cannot be in the place of input files. Functions cannot change it there. */
static void compiled_path(const struct guest *guest, char *path, size_t size)
{
	if (guest->pid1)
		snprintf(path, size, "%s", PROTO_MACHINE_CODE);
	else
		snprintf(path, size, "%s/handler.cwasm", guest->input_dir);
}

/* An empty file that the compiler, which runs as a function, may write. */
static int make_place(const struct guest *guest, const char *path)
{
	unlink(path);
	AUTO_FD int fd = sys_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	return guest->pid1 && fchown(fd, FUNCTION_UID, FUNCTION_UID) < 0 ? -errno : 0;
}

static int start(struct run *run, const char *path)
{
	struct compile *compile = &run->compile;
	const struct function *function = &run->function;
	AUTO_FD int null = sys_open("/dev/null", O_RDONLY, 0), said = -1;
	int r = null < 0 ? null : pipe_from(&compile->said_fd, &said);
	if (r == 0)
		r = make_place(run->guest, path);
	if (r < 0)
		return r;
	const char *const argv[] = { function->program, "compile", "-o", path, function->file,
		NULL };
	/* What comes of it is kept for all that have this code: none of the function's variables */
	static char search[] = "PATH=" FUNCTION_PATH, home[] = "HOME=/tmp", lang[] = "LANG=C.UTF-8";
	char *const env[] = { search, home, lang, NULL };
	struct launch launch = {
		.program = function->program,
		.argv = (char *const *)argv,
		.env = env,
		.directory = run->guest->code_dir,
		.fds = { null, said, said },
		.keep = { -1 },
		.cgroup_procs = cgroup_worker_procs(&run->cgroups),
		.as_function = true,
	};
	return spawn(run->guest, &launch);
}

int compile_begin(struct run *run, uint32_t timeout_ms)
{
	struct compile *compile = &run->compile;
	char path[PATH_MAX];
	compiled_path(run->guest, path, sizeof(path));
	*compile = (struct compile){
		.pending = true,
		.said_fd = -1,
		.said = BUF_INIT(SAID_MAX),
		.timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS,
	};
	compile->deadline = deadline_in_ms(compile->timeout_ms);
	pid_t pid = start(run, path);
	if (pid < 0) {
		compile_drop(run);
		return pid;
	}
	compile->pid = pid;
	return 0;
}

void compile_drop(struct run *run)
{
	struct compile *compile = &run->compile;
	if (!compile->pending)
		return;
	if (compile->pid) {
		kill(-compile->pid, SIGKILL);
		cgroup_kill_worker(&run->cgroups);
	}
	compile->pid = 0;
	compile->pending = false;
	close_fd(&compile->said_fd);
	buf_free(&compile->said);
}

static void read_said(struct compile *compile)
{
	uint8_t block[4096];
	ssize_t got;
	while (compile->said_fd >= 0 &&
		(got = sys_read(compile->said_fd, block, sizeof(block))) != -EAGAIN) {
		if (got <= 0)
			close_fd(&compile->said_fd);
		else
			buf_append(&compile->said, block, (size_t)got); /* too much is dropped */
	}
}

static void on_said(void *owner, void *what, short events)
{
	(void)owner, (void)events;
	read_said(what);
}

void compile_watch(struct run *run, struct loop *loop)
{
	if (run->compile.pending)
		loop_watch(loop, &run->compile.said_fd, POLLIN, on_said, run, &run->compile);
}

static void fail(struct run *run, const char *why)
{
	char error[512], path[PATH_MAX];
	snprintf(error, sizeof(error), "the module cannot be compiled: %s", why);
	compile_drop(run);
	compiled_path(run->guest, path, sizeof(path));
	unlink(path);
	init_failed(run, error, NULL, 0);
}

/* Nobody's to change from now on. */
int compile_take(struct run *run)
{
	struct function *function = &run->function;
	char path[PATH_MAX];
	compiled_path(run->guest, path, sizeof(path));
	AUTO_FD int fd = sys_open(path, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if ((run->guest->pid1 && fchown(fd, 0, 0) < 0) || fchmod(fd, 0444) < 0)
		return -errno;
	snprintf(function->file, sizeof(function->file), "%s", path);
	return 0;
}

static bool is_full(const struct guest *guest)
{
	char path[PATH_MAX];
	struct statvfs fs;
	compiled_path(guest, path, sizeof(path));
	return statvfs(path, &fs) == 0 && !fs.f_bavail;
}

static void fail_ended(struct run *run, int status)
{
	struct compile *compile = &run->compile;
	struct json_span why =
		wasm_reason((struct json_span){ (char *)compile->said.data, compile->said.len });
	char text[400];
	if (cgroup_worker_oom(&run->cgroups))
		snprintf(text, sizeof(text), "out of memory");
	else if (is_full(run->guest))
		snprintf(text, sizeof(text),
			"its machine code takes more than half of the memory (memory_mb)");
	else if (why.len)
		snprintf(text, sizeof(text), "%.*s", (int)why.len, why.at);
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "exit %d", WEXITSTATUS(status));
	fail(run, text);
}

void compile_exited(struct run *run, int status)
{
	struct compile *compile = &run->compile;
	read_said(compile);
	compile->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fail_ended(run, status);
		return;
	}
	int r = compile_take(run);
	if (r < 0) {
		fail(run, strerror(-r));
		return;
	}
	compile_drop(run);
	cgroup_measure_worker(&run->cgroups);
	init_program_done(run);
}

void compile_check_deadline(struct run *run)
{
	struct compile *compile = &run->compile;
	char why[64];
	if (!compile->pending || !deadline_passed(compile->deadline))
		return;
	snprintf(why, sizeof(why), "it took longer than %u ms", compile->timeout_ms);
	fail(run, why);
}
