/* SPDX-License-Identifier: MIT */
/*
 * Reading an image, without writing anything. It may come from anywhere, so it is taken only in the
 * narrow shape that nova_disk_build() gives it, and every number in it is held against the size of
 * the file: each inode is used once, and all content together is not larger than the image.
 */
#include <errno.h>

#include "disk/disk.h"

#define CHUNK (64u << 10)

struct reader {
	ext2_filsys fs;
	const char *image;
	uint8_t *used; /* one byte an inode */
	uint64_t left; /* bytes that files and directories may still claim */
	uint8_t *chunk;
	const struct disk_visitor *visitor;
	void *to;
	nova_error_t **error;
};

static int damaged(struct reader *x, const char *why)
{
	return nova_fail(
		x->error, NOVA_ECORRUPT, "the code disk '%s' is damaged: %s", x->image, why);
}

static int fail_ext2(struct reader *x, errcode_t code)
{
	AUTO_FREE char *what = str_format("the code disk '%s'", x->image);
	return what ? disk_fail_ext2(x->error, code, what) : nova_oom(x->error);
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

static int check_super(struct reader *x, int fd)
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

static int take_inode(struct reader *x, ext2_ino_t ino, struct ext2_inode *inode)
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
typedef int (*piece_fn)(struct reader *x, void *to, const uint8_t *data, size_t len);

static int read_open_file(struct reader *x, ext2_file_t file, uint64_t size, piece_fn put, void *to)
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
	struct reader *x, ext2_ino_t ino, struct ext2_inode *inode, piece_fn put, void *to)
{
	ext2_file_t file;
	errcode_t code = ext2fs_file_open2(x->fs, ino, inode, 0, &file);
	if (code)
		return fail_ext2(x, code);
	int r = read_open_file(x, file, EXT2_I_SIZE(inode), put, to);
	ext2fs_file_close(file);
	return r;
}

static int put_buffer(struct reader *x, void *to, const uint8_t *data, size_t len)
{
	return buf_append(to, data, len) < 0 ? nova_oom(x->error) : 0;
}

static int put_visitor(struct reader *x, void *to, const uint8_t *data, size_t len)
{
	return x->visitor->piece(to, data, len, x->error);
}

/* --- files, links, directories --- */

static int read_file(struct reader *x, ext2_ino_t ino, struct ext2_inode *inode, const char *name)
{
	uint64_t size = EXT2_I_SIZE(inode);
	if (!(inode->i_flags & EXT4_EXTENTS_FL) && size)
		return damaged(x, "a file has no extents");
	int r = x->visitor->begin_file(x->to, name, size, x->error);
	if (r == 0 && size)
		r = read_content(x, ino, inode, put_visitor, x->to);
	return r < 0 ? r : x->visitor->end_file(x->to, name, inode->i_mode & 0777, x->error);
}

static int read_link(struct reader *x, ext2_ino_t ino, struct ext2_inode *inode, const char *name)
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
	if (strlen(text) != size)
		return damaged(x, "a symbolic link has a zero byte in its target");
	return x->visitor->link(x->to, name, text, x->error);
}

static int read_directory(
	struct reader *x, ext2_ino_t ino, struct ext2_inode *inode, unsigned depth);

static int read_subdirectory(struct reader *x, ext2_ino_t ino, struct ext2_inode *inode,
	const char *name, unsigned depth)
{
	if (depth > DISK_MAX_DEPTH)
		return damaged(x, "its directories are too deep");
	int r = x->visitor->enter(x->to, name, x->error);
	if (r == 0)
		r = read_directory(x, ino, inode, depth);
	return r < 0 ? r : x->visitor->leave(x->to, name, inode->i_mode & 0777, x->error);
}

static int read_entry(struct reader *x, ext2_ino_t ino, const char *name, unsigned depth)
{
	struct ext2_inode inode;
	int r = take_inode(x, ino, &inode);
	if (r < 0)
		return r;
	switch (inode.i_mode & S_IFMT) {
	case S_IFREG:
		return read_file(x, ino, &inode, name);
	case S_IFLNK:
		return read_link(x, ino, &inode, name);
	case S_IFDIR:
		return read_subdirectory(x, ino, &inode, name, depth + 1);
	default:
		return damaged(x, "it holds something that is no file, directory or link");
	}
}

static size_t get16(const uint8_t *at)
{
	return (size_t)at[0] | (size_t)at[1] << 8;
}

#define ENTRY_HEAD 8 /* bytes of a directory's entry before its name */

/* One block of a directory; an entry with inode 0 is a gap. */
static int read_block(struct reader *x, const uint8_t *block, unsigned depth)
{
	for (size_t at = 0, size; at < DISK_BLOCK; at += size) {
		const uint8_t *entry = block + at;
		bool whole = DISK_BLOCK - at >= ENTRY_HEAD;
		size = whole ? get16(entry + 4) : 0;
		size_t len = whole ? entry[6] : 0;
		if (size % 4 || size > DISK_BLOCK - at || size < ENTRY_HEAD + len)
			return damaged(x, "a directory entry has a wrong length");
		ext2_ino_t ino = (ext2_ino_t)(get16(entry) | get16(entry + 2) << 16);
		char name[EXT2_NAME_LEN + 1];
		memcpy(name, entry + ENTRY_HEAD, len);
		name[len] = 0;
		if (!ino || (len == 1 && name[0] == '.') || (len == 2 && !strcmp(name, "..")))
			continue;
		if (strlen(name) != len || !disk_name_ok(name))
			return damaged(x, "a file has a name that is not allowed");
		int r = read_entry(x, ino, name, depth);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_directory(
	struct reader *x, ext2_ino_t ino, struct ext2_inode *inode, unsigned depth)
{
	uint64_t size = EXT2_I_SIZE(inode);
	if (!size || size % DISK_BLOCK || !(inode->i_flags & EXT4_EXTENTS_FL))
		return damaged(x, "a directory has an impossible size");
	AUTO_BUF struct buf entries = BUF_INIT(size);
	int r = read_content(x, ino, inode, put_buffer, &entries);
	for (size_t at = 0; r == 0 && at < entries.len; at += DISK_BLOCK)
		r = read_block(x, entries.data + at, depth);
	return r;
}

static int read_all(struct reader *x)
{
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
	return read_directory(x, EXT2_ROOT_INO, &root, 0);
}

int disk_read(int fd, const char *image, const struct disk_visitor *visitor, void *to,
	nova_error_t **error)
{
	struct reader x = { .image = image, .visitor = visitor, .to = to, .error = error };
	int r = ext2fs_load(error);
	if (r == 0)
		r = check_super(&x, fd);
	if (r < 0)
		return r;
	char name[32];
	disk_io_name(name, fd);
	errcode_t code =
		ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, (io_manager)&disk_io_manager, &x.fs);
	if (!code)
		code = ext2fs_check_desc(x.fs);
	r = code ? fail_ext2(&x, code) : read_all(&x);
	free(x.used);
	free(x.chunk);
	if (x.fs)
		ext2fs_free(x.fs);
	return r;
}
