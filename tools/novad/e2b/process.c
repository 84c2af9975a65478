/* SPDX-License-Identifier: MIT */
/*
 * Commands of sandboxes. One goes on until it ends, its time is over or it is killed, whoever
 * listens; its output goes to those who do, and waits for the slowest of them. All of this is the
 * loop's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2b.h"

#define UNREAD_MAX (256u << 10) /* bytes of events that wait for one who listens */
#define BLOCK      (32u << 10)
#define PING_MS    50000 /* as the SDK asks for */
#define ARGS_MAX   (8u << 20)
#define SHOWN_MAX  4096u /* bytes of a command that lists have */

struct process {
	LIST_ENTRY(process) all;
	struct novad *novad;
	struct key *key;
	size_t held; /* among novad->body_bytes */
	struct job *job;
	char sandbox[21];
	json_int_t pid; /* 0: not known yet */
	json_t *config; /* as lists have it */
	LIST_HEAD(, listener) listeners;
};

struct listener {
	LIST_ENTRY(listener) all;
	struct process *process; /* NULL: it has ended, and so do the events */
	struct exchange *exchange;
	struct bytes events;
	int64_t next_ping;
};

static LIST_HEAD(, process) processes;

#define NO_TERMINAL "commands run without a terminal: use commands.run()"

/* --- what is asked for --- */

static const struct field config_fields[] = {
	{ "cmd", KIND_TEXT, "the program", true },
	{ "args", KIND_TEXTS, "its arguments", .max = ARGS_MAX },
	{ "envs", KIND_PAIRS, "variables of its environment" },
	{ "cwd", KIND_TEXT, "where it runs" },
	{ NULL },
};

const struct field e2b_start_fields[] = {
	{ "process", KIND_OBJECT, "what to run", true, .members = config_fields },
	{ "stdin", KIND_FLAG, "it will be sent input" },
	{ "pty", KIND_ANY, "its terminal" },
	{ NULL },
};

static const struct field selector_fields[] = {
	{ "pid", KIND_NUMBER, "its process id", true, .min = 1, .max = UINT32_MAX },
	{ NULL },
};

static const struct field stdin_fields[] = {
	{ "stdin", KIND_BYTES, "base64" },
	{ "pty", KIND_ANY, "refused: there is no terminal" },
	{ NULL },
};

#define SELECTOR                                                                                   \
	{                                                                                          \
		"process", KIND_OBJECT, "which", true, .members = selector_fields                  \
	}

const struct field e2b_attach_fields[] = { SELECTOR, { NULL } };

const struct field e2b_signal_fields[] = {
	SELECTOR,
	{ "signal", KIND_TEXT, "its name", true },
	{ NULL },
};

const struct field e2b_input_fields[] = {
	SELECTOR,
	{ "input", KIND_OBJECT, "what it reads", true, .members = stdin_fields },
	{ NULL },
};

/* --- events --- */

static void tell_text(struct listener *listener, unsigned char flags, const char *text, size_t len)
{
	e2b_wrap(&listener->events, flags, text, len);
	listener->next_ping = now_ms() + PING_MS;
	exchange_resume(listener->exchange);
}

/* Takes it. */
static void tell(struct listener *listener, unsigned char flags, json_t *message)
{
	char *text = need(json_dumps(need(message), JSON_COMPACT));
	tell_text(listener, flags, text, strlen(text));
	json_decref(message);
	free(text);
}

static void tell_event(struct listener *listener, const char *name, json_t *members)
{
	tell(listener, 0, json_pack("{s:{s:o}}", "event", name, need(members)));
}

static void publish_text(struct process *process, const char *text, size_t len)
{
	struct listener *listener;
	LIST_FOREACH(listener, &process->listeners, all)
	tell_text(listener, 0, text, len);
}

static void publish(struct process *process, const char *name, json_t *members)
{
	json_t *event = need(json_pack("{s:{s:o}}", "event", name, need(members)));
	char *text = need(json_dumps(event, JSON_COMPACT));
	publish_text(process, text, strlen(text));
	json_decref(event);
	free(text);
}

