/* SPDX-License-Identifier: MIT */
/* A port of virtio-console: the first after the console itself, which is the agent's. */
#include "guest.h"

#define MESSAGES     (QUEUE_SIZE / 2)
#define MESSAGE_MOST 4096
#define AGENT_PORT   1

enum { CONTROL_IN = 2, CONTROL_OUT, AGENT_IN, AGENT_OUT, QUEUES };
enum { DEVICE_READY, PORT_ADD, PORT_READY = 3, PORT_OPEN = 6 };

struct control {
	uint32_t port;
	uint16_t event, value;
	char name[56];
};

static struct queue queues[QUEUES];
static struct device device;
static struct control orders[MESSAGES], order;
static uint8_t bodies[MESSAGES][MESSAGE_MOST];
static struct input input;

static void tell(uint32_t port, unsigned event)
{
	order = (struct control){ .port = port, .event = (uint16_t)event, .value = 1 };
	virtio_send(&device, CONTROL_OUT, NULL, 0, &order, 8);
}

void console_reply(const void *data, uint32_t len)
{
	virtio_send(&device, AGENT_OUT, NULL, 0, data, len);
}

static void obey(const struct control *c)
{
	if (c->event != PORT_ADD)
		return;
	tell(c->port, PORT_READY);
	if (c->port == AGENT_PORT) {
		tell(c->port, PORT_OPEN);
		counters.streams++;
		agent_ready(NULL);
	}
}

static void offer_order(unsigned id)
{
	virtio_offer(&device, CONTROL_IN, id, NULL, 0, &orders[id], sizeof(orders[id]));
	virtio_notify(&device, CONTROL_IN);
}

static void offer_message(unsigned id)
{
	virtio_offer(&device, AGENT_IN, id, NULL, 0, bodies[id], MESSAGE_MOST);
	virtio_notify(&device, AGENT_IN);
}

_Noreturn void console_serve(uint64_t address)
{
	unsigned id;
	uint32_t len;
	virtio_start(&device, address, queues, QUEUES, 2 /* VIRTIO_CONSOLE_F_MULTIPORT */);
	for (id = 0; id < MESSAGES; id++) {
		offer_order(id);
		offer_message(id);
	}
	tell(UINT32_MAX, DEVICE_READY);
	for (;;) {
		while (virtio_take(&device, CONTROL_IN, &id, &len)) {
			obey(&orders[id]);
			offer_order(id);
		}
		while (virtio_take(&device, AGENT_IN, &id, &len)) {
			agent_feed(NULL, &input, bodies[id], len);
			offer_message(id);
		}
		relax();
	}
}
