/* SPDX-License-Identifier: MIT */
#include "guest.h"

#define SERIAL 0x3f8

/* Of QEMU's machine: it tells them by ACPI alone. */
#define SLOTS     0xfeb00000u
#define SLOT      512u
#define SLOT_MOST 24u

static size_t length(const char *text)
{
	size_t len = 0;
	while (text[len])
		len++;
	return len;
}

void print(const char *text)
{
	size_t len = length(text);
	__asm__ volatile("rep outsb" : "+S"(text), "+c"(len) : "d"((uint16_t)SERIAL) : "memory");
}

/* What the compiler calls for assignments. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memset(void *to, int value, size_t len);

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	copy(to, from, len);
	return to;
}

void *memset(void *to, int value, size_t len)
{
	void *at = to;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(value) : "memory");
	return to;
}

const char *find(const char *text, size_t len, const char *word)
{
	size_t word_len = length(word);
	for (size_t i = 0; i + word_len <= len; i++) {
		size_t same = 0;
		while (same < word_len && text[i + same] == word[same])
			same++;
		if (same == word_len)
			return text + i + same;
	}
	return NULL;
}

static uint64_t channel;

static char letter(unsigned kind)
{
	switch (kind) {
	case VIRTIO_NET:
		return 'n';
	case VIRTIO_BLOCK:
		return 'b';
	case VIRTIO_CONSOLE:
		return 'c';
	case VIRTIO_ENTROPY:
		return 'e';
	case VIRTIO_VSOCK:
		return 'v';
	default:
		return 'x';
	}
}

/* Notes a device, and the channel if it is that. */
static void meet(uint64_t address)
{
	unsigned kind = virtio_kind(address);
	size_t end = length(devices);
	if (!kind)
		return;
	devices[end] = letter(kind);
	if (kind == VIRTIO_VSOCK || kind == VIRTIO_CONSOLE)
		channel = address;
}

/* Firecracker names them all: virtio_mmio.device=4K@0xd0000000:5 */
static void meet_named(const char *command)
{
	static const char word[] = "virtio_mmio.device=4K@0x";
	const char *end = command + length(command);
	for (const char *at = command; (at = find(at, (size_t)(end - at), word)) != NULL;) {
		uint64_t address = 0;
		for (; *at && *at != ':'; at++)
			address =
				address << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
		meet(address);
	}
}

/* `start_info`: of PVH, or NULL; `parameters`: those of Linux. */
_Noreturn void guest_main(const uint8_t *start_info, const uint8_t *parameters);
_Noreturn void guest_main(const uint8_t *start_info, const uint8_t *parameters)
{
	uint64_t command = start_info ? *(const uint64_t *)(start_info + 24) :
					*(const uint32_t *)(parameters + 0x228);
	meet_named((const char *)command);
	bool named = channel != 0;
	for (unsigned i = 0; !named && i < SLOT_MOST; i++)
		meet(SLOTS + i * SLOT);
	if (channel && virtio_kind(channel) == VIRTIO_VSOCK)
		vsock_serve(channel);
	if (channel)
		console_serve(channel);
	print("the guest finds no channel\n");
	guest_end();
}
