/* SPDX-License-Identifier: MIT */
/* The command line of a call: of a runtime in the table as it says, else filled in. */
#include <errno.h>

#include "agent/run/run.h"

#define OWN (ARGV_ENTRIES + 12 + 2 * MAX_OPENED)

enum { FILE_VALUE, CODE_VALUE, INPUT_VALUE, END_VALUE };
#define VALUES(its_file, its_code, its_input)                                                      \
	{                                                                                          \
		[FILE_VALUE] = { "file", (its_file), false },                                      \
		[CODE_VALUE] = { "code", (its_code), false },                                      \
		[INPUT_VALUE] = { "input", (its_input), false },                                   \
		[END_VALUE] = { NULL, NULL, false },                                               \
	}

char *argv_check(struct function *function)
{
	struct argv_value values[] = VALUES("", "", "");
	AUTO_BUF struct buf out = BUF_INIT(ARGV_BYTES);
	struct argv_value *known = function->runtime->warm ? &values[END_VALUE] : values;
	const char *wrong = NULL;
	int r = 0;
	size_t count = 0;
	for (; r == 0 && function->argv[count]; count++)
		r = argv_fill(function->argv[count], known, &out, &wrong);
	function->input_on_stdin = !values[INPUT_VALUE].used;
	if (r == -EINVAL)
		return str_format("\"argv\": '%.60s' begins with no placeholder", wrong);
	if (r < 0 || count > ARGV_ENTRIES)
		return str_format("\"argv\" has more than %u entries of %u bytes together",
			ARGV_ENTRIES, ARGV_BYTES);
	return NULL;
}

static int add(char **argv, size_t *count, const char *text)
{
	argv[*count] = strdup(text);
	return argv[*count] ? (++*count, 0) : -ENOMEM;
}

/* What the call was given instead of its input, by itself or by its function; NULL: nothing. */
static char **args_of(const struct run *run, const struct request *request)
{
	return request->args ? request->args : run->function.args;
}

/* An entry that is just the input is left out then. */
static bool is_replaced(const struct run *run, const struct request *request, const char *entry)
{
	return args_of(run, request) && strcmp(entry, "{input}") == 0;
}

static int fill_in(const struct run *run, const struct request *request, char **argv, size_t *count)
{
	const struct function *function = &run->function;
	struct argv_value values[] =
		VALUES(function->file, run->guest->code_dir, request->input_path);
	int r = 0;
	for (char **at = function->argv; r == 0 && *at; at++) {
		AUTO_BUF struct buf entry = BUF_INIT(ARGV_BYTES + 3 * PATH_MAX);
		const char *wrong = NULL;
		if (is_replaced(run, request, *at))
			continue;
		r = argv_fill(*at, values, &entry, &wrong);
		if (r == 0)
			r = buf_append(&entry, "", 1);
		if (r == 0)
			r = add(argv, count, (const char *)entry.data);
	}
	return r;
}

static int add_option(char **argv, size_t *count, const char *name, const char *value)
{
	int r = value ? add(argv, count, name) : 0;
	return r < 0 || !value ? r : add(argv, count, value);
}

static int as_the_table_says(
	const struct run *run, const struct request *request, char **argv, size_t *count)
{
	const struct function *function = &run->function;
	int r = function->program ? add(argv, count, function->program) : 0;
	for (const char *const *at = function->runtime->before; r == 0 && *at; at++)
		r = add(argv, count, *at);
	for (char **at = function->opened; r == 0 && at && *at; at++)
		r = add_option(argv, count, "--dir", *at);
	if (r == 0)
		r = add_option(argv, count, "--argv0", request->own_name);
	if (r == 0)
		r = add_option(argv, count, "--invoke", request->start_name);
	if (r == 0)
		r = add(argv, count, function->file);
	return r < 0 || args_of(run, request) ? r : add(argv, count, request->input_path);
}

char **argv_make(const struct run *run, const struct request *request)
{
	const struct function *function = &run->function;
	char **given = args_of(run, request);
	size_t args = 0, count = 0;
	while (given && given[args])
		args++;
	char **argv = calloc(OWN + args + 1, sizeof(*argv));
	int r = !argv          ? -ENOMEM :
		function->argv ? fill_in(run, request, argv, &count) :
				 as_the_table_says(run, request, argv, &count);
	for (size_t i = 0; r == 0 && i < args; i++)
		r = add(argv, &count, given[i]);
	if (r == 0)
		return argv;
	strings_free(argv);
	return NULL;
}
