/* SPDX-License-Identifier: MIT */
/*
 * A guest without Linux, for hosts whose KVM cannot run that: it plays the agent
 * (docs/protocol.md), by vsock on Firecracker and by a serial port on QEMU, and tells in its
 * answers what has become of it. It uses general registers alone, and few instructions: such a KVM
 * interprets a million of them in a second.
 */
#ifndef NOVA_TESTS_GUEST_H
#define NOVA_TESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- start.S, main.c --- */

_Noreturn void guest_end(void);
_Noreturn void guest_fault(void);
/* To the serial port. */
void print(const char *text);
const char *find(const char *text, size_t len, const char *word);

static inline void copy(void *to, const void *from, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

static inline void relax(void)
{
	__asm__ volatile("pause");
}

/* Nothing is moved across by the compiler; the processor moves no write over another. */
static inline void barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

/* --- virtio.c: a device behind MMIO, of version 1 or 2 --- */

#define QUEUE_SIZE  16
#define QUEUES_MOST 6

enum { VIRTIO_NET = 1, VIRTIO_BLOCK, VIRTIO_CONSOLE, VIRTIO_ENTROPY, VIRTIO_VSOCK = 19 };

struct queue {
	struct {
		uint64_t address;
		uint32_t length;
		uint16_t flags, next;
	} parts[QUEUE_SIZE];
	struct {
		uint16_t flags, count, ring[QUEUE_SIZE];
	} given;
	struct {
		uint16_t flags, count;
		struct {
			uint32_t id, length;
		} ring[QUEUE_SIZE];
	} taken __attribute__((aligned(4096)));
	uint16_t seen; /* of what was taken */
} __attribute__((aligned(4096)));

struct device {
	volatile uint32_t *registers;
	struct queue *queues;
};

/* The kind of the device at an address; 0: none. */
unsigned virtio_kind(uint64_t address);
void virtio_start(struct device *d, uint64_t address, struct queue *queues, unsigned count,
	uint32_t features);
uint64_t virtio_config64(const struct device *d);
void virtio_notify(const struct device *d, unsigned queue);
/* For the device to write to; `id` comes back. A message is in one part, or, with a `head`, in
 * two. */
void virtio_offer(struct device *d, unsigned queue, unsigned id, void *head, uint32_t head_len,
	void *data, uint32_t len);
/* One that the device has written to, if there is one. */
bool virtio_take(struct device *d, unsigned queue, unsigned *ret_id, uint32_t *ret_len);
/* Returns when the device has read it. */
void virtio_send(struct device *d, unsigned queue, void *head, uint32_t head_len, const void *data,
	uint32_t len);

/* --- vsock.c, console.c: the channel --- */

struct stream;
/* Serves for good. */
_Noreturn void vsock_serve(uint64_t address);
_Noreturn void console_serve(uint64_t address);
/* When it says Ready on a stream: once it knows of no other, as the agent does; the same, but
 * never before it has looked for events; at once. */
enum when_ready { ALONE, AFTER_EVENTS, AT_ONCE };
extern enum when_ready when_ready;
void vsock_reply(struct stream *stream, const void *data, uint32_t len);
void console_reply(const void *data, uint32_t len);

/* --- agent.c --- */

#define INPUT_MOST (64u << 10)

/* What was received of one stream. */
struct input {
	uint32_t have;
	uint8_t bytes[INPUT_MOST];
};

/* What answers tell. */
struct counters {
	uint64_t calls, streams, resets, resumes, wrong;
};
extern struct counters counters;
extern char devices[256];

/* `stream`: NULL for the console. */
void agent_ready(struct stream *stream);
void agent_feed(struct stream *stream, struct input *input, const void *data, uint32_t len);

#endif
