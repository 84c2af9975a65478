/* SPDX-License-Identifier: MIT */
/* novactl: finds the verb, parses its options, runs it. */
#include <fcntl.h>
#include <signal.h>

#include "novactl.h"

struct globals globals;

const struct opt global_options[] = {
	{ OPT_TEXT, 0, "home", "DIR", "state directory (NOVA_HOME)", &globals.home },
	{ OPT_TEXT, 0, "engine", "NAME", "auto, firecracker, qemu or fake (NOVA_ENGINE)",
		&globals.engine },
	{ OPT_TEXT, 0, "config", "FILE", "configuration file (NOVA_CONFIG)", &globals.config },
	{ OPT_TEXT, 0, "log-level", "LEVEL", "none, error, warn, info or debug",
		&globals.log_level },
	{ OPT_TEXT, 0, "pg-dsn", "DSN", "keep functions in this PostgreSQL (NOVA_PG_DSN)",
		&globals.pg_dsn },
	{ OPT_TEXT, 0, "redis", "HOST:PORT", "Redis (NOVA_REDIS_ADDR)", &globals.redis },
	{ OPT_TEXT, 0, "redis-pass", "TEXT",
		"its password; others can see it in the process list,\nso better use "
		"NOVA_REDIS_PASSWORD",
		&globals.redis_pass },
	{ OPT_TEXT, 0, "redis-db", "N", "its database", &globals.redis_db },
	{ OPT_FLAG, 0, "no-daemon", NULL, "use no daemon, even if one is there",
		&globals.no_daemon },
	{ OPT_FLAG, 0, "json", NULL, "results and errors as JSON", &globals.json },
	{ OPT_FLAG, 'q', "quiet", NULL, "no progress and no remarks, only results and errors",
		&globals.quiet },
	{ OPT_COUNT, 'v', "verbose", NULL, "tell what is being done; twice: every step",
		&globals.verbose },
	{ OPT_FLAG, 0, "no-color", NULL, "no colours (NO_COLOR)", &globals.no_color },
	{ OPT_FLAG, 0, "version", NULL, "print the version", &globals.version },
	{ OPT_FLAG, 'h', "help", NULL, "explain the verb", &globals.help },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

const struct verb *const verbs[] = {
	&verb_register,
	&verb_invoke,
	&verb_list,
	&verb_get,
	&verb_delete,
	&verb_daemon_status, /* before verb_daemon: the longer name is tried first */
	&verb_daemon_stop,
	&verb_daemon,
	&verb_doctor,
	&verb_disk_build,
	&verb_image_kernel,
	&verb_image_check,
	&verb_snapshot_list,
	&verb_snapshot_delete,
	&verb_snapshot_merge,
	&verb_snapshot_prune,
	&verb_instance_start,
	&verb_instance_list,
	&verb_instance_get,
	&verb_instance_exec,
	&verb_instance_pause,
	&verb_instance_resume,
	&verb_instance_snapshot,
	&verb_instance_stop,
	&verb_template_list,
	&verb_template_build,
	&verb_template_prune,
	&verb_version,
	&verb_completion,
	&verb_help,
	NULL,
};

/* How many words of `words` the name of the verb takes up: 0 if it is another verb. */
static int words_matched(const struct verb *verb, char **words, int count)
{
	const char *space = strchr(verb->name, ' ');
	if (!space)
		return !strcmp(verb->name, words[0]) ||
		       (verb->alias && !strcmp(verb->alias, words[0]));
	size_t first = (size_t)(space - verb->name);
	if (count < 2 || strlen(words[0]) != first || strncmp(verb->name, words[0], first) != 0)
		return 0;
	return strcmp(space + 1, words[1]) == 0 ? 2 : 0;
}

const struct verb *verb_find(char **words, int count, int *ret_used)
{
	for (size_t i = 0; count > 0 && verbs[i]; i++) {
		*ret_used = words_matched(verbs[i], words, count);
		if (*ret_used)
			return verbs[i];
	}
	return NULL;
}

/* "disk" alone or "disk bulid": both words together are compared, so the whole command is offered.
 */
static int unknown_verb(char **words, int count)
{
	const char *names[2 * ARRAY_LEN(verbs)];
	size_t total = 0;
	char both[130];
	for (size_t i = 0; verbs[i]; i++) {
		if (!strncmp(verbs[i]->name, words[0], strlen(words[0])) &&
			strchr(verbs[i]->name, ' ') && count == 1)
			return usage_error(NULL, "'%s' needs another word, as in 'novactl %s'",
				words[0], verbs[i]->name);
		names[total++] = verbs[i]->name;
		if (verbs[i]->alias)
			names[total++] = verbs[i]->alias;
	}
	snprintf(both, sizeof(both), "%.64s %.64s", words[0], count > 1 ? words[1] : "");
	const char *near = count > 1 ? nearest_word(both, names, total) : NULL;
	if (!near)
		near = nearest_word(words[0], names, total);
	return near ? usage_error(NULL, "there is no command '%s'; did you mean 'novactl %s'?",
			      words[0], near) :
		      usage_error(NULL, "there is no command '%s'", words[0]);
}

/* What must hold even for a command line that cannot be parsed. */
static void scan_early(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		globals.json |= !strcmp(argv[i], "--json");
		globals.no_color |= !strcmp(argv[i], "--no-color");
		globals.help |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
	}
}

static bool takes_event(const struct verb *verb)
{
	const struct opt *o = verb->options;
	while (o && o->kind != OPT_END && strcmp(o->name, "payload") != 0)
		o++;
	return o && o->kind != OPT_END;
}

static int check_count(const struct verb *verb, char **args, int count)
{
	if (count < verb->min_args)
		return usage_error(verb, "'novactl %s' needs %s", verb->name, verb->args);
	if (count > verb->max_args)
		return usage_error(verb, "'%s' is one word too many%s", args[verb->max_args],
			takes_event(verb) ? "; an event is given by --payload" : "");
	return STATUS_OK;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	int first;
	int status = options_parse(verb, argc, argv, &first);
	if (status == STATUS_OK && globals.version)
		return verb_version.run(NULL, 0);
	if (status == STATUS_OK)
		status = check_count(verb, argv + first, argc - first);
	if (status != STATUS_OK)
		return verb->own_status ? verb->own_status : status;
	return verb->run(argv + first, argc - first);
}

/* A descriptor that the caller has closed would be given to the first file that is opened, such as
 * a lock or the store, and what is printed would go into it. Its stand-in refuses what is done. */
static void take_closed_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	int first, used;
	take_closed_descriptors();
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error with a text */
	scan_early(argc, argv);
	int status = options_parse(NULL, argc, argv, &first);
	if (status != 0 && !globals.help)
		return status;
	if (status != 0 || first >= argc) {
		if (globals.version && !globals.help)
			return output_end(NULL, verb_version.run(NULL, 0));
		help_general(globals.help ? stdout : stderr);
		return output_end(NULL, globals.help ? STATUS_OK : STATUS_USAGE);
	}
	const struct verb *verb = verb_find(argv + first, argc - first, &used);
	if (!verb)
		return unknown_verb(argv + first, argc - first);
	if (globals.help) {
		help_verb(stdout, verb);
		return output_end(verb, STATUS_OK);
	}
	/* getopt takes the word before the options for the program's name. */
	int ran = run_verb(verb, argc - first - used + 1, argv + first + used - 1);
	return interrupt_end(output_end(verb, ran));
}
