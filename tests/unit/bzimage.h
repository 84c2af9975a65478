/* SPDX-License-Identifier: MIT */
/* Small kernels for tests: an ELF file of a few KB, compressed and wrapped as a bzImage. */
#ifndef NOVA_TESTS_BZIMAGE_H
#define NOVA_TESTS_BZIMAGE_H

#include <elf.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "base/base.h"

#define KERNEL_SIZE    20000u
#define BZIMAGE_SETUP  (5u * 512) /* boot sector and four setup sectors */
#define BZIMAGE_OFFSET 64u        /* of the payload behind them */

enum bz_format { BZ_GZIP, BZ_XZ, BZ_LZ4, BZ_ZSTD, BZ_STORED, BZ_FORMATS };

static inline void bz_put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static inline void bz_kernel(uint8_t out[KERNEL_SIZE])
{
	for (size_t i = 0; i < KERNEL_SIZE; i++)
		out[i] = (uint8_t)(i * i >> 5);
	Elf64_Ehdr head = {
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(head),
		.e_phnum = 1,
		.e_phentsize = sizeof(Elf64_Phdr),
	};
	memcpy(head.e_ident, ELFMAG, SELFMAG);
	head.e_ident[EI_CLASS] = ELFCLASS64;
	head.e_ident[EI_DATA] = ELFDATA2LSB;
	Elf64_Phdr load = { .p_type = PT_LOAD, .p_offset = 4096, .p_filesz = KERNEL_SIZE - 4096 };
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &load, sizeof(load));
}

static inline size_t bz_gzip(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	z_stream z = {
		.next_in = (Bytef *)in,
		.avail_in = (uInt)len,
		.next_out = out,
		.avail_out = (uInt)room,
	};
	deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	size_t made = z.total_out;
	deflateEnd(&z);
	return made;
}

/* Two blocks, so that the loop over blocks runs. */
static inline size_t bz_lz4(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	static const uint8_t magic[4] = { 0x02, 0x21, 0x4c, 0x18 };
	memcpy(out, magic, 4);
	size_t at = 4, half = len / 2;
	for (int i = 0; i < 2; i++) {
		size_t part = i ? len - half : half;
		int made = LZ4_compress_default((const char *)in + (i ? half : 0),
			(char *)out + at + 4, (int)part, (int)(room - at - 4));
		bz_put32(out + at, (uint32_t)made);
		at += 4 + (size_t)made;
	}
	return at;
}

static inline size_t bz_payload(
	enum bz_format format, const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	size_t made = 0;
	switch (format) {
	case BZ_GZIP:
		return bz_gzip(in, len, out, room);
	case BZ_XZ:
		lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in, len, out, &made, room);
		break;
	case BZ_LZ4:
		made = bz_lz4(in, len, out, room);
		break;
	case BZ_ZSTD:
		made = ZSTD_compress(out, room, in, len, 3);
		break;
	default:
		memcpy(out, in, len);
		return len;
	}
	bz_put32(out + made, (uint32_t)len);
	return made + 4;
}

/* A whole bzImage; room for 3 * KERNEL_SIZE bytes. */
static inline size_t bz_image(
	enum bz_format format, const uint8_t *kernel, size_t len, uint8_t *out)
{
	memset(out, 0, BZIMAGE_SETUP + BZIMAGE_OFFSET);
	size_t payload = bz_payload(
		format, kernel, len, out + BZIMAGE_SETUP + BZIMAGE_OFFSET, 2 * KERNEL_SIZE);
	out[0x1f1] = 4;
	memcpy(out + 0x202, "HdrS", 4);
	out[0x206] = 0x0f;
	out[0x207] = 0x02;
	bz_put32(out + 0x248, BZIMAGE_OFFSET);
	bz_put32(out + 0x24c, (uint32_t)payload);
	return BZIMAGE_SETUP + BZIMAGE_OFFSET + payload;
}

#endif
