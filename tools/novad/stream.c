/* SPDX-License-Identifier: MIT */
/*
 * Executions to which one can listen. What they print becomes numbered events, of which the last
 * are kept, so that who listens can fall behind or come back without holding anybody up: what has
 * gone meanwhile is an event, too. One that runs lives until nobody has listened to it for a while,
 * and one that has ended as long.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "routes.h"

#define KEPT_MAX     (1u << 20) /* bytes of events, of one */
#define KEPT_ALL_MAX (128u << 20)
#define ENDED_MAX    10000
#define HELD_MS      1000 /* in which who listens may hold up an execution, altogether, */
#define SPEED        1024 /* and bytes in a millisecond, which is fast enough to do so */

struct event {
	uint64_t before; /* bytes of all events before it */
	size_t len;
	char text[];
};

/* The beginning of a character whose end has not come yet. */
struct tail {
	char bytes[4];
	size_t len;
};

struct stream {
	TAILQ_ENTRY(stream) all;
	struct novad *novad;
	char id[33];
	struct key *key;
	struct job *job; /* NULL: it has ended */
	size_t held;     /* what the job takes, among novad->body_bytes */
	bool ended;
	uint64_t first, next;  /* numbers: of the oldest that is kept, of the next that comes */
	struct event **events; /* by their numbers modulo `room`, a power of 2 */
	size_t room, bytes;
	uint64_t total;              /* bytes of all events, ever */
	uint64_t heard;              /* of them, by the fastest of those who listen */
	int64_t held_since, held_ms; /* 0: it is not held up now; for how long it was before */
	struct tail tails[2];        /* of stdout and stderr */
	LIST_HEAD(, reader) readers;
	int64_t deadline; /* -1: somebody listens, and it runs */
};

static struct {
	TAILQ_HEAD(, stream) streams; /* the oldest first */
	size_t count, running, bytes;
} all = { .streams = TAILQ_HEAD_INITIALIZER(all.streams) };

/* --- events --- */

static size_t size_of(const struct event *event)
{
	return sizeof(*event) + event->len;
}

static struct event **place_of(const struct stream *stream, uint64_t number)
{
	return &stream->events[number & (stream->room - 1)];
}

static void grow(struct stream *stream)
{
	size_t room = stream->room ? 2 * stream->room : 16;
	struct event **events = need(calloc(room, sizeof(struct event *)));
	for (uint64_t number = stream->first; number < stream->next; number++)
		events[number & (room - 1)] = *place_of(stream, number);
	free(stream->events);
	stream->events = events;
	stream->room = room;
}

static void drop_first(struct stream *stream)
{
	struct event *event = *place_of(stream, stream->first);
	stream->bytes -= size_of(event);
	all.bytes -= size_of(event);
	stream->first++;
	free(event);
}

static void add_event(struct stream *stream, const char *text)
{
	struct reader *reader;
	size_t len = strlen(text), share = KEPT_ALL_MAX / (all.running + 1);
	struct event *event = need(malloc(sizeof(*event) + len + 1));
	event->len = len;
	event->before = stream->total;
	stream->total += size_of(event);
	memcpy(event->text, text, len + 1);
	if (stream->next - stream->first == stream->room)
		grow(stream);
	*place_of(stream, stream->next++) = event;
	stream->bytes += size_of(event);
	all.bytes += size_of(event);
	while (stream->bytes > (share < KEPT_MAX ? share : KEPT_MAX) &&
		stream->next - stream->first > 1)
		drop_first(stream);
	LIST_FOREACH(reader, &stream->readers, all)
	reader->woken(reader);
}

/* Takes what it is to have besides its name and its number. */
static void publish(struct stream *stream, const char *name, json_t *members)
{
	json_t *event = need(json_pack("{s:s,s:I}", "event", name, "id", (json_int_t)stream->next));
	json_object_update(event, need(members));
	char *text = need(json_dumps(event, JSON_COMPACT));
	add_event(stream, text);
	free(text);
	json_decref(event);
	json_decref(members);
}

/* What is not UTF-8 comes as base64, so that nothing is lost; and what would be six times as long
 * as JSON. */
