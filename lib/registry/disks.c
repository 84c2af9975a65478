/* SPDX-License-Identifier: MIT */
/* Blobs: the images that functions' code becomes, and root filesystems; and how code becomes one.
 */
#include <nova/disk.h>

#include "registry/internal.h"

int blob_unneeded(struct registry *registry, const char *hash, uint64_t leaving, bool *ret_unneeded,
	nova_error_t **error)
{
	uint64_t users = 0;
	int r = registry->store->ops->count_users(registry->store, hash, &users, error);
	*ret_unneeded = r == 0 && users <= leaving;
	return r;
}

int image_unneeded(
	struct registry *registry, const char *image, bool *ret_unneeded, nova_error_t **error)
{
	const char *hash = image_blob(image);
	*ret_unneeded = false;
	return hash ? blob_unneeded(registry, hash, 1, ret_unneeded, error) : 0;
}

void blob_drop(struct registry *registry, const char *hash)
{
	bool unneeded;
	if (blob_unneeded(registry, hash, 0, &unneeded, NULL) == 0 && unneeded)
		registry->blobs->ops->remove(registry->blobs, hash, NULL);
}

void image_drop(struct registry *registry, const char *image)
{
	const char *hash = image_blob(image);
	if (hash)
		blob_drop(registry, hash);
}

static bool is_needed(void *userdata, const char *hash)
{
	bool unneeded;
	blob_unneeded(userdata, hash, 0, &unneeded, NULL);
	return !unneeded;
}

void blobs_tidy(struct registry *registry)
{
	AUTO_FD int lock = -1;
	if (registry->blobs->ops->lock(registry->blobs, false, &lock, NULL) == 0)
		blobs_sweep(registry->blobs, is_needed, registry);
}

/* --- making one --- */

void unfinished_remove(struct unfinished *u)
{
	if (u->path)
		fs_unlink(u->path);
	free(u->path);
}

int code_disk_build(
	const char *path, const struct code_source *s, char hash[SHA256_HEX], nova_error_t **error)
{
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	disk.source = s->opts->code_path;
	disk.data = s->opts->code;
	disk.data_len = s->opts->code_len;
	disk.below = s->packages;
	int r = nova_disk_build(path, &disk, error);
	if (r < 0)
		return nova_wrap(error, r, "code");
	r = sha256_file_hex(path, hash);
	return r < 0 ? nova_fail_os(error, r, "cannot read the code disk %s", path) : 0;
}

int code_disk_new(struct registry *registry, const struct code_source *s, struct unfinished *ret,
	char hash[SHA256_HEX], nova_error_t **error)
{
	int r = registry->blobs->ops->begin(registry->blobs, &ret->path, error);
	return r < 0 ? r : code_disk_build(ret->path, s, hash, error);
}
