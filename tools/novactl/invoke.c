/* SPDX-License-Identifier: MIT */
#include "novactl.h"

#define PAYLOAD_MAX                                                                                \
	(6u << 20) /* the library's limit; one byte more is read, so that it can refuse */

static struct {
	const char *payload;
	uint32_t timeout_ms;
	bool stream, local;
} given = { .payload = "{}" };

static const struct opt options[] = {
	{ OPT_TEXT, 'p', "payload", "JSON", "the event; @FILE reads a file, - standard input [{}]",
		&given.payload },
	{ OPT_DURATION, 't', "timeout", "SECONDS", "time limit of this call [the function's own]",
		&given.timeout_ms },
	{ OPT_FLAG, 's', "stream", NULL, "show on stderr what the function prints, as it comes",
		&given.stream },
	{ OPT_FLAG, 'l', "local", NULL, "run here and not in a daemon (always so in this version)",
		&given.local },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static char *read_stream(FILE *in, size_t *ret_len)
{
	size_t capacity = 65536, len = 0;
	char *text = need(malloc(capacity));
	while (len <= PAYLOAD_MAX) {
		size_t got = fread(text + len, 1, capacity - len, in);
		len += got;
		if (!got)
			break;
		if (len == capacity)
			text = need(realloc(text, capacity *= 2));
	}
	*ret_len = len;
	return text;
}

/* The event as text that the caller frees; NULL after telling why. */
static char *payload_read(size_t *ret_len, int *ret_status)
{
	if (*given.payload != '@' && strcmp(given.payload, "-") != 0) {
		*ret_len = strlen(given.payload);
		return need(strdup(given.payload));
	}
	bool from_file = *given.payload == '@';
	FILE *in = from_file ? fopen(given.payload + 1, "re") : stdin;
	if (!in) {
		*ret_status = failure("payload '%s': %m", given.payload + 1);
		return NULL;
	}
	char *text = read_stream(in, ret_len);
	if (ferror(in)) {
		*ret_status = failure("payload '%s': %m", given.payload);
		free(text);
		text = NULL;
	}
	if (from_file)
		fclose(in);
	return text;
}

static void on_output(void *unused, int stream, const void *data, size_t len)
{
	(void)unused;
	(void)stream;
	progress_say("running");
	if (!given.stream)
		return;
	progress_hide();
	fwrite(data, 1, len, stderr);
	progress_unhide();
}

static void show_stderr(const nova_result_t *result)
{
	size_t len;
	const char *text = nova_result_stderr(result, &len);
	if (given.stream || !len)
		return; /* it was shown when it came */
	fwrite(text, 1, len, stderr);
	if (text[len - 1] != '\n')
		fputc('\n', stderr);
}

/* What was printed becomes an indented document; it is JSON by the library's promise. */
static void show_output(const nova_result_t *result)
{
	size_t len;
	const char *text = nova_result_output(result, &len);
	json_t *output = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	puts("Output:");
	if (output)
		print_json(output);
	else
		puts(text);
}

static void show_block(const nova_result_t *result, const nova_error_t *error)
{
	print_field("Request ID", "%s", nova_result_request_id(result));
	print_field("Cold Start", "%s", nova_result_cold_start(result) ? "true" : "false");
	print_field("Duration", "%llu ms", (unsigned long long)nova_result_duration_ms(result));
	if (!error) {
		show_output(result);
		return;
	}
	const char *failed = nova_result_failure(result);
	print_field("Error", "%s", *failed ? failed : nova_error_message(error));
	fflush(stdout);
	show_stderr(result);
}

static int finish(const nova_result_t *result, nova_error_t *error)
{
	if (result && globals.json)
		print_json_text(nova_result_to_json(result));
	else if (result)
		show_block(result, error);
	if (!error)
		return STATUS_OK;
	if (!result || globals.json)
		return report(error);
	int status = status_of(error);
	nova_error_free(error);
	return status;
}

static int run(char **args, int count)
{
	(void)count;
	int status;
	size_t len;
	char *payload = payload_read(&len, &status);
	if (!payload)
		return status;
	nova_t *nova = session_open(&status);
	if (!nova) {
		free(payload);
		return status;
	}
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.timeout_ms = given.timeout_ms;
	opts.on_output = on_output;
	CLEANUP(result_freep) nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	progress_start("starting microVM");
	nova_invoke(nova, args[0], payload, len, &opts, &result, &error);
	progress_stop();
	free(payload);
	status = finish(result, error);
	fflush(stdout); /* the answer first: ending the VM takes a moment */
	nova_close(nova);
	return status;
}

const struct verb verb_invoke = {
	.name = "invoke",
	.args = "NAME",
	.purpose = "Run a function in its own microVM and print its answer.",
	.examples = "  novactl invoke hello --payload '{\"name\":\"World\"}'\n"
		    "  novactl invoke hello -p @event.json --timeout 5\n"
		    "  echo '{\"name\":\"World\"}' | novactl invoke hello -p - --json\n",
	.notes = "If the function fails, a line 'Error:' takes the place of the output, what it "
		 "wrote to stderr\n"
		 "follows on stderr, and the exit status is 3 (124: its time was over; 125: the VM "
		 "was lost and\n"
		 "the function may have run). With --json the whole result is one object on "
		 "stdout.\n",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = run,
};
