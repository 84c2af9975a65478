/* SPDX-License-Identifier: MIT */
/*
 * What novad lets in: sockets, each with a daemon of libmicrohttpd that runs within the loop here,
 * and connections. A request whose job is under way is suspended: libmicrohttpd does not look at
 * its socket then, so that the end of the client is watched for here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

#define HEAD_MAX     (32u << 10) /* memory of a connection: so long a head may be */
#define REPLY_MS     300000      /* until a client has read its answer */
#define LAST_WORD_MS 2000        /* the same while the server stops */
#define LOOK_MS      1000        /* how often deadlines are looked at */

struct front_state {
	struct novad *novad;
	struct loop *loop;
	struct jobs *jobs;
	struct endpoint endpoints[PLACES_MAX];
	size_t count;
	LIST_HEAD(, client) clients;
	size_t busy; /* exchanges */
	int64_t next_look;
};

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

/* --- the answer --- */

static enum MHD_Result send_answer(struct exchange *x)
{
	struct client *client = x->client;
	idempotency_end(x);
	struct MHD_Response *response = x->ready ? x->ready : exchange_response(x);
	if (!response)
		return MHD_NO;
	client->deadline =
		x->listener ? -1 : now_ms() + (x->novad->draining ? LAST_WORD_MS : REPLY_MS);
	enum MHD_Result result = MHD_queue_response(x->connection, x->status, response);
	if (!x->ready || x->socket || x->listener)
		MHD_destroy_response(response);
	return result;
}

/* --- its job --- */

static void on_woken(void *userdata)
{
	const struct exchange *x = userdata;
	job_pass_on(x->job);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	struct exchange *x = userdata;
	if (!strcmp(part, "body"))
		bytes_add(&x->out, data, len);
}

static void on_end(void *userdata, const json_t *reply)
{
	struct exchange *x = userdata;
	x->job = NULL;
	if (x->route->flags & ROUTE_STREAMED)
		stream_keep(x, reply);
	exchange_answer_job(x, reply);
	exchange_resume(x);
}

/* It goes on by itself: the answer is where its output can be had. */
static enum MHD_Result begin_stream(struct exchange *x)
{
	struct bytes out = { 0 };
	char text[80];
	json_t *fields = json_incref(json_object_get(x->options, "body"));
	json_decref(x->options);
	x->options = NULL;
	x->held += x->body.len;
	bytes_free(&x->body);
	int len = snprintf(
		text, sizeof(text), "{\"executionId\":\"%s\"}", stream_id(stream_begin(x, fields)));
	bytes_add(&out, text, (size_t)len);
	exchange_answer(x, 202, "application/json", &out);
	return send_answer(x);
}

static bool is_streamed(const struct exchange *x)
{
	return x->route->flags & ROUTE_STREAMED &&
	       json_is_true(json_object_get(json_object_get(x->options, "body"), "stream"));
}

static enum MHD_Result begin_job(struct exchange *x)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	struct job_request request = {
		.verb = x->verb ? x->verb : x->route->verb, .options = x->options, .body = x->body
	};
	x->held += x->body.len; /* the job has it, until the exchange is over */
	x->body = (struct bytes){ 0 };
	if (!(x->route->flags & ROUTE_RAW))
		bytes_free(&request.body); /* what it says is among the options */
	if (!request.body.data)
		bytes_add(&request.body, "", 0);
	struct jobs *jobs = x->client->endpoint->front->jobs;
	if (x->detached)
		detached_begin(x, jobs, &request);
	else
		x->job = job_begin(jobs, &request, &asker, x);
	bytes_free(&request.body);
	json_decref(x->options); /* the job has a copy */
	x->options = NULL;
	if (x->answered)
		return send_answer(x);
	if ((x->job || x->event) && exchange_suspend(x))
		return MHD_YES;
	return MHD_NO;
}

/* --- what libmicrohttpd tells --- */

static void *on_uri(void *userdata, const char *uri, struct MHD_Connection *connection)
{
	struct front_state *front = userdata;
	struct client *client = client_of(connection);
	struct exchange *x = exchange_new(front->novad, uri);
	x->connection = connection;
	x->client = client;
	client->exchange = x;
	client->deadline = now_ms() + front->novad->settings.head_ms;
	front->busy++;
	return x;
}

