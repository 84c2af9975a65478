/* SPDX-License-Identifier: MIT */
/*
 * The door of blob: files that are known by what is in them.
 *
 * A blob has its SHA-256 for a name, never changes, and is there whole or not at all. Where blobs
 * are kept is one const table of operations: a directory of this host, or the store that several
 * hosts share, of which the directory is then a cache. Which of them are needed is their user's to
 * know.
 *
 * Any thread, and several processes. What is put or removed is so together with a record elsewhere
 * that points to it: whoever does that has the lock from before it looks at the records until both
 * are done, so a record without its blob cannot come to be, in whichever order processes run or
 * die. A process that dies leaves at most a blob without user or a file that is no blob yet; the
 * next sweep takes both away.
 */
#ifndef NOVA_LIB_BLOB_H
#define NOVA_LIB_BLOB_H

#include "config/config.h"
#include "hash/hash.h"
#include "store/store.h"

/* The time of change of a file that was found whole. Whoever writes there changes it, so as long as
 * it stands the file need not be read again. (The first second of the year 2000.) */
#define WHOLE_NS (946684800u * (uint64_t)1000000000)

struct blobs {
	const struct blob_ops *ops;
};

struct blob_ops {
	/* Opens the place that the settings describe, which are not kept, and makes it if need be
	 * (directory: `home`/disks, or `home`/disk-cache where the store is shared). NOVA_EPERM,
	 * NOVA_ENOSPC, NOVA_EIO. */
	int (*open)(const nova_config_t *config, struct blobs **ret_blobs, nova_error_t **error);
	void (*close)(struct blobs *blobs); /* NULL is accepted */

	/* Given back by closing the descriptor. It excludes threads of this process, too.
	 * NOVA_EBUSY: somebody has it, and `wait` is not set. */
	int (*lock)(struct blobs *blobs, bool wait, int *ret_fd, nova_error_t **error);

	/* --- with the lock --- */

	/* Where to write what becomes a blob: a path of its own, at which there is nothing. */
	int (*begin)(struct blobs *blobs, char **ret_path, nova_error_t **error);
	/* Takes the file at such a path, whose content has this hash. When it returns 0 the blob
	 * survives a crash. One that is there already is read: it stays if it is whole, and is
	 * replaced if it is not. The path may still be there afterwards. NOVA_ENOSPC, NOVA_EIO. */
	int (*put)(struct blobs *blobs, const char *path, const char *hash, nova_error_t **error);
	/* Needs no memory. One that is not there: 0. */
	int (*remove)(struct blobs *blobs, const char *hash, nova_error_t **error);
	/* Removes files that did not become blobs. */
	void (*tidy)(struct blobs *blobs);

	/* --- always --- */

	/* The path of a file of this host with the content, to be read only; NOVA_ECORRUPT if
	 * somebody has written there and it is not what it was. Between this and its opening others
	 * may remove the blob: who finds no file there asks the records again. */
	int (*get)(struct blobs *blobs, const char *hash, char **ret_path, nova_error_t **error);
	/* 1, 0, or a code. */
	int (*has)(struct blobs *blobs, const char *hash, nova_error_t **error);
	/* Reads all of it. NOVA_ECORRUPT if it is not what it was, NOVA_ENOTFOUND. */
	int (*check)(struct blobs *blobs, const char *hash, nova_error_t **error);
	/* The hashes, in any order. Free with strv_free(). */
	int (*list)(
		struct blobs *blobs, char ***ret_hashes, size_t *ret_count, nova_error_t **error);
};

extern const struct blob_ops blobs_directory;

/* The place that the settings ask for: a directory. */
int blobs_open(const nova_config_t *config, struct blobs **ret_blobs, nova_error_t **error);
/* Makes it a cache, of the size that the settings say, of what is in the store, if that is one that
 * several hosts share. The store stays open for longer. */
int blobs_share(struct blobs **blobs, struct store *store, const nova_config_t *config,
	nova_error_t **error);
/* Of a directory: removes those that were not got for the longest time, until the others have at
 * most so many bytes; not those that were got within a minute. */
void blobs_shrink(struct blobs *directory, uint64_t most);
static inline void blobs_closep(struct blobs **blobs)
{
	if (*blobs)
		(*blobs)->ops->close(*blobs);
}

/* Removes what nobody needs, and files that did not become blobs. What cannot be removed now waits
 * for the next sweep. With the lock. */
void blobs_sweep(
	struct blobs *blobs, bool (*is_needed)(void *userdata, const char *hash), void *userdata);

#endif
