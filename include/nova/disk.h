/* SPDX-License-Identifier: MIT */
/**
 * @file nova/disk.h
 * Code disks: a file, a directory or a buffer turned into a read-only ext4 image.
 *
 *     nova_disk_opts disk = NOVA_DISK_OPTS_INIT;
 *     disk.source = "./app";
 *     nova_disk_build("app.ext4", &disk, &error);
 *     nova_vm_opts opts = NOVA_VM_OPTS_INIT;
 *     opts.code_disk = "app.ext4"; // for nova_vm_start(): seen as /code
 *
 * It needs no root, no mount and no helper program. The same input always gives the same bytes. In
 * the image all files belong to uid and gid 0 and have one fixed time; symbolic links stay as they
 * are. A function is not the owner of these files, so what their owner may read or execute,
 * everybody may (but see #NOVA_DISK_KEEP_MODES).
 *
 * Any number of threads may make these calls at once.
 */
#ifndef NOVA_DISK_H
#define NOVA_DISK_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NOVA_DISK_DEFAULT_SIZE (16u << 20)  /**< size of a code disk whose content fits it */
#define NOVA_DISK_MAX_SIZE     (4ull << 30) /**< the largest image that is ever built */

/** For nova_disk_opts.flags: keep the permission bits as they are, as a root filesystem needs.
 * Since 0.1. */
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
	/** an image that would be larger is refused; 0: #NOVA_DISK_MAX_SIZE */
	uint64_t max_size;
	const char *label; /**< volume label, at most 16 bytes; NULL: "nova-code" */
	/** receives a line at #NOVA_LOG_WARN for each thing that is left out; or NULL */
	nova_log_fn log;
	void *log_userdata; /**< first argument of log */
	uint32_t flags;     /**< #NOVA_DISK_KEEP_MODES, or 0 */
	uint32_t reserved;  /**< 0 */
	/** directory whose content is in the image too, where the source has nothing of that name;
	 * NULL: none */
	const char *below;
} nova_disk_opts;
#define NOVA_DISK_OPTS_INIT                                                                        \
	{                                                                                          \
		sizeof(nova_disk_opts), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                         \
	}

/**
 * Builds an ext4 image. The file appears whole or not at all; an existing one is replaced. It is
 * sparse.
 *
 * Device nodes, sockets and FIFOs are left out, with a line in the log. A relative link that leads
 * out of the source is kept, with a line in the log. Names may be any bytes. Refused are: what
 * cannot be read, more than 100 levels of directories, and a file `lost+found` at the top, where
 * the image has an empty directory of that name. An image that lies in its own source is left out.
 * @param image path of the image
 * @param opts what is in it; required
 * @return 0, or a code:
 *  - NOVA_EINVAL: a refused entry, which the message names, or bad options
 *  - NOVA_ENOTFOUND, NOVA_EPERM: for the source, or the directory of the image
 *  - NOVA_EBUSY: a file changed while it was read
 *  - NOVA_ETOOBIG: larger than `max_size`
 *  - NOVA_ENOSPC, NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Any thread. Since 0.1.
 */
NOVA_API int nova_disk_build(const char *image, const nova_disk_opts *opts, nova_error_t **error);

/**
 * Writes the files of an image that nova_disk_build() made into a directory, with their
 * permissions, but without set-uid, set-gid and sticky bits. After a failure the directory is
 * empty again. Nothing is written outside of it. Symbolic links are written as they are, and may
 * lead anywhere: be careful when you read the files.
 * @param image path of the image
 * @param directory an existing, empty directory
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: no such image or directory
 *  - NOVA_EEXIST: the directory is not empty
 *  - NOVA_ECORRUPT: it is damaged, or not an image of nova_disk_build()
 *  - NOVA_ENOSPC, NOVA_EPERM, NOVA_EIO, NOVA_ENOMEM: the host refused something
 * Any thread. Since 0.1.
 */
NOVA_API int nova_disk_extract(const char *image, const char *directory, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
