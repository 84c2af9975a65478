/* SPDX-License-Identifier: MIT */
/*
 * A listening socket and its connections. Each is one request: bytes come until its protocol has a
 * request of them, which becomes a job; then texts go back, and a reply. Who hangs up cancels it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "serve.h"

#define READ_SIZE    (16u << 10)
#define REPLY_MS     300000 /* a client that takes nothing of its reply for so long has gone */
#define LAST_WORD_MS 2000   /* the same while the server stops */
#define NO_ROOM_MS   100    /* without a descriptor, accept nobody for so long */

enum connection_state {
	CONNECTION_OPEN,
	CONNECTION_BUSY, /* it has a job, or is just getting one */
	CONNECTION_REPLYING,
	CONNECTION_GONE,
};

struct connection {
	LIST_ENTRY(connection) all;
	struct listener *listener;
	int fd;
	struct watch *watch;
	pid_t pid;
	enum connection_state state;
	int64_t deadline; /* -1: none */
	void *spelling;   /* the protocol's own state */
	struct job *job;
	struct outgoing out;
};

struct listener {
	const struct server_opts *opts;
	struct loop *loop;
	struct jobs *jobs;
	int fd; /* -1: it drains */
	struct watch *watch;
	int64_t accept_after; /* no descriptor was left: accept nothing before that */
	LIST_HEAD(, connection) all;
	size_t count;
};

static size_t count(const struct listener *listener)
{
	return listener->count + jobs_abandoned(listener->jobs);
}

static const struct protocol *protocol_of(const struct connection *c)
{
	return c->listener->opts->protocol;
}

/* --- life --- */

/* Its memory stays until the step is over, which may still know it. */
static void lose(struct connection *c)
{
	if (c->state == CONNECTION_GONE)
		return;
	if (c->job)
		job_abandon(c->job);
	c->job = NULL;
	watch_end(c->watch);
	close(c->fd);
	c->state = CONNECTION_GONE;
}

static void connection_free(struct connection *c)
{
	lose(c);
	LIST_REMOVE(c, all);
	c->listener->count--;
	protocol_of(c)->close(c->spelling);
	bytes_free(&c->out.bytes);
	free(c);
}

/* --- what is sent --- */

static void send_reply(struct connection *c, const json_t *reply)
{
	protocol_of(c)->reply(c, reply);
	c->state = CONNECTION_REPLYING;
	c->deadline = now_ms() + (c->listener->fd < 0 ? LAST_WORD_MS : REPLY_MS);
}

static void send_new_reply(struct connection *c, json_t *reply)
{
	send_reply(c, need(reply));
	json_decref(reply);
}

void connection_refuse(struct connection *c, int code, int outcome, const char *message)
{
	send_new_reply(c, json_pack("{s:o}", "error", error_json(code, outcome, message)));
}

void connection_decline(struct connection *c, const char *why)
{
	send_new_reply(c, json_pack("{s:s}", "declined", why));
}

/* Sends what can be sent, and asks for what may happen next. */
static void settle(struct connection *c)
{
	size_t before = outgoing_left(&c->out);
	if (c->state == CONNECTION_GONE)
		return;
	bool open = outgoing_flush(&c->out, c->fd);
	/* Not while much waits to be sent: so both together are bounded. */
	if (open && c->job && outgoing_left(&c->out) <= JOB_PRINTED_MAX) {
		job_pass_on(c->job);
		open = outgoing_flush(&c->out, c->fd);
	}
	size_t left = outgoing_left(&c->out);
	if (!open || (c->state == CONNECTION_REPLYING && !left)) {
		lose(c);
		return;
	}
	if (c->state == CONNECTION_REPLYING && left < before && c->listener->fd >= 0)
		c->deadline = now_ms() + REPLY_MS;
	bool reads = !c->job || !job_is_full(c->job);
	watch_for(c->watch, (reads ? EPOLLIN : 0) | (left ? EPOLLOUT : 0));
}

