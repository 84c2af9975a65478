/* SPDX-License-Identifier: MIT */
/*
 * An input as a list of changes to a good file: three bytes each, the offset (16 bits,
 * little-endian) and the byte to exclusive-or. Random bytes hardly ever reach past a magic number;
 * changes do.
 */
#ifndef NOVA_TESTS_PATCH_H
#define NOVA_TESTS_PATCH_H

#include <stddef.h>
#include <stdint.h>

static inline void apply_patches(uint8_t *file, size_t file_len, const uint8_t *data, size_t len)
{
	for (; len >= 3; data += 3, len -= 3) {
		size_t at = (size_t)data[0] | (size_t)data[1] << 8;
		file[at % file_len] ^= data[2];
	}
}

#endif
