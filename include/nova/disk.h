/* SPDX-License-Identifier: MIT */
/**
 * @file nova/disk.h
 * Code disks: a file, a directory or a buffer turned into a read-only ext4 image, in this process.
 *
 * No root, no mount, no helper program. The same input gives the same bytes, wherever and whenever
 * it is built, so the image's hash can serve as a key. All files belong to uid and gid 0 and carry
 * one fixed time. Symbolic links are kept as they are, wherever they lead. What the owner of a file
 * may read or execute everybody may in the image, as a function is not the owner (but see
 * #NOVA_DISK_KEEP_MODES).
 * These calls use no shared state and may run in any thread at once.
 */
#ifndef NOVA_DISK_H
#define NOVA_DISK_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NOVA_DISK_DEFAULT_SIZE (16u << 20)  /**< size of a code disk whose content fits it */
#define NOVA_DISK_MAX_SIZE     (4ull << 30) /**< the largest image that is ever built */

/** For nova_disk_opts.flags: permission bits are kept, as for a root filesystem. Since 0.1. */
#define NOVA_DISK_KEEP_MODES 1u

/** Options of nova_disk_build(). Since 0.1. */
typedef struct nova_disk_opts {
	size_t size; /**< sizeof(nova_disk_opts) */
	/** path of a file or directory; exactly one of source and data is given */
	const char *source;
	const void *data; /**< or the content of one file */
	size_t data_len;  /**< bytes at data */
	/** name in the image of a single file; NULL: "handler". It gets mode 0755 */
	const char *entry_name;
	/** smallest image in bytes; 0: #NOVA_DISK_DEFAULT_SIZE. It grows when needed */
	uint64_t min_size;
	/** refuse when a larger image were needed; 0: #NOVA_DISK_MAX_SIZE */
	uint64_t max_size;
	const char *label; /**< volume label, at most 16 bytes; NULL: "nova-code" */
	/** told a line at #NOVA_LOG_WARN for each thing left out; or NULL */
	nova_log_fn log;
	void *log_userdata; /**< first argument of log */
	uint32_t flags;     /**< #NOVA_DISK_KEEP_MODES, or 0 */
	uint32_t reserved;  /**< 0 */
} nova_disk_opts;
#define NOVA_DISK_OPTS_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_disk_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                            \
	}

/**
 * Builds an ext4 image at `image`. The file appears whole or not at all: it is written under a
 * temporary name beside it, synced and renamed; an existing file is replaced. The file is sparse.
 *
 * Left out, with a line in the log: device nodes, sockets and FIFOs. A relative link that leads out
 * of the source is kept, with a line too. Names may be any bytes. Refused: anything unreadable,
 * more than 100 directories deep, a file named `lost+found` at the top. The image itself is left
 * out when it lies in its own source. An empty `lost+found` is always in it.
 * @return 0; NOVA_EINVAL for a refused entry (named); NOVA_EBUSY for a file that changed while it
 * was read; NOVA_ENOTFOUND; NOVA_EPERM; NOVA_ETOOBIG; NOVA_ENOSPC; NOVA_EIO. On failure nothing is
 * left behind. Since 0.1.
 */
NOVA_API int nova_disk_build(const char *image, const nova_disk_opts *opts, nova_error_t **error);

/**
 * Writes the files of an image made by nova_disk_build() into the existing empty directory
 * `directory`, with their permission bits but without set-uid, set-gid and sticky. On failure the
 * directory is empty again. Nothing is written outside of it; but symbolic links are written as
 * they are and may lead anywhere, which whoever reads the files has to mind.
 * @return 0; NOVA_ECORRUPT if the image is not a sound ext4 file system made by nova_disk_build();
 * NOVA_EEXIST if the directory is not empty; NOVA_ENOTFOUND; NOVA_ENOSPC; NOVA_EIO. Since 0.1.
 */
NOVA_API int nova_disk_extract(const char *image, const char *directory, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
