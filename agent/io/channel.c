/* SPDX-License-Identifier: MIT */
/* The stream to the host: a virtio port, a vsock connection, or the descriptor that a parent handed
 * over. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "agent/agent.h"

#define READ_BLOCK (64u << 10)
#define QUEUE_LIMIT                                                                                \
	(16u << 20) /* a host that does not read is not read from either, beyond this              \
		     */

int channel_init(struct channel *channel)
{
	*channel = (struct channel){ .fd = -1, .listener = -1 };
	channel->last = &channel->first;
	return nova_decoder_new(0, &channel->decoder, NULL);
}

int channel_open_port(struct channel *channel, const char *path)
{
	int fd = sys_open(path, O_RDWR | O_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	channel->fd = fd;
	channel->port = true;
	return 0;
}

int channel_listen(struct channel *channel)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_port = VSOCK_PORT,
		.svm_cid = VMADDR_CID_ANY,
	};
	AUTO_FD int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 4) < 0)
		return -errno;
	channel->listener = STEAL_FD(fd);
	return 0;
}

static void outgoing_free(struct outgoing *gone)
{
	buf_free(&gone->frame);
	pieces_free(gone->pieces);
	free(gone);
}

static void drop_queue(struct channel *channel)
{
	while (channel->first) {
		struct outgoing *gone = channel->first;
		channel->first = gone->next;
		outgoing_free(gone);
	}
	channel->last = &channel->first;
	channel->queued = 0;
}

/* Whoever was there is gone: its requests have nobody to answer to. */
void channel_lost(struct agent *agent)
{
	struct channel *channel = &agent->channel;
	drop_queue(channel);
	request_drop_all(agent);
	hook_drop(agent);
	agent->init.pending = false;
	nova_decoder_free(channel->decoder);
	channel->decoder = NULL;
	if (nova_decoder_new(0, &channel->decoder, NULL) < 0)
		agent->done = true;
	if (channel->port) {
		channel->away = true;
		return;
	}
	fd_close(channel->fd);
	channel->fd = -1;
	if (channel->listener < 0)
		agent->done = true;
}

static const struct buf *frame_of(const struct outgoing *out)
{
	return out->pieces ? &out->pieces->frame : &out->frame;
}

/* What is held for it as long as it waits. */
static size_t weight(const struct outgoing *out)
{
	return out->pieces ? out->pieces->text.len : out->frame.len;
}

/* Its frame has been sent. 1: it has another one; 0: it is done; -errno. */
static int next_frame(struct outgoing *out)
{
	out->sent = 0;
	return out->pieces ? pieces_next(out->pieces) : 0;
}

/* Sends until the channel takes no more; false when it is lost. */
static bool write_some(struct channel *channel)
{
	while (channel->first) {
		struct outgoing *now = channel->first;
		const struct buf *frame = frame_of(now);
		ssize_t put =
			sys_write(channel->fd, frame->data + now->sent, frame->len - now->sent);
		if (put < 0)
			return put == -EAGAIN;
		now->sent += (size_t)put;
		int more = now->sent < frame->len ? 1 : next_frame(now);
		if (more < 0)
			return false;
		if (more)
			continue;
		channel->queued -= weight(now);
		channel->first = now->next;
		if (!channel->first)
			channel->last = &channel->first;
		outgoing_free(now);
	}
	return true;
}

/* Takes both over. */
static void queue(struct agent *agent, struct buf *frame, struct pieces *pieces)
{
	struct channel *channel = &agent->channel;
	struct outgoing *next = channel->fd < 0 || channel->away ? NULL : calloc(1, sizeof(*next));
	if (!next) {
		buf_free(frame);
		pieces_free(pieces);
		return;
	}
	next->frame = *frame;
	next->pieces = pieces;
	*frame = BUF_INIT(frame->max);
	channel->queued += weight(next);
	*channel->last = next;
	channel->last = &next->next;
	/* A failure shows again in the poll loop, which is the place to end things. */
	write_some(channel);
}

void channel_send(struct agent *agent, struct buf *frame)
{
	queue(agent, frame, NULL);
}

void channel_send_pieces(struct agent *agent, struct pieces *pieces)
{
	struct buf none = BUF_INIT(0);
	if (pieces_next(pieces) > 0)
		queue(agent, &none, pieces);
	else
		pieces_free(pieces);
}

void channel_flush(struct agent *agent, int ms)
{
	struct channel *channel = &agent->channel;
	uint64_t end = deadline_in_ms((uint64_t)ms);
	while (channel->first && channel->fd >= 0 && write_some(channel) && channel->first &&
		!deadline_passed(end)) {
		struct pollfd out = { channel->fd, POLLOUT, 0 };
		sys_poll(&out, 1, deadline_poll_ms(end));
	}
}

static void deliver(struct agent *agent)
{
	struct channel *channel = &agent->channel;
	int type, r;
	const char *payload;
	size_t len;
	while ((r = nova_decoder_next(channel->decoder, &type, &payload, &len, NULL)) == 1) {
		message_handle(agent, type, payload, len);
		if (agent->stopping || channel->fd < 0)
			return;
	}
	if (r < 0)
		channel_lost(agent);
}

static void on_channel(struct agent *agent, void *what, short events)
{
	static uint8_t block[READ_BLOCK];
	struct channel *channel = what;
	if (!write_some(channel)) {
		channel_lost(agent);
		return;
	}
	if (!(events & (POLLIN | POLLHUP | POLLERR)))
		return;
	ssize_t got = sys_read(channel->fd, block, sizeof(block));
	if (got == -EAGAIN)
		return;
	if (got <= 0 || nova_decoder_feed(channel->decoder, block, (size_t)got, NULL) < 0)
		channel_lost(agent);
	else
		deliver(agent);
}

/*
 * One host at a time. A snapshot resets all streams, and the next one may get here before the guest
 * knows, which would end it too. So who connects waits until the former stream has ended: Ready
 * is a promise that this one stays.
 */
static void on_connection(struct agent *agent, void *what, short events)
{
	struct channel *channel = what;
	(void)events;
	int fd = accept4(channel->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	channel->fd = fd;
	message_ready(agent);
}

/* A virtio port without a host is hung up for poll, so it can only be asked from time to time. */
static bool still_away(struct agent *agent)
{
	struct channel *channel = &agent->channel;
	struct pollfd now = { channel->fd, POLLIN | POLLOUT, 0 };
	if (!channel->away)
		return false;
	if (sys_poll(&now, 1, 0) < 0 || now.revents & POLLHUP)
		return true;
	channel->away = false;
	message_ready(agent);
	return false;
}

void channel_watch(struct agent *agent)
{
	struct channel *channel = &agent->channel;
	if (channel->listener >= 0 && channel->fd < 0)
		loop_watch(agent, &channel->listener, POLLIN, on_connection, channel);
	if (channel->fd < 0 || still_away(agent))
		return;
	short events = channel->queued < QUEUE_LIMIT ? POLLIN : 0;
	loop_watch(agent, &channel->fd, (short)(events | (channel->first ? POLLOUT : 0)),
		on_channel, channel);
}
