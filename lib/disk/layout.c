/* SPDX-License-Identifier: MIT */
/*
 * Lays a tree out into ext4: libext2fs keeps the superblock, bitmaps, inodes and extents; names and
 * content are packed here and written straight to the file. Blocks and inodes are given out in tree
 * order.
 */
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"

#define BORN      1577836800u /* the one time of every file: 2020-01-01 */
#define CHUNK     (256u << 10)
#define MAX_RANGE 32768u /* blocks of one extent */

struct layout {
	ext2_filsys fs;
	int fd;
	uint64_t goal; /* where the next free block is looked for */
	uint8_t *chunk;
	nova_error_t **error;
};

struct ranges {
	struct ext2fs_extent *list;
	size_t count;
};

/* Spells "novaco@d.edisk" in the shape of a version 4 UUID. */
static const uint8_t volume_id[16] = { 0x6e, 0x6f, 0x76, 0x61, 0x63, 0x6f, 0x40, 0x64, 0x80, 0x65,
	0x64, 0x69, 0x73, 0x6b, 0x00, 0x01 };

static int fail_at(struct layout *l, const struct disk_node *node, int code, const char *why)
{
	AUTO_FREE char *path = disk_node_path(node);
	return path ? nova_fail(l->error, code, "'%s' %s", path, why) : nova_oom(l->error);
}

static int fail_os_at(struct layout *l, const struct disk_node *node, int r, const char *what)
{
	AUTO_FREE char *path = disk_node_path(node);
	return path ? nova_fail_os(l->error, r, "%s '%s'", what, path) : nova_oom(l->error);
}

static int fail_ext2(struct layout *l, errcode_t code)
{
	return disk_fail_ext2(l->error, code, "the new image");
}

/* --- blocks --- */

