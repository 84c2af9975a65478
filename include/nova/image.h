/* SPDX-License-Identifier: MIT */
/**
 * @file nova/image.h
 * Guest images: a kernel, an initramfs with the agent, and a root filesystem for each runtime.
 *
 *     if (nova_image_check(nova_host_images(host), NULL, &error) != 0) {
 *             fprintf(stderr, "%s\n", nova_error_message(error));
 *             nova_error_free(error);
 *     }
 *
 * The image directory has kernel/vmlinux, kernel/initramfs.cpio, rootfs/base.ext4,
 * rootfs/python.ext4, rootfs/wasm.ext4 and a file MANIFEST with the SHA-256 of each. It is the
 * setting `images` (variable NOVA_IMAGES); or else the first that exists of
 * `$XDG_CACHE_HOME/nova/images` (`~/.cache/nova/images`) and /opt/nova. The program tools/images
 * makes it.
 */
#ifndef NOVA_IMAGE_H
#define NOVA_IMAGE_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Takes the ELF kernel out of a bzImage (compressed with gzip, xz, LZ4 or zstd). The new file
 * appears whole or not at all. If the input is an ELF file, it is checked and copied.
 * @param bzimage path of the kernel
 * @param vmlinux path of the file to write
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: there is no such file
 *  - NOVA_ECORRUPT: no boot header, wrong lengths, a damaged stream, or no ELF inside; the message
 *    says which
 *  - NOVA_ENOTSUP: a compression that is not known; the message names it
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOSPC, NOVA_ENOMEM: the host refused something
 * Any thread. Since 0.1.
 */
NOVA_API int nova_image_extract_kernel(
	const char *bzimage, const char *vmlinux, nova_error_t **error);

/**
 * Checks an image directory against its MANIFEST: every file is there, with the size and SHA-256 of
 * the MANIFEST. A file that has not changed since the last good check is not read again.
 * @param directory the image directory
 * @param name a path in it such as "kernel/vmlinux"; NULL: all
 * @return 0, or a code:
 *  - NOVA_ENOTFOUND: a file is missing; the message has the command that makes it
 *  - NOVA_ECORRUPT: a file differs; the message has the command that makes it again
 *  - NOVA_EIO, NOVA_EPERM, NOVA_ENOMEM: the host refused something
 * Any thread. Since 0.1.
 */
NOVA_API int nova_image_check(const char *directory, const char *name, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
