/* SPDX-License-Identifier: MIT */
/* The daemon's half of the conversation: hello, request, event; then texts and a reply. */
#include "daemon.h"

#define EVENT_MAX (8u << 20) /* the library refuses less, and says so better */

struct talk {
	nova_decoder_t *decoder;
	/* What takes the next frame. False: that has no place here. */
	bool (*take)(struct connection *connection, int type, const json_t *payload);
	json_t *request;
	struct bytes event;
	size_t event_len;
};

static bool take_input(struct connection *connection, int type, const json_t *payload)
{
	struct bytes input = { 0 };
	bool last = wire_text_ends(payload, "stdin");
	bool fits = type == WIRE_TEXT && (last || wire_text_add(&input, payload, "stdin")) &&
		    connection_input(connection, input.data, input.len, last);
	bytes_free(&input);
	return fits;
}

static void begin(struct connection *connection)
{
	struct talk *talk = connection_state(connection);
	struct job_request request = {
		.options = talk->request,
		.body = talk->event,
		.input = json_is_true(json_object_get(talk->request, "stdin")),
	};
	const char *verb = json_string_value(json_object_get(talk->request, "verb"));
	talk->event = (struct bytes){ 0 };
	talk->take = take_input;
	connection_begin(connection, verb, &request);
	bytes_free(&request.body);
}

static bool take_event(struct connection *connection, int type, const json_t *payload)
{
	struct talk *talk = connection_state(connection);
	if (type != WIRE_TEXT || !wire_text_add(&talk->event, payload, "event") ||
		talk->event.len > talk->event_len)
		return false;
	if (talk->event.len == talk->event_len)
		begin(connection);
	return true;
}

static bool take_request(struct connection *connection, int type, const json_t *payload)
{
	struct talk *talk = connection_state(connection);
	json_int_t len = json_integer_value(json_object_get(payload, "event_len"));
	if (type != WIRE_REQUEST || len < 0 || len > (json_int_t)EVENT_MAX)
		return false;
	talk->request = json_incref((json_t *)payload);
	talk->event_len = (size_t)len;
	bytes_add(&talk->event, NULL, 0); /* an empty event is no missing one */
	talk->take = take_event;
	if (connection_admit(connection) && !len)
		begin(connection);
	return true;
}

static bool take_hello(struct connection *connection, int type, const json_t *payload)
{
	struct talk *talk = connection_state(connection);
	const struct daemon *daemon = connection_userdata(connection);
	if (type != WIRE_HELLO)
		return false;
	json_t *hello = hello_json();
	json_object_set_new(hello, "settings", settings_fingerprints(daemon->config));
	wire_put_new(connection_out(connection), WIRE_HELLO, hello);
	talk->take = take_request;
	if (json_integer_value(json_object_get(payload, "protocol")) != WIRE_PROTOCOL)
		connection_decline(connection, "speaks another protocol");
	return true;
}

static void *open_talk(struct connection *connection)
{
	(void)connection;
	struct talk *talk = need(calloc(1, sizeof(*talk)));
	talk->decoder = wire_decoder();
	talk->take = take_hello;
	return talk;
}

static void close_talk(void *state)
{
	struct talk *talk = state;
	nova_decoder_free(talk->decoder);
	json_decref(talk->request);
	bytes_free(&talk->event);
	free(talk);
}

static bool receive(
	struct connection *connection, const void *data, size_t len, nova_error_t **error)
{
	int type, got = 0;
	json_t *payload;
	bool fits = true;
	struct talk *talk = connection_state(connection);
	nova_decoder_feed(talk->decoder, data, len, NULL); /* a failure is told by the next */
	while (fits && !connection_is_answered(connection) &&
		(got = wire_next(talk->decoder, &type, &payload, error)) > 0) {
		fits = talk->take(connection, type, payload);
		json_decref(payload);
	}
	return fits && got >= 0;
}

static void put_text(struct connection *connection, const char *part, const void *data, size_t len)
{
	wire_put_text(connection_out(connection), part, data, len);
}

static void put_reply(struct connection *connection, const json_t *reply)
{
	wire_put(connection_out(connection), WIRE_REPLY, reply);
}

const struct protocol conversation = {
	.open = open_talk,
	.close = close_talk,
	.receive = receive,
	.text = put_text,
	.reply = put_reply,
};