/* Base64 needs no escapes. */
static void publish_piece(struct process *process, const char *part, const void *data, size_t len)
{
	char head[60];
	struct bytes text = { 0 };
	snprintf(head, sizeof(head), "{\"event\":{\"data\":{\"%s\":\"", part);
	bytes_add(&text, head, strlen(head));
	base64_write(&text, data, len);
	bytes_add(&text, "\"}}}", 4);
	publish_text(process, text.data, text.len);
	bytes_free(&text);
}

/* The last message says whether all went well. */
static void publish_end(struct process *process, json_t *error)
{
	struct listener *listener;
	while ((listener = LIST_FIRST(&process->listeners)) != NULL) {
		LIST_REMOVE(listener, all);
		tell(listener, 2, json_pack("{s:O*}", "error", error));
		listener->process = NULL;
	}
	json_decref(error);
}

static void publish_exit(struct process *process, int status, const char *killed)
{
	char text[40];
	snprintf(text, sizeof(text), "exit status %d", status);
	json_t *end = need(json_pack("{s:i,s:b,s:s}", "exitCode", killed ? -1 : status, "exited",
		!killed, "status", killed ? killed : text));
	if (killed || status)
		json_object_set_new(end, "error", json_string(killed ? killed : text));
	publish(process, "end", end);
	publish_end(process, NULL);
}

/* --- its job --- */

static bool must_wait(const struct process *process)
{
	const struct listener *listener;
	LIST_FOREACH(listener, &process->listeners, all)
	if (listener->events.len > UNREAD_MAX)
		return true;
	return false;
}

static void on_woken(void *userdata)
{
	struct process *process = userdata;
	if (process->job && !must_wait(process))
		job_pass_on(process->job);
}

static void on_text(void *userdata, const char *part, const void *data, size_t len)
{
	struct process *process = userdata;
	if (!strcmp(part, "pid")) {
		process->pid = strtoll(data, NULL, 10);
		publish(process, "start", json_pack("{s:I}", "pid", process->pid));
	} else if (!LIST_EMPTY(&process->listeners)) {
		publish_piece(process, part, data, len);
	}
}

static void process_free(struct process *process)
{
	sandbox_leave(process->sandbox);
	process->novad->calls--;
	process->novad->body_bytes -= process->held;
	if (process->key)
		process->key->calls--;
	key_release(process->key);
	LIST_REMOVE(process, all);
	json_decref(process->config);
	free(process);
}

static void on_end(void *userdata, const json_t *reply)
{
	struct process *process = userdata;
	const json_t *status = json_object_get(reply, "exit_status");
	if (status) {
		publish_exit(process, (int)json_integer_value(status), NULL);
	} else {
		json_t *problem = exchange_problem_of(reply);
		unsigned number = (unsigned)json_integer_value(json_object_get(problem, "status"));
		publish_end(process, json_pack("{s:s,s:O}", "code", e2b_code(number), "message",
					     json_object_get(problem, "detail")));
		json_decref(problem);
	}
	process_free(process);
}

/* Kills it. */
static void process_kill(struct process *process)
{
	job_pass_on(process->job); /* what it has printed until now */
	job_abandon(process->job);
	publish_exit(process, 0, "signal: killed");
	process_free(process);
}

void processes_end(const char *sandbox)
{
	struct process *process, *next;
	for (process = LIST_FIRST(&processes); process; process = next) {
		next = LIST_NEXT(process, all);
		if (!sandbox || !strcmp(process->sandbox, sandbox))
			process_kill(process);
	}
}

void e2b_drain(void)
{
	struct process *process, *next;
	for (process = LIST_FIRST(&processes); process; process = next) {
		next = LIST_NEXT(process, all);
		if (LIST_EMPTY(&process->listeners))
			process_kill(process);
	}
}

/* --- who listens --- */

