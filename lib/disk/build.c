/* SPDX-License-Identifier: MIT */
/* nova_disk_build(): the checked options, and the image that appears whole or not at all. */
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"

static int check_opts(nova_disk_opts *o, const char *image, nova_error_t **error)
{
	if (!image || !*image)
		return nova_fail(
			error, NOVA_EINVAL, "nova_disk_build() needs the path of the image");
	if (!o->source == !o->data)
		return nova_fail(
			error, NOVA_EINVAL, "a code disk needs exactly one of source and data");
	if (o->reserved)
		return nova_fail(error, NOVA_EABI, "nova_disk_opts.reserved must be 0");
	if (o->flags & ~NOVA_DISK_KEEP_MODES)
		return nova_fail(
			error, NOVA_EINVAL, "flags: 0x%x has bits that are not defined", o->flags);
	if (o->label && strlen(o->label) > 16)
		return nova_fail(error, NOVA_EINVAL,
			"the volume label '%s' is longer than 16 bytes", o->label);
	if (!o->max_size || o->max_size > NOVA_DISK_MAX_SIZE)
		o->max_size = NOVA_DISK_MAX_SIZE;
	bool own = o->min_size != 0;
	if (!own)
		o->min_size =
			NOVA_DISK_DEFAULT_SIZE < o->max_size ? NOVA_DISK_DEFAULT_SIZE : o->max_size;
	if (o->min_size > o->max_size)
		return nova_fail(error, NOVA_EINVAL,
			"the smallest size of the image, %llu, is over the largest, %llu",
			(unsigned long long)o->min_size, (unsigned long long)o->max_size);
	return 0;
}

static int write_image(const char *image, const struct disk_tree *tree, const nova_disk_opts *o,
	nova_error_t **error)
{
	AUTO_FREE char *temp = NULL;
	AUTO_FD int fd = -1;
	int r = fs_temp_beside(image, 0644, &fd, &temp);
	if (r < 0)
		return nova_fail_os(error, r, "cannot make the image '%s'", image);
	r = disk_layout(tree, fd, o, error);
	if (r < 0) {
		fs_unlink(temp);
		return nova_wrap(error, r, "code disk '%s'", image);
	}
	r = fs_publish(fd, temp, image);
	if (r < 0) {
		fs_unlink(temp);
		return nova_fail_os(error, r, "cannot save the image '%s'", image);
	}
	return 0;
}

int nova_disk_build(const char *image, const nova_disk_opts *opts, nova_error_t **error)
{
	nova_disk_opts o;
	if (ANY_NULL(error, image, opts))
		return NOVA_EINVAL;
	int r = opts_import(&o, sizeof(o), opts, "nova_disk_opts", error);
	if (r == 0)
		r = check_opts(&o, image, error);
	if (r < 0)
		return r;
	struct stat existing;
	bool exists = sys_lstatat(AT_FDCWD, image, &existing) == 0;
	if (exists && S_ISDIR(existing.st_mode))
		return nova_fail(error, NOVA_EINVAL, "the image '%s' is a directory", image);
	struct disk_tree tree;
	r = disk_tree_walk(&tree, &o, exists ? &existing : NULL, error);
	if (r == 0)
		r = write_image(image, &tree, &o, error);
	else
		nova_wrap(error, r, "code disk of '%s'", o.source ? o.source : "memory");
	disk_tree_free(&tree);
	return r;
}

static int write_once(const char *image, const struct disk_tree *tree, const nova_disk_opts *o,
	nova_error_t **error)
{
	AUTO_FD int fd = sys_open(image, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return nova_fail_os(error, fd, "cannot make the image '%s'", image);
	int r = disk_layout(tree, fd, o, error);
	if (r < 0)
		fs_unlink(image);
	return r;
}

int disk_build_once(const char *image, const nova_disk_opts *opts, const struct disk_file *files,
	size_t count, nova_error_t **error)
{
	nova_disk_opts o = *opts;
	struct disk_tree tree;
	int r = check_opts(&o, image, error);
	if (r < 0)
		return r;
	r = disk_tree_walk(&tree, &o, NULL, error);
	if (r == 0)
		r = disk_tree_add(&tree, files, count, error);
	if (r == 0)
		r = write_once(image, &tree, &o, error);
	disk_tree_free(&tree);
	return r;
}
