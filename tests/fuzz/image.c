/* SPDX-License-Identifier: MIT */
/* nova_image_extract_kernel(): the first byte chooses a compression, or none for raw input; the
 * rest are changes. */
#include <assert.h>

#include <nova/image.h>

#include "../unit/bzimage.h"
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void extract(const uint8_t *image, size_t len)
{
	AUTO_FD int in = sys_memfd("bzImage");
	assert(in >= 0 && sys_write_all(in, image, len) == 0);
	char from[64];
	snprintf(from, sizeof(from), "/proc/self/fd/%d", in);
	/* The result goes nowhere: there is no such directory. */
	int r = nova_image_extract_kernel(from, "/proc/self/nowhere/vmlinux", NULL);
	assert(r == NOVA_ECORRUPT || r == NOVA_ENOTSUP || r == NOVA_ENOTFOUND || r == NOVA_ENOMEM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t kernel[KERNEL_SIZE], image[3 * KERNEL_SIZE];
	if (!len || data[0] >= BZ_FORMATS) {
		extract(data, len);
		return 0;
	}
	bz_kernel(kernel);
	size_t size = bz_image((enum bz_format)data[0], kernel, sizeof(kernel), image);
	apply_patches(image, size, data + 1, len - 1);
	extract(image, size);
	return 0;
}