static ssize_t read_events(void *userdata, uint64_t position, char *out, size_t size)
{
	(void)position;
	struct listener *listener = userdata;
	size_t n = listener->events.len < size ? listener->events.len : size;
	if (listener->exchange->gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n) {
		memcpy(out, listener->events.data, n);
		bytes_drop(&listener->events, n);
		if (listener->process)
			on_woken(listener->process);
		return (ssize_t)n;
	}
	if (!listener->process)
		return MHD_CONTENT_READER_END_OF_STREAM;
	return exchange_suspend(listener->exchange) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Its process goes on, unless nobody can come back to it. */
void listener_end(struct listener *listener)
{
	struct process *process = listener->process;
	if (process) {
		LIST_REMOVE(listener, all);
		if (process->novad->draining && LIST_EMPTY(&process->listeners))
			process_kill(process);
		else
			on_woken(process); /* it may have waited for this one */
	}
	bytes_free(&listener->events);
	free(listener);
}

static void attach(struct exchange *x, struct process *process)
{
	struct listener *listener = need(calloc(1, sizeof(*listener)));
	*listener = (struct listener){ .process = process, .exchange = x };
	listener->next_ping = now_ms() + PING_MS;
	LIST_INSERT_HEAD(&process->listeners, listener, all);
	x->listener = listener;
	struct MHD_Response *response = need(MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK, read_events, listener, NULL));
	MHD_add_response_header(response, "Content-Type", "application/connect+json");
	exchange_dress(x, response);
	exchange_answer_ready(x, 200, response);
}

void listeners_look(int64_t now)
{
	struct process *process;
	struct listener *listener;
	LIST_FOREACH(process, &processes, all)
	LIST_FOREACH(listener, &process->listeners, all)
	if (now >= listener->next_ping)
		tell_event(listener, "keepalive", json_object());
}

/* --- starting one --- */

static json_t *shown(const json_t *value, size_t *room);

static json_t *shown_text(const json_t *text, size_t *room)
{
	size_t len = json_string_length(text), most = len < *room ? len : *room;
	*room -= most;
	return text_json(json_string_value(text), most);
}

static json_t *shown_list(const json_t *list, size_t *room)
{
	size_t i;
	const json_t *one;
	json_t *some = need(json_array());
	json_array_foreach(list, i, one) if (*room) json_array_append_new(some, shown(one, room));
	return some;
}

static json_t *shown_object(const json_t *object, size_t *room)
{
	const char *name;
	json_t *one, *some = need(json_object());
	json_object_foreach((json_t *)(uintptr_t)object, name, one)
	{
		size_t len = strlen(name);
		if (len >= *room)
			continue;
		*room -= len;
		json_object_set_new(some, name, shown(one, room));
	}
	return some;
}

/* The beginning of it, as the loop writes the list of all. */
static json_t *shown(const json_t *value, size_t *room)
{
	return need(json_is_string(value) ? shown_text(value, room) :
		    json_is_array(value)  ? shown_list(value, room) :
		    json_is_object(value) ? shown_object(value, room) :
					    json_copy((json_t *)(uintptr_t)value));
}

/* What the exchange has counted is the command's own from now on: it goes on without it. */
static void take_over(struct process *process, struct exchange *x)
{
	process->novad = x->novad;
	process->key = key_hold(x->key);
	process->held = x->held + x->body.len;
	bytes_free(&x->body);
	x->held = 0;
	x->admitted = false;
}

void e2b_start(struct exchange *x)
{
	static const struct job_asker asker = { on_woken, on_text, on_end };
	const json_t *body = json_object_get(x->options, "body");
	if (json_is_object(json_object_get(body, "pty"))) {
		exchange_problem(x, 501, "not_supported", NO_TERMINAL);
		return;
	}
	if (!sandbox_enter(x->sandbox)) {
		exchange_problem(x, 429, "too_many_calls",
			"as many commands are under way in this sandbox as may be: one less than "
			"the concurrency of its template");
		return;
	}
	struct process *process = need(calloc(1, sizeof(*process)));
	struct job_request request = { .verb = &verb_e2b_run, .options = x->options };
	request.input = json_is_true(json_object_get(body, "stdin"));
	memcpy(process->sandbox, x->sandbox, sizeof(process->sandbox));
	size_t room = SHOWN_MAX;
	process->config = shown(json_object_get(body, "process"), &room);
	LIST_INSERT_HEAD(&processes, process, all);
	take_over(process, x);
	attach(x, process);
	struct job *job = job_begin(server_jobs(x->novad->server), &request, &asker, process);
	if (job)
		process->job = job; /* else it is over, and gone */
}

