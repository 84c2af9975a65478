/* SPDX-License-Identifier: MIT */
/* A look into an image of any make: whether a file is there, and what is in it. */
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"

static int fail_ext2(struct disk_image *image, errcode_t code, nova_error_t **error)
{
	AUTO_FREE char *what = str_format("the root filesystem '%s'", image->path);
	return what ? disk_fail_ext2(error, code, what) : nova_oom(error);
}

static int check_whole(const struct disk_image *image, nova_error_t **error)
{
	struct stat st;
	uint64_t need = ext2fs_blocks_count(image->fs->super) * image->fs->blocksize;
	int r = sys_fstat(image->fd, &st);
	if (r < 0)
		return nova_fail_os(error, r, "the root filesystem '%s'", image->path);
	if (S_ISBLK(st.st_mode) || (uint64_t)st.st_size >= need)
		return 0;
	return nova_fail(error, NOVA_ECORRUPT,
		"the root filesystem '%s' is cut short: it has %llu of %llu bytes; make it anew",
		image->path, (unsigned long long)st.st_size, (unsigned long long)need);
}

int disk_image_open(const char *path, struct disk_image *ret, nova_error_t **error)
{
	char name[32];
	*ret = (struct disk_image){ path, -1, NULL };
	int r = ext2fs_load(error);
	if (r < 0)
		return r;
	ret->fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (ret->fd < 0)
		return nova_fail_os(error, ret->fd, "cannot open the root filesystem '%s'", path);
	disk_io_name(name, ret->fd);
	errcode_t code =
		ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, (io_manager)&disk_io_manager, &ret->fs);
	if (code == EXT2_ET_BAD_MAGIC || code == EXT2_ET_SHORT_READ)
		return nova_fail(error, NOVA_ECORRUPT,
			"the root filesystem '%s' is no ext4 image; make one with: novactl disk "
			"build DIRECTORY -o '%s'",
			path, path);
	return code ? fail_ext2(ret, code, error) : check_whole(ret, error);
}

void disk_image_close(struct disk_image *image)
{
	if (image->fs)
		ext2fs_free(image->fs);
	image->fs = NULL;
	fd_close(STEAL_FD(image->fd));
}

static int find(
	struct disk_image *image, const char *path, ext2_ino_t *ret_inode, nova_error_t **error)
{
	errcode_t code =
		ext2fs_namei_follow(image->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ret_inode);
	if (code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY)
		return 0;
	return code ? fail_ext2(image, code, error) : 1;
}

int disk_image_find(
	struct disk_image *image, const char *path, mode_t *ret_mode, nova_error_t **error)
{
	ext2_ino_t number;
	struct ext2_inode inode;
	int found = find(image, path, &number, error);
	if (found <= 0)
		return found;
	errcode_t code = ext2fs_read_inode(image->fs, number, &inode);
	if (code)
		return fail_ext2(image, code, error);
	*ret_mode = inode.i_mode;
	return 1;
}

static errcode_t read_file(ext2_file_t file, struct buf *out)
{
	for (;;) {
		unsigned room = out->max - out->len < DISK_BLOCK ? (unsigned)(out->max - out->len) :
								   DISK_BLOCK;
		unsigned got = 0;
		uint8_t *at = room ? buf_reserve(out, room) : NULL;
		if (!room)
			return 0;
		errcode_t code = at ? ext2fs_file_read(file, at, room, &got) : ENOMEM;
		out->len += got;
		if (code || !got)
			return code;
	}
}

int disk_image_read(
	struct disk_image *image, const char *path, struct buf *out, nova_error_t **error)
{
	ext2_ino_t number = 0;
	ext2_file_t file;
	int found = find(image, path, &number, error);
	if (found < 0)
		return found;
	errcode_t code = found ? ext2fs_file_open2(image->fs, number, NULL, 0, &file) :
				 EXT2_ET_FILE_NOT_FOUND;
	if (code)
		return fail_ext2(image, code, error);
	code = read_file(file, out);
	ext2fs_file_close(file);
	return code ? fail_ext2(image, code, error) : 0;
}