static bool has_body(const struct exchange *x)
{
	const char *length = exchange_header(x, "Content-Length");
	return exchange_header(x, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

static void go_on(struct exchange *x)
{
	x->has_asked = true;
	exchange_resume(x);
}

static enum MHD_Result take_rate(struct exchange *x)
{
	x->needs_rate = false;
	rate_take(x, go_on);
	return x->has_asked || exchange_suspend(x) ? MHD_YES : MHD_NO;
}

/* What is answered before its body has come ends the connection: what follows may be that body. */
static enum MHD_Result end_head(struct exchange *x, bool let_in)
{
	if (let_in && x->route->direct)
		x->route->direct(x);
	else if (x->needs_rate)
		return take_rate(x);
	else if (x->offered && stored_ask(x, go_on))
		return x->has_asked || exchange_suspend(x) ? MHD_YES : MHD_NO;
	/* 400: of its length. E2B's SDK reads no answer while it writes; its bodies are read and
	 * thrown away. */
	x->closes = x->answered && !x->is_e2b && (has_body(x) || x->status == 400);
	return x->closes ? send_answer(x) : MHD_YES;
}

/* It is known whether its key is valid, or may have one more request. */
static enum MHD_Result on_head_again(struct exchange *x)
{
	x->has_asked = false;
	json_decref(x->offered);
	x->offered = NULL;
	x->client->deadline = now_ms() + x->novad->settings.body_ms;
	return end_head(x, gate_head_again(x));
}

static enum MHD_Result on_head(struct exchange *x, const char *method)
{
	x->has_begun = true;
	x->method = method;
	x->client->deadline = now_ms() + x->novad->settings.body_ms;
	return end_head(x, gate_head(x));
}

static enum MHD_Result on_whole(struct exchange *x)
{
	x->is_whole = true;
	x->has_asked = false;
	if (!gate_whole(x))
		return x->needs_rate ? take_rate(x) : send_answer(x);
	if (x->route->respond) {
		x->route->respond(x);
		return send_answer(x);
	}
	if (!idempotency_begin(x))
		return send_answer(x);
	return is_streamed(x) ? begin_stream(x) : begin_job(x);
}

static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *data, size_t *len,
	void **state)
{
	(void)userdata;
	(void)connection;
	(void)url;
	(void)version;
	struct exchange *x = *state;
	if (x->gone)
		return MHD_NO;
	if (!x->has_begun)
		return on_head(x, method);
	if (x->has_asked && !x->is_whole)
		return on_head_again(x);
	if (*len) {
		gate_body(x, data, *len);
		*len = 0;
		return MHD_YES;
	}
	if (x->answered)
		return send_answer(x);
	return on_whole(x);
}

static void count_answer(struct novad *novad, const struct exchange *x)
{
	uint64_t *counters = novad->counters;
	if (x->status < 100 || x->status > 599 || x->gone)
		return;
	counters[COUNTER_REQUESTS]++;
	counters[COUNTER_1XX + x->status / 100 - 1]++;
	if (x->status >= 200) /* a WebSocket lives for long */
		counters[COUNTER_MICROSECONDS] += (uint64_t)(now_us() - x->begun_us);
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode how)
{
	(void)connection;
	(void)how;
	struct front_state *front = userdata;
	struct exchange *x = *state;
	if (!x)
		return;
	if (x->job)
		job_abandon(x->job);
	detached_leave(x);
	if (x->socket)
		websocket_end(x->socket);
	if (x->listener)
		listener_end(x->listener);
	watch_end(x->hang_up);
	stored_forget(x);
	rate_forget(x);
	signature_free(x->signature);
	idempotency_end(x);
	count_answer(front->novad, x);
	if (x->method)
		access_line(x);
	gate_leave(x);
	x->client->exchange = NULL;
	x->client->deadline = -1; /* libmicrohttpd's own limit counts: idle_ms */
	front->busy--;
	exchange_free(x);
	*state = NULL;
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **state,
	enum MHD_ConnectionNotificationCode what)
{
	struct endpoint *endpoint = userdata;
	struct front_state *front = endpoint->front;
	struct client *client = *state;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		client = need(calloc(1, sizeof(*client)));
		client->endpoint = endpoint;
		client->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				     ->connect_fd;
		client->deadline = now_ms() + front->novad->settings.head_ms;
		LIST_INSERT_HEAD(&front->clients, client, all);
		front->novad->connections++;
		*state = client;
	} else if (client) {
		LIST_REMOVE(client, all);
		front->novad->connections--;
		free(client);
		*state = NULL;
	}
}

