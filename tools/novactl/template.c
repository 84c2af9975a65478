/* SPDX-License-Identifier: MIT */
/* template list, build and prune: what makes a first call quick. */
#include "novactl.h"

static bool given_all;

static const struct opt prune_options[] = {
	{ OPT_FLAG, 'a', "all", NULL, "those that still fit too", &given_all },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static int list_run(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	nova_snapshot_t **list = NULL;
	size_t found = 0;
	nova_error_t *error = NULL;
	CLEANUP(host_unrefp) nova_host_t *host = session_host(&status);
	if (!host)
		return status;
	if (nova_template_list(host, &list, &found, &error) != 0)
		return report(error);
	status = snapshots_print(
		list, found, "There is no template. The first call of a function makes one.");
	nova_snapshot_list_free(list, found);
	return status;
}

/* Every name is tried; the first failure decides the status. */
static int build_run(char **args, int count)
{
	int status = STATUS_OK;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	json_t *built = need(json_array());
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = interruptible();
	for (int i = 0; i < count && !interrupted(); i++) {
		nova_error_t *error = NULL;
		progress_start("making the template");
		int code = nova_template_build(nova, args[i], &wait, &error);
		progress_stop();
		if (code == 0) {
			json_array_append_new(built, json_string(args[i]));
			note("The template of %s is ready.", args[i]);
		} else {
			int failed = report(error);
			status = status ? status : failed;
		}
	}
	if (globals.json)
		print_json(json_pack("{s:o}", "built", built));
	else
		json_decref(built);
	return status;
}

static int prune_run(char **args, int count)
{
	(void)args;
	(void)count;
	int status;
	size_t pruned = 0;
	nova_error_t *error = NULL;
	CLEANUP(host_unrefp) nova_host_t *host = session_host(&status);
	if (!host)
		return status;
	if (nova_template_prune(host, given_all, &pruned, &error) != 0)
		return report(error);
	return pruned_print(pruned, "template");
}

const struct verb verb_template_list = {
	.name = "template list",
	.args = "",
	.purpose = "Show the templates of functions, and of the runtimes that they are made from.",
	.examples = "  novactl template list\n  novactl template list --json\n",
	.run = list_run,
};

const struct verb verb_template_build = {
	.name = "template build",
	.args = "FUNCTION...",
	.purpose = "Make the templates of functions now, not at their first call.",
	.examples = "  novactl template build hello\n",
	.min_args = 1,
	.max_args = 1000,
	.completes_functions = true,
	.run = build_run,
};

const struct verb verb_template_prune = {
	.name = "template prune",
	.args = "",
	.purpose = "Delete the templates that no longer fit.",
	.examples = "  novactl template prune\n  novactl template prune --all\n",
	.notes = "A template that is deleted is made anew when it is wanted. One in use stays.\n",
	.options = prune_options,
	.run = prune_run,
};
