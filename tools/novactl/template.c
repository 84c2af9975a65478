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
	(void)args, (void)count;
	return snapshots_list(nova_template_list,
		"There is no template. The first call of a function makes one.");
}

static int build_one(void *nova, const char *name)
{
	nova_error_t *error = NULL;
	nova_wait_opts wait = NOVA_WAIT_OPTS_INIT;
	wait.interrupt = interruptible();
	progress_start("making the template");
	int code = nova_template_build(nova, name, &wait, &error);
	progress_stop();
	if (code != 0)
		return report(error);
	note("The template of %s is ready.", name);
	return STATUS_OK;
}

static int build_run(char **args, int count)
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	return nova ? each_name(args, count, "built", build_one, nova) : status;
}

static int prune(nova_host_t *host, size_t *ret_count, nova_error_t **error)
{
	return nova_template_prune(host, given_all, ret_count, error);
}

static int prune_run(char **args, int count)
{
	(void)args, (void)count;
	return snapshots_prune(prune, "template");
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
