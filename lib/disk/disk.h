/* SPDX-License-Identifier: MIT */
/*
 * The door of disk: a source is read into a tree of nodes, the tree is laid out into an ext4 image.
 *
 * The tree is made first because the size of the image has to be known before its first byte.
 * Nothing here is shared between calls.
 */
#ifndef NOVA_LIB_DISK_H
#define NOVA_LIB_DISK_H

#include <nova/disk.h>

#include "base/base.h"
#include "module/ext2fs.h"

#define DISK_BLOCK     4096u
#define DISK_MAX_DEPTH 100u     /* directories in directories; both walks recurse */
#define DISK_MAX_NODES 1000000u /* files of one image */
#define DISK_LOST      "lost+found"

/* The features of an image of ours. No checksums: the file's own hash is the judge, and the guest
 * mounts faster. */
#define DISK_INCOMPAT (EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS)
#define DISK_RO_COMPAT                                                                             \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |                 \
		EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE)

struct disk_node {
	char *name; /* "" for the root */
	struct disk_node *parent, *child, *next;
	uint16_t mode;
	uint32_t inode;
	uint32_t subdirs;
	uint64_t size;
	char *target;     /* of a symbolic link */
	const void *data; /* content given in memory; else it is read from the source */
	uint64_t device, file, mtime_ns; /* what was there during the walk */
	bool below;                      /* it is in nova_disk_opts.below */
	bool merged;                     /* a directory of the source that is there, too */
};

struct disk_tree {
	struct disk_node *root;
	uint32_t nodes; /* including the root */
	int fd;         /* the source, a file or a directory; -1 for memory */
	int below;      /* the directory that lies below it; -1: none */
	bool is_file;
};

/* `except` is left out of a directory source if it is met there: the image itself. May be NULL. */
int disk_tree_walk(struct disk_tree *tree, const nova_disk_opts *opts, const struct stat *except,
	nova_error_t **error);
void disk_tree_free(struct disk_tree *tree);
/* Only the walk, for what it refuses and what it has to say of a directory to this log. */
int disk_look(const char *directory, const struct logger *log, nova_error_t **error);
/* The path of a node inside the source, for messages. NULL when out of memory. */
char *disk_node_path(const struct disk_node *node);
/* Blocks that a node needs besides its inode. */
uint64_t disk_node_blocks(const struct disk_node *node);

/* A file whose content is in memory. */
struct disk_file {
	const char *name;
	const void *data;
	size_t len;
};
/* Beside the one file that a tree is of. The names are disk_name_ok() and differ. */
int disk_tree_add(
	struct disk_tree *tree, const struct disk_file *files, size_t count, nova_error_t **error);
/* As nova_disk_build() of one file, with more beside it, and for a moment only: nothing of it is
 * forced to the disk. There must be no image of that name. */
int disk_build_once(const char *image, const nova_disk_opts *opts, const struct disk_file *files,
	size_t count, nova_error_t **error);

/* Writes the image of a tree to an empty file. */
int disk_layout(
	const struct disk_tree *tree, int fd, const nova_disk_opts *opts, nova_error_t **error);
/* Packs a directory's entries into blocks; with `out` NULL it only counts them. */
uint64_t disk_pack_directory(const struct disk_node *node, uint8_t *out);

/* What is told of an image by disk_read(): for a directory its beginning, what is in it, its end;
 * for a file its beginning, its content piece by piece, its end. Names are disk_name_ok(), links
 * lead anywhere; the modes are permission bits. What is not 0 ends the reading, and is returned. */
struct disk_visitor {
	int (*enter)(void *to, const char *name, nova_error_t **error);
	int (*leave)(void *to, const char *name, mode_t mode, nova_error_t **error);
	int (*begin_file)(void *to, const char *name, uint64_t size, nova_error_t **error);
	int (*piece)(void *to, const uint8_t *data, size_t len, nova_error_t **error);
	int (*end_file)(void *to, const char *name, mode_t mode, nova_error_t **error);
	int (*link)(void *to, const char *name, const char *target, nova_error_t **error);
};
/* Reads an image that nova_disk_build() has made; `image` is its name in messages. Directories are
 * not nested deeper than DISK_MAX_DEPTH. NOVA_ECORRUPT: it is not sound. */
int disk_read(int fd, const char *image, const struct disk_visitor *visitor, void *to,
	nova_error_t **error);

/* Any ext4 image, to look at single files of it by their paths, links followed. */
struct disk_image {
	const char *path; /* borrowed, for messages */
	int fd;
	ext2_filsys fs;
};
/* NOVA_ECORRUPT: it is no ext4 file system, damaged, or cut short. */
int disk_image_open(const char *path, struct disk_image *ret_image, nova_error_t **error);
void disk_image_close(struct disk_image *image);
#define AUTO_DISK_IMAGE CLEANUP(disk_image_close)
/* 1 and its mode; 0: there is nothing of that name. */
int disk_image_find(
	struct disk_image *image, const char *path, mode_t *ret_mode, nova_error_t **error);
/* The content of a file that is there, as much of it as `out` may hold. */
int disk_image_read(
	struct disk_image *image, const char *path, struct buf *out, nova_error_t **error);

/* One component: not "", ".", "..", no '/', at most 255 bytes. */
bool disk_name_ok(const char *name);
/* As it may stand in a message, which is UTF-8: question marks are put over other bytes. */
void disk_make_readable(char *name);

/* len > 0 */
static inline bool disk_all_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Lets libext2fs work on an open descriptor; disk_io_name() makes the name to give it. */
extern const struct struct_io_manager disk_io_manager;
void disk_io_name(char out[32], int fd);
/* Turns a code of libext2fs into an error. `what` names the file. */
int disk_fail_ext2(nova_error_t **error, errcode_t code, const char *what);

#endif
