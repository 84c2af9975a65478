/* SPDX-License-Identifier: MIT */
/* template list, build, prepare and prune: what makes a first call quick. */
#include "novactl.h"

static bool given_all;

static const struct opt prune_options[] = {
	{ OPT_FLAG, 'a', "all", NULL, "those that still fit too", &given_all },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

/* After the list: what all of them take. */
static int list(
	nova_host_t *host, nova_snapshot_t ***ret_list, size_t *ret_count, nova_error_t **error)
{
	char text[128];
	int code = nova_template_list(host, ret_list, ret_count, error);
	if (code == 0 && *ret_count && template_usage(host, text, sizeof(text)))
		note("%s.", text);
	return code;
}

static int list_run(char **args, int count)
{
	(void)args, (void)count;
	return snapshots_list(
		list, "There is no template. The first call of a function makes one.");
}

bool template_usage(nova_host_t *host, char *ret_text, size_t room)
{
	uint64_t stats[NOVA_TEMPLATE_LIMIT_BYTES + 1] = { 0 };
	if (nova_template_stats(host, stats, ARRAY_LEN(stats), NULL) < 0)
		return false;
	snprintf(ret_text, room, "%llu take %.1f MB of at most %.0f MB",
		(unsigned long long)stats[NOVA_TEMPLATE_COUNT],
		(double)stats[NOVA_TEMPLATE_BYTES] / 1e6,
		(double)stats[NOVA_TEMPLATE_LIMIT_BYTES] / 1e6);
	return stats[NOVA_TEMPLATE_BYTES] <= stats[NOVA_TEMPLATE_LIMIT_BYTES];
}

/* By name or id; no snapshot of a user is one. */
static int delete_one(void *host, const char *name)
{
	char full[64];
	nova_error_t *error = NULL;
	snprintf(full, sizeof(full), "%s%.40s", strncmp(name, "template:", 9) ? "template:" : "",
		name);
	if (nova_snapshot_delete(host, full, &error) != 0)
		return report(error);
	note("Deleted %s.", full);
	return STATUS_OK;
}

static int delete_run(char **args, int count)
{
	int status;
	CLEANUP(host_unrefp) nova_host_t *host = session_host(&status);
	return host ? each_name(args, count, "deleted", delete_one, host) : status;
}

/* What is being made, on a terminal while it lasts, and elsewhere as a line. */
static void tell(void *unused, const char *what)
{
	if (progress_is_shown())
		progress_told(unused, what);
	else
		note("%s", what);
}

static nova_template_opts interruptible_opts(void)
{
	nova_template_opts opts = NOVA_TEMPLATE_OPTS_INIT;
	opts.interrupt = interruptible();
	opts.on_progress = tell;
	return opts;
}

static int build_one(void *nova, const char *name)
{
	nova_error_t *error = NULL;
	const nova_template_opts opts = interruptible_opts();
	progress_start("making the template");
	int code = nova_template_build(nova, name, &opts, &error);
	progress_stop();
	if (code != 0)
		return report(error);
	note("The template of %s is ready.", name);
	return STATUS_OK;
}

static int build_run(char **args, int count)
{
	return each_in_nova(args, count, "built", build_one);
}

/* --- of runtimes --- */

/* One for each root filesystem: what shares it shares the template. */
static char standard[][8] = { "python", "node", "wasm", "shell" };

static struct {
	nova_t *nova;
	bool named; /* on the command line, and so what is missing is a failure */
} preparing;

/* Functions run without it all the same, or were not asked for. */
static bool can_be_left_out(int code)
{
	return code == NOVA_ENOTSUP || (code == NOVA_ENOTFOUND && !preparing.named);
}

static int prepare_one(void *unused, const char *runtime)
{
	(void)unused;
	nova_error_t *error = NULL;
	int made = 0;
	const nova_template_opts opts = interruptible_opts();
	int64_t begin = now_ms();
	progress_start("looking for the template");
	int code = nova_template_prepare(preparing.nova, runtime, &opts, &made, &error);
	progress_stop();
	if (code != 0 && can_be_left_out(code)) {
		note("No template of %s is made: %s", runtime, nova_error_message(error));
		nova_error_free(error);
		return LEFT_OUT;
	}
	if (code != 0)
		return report(error);
	if (made)
		note("The template of %s is ready (%.1f s).", runtime,
			(double)(now_ms() - begin) / 1000);
	else
		note("The template of %s is there.", runtime);
	return STATUS_OK;
}

/* What was made of other images, or by another VMM, is of no use and takes room. */
static void prune_stale(void)
{
	size_t count = 0;
	if (nova_template_prune(nova_host_get(preparing.nova), 0, &count, NULL) == 0 && count)
		note("%zu template%s fit no longer, as images, code or the VMM have changed: "
		     "deleted.",
			count, count == 1 ? "" : "s");
}

static int prepare_run(char **args, int count)
{
	int status;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	preparing.nova = nova;
	preparing.named = count > 0;
	prune_stale();
	char *all[ARRAY_LEN(standard)];
	for (size_t i = 0; i < ARRAY_LEN(standard); i++)
		all[i] = standard[i];
	return each_name(count ? args : all, count ? count : (int)ARRAY_LEN(standard), "prepared",
		prepare_one, NULL);
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

const struct verb verb_template_prepare = {
	.name = "template prepare",
	.args = "[RUNTIME...]",
	.purpose = "Make the templates that functions of a runtime begin with, so that none has to "
		   "boot.",
	.examples = "  novactl template prepare\n  novactl template prepare python node\n",
	.notes = "Without a name: of all runtimes whose image is there. They are for functions "
		 "with the\n"
		 "runtime's usual memory, and belong to this user's state directory "
		 "($NOVA_HOME).\n"
		 "Templates that no longer fit are deleted first.\n",
	.min_args = 0,
	.max_args = 100,
	.run = prepare_run,
};

const struct verb verb_template_delete = {
	.name = "template delete",
	.args = "ID...",
	.purpose = "Delete templates, by name or id.",
	.examples = "  novactl template delete template:0123456789abcdef\n",
	.notes = "One that is in use, or on which another stands, stays.\n",
	.min_args = 1,
	.max_args = 1000,
	.run = delete_run,
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