static bool is_text(const char *data, size_t len)
{
	size_t controls = 0;
	for (size_t i = 0; i < len; i++)
		controls += (unsigned char)data[i] < ' ' && data[i] != '\n' && data[i] != '\t';
	return controls <= len / 8 + 4;
}

static void publish_piece(struct stream *stream, const char *part, const char *data, size_t len)
{
	struct bytes coded = { 0 };
	json_t *text = is_text(data, len) ? json_stringn(data, len) : NULL;
	if (text) {
		publish(stream, "output", json_pack("{s:s,s:o}", "stream", part, "data", text));
		return;
	}
	base64_write(&coded, data, len);
	publish(stream, "output",
		json_pack(
			"{s:s,s:s,s:s}", "stream", part, "encoding", "base64", "data", coded.data));
	bytes_free(&coded);
}

/* --- what is printed --- */

/* Bytes at the end that begin a character and do not end it. */
static size_t unfinished(const char *data, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char byte = (unsigned char)data[len - back];
		size_t whole = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
		if (byte < 0x80 || byte >= 0xc0)
			return whole > back ? back : 0;
	}
	return 0;
}

static void publish_text(
	struct stream *stream, const char *part, struct tail *tail, const char *data, size_t len)
{
	size_t left = unfinished(data, len);
	if (len > left)
		publish_piece(stream, part, data, len - left);
	memcpy(tail->bytes, data + len - left, left);
	tail->len = left;
}

static void print(struct stream *stream, const char *part, const char *data, size_t len)
{
	char piece[PIECE_MAX];
	struct tail *tail = &stream->tails[!strcmp(part, "stderr")];
	while (len) {
		size_t before = tail->len, room = sizeof(piece) - before;
		size_t n = len < room ? len : room;
		memcpy(piece, tail->bytes, before);
		memcpy(piece + before, data, n);
		publish_text(stream, part, tail, piece, before + n);
		data += n;
		len -= n;
	}
}

static void print_tails(struct stream *stream)
{
	static const char *const parts[] = { "stdout", "stderr" };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (stream->tails[i].len)
			publish_piece(
				stream, parts[i], stream->tails[i].bytes, stream->tails[i].len);
}

/* --- its job --- */

static int64_t window(const struct stream *stream)
{
	const struct novad *novad = stream->novad;
	return now_ms() + (novad->draining ? 0 : novad->settings.resume_ms);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	print(userdata, part, data, len);
}

/* Bytes that the fastest of those who listen has not read. */
static uint64_t unread(const struct stream *stream)
{
	uint64_t next = stream->first;
	const struct reader *reader;
	LIST_FOREACH(reader, &stream->readers, all)
	next = reader->next > next ? reader->next : next;
	return next == stream->next ? 0 : stream->total - (*place_of(stream, next))->before;
}

/* Who listens as fast as it can is not to lose what is printed at once; but nobody holds up an
 * execution for long. */
static bool must_wait(const struct stream *stream)
{
	int64_t held_ms = stream->held_ms;
	if (stream->held_since)
		held_ms += now_ms() - stream->held_since;
	return !LIST_EMPTY(&stream->readers) &&
	       held_ms < HELD_MS + (int64_t)(stream->heard / SPEED) &&
	       unread(stream) > KEPT_MAX / 4;
}

static void pass_on(struct stream *stream)
{
	if (!stream->job)
		return;
	if (must_wait(stream)) {
		stream->held_since = stream->held_since ? stream->held_since : now_ms();
		return;
	}
	if (stream->held_since)
		stream->held_ms += now_ms() - stream->held_since;
	stream->held_since = 0;
	job_pass_on(stream->job);
}

static void on_woken(void *userdata)
{
	struct reader *reader;
	struct stream *stream = userdata;
	pass_on(stream);
	LIST_FOREACH(reader, &stream->readers, all)
	reader->woken(reader);
}

