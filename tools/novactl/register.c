/* SPDX-License-Identifier: MIT */
#include "novactl.h"

static struct {
	const char *code, *check, *requirements, *find_links;
	bool in_place, keep_tmp, secrets_at_init, replace;
} given;

static const struct opt options[] = {
	{ OPT_TEXT, 'c', "code", "PATH", "file or directory with the code (required)",
		&given.code },
	{ OPT_TEXT, 0, "check", "WHEN",
		"import it in a VM before it is stored: auto (python, where\n"
		"there is an engine), always or never [auto]",
		&given.check },
	{ OPT_TEXT, 0, "requirements", "FILE",
		"python: packages that it needs, installed for the guest by pip\n"
		"(requirements.txt)",
		&given.requirements },
	{ OPT_TEXT, 0, "find-links", "PLACE",
		"directory or URL with these packages; no registry is asked", &given.find_links },
	{ OPT_FLAG, 0, "in-place", NULL,
		"python: what a call leaves in the module the next one finds\n"
		"[each call begins with the module as it was imported]",
		&given.in_place },
	{ OPT_FLAG, 0, "keep-tmp", NULL,
		"what a call leaves in /tmp the next one finds\n"
		"[cleaned between calls, unless they are in place]",
		&given.keep_tmp },
	{ OPT_FLAG, 0, "secrets-at-init", NULL,
		"its import needs its secrets, so each VM imports it anew",
		&given.secrets_at_init },
	{ OPT_FLAG, 0, "replace", NULL, "take the place of another function of that name",
		&given.replace },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

int check_of(const struct verb *verb, const char *word)
{
	static const char *const words[] = { "auto", "always", "never" };
	for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
		if (!strcmp(words[i], word))
			return (int)i;
	if (!word)
		return NOVA_CHECK_AUTO;
	usage_error(verb, "--check: '%s' is not auto, always or never", word);
	return -1;
}

static int check_given(const nova_function_opts *opts)
{
	if (!opts->runtime)
		return usage_error(&verb_register, "--runtime is required: python, node, go, rust, "
						   "wasm, shell, binary, or one "
						   "of your own (novactl runtime list)");
	if (!given.code)
		return usage_error(
			&verb_register, "--code is required: the file or directory with the code");
	return 0;
}

int function_store(nova_t *nova, nova_function_opts *opts, const char *before, const char *after)
{
	CLEANUP(function_freep) nova_function_t *function = NULL;
	nova_error_t *error = NULL;
	int status = STATUS_OK;
	opts->on_progress = progress_told;
	opts->interrupt = interruptible();
	progress_start("checking");
	int code = nova_function_register(nova, opts, &function, &error);
	progress_stop();
	if (code != 0)
		return report(error);
	if (!print_structured(function_json(function), NULL, &status)) {
		function_show(function);
		note("Next: %s%s%s", before, opts->name, after);
	}
	return status;
}

static int run(char **args, int count)
{
	(void)count;
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	int status = properties_given(&verb_register, &opts),
	    check = check_of(&verb_register, given.check);
	if (status || check < 0 || check_given(&opts))
		return STATUS_USAGE;
	CLEANUP(nova_closep) nova_t *nova = session_open(&status);
	if (!nova)
		return status;
	opts.name = args[0];
	opts.code_path = given.code;
	opts.flags = NOVA_REGISTER_TEMPLATE | (given.replace ? NOVA_REGISTER_REPLACE : 0) |
		     (given.in_place ? NOVA_REGISTER_IN_PLACE : 0) |
		     (given.keep_tmp ? NOVA_REGISTER_KEEP_TMP : 0) |
		     (given.secrets_at_init ? NOVA_REGISTER_SECRETS_AT_INIT : 0);
	opts.check = (uint32_t)check;
	opts.requirements = given.requirements;
	opts.find_links = given.find_links;
	return function_store(nova, &opts, "novactl invoke ", " --payload '{}'");
}

const struct verb verb_register = {
	.name = "register",
	.args = "NAME",
	.purpose = "Store a function: its code is copied, so the original may change or go away.",
	.examples = "  novactl register hello --runtime python --code "
		    "examples/functions/python/hello.py\n"
		    "  novactl register api -r go -c ./handler --memory 512 --timeout 120 --env "
		    "REGION=eu\n"
		    "  novactl register report -r python -c report/ --requirements "
		    "report/requirements.txt\n"
		    "  novactl register hello -r python -c hello.py --replace\n",
	.notes = "Registering the very same thing again changes nothing. Programs (go, rust, "
		 "binary) must be\n"
		 "statically linked for Linux.\n",
	.options = options,
	.more_options = property_options,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
