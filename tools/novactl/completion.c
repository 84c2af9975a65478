/* SPDX-License-Identifier: MIT */
/* Shell completion, written from the same tables that parse the command line. */
#include "novactl.h"

static void print_option_words(const struct opt *options)
{
	for (; options && options->kind != OPT_END; options++)
		printf(" --%s", options->name);
}

/* Names of the verbs; of "disk build" and its like only the first word, once. */
static void print_verb_words(void)
{
	for (size_t i = 0; verbs[i]; i++) {
		size_t len = strcspn(verbs[i]->name, " ");
		if (i && !strncmp(verbs[i - 1]->name, verbs[i]->name, len) &&
			verbs[i - 1]->name[len] == ' ')
			continue;
		printf(" %.*s", (int)len, verbs[i]->name);
	}
}

/* Of "disk build" and its like: behind the first word the second one, and its options behind both.
 */
static void bash_two_words(const struct verb *verb, const char *second)
{
	int first = (int)(second - 1 - verb->name);
	printf("\t%.*s) [[ -z $second ]] && names+=' %s' ;;&\n", first, verb->name, second);
	printf("\t%.*s) [[ $second == %s ]] && names+='", first, verb->name, second);
	print_option_words(verb->options);
	print_option_words(more_options(verb));
	puts("' ;;&");
}

static void bash_one_word(const struct verb *verb)
{
	printf("\t%s%s%s) names+='", verb->name, verb->alias ? "|" : "",
		verb->alias ? verb->alias : "");
	print_option_words(verb->options);
	print_option_words(more_options(verb));
	puts("'");
	if (verb->completes_functions)
		puts("\t\tnames+=\" $(novactl --quiet list -o name 2>/dev/null)\"");
	puts("\t\t;;");
}

/* In bash and zsh (through its bashcompinit) one case a verb. */
static void print_bash(void)
{
	puts("_novactl() {\n"
	     "\tlocal word=${COMP_WORDS[COMP_CWORD]} verb= second= names= i\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\t[[ ${COMP_WORDS[i]} == -* ]] && continue\n"
	     "\t\tif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; elif [[ -z $second ]]; then "
	     "second=${COMP_WORDS[i]}; fi\n"
	     "\tdone\n"
	     "\tcase \"$verb\" in");
	fputs("\t'') names='", stdout);
	print_verb_words();
	puts("' ;;");
	for (size_t i = 0; verbs[i]; i++) {
		const char *space = strchr(verbs[i]->name, ' ');
		if (space)
			bash_two_words(verbs[i], space + 1);
		else
			bash_one_word(verbs[i]);
	}
	puts("\tesac");
	fputs("\tnames+='", stdout);
	print_option_words(global_options);
	puts("'\n"
	     "\tCOMPREPLY=($(compgen -W \"$names\" -- \"$word\"))\n"
	     "}\n"
	     "complete -o default -F _novactl novactl");
}

static void print_zsh(void)
{
	puts("#compdef novactl\nautoload -U +X bashcompinit && bashcompinit");
	print_bash();
}

static void fish_options(const struct opt *options, const char *condition)
{
	for (; options && options->kind != OPT_END; options++) {
		printf("complete -c novactl%s -l %s", condition, options->name);
		if (options->letter)
			printf(" -s %c", options->letter);
		printf("%s -d '%.*s'\n", options->arg ? " -r" : "",
			(int)strcspn(options->help, "\n'"), options->help);
	}
}

static void print_fish(void)
{
	char condition[96];
	fish_options(global_options, "");
	for (size_t i = 0; verbs[i]; i++) {
		int first = (int)strcspn(verbs[i]->name, " ");
		const char *second = verbs[i]->name[first] ? verbs[i]->name + first + 1 : NULL;
		printf("complete -c novactl -n __fish_use_subcommand -f -a %.*s -d '%.*s'\n", first,
			verbs[i]->name, (int)strcspn(verbs[i]->purpose, ".:'"), verbs[i]->purpose);
		snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %s'",
			second ? second : verbs[i]->name);
		if (second)
			printf("complete -c novactl -n '__fish_seen_subcommand_from %.*s' -f -a "
			       "%s\n",
				first, verbs[i]->name, second);
		if (verbs[i]->completes_functions)
			printf("complete -c novactl%s -f -a '(novactl --quiet list -o name "
			       "2>/dev/null)'\n",
				condition);
		fish_options(verbs[i]->options, condition);
		fish_options(more_options(verbs[i]), condition);
	}
}

static int run(char **args, int count)
{
	(void)count;
	if (!strcmp(args[0], "bash"))
		print_bash();
	else if (!strcmp(args[0], "zsh"))
		print_zsh();
	else if (!strcmp(args[0], "fish"))
		print_fish();
	else
		return usage_error(&verb_completion, "'%s' is not bash, zsh or fish", args[0]);
	return STATUS_OK;
}

const struct verb verb_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.purpose = "Print a completion script for a shell: commands, options, names of functions.",
	.examples =
		"  novactl completion bash > ~/.local/share/bash-completion/completions/novactl\n"
		"  novactl completion zsh > ~/.zfunc/_novactl\n"
		"  novactl completion fish > ~/.config/fish/completions/novactl.fish\n",
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
