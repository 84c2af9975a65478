/* SPDX-License-Identifier: MIT */
/*
 * nova_disk_extract(). The image may come from anywhere, so it is taken only in the narrow shape
 * that nova_disk_build() gives it, and every number in it is held against the size of the file:
 * each inode is used once, and all content together is not larger than the image.
 */
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"

#define CHUNK (64u << 10)

struct extract {
	ext2_filsys fs;
	const char *image;
	uint8_t *used; /* one byte an inode */
	uint64_t left; /* bytes that files and directories may still claim */
	uint8_t *chunk;
	nova_error_t **error;
};

static int damaged(struct extract *x, const char *why)
{
	return nova_fail(
		x->error, NOVA_ECORRUPT, "the code disk '%s' is damaged: %s", x->image, why);
}

static int fail_ext2(struct extract *x, errcode_t code)
{
	AUTO_FREE char *what = str_format("the code disk '%s'", x->image);
	return what ? disk_fail_ext2(x->error, code, what) : nova_oom(x->error);
}

static int fail_output(struct extract *x, int r, const char *name)
{
	return nova_fail_os(x->error, r, "cannot write '%s' of the code disk '%s'", name, x->image);
}

/* --- the superblock, looked at before libext2fs allocates anything by its numbers --- */

static const char *super_fault(const struct ext2_super_block *s, uint64_t bytes)
{
	if (s->s_magic != EXT2_SUPER_MAGIC || s->s_rev_level != EXT2_DYNAMIC_REV)
		return "it is no ext4 file system";
	if (s->s_feature_incompat != DISK_INCOMPAT || s->s_feature_ro_compat != DISK_RO_COMPAT ||
		s->s_feature_compat)
		return "it has features that nova_disk_build() does not use";
	if (s->s_log_block_size != 2 || s->s_log_cluster_size != 2 || s->s_inode_size != 256 ||
		s->s_first_data_block)
		return "its geometry is not that of nova_disk_build()";
	if (s->s_blocks_per_group != 8 * DISK_BLOCK ||
		s->s_clusters_per_group != s->s_blocks_per_group)
		return "its block groups have a wrong size";
	if (!s->s_blocks_count || (uint64_t)s->s_blocks_count * DISK_BLOCK > bytes)
		return "it is shorter than its file system";
	if ((uint64_t)s->s_inodes_count * 256 > bytes || s->s_inodes_per_group > 8 * DISK_BLOCK)
		return "it claims too many inodes";
	if (s->s_first_ino != EXT2_GOOD_OLD_FIRST_INO || !(s->s_state & EXT2_VALID_FS))
		return "it was not completed";
	return NULL;
}

static int check_super(struct extract *x, int fd)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	if (r < 0)
		return nova_fail_os(x->error, r, "cannot look at the code disk '%s'", x->image);
	if (!S_ISREG(st.st_mode))
		return damaged(x, "it is not a file");
	struct ext2_super_block super;
	r = sys_pread_all(fd, &super, sizeof(super), SUPERBLOCK_OFFSET);
	if (r == -ENODATA)
		return damaged(x, "it is too short");
	if (r < 0)
		return nova_fail_os(x->error, r, "cannot read the code disk '%s'", x->image);
	const char *fault = super_fault(&super, (uint64_t)st.st_size);
	return fault ? damaged(x, fault) : 0;
}

/* --- inodes --- */

static const char *inode_fault(const struct ext2_inode *inode)
{
	static const uint8_t extent_magic[2] = { 0x0a, 0xf3 };
	const uint8_t *head = (const uint8_t *)inode->i_block;
	if (inode->i_flags & ~(__u32)EXT4_EXTENTS_FL)
		return "a file has flags that nova_disk_build() does not set";
	if (!(inode->i_flags & EXT4_EXTENTS_FL))
		return EXT2_I_SIZE(inode) < sizeof(inode->i_block) ? NULL : "a file has no extents";
	/* One level below the inode is enough for the largest image; more would only cost time. */
	if (memcmp(head, extent_magic, 2) || head[6] > 1 || head[7])
		return "a file has a bad extent header";
	return NULL;
}

static int take_inode(struct extract *x, ext2_ino_t ino, struct ext2_inode *inode)
{
	if (ino > x->fs->super->s_inodes_count ||
		(ino < EXT2_GOOD_OLD_FIRST_INO && ino != EXT2_ROOT_INO))
		return damaged(x, "a directory names an inode that does not exist");
	if (x->used[ino - 1]++)
		return damaged(x, "an inode is used twice");
	errcode_t code = ext2fs_read_inode(x->fs, ino, inode);
	if (code)
		return fail_ext2(x, code);
	const char *fault = inode_fault(inode);
	if (fault)
		return damaged(x, fault);
	uint64_t size = EXT2_I_SIZE(inode);
	if (size > x->left)
		return damaged(x, "its files claim to be larger than the image");
	x->left -= size;
	return 0;
}

