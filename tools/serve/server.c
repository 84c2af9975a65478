/* SPDX-License-Identifier: MIT */
/* A server's life: it takes its place, serves until it is stopped, and ends in order. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "serve.h"

#define CUT_MS  5000 /* how long a cancelled job may take to end */
#define CLOSE_S 10   /* how long ending all VMs may take, before the keeper does it */

enum phase {
	PHASE_SERVING,
	PHASE_DRAINING, /* nothing new; what is under way may finish */
	PHASE_CUTTING,  /* it has been cancelled */
	PHASE_OVER,     /* at once */
};

struct server {
	struct server_opts opts;
	struct loop *loop;
	struct jobs *jobs;
	const struct front *front;
	void *guests; /* what the front has opened, or NULL */
	struct ticker *ticker;
	char *socket;
	int lock, signals;
	struct watch *signals_watch;
	enum phase phase;
	bool signalled, listening;
	int64_t phase_end; /* milliseconds of now_ms(); -1: never */
	char why[512];
};

/* --- the process --- */

/* Else a socket would take the place of a closed standard output, and get what is printed. */
static void fill_standard_fds(void)
{
	int fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* Each client and each VM takes descriptors; the usual soft limit of 1024 is meant for select(2).
 */
static void raise_limits(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static void stop_signals(sigset_t *set)
{
	struct sigaction hangup;
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(set, SIGHUP); /* else nohup has said that it is to stay */
}

/* Threads that are started later inherit that signals are not for them. */
void server_prepare(void)
{
	sigset_t stops;
	fill_standard_fds();
	raise_limits();
	stop_signals(&stops);
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
}

/* --- phases --- */

static void hide(struct server *server)
{
	if (!server->listening)
		return;
	server->listening = false; /* by now the name may be somebody else's */
	place_tell(server->lock, NULL);
	server->front->drain(server->guests);
}

void server_stop(struct server *server, const char *why)
{
	if (server->phase != PHASE_SERVING)
		return;
	log_line(server->opts.log, NOVA_LOG_INFO, "stopping: %s", why);
	service_notify("STOPPING=1");
	server->phase = PHASE_DRAINING;
	server->phase_end = now_ms() + server->opts.stop_ms;
	hide(server);
}

static void phase_over(struct server *server)
{
	char why[160];
	if (server->phase == PHASE_CUTTING) {
		server->phase = PHASE_OVER;
		return;
	}
	log_line(server->opts.log, NOVA_LOG_WARN, "calls that are still under way are cancelled");
	server->phase = PHASE_CUTTING;
	server->phase_end = now_ms() + CUT_MS;
	snprintf(why, sizeof(why), "the %s was stopped, and this call was not over after %u ms",
		server->opts.name, server->opts.stop_ms);
	jobs_cancel(server->jobs, why);
}

static void on_signal(void *userdata, uint32_t events)
{
	(void)events;
	struct server *server = userdata;
	struct signalfd_siginfo info;
	char why[64];
	if (read(server->signals, &info, sizeof(info)) != sizeof(info))
		return;
	/* not the first signal after server_stop(), which asks for the same */
	if (server->signalled) {
		log_line(server->opts.log, NOVA_LOG_WARN, "stopping at once: another signal");
		server->phase = PHASE_OVER;
		return;
	}
	server->signalled = true;
	snprintf(why, sizeof(why), "signal %s", strsignal((int)info.ssi_signo));
	server_stop(server, why);
}

/* --- serving --- */

static void step(struct server *server)
{
	int64_t deadline = server->front->deadline(server->guests);
	if (server->phase_end >= 0 && (deadline < 0 || server->phase_end < deadline))
		deadline = server->phase_end;
	loop_step(server->loop, deadline);
	server->front->tidy(server->guests);
	if (server->phase_end >= 0 && now_ms() >= server->phase_end)
		phase_over(server);
}

void server_run(struct server *server)
{
	while (server->phase == PHASE_SERVING ||
		(server->phase != PHASE_OVER &&
			(server_connections(server) || jobs_count(server->jobs))))
		step(server);
}

/* --- beginning --- */

struct server *server_new(const struct server_opts *opts)
{
	struct server *server = need(calloc(1, sizeof(*server)));
	*server = (struct server){
		.opts = *opts,
		.front = opts->front ? opts->front : &listener_front,
		.lock = -1,
		.signals = -1,
		.phase_end = -1,
	};
	int len = opts->socket ? asprintf(&server->socket, "%s", opts->socket) :
				 asprintf(&server->socket, "%s/socket", opts->directory);
	if (len < 0)
		need(NULL);
	server->opts.socket = server->socket;
	return server;
}

static enum server_start failed(struct server *server, const char *format, ...) PRINTF_LIKE(2, 3);
static enum server_start failed(struct server *server, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(server->why, sizeof(server->why), format, args);
	va_end(args);
	return SERVER_FAILED;
}

static enum server_start make_loop(struct server *server)
{
	sigset_t stops;
	nova_error_t *error = NULL;
	stop_signals(&stops);
	server->signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
	server->loop = loop_new();
	server->signals_watch =
		server->signals >= 0 && server->loop ?
			loop_watch(server->loop, server->signals, EPOLLIN, on_signal, server) :
			NULL;
	if (!server->signals_watch)
		return failed(server, "cannot make a descriptor: %m");
	server->jobs = jobs_new(server->loop, server->opts.nova, server->opts.userdata, &error);
	if (!server->jobs)
		failed(server, "%s", nova_error_message(error));
	nova_error_free(error);
	return server->jobs ? SERVER_READY : SERVER_FAILED;
}

static enum server_start take_place(struct server *server)
{
	const char *directory = server->opts.directory;
	if (!place_make(directory))
		return failed(server, "cannot make the directory '%s': %m", directory);
	server->lock = place_lock(directory);
	if (server->lock == -1)
		return SERVER_HELD;
	if (server->lock < 0)
		return failed(server, "cannot lock '%s/lock': %m", directory);
	server->guests = server->front->open(
		server->loop, server->jobs, &server->opts, server->why, sizeof(server->why));
	server->listening = server->guests != NULL;
	if (!server->listening)
		return SERVER_FAILED;
	const char *address =
		server->front->address ? server->front->address(server->guests) : server->socket;
	if (!place_tell(server->lock, address))
		return failed(server, "cannot write '%s/lock': %m", directory);
	return SERVER_READY;
}

enum server_start server_start(struct server *server)
{
	enum server_start start = make_loop(server);
	if (start == SERVER_READY)
		start = take_place(server);
	if (start != SERVER_READY)
		return start;
	server->ticker = ticker_start(server->opts.nova);
	return server->ticker ? SERVER_READY : failed(server, "cannot start a thread");
}

/* --- end --- */

/* All calls are answered: that the keeper has to end the VMs is no failure. */
static void end_now(int number)
{
	_exit(number == SIGALRM ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* From here on a signal ends the process on the spot, and so does time: the keeper then ends the
 * VMs. */
static void limit_time(void)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGHUP, SIGALRM };
	struct sigaction end = { .sa_handler = end_now };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		sigaction(stops[i], &end, NULL);
		sigaddset(&set, stops[i]);
	}
	alarm(CLOSE_S);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void server_free(struct server *server)
{
	if (server->phase == PHASE_OVER) {
		server->front->abandon(server->guests);
		_exit(EXIT_FAILURE);
	}
	hide(server);
	limit_time();
	ticker_stop(server->ticker);
	if (server->guests)
		server->front->close(server->guests);
	jobs_free(server->jobs);
	nova_close(server->opts.nova);
	alarm(0);
	watch_end(server->signals_watch);
	loop_free(server->loop);
	if (server->signals >= 0)
		close(server->signals);
	if (server->lock >= 0)
		close(server->lock);
	free(server->socket);
	free(server);
}

/* --- what it is like --- */

const char *server_why(const struct server *server)
{
	return server->why;
}

const char *server_socket(const struct server *server)
{
	return server->socket;
}

struct loop *server_loop(const struct server *server)
{
	return server->loop;
}

struct jobs *server_jobs(const struct server *server)
{
	return server->jobs;
}

size_t server_connections(const struct server *server)
{
	return server->front->count(server->guests);
}
