/* SPDX-License-Identifier: MIT */
/* novactl: finds the verb, parses its options, runs it. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "novactl.h"

#define OUTPUT_ROOM (64u << 10)

static const struct verb *const table[] = {
	&verb_register,
	&verb_update,
	&verb_invoke,
	&verb_run,
	&verb_list,
	&verb_get,
	&verb_delete,
	&verb_daemon_status, /* before verb_daemon: the longer name is tried first */
	&verb_logs,
	&verb_stats,
	&verb_usage,
	&verb_bill,
	&verb_estimate,
	&verb_daemon_stop,
	&verb_daemon,
	&verb_doctor,
	&verb_config,
	&verb_disk_build,
	&verb_disk_extract,
	&verb_image_kernel,
	&verb_image_check,
	&verb_snapshot_list,
	&verb_snapshot_delete,
	&verb_snapshot_merge,
	&verb_snapshot_prune,
	&verb_instance_start,
	&verb_instance_list,
	&verb_instance_get,
	&verb_instance_stats,
	&verb_instance_console,
	&verb_instance_exec,
	&verb_instance_pause,
	&verb_instance_resume,
	&verb_instance_snapshot,
	&verb_instance_stop,
	&verb_template_list,
	&verb_template_build,
	&verb_template_delete,
	&verb_template_prepare,
	&verb_template_prune,
	&verb_runtime_add,
	&verb_runtime_list,
	&verb_runtime_show,
	&verb_runtime_remove,
	&verb_version_publish,
	&verb_version_list,
	&verb_version_delete,
	&verb_version,
	&verb_alias_set,
	&verb_alias_list,
	&verb_alias_delete,
	&verb_alias_rollback,
	&verb_apikey_create,
	&verb_apikey_list,
	&verb_apikey_revoke,
	&verb_apikey_delete,
	&verb_secret_set,
	&verb_secret_list,
	&verb_secret_delete,
	&verb_secret_rotate,
	&verb_secret_key,
	&verb_kv_get,
	&verb_kv_put,
	&verb_kv_delete,
	&verb_kv_list,
	&verb_file_get,
	&verb_file_put,
	&verb_file_delete,
	&verb_file_list,
	&verb_push,
	&verb_upload,
	&verb_plug,
	&verb_unplug,
	&verb_job_submit,
	&verb_job_get,
	&verb_job_list,
	&verb_job_work,
	&verb_export,
	&verb_import,
	&verb_completion,
	&verb_help,
	NULL,
};

/* "disk" alone or "disk bulid": both words together are compared, so the whole command is offered.
 */
static int unknown_verb(char **words, int count)
{
	const char *names[2 * ARRAY_LEN(table)];
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
	verbs = table;
	take_closed_descriptors();
	/* Room for what most verbs print, so that it fails in one place, if it does. */
	static char room[OUTPUT_ROOM];
	if (!isatty(STDOUT_FILENO))
		setvbuf(stdout, room, _IOFBF, sizeof(room));
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
	if (!verb && globals.help && (argc == first + 1 || *argv[first + 1] == '-') &&
		help_group(stdout, argv[first]))
		return output_end(NULL, STATUS_OK);
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
