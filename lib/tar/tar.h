/* SPDX-License-Identifier: MIT */
/*
 * The door of tar: an archive of plain files, tar(5) in its ustar form within gzip, so that anybody
 * can look into it. It is written and read from its beginning to its end, in pieces.
 *
 * What is read may come from anybody: an entry that is no plain file is refused, a name is never
 * taken for a path, and the end is where gzip's checksum is.
 */
#ifndef NOVA_LIB_TAR_H
#define NOVA_LIB_TAR_H

#include "base/base.h"

#define TAR_NAME 101u         /* bytes, with the NUL */
#define TAR_MOST (1ull << 33) /* a file is smaller than that: so many octal digits there are */

/* --- write.c --- */

struct tar_writer;
/* It is written beside `path`, and takes its place when it is finished. */
int tar_writer_new(const char *path, struct tar_writer **ret_writer, nova_error_t **error);
int tar_add(struct tar_writer *writer, const char *name, const void *data, size_t len,
	nova_error_t **error);
/* All of an open file, at its present size. */
int tar_add_file(struct tar_writer *writer, const char *name, int fd, nova_error_t **error);
/* When it returns 0 the archive survives a crash. */
int tar_finish(struct tar_writer *writer, nova_error_t **error);
/* What was not finished leaves nothing. NULL is accepted. */
void tar_writer_free(struct tar_writer *writer);
static inline void tar_writer_freep(struct tar_writer **writer)
{
	tar_writer_free(*writer);
}

/* --- read.c --- */

struct tar_reader;
/* NOVA_ENOTFOUND, NOVA_EPERM, NOVA_EIO; NOVA_ECORRUPT: it is no such archive, as all below. */
int tar_reader_new(const char *path, struct tar_reader **ret_reader, nova_error_t **error);
/* 1: there is another file, 0: the archive has ended, and is whole. */
int tar_next(struct tar_reader *reader, char ret_name[TAR_NAME], uint64_t *ret_size,
	nova_error_t **error);
/* The next bytes of that file, of which there are so many. */
int tar_read(struct tar_reader *reader, void *out, size_t len, nova_error_t **error);
void tar_reader_free(struct tar_reader *reader);
static inline void tar_reader_freep(struct tar_reader **reader)
{
	tar_reader_free(*reader);
}

#endif
