/* SPDX-License-Identifier: MIT */
/*
 * Streams of virtio-vsock. At each snapshot the device drops all streams and says so in the queue
 * of events. What the host sends then can be seen before that event, as by Linux, which handles it
 * later: so what has come is looked at first here, and answered first, unless a call has told to
 * do otherwise.
 */
#include "guest.h"

#define HOST         2
#define PORT         9999
#define MESSAGES     (QUEUE_SIZE / 2)
#define MESSAGE_MOST 4096
#define WINDOW       (256u << 10)
#define STREAMS      8

enum { RECEIVE, SEND, EVENTS };
enum { REQUEST = 1, RESPONSE, RESET, SHUTDOWN, DATA, CREDIT, ASKS_CREDIT };

struct packet {
	uint64_t from, to;
	uint32_t from_port, to_port, length;
	uint16_t type, operation;
	uint32_t flags, window, received;
} __attribute__((packed));

struct stream {
	bool used, is_ready;
	uint32_t port, received;
	struct input input;
};

static struct queue queues[3];
static struct device device;
static struct stream streams[STREAMS];
static struct packet heads[MESSAGES], head;
static uint8_t bodies[MESSAGES][MESSAGE_MOST];
static uint32_t events[MESSAGES];
static uint64_t own_address;
enum when_ready when_ready;

static void send(
	uint32_t port, unsigned operation, uint32_t received, const void *data, uint32_t len)
{
	head = (struct packet){ own_address, HOST, PORT, port, len, 1, (uint16_t)operation, 0,
		WINDOW, received };
	virtio_send(&device, SEND, &head, sizeof(head), data, len);
}

void vsock_reply(struct stream *stream, const void *data, uint32_t len)
{
	send(stream->port, DATA, stream->received, data, len);
}

static struct stream *find_stream(uint32_t port)
{
	for (struct stream *s = streams; s < streams + STREAMS; s++)
		if (s->used && s->port == port)
			return s;
	return NULL;
}

static struct stream *new_stream(uint32_t port)
{
	for (struct stream *s = streams; s < streams + STREAMS; s++)
		if (!s->used) {
			s->used = true;
			s->is_ready = false;
			s->port = port;
			s->received = s->input.have = 0;
			return s;
		}
	return NULL;
}

static bool is_alone(const struct stream *one)
{
	for (const struct stream *s = streams; s < streams + STREAMS; s++)
		if (s->used && s != one)
			return false;
	return true;
}

/* Ready tells the host that a stream will stay. While an older one is there, the event that ends
 * both may be on its way; also when the older one has ended otherwise, but that is not known. */
static void greet(bool events_seen)
{
	for (struct stream *s = streams; s < streams + STREAMS; s++) {
		if (!s->used || s->is_ready)
			continue;
		if (when_ready == AT_ONCE ||
			(is_alone(s) && (when_ready == ALONE || events_seen))) {
			s->is_ready = true;
			agent_ready(s);
		}
	}
}

static void accept(const struct packet *p)
{
	struct stream *s = p->to_port == PORT ? new_stream(p->from_port) : NULL;
	send(p->from_port, s ? RESPONSE : RESET, 0, NULL, 0);
	counters.streams += s != NULL;
}

static void receive(const struct packet *p, const uint8_t *data)
{
	struct stream *s = find_stream(p->from_port);
	if (p->operation == REQUEST) {
		accept(p);
	} else if (!s) {
		if (p->operation != RESET)
			send(p->from_port, RESET, 0, NULL, 0);
	} else if (p->operation == DATA) {
		s->received += p->length;
		agent_feed(s, &s->input, data, p->length);
		send(s->port, CREDIT, s->received, NULL, 0);
	} else if (p->operation == ASKS_CREDIT) {
		send(s->port, CREDIT, s->received, NULL, 0);
	} else if (p->operation == RESET || p->operation == SHUTDOWN) {
		if (p->operation == SHUTDOWN)
			send(s->port, RESET, s->received, NULL, 0);
		s->used = false;
	}
}

static void drop_streams(void)
{
	counters.resets++;
	own_address = virtio_config64(&device);
	for (struct stream *s = streams; s < streams + STREAMS; s++)
		s->used = false;
}

static void offer_message(unsigned id)
{
	virtio_offer(&device, RECEIVE, id, &heads[id], sizeof(heads[id]), bodies[id], MESSAGE_MOST);
}

static void offer_event(unsigned id)
{
	virtio_offer(&device, EVENTS, id, NULL, 0, &events[id], sizeof(events[id]));
}

_Noreturn void vsock_serve(uint64_t address)
{
	unsigned id;
	uint32_t len;
	virtio_start(&device, address, queues, 3, 0);
	own_address = virtio_config64(&device);
	for (id = 0; id < MESSAGES; id++) {
		offer_message(id);
		offer_event(id);
	}
	virtio_notify(&device, RECEIVE);
	virtio_notify(&device, EVENTS);
	for (;;) {
		while (virtio_take(&device, RECEIVE, &id, &len)) {
			receive(&heads[id], bodies[id]);
			offer_message(id);
			virtio_notify(&device, RECEIVE);
		}
		greet(false);
		while (virtio_take(&device, EVENTS, &id, &len)) {
			drop_streams();
			offer_event(id);
			virtio_notify(&device, EVENTS);
		}
		greet(true);
		relax();
	}
}
