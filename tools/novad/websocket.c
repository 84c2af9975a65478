/* SPDX-License-Identifier: MIT */
/*
 * GET /execute/stream: a WebSocket (RFC 6455, by wslay) at which an execution is begun, or listened
 * to again. Its events go out one by one, as fast as the client takes them; what waits here for a
 * client is one event, whatever it does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <wslay/wslay.h>

#include "http.h"
#include "routes.h"

#define TURN_MAX     (64u << 10) /* bytes that are read before others have their turn */
#define QUEUE_MAX    16          /* messages that wait to be sent, before no more are read */
#define CONTROL_MAX  (1u << 20)  /* bytes of a message to an execution that runs */
#define LAST_WORD_MS 2000        /* for the client to close its side */
#define TRY_LATER    1013        /* of the registry of codes */
#define PROTOCOL     "nova.v1"

struct websocket {
	struct exchange *x;
	struct MHD_UpgradeResponseHandle *handle;
	int fd;
	struct watch *watch;
	wslay_event_context_ptr frames;
	struct reader reader;
	char id[33]; /* of the execution to listen to; empty: one is begun */
	uint64_t after;
	struct bytes early;   /* came with the head of the request */
	struct bytes message; /* is coming; counts among the bodies */
	bool is_control;      /* the frame that is coming */
	bool closing, pinged;
	bool hurried; /* has a time limit to read the rest, while novad stops */
	bool lost;    /* the client has gone */
	bool done;    /* all is said, and what still comes is thrown away */
	size_t turn;  /* bytes that may still be read in this one */
	int64_t heard_ms, pinged_ms;
};

static struct websocket *of_reader(struct reader *reader)
{
	return (struct websocket *)(void *)((char *)reader - offsetof(struct websocket, reader));
}

/* --- what goes out --- */

static void send_text(struct websocket *ws, const char *text, size_t len)
{
	const struct wslay_event_msg message = { WSLAY_TEXT_FRAME, (const uint8_t *)text, len };
	if (wslay_event_queue_msg(ws->frames, &message) == WSLAY_ERR_NOMEM)
		need(NULL);
}

/* Takes it. */
static void send_json(struct websocket *ws, json_t *json)
{
	char *text = need(json_dumps(need(json), JSON_COMPACT));
	send_text(ws, text, strlen(text));
	free(text);
	json_decref(json);
}

static void say_goodbye(struct websocket *ws, uint16_t status)
{
	if (ws->closing)
		return;
	ws->closing = true;
	wslay_event_send(ws->frames); /* a good-bye overtakes what waits */
	wslay_event_queue_close(ws->frames, status, NULL, 0);
	ws->x->client->deadline = now_ms() + LAST_WORD_MS;
}

/* What the gate has found is an event, too. */
static void tell_problem(struct websocket *ws)
{
	struct exchange *x = ws->x;
	json_t *problem = need(json_loadb(x->out.data, x->out.len, 0, NULL));
	json_object_set_new(problem, "event", json_string("error"));
	send_json(ws, problem);
	bytes_free(&x->out);
	x->answered = false;
	x->status = MHD_HTTP_SWITCHING_PROTOCOLS;
	say_goodbye(ws, x->novad->draining ? WSLAY_CODE_GOING_AWAY : WSLAY_CODE_POLICY_VIOLATION);
}

static void send_events(struct websocket *ws)
{
	size_t len;
	const char *text;
	while (!ws->closing && !wslay_event_want_write(ws->frames) &&
		(text = stream_next(&ws->reader, &len)) != NULL) {
		send_text(ws, text, len);
		if (wslay_event_send(ws->frames) != 0)
			return; /* is found again at once */
	}
	if (!ws->closing && stream_is_over(&ws->reader) && !wslay_event_want_write(ws->frames))
		say_goodbye(ws, WSLAY_CODE_NORMAL_CLOSURE);
}

/* --- messages that have come --- */

static void begin(struct websocket *ws)
{
	size_t len = ws->message.len;
	json_t *fields = gate_message(ws->x, &ws->message);
	if (!fields) {
		tell_problem(ws);
		return;
	}
	ws->x->held += len; /* on_message() gives back the message's own */
	ws->x->novad->body_bytes += len;
	struct stream *stream = stream_begin(ws->x, fields);
	stream_attach(stream, &ws->reader, 0);
	ws->x->client->deadline = -1;
}

