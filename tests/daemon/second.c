/* SPDX-License-Identifier: MIT */
/*
 * Another program upon tools/serve: it speaks lines of JSON, and serves verbs of its own. A request
 * is one line, {"verb":…}; with "input" true, each line that follows is a piece of its input, and
 * an empty one ends it. Texts come back as {"part":…,"text":…}, and then the reply.
 *
 *     second DIRECTORY STOP_MS
 *
 * It prints its socket once it listens, and stops when its stdin, a pipe, ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "serve/serve.h"

#define LINE_MAX 4096

static struct server *server;

/* --- what it speaks --- */

struct talk {
	struct bytes line;
	bool has_begun;
};

static void *open_talk(struct connection *connection)
{
	(void)connection;
	return need(calloc(1, sizeof(struct talk)));
}

static void close_talk(void *state)
{
	struct talk *talk = state;
	bytes_free(&talk->line);
	free(talk);
}

static bool begin(struct connection *connection, const char *line)
{
	struct talk *talk = connection_state(connection);
	json_t *options = json_loads(line, 0, NULL);
	const char *verb = json_string_value(json_object_get(options, "verb"));
	struct job_request request = {
		.options = options,
		.input = json_is_true(json_object_get(options, "input")),
	};
	talk->has_begun = true;
	if (verb && connection_admit(connection))
		connection_begin(connection, verb, &request);
	json_decref(options);
	return verb != NULL;
}

static bool take_line(struct connection *connection, const char *line, size_t len)
{
	const struct talk *talk = connection_state(connection);
	return talk->has_begun ? connection_input(connection, line, len, len == 0) :
				 begin(connection, line);
}

static bool receive(
	struct connection *connection, const void *data, size_t len, nova_error_t **error)
{
	(void)error;
	char *end;
	bool fits = true;
	struct talk *talk = connection_state(connection);
	struct bytes *line = &talk->line;
	bytes_add(line, data, len);
	while (fits && !connection_is_answered(connection) && line->len &&
		(end = memchr(line->data, '\n', line->len)) != NULL) {
		*end = 0;
		size_t used = (size_t)(end - line->data);
		fits = take_line(connection, line->data, used);
		bytes_drop(line, used + 1);
	}
	return fits && line->len <= LINE_MAX;
}

static void put_line(struct connection *connection, const json_t *value)
{
	char *text = need(json_dumps(value, JSON_COMPACT));
	bytes_add(connection_out(connection), text, strlen(text));
	bytes_add(connection_out(connection), "\n", 1);
	free(text);
}

static void put_text(struct connection *connection, const char *part, const void *data, size_t len)
{
	json_t *value = need(json_pack("{s:s,s:s%}", "part", part, "text", data, len));
	put_line(connection, value);
	json_decref(value);
}

static const struct protocol lines = { open_talk, close_talk, receive, put_text, put_line };

/* --- what it serves --- */

/* At once. */
static void shout(struct job *job)
{
	const char *word = job_text(job, "word");
	json_object_set_new(job_reply(job), "word", json_string(word ? word : ""));
}

static const struct job_verb verb_shout = { .name = "shout", .answer = shout };

/* Counts, a text for each number, up to `to` or until it is cancelled. */
static void count_up(struct job *job)
{
	char text[16];
	uint32_t to = job_number(job, "to"), done = 0;
	while (done < to && !job_is_canceled(job)) {
		int len = snprintf(text, sizeof(text), "%u", done + 1);
		done += job_print_within(job, "progress", text, (size_t)len, 20);
	}
	json_object_set_new(job_reply(job), "counted", json_integer(done));
}

static const struct job_verb verb_count = { .name = "count", .work = count_up };

