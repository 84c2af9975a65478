/* SPDX-License-Identifier: MIT */
/* Calls that need no machine: errors, settings, frames, disks, images. */
#include "inject.h"
#include "hash/hash.h"
#include "unit/bzimage.h"

static char *path, *other; /* what a call reads, and what it writes */

/* --- errors --- */

static int read_errors(nova_error_t **error)
{
	int code = nova_config_set(world.config, "no such key", "", error);
	bool told = nova_error_code(*error) == code && *nova_error_message(*error) &&
		    nova_error_outcome(*error) == NOVA_OUTCOME_NEVER_RAN && *nova_code_name(code) &&
		    nova_log_filter_level("warn", NULL, 0) == NOVA_LOG_WARN && *nova_version() &&
		    nova_error_os(*error) == 0 && nova_error_retry_ms(*error) == 0 &&
		    nova_error_limit(*error) == NOVA_LIMIT_HOST;
	nova_error_free(STEAL(*error));
	return told ? code : NOVA_EAGENT;
}

static int load_modules(nova_error_t **error)
{
	int code = 0;
	size_t i;
	for (i = 0; nova_module_name(i) && code == 0; i++) {
		const char *contents = "";
		code = nova_module_load(i, &contents, error);
		if (code == 0 && (!*contents || !*nova_module_purpose(i)))
			code = NOVA_EAGENT;
	}
	return code == 0 && i == 0 ? NOVA_EAGENT : code;
}

/* --- settings --- */

static nova_config_t *config;

static void make_config(void)
{
	static const char text[] = "engine: fake\npool:\n  max_vms: 7\n";
	path = path_join(world.home, "conf.yaml");
	MUST(fs_write_file(path, text, strlen(text), 0600));
	MUST(nova_config_new(&config, &world.error));
}

static int new_config(nova_error_t **error)
{
	nova_config_t *made = NULL;
	int code = nova_config_new(&made, error);
	nova_config_free(made);
	return code;
}

static int load_config(nova_error_t **error)
{
	return nova_config_load(config, path, error);
}

static int load_environment(nova_error_t **error)
{
	return nova_config_load_env(config, error);
}

static int set_config(nova_error_t **error)
{
	int code = nova_config_set(config, "engine", "fake", error);
	if (code < 0)
		return code;
	bool same = !strcmp(nova_config_get(config, "engine"), "fake") &&
		    nova_config_source(config, "engine") == NOVA_CONFIG_SET &&
		    nova_config_keys()[0] && nova_property_get(0) &&
		    nova_config_describe("engine") && nova_config_variable("engine");
	return same ? 0 : NOVA_EAGENT;
}

static int ignore_environment(nova_error_t **error)
{
	nova_config_t *made = NULL;
	int code = nova_config_new(&made, error);
	if (code == 0)
		code = nova_config_ignore_environment(made, error);
	nova_config_free(made);
	return code;
}

/* --- tokens --- */

static int trigger_token(nova_error_t **error)
{
	nova_interrupt_t *token = NULL;
	int code = nova_interrupt_new(&token, error);
	if (code == 0)
		nova_interrupt_trigger(token);
	nova_interrupt_free(token);
	return code;
}

/* --- frames --- */

static int encode(nova_error_t **error)
{
	void *frame = NULL;
	size_t len;
	int code = nova_frame_encode(NOVA_MSG_PING, "{}", 2, &frame, &len, error);
	nova_free(frame);
	return code;
}

static int decode(nova_error_t **error)
{
	static const char frame[] = "\0\0\0\x18{\"type\":66,\"payload\":{}}\n";
	nova_decoder_t *decoder = NULL;
	const char *payload;
	size_t len;
	int type = 0, code = nova_decoder_new(0, &decoder, error);
	if (code == 0)
		code = nova_decoder_feed(decoder, frame, sizeof(frame) - 1, error);
	if (code == 0)
		code = nova_decoder_next(decoder, &type, &payload, &len, error);
	nova_decoder_free(decoder);
	return code;
}

