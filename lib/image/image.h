/* SPDX-License-Identifier: MIT */
/*
 * The door of image: where the guest's kernel, initramfs and root filesystems are, and whether they
 * are whole.
 *
 * Every failure is NOVA_ENOTFOUND or NOVA_ECORRUPT, names the file and ends with the command that
 * makes it.
 */
#ifndef NOVA_LIB_IMAGE_H
#define NOVA_LIB_IMAGE_H

#include <pthread.h>

#include <nova/image.h>

#include "base/base.h"
#include "hash/hash.h"

#define IMAGE_KERNEL     "kernel/vmlinux"
#define IMAGE_INITRAMFS  "kernel/initramfs.cpio"
#define IMAGE_MANIFEST   "MANIFEST"
#define IMAGE_INSTALLED  "/opt/nova"
#define IMAGE_MAX_KERNEL ((size_t)512 << 20)

/* The directory of the images: `configured` if it is given, else the user's cache, else /opt/nova.
 * The caller frees it. Here and below, `environment` says whether its variables may name places. */
int image_find_directory(
	const char *configured, bool environment, char **ret_directory, nova_error_t **error);

/*
 * The images of one directory, for as long as somebody starts guests of them. What was found whole
 * is not looked up again before its file changes. Any thread.
 */
struct image_set {
	const char *directory; /* borrowed */
	bool environment;
	pthread_mutex_t lock; /* protects what follows */
	struct image_known *known;
	size_t known_count;
};
void image_set_init(struct image_set *set);
void image_set_done(struct image_set *set);
/* The checked kernel and initramfs. The caller frees both paths. */
int image_find_kernel(
	struct image_set *set, char **ret_vmlinux, char **ret_initramfs, nova_error_t **error);
/* The checked root filesystem of a name such as "python"; a name with a '/' is a path of the user's
 * own image. */
int image_find_rootfs(
	struct image_set *set, const char *name, char **ret_path, nova_error_t **error);

/* nova_image_check(), which obeys the environment. */
int image_check(const char *directory, const char *name, bool environment, nova_error_t **error);
/* $XDG_CACHE_HOME/nova/`name` or ~/.cache/nova/`name`; NULL when nobody knows the home directory.
 */
int image_cache_path(const char *name, bool environment, char **ret_path, nova_error_t **error);
/* "tools/images --dir DIR TARGET", the command that makes the image of that path; freed by the
 * caller. */
char *image_command(const char *directory, const char *path);

/*
 * The ELF kernel in an image: *ret_unpacked, which the caller frees, or NULL if the image is one
 * itself. NOVA_ECORRUPT; NOVA_ENOTSUP for a compression that cannot be read.
 */
int image_read_kernel(const uint8_t *image, size_t len, uint8_t **ret_unpacked, size_t *ret_len,
	nova_error_t **error);

/*
 * Uncompresses the payload of a kernel into memory of exactly the size that it declares. `len`
 * includes the declaration, four bytes at the end. The caller frees *ret_data.
 */
int image_inflate(const uint8_t *payload, size_t len, uint8_t **ret_data, size_t *ret_len,
	nova_error_t **error);

/* What of an already checked file is remembered; see memory.c. */
struct image_seen {
	uint64_t size, mtime_ns, inode;
	bool environment; /* where to remember it */
};
bool image_remembered(
	const char *directory, const char *path, const char *sha256, const struct image_seen *seen);
void image_remember(
	const char *directory, const char *path, const char *sha256, const struct image_seen *seen);

#endif
