/* SPDX-License-Identifier: MIT */
/* Where the images are. */
#include <errno.h>
#include <fcntl.h>

#include "image/image.h"

/* 1, 0 or -errno. */
static int has_manifest(const char *directory)
{
	AUTO_FREE char *path = path_join(directory, IMAGE_MANIFEST);
	int r = path ? fs_exists(path) : -ENOMEM;
	return r == -EACCES ? 0 : r; /* not for this user, so the next place is looked at */
}

static int take(const char *directory, char **ret, nova_error_t **error)
{
	*ret = strdup(directory);
	return *ret ? 0 : nova_oom(error);
}

int image_find_directory(
	const char *configured, bool environment, char **ret_directory, nova_error_t **error)
{
	if (configured && *configured) {
		int r = has_manifest(configured);
		if (r < 0)
			return nova_fail_os(error, r, "guest images in '%s'", configured);
		if (r > 0)
			return take(configured, ret_directory, error);
		return nova_fail(error, NOVA_ENOTFOUND,
			"there are no guest images in '%s'; make them with: tools/images --dir "
			"'%s'",
			configured, configured);
	}
	AUTO_FREE char *cache = NULL;
	int code = image_cache_path("images", environment, &cache, error);
	if (code < 0)
		return code;
	const char *const places[] = { cache, IMAGE_INSTALLED };
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int r = places[i] ? has_manifest(places[i]) : 0;
		if (r < 0)
			return nova_fail_os(error, r, "guest images in '%s'", places[i]);
		if (r > 0)
			return take(places[i], ret_directory, error);
	}
	return nova_fail(error, NOVA_ENOTFOUND,
		"there are no guest images in '%s' and '%s'; make them with: tools/images",
		cache ? cache : "~/.cache/nova/images", IMAGE_INSTALLED);
}

/* --- what is known of a set --- */

/* A file that was found whole. */
struct image_known {
	char *path;
	struct image_seen seen;
};

void image_set_init(struct image_set *set)
{
	pthread_mutex_init(&set->lock, NULL);
}

void image_set_done(struct image_set *set)
{
	for (size_t i = 0; i < set->known_count; i++)
		free(set->known[i].path);
	free(set->known);
	pthread_mutex_destroy(&set->lock);
}

static struct image_known *find_known(struct image_set *set, const char *path)
{
	for (size_t i = 0; i < set->known_count; i++)
		if (!strcmp(set->known[i].path, path))
			return &set->known[i];
	return NULL;
}

static bool is_known(struct image_set *set, const char *path, const struct image_seen *seen)
{
	pthread_mutex_lock(&set->lock);
	const struct image_known *known = find_known(set, path);
	bool same = known && known->seen.size == seen->size &&
		    known->seen.mtime_ns == seen->mtime_ns && known->seen.inode == seen->inode;
	pthread_mutex_unlock(&set->lock);
	return same;
}

static struct image_known *add_known(struct image_set *set, const char *path)
{
	struct image_known *longer =
		realloc(set->known, (set->known_count + 1) * sizeof(*set->known));
	if (!longer)
		return NULL;
	set->known = longer;
	longer[set->known_count].path = strdup(path);
	return longer[set->known_count].path ? &longer[set->known_count++] : NULL;
}

/* To forget it, for want of memory, costs one more look. */
static void remember(struct image_set *set, const char *path, const struct image_seen *seen)
{
	pthread_mutex_lock(&set->lock);
	struct image_known *known = find_known(set, path);
	if (!known)
		known = add_known(set, path);
	if (known)
		known->seen = *seen;
	pthread_mutex_unlock(&set->lock);
}

/* Of one that is not there all is 0. */
static struct image_seen look_at(const char *path)
{
	struct stat st;
	AUTO_FD int fd = sys_open(path, O_PATH, 0);
	if (fd < 0 || sys_fstat(fd, &st) < 0)
		return (struct image_seen){ 0 };
	return (struct image_seen){ .size = (uint64_t)st.st_size,
		.mtime_ns = timespec_to_ns(&st.st_mtim),
		.inode = st.st_ino };
}

static int find_checked(struct image_set *set, const char *name, char **ret, nova_error_t **error)
{
	AUTO_FREE char *path = path_join(set->directory, name);
	if (!path)
		return nova_oom(error);
	/* before the check: what changes meanwhile is looked up once more */
	const struct image_seen seen = look_at(path);
	if (!seen.inode || !is_known(set, path, &seen)) {
		int r = image_check(set->directory, name, set->environment, error);
		if (r < 0)
			return r;
		remember(set, path, &seen);
	}
	*ret = STEAL(path);
	return 0;
}

/* --- the images of a guest --- */

int image_find_kernel(
	struct image_set *set, char **ret_vmlinux, char **ret_initramfs, nova_error_t **error)
{
	AUTO_FREE char *vmlinux = NULL;
	int r = find_checked(set, IMAGE_KERNEL, &vmlinux, error);
	if (r == 0)
		r = find_checked(set, IMAGE_INITRAMFS, ret_initramfs, error);
	if (r == 0)
		*ret_vmlinux = STEAL(vmlinux);
	return r;
}

/* An image of the user's own is in no MANIFEST; that it is a file with ext4's magic number is what
 * can be known. */
static int find_own_rootfs(const char *path, char **ret, nova_error_t **error)
{
	AUTO_FD int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return nova_fail_os(error, fd, "cannot open the root filesystem '%s'", path);
	uint8_t magic[2];
	int r = sys_pread_all(fd, magic, sizeof(magic), 1024 + 56);
	if (r < 0 && r != -ENODATA)
		return nova_fail_os(error, r, "cannot read the root filesystem '%s'", path);
	if (r < 0 || magic[0] != 0x53 || magic[1] != 0xef)
		return nova_fail(error, NOVA_ECORRUPT,
			"the root filesystem '%s' is no ext4 image; make one with: novactl disk "
			"build DIRECTORY -o '%s'",
			path, path);
	return take(path, ret, error);
}

int image_find_rootfs(
	struct image_set *set, const char *name, char **ret_path, nova_error_t **error)
{
	if (strchr(name, '/'))
		return find_own_rootfs(name, ret_path, error);
	AUTO_FREE char *path = str_format("rootfs/%s.ext4", name);
	return path ? find_checked(set, path, ret_path, error) : nova_oom(error);
}