/* Says "waiting", then waits for its end: by a client that goes, or the server's. */
static void wait_for_end(struct job *job)
{
	nova_t *nova = job_userdata(job);
	nova_queue_t *queue = NULL;
	nova_call_t *call = NULL;
	nova_error_t *error = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = job_interrupt(job);
	job_print(job, "progress", "waiting", 7);
	if (nova_queue_new(nova, NULL, &queue, &error) != 0 ||
		nova_queue_collect(queue, UINT32_MAX, &wait, &call, &error) != 0)
		job_fail_by(job, error);
	nova_error_free(error);
	nova_queue_free(queue);
	fputs("ended\n", stderr);
}

static const struct job_verb verb_wait = { .name = "wait", .work = wait_for_end };

/* Gives back what it is given. */
static void repeat(struct job *job)
{
	char data[512];
	ssize_t n;
	json_int_t total = 0;
	while ((n = read(job_stdin(job), data, sizeof(data))) > 0) {
		total += n;
		while (!job_print_within(job, "output", data, (size_t)n, 20))
			;
	}
	json_object_set_new(job_reply(job), "total", json_integer(total));
}

static const struct job_verb verb_repeat = { .name = "repeat", .work = repeat };

/* A call of the library's queue. */
static int submit(
	struct job *job, nova_queue_t *queue, nova_call_t **ret_call, nova_error_t **error)
{
	const char *function = job_text(job, "function");
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.userdata = job;
	return nova_queue_submit(queue, function ? function : "", NULL, &opts, ret_call, error);
}

static void collect(struct job *job, nova_call_t *call)
{
	size_t len;
	nova_result_t *result = nova_call_take_result(call);
	nova_error_t *error = nova_call_take_error(call);
	const char *output = nova_result_output(result, &len);
	if (error)
		job_fail_by(job, error);
	else
		job_tell(job, "output", output, len);
	nova_result_free(result);
	nova_error_free(error);
}

static const struct job_verb verb_call = { .name = "call", .submit = submit, .collect = collect };

static void stop(struct job *job)
{
	(void)job;
	server_stop(server, "it was asked for");
}

static const struct job_verb verb_stop = { .name = "stop", .answer = stop };

static const struct job_verb *const verbs[] = { &verb_shout, &verb_count, &verb_wait, &verb_repeat,
	&verb_call, &verb_stop, NULL };

/* --- the program --- */

static void say(int level, const char *text)
{
	(void)level;
	fprintf(stderr, "%s\n", text);
}

static nova_t *open_nova(void)
{
	nova_t *nova = NULL;
	nova_error_t *error = NULL;
	nova_config_t *config = NULL;
	if (nova_config_new(&config, &error) != 0 || nova_config_load_env(config, &error) != 0 ||
		nova_open(config, &nova, &error) != 0)
		fprintf(stderr, "%s\n", nova_error_message(error));
	nova_config_free(config);
	nova_error_free(error);
	return nova;
}

static void on_stdin(void *userdata, uint32_t events)
{
	(void)events;
	struct watch **watch = userdata;
	watch_end(*watch);
	*watch = NULL;
	server_stop(server, "its stdin has ended");
}

/* A descriptor of its own is watched by the same loop. */
static void run(void)
{
	struct watch *watch =
		loop_watch(server_loop(server), STDIN_FILENO, EPOLLIN, on_stdin, &watch);
	printf("%s\n", server_socket(server));
	fflush(stdout);
	server_run(server);
	watch_end(watch);
}

static int serve(void)
{
	enum server_start start = server_start(server);
	if (start == SERVER_READY)
		run();
	if (start == SERVER_HELD)
		fputs("another is there\n", stderr);
	if (start == SERVER_FAILED)
		fprintf(stderr, "%s\n", server_why(server));
	server_free(server);
	return start == SERVER_READY ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	server_prepare();
	nova_t *nova = open_nova();
	if (!nova)
		return 1;
	struct server_opts opts = {
		.name = "second program",
		.nova = nova,
		.directory = argv[1],
		.protocol = &lines,
		.verbs = verbs,
		.connections_max = 20,
		.request_ms = 60000,
		.stop_ms = (uint32_t)strtoul(argv[2], NULL, 10),
		.log = say,
		.userdata = nova,
	};
	server = server_new(&opts);
	return serve();
}