/* Calls `put` with each piece of an inode's content, in order. */
typedef int (*piece_fn)(struct extract *x, void *to, const uint8_t *data, size_t len);

static int read_open_file(
	struct extract *x, ext2_file_t file, uint64_t size, piece_fn put, void *to)
{
	while (size) {
		unsigned want = size < CHUNK ? (unsigned)size : CHUNK, got = 0;
		errcode_t code = ext2fs_file_read(file, x->chunk, want, &got);
		if (code)
			return fail_ext2(x, code);
		if (got != want)
			return damaged(x, "a file ends early");
		int r = put(x, to, x->chunk, got);
		if (r < 0)
			return r;
		size -= got;
	}
	return 0;
}

static int read_content(
	struct extract *x, ext2_ino_t ino, struct ext2_inode *inode, piece_fn put, void *to)
{
	ext2_file_t file;
	errcode_t code = ext2fs_file_open2(x->fs, ino, inode, 0, &file);
	if (code)
		return fail_ext2(x, code);
	int r = read_open_file(x, file, EXT2_I_SIZE(inode), put, to);
	ext2fs_file_close(file);
	return r;
}

static int put_buffer(struct extract *x, void *to, const uint8_t *data, size_t len)
{
	return buf_append(to, data, len) < 0 ? nova_oom(x->error) : 0;
}

struct output {
	int fd;
	const char *name;
	uint64_t at;
};

static int put_file(struct extract *x, void *to, const uint8_t *data, size_t len)
{
	struct output *out = to;
	int r = disk_all_zero(data, len) ? 0
					 : sys_pwrite_all(out->fd, data, len,
						   out->at); /* the file is born as a hole */
	out->at += len;
	return r < 0 ? fail_output(x, r, out->name) : 0;
}

/* --- files, links, directories --- */

static int extract_file(
	struct extract *x, ext2_ino_t ino, struct ext2_inode *inode, int dir, const char *name)
{
	if (!(inode->i_flags & EXT4_EXTENTS_FL) && EXT2_I_SIZE(inode))
		return damaged(x, "a file has no extents");
	AUTO_FD int fd = sys_openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail_output(x, fd, name);
	struct output out = { fd, name, 0 };
	int r = sys_truncate(fd, EXT2_I_SIZE(inode));
	if (r < 0)
		return fail_output(x, r, name);
	r = EXT2_I_SIZE(inode) ? read_content(x, ino, inode, put_file, &out) : 0;
	if (r < 0)
		return r;
	r = sys_fchmod(fd, inode->i_mode & 0777);
	return r < 0 ? fail_output(x, r, name) : 0;
}

static int extract_link(struct extract *x, ext2_ino_t ino, struct ext2_inode *inode, int dir,
	const char *name, unsigned depth)
{
	uint64_t size = EXT2_I_SIZE(inode);
	if (!size || size >= DISK_BLOCK)
		return damaged(x, "a symbolic link has an impossible length");
	AUTO_BUF struct buf target = BUF_INIT(DISK_BLOCK);
	int r;
	if (inode->i_flags & EXT4_EXTENTS_FL)
		r = read_content(x, ino, inode, put_buffer, &target);
	else
		r = put_buffer(x, &target, (const uint8_t *)inode->i_block, (size_t)size);
	if (r < 0)
		return r;
	AUTO_FREE char *text = buf_steal_str(&target);
	if (!text)
		return nova_oom(x->error);
	if (strlen(text) != size || !disk_link_ok(text, depth))
		return damaged(x, "a symbolic link leads out of it");
	r = sys_symlinkat(text, dir, name);
	return r < 0 ? fail_output(x, r, name) : 0;
}

static int extract_directory(
	struct extract *x, ext2_ino_t ino, struct ext2_inode *inode, int dir, unsigned depth);

static int extract_subdirectory(struct extract *x, ext2_ino_t ino, struct ext2_inode *inode,
	int dir, const char *name, unsigned depth)
{
	if (depth > DISK_MAX_DEPTH)
		return damaged(x, "its directories are too deep");
	int r = sys_mkdirat(dir, name, 0700);
	if (r < 0)
		return fail_output(x, r, name);
	AUTO_FD int fd = sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fail_output(x, fd, name);
	r = extract_directory(x, ino, inode, fd, depth);
	if (r < 0)
		return r;
	r = sys_fchmod(fd, inode->i_mode & 0777);
	return r < 0 ? fail_output(x, r, name) : 0;
}

static int extract_entry(
	struct extract *x, ext2_ino_t ino, const char *name, int dir, unsigned depth)
{
	struct ext2_inode inode;
	int r = take_inode(x, ino, &inode);
	if (r < 0)
		return r;
	switch (inode.i_mode & S_IFMT) {
	case S_IFREG:
		return extract_file(x, ino, &inode, dir, name);
	case S_IFLNK:
		return extract_link(x, ino, &inode, dir, name, depth);
	case S_IFDIR:
		return extract_subdirectory(x, ino, &inode, dir, name, depth + 1);
	default:
		return damaged(x, "it holds something that is no file, directory or link");
	}
}

