/* SPDX-License-Identifier: MIT */
/* The reader of kernels: the first byte chooses a compression, or none for raw input; the rest are
 * changes. */
#include <assert.h>

#include "../unit/bzimage.h"
#include "image/image.h"
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_kernel(const uint8_t *image, size_t len)
{
	AUTO_FREE uint8_t *unpacked = NULL;
	size_t unpacked_len = 0;
	int r = image_read_kernel(image, len, &unpacked, &unpacked_len, NULL);
	assert(r == 0 || r == NOVA_ECORRUPT || r == NOVA_ENOTSUP || r == NOVA_ENOMEM);
	assert(r == 0 || !unpacked);
	assert(r < 0 || !memcmp(unpacked ? unpacked : image, "\177ELF", 4));
}

/* Compressing takes longer than all that is tried here. */
static const uint8_t *good_image(size_t format, size_t *ret_len)
{
	static struct {
		uint8_t image[3 * KERNEL_SIZE];
		size_t len;
	} good[BZ_FORMATS];
	static uint8_t kernel[KERNEL_SIZE];
	if (!good[format].len) {
		bz_kernel(kernel);
		good[format].len = bz_image(
			(enum bz_format)format, kernel, sizeof(kernel), good[format].image);
	}
	*ret_len = good[format].len;
	return good[format].image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len || data[0] >= BZ_FORMATS) {
		read_kernel(data, len);
		return 0;
	}
	size_t size;
	const uint8_t *good = good_image(data[0], &size);
	/* of just that size: a read past its end is seen */
	AUTO_FREE uint8_t *image = malloc(size);
	memcpy(image, good, size);
	apply_patches(image, size, data + 1, len - 1);
	read_kernel(image, size);
	return 0;
}
