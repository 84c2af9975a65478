/* SPDX-License-Identifier: MIT */
#include "novactl.h"

static const char *given_output;

static const struct opt kernel_options[] = {
	{ OPT_TEXT, 'o', "output", "VMLINUX", "the file to write (required)", &given_output },
	{ OPT_END, 0, NULL, NULL, NULL, NULL },
};

static int kernel_run(char **args, int count)
{
	(void)count;
	if (!given_output)
		return usage_error(&verb_image_kernel, "-o is required: the file to write");
	nova_error_t *error = NULL;
	if (nova_image_extract_kernel(args[0], given_output, &error) != 0)
		return report(error);
	if (globals.json)
		return print_json(
			json_pack("{s:s,s:s}", "source", args[0], "kernel", given_output));
	note("Wrote %s.", given_output);
	return STATUS_OK;
}

static int check_run(char **args, int count)
{
	int status;
	nova_error_t *error = NULL;
	CLEANUP(host_unrefp) nova_host_t *host = NULL;
	CLEANUP(config_freep) nova_config_t *config = session_config(&status);
	if (!config)
		return status;
	if (nova_host_new(config, &host, &error) != 0)
		return report(error);
	const char *directory = nova_host_images(host), *name = count ? args[0] : NULL;
	if (nova_image_check(directory, name, &error) != 0)
		return report(error);
	if (globals.json)
		return print_json(json_pack(
			"{s:s,s:s?,s:b}", "directory", directory, "name", name, "sound", 1));
	printf("%s%s%s: sound\n", directory, name ? "/" : "", name ? name : "");
	return STATUS_OK;
}

const struct verb verb_image_kernel = {
	.name = "image kernel",
	.args = "BZIMAGE",
	.purpose = "Take the uncompressed kernel (vmlinux) out of a bzImage.",
	.examples = "  novactl image kernel /boot/vmlinuz-6.1.0-18-cloud-amd64 -o vmlinux\n",
	.options = kernel_options,
	.min_args = 1,
	.max_args = 1,
	.run = kernel_run,
};

const struct verb verb_image_check = {
	.name = "image check",
	.args = "[NAME]",
	.purpose = "Check the guest images, or one of them, against their checksums.",
	.examples = "  novactl image check\n  novactl image check rootfs/python.ext4\n",
	.max_args = 1,
	.run = check_run,
};
