/* SPDX-License-Identifier: MIT */
/* Code that is run once. What it prints and its exit status become this program's. */
#include <limits.h>

#include "daemon.h"

#define STATUS_RUN 125 /* novactl itself could not */
#define ALL_MAX                                                                                    \
	(64u << 20) /* the library's limit: one byte more is read, so that it can refuse           \
		     */
#define REMOTE_MAX  (8u << 20) /* of all bytes together; with more it is run here */
#define STATUS_CODE 1          /* it is faulty, and has not said with which status it ends */

static struct {
	const char *language, *code, *handler, *payload, *stdin_file, *network;
	struct text_list env, files;
	uint32_t timeout_ms, memory, vcpus;
} given;

static const struct opt options[] = {
	{ OPT_TEXT, 'l', "language", "NAME",
		"python, node, shell, wasm, go, rust or binary (required)", &given.language },
	{ OPT_TEXT, 'f', "code", "FILE", "a file with the code, in place of CODE", &given.code },
	{ OPT_LIST, 0, "file", "[NAME=]FILE", "a file that lies beside the code; repeatable",
		&given.files },
	{ OPT_TEXT, 'p', "payload", "JSON",
		"the input; @FILE reads a file, - standard input [none]", &given.payload },
	{ OPT_TEXT, 'i', "stdin", "FILE", "the code's standard input; - is this one's [empty]",
		&given.stdin_file },
	{ OPT_LIST, 'e', "env", "NAME=VALUE", "variable of its environment; repeatable",
		&given.env },
	{ OPT_TEXT, 'H', "handler", "NAME", "function that is called with the input",
		&given.handler },
	{ OPT_DURATION, 't', "timeout", "SECONDS", "time limit [30]", &given.timeout_ms },
	{ OPT_MEMORY, 'm', "memory", "MB", "memory of the VM [128, node 256]", &given.memory },
	{ OPT_NUMBER, 0, "vcpus", "N", "processors of the VM [1]", &given.vcpus },
	{ OPT_TEXT, 0, "network", "NAME", "none, or nat: see docs/network.md [none]",
		&given.network },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* --- what is handed in: bytes, which are code, stdin, input and files, one behind the other --- */

struct source {
	struct bytes all;
	size_t code_len, stdin_len, input_len;
	char **names; /* of the files */
	size_t *lens;
	size_t count;
};

static void source_free(struct source *s)
{
	bytes_free(&s->all);
	for (size_t i = 0; i < s->count; i++)
		free(s->names[i]);
	free(s->names);
	free(s->lens);
}

static bool add_stream(struct source *s, FILE *in)
{
	char piece[16384];
	size_t got;
	while (s->all.len <= ALL_MAX && (got = fread(piece, 1, sizeof(piece), in)) > 0)
		bytes_add(&s->all, piece, got);
	return !ferror(in);
}

/* A file, "-" for standard input; how long it is. False after telling why. */
static bool add_file(struct source *s, const char *what, const char *path, size_t *ret_len)
{
	size_t before = s->all.len;
	bool is_stdin = !strcmp(path, "-");
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	bool read = in && add_stream(s, in);
	if (!read)
		failure("%s '%s': %m", what, path);
	if (in && !is_stdin)
		fclose(in);
	*ret_len = s->all.len - before;
	return read;
}

static void add_text(struct source *s, const char *text, size_t *ret_len)
{
	*ret_len = strlen(text);
	bytes_add(&s->all, text, *ret_len);
}

static bool add_input(struct source *s)
{
	const char *text = given.payload;
	if (!text)
		return true;
	if (*text != '@' && strcmp(text, "-") != 0) {
		add_text(s, text, &s->input_len);
		return true;
	}
	if (!add_file(s, "payload", *text == '@' ? text + 1 : text, &s->input_len))
		return false;
	if (memchr(s->all.data + s->all.len - s->input_len, 0, s->input_len)) {
		failure("payload '%s': " EVENT_HAS_NUL, text);
		return false;
	}
	return true;
}

/* "NAME=FILE", or a file that keeps its name. */
static bool add_beside(struct source *s, const char *text)
{
	const char *equals = strchr(text, '='), *slash = strrchr(text, '/');
	const char *path = equals ? equals + 1 : text;
	s->names[s->count] = equals ? need(strndup(text, (size_t)(equals - text))) :
				      need(strdup(slash ? slash + 1 : text));
	return add_file(s, "file", path, &s->lens[s->count++]);
}

static bool read_all(struct source *s, const char *code)
{
	s->names = need(calloc(given.files.count + 1, sizeof(*s->names)));
	s->lens = need(calloc(given.files.count + 1, sizeof(*s->lens)));
	bool read = true;
	if (code && strcmp(code, "-") != 0)
		add_text(s, code, &s->code_len);
	else
		read = add_file(s, "code", code ? code : given.code, &s->code_len);
	if (read && given.stdin_file)
		read = add_file(s, "stdin", given.stdin_file, &s->stdin_len);
	read = read && add_input(s);
	for (size_t i = 0; i < given.files.count && read; i++)
		read = add_beside(s, given.files.items[i]);
	return read;
}

/* --- what comes of it --- */

/* Its streams are this program's; with --json they are in the result. */
static void pass_on(const char *part, const void *data, size_t len)
{
	if (globals.json || !len)
		return;
	progress_stop();
	if (!strcmp(part, "stdout")) {
		fwrite(data, 1, len, stdout);
		output_flush();
	} else {
		fwrite(data, 1, len, stderr);
	}
}

/* Why it failed, unless it has ended by itself with a status that says so. */
static int status_of_run(const struct answer *answer, int exit_code)
{
	bool by_itself =
		answer->ran && answer->code == NOVA_EFUNCTION && exit_code > 0 && exit_code <= 128;
	int status = STATUS_OK;
	if (answer->code && (!by_itself || globals.json))
		status = report_error(answer->code, answer->outcome,
			answer->ran && *answer->failure ? answer->failure : answer->message);
	if (!answer->code || by_itself)
		return exit_code;
	if (answer->code != NOVA_EFUNCTION)
		return status == STATUS_TIMEOUT ? STATUS_TIMEOUT : STATUS_RUN;
	return answer->ran && exit_code ? exit_code : STATUS_CODE;
}

static int show(const struct answer *answer, int exit_code)
{
	if (answer->ran)
		output_is_of(answer->code ? answer->outcome : NOVA_OUTCOME_RAN);
	if (answer->ran && globals.json)
		print_json_text(answer->whole.data, answer->whole.len);
	else if (answer->ran && !answer->code && answer->output.len)
		print_json_text(answer->output.data, answer->output.len);
	output_flush();
	return status_of_run(answer, exit_code);
}

/* --- in this process --- */

static void on_output(void *unused, int stream, const void *data, size_t len)
{
	(void)unused;
	pass_on(stream == 2 ? "stderr" : "stdout", data, len);
}

static nova_run_file *files_of(const struct source *s)
{
	nova_run_file *files = need(calloc(s->count + 1, sizeof(*files)));
	const char *at = s->all.data + s->code_len + s->stdin_len + s->input_len;
	for (size_t i = 0; i < s->count; at += s->lens[i++])
		files[i] = (nova_run_file){ s->names[i], at, s->lens[i] };
	return files;
}

static int call(nova_t *nova, const struct source *s, const nova_run_opts *opts)
{
	struct answer answer;
	nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	/* an empty code has to be one for the library, too */
	const char *code = s->code_len ? s->all.data : "";
	progress_start("running");
	nova_run(nova, given.language, code, opts, &result, &error);
	progress_stop();
	answer_take(&answer, result, error);
	if (!result_has_answer(result))
		bytes_drop(&answer.output, answer.output.len);
	int status = show(&answer, nova_result_exit_code(result));
	answer_free(&answer);
	nova_result_free(result);
	nova_error_free(error);
	return status;
}

static int run_here(const struct source *s, char **args, int count)
{
	int status;
	nova_t *nova = session_open(&status);
	if (!nova)
		return STATUS_RUN;
	nova_run_opts opts = NOVA_RUN_OPTS_INIT;
	char *input = need(strndup(s->all.data + s->code_len + s->stdin_len, s->input_len));
	nova_run_file *files = files_of(s);
	opts.code_len = s->code_len;
	opts.code_name = given.code;
	opts.handler = given.handler;
	opts.input = given.payload ? input : NULL;
	opts.args = (const char *const *)args;
	opts.args_count = (size_t)count;
	opts.stdin_data = s->all.data + s->code_len;
	opts.stdin_len = s->stdin_len;
	opts.env = given.env.items;
	opts.env_count = given.env.count;
	opts.files = files;
	opts.files_count = s->count;
	opts.memory_mb = given.memory;
	opts.vcpus = given.vcpus;
	opts.timeout_ms = given.timeout_ms;
	opts.network = given.network;
	opts.on_output = globals.json ? NULL : on_output;
	opts.interrupt = interruptible();
	status = call(nova, s, &opts);
	free(files);
	free(input);
	nova_close(nova);
	return status;
}

/* --- in a daemon --- */

static json_t *request_of(const struct source *s, char **args, int count)
{
	json_t *arguments = words_json((const char *const *)args, (size_t)count);
	json_t *env = words_json(given.env.items, given.env.count);
	json_t *names = words_json((const char *const *)s->names, s->count),
	       *lens = need(json_array());
	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(lens, json_integer((json_int_t)s->lens[i]));
	return json_pack("{s:s,s:s,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:s*,s:s*,s:s*,s:I,s:I,s:I,s:b,s:b}",
		"verb", "run", "language", given.language, "code_len", (json_int_t)s->code_len,
		"stdin_len", (json_int_t)s->stdin_len, "input_len", (json_int_t)s->input_len,
		"args", arguments, "env", env, "files", names, "file_lens", lens, "code_name",
		given.code, "handler", given.handler, "network", given.network, "memory_mb",
		(json_int_t)given.memory, "vcpus", (json_int_t)given.vcpus, "timeout_ms",
		(json_int_t)given.timeout_ms, "json", globals.json, "has_input",
		given.payload != NULL);
}

static void on_text(void *userdata, const json_t *payload)
{
	static const char *const parts[] = { "stdout", "stderr" };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct bytes piece = { 0 };
		wire_text_add(&piece, payload, parts[i]);
		pass_on(parts[i], piece.data, piece.len);
		bytes_free(&piece);
	}
	answer_text(userdata, payload);
}

