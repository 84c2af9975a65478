/* SPDX-License-Identifier: MIT */
/*
 * The daemon's clients. Each connection is one request: hello, request, event; then texts and a
 * reply. Who hangs up cancels its call.
 *
 * What a function prints comes in threads of the queue. It is put where the loop takes it from, up
 * to a bound; what a client does not read in time is dropped and counted, since waiting for it
 * would hold up the VM.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon.h"

#define EVENT_MAX    (8u << 20)   /* the library refuses less, and says so better */
#define STREAM_MAX   (256u << 10) /* bytes of printed output that wait for a client */
#define REPLY_MS     300000 /* a client that takes nothing of its reply for so long has gone */
#define LAST_WORD_MS 2000   /* the same while the daemon stops */
#define NO_ROOM_MS   100

enum client_state {
	CLIENT_HELLO,
	CLIENT_REQUEST,
	CLIENT_EVENT,
	CLIENT_BUSY,
	CLIENT_REPLYING,
	CLIENT_GONE, /* kept until its call has been collected */
};

struct client {
	struct client *next;
	struct daemon *daemon;
	struct wire wire;
	enum client_state state;
	int64_t deadline; /* -1: none */
	pid_t pid;
	json_t *request;
	struct bytes event;
	size_t event_len;
	nova_call_t *call;
	struct job *job;
	pthread_mutex_t lock; /* protects the rest, which the call's thread fills */
	struct bytes printed; /* records of a struct piece and its bytes */
	uint64_t dropped;
};

struct piece {
	int stream;
	size_t len;
};

/* --- life --- */

