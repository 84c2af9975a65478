/* SPDX-License-Identifier: MIT */
/* Takes the ELF kernel out of a bzImage (Documentation/arch/x86/boot.rst tells the offsets). */
#include <elf.h>
#include <errno.h>

#include "image/image.h"

#define SETUP_SECTS    0x1f1
#define SETUP_MAGIC    0x202
#define SETUP_VERSION  0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define SETUP_END      0x250

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static bool is_elf(const uint8_t *data, size_t len)
{
	return len >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG);
}

static const char *segments_fault(const uint8_t *data, size_t len, const Elf64_Ehdr *head)
{
	if (head->e_phentsize != sizeof(Elf64_Phdr) || !head->e_phnum || head->e_phoff > len ||
		head->e_phnum > (len - head->e_phoff) / sizeof(Elf64_Phdr))
		return "its program headers lie outside of it";
	bool loads = false;
	for (size_t i = 0; i < head->e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, data + head->e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type != PT_LOAD)
			continue;
		loads = true;
		if (segment.p_offset > len || segment.p_filesz > len - segment.p_offset)
			return "a segment of it lies outside of it: it is cut off";
	}
	return loads ? NULL : "it has nothing to load";
}

static const char *elf_fault(const uint8_t *data, size_t len)
{
	Elf64_Ehdr head;
	if (!is_elf(data, len) || len < sizeof(head))
		return "there is no ELF file inside";
	memcpy(&head, data, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB ||
		head.e_machine != EM_X86_64)
		return "it is not for 64-bit x86";
	if (head.e_type != ET_EXEC && head.e_type != ET_DYN)
		return "it is an ELF file, but no program";
	return segments_fault(data, len, &head);
}

/* Finds the compressed payload of a bzImage. NULL, or what is wrong. */
static const char *payload_fault(const uint8_t *image, size_t len, size_t *ret_at, size_t *ret_len)
{
	if (len < SETUP_END || memcmp(image + SETUP_MAGIC, "HdrS", 4))
		return "it has no Linux boot header, so it is no bzImage";
	if ((image[SETUP_VERSION] | image[SETUP_VERSION + 1] << 8) < 0x208)
		return "its boot protocol is older than 2.08 (Linux 2.6.26)";
	size_t sectors = image[SETUP_SECTS] ? image[SETUP_SECTS] : 4;
	uint64_t at = (sectors + 1) * 512 + (uint64_t)get32(image + PAYLOAD_OFFSET);
	uint64_t payload = get32(image + PAYLOAD_LENGTH);
	if (!payload || at > len || payload > len - at)
		return "the kernel inside lies beyond its end: it is cut off";
	*ret_at = (size_t)at;
	*ret_len = (size_t)payload;
	return NULL;
}

/* Of a bzImage. */
static int unpack(const uint8_t *image, size_t image_len, uint8_t **ret_data, size_t *ret_len,
	nova_error_t **error)
{
	size_t at, len;
	const char *fault = payload_fault(image, image_len, &at, &len);
	if (fault)
		return nova_fail(error, NOVA_ECORRUPT, "%s", fault);
	if (!is_elf(image + at, len))
		return image_inflate(image + at, len, ret_data, ret_len, error);
	/* A kernel that was built without compression. */
	*ret_data = malloc(len);
	if (!*ret_data)
		return nova_oom(error);
	memcpy(*ret_data, image + at, len);
	*ret_len = len;
	return 0;
}

int image_read_kernel(const uint8_t *image, size_t len, uint8_t **ret_unpacked, size_t *ret_len,
	nova_error_t **error)
{
	AUTO_FREE uint8_t *unpacked = NULL;
	size_t unpacked_len = len;
	int r = is_elf(image, len) ? 0 : unpack(image, len, &unpacked, &unpacked_len, error);
	if (r < 0)
		return r;
	const char *fault = elf_fault(unpacked ? unpacked : image, unpacked_len);
	if (fault)
		return nova_fail(error, NOVA_ECORRUPT, "%s", fault);
	*ret_unpacked = STEAL(unpacked);
	*ret_len = unpacked_len;
	return 0;
}

int nova_image_extract_kernel(const char *bzimage, const char *vmlinux, nova_error_t **error)
{
	if (ANY_NULL(error, bzimage, vmlinux))
		return NOVA_EINVAL;
	if (!*vmlinux)
		return nova_fail(error, NOVA_EINVAL,
			"nova_image_extract_kernel: vmlinux is \"\", not a path for the result");
	AUTO_BUF struct buf image = BUF_INIT(IMAGE_MAX_KERNEL);
	int r = fs_read_file(bzimage, &image);
	if (r < 0)
		return nova_fail_os(error, r, "cannot read the kernel '%s'", bzimage);
	AUTO_FREE uint8_t *unpacked = NULL;
	size_t len = 0;
	r = image_read_kernel(image.data, image.len, &unpacked, &len, error);
	if (r < 0)
		return nova_wrap(error, r, "kernel '%s'", bzimage);
	r = fs_write_file(vmlinux, unpacked ? unpacked : image.data, len, 0644);
	return r < 0 ? nova_fail_os(error, r, "cannot write '%s'", vmlinux) : 0;
}
