/* SPDX-License-Identifier: MIT */
/* Blobs: the images that functions' code becomes, and root filesystems; and how code becomes one.
 */
#include <errno.h>
#include <fcntl.h>

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

int blob_keep(struct registry *registry, const char *hash, nova_error_t **error)
{
	struct store *store = registry->store;
	int r = hash && store->ops->shared ? store->ops->contents->has(store, hash, error) : 0;
	return r < 0 ? r : 0;
}

/* A row is one user, also if it needs the blob twice. */
static bool uses(const struct function_record *r, const char *hash)
{
	const char *image = image_blob(r->config.image);
	return !strcmp(r->code_hash, hash) || (image && !strcmp(image, hash));
}

static bool is_in(const struct text_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], text))
			return true;
	return false;
}

static int blob_leaves(struct registry *registry, const char *hash,
	const struct function_record *const *gone, size_t count, struct text_list *list,
	nova_error_t **error)
{
	uint64_t leaving = 0;
	bool unneeded = false;
	if (!hash || is_in(list, hash))
		return 0;
	for (size_t i = 0; i < count; i++)
		leaving += uses(gone[i], hash);
	int r = blob_unneeded(registry, hash, leaving, &unneeded, error);
	return unneeded && text_list_add(list, hash) < 0 ? nova_oom(error) : r;
}

int blobs_leave(struct registry *registry, const struct function_record *const *gone, size_t count,
	struct text_list *list, nova_error_t **error)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = blob_leaves(registry, gone[i]->code_hash, gone, count, list, error);
		if (r == 0)
			r = blob_leaves(registry, image_blob(gone[i]->config.image), gone, count,
				list, error);
	}
	return r;
}

int image_unneeded(
	struct registry *registry, const char *image, bool *ret_unneeded, nova_error_t **error)
{
	const char *hash = image_blob(image);
	*ret_unneeded = false;
	return hash ? blob_unneeded(registry, hash, 1, ret_unneeded, error) : 0;
}

void code_remove(struct registry *registry, const char *hash)
{
	AUTO_FREE char *compiled = compiled_path(registry, hash);
	registry->blobs->ops->remove(registry->blobs, hash, NULL);
	if (compiled)
		fs_remove_tree(compiled); /* what stays goes with the next blobs_tidy() */
}

void blob_drop(struct registry *registry, const char *hash)
{
	bool unneeded;
	if (blob_unneeded(registry, hash, 0, &unneeded, NULL) == 0 && unneeded)
		code_remove(registry, hash);
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
	if (registry->blobs->ops->lock(registry->blobs, false, &lock, NULL) < 0)
		return;
	blobs_sweep(registry->blobs, is_needed, registry);
	compiled_sweep(registry, blob_drop);
}

/* --- making one --- */

void unfinished_remove(struct unfinished *u)
{
	if (u->path)
		fs_unlink(u->path);
	free(u->path);
}

int image_copy(const char *from, const char *to, nova_error_t **error)
{
	struct stat st;
	AUTO_FD int in = sys_open(from, O_RDONLY, 0);
	int r = in < 0 ? in : sys_fstat(in, &st);
	AUTO_FD int out = r < 0 ? -1 : sys_open(to, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (r == 0 && out < 0)
		r = out;
	if (r == 0 && (r = sys_clone_file(in, out)) < 0)
		r = sys_copy_sparse(in, out, (uint64_t)st.st_size);
	return r < 0 ? nova_fail_os(error, r, "cannot copy '%s' to '%s'", from, to) : 0;
}

int code_disk_build(
	const char *path, const struct code_source *s, char hash[SHA256_HEX], nova_error_t **error)
{
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	if (s->disk) {
		snprintf(hash, SHA256_HEX, "%s", s->base->code_hash);
		return image_copy(s->disk, path, error);
	}
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