static size_t get16(const uint8_t *at)
{
	return (size_t)at[0] | (size_t)at[1] << 8;
}

/* One block of a directory; an entry with inode 0 is a gap. */
static int extract_block(struct extract *x, const uint8_t *block, int dir, unsigned depth)
{
	for (size_t at = 0, size; at < DISK_BLOCK; at += size) {
		const uint8_t *entry = block + at;
		size = get16(entry + 4);
		size_t len = entry[6];
		if (size < 8 || size % 4 || size > DISK_BLOCK - at || 8 + len > size)
			return damaged(x, "a directory entry has a wrong length");
		ext2_ino_t ino = (ext2_ino_t)(get16(entry) | get16(entry + 2) << 16);
		char name[EXT2_NAME_LEN + 1];
		memcpy(name, entry + 8, len);
		name[len] = 0;
		if (!ino || (len == 1 && name[0] == '.') || (len == 2 && !strcmp(name, "..")))
			continue;
		if (strlen(name) != len || !disk_name_ok(name))
			return damaged(x, "a file has a name that is not allowed");
		int r = extract_entry(x, ino, name, dir, depth);
		if (r < 0)
			return r;
	}
	return 0;
}

static int extract_directory(
	struct extract *x, ext2_ino_t ino, struct ext2_inode *inode, int dir, unsigned depth)
{
	uint64_t size = EXT2_I_SIZE(inode);
	if (!size || size % DISK_BLOCK || !(inode->i_flags & EXT4_EXTENTS_FL))
		return damaged(x, "a directory has an impossible size");
	AUTO_BUF struct buf entries = BUF_INIT(size);
	int r = read_content(x, ino, inode, put_buffer, &entries);
	for (size_t at = 0; r == 0 && at < entries.len; at += DISK_BLOCK)
		r = extract_block(x, entries.data + at, dir, depth);
	return r;
}

static int extract_all(struct extract *x, const char *directory)
{
	AUTO_FD int dir = sys_open(directory, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return nova_fail_os(x->error, dir, "cannot open the directory '%s'", directory);
	x->left = (uint64_t)x->fs->super->s_blocks_count * DISK_BLOCK;
	x->used = calloc(x->fs->super->s_inodes_count, 1);
	x->chunk = malloc(CHUNK);
	if (!x->used || !x->chunk)
		return nova_oom(x->error);
	struct ext2_inode root;
	int r = take_inode(x, EXT2_ROOT_INO, &root);
	if (r < 0)
		return r;
	if (!S_ISDIR(root.i_mode))
		return damaged(x, "it has no root directory");
	return extract_directory(x, EXT2_ROOT_INO, &root, dir, 0);
}

static int extract_image(struct extract *x, const char *directory)
{
	AUTO_FD int fd = sys_open(x->image, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return nova_fail_os(x->error, fd, "cannot open the code disk '%s'", x->image);
	int r = check_super(x, fd);
	if (r < 0)
		return r;
	char name[32];
	disk_io_name(name, fd);
	errcode_t code =
		ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, (io_manager)&disk_io_manager, &x->fs);
	if (!code)
		code = ext2fs_check_desc(x->fs);
	r = code ? fail_ext2(x, code) : extract_all(x, directory);
	free(x->used);
	free(x->chunk);
	if (x->fs)
		ext2fs_free(x->fs);
	return r;
}

/* Removes what a failed extraction has written. */
static void tidy(const char *directory)
{
	char **names = NULL;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(directory, names[i]);
		if (path)
			fs_remove_tree(path);
	}
	strv_free(names, count > 0 ? (size_t)count : 0);
}

static void drop_empty_lost(const char *directory)
{
	AUTO_FREE char *lost = path_join(directory, DISK_LOST);
	char **names = NULL;
	int count = lost ? fs_list(lost, &names) : -1;
	if (count == 0)
		fs_remove_tree(lost);
	strv_free(names, count > 0 ? (size_t)count : 0);
}

int nova_disk_extract(const char *image, const char *directory, nova_error_t **error)
{
	if (!image || !directory)
		return nova_fail(
			error, NOVA_EINVAL, "nova_disk_extract() needs an image and a directory");
	char **names = NULL;
	int count = fs_list(directory, &names);
	strv_free(names, count > 0 ? (size_t)count : 0);
	if (count < 0)
		return nova_fail_os(error, count, "cannot read the directory '%s'", directory);
	if (count)
		return nova_fail(error, NOVA_EEXIST, "the directory '%s' is not empty", directory);
	struct extract x = { .image = image, .error = error };
	int r = extract_image(&x, directory);
	if (r < 0)
		tidy(directory);
	else
		drop_empty_lost(directory);
	return r;
}
