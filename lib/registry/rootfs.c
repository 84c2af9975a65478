/* SPDX-License-Identifier: MIT */
/* The root filesystem of a runtime: what must be in it, and where it is. */
#include "disk/disk.h"
#include "registry/internal.h"

/* --- what must be in it --- */

/* The agent comes with the kernel; it needs places to mount on, and cannot make any. */
static int check_mount_points(struct disk_image *image, nova_error_t **error)
{
	static const char *const points[] = { "/dev", "/proc", "/sys", "/run", "/tmp", "/code" };
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		mode_t mode = 0;
		int found = disk_image_find(image, points[i], &mode, error);
		if (found < 0)
			return found;
		if (!found || !S_ISDIR(mode))
			return nova_fail(error, NOVA_ECORRUPT,
				"the root filesystem '%s' has no directory %s for the guest to "
				"mount on; make empty ones: dev proc sys run tmp code",
				image->path, points[i]);
	}
	return 0;
}

static int check_program(struct disk_image *image, const char *program, nova_error_t **error)
{
	mode_t mode = 0;
	int found = disk_image_find(image, program, &mode, error);
	if (found < 0)
		return found;
	if (!found)
		return nova_fail(error, NOVA_ENOTFOUND,
			"argv: the root filesystem '%s' has no program '%s'", image->path, program);
	if (S_ISREG(mode) && mode & 0111)
		return 0;
	return nova_fail(error, NOVA_ENOTFOUND,
		"argv: '%s' in the root filesystem '%s' is no program that can be executed",
		program, image->path);
}

static int check_interpreter(
	struct disk_image *image, const struct runtime *rules, nova_error_t **error)
{
	int found = 0;
	for (const char *const *at = rules->programs; found == 0 && *at; at++) {
		mode_t mode = 0;
		found = disk_image_find(image, *at, &mode, error);
	}
	if (found)
		return found < 0 ? found : 0;
	return nova_fail(error, NOVA_ENOTFOUND,
		"the root filesystem '%s' has no %s, which the protocol '%s' keeps; argv can name "
		"another place",
		image->path, rules->programs[0], rules->is.protocol);
}

int rootfs_look(const char *path, const struct runtime *rules, const struct text_list *argv,
	nova_error_t **error)
{
	AUTO_DISK_IMAGE struct disk_image image;
	int code = disk_image_open(path, &image, error);
	if (code == 0)
		code = check_mount_points(&image, error);
	if (code < 0)
		return code;
	if (!argv->count)
		return check_interpreter(&image, rules, error);
	return strcmp(argv->items[0], ARGV_FILE) ? check_program(&image, argv->items[0], error) : 0;
}

/* --- where it is --- */

int runtime_rootfs(const struct registry *registry, const char *runtime, const char *image,
	char **ret, nova_error_t **error)
{
	const char *hash = image_blob(image);
	if (!hash) {
		*ret = strdup(image);
		return *ret ? 0 : nova_oom(error);
	}
	int has = registry->blobs->ops->has(registry->blobs, hash, error);
	int code = has > 0 ? registry->blobs->ops->get(registry->blobs, hash, ret, error) : has;
	if (code == 0 && !has)
		return nova_fail(error, NOVA_ENOTFOUND,
			"the root filesystem of runtime '%s' is gone (%s): register the runtime "
			"again to make it",
			runtime, image);
	return code < 0 ? nova_wrap(error, code, "the root filesystem of runtime '%s'", runtime) :
			  0;
}

int registry_check_files(
	const struct registry *registry, const struct function_record *r, nova_error_t **error)
{
	struct blobs *blobs = registry->blobs;
	AUTO_FREE char *path = NULL;
	const char *image = image_blob(r->config.image);
	if (r->code_hash && blobs->ops->has(blobs, r->code_hash, NULL) == 0) {
		blobs->ops->get(blobs, r->code_hash, &path, NULL);
		return nova_fail(error, NOVA_ECORRUPT,
			"the code disk of function '%s' is gone: %s; register the function again "
			"to make it",
			r->name, path ? path : "");
	}
	if (!image || blobs->ops->has(blobs, image, NULL) != 0)
		return 0;
	return nova_fail(error, NOVA_ECORRUPT,
		"the root filesystem of function '%s' is gone: register its runtime '%s' again, "
		"and "
		"then the function",
		r->name, r->config.runtime);
}