static int ranges_add(struct ranges *r, struct ext2fs_extent extent)
{
	struct ext2fs_extent *grown = realloc(r->list, (r->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->list = grown;
	r->list[r->count++] = extent;
	return 0;
}

static int take_blocks(struct layout *l, uint64_t blocks, struct ranges *out)
{
	for (uint64_t logical = 0; logical < blocks;) {
		blk64_t at, want = blocks - logical, len;
		if (want > MAX_RANGE)
			want = MAX_RANGE;
		errcode_t code = ext2fs_new_range(l->fs, 0, l->goal, want, NULL, &at, &len);
		if (code)
			return fail_ext2(l, code);
		ext2fs_block_alloc_stats_range(l->fs, at, (blk_t)len, +1);
		struct ext2fs_extent extent = {
			.e_pblk = at, .e_lblk = logical, .e_len = (__u32)len
		};
		if (ranges_add(out, extent) < 0)
			return nova_oom(l->error);
		logical += len;
		l->goal = at + len;
	}
	return 0;
}

static int write_inode(struct layout *l, const struct disk_node *node, const struct ranges *ranges,
	struct ext2_inode_large *inode)
{
	struct ext2_inode *small = (struct ext2_inode *)inode;
	errcode_t code = 0;
	if (ranges->count) {
		ext2_extent_handle_t handle = NULL;
		code = ext2fs_extent_open2(l->fs, node->inode, small, &handle);
		for (size_t i = 0; i < ranges->count && !code; i++) {
			code = ext2fs_extent_insert(
				handle, EXT2_EXTENT_INSERT_AFTER, &ranges->list[i]);
			if (!code)
				code = ext2fs_iblk_add_blocks(l->fs, small, ranges->list[i].e_len);
		}
		if (handle)
			ext2fs_extent_free(handle);
	}
	if (!code)
		code = ext2fs_write_inode_full(l->fs, node->inode, small, sizeof(*inode));
	if (code)
		return fail_ext2(l, code);
	ext2fs_inode_alloc_stats2(l->fs, node->inode, +1, S_ISDIR(node->mode));
	return 0;
}

static struct ext2_inode_large new_inode(const struct disk_node *node)
{
	struct ext2_inode_large inode = {
		.i_mode = node->mode,
		.i_links_count = 1,
		.i_atime = BORN,
		.i_ctime = BORN,
		.i_mtime = BORN,
		.i_crtime = BORN,
		.i_extra_isize = sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE,
		.i_size = (__u32)node->size,
		.i_size_high = (__u32)(node->size >> 32),
	};
	return inode;
}

/* --- content --- */

/* Writes whole blocks, leaving holes in the image file where they are zero: the image stays sparse.
 */
static int put_blocks(int fd, const uint8_t *data, size_t len, uint64_t at)
{
	for (size_t from = 0; from < len;) {
		if (disk_all_zero(data + from, DISK_BLOCK)) {
			from += DISK_BLOCK;
			continue;
		}
		size_t to = from + DISK_BLOCK;
		while (to < len && !disk_all_zero(data + to, DISK_BLOCK))
			to += DISK_BLOCK;
		int r = sys_pwrite_all(fd, data + from, to - from, at + from);
		if (r < 0)
			return r;
		from = to;
	}
	return 0;
}

/* Where the content of one file comes from. */
struct input {
	const struct disk_node *node;
	int fd; /* -1: memory */
	uint64_t at;
};

/* Fills the chunk with the next `len` bytes and pads it with zeros to whole blocks. */
static int next_chunk(struct layout *l, struct input *in, size_t len)
{
	if (in->fd < 0) {
		memcpy(l->chunk, (const uint8_t *)in->node->data + in->at, len);
	} else {
		int r = sys_pread_all(in->fd, l->chunk, len, in->at);
		if (r == -ENODATA)
			return fail_at(l, in->node, NOVA_EBUSY, "became shorter while it was read");
		if (r < 0)
			return fail_os_at(l, in->node, r, "cannot read");
	}
	in->at += len;
	size_t padded = (len + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
	memset(l->chunk + len, 0, padded - len);
	return 0;
}

static int copy_content(struct layout *l, struct input *in, const struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++) {
		uint64_t at = ranges->list[i].e_pblk * DISK_BLOCK;
		uint64_t left = (uint64_t)ranges->list[i].e_len * DISK_BLOCK;
		for (uint64_t step; left; left -= step, at += step) {
			step = left < CHUNK ? left : CHUNK;
			uint64_t rest = in->node->size - in->at;
			int r = next_chunk(l, in, (size_t)(rest < step ? rest : step));
			if (r < 0)
				return r;
			r = put_blocks(l->fd, l->chunk, (size_t)step, at);
			if (r < 0)
				return nova_fail_os(l->error, r, "cannot write the image");
		}
	}
	return 0;
}

static bool unchanged(const struct disk_node *node, const struct stat *st)
{
	uint64_t mtime = timespec_to_ns(&st->st_mtim);
	return st->st_dev == node->device && st->st_ino == node->file &&
	       (S_ISDIR(node->mode) ||
		       ((uint64_t)st->st_size == node->size && mtime == node->mtime_ns));
}

static int check_unchanged(struct layout *l, const struct disk_node *node, int fd)
{
	struct stat st;
	int r = sys_fstat(fd, &st);
	if (r < 0)
		return fail_os_at(l, node, r, "cannot look at");
	return unchanged(node, &st) ?
		       0 :
		       fail_at(l, node, NOVA_EBUSY, "changed while it was read; try again");
}

/* Files of /proc have content beyond their size, and never change it. */
static int check_at_end(struct layout *l, const struct disk_node *node, int fd)
{
	uint8_t byte;
	if (sys_pread_all(fd, &byte, 1, node->size) == 0)
		return fail_at(l, node, NOVA_EBUSY, "became longer while it was read");
	return check_unchanged(l, node, fd);
}

static int place_file(struct layout *l, const struct disk_node *node, int fd)
{
	struct ranges ranges = { NULL, 0 };
	int r = fd < 0 ? 0 : check_unchanged(l, node, fd);
	if (r == 0)
		r = take_blocks(l, disk_node_blocks(node), &ranges);
	AUTO_FREE struct ext2fs_extent *list = ranges.list;
	struct input in = { node, fd, 0 };
	if (r == 0)
		r = copy_content(l, &in, &ranges);
	if (r == 0 && fd >= 0)
		r = check_at_end(l, node, fd);
	struct ext2_inode_large inode = new_inode(node);
	return r < 0 ? r : write_inode(l, node, &ranges, &inode);
}

static int place_link(struct layout *l, const struct disk_node *node)
{
	struct ext2_inode_large inode = new_inode(node);
	struct ranges none = { NULL, 0 };
	if (disk_node_blocks(node)) {
		struct disk_node as_file = *node;
		as_file.data = node->target;
		return place_file(l, &as_file, -1);
	}
	memcpy(inode.i_block, node->target, node->size);
	return write_inode(l, node, &none, &inode);
}

static int place_directory(struct layout *l, const struct disk_node *node)
{
	uint64_t blocks = disk_pack_directory(node, NULL);
	AUTO_FREE uint8_t *packed = calloc(blocks, DISK_BLOCK);
	if (!packed)
		return nova_oom(l->error);
	disk_pack_directory(node, packed);
	struct ranges ranges = { NULL, 0 };
	int r = take_blocks(l, blocks, &ranges);
	AUTO_FREE struct ext2fs_extent *list = ranges.list;
	for (size_t i = 0; i < ranges.count && r == 0; i++) {
		r = put_blocks(l->fd, packed + ranges.list[i].e_lblk * DISK_BLOCK,
			(size_t)ranges.list[i].e_len * DISK_BLOCK,
			ranges.list[i].e_pblk * DISK_BLOCK);
		if (r < 0)
			r = nova_fail_os(l->error, r, "cannot write the image");
	}
	struct ext2_inode_large inode = new_inode(node);
	inode.i_size = (__u32)(blocks * DISK_BLOCK);
	/* Over the limit of the field, 1 stands for "many". */
	inode.i_links_count = (__u16)(node->subdirs + 2 > EXT2_LINK_MAX ? 1 : node->subdirs + 2);
	return r < 0 ? r : write_inode(l, node, &ranges, &inode);
}

/* --- the walk over the tree --- */

/* Where the content of a directory's entries is: open directories of the source and of what lies
 * below it, -1 where there is none. */
struct places {
	int source, below;
};

static int place_children(struct layout *l, const struct disk_node *node, const struct places *at);

static int place_subdirectory(
	struct layout *l, const struct disk_node *node, int fd, const struct places *parent)
{
	int r = check_unchanged(l, node, fd);
	AUTO_FD int below = -1;
	if (r == 0 && node->merged)
		below = sys_openat(
			parent->below, node->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (node->merged && r == 0 && below < 0)
		return fail_os_at(l, node, below, "cannot open below");
	const struct places at = { node->below ? -1 : fd, node->below ? fd : below };
	return r < 0 ? r : place_children(l, node, &at);
}

static int place_from(struct layout *l, const struct disk_node *node, const struct places *at)
{
	bool is_dir = S_ISDIR(node->mode);
	AUTO_FD int fd = sys_openat(node->below ? at->below : at->source, node->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | (is_dir ? O_DIRECTORY : 0), 0);
	if (fd < 0)
		return fail_os_at(l, node, fd, "cannot open");
	return is_dir ? place_subdirectory(l, node, fd, at) : place_file(l, node, fd);
}

static int place_child(struct layout *l, const struct disk_node *node, const struct places *at)
{
	if (S_ISLNK(node->mode))
		return place_link(l, node);
	if (S_ISREG(node->mode) && node->data)
		return place_file(l, node, -1);
	if (S_ISREG(node->mode) || node->file)
		return place_from(l, node, at);
	return place_children(l, node, at); /* a lost+found of our making */
}

static int place_children(struct layout *l, const struct disk_node *node, const struct places *at)
{
	int r = place_directory(l, node);
	for (const struct disk_node *child = node->child; child && r == 0; child = child->next)
		r = place_child(l, child, at);
	return r;
}

/* Of a source that is a file the descriptor is that file's own. */
static int place_tree(struct layout *l, const struct disk_tree *tree)
{
	const struct disk_node *root = tree->root;
	const struct places at = { tree->fd, tree->below };
	if (!tree->is_file)
		return place_children(l, root, &at);
	const struct disk_node *file = root->child->next;
	int r = place_directory(l, root);
	for (const struct disk_node *child = root->child; child && r == 0; child = child->next)
		r = child == file ? place_file(l, child, tree->fd) : place_child(l, child, &at);
	return r;
}

/* --- the file system --- */

static uint64_t blocks_of_tree(const struct disk_node *node)
{
	uint64_t blocks = disk_node_blocks(node);
	/* its extents may not fit the inode, and take up to two levels of blocks */
	if (blocks > MAX_RANGE)
		blocks += 4;
	for (const struct disk_node *child = node->child; child; child = child->next)
		blocks += blocks_of_tree(child);
	return blocks;
}

/*
 * In place of libext2fs's own, which pads a bitmap bit by bit: two thirds of the time of a small
 * disk. Blocks and inodes of a group are whole bytes, and what a bitmap has beyond them is ones.
 */
static errcode_t write_bitmap(
	ext2_filsys fs, ext2fs_generic_bitmap bits, uint64_t first, uint64_t count, blk64_t at)
{
	uint8_t block[DISK_BLOCK];
	memset(block, 0xff, sizeof(block));
	errcode_t code = ext2fs_get_generic_bmap_range(bits, first, (unsigned)count, block);
	return code ? code : io_channel_write_blk64(fs->io, at, 1, block);
}

static errcode_t write_bitmaps(ext2_filsys fs)
{
	uint64_t blocks = fs->super->s_blocks_per_group, inodes = fs->super->s_inodes_per_group;
	errcode_t code = 0;
	for (dgrp_t g = 0; g < fs->group_desc_count && !code; g++) {
		uint64_t left = ext2fs_blocks_count(fs->super) - g * blocks;
		code = write_bitmap(fs, fs->block_map, g * blocks, left < blocks ? left : blocks,
			ext2fs_block_bitmap_loc(fs, g));
		if (!code)
			code = write_bitmap(fs, fs->inode_map, g * inodes + 1, inodes,
				ext2fs_inode_bitmap_loc(fs, g));
	}
	return code;
}

static errcode_t make_fs(struct layout *l, uint64_t blocks, uint32_t inodes)
{
	struct ext2_super_block param = {
		.s_rev_level = EXT2_DYNAMIC_REV,
		.s_log_block_size = 2,
		.s_log_cluster_size = 2,
		.s_blocks_count = (__u32)blocks,
		.s_inodes_count = inodes,
		.s_inode_size = 256,
		.s_feature_incompat = DISK_INCOMPAT,
		.s_feature_ro_compat = DISK_RO_COMPAT,
	};
	char name[32];
	disk_io_name(name, l->fd);
	errcode_t code = ext2fs_initialize(
		name, EXT2_FLAG_64BITS, &param, (io_manager)&disk_io_manager, &l->fs);
	if (code)
		return code;
	l->fs->now = BORN;
	l->fs->write_bitmaps = write_bitmaps;
	return ext2fs_allocate_tables(l->fs);
}

/*
 * Only libext2fs knows what its tables take, so it is asked, and asked again with more blocks until
 * the content fits. Sizes above the smallest are whole MiB.
 */
static int make_fitting_fs(
	struct layout *l, const struct disk_tree *tree, uint64_t min, uint64_t max)
{
	uint64_t need = blocks_of_tree(tree->root),
		 most = max / DISK_BLOCK & ~7ull; /* whole bytes in bitmaps */
	uint32_t inodes = tree->nodes + EXT2_GOOD_OLD_FIRST_INO;
	uint64_t blocks = (min / DISK_BLOCK + 7) & ~7ull,
		 least = need + inodes / 16 + 5; /* and it is at least that */
	for (;;) {
		if (blocks < least)
			blocks = (least + 255) / 256 * 256;
		if (blocks > most && least <= most)
			blocks = most;
		if (blocks > most)
			return nova_fail(l->error, NOVA_ETOOBIG,
				"the content needs an image of %llu MiB, and at most %llu MiB are "
				"allowed",
				(unsigned long long)((least + 255) / 256),
				(unsigned long long)(max >> 20));
		errcode_t code = make_fs(l, blocks, inodes);
		uint64_t free_blocks = code ? 0 : ext2fs_free_blocks_count(l->fs->super);
		if (!code && free_blocks >= need)
			return 0;
		if (l->fs)
			ext2fs_free(l->fs);
		l->fs = NULL;
		if (code && code != EXT2_ET_TOO_MANY_INODES && code != EXT2_ET_TOOSMALL &&
			code != EXT2_ET_BLOCK_ALLOC_FAIL)
			return fail_ext2(l, code);
		least = blocks + (code == EXT2_ET_TOO_MANY_INODES ? 4096 :
					 code                     ? 64 :
								    need - free_blocks);
	}
}

static void brand(struct ext2_super_block *super, const char *label)
{
	super->s_mkfs_time = super->s_lastcheck = super->s_wtime = BORN;
	super->s_state = EXT2_VALID_FS;
	super->s_max_mnt_count = -1;
	super->s_checkinterval = 0;
	super->s_def_hash_version = EXT2_HASH_HALF_MD4;
	memcpy(super->s_uuid, volume_id, sizeof(super->s_uuid));
	memcpy(super->s_hash_seed, volume_id, sizeof(super->s_hash_seed));
	strncpy((char *)super->s_volume_name, label, sizeof(super->s_volume_name));
}

static int fill(struct layout *l, const struct disk_tree *tree, const char *label)
{
	uint64_t blocks = ext2fs_blocks_count(l->fs->super);
	int r = sys_truncate(l->fd, blocks * DISK_BLOCK);
	if (r < 0)
		return nova_fail_os(l->error, r, "cannot make the image as large as it has to be");
	for (ext2_ino_t ino = 1; ino < EXT2_GOOD_OLD_FIRST_INO; ino++)
		if (ino != EXT2_ROOT_INO)
			ext2fs_inode_alloc_stats2(l->fs, ino, +1, 0);
	brand(l->fs->super, label);
	r = place_tree(l, tree);
	if (r < 0)
		return r;
	errcode_t code = ext2fs_close_free(&l->fs);
	return code ? fail_ext2(l, code) : 0;
}

int disk_layout(
	const struct disk_tree *tree, int fd, const nova_disk_opts *opts, nova_error_t **error)
{
	int r = ext2fs_load(error);
	if (r < 0)
		return r;
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	struct layout l = { .fd = fd, .chunk = chunk, .error = error };
	if (!chunk)
		return nova_oom(error);
	r = make_fitting_fs(&l, tree, opts->min_size, opts->max_size);
	if (r == 0)
		r = fill(&l, tree, opts->label ? opts->label : "nova-code");
	if (l.fs)
		ext2fs_free(l.fs);
	return r;
}
