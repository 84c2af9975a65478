/* SPDX-License-Identifier: MIT */
#include "novactl.h"

static void print_options(FILE *out, const struct opt *options)
{
	for (; options && options->kind != OPT_END; options++) {
		char left[64];
		const char *help = options->help, *line;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", options->letter ? '-' : ' ',
			options->letter ? options->letter : ' ', options->letter ? "," : " ",
			options->name, options->arg ? " " : "", options->arg ? options->arg : "");
		fprintf(out, "  %-30s %.*s\n", left, (int)strcspn(help, "\n"), help);
		for (; (line = strchr(help, '\n')) != NULL; help = line + 1)
			fprintf(out, "  %-30s %.*s\n", "", (int)strcspn(line + 1, "\n"), line + 1);
	}
}

void help_verb(FILE *out, const struct verb *verb)
{
	fprintf(out, "%s\n\nExamples:\n%s\n", verb->purpose, verb->examples);
	fprintf(out, "Usage: novactl %s%s%s%s\n", verb->name, verb->options ? " [OPTION]..." : "",
		*verb->args ? " " : "", verb->args);
	if (verb->alias)
		fprintf(out, "Also called: novactl %s\n", verb->alias);
	if (verb->options) {
		fputs("\nOptions:\n", out);
		print_options(out, verb->options);
		print_options(out, more_options(verb));
	}
	if (verb->notes)
		fprintf(out, "\n%s", verb->notes);
	fputs("\n'novactl help' lists the options that every command knows.\n", out);
}

static void print_verb(FILE *out, const struct verb *verb)
{
	char left[64];
	snprintf(left, sizeof(left), "%s%s%s", verb->name, *verb->args ? " " : "", verb->args);
	fprintf(out, "  %-26s %.*s\n", left, (int)strcspn(verb->purpose, ".:,"), verb->purpose);
}

bool help_group(FILE *out, const char *word)
{
	size_t len = strlen(word);
	bool any = false;
	for (size_t i = 0; verbs[i]; i++) {
		if (strncmp(verbs[i]->name, word, len) != 0 || verbs[i]->name[len] != ' ')
			continue;
		print_verb(out, verbs[i]);
		any = true;
	}
	if (any)
		fprintf(out, "\n'novactl help %s WORD' explains one of them.\n", word);
	return any;
}

void help_general(FILE *out)
{
	fputs("novactl runs functions in microVMs.\n\n"
	      "Examples:\n"
	      "  novactl doctor                                           can this host do it?\n"
	      "  novactl register hello --runtime python --code hello.py\n"
	      "  novactl invoke hello --payload '{\"name\":\"World\"}'\n\n"
	      "Usage: novactl [OPTION]... COMMAND [OPTION]... [ARGUMENT]...\n\nCommands:\n",
		out);
	for (size_t i = 0; verbs[i]; i++)
		print_verb(out, verbs[i]);
	fputs("\nOptions of every command:\n", out);
	print_options(out, global_options);
	fputs("\nExit status:\n"
	      "  0    done\n"
	      "  1    it could not be done, and the function did not run: trying again is safe\n"
	      "  2    the command line, or a value in it, is wrong\n"
	      "  3    the function ran and failed, or its code cannot be run\n"
	      "  4    it was done, but not all of the output could be written\n"
	      "  124  the function was killed at its time limit\n"
	      "  125  the VM was lost: the function may have run, wholly or in part\n"
	      "  130, 143  SIGINT or SIGTERM ended it, after what it waited for was cancelled\n\n"
	      "'novactl help COMMAND' explains a command.\n",
		out);
}

static int run(char **args, int count)
{
	int used;
	if (count == 0) {
		help_general(stdout);
		return STATUS_OK;
	}
	const struct verb *verb = verb_find(args, count, &used);
	if (verb) {
		help_verb(stdout, verb);
		return STATUS_OK;
	}
	if (count == 1 && help_group(stdout, args[0]))
		return STATUS_OK;
	return usage_error(NULL, "there is no command '%s%s%s'", args[0], count > 1 ? " " : "",
		count > 1 ? args[1] : "");
}

const struct verb verb_help = {
	.name = "help",
	.args = "[COMMAND]",
	.purpose = "Explain a command.",
	.examples = "  novactl help\n  novactl help register\n  novactl help disk build\n",
	.max_args = 2,
	.run = run,
};
