/* SPDX-License-Identifier: MIT */
/*
 * novactl daemon: keeps the pool for the other calls of novactl. One loop waits for clients,
 * signals and finished calls; one thread ticks the pool, since a tick may start VMs and take
 * seconds.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon.h"

#define TICK_MS     1000 /* how long a change of the store may go unnoticed */
#define TICK_MIN_MS 5    /* between two ticks, whatever the pool says */
#define CUT_MS      5000 /* how long a cancelled call may take to end */
#define CLOSE_S     10   /* how long ending all VMs may take, before the keeper does it */

static struct {
	uint32_t idle_ttl_ms, client_ms, stop_ms;
	const char *socket;
} given = { .client_ms = 10000, .stop_ms = 10000 };

static const struct opt options[] = {
	{ OPT_DURATION, 0, "idle-ttl", "TIME", "how long a VM waits for its next call [60s]",
		&given.idle_ttl_ms },
	{ OPT_TEXT, 0, "socket", "PATH", "the socket [daemon/socket below the state directory]",
		&given.socket },
	{ OPT_DURATION, 0, "stop-timeout", "TIME",
		"how long calls under way may go on when it is stopped [10s]", &given.stop_ms },
	{ OPT_DURATION, 0, "client-timeout", "TIME",
		"how long a client may take until its request is there [10s]", &given.client_ms },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* --- the thread that ticks --- */

struct ticker {
	pthread_t thread;
	nova_pool_t *pool;
	int stop; /* eventfd */
	bool running;
};

/* The pool says when something is due; it does not hear of what other processes do to the store. */
static void *tick_until_stopped(void *userdata)
{
	struct ticker *ticker = userdata;
	int due = nova_pool_fd(ticker->pool);
	struct pollfd fds[] = { { ticker->stop, POLLIN, 0 }, { due < 0 ? -1 : due, POLLIN, 0 } };
	do {
		int64_t next = nova_pool_tick(ticker->pool);
		int wait = next < 0 || next > TICK_MS ? TICK_MS : (int)next;
		poll(fds, 1, TICK_MIN_MS);
		if (!fds[0].revents && wait > TICK_MIN_MS)
			poll(fds, ARRAY_LEN(fds), wait - TICK_MIN_MS);
	} while (!fds[0].revents);
	return NULL;
}

static bool ticker_start(struct ticker *ticker, nova_t *nova)
{
	ticker->pool = nova_pool_get(nova);
	ticker->stop = eventfd(0, EFD_CLOEXEC);
	ticker->running = ticker->stop >= 0 &&
			  pthread_create(&ticker->thread, NULL, tick_until_stopped, ticker) == 0;
	return ticker->running;
}

static void ticker_stop(struct ticker *ticker)
{
	if (ticker->running) {
		eventfd_write(ticker->stop, 1);
		pthread_join(ticker->thread, NULL);
	}
	if (ticker->stop >= 0)
		close(ticker->stop);
}

/* --- phases --- */

static void hide(struct daemon *daemon)
{
	if (daemon->listener < 0)
		return;
	daemon_lock_tell(daemon->lock, NULL);
	unlink(daemon->socket);
	close(daemon->listener);
	daemon->listener = -1;
}

static void stop(struct daemon *daemon, const char *why)
{
	if (daemon->phase != PHASE_SERVING)
		return;
	session_say(NOVA_LOG_INFO, "daemon", "stopping: %s", why);
	service_notify("STOPPING=1");
	daemon->phase = PHASE_DRAINING;
	daemon->phase_end = now_ms() + daemon->stop_ms;
	hide(daemon);
	clients_drain(daemon);
}

static void phase_over(struct daemon *daemon)
{
	if (daemon->phase == PHASE_DRAINING) {
		session_say(
			NOVA_LOG_WARN, "daemon", "calls that are still under way are cancelled");
		daemon->phase = PHASE_CUTTING;
		daemon->phase_end = now_ms() + CUT_MS;
		clients_cancel(daemon);
	} else {
		daemon->phase = PHASE_OVER;
	}
}

static void on_signal(struct daemon *daemon)
{
	struct signalfd_siginfo info;
	char why[64];
	if (read(daemon->signals, &info, sizeof(info)) != sizeof(info))
		return;
	/* not the first signal after 'daemon stop', which asks for the same */
	if (daemon->signalled) {
		session_say(NOVA_LOG_WARN, "daemon", "stopping at once: another signal");
		daemon->phase = PHASE_OVER;
		return;
	}
	daemon->signalled = true;
	snprintf(why, sizeof(why), "signal %s", strsignal((int)info.ssi_signo));
	stop(daemon, why);
}

static void stop_if_asked(struct daemon *daemon)
{
	char why[64];
	if (!daemon->asked_by)
		return;
	snprintf(why, sizeof(why), "process %d asks for it", (int)daemon->asked_by);
	daemon->asked_by = 0;
	stop(daemon, why);
}

/* --- the loop --- */

enum { FD_SIGNALS, FD_QUEUE, FD_WAKE, FD_LISTENER, FD_CLIENTS };

static int wait_ms(int64_t deadline)
{
	int64_t left = deadline - now_ms();
	return deadline < 0 ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void step(struct daemon *daemon)
{
	struct pollfd *fds = need(calloc(FD_CLIENTS + 2 * daemon->client_count, sizeof(*fds)));
	int64_t deadline = daemon->phase_end;
	bool accepts = daemon->listener >= 0 && now_ms() >= daemon->accept_after &&
		       daemon->client_count < 2 * CLIENTS_MAX;
	eventfd_t printed;
	fds[FD_SIGNALS] = (struct pollfd){ daemon->signals, POLLIN, 0 };
	fds[FD_QUEUE] = (struct pollfd){ nova_queue_fd(daemon->queue), POLLIN, 0 };
	fds[FD_WAKE] = (struct pollfd){ daemon->wake, POLLIN, 0 };
	fds[FD_LISTENER] = (struct pollfd){ accepts ? daemon->listener : -1, POLLIN, 0 };
	size_t count = FD_CLIENTS + clients_poll(daemon, fds + FD_CLIENTS, &deadline);
	bool later = daemon->listener >= 0 && now_ms() < daemon->accept_after;
	if (later && (deadline < 0 || daemon->accept_after < deadline))
		deadline = daemon->accept_after;
	bool ready = poll(fds, count, wait_ms(deadline)) > 0;
	if (ready && fds[FD_WAKE].revents)
		eventfd_read(daemon->wake, &printed);
	/* The list of clients is as it was polled until it has been stepped through. */
	clients_step(daemon, fds + FD_CLIENTS);
	stop_if_asked(daemon);
	if (ready)
		clients_collect(daemon);
	if (ready && fds[FD_LISTENER].revents && daemon->listener >= 0)
		client_accept(daemon);
	if (ready && fds[FD_SIGNALS].revents)
		on_signal(daemon);
	free(fds);
	clients_flush(daemon);
	if (daemon->phase_end >= 0 && now_ms() >= daemon->phase_end)
		phase_over(daemon);
}

static void serve(struct daemon *daemon)
{
	while (daemon->phase == PHASE_SERVING ||
		(daemon->phase != PHASE_OVER && daemon->client_count > 0))
		step(daemon);
}

static void tell_ready(const struct daemon *daemon)
{
	if (globals.json) {
		json_t *line = need(json_pack(
			"{s:{s:i,s:s}}", "ready", "pid", (int)getpid(), "socket", daemon->socket));
		json_dumpf(line, stdout, JSON_COMPACT);
		json_decref(line);
	} else {
		printf("ready: process id %d, socket %s", (int)getpid(), daemon->socket);
	}
	putchar('\n');
	fflush(stdout);
	clearerr(stdout); /* who has closed it does not want to know */
	service_notify("READY=1\nSTATUS=Serving functions");
}

/* --- beginning and end --- */

static int refused(const struct daemon *daemon)
{
	pid_t pid;
	char *socket;
	const char *home = nova_host_home(nova_host_get(daemon->nova));
	if (!daemon_lock_read(daemon->directory, &pid, &socket))
		return failure("another daemon for '%s' is just starting or stopping", home);
	free(socket);
	return failure(
		"the daemon with process id %d serves '%s' already; 'novactl daemon stop' ends it",
		(int)pid, home);
}

/* Absolute, as others look for it from elsewhere. */
static char *socket_path(const char *directory)
{
	char *path, *here = NULL;
	if (given.socket && *given.socket != '/')
		here = need(getcwd(NULL, 0));
	int len = given.socket ? asprintf(&path, "%s%s%s", here ? here : "", here ? "/" : "",
					 given.socket) :
				 asprintf(&path, "%s/socket", directory);
	free(here);
	return len < 0 ? need(NULL) : path;
}

static int take_place(struct daemon *daemon)
{
	const char *home = nova_host_home(nova_host_get(daemon->nova));
	daemon->directory = daemon_directory(home, true);
	if (!daemon->directory)
		return failure("cannot make the directory 'daemon' in '%s': %m", home);
	daemon->lock = daemon_lock(daemon->directory);
	if (daemon->lock == -1)
		return refused(daemon);
	if (daemon->lock < 0)
		return failure("cannot lock '%s/lock': %m", daemon->directory);
	daemon->socket = socket_path(daemon->directory);
	daemon->listener = socket_listen(daemon->socket);
	if (daemon->listener < 0)
		return failure("cannot listen at '%s': %m", daemon->socket);
	if (!daemon_lock_tell(daemon->lock, daemon->socket))
		return failure("cannot write '%s/lock': %m", daemon->directory);
	return 0;
}

/* Signals are for the loop; threads that are started later inherit that they are not for them. */
static int take_signals(struct daemon *daemon)
{
	sigset_t stops;
	struct sigaction hangup;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&stops, SIGHUP); /* else nohup has said that it is to stay */
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
	daemon->signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
	daemon->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return daemon->signals < 0 || daemon->wake < 0 ? failure("cannot make a descriptor: %m") :
							 0;
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

/* Else a socket would take the place of a closed standard output, and get what is printed. */
static void fill_standard_fds(void)
{
	int fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int open_all(struct daemon *daemon)
{
	char ttl[32];
	nova_error_t *error = NULL;
	snprintf(ttl, sizeof(ttl), "%ums", given.idle_ttl_ms);
	if ((given.idle_ttl_ms &&
		    nova_config_set(daemon->config, "pool.idle_ttl", ttl, &error) != 0) ||
		nova_open(daemon->config, &daemon->nova, &error) != 0)
		return report(error);
	/* Its log is all that a service has to say. */
	if (nova_config_source(daemon->config, "log.level") == NOVA_CONFIG_DEFAULT &&
		!globals.log_level && !globals.verbose)
		globals.log_level = "info";
	session_log(nova_host_get(daemon->nova), daemon->config);
	if (nova_queue_new(daemon->nova, NULL, &daemon->queue, &error) != 0)
		return report(error);
	return 0;
}

/* All calls are answered: that the keeper has to end the VMs is no failure. */
static void end_now(int number)
{
	_exit(number == SIGALRM ? STATUS_OK : STATUS_FAILED);
}

/* From here on a signal ends the process on the spot, and so does time: the keeper then ends the
 * VMs. */
static void close_all(struct daemon *daemon, struct ticker *ticker)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGHUP, SIGALRM };
	struct sigaction end = { .sa_handler = end_now };
	sigset_t set;
	bool at_once = daemon->phase == PHASE_OVER;
	hide(daemon);
	if (at_once) {
		clients_abandon(daemon);
		_exit(STATUS_FAILED);
	}
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		sigaction(stops[i], &end, NULL);
		sigaddset(&set, stops[i]);
	}
	alarm(CLOSE_S);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ticker_stop(ticker);
	if (daemon->nova)
		jobs_cut(daemon->nova);
	nova_queue_free(daemon->queue);
	clients_free(daemon);
	nova_close(daemon->nova);
	alarm(0);
}

