/* SPDX-License-Identifier: MIT */
/* Images of ext4. */
#ifndef NOVA_LIB_MODULE_EXT2FS_H
#define NOVA_LIB_MODULE_EXT2FS_H

#include <ext2fs/ext2fs.h>

#include "module/module.h"

#define EXT2FS_FUNCTIONS(F)                                                                        \
	F(ext2fs_allocate_tables)                                                                  \
	F(ext2fs_block_alloc_stats_range)                                                          \
	F(ext2fs_block_bitmap_loc)                                                                 \
	F(ext2fs_blocks_count)                                                                     \
	F(ext2fs_check_desc)                                                                       \
	F(ext2fs_close_free)                                                                       \
	F(ext2fs_extent_free)                                                                      \
	F(ext2fs_extent_insert)                                                                    \
	F(ext2fs_extent_open2)                                                                     \
	F(ext2fs_file_close)                                                                       \
	F(ext2fs_file_open2)                                                                       \
	F(ext2fs_file_read)                                                                        \
	F(ext2fs_free)                                                                             \
	F(ext2fs_free_blocks_count)                                                                \
	F(ext2fs_get_generic_bmap_range)                                                           \
	F(ext2fs_iblk_add_blocks)                                                                  \
	F(ext2fs_initialize)                                                                       \
	F(ext2fs_inode_alloc_stats2)                                                               \
	F(ext2fs_inode_bitmap_loc)                                                                 \
	F(ext2fs_namei_follow)                                                                     \
	F(ext2fs_new_range)                                                                        \
	F(ext2fs_open)                                                                             \
	F(ext2fs_read_inode)                                                                       \
	F(ext2fs_write_inode_full)                                                                 \
	F(io_channel_write_blk64)

MODULE_DOOR(ext2fs, MODULE_EXT2FS, EXT2FS_FUNCTIONS)

#ifndef IN_MODULE
#define ext2fs_allocate_tables         ext2fs_functions()->ext2fs_allocate_tables
#define ext2fs_block_alloc_stats_range ext2fs_functions()->ext2fs_block_alloc_stats_range
#define ext2fs_block_bitmap_loc        ext2fs_functions()->ext2fs_block_bitmap_loc
#define ext2fs_blocks_count            ext2fs_functions()->ext2fs_blocks_count
#define ext2fs_check_desc              ext2fs_functions()->ext2fs_check_desc
#define ext2fs_close_free              ext2fs_functions()->ext2fs_close_free
#define ext2fs_extent_free             ext2fs_functions()->ext2fs_extent_free
#define ext2fs_extent_insert           ext2fs_functions()->ext2fs_extent_insert
#define ext2fs_extent_open2            ext2fs_functions()->ext2fs_extent_open2
#define ext2fs_file_close              ext2fs_functions()->ext2fs_file_close
#define ext2fs_file_open2              ext2fs_functions()->ext2fs_file_open2
#define ext2fs_file_read               ext2fs_functions()->ext2fs_file_read
#define ext2fs_free                    ext2fs_functions()->ext2fs_free
#define ext2fs_free_blocks_count       ext2fs_functions()->ext2fs_free_blocks_count
#define ext2fs_get_generic_bmap_range  ext2fs_functions()->ext2fs_get_generic_bmap_range
#define ext2fs_iblk_add_blocks         ext2fs_functions()->ext2fs_iblk_add_blocks
#define ext2fs_initialize              ext2fs_functions()->ext2fs_initialize
#define ext2fs_inode_alloc_stats2      ext2fs_functions()->ext2fs_inode_alloc_stats2
#define ext2fs_inode_bitmap_loc        ext2fs_functions()->ext2fs_inode_bitmap_loc
#define ext2fs_namei_follow            ext2fs_functions()->ext2fs_namei_follow
#define ext2fs_new_range               ext2fs_functions()->ext2fs_new_range
#define ext2fs_open                    ext2fs_functions()->ext2fs_open
#define ext2fs_read_inode              ext2fs_functions()->ext2fs_read_inode
#define ext2fs_write_inode_full        ext2fs_functions()->ext2fs_write_inode_full
#define io_channel_write_blk64         ext2fs_functions()->io_channel_write_blk64
#endif

#endif
