/* SPDX-License-Identifier: MIT */
/* nova-agent: as /init it is PID 1 of a guest; with --fd it is a plain process that serves one
 * descriptor. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"

static struct agent agent; /* large, and there is one */

static int usage(FILE *to)
{
	fputs("nova-agent: runs functions inside a microVM. In a guest it is /init.\n"
	      "As a plain process, without any isolation, for tests:\n"
	      "  nova-agent --fd N --code DIRECTORY --work DIRECTORY\n"
	      "    --fd     descriptor that carries the protocol (a socket)\n"
	      "    --code   directory that stands for /code\n"
	      "    --work   directory that stands for /tmp, and takes the input files\n",
		to);
	return to == stdout ? 0 : 2;
}

/* Signals are read as data; a broken pipe is an error code like any other. */
static int take_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void end_all(void)
{
	hook_drop(&agent.run);
	compile_drop(&agent.run);
	worker_stop(&agent.worker);
	request_drop_all(&agent.run);
	kill_orphans(&agent.run, "", true);
	function_clear(&agent.run.function);
	worker_done(&agent.worker);
	kv_close(&agent.run.kv);
	channel_done(&agent.channel);
}

static int serve_plain(int fd, const char *code, const char *work)
{
	struct guest *guest = &agent.guest;
	snprintf(guest->code_dir, sizeof(guest->code_dir), "%s", code);
	snprintf(guest->input_dir, sizeof(guest->input_dir), "%s", work);
	guest->temp_dir = guest->input_dir;
	guest->root = "none";
	agent.channel.fd = fd;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	kv_open(&agent.run.kv, guest);
	guest->kv = agent.run.kv.path;
	if (sys_set_nonblock(fd, true) < 0) {
		fprintf(stderr, "nova-agent: --fd %d is not an open descriptor\n", fd);
		return 2;
	}
	serve_ready(&agent);
	serve(&agent);
	channel_flush(&agent.channel, 500);
	end_all();
	return 0;
}

static void boot_all(void)
{
	boot(&agent.guest, &agent.channel);
	uint64_t memory = boot_function_memory();
	cgroups_make(&agent.run.cgroups, memory);
	tmp_fit(memory);
	kv_open(&agent.run.kv, &agent.guest);
	agent.guest.kv = agent.run.kv.path;
	if (agent.guest.code_later)
		prestart(&agent.worker);
	if (agent.channel.fd >= 0)
		serve_ready(&agent);
}

static _Noreturn void serve_guest(void)
{
	boot_all();
	for (;;) {
		serve(&agent);
		if (agent.stopping)
			break;
		agent.loop.done = false; /* as PID 1 there is no other end */
	}
	channel_flush(&agent.channel, 500);
	boot_end();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "fd", required_argument, NULL, 'f' },
		{ "code", required_argument, NULL, 'c' },
		{ "work", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	const char *code = NULL, *work = NULL;
	int fd = -1, option;
	agent.guest.pid1 = getpid() == 1;
	agent.run.guest = &agent.guest;
	agent.run.channel = &agent.channel;
	worker_init(&agent.worker, &agent.run);
	agent.signals = take_signals();
	if (agent.signals < 0 || channel_init(&agent.channel) < 0)
		return 1;
	if (agent.guest.pid1)
		serve_guest();
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'f')
			fd = (int)strtol(optarg, NULL, 10);
		else if (option == 'c')
			code = optarg;
		else if (option == 'w')
			work = optarg;
		else if (option == 'v')
			return puts("nova-agent " NOVA_VERSION_STRING) < 0;
		else
			return usage(option == 'h' ? stdout : stderr);
	}
	if (fd < 0 || !code || !work)
		return usage(stderr);
	return serve_plain(fd, code, work);
}
