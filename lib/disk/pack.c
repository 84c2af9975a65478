/* SPDX-License-Identifier: MIT */
/* What the nodes of a tree take in blocks, and the blocks of a directory. */
#include "disk/disk.h"

/* An entry never spans two blocks, and the last one of a block reaches to its end. */
struct packer {
	uint8_t *out; /* NULL: only count */
	uint64_t blocks;
	size_t used; /* in the current block */
	size_t last; /* where its last entry begins */
};

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static uint8_t *current_block(const struct packer *p)
{
	return p->out + (p->blocks - 1) * DISK_BLOCK;
}

static void close_block(struct packer *p)
{
	if (p->out && p->blocks)
		put16(current_block(p) + p->last + 4, DISK_BLOCK - p->last);
}

static void pack(struct packer *p, const char *name, uint32_t inode, uint8_t type)
{
	size_t len = strlen(name), size = (8 + len + 3) & ~(size_t)3;
	if (!p->blocks || p->used + size > DISK_BLOCK) {
		close_block(p);
		p->blocks++;
		p->used = 0;
	}
	if (p->out) {
		uint8_t *at = current_block(p) + p->used;
		put16(at, inode);
		put16(at + 2, inode >> 16);
		put16(at + 4, size);
		at[6] = (uint8_t)len;
		at[7] = type;
		memcpy(at + 8, name, len);
	}
	p->last = p->used;
	p->used += size;
}

static uint8_t type_of(const struct disk_node *node)
{
	return S_ISDIR(node->mode) ? EXT2_FT_DIR :
	       S_ISLNK(node->mode) ? EXT2_FT_SYMLINK :
				     EXT2_FT_REG_FILE;
}

uint64_t disk_pack_directory(const struct disk_node *node, uint8_t *out)
{
	struct packer p = { .out = out };
	pack(&p, ".", node->inode, EXT2_FT_DIR);
	pack(&p, "..", node->parent ? node->parent->inode : node->inode, EXT2_FT_DIR);
	for (const struct disk_node *child = node->child; child; child = child->next)
		pack(&p, child->name, child->inode, type_of(child));
	close_block(&p);
	return p.blocks;
}

uint64_t disk_node_blocks(const struct disk_node *node)
{
	if (S_ISDIR(node->mode))
		return disk_pack_directory(node, NULL);
	if (S_ISLNK(node->mode)) /* shorter ones live in the inode */
		return node->size >= sizeof(((struct ext2_inode *)0)->i_block);
	return (node->size + DISK_BLOCK - 1) / DISK_BLOCK;
}