/* --- its job --- */

static void on_woken(void *userdata)
{
	settle(userdata);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	struct connection *c = userdata;
	protocol_of(c)->text(c, part, data, len);
}

static void on_end(void *userdata, const json_t *reply)
{
	struct connection *c = userdata;
	c->job = NULL;
	send_reply(c, reply);
	settle(c);
}

static const struct job_verb *find_verb(const struct connection *c, const char *name)
{
	const struct job_verb *const *verb = c->listener->opts->verbs;
	while (*verb && strcmp((*verb)->name, name) != 0)
		verb++;
	return *verb;
}

void connection_begin(struct connection *c, const char *verb, struct job_request *request)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	request->verb = find_verb(c, verb ? verb : "");
	request->pid = c->pid;
	if (!request->verb) {
		connection_decline(c, "does not know what was asked for");
		return;
	}
	c->state = CONNECTION_BUSY;
	c->deadline = -1;
	c->job = job_begin(c->listener->jobs, request, &asker, c);
}

bool connection_admit(struct connection *c)
{
	char text[100];
	if (count(c->listener) <= c->listener->opts->connections_max)
		return true;
	snprintf(text, sizeof(text), "the %s has too many clients: try again later",
		c->listener->opts->name);
	connection_refuse(c, NOVA_ELIMIT, NOVA_OUTCOME_NEVER_RAN, text);
	return false;
}

bool connection_input(struct connection *c, const void *data, size_t len, bool last)
{
	return c->job && job_input(c->job, data, len, last);
}

bool connection_is_answered(const struct connection *c)
{
	return c->state >= CONNECTION_REPLYING;
}

void *connection_state(const struct connection *c)
{
	return c->spelling;
}

void *connection_userdata(const struct connection *c)
{
	return c->listener->opts->userdata;
}

struct bytes *connection_out(struct connection *c)
{
	return &c->out.bytes;
}

/* --- what comes --- */

static void complain(const struct connection *c, nova_error_t *error)
{
	log_line(c->listener->opts->log, NOVA_LOG_WARN, "process %d was hung up on: %s",
		(int)c->pid, error ? nova_error_message(error) : "it sent what has no place there");
	nova_error_free(error);
}

static void receive(struct connection *c)
{
	char data[READ_SIZE];
	nova_error_t *error = NULL;
	ssize_t n = socket_receive(c->fd, data, sizeof(data));
	/* Who was declined before it had sent all may go on. */
	bool fits = n <= 0 || connection_is_answered(c) ||
		    protocol_of(c)->receive(c, data, (size_t)n, &error);
	if (!fits)
		complain(c, error);
	if (n < 0 || !fits)
		lose(c);
}

static void on_ready(void *userdata, uint32_t events)
{
	struct connection *c = userdata;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(c);
	settle(c);
}

static void add(struct listener *listener, int fd, pid_t pid)
{
	struct connection *c = need(calloc(1, sizeof(*c)));
	c->watch = loop_watch(listener->loop, fd, EPOLLIN, on_ready, c);
	if (!c->watch) {
		close(fd);
		free(c);
		return;
	}
	c->listener = listener;
	c->fd = fd;
	c->pid = pid;
	c->deadline = now_ms() + listener->opts->request_ms;
	c->spelling = listener->opts->protocol->open(c);
	LIST_INSERT_HEAD(&listener->all, c, all);
	listener->count++;
}

static bool is_full(const struct listener *listener)
{
	return count(listener) >= 2 * (size_t)listener->opts->connections_max;
}

static void on_knock(void *userdata, uint32_t events)
{
	(void)events;
	pid_t pid;
	uid_t uid;
	struct listener *listener = userdata;
	while (!is_full(listener)) {
		int fd = socket_accept(listener->fd);
		if (fd == -2) /* who waits is still there when it will be tried again */
			listener->accept_after = now_ms() + NO_ROOM_MS;
		if (fd < 0)
			return;
		if (socket_peer_allowed(fd, &pid, &uid)) {
			add(listener, fd, pid);
			continue;
		}
		log_line(listener->opts->log, NOVA_LOG_WARN,
			"refused process %d of another user (%d)", (int)pid, (int)uid);
		close(fd);
	}
}

