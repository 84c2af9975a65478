/* SPDX-License-Identifier: MIT */
/* The stream to the host: a virtio port, a vsock connection, or the descriptor that a parent handed
 * over. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "agent/io/io.h"

#define READ_BLOCK (64u << 10)
/* Beyond this a host that does not read is not read from either. */
#define QUEUE_LIMIT (16u << 20)

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

void channel_done(struct channel *channel)
{
	drop_queue(channel);
	nova_decoder_free(channel->decoder);
	fd_close(channel->fd);
}

bool channel_reset(struct channel *channel)
{
	drop_queue(channel);
	nova_decoder_free(channel->decoder);
	channel->decoder = NULL;
	bool well = nova_decoder_new(0, &channel->decoder, NULL) == 0;
	if (channel->port) {
		channel->away = true;
		return well;
	}
	close_fd(&channel->fd);
	return well && channel->listener >= 0;
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
static void queue(struct channel *channel, struct buf *frame, struct pieces *pieces)
{
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

void channel_send(struct channel *channel, struct buf *frame)
{
	queue(channel, frame, NULL);
}

void channel_send_pieces(struct channel *channel, struct pieces *pieces)
{
	struct buf none = BUF_INIT(0);
	if (pieces_next(pieces) > 0)
		queue(channel, &none, pieces);
	else
		pieces_free(pieces);
}

bool channel_is_idle(const struct channel *channel)
{
	return !channel->first;
}

void channel_flush(struct channel *channel, int ms)
{
	uint64_t end = deadline_in_ms((uint64_t)ms);
	while (channel->first && channel->fd >= 0 && write_some(channel) && channel->first &&
		!deadline_passed(end)) {
		struct pollfd out = { channel->fd, POLLOUT, 0 };
		sys_poll(&out, 1, deadline_poll_ms(end));
	}
}

int channel_next(struct channel *channel, int *type, const char **payload, size_t *len)
{
	return channel->fd < 0 ? 0 : nova_decoder_next(channel->decoder, type, payload, len, NULL);
}

bool channel_serve(struct channel *channel, short events)
{
	static uint8_t block[READ_BLOCK];
	if (!write_some(channel))
		return false;
	if (!(events & (POLLIN | POLLHUP | POLLERR)))
		return true;
	ssize_t got = sys_read(channel->fd, block, sizeof(block));
	if (got == -EAGAIN)
		return true;
	return got > 0 && nova_decoder_feed(channel->decoder, block, (size_t)got, NULL) == 0;
}

/*
 * One host at a time. A snapshot resets all streams, and the next one may get here before the guest
 * knows, which would end it too. So who connects waits until the former stream has ended: Ready
 * is a promise that this one stays.
 */
bool channel_accept(struct channel *channel)
{
	int fd = accept4(channel->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		channel->fd = fd;
	return fd >= 0;
}

bool channel_came_back(struct channel *channel)
{
	struct pollfd now = { channel->fd, POLLIN | POLLOUT, 0 };
	if (!channel->away || sys_poll(&now, 1, 0) < 0 || now.revents & POLLHUP)
		return false;
	channel->away = false;
	return true;
}

short channel_events(const struct channel *channel)
{
	if (channel->away)
		return 0;
	short events = channel->queued < QUEUE_LIMIT ? POLLIN : 0;
	return (short)(events | (channel->first ? POLLOUT : 0));
}