static void client_free(struct client *client)
{
	if (client->job)
		json_decref(job_end(client->job, NULL));
	wire_close(&client->wire);
	json_decref(client->request);
	bytes_free(&client->event);
	bytes_free(&client->printed);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* Takes the clients off the list that are done with. */
static void sweep(struct daemon *daemon)
{
	for (struct client **at = &daemon->clients; *at;) {
		struct client *client = *at;
		if (client->state != CLIENT_GONE || client->call || client->job) {
			at = &client->next;
			continue;
		}
		*at = client->next;
		daemon->client_count--;
		client_free(client);
	}
}

static void client_lose(struct client *client)
{
	if (client->call)
		nova_call_cancel(client->call);
	if (client->job)
		job_cancel(client->job);
	wire_close(&client->wire);
	client->state = CLIENT_GONE;
}

static void client_add(struct daemon *daemon, int fd, pid_t pid)
{
	struct client *client = need(calloc(1, sizeof(*client)));
	client->daemon = daemon;
	client->pid = pid;
	client->deadline = now_ms() + daemon->client_ms;
	pthread_mutex_init(&client->lock, NULL);
	wire_open(&client->wire, fd);
	client->next = daemon->clients;
	daemon->clients = client;
	daemon->client_count++;
}

void client_accept(struct daemon *daemon)
{
	pid_t pid;
	uid_t uid;
	for (;;) {
		int fd = socket_accept(daemon->listener);
		if (fd == -2) /* who waits is still there when it will be tried again */
			daemon->accept_after = now_ms() + NO_ROOM_MS;
		if (fd < 0)
			return;
		if (socket_peer_allowed(fd, &pid, &uid)) {
			client_add(daemon, fd, pid);
			continue;
		}
		session_say(NOVA_LOG_WARN, "daemon", "refused process %d of another user (%d)",
			(int)pid, (int)uid);
		close(fd);
	}
}

void clients_free(struct daemon *daemon)
{
	for (struct client *client; (client = daemon->clients) != NULL;) {
		daemon->clients = client->next;
		client_free(client);
	}
}

/* --- replies --- */

static void reply(struct client *client, json_t *payload)
{
	bool stops = client->daemon->phase != PHASE_SERVING;
	wire_put(&client->wire, WIRE_REPLY, payload);
	client->state = CLIENT_REPLYING;
	client->deadline = now_ms() + (stops ? LAST_WORD_MS : REPLY_MS);
}

static void reply_error(struct client *client, nova_error_t *error)
{
	reply(client, json_pack("{s:o}", "error",
			      error_json(nova_error_code(error), nova_error_outcome(error),
				      nova_error_message(error))));
	nova_error_free(error);
}

static void refuse(struct client *client, int code, const char *message)
{
	reply(client,
		json_pack("{s:o}", "error", error_json(code, NOVA_OUTCOME_NEVER_RAN, message)));
}

static void decline(struct client *client, const char *why)
{
	char text[160];
	snprintf(text, sizeof(text), "the one with process id %d %s", (int)getpid(), why);
	reply(client, json_pack("{s:s}", "declined", text));
}

/* --- what a function prints --- */

static void on_output(void *userdata, int stream, const void *data, size_t len)
{
	struct client *client = userdata;
	struct piece piece = { stream, len };
	pthread_mutex_lock(&client->lock);
	bool fits = client->printed.len + sizeof(piece) + len <= STREAM_MAX;
	if (fits) {
		bytes_add(&client->printed, &piece, sizeof(piece));
		bytes_add(&client->printed, data, len);
	} else {
		client->dropped += len;
	}
	pthread_mutex_unlock(&client->lock);
	if (fits)
		eventfd_write(client->daemon->wake, 1);
}

/* Not while much waits to be sent: so both together are bounded. */
static void pass_printed(struct client *client, bool all)
{
	struct piece piece;
	if (client->wire.out.len > STREAM_MAX && !all)
		return;
	pthread_mutex_lock(&client->lock);
	const struct bytes *printed = &client->printed;
	for (size_t at = 0; at < printed->len; at += sizeof(piece) + piece.len) {
		memcpy(&piece, printed->data + at, sizeof(piece));
		wire_put_text(&client->wire, piece.stream == 2 ? "stderr" : "stdout",
			printed->data + at + sizeof(piece), piece.len);
	}
	bytes_drop(&client->printed, client->printed.len);
	pthread_mutex_unlock(&client->lock);
}

/* --- invoke --- */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool flag_of(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static uint32_t number_of(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* With the instance that the request names. */
static int submit(struct client *client, nova_invoke_opts *opts, nova_error_t **error)
{
	const char *function = text_of(client->request, "function");
	const char *name = text_of(client->request, "instance");
	int code = name ? nova_instance_get(client->daemon->nova, name, &opts->instance, error) : 0;
	if (code == 0)
		code = nova_queue_submit(client->daemon->queue, function ? function : "",
			client->event.data, opts, &client->call, error);
	nova_instance_free(opts->instance);
	return code;
}

static void begin_invoke(struct client *client)
{
	const json_t *request = client->request;
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	nova_error_t *error = NULL;
	if (strlen(client->event.data) != client->event.len) {
		refuse(client, NOVA_EINVAL, EVENT_HAS_NUL);
		return;
	}
	opts.timeout_ms = number_of(request, "timeout_ms");
	opts.request_id = text_of(request, "request_id");
	opts.flags = (flag_of(request, "fresh") ? NOVA_INVOKE_FRESH : 0) |
		     (flag_of(request, "checkpoint") ? NOVA_INVOKE_CHECKPOINT : 0);
	opts.snapshot = text_of(request, "snapshot");
	opts.checkpoint_name = text_of(request, "checkpoint_name");
	opts.on_output = flag_of(request, "stream") ? on_output : NULL;
	opts.userdata = client;
	int code = submit(client, &opts, &error);
	bytes_free(&client->event);
	if (code != 0) {
		reply_error(client, error);
		return;
	}
	client->daemon->served++;
	client->state = CLIENT_BUSY;
	client->deadline = -1;
}

static json_t *result_json(const nova_result_t *result)
{
	return json_pack("{s:s,s:s,s:s,s:b,s:I,s:s}", "request_id", nova_result_request_id(result),
		"snapshot", nova_result_snapshot(result), "instance", nova_result_instance(result),
		"cold_start", nova_result_cold_start(result), "duration_ms",
		(json_int_t)result_ms(result), "failure", nova_result_failure(result));
}

/* The texts go ahead as they are: parsed and printed again, numbers would lose digits. */
static void put_result(struct client *client, const nova_result_t *result)
{
	size_t len;
	const char *text;
	if (flag_of(client->request, "json")) {
		char *whole = need(nova_result_to_json(result));
		wire_put_text(&client->wire, "result", whole, strlen(whole));
		nova_free(whole);
		return;
	}
	text = nova_result_output(result, &len);
	wire_put_text(&client->wire, "output", text, len);
	struct bytes printed = { 0 };
	if (!flag_of(client->request, "stream"))
		result_printed(&printed, result);
	if (printed.len)
		wire_put_text(&client->wire, "printed", printed.data, printed.len);
	bytes_free(&printed);
}

static json_t *call_error_json(const struct client *client, const nova_error_t *error)
{
	char text[2048];
	int code = nova_error_code(error), outcome = nova_error_outcome(error);
	if (client->daemon->phase != PHASE_CUTTING || code != NOVA_ECANCELED)
		return error_json(code, outcome, nova_error_message(error));
	snprintf(text, sizeof(text),
		"the daemon was stopped, and this call was not over after %u ms: %.1800s",
		client->daemon->stop_ms, nova_error_message(error));
	return error_json(code, outcome, text);
}

static void finish_invoke(struct client *client, nova_call_t *call)
{
	CLEANUP(result_freep) nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	json_t *payload = need(json_object());
	pass_printed(client, true);
	if (result) {
		put_result(client, result);
		json_object_set_new(payload, "result", need(result_json(result)));
	}
	if (error)
		json_object_set_new(payload, "error", call_error_json(client, error));
	json_object_set_new(payload, "dropped", json_integer((json_int_t)client->dropped));
	nova_error_free(error);
	reply(client, payload);
}

static void finish_job(struct client *client)
{
	json_t *payload = job_end(client->job, &client->wire);
	client->job = NULL;
	if (client->state == CLIENT_GONE)
		json_decref(payload);
	else
		reply(client, payload);
}

void clients_collect(struct daemon *daemon)
{
	nova_call_t *call;
	for (struct client *client = daemon->clients; client; client = client->next)
		if (client->job && job_is_done(client->job))
			finish_job(client);
	while (nova_queue_collect(daemon->queue, 0, NULL, &call, NULL) == 0 && call) {
		struct client *client = nova_call_userdata(call);
		client->call = NULL;
		if (client->state != CLIENT_GONE)
			finish_invoke(client, call);
		nova_call_free(call);
	}
}

/* --- requests --- */

static void begin_status(struct client *client)
{
	reply(client, json_pack("{s:o}", "status", daemon_status(client->daemon)));
}

static void begin_stop(struct client *client)
{
	reply(client, json_object());
	client->daemon->asked_by = client->pid;
}

static void begin_job(struct client *client)
{
	const struct daemon *daemon = client->daemon;
	client->job = job_begin(daemon->nova, daemon->wake, client->request);
	if (!client->job) {
		refuse(client, NOVA_EIO, "the daemon cannot start another thread: try again later");
		return;
	}
	client->state = CLIENT_BUSY;
	client->deadline = -1;
}

static void begin(struct client *client)
{
	static const struct {
		const char *verb;
		void (*begin)(struct client *client);
	} verbs_served[] = {
		{ "invoke", begin_invoke },
		{ "status", begin_status },
		{ "stop", begin_stop },
	};
	const char *verb = text_of(client->request, "verb");
	for (size_t i = 0; verb && i < ARRAY_LEN(verbs_served); i++)
		if (!strcmp(verbs_served[i].verb, verb)) {
			verbs_served[i].begin(client);
			return;
		}
	if (verb && job_knows(verb))
		begin_job(client);
	else
		decline(client, "does not know what was asked for");
}

static bool take_hello(struct client *client, int type, const json_t *payload)
{
	if (type != WIRE_HELLO)
		return false;
	json_t *hello = hello_json();
	json_object_set_new(hello, "settings", settings_fingerprints(client->daemon->config));
	wire_put(&client->wire, WIRE_HELLO, hello);
	client->state = CLIENT_REQUEST;
	if (json_integer_value(json_object_get(payload, "protocol")) != WIRE_PROTOCOL)
		decline(client, "speaks another protocol");
	return true;
}

static bool take_request(struct client *client, int type, json_t *payload)
{
	json_int_t len = json_integer_value(json_object_get(payload, "event_len"));
	if (type != WIRE_REQUEST || len < 0 || len > (json_int_t)EVENT_MAX)
		return false;
	client->request = json_incref(payload);
	client->event_len = (size_t)len;
	bytes_add(&client->event, NULL, 0); /* an empty event is no missing one */
	client->state = CLIENT_EVENT;
	if (client->daemon->client_count > CLIENTS_MAX)
		refuse(client, NOVA_ELIMIT, "the daemon has too many clients: try again later");
	else if (!len)
		begin(client);
	return true;
}

static bool take_event(struct client *client, int type, const json_t *payload)
{
	if (type != WIRE_TEXT || !wire_text_add(&client->event, payload, "event") ||
		client->event.len > client->event_len)
		return false;
	if (client->event.len == client->event_len)
		begin(client);
	return true;
}

/* False: that has no place here. */
static bool take_frame(struct client *client, int type, json_t *payload)
{
	switch (client->state) {
	case CLIENT_HELLO:
		return take_hello(client, type, payload);
	case CLIENT_REQUEST:
		return take_request(client, type, payload);
	case CLIENT_EVENT:
		return take_event(client, type, payload);
	case CLIENT_BUSY:
		return type == WIRE_TEXT && client->job && job_input(client->job, payload);
	case CLIENT_REPLYING: /* it was declined before it had sent all: let it */
	case CLIENT_GONE:
		break;
	}
	return true;
}

/* --- the loop's steps --- */

static void complain(const struct client *client, nova_error_t *error)
{
	session_say(NOVA_LOG_WARN, "daemon", "process %d was hung up on: %s", (int)client->pid,
		error ? nova_error_message(error) : "it sent what has no place there");
	nova_error_free(error);
}

static void client_read(struct client *client)
{
	int type, got = 0;
	json_t *payload;
	nova_error_t *error = NULL;
	bool open = wire_fill(&client->wire), fits = true;
	while (fits && client->state != CLIENT_GONE &&
		(got = wire_next(&client->wire, &type, &payload, &error)) > 0) {
		fits = take_frame(client, type, payload);
		json_decref(payload);
	}
	if (got < 0 || !fits)
		complain(client, error);
	if (!open || got < 0 || !fits)
		client_lose(client);
}

static void client_write(struct client *client)
{
	size_t before = client->wire.out.len - client->wire.sent;
	bool open = true;
	if (client->state == CLIENT_BUSY)
		pass_printed(client, false);
	if (client->state == CLIENT_BUSY && client->job) {
		/* else what waits for room might not be woken for */
		open = wire_flush(&client->wire);
		job_input_flush(client->job);
		job_printed(client->job, &client->wire);
	}
	if (!open || !wire_flush(&client->wire)) {
		client_lose(client);
		return;
	}
	size_t left = client->wire.out.len - client->wire.sent;
	if (client->state == CLIENT_REPLYING && !left)
		client_lose(client);
	else if (client->state == CLIENT_REPLYING && left < before &&
		 client->daemon->phase == PHASE_SERVING)
		client->deadline = now_ms() + REPLY_MS;
}

size_t clients_poll(const struct daemon *daemon, struct pollfd *fds, int64_t *deadline)
{
	size_t count = 0;
	for (const struct client *client = daemon->clients; client; client = client->next) {
		if (client->state == CLIENT_GONE)
			continue;
		short out = client->wire.out.len ? POLLOUT : 0;
		short in = client->job && job_is_full(client->job) ? 0 : POLLIN;
		int input = client->job ? job_input_flush(client->job) : -1;
		fds[count++] = (struct pollfd){ client->wire.fd, (short)(in | out), 0 };
		fds[count++] = (struct pollfd){ input, POLLOUT, 0 };
		if (client->deadline >= 0 && (*deadline < 0 || client->deadline < *deadline))
			*deadline = client->deadline;
	}
	return count;
}

void clients_step(struct daemon *daemon, const struct pollfd *fds)
{
	int64_t now = now_ms();
	size_t polled = 0;
	for (struct client *client = daemon->clients; client; client = client->next) {
		if (client->state == CLIENT_GONE)
			continue;
		if (fds[polled].revents & (POLLIN | POLLHUP | POLLERR))
			client_read(client);
		polled += 2;
		if (client->state == CLIENT_GONE || client->deadline < 0 || now < client->deadline)
			continue;
		session_say(NOVA_LOG_INFO, "daemon", "process %d took too long and was hung up on",
			(int)client->pid);
		client_lose(client);
	}
}

void clients_flush(struct daemon *daemon)
{
	for (struct client *client = daemon->clients; client; client = client->next)
		if (client->state != CLIENT_GONE)
			client_write(client);
	sweep(daemon);
}

/* --- the end --- */

void clients_drain(struct daemon *daemon)
{
	int64_t soon = now_ms() + LAST_WORD_MS;
	for (struct client *client = daemon->clients; client; client = client->next) {
		if (client->state < CLIENT_BUSY)
			decline(client, "is stopping");
		else if (client->state == CLIENT_REPLYING)
			client->deadline = soon;
	}
}

void clients_cancel(struct daemon *daemon)
{
	for (struct client *client = daemon->clients; client; client = client->next)
		if (client->call)
			nova_call_cancel(client->call);
	for (struct client *client = daemon->clients; client; client = client->next)
		if (client->job)
			job_cancel(client->job);
	jobs_cut(daemon->nova);
}

void clients_abandon(struct daemon *daemon)
{
	for (struct client *client = daemon->clients; client; client = client->next) {
		if (client->state == CLIENT_BUSY)
			reply(client, json_pack("{s:o}", "error",
					      error_json(NOVA_ELOST, NOVA_OUTCOME_UNKNOWN,
						      "the daemon was stopped at once during this "
						      "call: the function may have run")));
		if (client->state != CLIENT_GONE)
			wire_flush(&client->wire);
	}
}
