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

static int find_checked(
	const char *directory, const char *path, bool environment, char **ret, nova_error_t **error)
{
	int r = image_check(directory, path, environment, error);
	if (r < 0)
		return r;
	*ret = path_join(directory, path);
	return *ret ? 0 : nova_oom(error);
}

int image_find_kernel(const char *directory, bool environment, char **ret_vmlinux,
	char **ret_initramfs, nova_error_t **error)
{
	AUTO_FREE char *vmlinux = NULL;
	int r = find_checked(directory, IMAGE_KERNEL, environment, &vmlinux, error);
	if (r == 0)
		r = find_checked(directory, IMAGE_INITRAMFS, environment, ret_initramfs, error);
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

int image_find_rootfs(const char *directory, const char *name, bool environment, char **ret_path,
	nova_error_t **error)
{
	if (strchr(name, '/'))
		return find_own_rootfs(name, ret_path, error);
	AUTO_FREE char *path = str_format("rootfs/%s.ext4", name);
	return path ? find_checked(directory, path, environment, ret_path, error) : nova_oom(error);
}
