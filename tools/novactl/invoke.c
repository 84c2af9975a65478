/* SPDX-License-Identifier: MIT */
#include "daemon.h"

static struct {
	const char *payload;
	uint32_t timeout_ms;
	bool stream, local, fresh, checkpoint;
	const char *snapshot, *checkpoint_name, *instance;
} given = { .payload = "{}" };

static const struct opt options[] = {
	{ OPT_TEXT, 'p', "payload", "JSON", "the event; @FILE reads a file, - standard input [{}]",
		&given.payload },
	{ OPT_DURATION, 't', "timeout", "SECONDS", "time limit of this call [the function's own]",
		&given.timeout_ms },
	{ OPT_FLAG, 's', "stream", NULL, "show on stderr what the function prints, as it comes",
		&given.stream },
	{ OPT_FLAG, 0, "fresh", NULL, "in a microVM that no call has used, and no other will",
		&given.fresh },
	{ OPT_TEXT, 0, "snapshot", "NAME", "go on from this snapshot of the function",
		&given.snapshot },
	{ OPT_FLAG, 0, "checkpoint", NULL, "leave a snapshot, if the function succeeds",
		&given.checkpoint },
	{ OPT_TEXT, 0, "checkpoint-name", "NAME", "the same, under this name [its id]",
		&given.checkpoint_name },
	{ OPT_TEXT, 'i', "instance", "NAME", "run in this instance of the function",
		&given.instance },
	{ OPT_FLAG, 'l', "local", NULL, "run here and not in a daemon, as with --no-daemon",
		&given.local },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void show_stream(const void *data, size_t len)
{
	progress_say("running");
	if (!given.stream || !len)
		return;
	progress_hide();
	fwrite(data, 1, len, stderr);
	progress_unhide();
}

/* --- in this process --- */

static void on_output(void *unused, int stream, const void *data, size_t len)
{
	(void)unused;
	(void)stream;
	show_stream(data, len);
}

static int invoke_here(const char *name, const char *payload)
{
	int status;
	struct answer answer;
	if (given.instance) /* it would end with this process */
		return instances_need_daemon();
	nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	nova_invoke_opts opts = NOVA_INVOKE_OPTS_INIT;
	opts.timeout_ms = given.timeout_ms;
	opts.on_output = on_output;
	opts.on_progress = progress_told;
	opts.flags = (given.fresh ? NOVA_INVOKE_FRESH : 0) |
		     (given.checkpoint ? NOVA_INVOKE_CHECKPOINT : 0);
	opts.snapshot = given.snapshot;
	opts.checkpoint_name = given.checkpoint_name;
	opts.interrupt = interruptible();
	nova_result_t *result = NULL;
	nova_error_t *error = NULL;
	progress_start("starting microVM");
	nova_invoke(nova, name, payload, &opts, &result, &error);
	progress_stop();
	answer_take(&answer, result, error);
	status = answer_show(&answer, given.stream);
	output_flush(); /* the answer first: ending the VM takes a moment */
	answer_free(&answer);
	nova_result_free(result);
	nova_error_free(error);
	nova_close(nova);
	return status;
}

/* --- in a daemon --- */

static void on_text(void *userdata, const json_t *payload)
{
	struct bytes printed = { 0 };
	wire_text_add(&printed, payload, "progress");
	if (printed.len)
		progress_say(printed.data);
	printed.len = 0;
	wire_text_add(&printed, payload, "stdout");
	wire_text_add(&printed, payload, "stderr");
	if (printed.len)
		show_stream(printed.data, printed.len);
	bytes_free(&printed);
	answer_text(userdata, payload);
}

/* False: nothing was begun there. */
static bool invoke_there(
	struct remote *remote, const char *name, const char *payload, size_t len, int *ret_status)
{
	struct answer answer = { 0 };
	json_t *reply = NULL;
	json_t *request = json_pack("{s:s,s:s,s:b,s:I,s:b,s:b,s:b,s:s*,s:b,s:s*,s:s*}", "verb",
		"invoke", "function", name, "progress", true, "timeout_ms",
		(json_int_t)given.timeout_ms, "stream", given.stream, "json", globals.json, "fresh",
		given.fresh, "snapshot", given.snapshot, "checkpoint", given.checkpoint,
		"checkpoint_name", given.checkpoint_name, "instance", given.instance);
	if (!request) /* a name that is no UTF-8; the library says so */
		return false;
	progress_start("running");
	enum remote_end end = remote_ask(remote, request, payload, len, on_text, &answer, &reply);
	progress_stop();
	if (end == REMOTE_REPLIED)
		answer_reply(&answer, reply);
	else if (end == REMOTE_LOST)
		answer_lost(&answer, (int)remote->pid);
	if (end != REMOTE_DECLINED)
		*ret_status = answer_show(&answer, given.stream);
	json_decref(reply);
	answer_free(&answer);
	return end != REMOTE_DECLINED;
}

/* False: there is no daemon, or none that would do. */
static bool try_daemon(const char *name, const char *payload, size_t len, int *ret_status)
{
	struct remote remote;
	if (given.local || globals.no_daemon || len > PAYLOAD_MAX)
		return false;
	CLEANUP(config_freep) nova_config_t *config = session_config(ret_status);
	if (!config)
		return true;
	if (!remote_connect(&remote, config, true))
		return false;
	bool done = invoke_there(&remote, name, payload, len, ret_status);
	remote_close(&remote);
	return done;
}

static int run(char **args, int count)
{
	(void)count;
	int status;
	size_t len;
	char *payload = payload_read(given.payload, &len, &status);
	if (!payload)
		return status;
	if (!try_daemon(args[0], payload, len, &status))
		status = invoke_here(args[0], payload);
	free(payload);
	return status;
}

const struct verb verb_invoke = {
	.name = "invoke",
	.args = "NAME",
	.purpose = "Run a function in its own microVM and print its answer.",
	.examples = "  novactl invoke hello --payload '{\"name\":\"World\"}'\n"
		    "  novactl invoke hello -p @event.json --timeout 5\n"
		    "  echo '{\"name\":\"World\"}' | novactl invoke hello -p - --json\n"
		    "  novactl invoke train --checkpoint\n",
	.notes = "What the function prints besides its output follows on stderr (with --quiet only "
		 "if "
		 "it fails).\n"
		 "If it fails, a line 'Error:' takes the place of the output, and the exit status "
		 "is 3 (124: its\n"
		 "time was over; 125: the VM was lost and the function may have run). With --json "
		 "the whole result\n"
		 "is one object on stdout.\n",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = run,
};
