/* SPDX-License-Identifier: MIT */
/* push, upload, plug, unplug: functions and files at paths of a gateway. */
#include "novactl.h"

static struct {
	const char *method, *type, *runtime;
} given;

#define METHOD_OPTION(what)                                                                        \
	{                                                                                          \
		OPT_TEXT, 0, "method", "METHOD", what, &given.method                               \
	}
#define END                                                                                        \
	{                                                                                          \
		OPT_END, 0, NULL, NULL, NULL, NULL                                                 \
	}

static const struct opt push_options[] = {
	{ OPT_TEXT, 'r', "runtime", "NAME",
		"what runs it [by the ending of the file: .wasm, .py, .js, .mjs, .cjs, .sh]",
		&given.runtime },
	END,
};
static const struct opt upload_options[] = {
	METHOD_OPTION("of HTTP, for which the file is there [GET]"),
	{ OPT_TEXT, 0, "type", "TYPE", "its media type [by its ending]", &given.type },
	END,
};
static const struct opt plug_options[] = {
	METHOD_OPTION("of HTTP, by which it is called [GET]"),
	END,
};
static const struct opt unplug_options[] = {
	METHOD_OPTION("of HTTP, whose plug goes [GET]"),
	END,
};

/* What an ending stands for. */
struct ending {
	const char *ending, *meaning;
};

static const char *by_ending(const struct ending *list, const char *file)
{
	const char *name = strrchr(file, '/'), *dot = strrchr(name ? name : file, '.');
	for (; dot && list->ending; list++)
		if (!strcmp(list->ending, dot))
			return list->meaning;
	return NULL;
}

static const char *runtime_of(const char *file)
{
	static const struct ending endings[] = { { ".wasm", "wasm" }, { ".py", "python" },
		{ ".js", "node" }, { ".mjs", "node" }, { ".cjs", "node" }, { ".sh", "shell" },
		{ NULL, NULL } };
	return given.runtime ? given.runtime : by_ending(endings, file);
}