/* --- disks and images --- */

static void make_source(void)
{
	path = path_join(world.home, "source");
	AUTO_FREE char *sub = path_join(path, "sub"), *file = path_join(sub, "file");
	MUST(fs_mkdirs(sub, 0755));
	MUST(fs_write_file(file, "content", 7, 0644));
	other = path_join(world.home, "image");
}

static int build_disk(nova_error_t **error)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = path;
	return nova_disk_build(other, &opts, error);
}

static void remove_other(void)
{
	fs_remove_tree(other);
}

static void make_image(void)
{
	make_source();
	MUST(build_disk(&world.error));
	free(path);
	path = STEAL(other);
	other = path_join(world.home, "unpacked");
}

static void make_directory(void)
{
	MUST(fs_mkdirs(other, 0755));
}

static int extract_disk(nova_error_t **error)
{
	return nova_disk_extract(path, other, error);
}

static void make_kernel(void)
{
	static uint8_t kernel[KERNEL_SIZE], image[3 * KERNEL_SIZE];
	bz_kernel(kernel);
	path = path_join(world.home, "bzImage");
	other = path_join(world.home, "vmlinux");
	size_t len = bz_image(BZ_ZSTD, kernel, sizeof(kernel), image);
	MUST(fs_write_file(path, image, len, 0644));
}

static int extract_kernel(nova_error_t **error)
{
	return nova_image_extract_kernel(path, other, error);
}

static void make_images(void)
{
	char sum[SHA256_HEX];
	path = path_join(world.home, "images");
	AUTO_FREE char *kernel = path_join(path, "kernel"), *manifest = path_join(path, "MANIFEST");
	other = path_join(kernel, "vmlinux");
	MUST(fs_mkdirs(kernel, 0755));
	MUST(sha256_hex("kernel", 6, sum));
	AUTO_FREE char *line = str_format("%s  6  kernel/vmlinux\n", sum);
	MUST(fs_write_file(manifest, line, strlen(line), 0644));
}

/* One that has not changed is not read again. */
static void change_images(void)
{
	MUST(fs_write_file(other, "kernel", 6, 0644));
}

static int check_images(nova_error_t **error)
{
	return nova_image_check(path, NULL, error);
}

const struct inject_case base_cases[] = {
	{ "nova_version nova_error_code nova_error_message nova_error_os nova_error_outcome "
	  "nova_error_retry_ms nova_error_limit "
	  "nova_error_free nova_code_name nova_log_filter_level",
		.run = read_errors, .expected = NOVA_EINVAL, .silent = true },
	{ "nova_module_name nova_module_purpose nova_module_load", .run = load_modules,
		.silent = true },
	{ "nova_config_new nova_config_free", .run = new_config },
	{ "nova_config_load", make_config, NULL, load_config, NULL },
	{ "nova_config_load_env", make_config, .run = load_environment },
	{ "nova_config_set nova_config_get nova_config_source nova_config_keys nova_property_get "
	  "nova_config_describe nova_config_variable",
		make_config, .run = set_config },
	{ "nova_config_ignore_environment", .run = ignore_environment },
	{ "nova_interrupt_new nova_interrupt_trigger nova_interrupt_free", .run = trigger_token },
	{ "nova_frame_encode nova_free", .run = encode },
	{ "nova_decoder_new nova_decoder_free nova_decoder_feed nova_decoder_next", .run = decode,
		.expected = 1 },
	{ "nova_disk_build", make_source, .run = build_disk, .undo = remove_other },
	{ "nova_disk_extract", make_image, make_directory, extract_disk, remove_other },
	{ "nova_image_extract_kernel", make_kernel, .run = extract_kernel, .undo = remove_other },
	{ "nova_image_check", make_images, change_images, check_images },
	{ NULL },
};