/* False: nothing was begun there. */
static bool run_there(
	struct remote *remote, json_t *request, const struct source *s, int *ret_status)
{
	struct answer answer = { 0 };
	json_t *reply = NULL;
	progress_start("running");
	enum remote_end end =
		remote_ask(remote, request, s->all.data, s->all.len, on_text, &answer, &reply);
	progress_stop();
	if (end == REMOTE_REPLIED)
		answer_reply(&answer, reply);
	else if (end == REMOTE_LOST)
		answer_lost(&answer, (int)remote->pid);
	if (end != REMOTE_DECLINED)
		*ret_status = show(&answer, (int)member_number(reply, "exit_code"));
	json_decref(reply);
	answer_free(&answer);
	return end != REMOTE_DECLINED;
}

/* False: there is no daemon, or none that would do. */
static bool try_daemon(const struct source *s, char **args, int count, int *ret_status)
{
	struct remote remote;
	*ret_status = STATUS_RUN;
	if (globals.no_daemon || s->all.len > REMOTE_MAX)
		return false;
	CLEANUP(config_freep) nova_config_t *config = session_config(ret_status);
	if (!config) {
		*ret_status = STATUS_RUN;
		return true;
	}
	json_t *request = request_of(s, args, count);
	if (!request) /* what is no UTF-8; the library says so */
		return false;
	if (!remote_connect(&remote, config, true)) {
		json_decref(request);
		return false;
	}
	bool done = run_there(&remote, request, s, ret_status);
	remote_close(&remote);
	return done;
}