static void publish_end(struct stream *stream, const json_t *reply)
{
	json_t *body = json_object_get(reply, "body");
	stream->ended = true; /* the last event says so, too */
	if (json_object_get(reply, "error")) {
		publish(stream, "error", exchange_problem_of(reply));
		return;
	}
	json_t *members = need(json_copy(body));
	json_object_del(members, "stdout");
	json_object_del(members, "stderr");
	json_object_set(members, "exitCode", json_object_get(body, "exit_code"));
	json_object_set_new(members, "executionId", json_string(stream->id));
	publish(stream, "complete", members);
}

static void stop_counting(struct stream *stream)
{
	all.running--;
	stream->novad->calls--;
	stream->novad->body_bytes -= stream->held;
	stream->held = 0;
	if (stream->key)
		stream->key->calls--;
}

static void on_end(void *userdata, const json_t *reply)
{
	struct stream *stream = userdata;
	stream->job = NULL;
	stop_counting(stream);
	print_tails(stream);
	publish_end(stream, reply);
	stream->deadline = window(stream);
}

/* --- its life --- */

static void forget(struct stream *stream)
{
	struct reader *reader;
	while ((reader = LIST_FIRST(&stream->readers)) != NULL)
		stream_detach(reader);
	if (stream->job) {
		job_abandon(stream->job);
		stop_counting(stream);
	}
	while (stream->first < stream->next)
		drop_first(stream);
	TAILQ_REMOVE(&all.streams, stream, all);
	all.count--;
	key_release(stream->key);
	free(stream->events);
	free(stream);
}

/* Those that have ended make room for those that run. */
static void make_room(void)
{
	struct stream *stream, *next;
	for (stream = TAILQ_FIRST(&all.streams); stream; stream = next) {
		next = TAILQ_NEXT(stream, all);
		if (all.bytes < KEPT_ALL_MAX / 2 && all.count - all.running < ENDED_MAX)
			return;
		if (stream->ended && LIST_EMPTY(&stream->readers))
			forget(stream);
	}
}

static struct stream *stream_new(const struct exchange *x, const char *id)
{
	make_room();
	struct stream *stream = need(calloc(1, sizeof(*stream)));
	*stream = (struct stream){
		.novad = x->novad, .key = key_hold(x->key), .first = 1, .next = 1
	};
	snprintf(stream->id, sizeof(stream->id), "%s", id);
	TAILQ_INSERT_TAIL(&all.streams, stream, all);
	all.count++;
	stream->deadline = window(stream);
	publish(stream, "started", json_pack("{s:s}", "executionId", id));
	return stream;
}

struct stream *stream_begin(struct exchange *x, json_t *fields)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	char id[EXECUTION_SIZE], owner[OWNER_SIZE];
	key_owner(x->key, owner);
	execution_id(owner, id);
	struct stream *stream = stream_new(x, id);
	struct job_request request = { .verb = execute_verb(fields) };
	request.input = json_is_true(json_object_get(fields, "stdin")) &&
			json_object_get(fields, "instance");
	json_t *options = need(json_pack("{s:s,s:b,s:O,s:{},s:{},s:o*}", "run", id, "streamed", 1,
		"body", fields, "path", "query", "key",
		x->key ? text_json(x->key->name, strlen(x->key->name)) : NULL));
	owner_options(options, x->key);
	request.options = options;
	json_decref(fields);
	x->admitted = false; /* it counts by itself from now on */
	stream->held = x->held;
	x->held = 0;
	all.running++;
	struct job *job = job_begin(server_jobs(x->novad->server), &request, &asker, stream);
	if (!stream->ended)
		stream->job = job;
	json_decref(options);
	return stream;
}

void stream_keep(const struct exchange *x, const json_t *reply)
{
	json_t *body = json_object_get(reply, "body");
	const char *id = json_string_value(json_object_get(body, "executionId"));
	if (!id)
		return;
	struct stream *stream = stream_new(x, id);
	const json_t *out = json_object_get(body, "stdout"), *err = json_object_get(body, "stderr");
	print(stream, "stdout", json_string_value(out), json_string_length(out));
	print(stream, "stderr", json_string_value(err), json_string_length(err));
	json_t *answer = json_incref(json_object_get(body, "output"));
	if (json_is_string(answer)) /* as a rule, what it has printed once more */
		json_object_del(body, "output");
	publish_end(stream, reply);
	if (answer)
		json_object_set_new(body, "output", answer);
}

