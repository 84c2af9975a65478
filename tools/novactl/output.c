/* SPDX-License-Identifier: MIT */
/* Results go to stdout, everything else to stderr. */
#include <stdarg.h>
#include <unistd.h>

#include "novactl.h"

#define FIELD_COLUMN 12 /* as wide as "Request ID: " */

void *need(void *memory)
{
	if (memory)
		return memory;
	fputs("novactl: out of memory\n", stderr);
	exit(STATUS_FAILED);
}

bool use_color(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	if (globals.no_color || (no_color && *no_color))
		return false;
	return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

static const char *outcome_name(int outcome)
{
	return outcome == NOVA_OUTCOME_RAN     ? "ran" :
	       outcome == NOVA_OUTCOME_UNKNOWN ? "unknown" :
						 "never-ran";
}

static void tell(int code, int outcome, const char *message)
{
	progress_hide();
	if (globals.json) {
		json_t *error = json_pack("{s:{s:i,s:s,s:s,s:s}}", "error", "code", code, "name",
			nova_code_name(code), "message", message, "outcome", outcome_name(outcome));
		if (!error)
			/* Bytes of the command line that are not UTF-8 cannot be in JSON. */
			error = json_pack("{s:{s:i,s:s,s:s,s:s}}", "error", "code", code, "name",
				nova_code_name(code), "message",
				"the text of this error is not UTF-8", "outcome",
				outcome_name(outcome));
		json_dumpf(error, stderr, JSON_COMPACT);
		json_decref(error);
		fputc('\n', stderr);
	} else {
		bool color = use_color(stderr);
		fprintf(stderr, "%snovactl:%s %s\n", color ? "\033[31m" : "",
			color ? "\033[0m" : "", message);
	}
	progress_unhide();
}

int usage_error(const struct verb *verb, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell(NOVA_EINVAL, NOVA_OUTCOME_NEVER_RAN, text);
	if (!globals.json)
		fprintf(stderr, "Try 'novactl help%s%s'.\n", verb ? " " : "",
			verb ? verb->name : "");
	return STATUS_USAGE;
}

int failure(const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell(NOVA_EIO, NOVA_OUTCOME_NEVER_RAN, text);
	return STATUS_FAILED;
}

int status_of(int code, int outcome)
{
	if (outcome == NOVA_OUTCOME_UNKNOWN)
		return STATUS_UNKNOWN;
	if (code == NOVA_ETIMEDOUT && outcome == NOVA_OUTCOME_RAN)
		return STATUS_TIMEOUT;
	if (code == NOVA_EFUNCTION || outcome == NOVA_OUTCOME_RAN)
		return STATUS_FUNCTION;
	return code == NOVA_EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

int report_error(int code, int outcome, const char *message)
{
	tell(code, outcome, message);
	return status_of(code, outcome);
}

int report(nova_error_t *error)
{
	int status = report_error(
		nova_error_code(error), nova_error_outcome(error), nova_error_message(error));
	nova_error_free(error);
	return status;
}

static struct {
	char failed[64]; /* why the first time, if it did */
	int outcome;     /* of the function that the output tells of */
} output = { .outcome = NOVA_OUTCOME_NEVER_RAN };

void output_is_of(int outcome)
{
	output.outcome = outcome;
}

void output_flush(void)
{
	if (fflush(stdout) != 0 && !*output.failed)
		snprintf(output.failed, sizeof(output.failed), "%m");
}

int output_end(const struct verb *verb, int status)
{
	output_flush();
	if (!*output.failed && !ferror(stdout))
		return status;
	const char *why = *output.failed ? output.failed : "no reason is known";
	char text[128];
	snprintf(text, sizeof(text), "%s, but the output could not be written: %s",
		output.outcome == NOVA_OUTCOME_RAN ? "the function ran" : "it was done", why);
	if (status == STATUS_OK) {
		tell(NOVA_EIO, output.outcome, text);
		return verb && verb->own_status ? verb->own_status : STATUS_OUTPUT;
	}
	note("novactl: not all of the output could be written: %s", why);
	return status;
}

void note(const char *format, ...)
{
	va_list args;
	if (globals.quiet || globals.json)
		return;
	progress_hide();
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	progress_unhide();
}

int print_json(json_t *value)
{
	if (!value)
		return failure("out of memory");
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	fputc('\n', stdout);
	json_decref(value);
	return STATUS_OK;
}

bool print_structured(json_t *value, const char *format, int *ret_status)
{
	if (globals.json || (format && !strcmp(format, "json"))) {
		*ret_status = print_json(value);
		return true;
	}
	if (format && !strcmp(format, "yaml")) {
		*ret_status = value ? print_yaml(value) : failure("out of memory");
		json_decref(value);
		return true;
	}
	json_decref(value);
	return false;
}

void print_field(const char *label, const char *format, ...)
{
	va_list args;
	int used = printf("%s: ", label);
	printf("%*s", used < FIELD_COLUMN ? FIELD_COLUMN - used : 0, "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void table_begin(struct table *table, size_t columns, const char *const *headings)
{
	*table = (struct table){ .columns = columns };
	for (size_t i = 0; i < columns; i++)
		table_cell(table, "%s", headings[i]);
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list args;
	if (table->count == table->capacity) {
		table->capacity = table->capacity * 2 + 32;
		table->cells = need(realloc(table->cells, table->capacity * sizeof(*table->cells)));
	}
	va_start(args, format);
	if (vasprintf(&table->cells[table->count++], format, args) < 0)
		need(NULL);
	va_end(args);
}

static int table_width(const struct table *table, size_t column)
{
	size_t width = 0;
	for (size_t i = column; i < table->count; i += table->columns)
		if (strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);
	return (int)width;
}

void table_end(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		bool last = (i + 1) % table->columns == 0;
		if (last)
			printf("%s\n", table->cells[i]);
		else
			printf("%-*s  ", table_width(table, i % table->columns), table->cells[i]);
	}
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
}