static void close_fds(struct daemon *daemon)
{
	const int fds[] = { daemon->signals, daemon->wake, daemon->lock };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(daemon->socket);
	free(daemon->directory);
}

static int run(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	if (!config)
		return status;
	struct daemon daemon = {
		.config = config,
		.lock = -1,
		.listener = -1,
		.signals = -1,
		.wake = -1,
		.phase_end = -1,
		.started = now_ms(),
		.client_ms = given.client_ms,
		.stop_ms = given.stop_ms,
	};
	struct ticker ticker = { .stop = -1 };
	fill_standard_fds();
	raise_limits();
	status = take_signals(&daemon);
	if (status == 0)
		status = open_all(&daemon);
	if (status == 0)
		status = take_place(&daemon);
	if (status == 0 && !ticker_start(&ticker, daemon.nova))
		status = failure("cannot start a thread");
	if (status == 0) {
		tell_ready(&daemon);
		serve(&daemon);
	}
	close_all(&daemon, &ticker);
	if (status == 0)
		session_say(NOVA_LOG_INFO, "daemon", "stopped");
	close_fds(&daemon);
	return status;
}

/* --- the other side --- */

static bool find(struct remote *remote, int *ret_status)
{
	CLEANUP(config_freep) nova_config_t *config = session_config(ret_status);
	if (!config)
		return false;
	if (remote_connect(remote, config, false))
		return true;
	*ret_status = failure("no daemon serves '%s'; 'novactl daemon' starts one",
		nova_config_get(config, "home"));
	return false;
}