struct stream *stream_find(const char *id, const struct key *key)
{
	struct stream *stream;
	TAILQ_FOREACH(stream, &all.streams, all)
	if (!strcmp(stream->id, id) && stream->key == key)
		return stream;
	return NULL;
}

const char *stream_id(const struct stream *stream)
{
	return stream->id;
}

uint64_t stream_next_id(const struct stream *stream)
{
	return stream->next;
}

/* --- who listens --- */

bool stream_attach(struct stream *stream, struct reader *reader, uint64_t after)
{
	if (after >= stream->next)
		return false;
	reader->stream = stream;
	reader->next = after + 1;
	LIST_INSERT_HEAD(&stream->readers, reader, all);
	if (!stream->ended)
		stream->deadline = -1;
	return true;
}

void stream_detach(struct reader *reader)
{
	struct stream *stream = reader->stream;
	if (!stream)
		return;
	LIST_REMOVE(reader, all);
	reader->stream = NULL;
	if (stream->held_since)
		pass_on(stream);
	if (LIST_EMPTY(&stream->readers))
		stream->deadline = window(stream);
}

/* What has gone is told by an event that has the number of the last of it. */
static const char *tell_gap(struct reader *reader, size_t *ret_len)
{
	uint64_t first = reader->stream->first;
	int len = snprintf(reader->gap, sizeof(reader->gap),
		"{\"event\":\"gap\",\"id\":%llu,\"missing\":%llu}", (unsigned long long)first - 1,
		(unsigned long long)(first - reader->next));
	*ret_len = (size_t)len;
	reader->next = first;
	return reader->gap;
}

const char *stream_next(struct reader *reader, size_t *ret_len)
{
	struct stream *stream = reader->stream;
	if (stream && stream->held_since)
		pass_on(stream);
	if (!stream || reader->next == stream->next)
		return NULL;
	if (reader->next < stream->first)
		return tell_gap(reader, ret_len);
	const struct event *event = *place_of(stream, reader->next++);
	reader->heard += event->len;
	stream->heard = reader->heard > stream->heard ? reader->heard : stream->heard;
	*ret_len = event->len;
	return event->text;
}

bool stream_is_over(const struct reader *reader)
{
	const struct stream *stream = reader->stream;
	return stream && stream->ended && reader->next == stream->next;
}

bool stream_has_ended(const struct stream *stream)
{
	return stream->ended;
}

const char *stream_input(struct stream *stream, const void *data, size_t len, bool last)
{
	if (stream->ended)
		return "the execution has ended: nobody reads this";
	if (stream->job && job_input(stream->job, data, len, last))
		return NULL;
	return "stdin is not open: only a command in an instance has it, if it began with "
	       "\"stdin\":true, and until its \"end\"";
}

bool stream_is_full(const struct stream *stream)
{
	return stream->job && job_is_full(stream->job);
}

/* The last event is that it was cancelled. */
void stream_stop(struct stream *stream)
{
	if (!stream->job)
		return;
	job_pass_on(stream->job); /* what it has printed until now */
	json_t *reply = json_pack("{s:o}", "error",
		error_json(NOVA_ECANCELED, NOVA_OUTCOME_UNKNOWN, "it was stopped as asked"));
	job_abandon(stream->job);
	on_end(stream, need(reply));
	json_decref(reply);
}

/* --- all of them --- */

void streams_look(int64_t now)
{
	struct stream *stream, *next;
	for (stream = TAILQ_FIRST(&all.streams); stream; stream = next) {
		next = TAILQ_NEXT(stream, all);
		if (stream->held_since)
			pass_on(stream);
		if (stream->deadline >= 0 && now >= stream->deadline &&
			LIST_EMPTY(&stream->readers))
			forget(stream);
	}
}

void streams_drain(void)
{
	streams_look(INT64_MAX);
}

size_t streams_count(void)
{
	return all.count;
}

void streams_free(void)
{
	for (struct stream *stream; (stream = TAILQ_FIRST(&all.streams)) != NULL;)
		forget(stream);
}
