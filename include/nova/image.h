/* SPDX-License-Identifier: MIT */
/**
 * @file nova/image.h
 * Guest images: the kernel, the initramfs with the agent, and one root filesystem a runtime.
 *
 * An image directory looks like this; a file MANIFEST lists the SHA-256 of each:
 *
 *     kernel/vmlinux   kernel/initramfs.cpio   rootfs/base.ext4   rootfs/python.ext4
 * rootfs/wasm.ext4
 *
 * It is looked for in the setting `images` (variable NOVA_IMAGES), else
 * `$XDG_CACHE_HOME/nova/images`
 * (`~/.cache/nova/images`), else /opt/nova. The program tools/images makes it.
 */
#ifndef NOVA_IMAGE_H
#define NOVA_IMAGE_H

#include <nova/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Takes the uncompressed ELF kernel out of a bzImage (payload gzip, xz, LZ4 or zstd) and writes it
 * to `vmlinux`, whole or not at all. An ELF file as input is checked and copied.
 * @return 0; NOVA_ENOTFOUND; NOVA_ECORRUPT naming what is wrong (no boot header, lengths that lie,
 * damaged stream, no ELF inside); NOVA_ENOTSUP naming a compression it does not know; NOVA_ENOSPC;
 * NOVA_EIO. Any thread. Since 0.1.
 */
NOVA_API int nova_image_extract_kernel(
	const char *bzimage, const char *vmlinux, nova_error_t **error);

/**
 * Checks one image directory against its MANIFEST: every file present, of the recorded size and
 * SHA-256. A file whose size and modification time are unchanged since the last good check is not
 * read again.
 * @param directory the image directory
 * @param name      a path in it such as "kernel/vmlinux", or NULL for all
 * @return 0; NOVA_ENOTFOUND or NOVA_ECORRUPT naming the file and the command that makes it anew.
 * Since 0.1.
 */
NOVA_API int nova_image_check(const char *directory, const char *name, nova_error_t **error);

#ifdef __cplusplus
}
#endif
#endif
