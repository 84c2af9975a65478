/* SPDX-License-Identifier: MIT */
/* update: changes a function in place. */
#include "novactl.h"

static struct {
	const char *code, *check, *requirements, *find_links;
	struct text_list reset;
	bool in_place, keep_tmp, secrets_at_init;
} given;

static const struct opt options[] = {
	{ OPT_TEXT, 'c', "code", "PATH", "file or directory with the new code", &given.code },
	{ OPT_LIST, 0, "reset", "PROPERTY",
		"give it its default again, as memory_mb, env or handler; also\n"
		"in_place, keep_tmp and secrets_at_init; repeatable",
		&given.reset },
	{ OPT_TEXT, 0, "check", "WHEN", "as of register [auto]", &given.check },
	{ OPT_TEXT, 0, "requirements", "FILE", "as of register; with --code", &given.requirements },
	{ OPT_TEXT, 0, "find-links", "PLACE", "as of register", &given.find_links },
	{ OPT_FLAG, 0, "in-place", NULL, "as of register", &given.in_place },
	{ OPT_FLAG, 0, "keep-tmp", NULL, "as of register", &given.keep_tmp },
	{ OPT_FLAG, 0, "secrets-at-init", NULL, "as of register", &given.secrets_at_init },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static void fill(nova_function_opts *change, int check)
{
	change->code_path = given.code;
	change->flags = NOVA_REGISTER_TEMPLATE | (given.in_place ? NOVA_REGISTER_IN_PLACE : 0) |
			(given.keep_tmp ? NOVA_REGISTER_KEEP_TMP : 0) |
			(given.secrets_at_init ? NOVA_REGISTER_SECRETS_AT_INIT : 0);
	change->check = (uint32_t)check;
	change->requirements = given.requirements;
	change->find_links = given.find_links;
	change->on_progress = progress_told;
	change->interrupt = interruptible();
}

/* All that are given as 0, which is their default. Without a rate its period and burst mean
 * nothing. */
static void reset_zeroed(void)
{
	struct text_list zeroed = { 0 };
	properties_zeroed(&zeroed);
	for (size_t i = 0; i < zeroed.count; i++) {
		text_list_add(&given.reset, zeroed.items[i]);
		if (strcmp(zeroed.items[i], "rate") != 0)
			continue;
		text_list_add(&given.reset, "rate_period_ms");
		text_list_add(&given.reset, "rate_burst");
	}
	free(zeroed.items);
}

static int run(char **args, int count)
{
	(void)count;
	nova_function_opts change = NOVA_FUNCTION_OPTS_INIT;
	nova_function_update_opts opts = NOVA_FUNCTION_UPDATE_OPTS_INIT;
	int status = properties_given(&verb_update, &change);
	int check = check_of(&verb_update, given.check);
	if (status || check < 0)
		return STATUS_USAGE;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	fill(&change, check);
	reset_zeroed();
	opts.change = &change;
	opts.reset = given.reset.items;
	opts.reset_count = given.reset.count;
	CLEANUP(function_freep) nova_function_t *function = NULL;
	nova_error_t *error = NULL;
	progress_start("checking");
	int code = nova_function_update(nova, args[0], &opts, &function, &error);
	progress_stop();
	if (code != 0)
		return report(error);
	if (!print_structured(function_json(function), NULL, &status))
		function_show(function);
	return status;
}

const struct verb verb_update = {
	.name = "update",
	.args = "NAME",
	.purpose = "Change a function in place: only what is given.",
	.examples = "  novactl update hello --memory 256\n"
		    "  novactl update hello --code hello.py\n"
		    "  novactl update hello --env STAGE=test --reset timeout_s\n",
	.notes = "What is not given stays as it is, whatever the help says of defaults; a list, "
		 "as the variables, is\nreplaced as a whole. Versions that were published stay.\n",
	.options = options,
	.more_options = property_options,
	.min_args = 1,
	.max_args = 1,
	.completes_functions = true,
	.run = run,
};
