/* SPDX-License-Identifier: MIT */
/* Where the kernel, the initramfs and the root filesystem of a guest are. */
#include <errno.h>

#include "image/image.h"
#include "vm/vm.h"

static const char *if_set(const nova_config_t *config, const char *key)
{
	return key && nova_config_source(config, key) != NOVA_CONFIG_DEFAULT ?
		       config_str(config, key) :
		       "";
}

int vm_find_images(nova_host_t *host, const struct engine_ops *ops, const char *name, char **kernel,
	char **initramfs, char **rootfs, nova_error_t **error)
{
	const nova_config_t *config = host_config(host);
	struct image_set *set = host_image_set(host);
	const char *own_kernel = if_set(config, ops->kernel_key);
	const char *own_rootfs = if_set(config, ops->rootfs_key),
		   *own_dir = if_set(config, ops->rootfs_dir_key);
	AUTO_FREE char *in_dir =
		*own_dir && !strchr(name, '/') ? str_format("%s/%s.ext4", own_dir, name) : NULL;
	int code = image_find_kernel(set, kernel, initramfs, error);
	if (code == 0 && *own_kernel) {
		free(*kernel);
		*kernel = NULL;
		int r = path_absolute(own_kernel, kernel);
		if (r == 0)
			r = fs_stat(*kernel, NULL, NULL);
		if (r == -ENOENT || r == -ENOTDIR || r == -EISDIR || r == -EINVAL)
			return nova_fail(error, NOVA_ENOTFOUND,
				"the setting %s names '%s', which is no file", ops->kernel_key,
				own_kernel);
		if (r < 0)
			return nova_fail_os(
				error, r, "the setting %s, '%s'", ops->kernel_key, own_kernel);
	}
	const char *wanted = strchr(name, '/') ? name :
			     *own_rootfs       ? own_rootfs :
			     in_dir            ? in_dir :
						 name;
	return code < 0 ? code : image_find_rootfs(set, wanted, rootfs, error);
}
