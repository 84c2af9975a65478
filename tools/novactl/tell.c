/* SPDX-License-Identifier: MIT */
/* Errors and remarks go to stderr; the status in the end says what became of it all. */
#include <stdarg.h>
#include <unistd.h>

#include "novactl.h"

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

int failure_unknown(int code, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return report_error(code, NOVA_OUTCOME_UNKNOWN, text);
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
