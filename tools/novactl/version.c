/* SPDX-License-Identifier: MIT */
#include "novactl.h"

static int run(char **args, int count)
{
	(void)args;
	(void)count;
	if (globals.json)
		return print_json(json_pack(
			"{s:s,s:s}", "library", nova_version(), "headers", NOVA_VERSION_STRING));
	printf("novactl %s (libnova %s)\n", NOVA_VERSION_STRING, nova_version());
	return STATUS_OK;
}

const struct verb verb_version = {
	.name = "version",
	.args = "",
	.purpose = "Show the version of novactl and of the library it runs with.",
	.examples = "  novactl version\n  novactl --version\n",
	.run = run,
};
