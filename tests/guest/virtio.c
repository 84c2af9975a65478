/* SPDX-License-Identifier: MIT */
#include "guest.h"

enum {
	MAGIC = 0x00,
	VERSION = 0x04,
	KIND = 0x08,
	FEATURES = 0x20,
	FEATURES_HALF = 0x24,
	PAGE_SIZE = 0x28,
	QUEUE = 0x30,
	SIZE = 0x38,
	ALIGN = 0x3c,
	PAGE = 0x40,
	READY = 0x44,
	NOTIFY = 0x50,
	STATUS = 0x70,
	PARTS = 0x80,
	GIVEN = 0x90,
	TAKEN = 0xa0,
	CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { CONTINUES = 1, DEVICE_WRITES = 2, NO_INTERRUPT = 1 };

static uint32_t get(const struct device *d, unsigned at)
{
	return d->registers[at / 4];
}

static void set(const struct device *d, unsigned at, uint32_t value)
{
	d->registers[at / 4] = value;
}

/* It lies below 4 GB. */
static void set_address(const struct device *d, unsigned at, const void *address)
{
	set(d, at, (uint32_t)(uintptr_t)address);
	set(d, at + 4, 0);
}

unsigned virtio_kind(uint64_t address)
{
	const struct device d = { (volatile uint32_t *)address, NULL };
	return get(&d, MAGIC) == 0x74726976 ? get(&d, KIND) : 0;
}

static bool is_legacy(const struct device *d)
{
	return get(d, VERSION) == 1;
}

static void start_queue(const struct device *d, unsigned i)
{
	struct queue *q = &d->queues[i];
	q->given.flags = NO_INTERRUPT;
	set(d, QUEUE, i);
	set(d, SIZE, QUEUE_SIZE);
	if (is_legacy(d)) {
		set(d, ALIGN, 4096);
		set(d, PAGE, (uint32_t)((uintptr_t)q / 4096));
		return;
	}
	set_address(d, PARTS, q->parts);
	set_address(d, GIVEN, &q->given);
	set_address(d, TAKEN, &q->taken);
	set(d, READY, 1);
}

void virtio_start(
	struct device *d, uint64_t address, struct queue *queues, unsigned count, uint32_t features)
{
	*d = (struct device){ (volatile uint32_t *)address, queues };
	uint32_t status = ACKNOWLEDGE | DRIVER;
	set(d, STATUS, 0);
	set(d, STATUS, ACKNOWLEDGE);
	set(d, STATUS, status);
	set(d, FEATURES_HALF, 0);
	set(d, FEATURES, features);
	if (is_legacy(d)) {
		set(d, PAGE_SIZE, 4096);
	} else {
		set(d, FEATURES_HALF, 1);
		set(d, FEATURES, 1); /* VIRTIO_F_VERSION_1 */
		status |= FEATURES_OK;
		set(d, STATUS, status);
	}
	for (unsigned i = 0; i < count; i++)
		start_queue(d, i);
	set(d, STATUS, status | DRIVER_OK);
}

uint64_t virtio_config64(const struct device *d)
{
	return get(d, CONFIG) | (uint64_t)get(d, CONFIG + 4) << 32;
}

void virtio_notify(const struct device *d, unsigned queue)
{
	set(d, NOTIFY, queue);
}

static void describe(struct queue *q, unsigned part, const void *data, uint32_t len, unsigned flags,
	unsigned next)
{
	q->parts[part].address = (uintptr_t)data;
	q->parts[part].length = len;
	q->parts[part].flags = (uint16_t)flags;
	q->parts[part].next = (uint16_t)next;
}

/* A message takes two parts, of which it may leave one unused. */
static void give(struct queue *q, unsigned id)
{
	q->given.ring[q->given.count % QUEUE_SIZE] = (uint16_t)(2 * id);
	barrier();
	q->given.count++;
	barrier();
}

static void describe_message(struct queue *q, unsigned id, const void *head, uint32_t head_len,
	const void *data, uint32_t len, unsigned flags)
{
	if (!head) {
		describe(q, 2 * id, data, len, flags, 0);
		return;
	}
	describe(q, 2 * id, head, head_len, flags | (len ? CONTINUES : 0), 2 * id + 1);
	describe(q, 2 * id + 1, data, len, flags, 0);
}

void virtio_offer(struct device *d, unsigned queue, unsigned id, void *head, uint32_t head_len,
	void *data, uint32_t len)
{
	struct queue *q = &d->queues[queue];
	describe_message(q, id, head, head_len, data, len, DEVICE_WRITES);
	give(q, id);
}

bool virtio_take(struct device *d, unsigned queue, unsigned *ret_id, uint32_t *ret_len)
{
	struct queue *q = &d->queues[queue];
	if (*(volatile uint16_t *)&q->taken.count == q->seen)
		return false;
	barrier();
	unsigned at = q->seen++ % QUEUE_SIZE;
	*ret_id = q->taken.ring[at].id / 2;
	*ret_len = q->taken.ring[at].length;
	return true;
}

void virtio_send(struct device *d, unsigned queue, void *head, uint32_t head_len, const void *data,
	uint32_t len)
{
	unsigned id;
	uint32_t ignored;
	describe_message(&d->queues[queue], 0, head, head_len, data, len, 0);
	give(&d->queues[queue], 0);
	virtio_notify(d, queue);
	while (!virtio_take(d, queue, &id, &ignored))
		relax();
}