/* The path is decoded part by part, after it has been taken apart. */
static size_t leave_as_it_is(void *userdata, struct MHD_Connection *connection, char *text)
{
	(void)userdata;
	(void)connection;
	return strlen(text);
}

/* --- endpoints --- */

static void on_ready(void *userdata, uint32_t events)
{
	(void)events;
	struct endpoint *endpoint = userdata;
	endpoint->pending = false;
	MHD_run(endpoint->daemon);
}

static void complain(void *userdata, const char *format, va_list args)
{
	char text[300];
	const struct front_state *front = userdata;
	int len = vsnprintf(text, sizeof(text), format, args);
	if (len > 0 && text[strcspn(text, "\n")])
		text[strcspn(text, "\n")] = 0;
	log_line(front->novad->log, NOVA_LOG_DEBUG, "libmicrohttpd: %s", text);
}

static struct MHD_Daemon *start_daemon(struct endpoint *endpoint)
{
	struct front_state *front = endpoint->front;
	const struct settings *settings = &front->novad->settings;
	unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME |
			 MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG |
			 (endpoint->place->tls ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, front->novad->tls.certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, front->novad->tls.key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)(uintptr_t) "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1" },
		{ MHD_OPTION_END, 0, NULL },
	};
	if (!endpoint->place->tls)
		tls[0].option = MHD_OPTION_END;
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER,
		complain, front, MHD_OPTION_LISTEN_SOCKET, endpoint->place->fd,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, front, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, endpoint, MHD_OPTION_URI_LOG_CALLBACK, on_uri, front,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_as_it_is, NULL,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX, MHD_OPTION_CONNECTION_LIMIT,
		settings->connections, MHD_OPTION_CONNECTION_TIMEOUT,
		(settings->idle_ms + 999) / 1000, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static bool open_endpoint(struct front_state *front, struct place *place)
{
	struct endpoint *endpoint = &front->endpoints[front->count];
	*endpoint = (struct endpoint){ .front = front, .place = place };
	endpoint->daemon = start_daemon(endpoint);
	if (!endpoint->daemon)
		return false;
	place->fd = -1; /* the daemon's now */
	front->count++;
	int epoll = MHD_get_daemon_info(endpoint->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	endpoint->watch = loop_watch(front->loop, epoll, EPOLLIN, on_ready, endpoint);
	return endpoint->watch != NULL;
}

static void front_close(void *state)
{
	struct front_state *front = state;
	struct client *client;
	LIST_FOREACH(client, &front->clients, all) if (client->exchange)
	{
		if (client->exchange->socket)
			websocket_end(client->exchange->socket);
		client->exchange->gone = client->exchange->suspended;
		exchange_resume(client->exchange);
	}
	for (size_t i = 0; i < front->count; i++) {
		watch_end(front->endpoints[i].watch);
		MHD_stop_daemon(front->endpoints[i].daemon);
	}
	streams_free();
	e2b_close();
	detached_free();
	rates_free();
	access_close();
	idempotency_free();
	free(front);
}

static void *front_open(struct loop *loop, struct jobs *jobs, const struct server_opts *opts,
	char *why, size_t size)
{
	struct novad *novad = opts->userdata;
	struct front_state *front = need(calloc(1, sizeof(*front)));
	*front = (struct front_state){ .novad = novad, .loop = loop, .jobs = jobs };
	bool done = access_open(novad->settings.access_log, novad->log) &&
		    places_open(&novad->places, &novad->settings, novad->directory, novad->log);
	snprintf(why, size, "cannot serve there");
	for (size_t i = 0; done && i < novad->places.count; i++) {
		struct place *place = &novad->places.at[i];
		done = open_endpoint(front, place);
		if (!done)
			snprintf(why, size, "cannot serve at %s", place->name);
	}
	if (done) {
		durable_begin(novad, jobs);
		return front;
	}
	front_close(front);
	return NULL;
}

/* --- all of them --- */

static void hang_up(struct client *client)
{
	shutdown(client->fd, SHUT_RDWR); /* libmicrohttpd finds its end */
}

static void front_drain(void *state)
{
	struct front_state *front = state;
	struct client *client;
	front->novad->draining = true;
	for (size_t i = 0; i < front->count; i++)
		if (front->endpoints[i].daemon) {
			MHD_socket fd = MHD_quiesce_daemon(front->endpoints[i].daemon);
			if (fd >= 0)
				close(fd);
		}
	places_close(&front->novad->places);
	streams_drain();
	detached_drain();
	e2b_drain();
	LIST_FOREACH(client, &front->clients, all)
	if (!client->exchange)
		hang_up(client);
	else if (client->exchange->socket)
		websocket_drain(client->exchange->socket, false);
	else if (!client->exchange->suspended &&
		 !client->exchange->listener) /* it still comes, or is being read */
		client->deadline = now_ms() + LAST_WORD_MS;
}

static void front_abandon(void *state)
{
	struct front_state *front = state;
	struct client *client;
	LIST_FOREACH(client, &front->clients, all)
	if (client->exchange && client->exchange->socket) {
		websocket_drain(client->exchange->socket, true);
	} else if (client->exchange && client->exchange->listener) {
		client->exchange->gone = true;
		exchange_resume(client->exchange);
	} else if (client->exchange && client->exchange->suspended) {
		json_t *reply = json_pack("{s:o}", "error",
			error_json(NOVA_ELOST, NOVA_OUTCOME_UNKNOWN,
				"novad was stopped at once during this call: the function may have "
				"run"));
		exchange_answer_job(client->exchange, need(reply));
		json_decref(reply);
		exchange_resume(client->exchange);
	}
	for (size_t i = 0; i < front->count; i++)
		MHD_run(front->endpoints[i].daemon);
}

static bool is_due(const struct endpoint *endpoint)
{
	MHD_UNSIGNED_LONG_LONG timeout;
	return endpoint->pending ||
	       (MHD_get_timeout(endpoint->daemon, &timeout) == MHD_YES && timeout == 0);
}

static void look(struct front_state *front, int64_t now)
{
	struct client *client;
	LIST_FOREACH(client, &front->clients, all)
	{
		if (client->exchange && client->exchange->socket)
			websocket_look(client->exchange->socket, now);
		if (client->deadline < 0 || now < client->deadline)
			continue;
		client->deadline = -1;
		front->novad->counters[COUNTER_TIMEOUTS]++;
		hang_up(client);
	}
	streams_look(now);
	e2b_look(front->novad, now);
	detached_look(now);
	durable_look(now);
	keys_refresh(front->novad->keys);
	for (size_t i = 0; i < front->count; i++)
		front->endpoints[i].pending = true; /* for time limits of its own */
	front->next_look = now + LOOK_MS;
}

static void front_tidy(void *state)
{
	struct front_state *front = state;
	int64_t now = now_ms();
	if (now >= front->next_look)
		look(front, now);
	for (size_t i = 0; i < front->count; i++)
		if (is_due(&front->endpoints[i]))
			on_ready(&front->endpoints[i], 0);
	access_flush();
}

static int64_t front_deadline(const void *state)
{
	const struct front_state *front = state;
	for (size_t i = 0; i < front->count; i++)
		if (is_due(&front->endpoints[i]))
			return now_ms();
	bool any = front->novad->connections || streams_count() || sandboxes_count() ||
		   detached_waiting() || durable_rests();
	return any ? front->next_look : -1;
}

static size_t front_count(const void *state)
{
	const struct front_state *front = state;
	return front->busy + jobs_abandoned(front->jobs) + detached_count();
}

/* The first, which a person can type into a browser. */
static const char *front_address(const void *state)
{
	const struct front_state *front = state;
	return front->novad->places.at[0].name;
}

const struct front http_front = {
	.open = front_open,
	.drain = front_drain,
	.abandon = front_abandon,
	.close = front_close,
	.tidy = front_tidy,
	.deadline = front_deadline,
	.count = front_count,
	.address = front_address,
};