static const char *const events[] = { "stdin", "stop", NULL };
static const char *const encodings[] = { "base64", NULL };
static const struct field control_fields[] = {
	{ "event", KIND_TEXT, "what it is", true, .choices = events },
	{ "data", KIND_TEXT, "of stdin", .max = CONTROL_MAX },
	{ "encoding", KIND_TEXT, "of the data", .choices = encodings },
	{ "end", KIND_FLAG, "stdin ends with it" },
	{ NULL },
};

static const char *take_stdin(const struct websocket *ws, const json_t *fields)
{
	struct bytes bytes = { 0 };
	const json_t *data = json_object_get(fields, "data");
	bool last = json_is_true(json_object_get(fields, "end"));
	if (!json_object_get(fields, "encoding"))
		return stream_input(
			ws->reader.stream, json_string_value(data), json_string_length(data), last);
	const char *why = "what is given as base64 is none";
	if (base64_read(&bytes, json_string_value(data), json_string_length(data)))
		why = stream_input(ws->reader.stream, bytes.data, bytes.len, last);
	bytes_free(&bytes);
	return why;
}

/* NULL, or why it is refused. */
static const char *take_control(const struct websocket *ws, char *why, size_t size)
{
	const struct bytes *text = &ws->message;
	json_t *fields = json_loadb(text->data ? text->data : "", text->len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	const char *refused = "the message is not JSON";
	if (fields && !fields_check(control_fields, fields, why, size))
		refused = why;
	else if (fields && !strcmp(json_string_value(json_object_get(fields, "event")), "stdin"))
		refused = take_stdin(ws, fields);
	else if (fields) {
		stream_stop(ws->reader.stream);
		refused = NULL;
	}
	json_decref(fields);
	return refused;
}

static void take_message(struct websocket *ws, bool is_text)
{
	char why[300];
	const char *refused;
	if (!ws->reader.stream) {
		if (is_text)
			begin(ws);
		else
			say_goodbye(ws, WSLAY_CODE_UNSUPPORTED_DATA);
		return;
	}
	if (ws->message.len > CONTROL_MAX)
		refused = "a message has at most 1 MiB";
	else if (is_text)
		refused = take_control(ws, why, sizeof(why));
	else
		refused = stream_input(ws->reader.stream, ws->message.data, ws->message.len, false);
	if (refused)
		send_json(ws, json_pack("{s:s,s:s}", "event", "refused", "error", refused));
}

/* --- what wslay calls --- */

static ssize_t on_receive(
	wslay_event_context_ptr frames, uint8_t *out, size_t len, int flags, void *userdata)
{
	(void)flags;
	struct websocket *ws = userdata;
	ssize_t n = 0;
	if (ws->early.len) {
		n = (ssize_t)(len < ws->early.len ? len : ws->early.len);
		memcpy(out, ws->early.data, (size_t)n);
		bytes_drop(&ws->early, (size_t)n);
	} else if (ws->turn && wslay_event_get_queued_msg_count(frames) < QUEUE_MAX) {
		n = socket_receive(ws->fd, out, len < ws->turn ? len : ws->turn);
	}
	ws->lost = n < 0;
	if (n <= 0) {
		wslay_event_set_error(
			frames, n < 0 ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	ws->turn -= (size_t)n < ws->turn ? (size_t)n : ws->turn;
	ws->heard_ms = now_ms();
	ws->pinged = false;
	return n;
}

static ssize_t on_send(
	wslay_event_context_ptr frames, const uint8_t *data, size_t len, int flags, void *userdata)
{
	(void)flags;
	struct websocket *ws = userdata;
	ssize_t n = pipe_write(ws->fd, data, len);
	if (n <= 0) {
		wslay_event_set_error(
			frames, n < 0 ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	ws->x->out.len += (size_t)n; /* to be logged */
	return n;
}

static void on_frame(wslay_event_context_ptr frames,
	const struct wslay_event_on_frame_recv_start_arg *frame, void *userdata)
{
	(void)frames;
	struct websocket *ws = userdata;
	ws->is_control = wslay_is_ctrl_frame(frame->opcode);
}

static void refuse(struct websocket *ws, uint16_t status)
{
	ws->x->novad->counters[COUNTER_SHED]++;
	say_goodbye(ws, status);
	wslay_event_shutdown_read(ws->frames);
}

static void on_piece(wslay_event_context_ptr frames,
	const struct wslay_event_on_frame_recv_chunk_arg *piece, void *userdata)
{
	(void)frames;
	struct websocket *ws = userdata;
	struct novad *novad = ws->x->novad;
	if (ws->is_control || ws->closing)
		return;
	ws->x->body_len += piece->data_length;
	novad->body_bytes += piece->data_length;
	bytes_add(&ws->message, piece->data, piece->data_length);
	if (ws->message.len > (size_t)novad->settings.body_kb << 10)
		refuse(ws, WSLAY_CODE_MESSAGE_TOO_BIG);
	else if (novad->body_bytes >> 20 >= novad->settings.bodies_mb)
		refuse(ws, TRY_LATER);
}

static void on_message(wslay_event_context_ptr frames,
	const struct wslay_event_on_msg_recv_arg *message, void *userdata)
{
	(void)frames;
	struct websocket *ws = userdata;
	size_t len = ws->message.len;
	if (wslay_is_ctrl_frame(message->opcode))
		return;
	if (!ws->closing)
		take_message(ws, message->opcode == WSLAY_TEXT_FRAME);
	bytes_free(&ws->message);
	ws->x->novad->body_bytes -= len;
}

/* --- its life --- */

void websocket_end(struct websocket *ws)
{
	struct exchange *x = ws->x;
	watch_end(ws->watch);
	stream_detach(&ws->reader);
	x->novad->body_bytes -= ws->message.len;
	bytes_free(&ws->message);
	bytes_free(&ws->early);
	if (ws->frames)
		wslay_event_context_free(ws->frames);
	x->socket = NULL;
	x->client->endpoint->pending = true;
	if (ws->handle)
		MHD_upgrade_action(ws->handle, MHD_UPGRADE_ACTION_CLOSE);
	free(ws);
}

static bool is_full(const struct websocket *ws)
{
	return (ws->reader.stream && stream_is_full(ws->reader.stream)) ||
	       wslay_event_get_queued_msg_count(ws->frames) >= QUEUE_MAX;
}

/* What it has sent meanwhile would have its end reset the connection, and our last words with it.
 * False: it has gone. */
static bool throw_away(const struct websocket *ws)
{
	char data[4096];
	return socket_receive(ws->fd, data, sizeof(data)) >= 0;
}

static bool begin_to_end(struct websocket *ws)
{
	if (wslay_event_get_close_received(ws->frames))
		return false;
	ws->done = true;
	ws->closing = true;
	stream_detach(&ws->reader); /* it would wake us without end */
	ws->x->client->deadline = now_ms() + LAST_WORD_MS;
	shutdown(ws->fd, SHUT_WR);
	watch_for(ws->watch, EPOLLIN);
	return true;
}

/* The client has said good-bye, or broken a rule: wslay answers by itself, and reads no more. */
static void stop_listening(struct websocket *ws)
{
	ws->closing = true;
	wslay_event_shutdown_read(ws->frames);
	stream_detach(&ws->reader);
	ws->x->client->deadline = now_ms() + LAST_WORD_MS;
}

/* False: it is over. */
static bool take_turn(struct websocket *ws, uint32_t events_there)
{
	bool full = is_full(ws);
	if (events_there & EPOLLERR || (events_there & (EPOLLHUP | EPOLLRDHUP) && full))
		return false;
	bool broken = !full && wslay_event_want_read(ws->frames) &&
		      wslay_event_recv(ws->frames) != 0; /* no frame can begin so */
	if (broken && ws->lost)
		return false;
	if (broken || (!ws->closing && !wslay_event_get_read_enabled(ws->frames)))
		stop_listening(ws);
	if (wslay_event_send(ws->frames) != 0)
		return false;
	send_events(ws);
	bool writes = wslay_event_want_write(ws->frames);
	if (!writes && !wslay_event_want_read(ws->frames))
		return begin_to_end(ws);
	uint32_t reads = is_full(ws) ? EPOLLRDHUP : wslay_event_want_read(ws->frames) ? EPOLLIN : 0;
	watch_for(ws->watch, reads | (writes ? EPOLLOUT : 0));
	return true;
}

static void on_ready(void *userdata, uint32_t events_there)
{
	struct websocket *ws = userdata;
	ws->turn = TURN_MAX;
	if (ws->done ? !throw_away(ws) : !take_turn(ws, events_there))
		websocket_end(ws);
}

/* Its turn comes when others had theirs: it may be in the middle of one. */
static void on_woken(struct reader *reader)
{
	const struct websocket *ws = of_reader(reader);
	if (!ws->done)
		watch_for(ws->watch, EPOLLIN | EPOLLOUT);
}

void websocket_look(struct websocket *ws, int64_t now)
{
	int64_t idle_ms = ws->x->novad->settings.idle_ms;
	const struct wslay_event_msg ping = { WSLAY_PING, NULL, 0 };
	if (!ws->handle) /* the answer to its handshake still waits to be read */
		return;
	if (!ws->watch) { /* there was no room to wait for it */
		websocket_end(ws);
		return;
	}
	if (!ws->reader.stream || ws->closing || ws->hurried)
		return;
	if (ws->x->novad->draining && stream_has_ended(ws->reader.stream)) {
		ws->hurried = true;
		ws->x->client->deadline = now + LAST_WORD_MS;
		return;
	}
	if (stream_is_full(ws->reader.stream))
		ws->heard_ms = now; /* it is not listened to */
	ws->x->client->deadline = ws->pinged ? ws->pinged_ms + idle_ms / 2 : -1;
	if (ws->pinged || now < ws->heard_ms + idle_ms / 2)
		return;
	ws->pinged = true;
	ws->pinged_ms = now;
	wslay_event_queue_msg(ws->frames, &ping);
	on_woken(&ws->reader);
}

void websocket_drain(struct websocket *ws, bool lost)
{
	static const char text[] =
		"{\"event\":\"error\",\"status\":502,\"code\":\"lost\",\"outcome\":"
		"\"unknown\",\"error\":\"novad was stopped at once\"}";
	bool over = !ws->reader.stream;
	if (!ws->handle)
		ws->x->client->deadline = now_ms() + LAST_WORD_MS;
	if (!ws->watch || (!lost && !over))
		return;
	if (!over)
		send_text(ws, text, strlen(text));
	say_goodbye(ws, WSLAY_CODE_GOING_AWAY);
	wslay_event_send(ws->frames);
	on_woken(&ws->reader);
}

static void on_upgrade(void *userdata, struct MHD_Connection *connection, void *request,
	const char *early, size_t early_len, MHD_socket fd,
	struct MHD_UpgradeResponseHandle *handle)
{
	static const struct wslay_event_callbacks callbacks = { .recv_callback = on_receive,
		.send_callback = on_send,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_piece,
		.on_msg_recv_callback = on_message };
	(void)connection;
	(void)userdata;
	struct exchange *x = request;
	struct websocket *ws = x->socket;
	ws->fd = fd;
	ws->handle = handle;
	x->answered = false; /* messages are looked at as bodies are */
	ws->heard_ms = now_ms();
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	bytes_add(&ws->early, early, early_len);
	if (wslay_event_context_server_init(&ws->frames, &callbacks, ws) != 0)
		need(NULL);
	wslay_event_config_set_no_buffering(ws->frames, 1);
	wslay_event_config_set_max_recv_msg_length(
		ws->frames, (uint64_t)x->novad->settings.body_kb << 10);
	ws->watch = loop_watch(server_loop(x->novad->server), fd, EPOLLIN | EPOLLOUT, on_ready, ws);
	struct stream *stream = *ws->id && ws->watch ? stream_find(ws->id, x->key) : NULL;
	x->client->deadline = stream ? -1 : now_ms() + x->novad->settings.body_ms;
	if (stream)
		stream_attach(stream, &ws->reader, ws->after);
	else if (x->novad->draining)
		say_goodbye(ws, WSLAY_CODE_GOING_AWAY);
	else if (*ws->id)
		say_goodbye(ws, WSLAY_CODE_POLICY_VIOLATION);
}

/* --- the handshake --- */

const struct field stream_query[] = {
	{ "execution_id", KIND_TEXT, "the execution to listen to; without it, one is begun",
		.max = 32 },
	{ "after", KIND_NUMBER, "the id of the last event that is known", .max = INT64_MAX },
	{ NULL },
};

/* Whether a word is in a list of them, as headers have them. */
static bool has_word(const char *list, const char *word)
{
	for (const char *at = list; at && *at; at += strcspn(at, ",")) {
		at += strspn(at, ", \t");
		size_t len = strcspn(at, ", \t");
		if (len == strlen(word) && !strncasecmp(at, word, len))
			return true;
	}
	return false;
}

/* 16 bytes in base64. */
static bool is_nonce(const char *text)
{
	struct bytes bytes = { 0 };
	bool fits = text && strlen(text) == 24 && base64_read(&bytes, text, 24) && bytes.len == 16;
	bytes_free(&bytes);
	return fits;
}

static bool check_handshake(struct exchange *x)
{
	const char *version = exchange_header(x, "Sec-WebSocket-Version");
	if (!has_word(exchange_header(x, "Upgrade"), "websocket") ||
		!has_word(exchange_header(x, "Connection"), "Upgrade")) {
		exchange_header_add(x, "Upgrade", "websocket");
		exchange_problem(x, 426, "upgrade_required", "this is a WebSocket");
	} else if (!version || strcmp(version, "13") != 0) {
		exchange_header_add(x, "Sec-WebSocket-Version", "13");
		exchange_problem(x, 426, "upgrade_required", "the version of WebSocket is 13");
	} else if (strcmp(x->method, "GET") != 0 || exchange_header(x, "Content-Length") ||
		   exchange_header(x, "Transfer-Encoding") ||
		   !is_nonce(exchange_header(x, "Sec-WebSocket-Key"))) {
		exchange_problem(x, 400, "bad_request",
			"a handshake is a GET without a body, and its Sec-WebSocket-Key 16 bytes "
			"in base64");
	}
	return !x->answered;
}

/* False: it has been answered. */
static bool choose_execution(struct exchange *x, struct websocket *ws)
{
	json_t *query = gate_query(x);
	if (!query)
		return false;
	const char *id = json_string_value(json_object_get(query, "execution_id"));
	const char *after = json_string_value(json_object_get(query, "after"));
	struct stream *stream = id ? stream_find(id, x->key) : NULL;
	ws->after = after ? strtoull(after, NULL, 10) : 0;
	snprintf(ws->id, sizeof(ws->id), "%s", id ? id : "");
	if (id && !stream)
		exchange_problem(x, 404, "not_found",
			"there is no execution '%s', or what it printed is not kept any more", id);
	else if ((after && !id) || (stream && ws->after >= stream_next_id(stream)))
		exchange_problem(x, 400, "invalid", "query: there is no event %s", after);
	json_decref(query);
	return !x->answered;
}

static void add_accept(const struct exchange *x, struct MHD_Response *response)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[24 + sizeof(guid)];
	unsigned char hash[20];
	struct bytes accept = { 0 };
	snprintf(text, sizeof(text), "%s%s", exchange_header(x, "Sec-WebSocket-Key"), guid);
	gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), hash);
	base64_write(&accept, hash, sizeof(hash));
	MHD_add_response_header(response, "Sec-WebSocket-Accept", accept.data);
	bytes_free(&accept);
}

void direct_stream(struct exchange *x)
{
	struct websocket *ws = need(calloc(1, sizeof(*ws)));
	*ws = (struct websocket){ .x = x, .reader.woken = on_woken };
	if (!choose_execution(x, ws) || !check_handshake(x)) {
		free(ws);
		return;
	}
	struct MHD_Response *response = need(MHD_create_response_for_upgrade(on_upgrade, NULL));
	MHD_add_response_header(response, "Upgrade", "websocket");
	add_accept(x, response);
	if (has_word(exchange_header(x, "Sec-WebSocket-Protocol"), PROTOCOL))
		MHD_add_response_header(response, "Sec-WebSocket-Protocol", PROTOCOL);
	exchange_dress(x, response);
	x->socket = ws;
	exchange_answer_ready(x, MHD_HTTP_SWITCHING_PROTOCOLS, response);
}