/* --- those that are there --- */

/* NULL: it has ended, or never was. */
static struct process *find(const char *sandbox, const json_t *body)
{
	struct process *process;
	const json_t *selector = json_object_get(body, "process");
	json_int_t pid = json_integer_value(json_object_get(selector, "pid"));
	LIST_FOREACH(process, &processes, all)
	if (!strcmp(process->sandbox, sandbox) && process->pid == pid)
		return process;
	return NULL;
}

#define NOT_THERE "no command with this process id is under way in this sandbox"

void e2b_attach(struct exchange *x)
{
	struct process *process = find(x->sandbox, json_object_get(x->options, "body"));
	if (!process) {
		exchange_problem(x, 404, "not_found", NOT_THERE);
		return;
	}
	attach(x, process);
	tell_event(x->listener, "start", json_pack("{s:I}", "pid", process->pid));
}

/* NULL: it has been answered. */
static struct process *process_of(struct job *job)
{
	struct process *process = find(job_text(job, "sandbox"), job_fields(job));
	if (!process)
		job_problem(job, 404, "not_found", NOT_THERE);
	return process;
}

static void list(struct job *job)
{
	const struct process *process;
	json_t *all = need(json_array());
	LIST_FOREACH(process, &processes, all)
	if (process->pid && !strcmp(process->sandbox, job_text(job, "sandbox")))
		json_array_append_new(all, need(json_pack("{s:I,s:O}", "pid", process->pid,
						   "config", process->config)));
	job_answer(job, json_pack("{s:o}", "processes", all));
}

static void send_signal(struct job *job)
{
	struct process *process = process_of(job);
	if (process && strcmp(job_field(job, "signal"), "SIGNAL_SIGKILL") != 0) {
		job_problem(job, 501, "not_supported",
			"commands are killed, and sent no other signal: run 'kill' in the sandbox");
	} else if (process) {
		process_kill(process);
		job_answer(job, json_object());
	}
}

static void input(struct job *job, struct process *process, const struct bytes *data, bool last)
{
	if (job_is_full(process->job))
		job_problem(job, 429, "busy",
			"the command has not read yet what it was sent before: send it later");
	else if (!job_input(process->job, data->data, data->len, last))
		job_problem(job, 400, "invalid",
			"the input of this command is not open: it is if it was begun with "
			"stdin=True, until it is closed");
	else
		job_answer(job, json_object());
}

static void send_input(struct job *job)
{
	struct bytes data = { 0 };
	struct process *process = process_of(job);
	const json_t *given = json_object_get(job_fields(job), "input");
	const json_t *text = json_object_get(given, "stdin");
	field_bytes(&data, text);
	if (process && text)
		input(job, process, &data, false);
	else if (process && json_object_get(given, "pty"))
		job_problem(job, 501, "not_supported", NO_TERMINAL);
	else if (process)
		job_problem(job, 400, "invalid", "input: the field 'stdin' is missing");
	bytes_free(&data);
}

static void close_input(struct job *job)
{
	const struct bytes none = { 0 };
	struct process *process = process_of(job);
	if (process)
		input(job, process, &none, true);
}

const struct job_verb verb_e2b_processes = { .name = "list", .answer = list };
const struct job_verb verb_e2b_signal = { .name = "signal", .answer = send_signal };
const struct job_verb verb_e2b_input = { .name = "input", .answer = send_input };
const struct job_verb verb_e2b_close = { .name = "close", .answer = close_input };