static int run(char **args, int count)
{
	CLEANUP(source_free) struct source source = { .count = 0 };
	int status;
	if (!given.language || (!given.code && !count)) {
		usage_error(&verb_run, given.language ? "'novactl run' needs CODE, or --code" :
							"'novactl run' needs --language");
		return STATUS_RUN;
	}
	const char *code = given.code ? NULL : args[0];
	char **rest = given.code ? args : args + 1;
	int rest_count = given.code ? count : count - 1;
	if (!read_all(&source, code))
		return STATUS_RUN;
	if (!try_daemon(&source, rest, rest_count, &status))
		status = run_here(&source, rest, rest_count);
	return status;
}

const struct verb verb_run = {
	.name = "run",
	.args = "[CODE] [ARGUMENT...]",
	.purpose = "Run code once, in a microVM of its own, without registering it.",
	.examples = "  novactl run -l python 'print(6 * 7)'\n"
		    "  novactl run -l node -f job.mjs --file data.csv -- --verbose\n"
		    "  echo 'print(input())' | novactl run -l python - -i names.txt\n"
		    "  novactl run -l python 'def handler(event): return sum(event)' -p '[1,2]'\n",
	.notes =
		"What the code prints is printed as it comes, and its exit status is that of "
		"novactl (124: its time\n"
		"was over; 125: novactl could not run it). CODE is read from standard input if it "
		"is '-'. If it\n"
		"defines a handler and is given an input, and neither arguments nor stdin, that is "
		"called with the\n"
		"input, and what it returns is printed; else it is run as a program, which finds "
		"the input in the\n"
		"file that the variable NOVA_INPUT names. With --json the whole result is one "
		"object on "
		"stdout.\n",
	.options = options,
	.max_args = INT_MAX,
	.own_status = STATUS_RUN,
	.run = run,
};
