/* SPDX-License-Identifier: MIT */
/*
 * Code disks: one image per code, named by its SHA-256, in disks/ of the state directory. Whoever
 * changes something there has the lock.
 */
#include <errno.h>
#include <fcntl.h>

#include <nova/disk.h>

#include "registry/internal.h"

/* begins the names of images being built, and of the builder's own temporaries */
#define UNFINISHED ".new-"

static bool is_disk_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == SHA256_HEX - 1 &&
	       !strcmp(name + SHA256_HEX - 1, ".ext4");
}

char *registry_disk_path(const struct registry *registry, const char *code_hash)
{
	return str_format("%s/%s.ext4", registry->disks, code_hash);
}

int code_disks_lock(struct registry *registry, bool wait, int *ret_fd)
{
	AUTO_FREE char *path = path_join(registry->disks, ".lock");
	return path ? fs_lock(path, wait, ret_fd) : -ENOMEM;
}

int code_disk_unused(struct registry *registry, const char *code_hash, uint64_t leaving,
	char **ret_path, nova_error_t **error)
{
	uint64_t users;
	int r = registry->store->ops->functions->count_code_users(
		registry->store, code_hash, &users, error);
	if (r < 0 || users > leaving)
		return r;
	*ret_path = registry_disk_path(registry, code_hash);
	return *ret_path ? 0 : nova_oom(error);
}

void code_disk_drop(struct registry *registry, const char *code_hash)
{
	AUTO_FREE char *path = NULL;
	if (code_disk_unused(registry, code_hash, 0, &path, NULL) == 0 && path)
		fs_unlink(path);
}

/* What a killed process left behind. Whoever holds the lock is the only one who can be building, so
 * every unfinished image is then a left-over; if somebody else holds it, tidying is for the next
 * time. */
void code_disks_tidy(struct registry *registry)
{
	AUTO_FD int lock = -1;
	char **names;
	if (code_disks_lock(registry, false, &lock) < 0)
		return;
	int count = fs_list(registry->disks, &names);
	for (int i = 0; i < count; i++) {
		if (str_starts(names[i], UNFINISHED)) {
			AUTO_FREE char *path = path_join(registry->disks, names[i]);
			if (path)
				fs_unlink(path);
		} else if (is_disk_name(names[i])) {
			names[i][SHA256_HEX - 1] = 0;
			code_disk_drop(registry, names[i]);
		}
	}
	if (count >= 0)
		strv_free(names, (size_t)count);
}

/* --- making one --- */

void unfinished_remove(struct unfinished *u)
{
	if (u->path)
		fs_unlink(u->path);
	free(u->path);
}

int code_disk_build(
	const char *path, const nova_function_opts *o, char hash[SHA256_HEX], nova_error_t **error)
{
	nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
	disk.source = o->code_path;
	disk.data = o->code;
	disk.data_len = o->code_len;
	int r = nova_disk_build(path, &disk, error);
	if (r < 0)
		return nova_wrap(error, r, "code");
	r = sha256_file_hex(path, hash);
	return r < 0 ? nova_fail_os(error, r, "cannot read the code disk %s", path) : 0;
}

int code_disk_new(struct registry *registry, const nova_function_opts *o, struct unfinished *ret,
	char hash[SHA256_HEX], nova_error_t **error)
{
	char random[17];
	int r = random_hex(random, 16);
	if (r < 0)
		return nova_fail_os(error, r, "cannot get random bytes");
	ret->path = str_format("%s/" UNFINISHED "%s", registry->disks, random);
	return ret->path ? code_disk_build(ret->path, o, hash, error) : nova_oom(error);
}

/* One that is there already stays: it has the same content, unless it
 * was cut short. */
int code_disk_place(
	struct registry *registry, struct unfinished *u, const char *hash, nova_error_t **error)
{
	AUTO_FREE char *path = registry_disk_path(registry, hash);
	if (!path)
		return nova_oom(error);
	uint64_t made, stored;
	if (fs_stat(u->path, &made, NULL) == 0 && fs_stat(path, &stored, NULL) == 0 &&
		made == stored)
		return 0;
	AUTO_FD int fd = sys_open(u->path, O_RDONLY, 0);
	int r = fd < 0 ? fd : fs_publish(fd, u->path, path);
	return r < 0 ? nova_fail_os(error, r, "cannot store the code disk %s", path) : 0;
}
