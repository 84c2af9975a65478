/* SPDX-License-Identifier: MIT */
/*
 * novactl daemon: keeps the pool for the other calls of novactl. tools/serve does most of it; here
 * is what the daemon is given, and what is served.
 */
#include <unistd.h>

#include "daemon.h"

#define CLIENTS_MAX 1000

static struct {
	uint32_t idle_ttl_ms, client_ms, stop_ms;
	const char *socket, *http;
} given = { .client_ms = 10000, .stop_ms = 10000 };

static const struct opt options[] = {
	{ OPT_DURATION, 0, "idle-ttl", "TIME", "how long a VM waits for its next call [60s]",
		&given.idle_ttl_ms },
	{ OPT_TEXT, 0, "socket", "PATH", "the socket [daemon/socket below the state directory]",
		&given.socket },
	{ OPT_TEXT, 0, "http", "ADDRESS",
		"serve HTTP there instead, as novad does: 8080, or 127.0.0.1:8080", &given.http },
	{ OPT_DURATION | OPT_FROM_0, 0, "stop-timeout", "TIME",
		"how long calls under way may go on when it is stopped [10s]", &given.stop_ms },
	{ OPT_DURATION, 0, "client-timeout", "TIME",
		"how long a client may take until its request is there [10s]", &given.client_ms },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static const struct job_verb *const served[] = {
	&served_invoke,
	&served_run,
	&served_status,
	&served_stop,
	&served_instance_start,
	&served_instance_list,
	&served_instance_get,
	&served_instance_stats,
	&served_instance_console,
	&served_instance_exec,
	&served_instance_pause,
	&served_instance_resume,
	&served_instance_snapshot,
	&served_instance_stop,
	NULL,
};

static void tell_ready(const struct daemon *daemon)
{
	const char *socket = server_socket(daemon->server);
	if (globals.json) {
		json_t *line = need(json_pack(
			"{s:{s:i,s:s}}", "ready", "pid", (int)getpid(), "socket", socket));
		json_dumpf(line, stdout, JSON_COMPACT);
		json_decref(line);
	} else {
		printf("ready: process id %d, socket %s", (int)getpid(), socket);
	}
	putchar('\n');
	fflush(stdout);
	clearerr(stdout); /* who has closed it does not want to know */
	service_notify("READY=1\nSTATUS=Serving functions");
}

static int refused(const struct daemon *daemon, const char *directory)
{
	pid_t pid;
	char *socket;
	const char *home = nova_host_home(nova_host_get(daemon->nova));
	if (!place_holder(directory, &pid, &socket))
		return failure("another daemon for '%s' is just starting or stopping", home);
	free(socket);
	return failure(
		"the daemon with process id %d serves '%s' already; 'novactl daemon stop' ends it",
		(int)pid, home);
}

/* Absolute, as others look for it from elsewhere; NULL: where it is without a word. */
static char *socket_path(void)
{
	char *path, *here;
	if (!given.socket || *given.socket == '/')
		return given.socket ? need(strdup(given.socket)) : NULL;
	here = need(getcwd(NULL, 0));
	if (asprintf(&path, "%s/%s", here, given.socket) < 0)
		need(NULL);
	free(here);
	return path;
}

static int set_idle_ttl(nova_config_t *config)
{
	char ttl[32];
	nova_error_t *error = NULL;
	snprintf(ttl, sizeof(ttl), "%ums", given.idle_ttl_ms);
	return given.idle_ttl_ms && nova_config_set(config, "pool.idle_ttl", ttl, &error) != 0 ?
		       report(error) :
		       STATUS_OK;
}

static int open_nova(struct daemon *daemon)
{
	nova_error_t *error = NULL;
	if (nova_open(daemon->config, &daemon->nova, &error) != 0)
		return report(error);
	/* Its log is all that a service has to say. */
	if (nova_config_source(daemon->config, "log.level") == NOVA_CONFIG_DEFAULT &&
		!globals.log_level && !globals.verbose)
		globals.log_level = "info";
	session_log(nova_host_get(daemon->nova), daemon->config);
	return 0;
}

static void say(int level, const char *text)
{
	session_say(level, "daemon", "%s", text);
}

static int serve(struct daemon *daemon, const struct server_opts *opts)
{
	daemon->server = server_new(opts);
	enum server_start start = server_start(daemon->server);
	int status = start == SERVER_HELD   ? refused(daemon, opts->directory) :
		     start == SERVER_FAILED ? failure("%s", server_why(daemon->server)) :
					      STATUS_OK;
	if (status == STATUS_OK) {
		tell_ready(daemon);
		server_run(daemon->server);
	}
	server_free(daemon->server);
	if (status == STATUS_OK)
		say(NOVA_LOG_INFO, "stopped");
	return status;
}

/* --- over HTTP: novad, which has more options --- */

/* What the command line has set goes by the environment, where others do not see passwords. */
static void hand_over_settings(const nova_config_t *config)
{
	for (const char *const *key = nova_config_keys(); *key; key++)
		if (nova_config_source(config, *key) == NOVA_CONFIG_SET)
			setenv(nova_config_variable(*key), nova_config_get(config, *key), 1);
	if (globals.log_level)
		setenv(nova_config_variable("log.level"), globals.log_level, 1);
}

/* It lies where novactl does. */
static char *novad_path(void)
{
	char own[4096], *path, *slash;
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	own[len > 0 ? len : 0] = 0;
	slash = strrchr(own, '/');
	if (slash)
		*slash = 0;
	if (asprintf(&path, "%s/novad", own) < 0)
		need(NULL);
	return path;
}

static int become_novad(const nova_config_t *config)
{
	char stop[32], head[32];
	char *path = novad_path();
	snprintf(stop, sizeof(stop), "%ums", given.stop_ms);
	snprintf(head, sizeof(head), "%ums", given.client_ms);
	const char *const words[] = { "novad", "--listen", given.http, "--stop-timeout", stop,
		"--head-timeout", head, globals.config ? "--config" : NULL, globals.config, NULL };
	hand_over_settings(config);
	execv(path, (char *const *)(uintptr_t)words);
	int status = failure("'%s', which serves HTTP, cannot be started: %m", path);
	free(path);
	return status;
}

static int run(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	if (given.http && given.socket)
		return usage_error(
			&verb_daemon, "--http and --socket are two ways to serve: give one");
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	if (config)
		status = set_idle_ttl(config);
	if (!config || status != STATUS_OK)
		return status;
	if (given.http)
		return become_novad(config);
	struct daemon daemon = { .config = config, .started = now_ms() };
	server_prepare();
	status = open_nova(&daemon);
	if (status != STATUS_OK)
		return status;
	char *socket = socket_path();
	char *directory = daemon_directory(nova_host_home(nova_host_get(daemon.nova)));
	struct server_opts opts = {
		.name = "daemon",
		.nova = daemon.nova,
		.directory = directory,
		.socket = socket,
		.protocol = &conversation,
		.verbs = served,
		.connections_max = CLIENTS_MAX,
		.request_ms = given.client_ms,
		.stop_ms = given.stop_ms,
		.log = say,
		.userdata = &daemon,
	};
	status = serve(&daemon, &opts);
	free(socket);
	free(directory);
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
	char *other = http_daemon(config);
	*ret_status = other ? failure("%s", other) :
			      failure("no daemon serves '%s'; 'novactl daemon' starts one",
				      nova_config_get(config, "home"));
	free(other);
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

static double milliseconds(const json_t *object, const char *key)
{
	return (double)member_number(object, key) / 1000;
}

static struct {
	bool histogram;
} status_given;

static const struct opt status_options[] = {
	{ OPT_FLAG, 0, "histogram", NULL, "how many calls waited how long for a VM",
		&status_given.histogram },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void show_status(const json_t *status)
{
	const char *key;
	json_t *value, *queue = json_object_get(status, "queue");
	const json_t *templates = json_object_get(status, "templates");
	print_field("Process", "%lld", member_number(status, "pid"));
	print_field("Version", "%s", member_text(status, "version"));
	print_field("Home", "%s", member_text(status, "home"));
	print_field("Socket", "%s", member_text(status, "socket"));
	print_field("Engine", "%s", member_text(status, "engine"));
	print_field("Up for", "%lld s", member_number(status, "uptime_s"));
	print_field("Clients", "%lld", member_number(status, "clients"));
	print_field("Calls", "%lld, %lld of them under way, %lld waiting",
		member_number(status, "calls"), member_number(queue, "under_way"),
		member_number(queue, "waiting"));
	print_field("Templates", "%lld, %.1f MB of at most %.0f MB on disk",
		member_number(templates, "count"), (double)member_number(templates, "bytes") / 1e6,
		(double)member_number(templates, "limit_bytes") / 1e6);
	puts("Pool:");
	json_object_foreach(json_object_get(status, "pool"), key, value)
		printf("  %-16s %lld\n", key, (long long)json_integer_value(value));
	puts("Time to get a VM (p50, p90, p99):");
	json_object_foreach(json_object_get(status, "latency"), key, value)
		printf("  %-16s %.1f ms, %.1f ms, %.1f ms\n", key, milliseconds(value, "p50_us"),
			milliseconds(value, "p90_us"), milliseconds(value, "p99_us"));
}

/* How many calls took so long; those that none took are left out. */
static void show_histogram(const json_t *status)
{
	const char *key;
	json_t *rows, *row;
	size_t i;
	json_object_foreach(json_object_get(status, "histogram"), key, rows)
	{
		if (!json_array_size(rows))
			continue;
		printf("Time to get a VM (%s), calls:\n", key);
		json_array_foreach(rows, i, row) printf("  under %10.3f ms %lld\n",
			milliseconds(row, "under_us"), (long long)member_number(row, "calls"));
	}
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
	if (status == 0 && !globals.json && status_given.histogram)
		show_histogram(answer);
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
	.notes = "With --http it is novad, with its keys and routes: see docs/novad.md. Other "
		 "calls of "
		 "novactl\n"
		 "do not find it then.\n"
		 "It stays in the foreground and logs to stderr. When it serves, it prints a line "
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
	.options = status_options,
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