/* --- all of them --- */

static void *listener_open(struct loop *loop, struct jobs *jobs, const struct server_opts *opts,
	char *why, size_t size)
{
	int socket = socket_listen(opts->socket);
	struct listener *listener = need(calloc(1, sizeof(*listener)));
	*listener = (struct listener){ .opts = opts, .loop = loop, .jobs = jobs, .fd = socket };
	if (socket >= 0)
		listener->watch = loop_watch(loop, socket, EPOLLIN, on_knock, listener);
	if (listener->watch)
		return listener;
	snprintf(why, size, "cannot listen at '%s': %m", opts->socket);
	if (socket >= 0)
		close(socket);
	free(listener);
	return NULL;
}

static void close_socket(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	watch_end(listener->watch);
	close(listener->fd);
	listener->fd = -1;
}

static void listener_drain(void *front)
{
	struct listener *listener = front;
	struct connection *c;
	int64_t soon = now_ms() + LAST_WORD_MS;
	unlink(listener->opts->socket);
	close_socket(listener);
	LIST_FOREACH(c, &listener->all, all)
	{
		if (c->state == CONNECTION_OPEN) {
			connection_decline(c, "is stopping");
			settle(c);
		} else if (c->state == CONNECTION_REPLYING) {
			c->deadline = soon;
		}
	}
}

static void listener_abandon(void *front)
{
	const struct listener *listener = front;
	char text[120];
	struct connection *c;
	snprintf(text, sizeof(text),
		"the %s was stopped at once during this call: the function may have run",
		listener->opts->name);
	LIST_FOREACH(c, &listener->all, all)
	{
		if (c->state == CONNECTION_BUSY)
			connection_refuse(c, NOVA_ELOST, NOVA_OUTCOME_UNKNOWN, text);
		if (c->state != CONNECTION_GONE)
			outgoing_flush(&c->out, c->fd);
	}
}

static void listener_close(void *front)
{
	struct listener *listener = front;
	close_socket(listener);
	for (struct connection *c; (c = LIST_FIRST(&listener->all)) != NULL;)
		connection_free(c);
	free(listener);
}

static void listener_tidy(void *front)
{
	struct listener *listener = front;
	int64_t now = now_ms();
	struct connection *next;
	for (struct connection *c = LIST_FIRST(&listener->all); c; c = next) {
		next = LIST_NEXT(c, all);
		if (c->state != CONNECTION_GONE && c->deadline >= 0 && now >= c->deadline) {
			log_line(listener->opts->log, NOVA_LOG_INFO,
				"process %d took too long and was hung up on", (int)c->pid);
			lose(c);
		}
		if (c->state == CONNECTION_GONE)
			connection_free(c);
	}
	if (listener->fd >= 0)
		watch_for(listener->watch,
			now >= listener->accept_after && !is_full(listener) ? EPOLLIN : 0);
}

static void sooner(int64_t *deadline, int64_t other)
{
	if (other >= 0 && (*deadline < 0 || other < *deadline))
		*deadline = other;
}

static int64_t listener_deadline(const void *front)
{
	const struct listener *listener = front;
	int64_t deadline = -1;
	const struct connection *c;
	LIST_FOREACH(c, &listener->all, all)
	sooner(&deadline, c->deadline);
	if (listener->fd >= 0 && listener->accept_after > now_ms())
		sooner(&deadline, listener->accept_after);
	return deadline;
}

static size_t listener_count(const void *front)
{
	return count(front);
}

const struct front listener_front = {
	.open = listener_open,
	.drain = listener_drain,
	.abandon = listener_abandon,
	.close = listener_close,
	.tidy = listener_tidy,
	.deadline = listener_deadline,
	.count = listener_count,
};