static int ask(struct remote *remote, const char *verb, json_t **ret_reply)
{
	enum remote_end end = remote_ask(
		remote, need(json_pack("{s:s}", "verb", verb)), NULL, 0, NULL, NULL, ret_reply);
	return end == REMOTE_REPLIED ?
		       0 :
		       failure("the daemon with process id %d has just ended", (int)remote->pid);
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static double milliseconds(const json_t *object, const char *key)
{
	return (double)number_of(object, key) / 1000;
}

static void show_status(const json_t *status)
{
	const char *key;
	json_t *value, *queue = json_object_get(status, "queue");
	print_field("Process", "%lld", number_of(status, "pid"));
	print_field("Version", "%s", string_of(status, "version"));
	print_field("Home", "%s", string_of(status, "home"));
	print_field("Socket", "%s", string_of(status, "socket"));
	print_field("Engine", "%s", string_of(status, "engine"));
	print_field("Up for", "%lld s", number_of(status, "uptime_s"));
	print_field("Clients", "%lld", number_of(status, "clients"));
	print_field("Calls", "%lld, %lld of them under way, %lld waiting",
		number_of(status, "calls"), number_of(queue, "under_way"),
		number_of(queue, "waiting"));
	puts("Pool:");
	json_object_foreach(json_object_get(status, "pool"), key, value)
		printf("  %-16s %lld\n", key, (long long)json_integer_value(value));
	puts("Time to get a VM (p50, p90, p99):");
	json_object_foreach(json_object_get(status, "latency"), key, value)
		printf("  %-16s %.1f ms, %.1f ms, %.1f ms\n", key, milliseconds(value, "p50_us"),
			milliseconds(value, "p90_us"), milliseconds(value, "p99_us"));
}

static int run_status(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	struct remote remote;
	json_t *reply = NULL;
	if (!find(&remote, &status))
		return status;
	status = ask(&remote, "status", &reply);
	remote_close(&remote);
	json_t *answer = json_object_get(reply, "status");
	if (status == 0 && globals.json)
		status = print_json(json_incref(answer));
	else if (status == 0)
		show_status(answer);
	json_decref(reply);
	return status;
}

static int run_stop(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	struct remote remote;
	json_t *reply = NULL;
	if (!find(&remote, &status))
		return status;
	/* Found before it is asked: afterwards the number may be another process. */
	int process = process_open(remote.pid);
	status = ask(&remote, "stop", &reply);
	json_decref(reply);
	if (status == 0 && process >= 0)
		process_await(process);
	if (status == 0 && globals.json)
		status = print_json(json_pack("{s:i}", "stopped", (int)remote.pid));
	else if (status == 0)
		note("The daemon with process id %d has ended.", (int)remote.pid);
	if (process >= 0)
		close(process);
	remote_close(&remote);
	return status;
}

const struct verb verb_daemon = {
	.name = "daemon",
	.args = "",
	.purpose = "Keep VMs warm for the other calls of novactl, until it is stopped.",
	.examples = "  novactl daemon --idle-ttl 60s\n"
		    "  novactl register hello -r python -c hello.py --min-replicas 2\n"
		    "  novactl invoke hello          # finds the daemon, and a VM that waits\n",
	.notes = "It stays in the foreground and logs to stderr. When it serves, it prints a line "
		 "that begins with\n"
		 "'ready:' and tells a service manager (NOTIFY_SOCKET). SIGTERM or SIGINT stop it: "
		 "calls under way\n"
		 "may finish; a second signal ends it at once. Only the same user and root may use "
		 "it.\n",
	.options = options,
	.run = run,
};

const struct verb verb_daemon_status = {
	.name = "daemon status",
	.args = "",
	.purpose = "Show what the daemon does.",
	.examples = "  novactl daemon status\n  novactl daemon status --json | jq .pool.idle\n",
	.notes = "The exit status is 1 if there is none.\n",
	.run = run_status,
};

const struct verb verb_daemon_stop = {
	.name = "daemon stop",
	.args = "",
	.purpose = "Stop the daemon and wait until it has ended.",
	.examples = "  novactl daemon stop\n",
	.notes = "Calls that are under way may finish, for as long as its --stop-timeout says.\n",
	.run = run_stop,
};
