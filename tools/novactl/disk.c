/* SPDX-License-Identifier: MIT */
/* disk build and extract: code disks. */
#include <sys/stat.h>

#include "novactl.h"

static struct {
	const char *image, *label;
	uint64_t size;
	bool keep_modes;
} given;

static const struct opt options[] = {
	{ OPT_TEXT, 'o', "output", "IMAGE", "the image to write (required)", &given.image },
	{ OPT_SIZE, 0, "size", "SIZE", "smallest size of the image; it grows when needed [16M]",
		&given.size },
	{ OPT_TEXT, 0, "label", "TEXT", "volume label, at most 16 bytes [nova-code]",
		&given.label },
	{ OPT_FLAG, 0, "keep-modes", NULL,
		"keep permission bits as they are, as for a root filesystem", &given.keep_modes },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static int run(char **args, int count)
{
	(void)count;
	if (!given.image)
		return usage_error(&verb_disk_build, "-o is required: the image to write");
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = args[0];
	opts.min_size = given.size;
	opts.label = given.label;
	opts.flags = given.keep_modes ? NOVA_DISK_KEEP_MODES : 0;
	opts.log = session_log_line;
	nova_error_t *error = NULL;
	if (nova_disk_build(given.image, &opts, &error) != 0)
		return report(error);
	if (globals.json)
		return print_json(json_pack("{s:s,s:s}", "source", args[0], "image", given.image));
	note("Wrote %s.", given.image);
	return STATUS_OK;
}

const struct verb verb_disk_build = {
	.name = "disk build",
	.args = "PATH",
	.purpose = "Turn a file or a directory into a read-only ext4 code disk. Needs no root and "
		   "no mount.",
	.examples = "  novactl disk build hello.py -o hello.ext4\n"
		    "  novactl disk build ./app -o app.ext4 --size 64M --label app\n",
	.notes = "The same input always gives the same bytes. A single file is called 'handler' in "
		 "the image.\nWhat the owner of a file may read or execute everybody may in the "
		 "image. Sockets, FIFOs and devices\nare left out, with a line on stderr; links "
		 "are kept as they are.\n",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

static int extract_run(char **args, int count)
{
	(void)count;
	nova_error_t *error = NULL;
	(void)mkdir(args[1], 0777); /* it may be there; else the library says why it cannot be */
	if (nova_disk_extract(args[0], args[1], &error) != 0)
		return report(error);
	if (globals.json)
		return print_json(json_pack("{s:s,s:s}", "image", args[0], "directory", args[1]));
	note("Wrote the files into %s.", args[1]);
	return STATUS_OK;
}

const struct verb verb_disk_extract = {
	.name = "disk extract",
	.args = "IMAGE DIRECTORY",
	.purpose =
		"Write the files of a code disk into an empty directory, which is made if need be.",
	.examples = "  novactl disk extract app.ext4 ./app\n",
	.notes = "Symbolic links are written as they are and may lead anywhere.\n",
	.min_args = 2,
	.max_args = 2,
	.run = extract_run,
};