static const char *type_of(const char *file)
{
	static const struct ending endings[] = { { ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css" }, { ".js", "text/javascript" }, { ".mjs", "text/javascript" },
		{ ".json", "application/json" }, { ".txt", "text/plain; charset=utf-8" },
		{ ".md", "text/markdown; charset=utf-8" }, { ".svg", "image/svg+xml" },
		{ ".png", "image/png" }, { ".jpg", "image/jpeg" }, { ".jpeg", "image/jpeg" },
		{ ".gif", "image/gif" }, { ".webp", "image/webp" }, { ".ico", "image/x-icon" },
		{ ".pdf", "application/pdf" }, { ".wasm", "application/wasm" }, { NULL, NULL } };
	return given.type ? given.type : by_ending(endings, file);
}

/* False: it has been told what is wrong. */
static bool read_place(const struct verb *verb, const char *path, char method[8])
{
	const char *asked = given.method ? given.method : "GET";
	const char *wrong = plug_wrong(asked, path);
	if (wrong)
		usage_error(verb, "'%s' for %s: %s", path, asked, wrong);
	return !wrong && plug_method(asked, method);
}

/* Takes the reference; `text` is for people. */
static int done(json_t *json, const char *text)
{
	int status = STATUS_OK;
	if (!print_structured(need(json), NULL, &status))
		note("%s", text);
	return status;
}

/* --- push --- */

static int push_run(char **args, int count)
{
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	int status;
	(void)count;
	opts.name = args[0];
	opts.code_path = args[1];
	opts.runtime = runtime_of(args[1]);
	if (!opts.runtime)
		return usage_error(&verb_push,
			"the ending of '%s' does not say what runs it: --runtime does", args[1]);
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	opts.flags = NOVA_REGISTER_TEMPLATE | NOVA_REGISTER_REPLACE;
	char *before;
	if (asprintf(&before, "novactl plug /%s ", args[0]) < 0)
		need(NULL);
	status = function_store(nova, &opts, before, "");
	free(before);
	return status;
}

/* --- upload --- */

static int upload(nova_t *nova, const char *method, char **args, const struct bytes *content)
{
	char text[400];
	nova_error_t *error = NULL;
	const char *type = type_of(args[1]);
	type = type ? type : "application/octet-stream";
	if (plug_upload(nova, method, args[0], type, content, &error) != 0)
		return report(error);
	snprintf(text, sizeof(text), "Put %zu bytes at %s, for %s.", content->len, args[0], method);
	return done(json_pack("{s:s, s:s, s:s, s:I}", "method", method, "path", args[0], "type",
			    type, "size", (json_int_t)content->len),
		text);
}

static int upload_run(char **args, int count)
{
	CLEANUP(bytes_free) struct bytes content = { NULL, 0, 0 };
	char method[8];
	(void)count;
	if (!read_place(&verb_upload, args[0], method))
		return STATUS_USAGE;
	int status = input_whole(&content, args[1]);
	if (status != STATUS_OK)
		return status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? upload(nova, method, args, &content) : status;
}

/* --- plug, unplug --- */

static int plug_run(char **args, int count)
{
	char method[8], text[500];
	const char *start = count > 2 && strcmp(args[2], "_start") ? args[2] : NULL;
	nova_error_t *error = NULL;
	int status;
	if (!read_place(&verb_plug, args[0], method))
		return STATUS_USAGE;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	if (plug_function(nova, method, args[0], args[1], start, &error) != 0)
		return report(error);
	snprintf(text, sizeof(text), "Plugged %s into %s, for %s.", args[1], args[0], method);
	return done(json_pack("{s:s, s:s, s:s, s:s*}", "method", method, "path", args[0],
			    "function", args[1], "start_function", start),
		text);
}

static int unplug_run(char **args, int count)
{
	char method[8], text[400];
	nova_error_t *error = NULL;
	int status;
	(void)count;
	if (!read_place(&verb_unplug, args[0], method))
		return STATUS_USAGE;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	int code = plug_remove(nova, method, args[0], &error);
	if (code == NOVA_ENOTFOUND) {
		nova_error_free(error);
		return report_error(code, NOVA_OUTCOME_NEVER_RAN,
			"nothing is plugged into this path for this method: 'novactl kv list "
			"plugged-paths' shows what is");
	}
	if (code != 0)
		return report(error);
	snprintf(text, sizeof(text), "Unplugged %s, for %s.", args[0], method);
	return done(json_pack("{s:s, s:s}", "method", method, "path", args[0]), text);
}

/* --- the verbs --- */

const struct verb verb_push = {
	.name = "push",
	.args = "NAME FILE",
	.purpose = "Store a function of one file, or replace it; its ending says what runs it.",
	.examples = "  novactl push upper upper.wasm\n"
		    "  novactl push tool ./tool --runtime binary\n",
	.notes = "As register with --replace. All else is register's, and update's.\n",
	.options = push_options,
	.min_args = 2,
	.max_args = 2,
	.run = push_run,
};

const struct verb verb_upload = {
	.name = "upload",
	.args = "PATH FILE",
	.purpose = "Put a file at a path of the gateway (novad); what was there is replaced.",
	.examples = "  novactl upload /site/index.html index.html\n"
		    "  curl -H \"x-api-key: $KEY\" localhost:8080/site/index.html\n",
	.notes = "With '-' the content is what is on the standard input.\n",
	.options = upload_options,
	.min_args = 2,
	.max_args = 2,
	.run = upload_run,
};

const struct verb verb_plug = {
	.name = "plug",
	.args = "PATH NAME [START]",
	.purpose = "Plug a function into a path of the gateway (novad).",
	.examples = "  novactl plug /upper upper --method POST\n"
		    "  curl -H \"x-api-key: $KEY\" localhost:8080/upper -d hello\n",
	.notes = "A program (wasm, shell, go, rust, binary) gets the body on stdin, and what it "
		 "prints is the answer;\n"
		 "of another function the body is the event. START is the export of a module that "
		 "is called instead\n"
		 "of _start.\n",
	.options = plug_options,
	.completes_functions = true,
	.min_args = 2,
	.max_args = 3,
	.run = plug_run,
};

const struct verb verb_unplug = {
	.name = "unplug",
	.args = "PATH",
	.purpose = "Take from a path of the gateway what is plugged or was uploaded there.",
	.examples = "  novactl unplug /upper --method POST\n",
	.options = unplug_options,
	.min_args = 1,
	.max_args = 1,
	.run = unplug_run,
};
