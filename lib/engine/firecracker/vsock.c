/* SPDX-License-Identifier: MIT */
/*
 * The stream to the guest's agent: Firecracker's vsock device shows as a Unix socket, on which the
 * first line names the guest's port. Before the guest's driver is up nothing answers, and before
 * the agent listens the stream ends: so an attempt counts when the agent's first byte has come, and
 * until then there is another.
 *
 * A snapshot ends all streams, of which the guest learns by an event. One that was made since then
 * may get there before the event, and is ended with them, perhaps after the agent has said Ready:
 * of this the host learns by the reset that answers whatever it sends. So such a stream is tried by
 * a Ping, and counts when that has been answered.
 */
#include <errno.h>
#include <sys/socket.h>

#include "engine/firecracker/firecracker.h"
#include "proto/proto.h"

#define LINE_MOST 32
/* for the answer to the first attempt; doubled with each that stays silent */
#define FIRST_WAIT_MS 100u
#define LAST_WAIT_MS  2000u
#define PAUSE_MS      5u     /* between attempts */
#define FRAME_MOST    16384u /* of what an agent says of itself */

/* Byte by byte, as what follows the newline is the agent's. */
static bool read_line(int fd, uint64_t deadline, char line[LINE_MOST + 1])
{
	for (size_t len = 0; len < LINE_MOST; len++) {
		if (!sys_await_readable(fd, deadline) || sys_recv(fd, &line[len], 1, 0) != 1)
			return false;
		if (line[len] == '\n') {
			line[len] = 0;
			return true;
		}
	}
	return false;
}

static bool is_ok(const char *line)
{
	return str_starts(line, "OK ") && line[3] && line[3 + strspn(line + 3, "0123456789")] == 0;
}

static bool read_whole(int fd, void *to, size_t len, uint64_t deadline)
{
	uint8_t *at = to;
	while (len) {
		ssize_t got =
			sys_await_readable(fd, deadline) ? sys_recv(fd, at, len, MSG_DONTWAIT) : 0;
		if (got <= 0)
			return false;
		at += got;
		len -= (size_t)got;
	}
	return true;
}

/* One frame and no byte more; its type, or -1. */
static int read_frame(int fd, uint64_t deadline)
{
	uint8_t frame[NOVA_FRAME_HEADER + FRAME_MOST];
	nova_decoder_t *decoder = NULL;
	const char *payload;
	int type = -1;
	size_t len;
	if (!read_whole(fd, frame, NOVA_FRAME_HEADER, deadline))
		return -1;
	len = (size_t)frame[0] << 24 | (size_t)frame[1] << 16 | (size_t)frame[2] << 8 | frame[3];
	if (len > FRAME_MOST || !read_whole(fd, frame + NOVA_FRAME_HEADER, len, deadline) ||
		nova_decoder_new(FRAME_MOST, &decoder, NULL) < 0)
		return -1;
	if (nova_decoder_feed(decoder, frame, NOVA_FRAME_HEADER + len, NULL) < 0 ||
		nova_decoder_next(decoder, &type, &payload, &len, NULL) != 1)
		type = -1;
	nova_decoder_free(decoder);
	return type;
}

/* Whether an agent answers on the stream, after whatever it says first. */
static bool stays(int fd, uint64_t deadline)
{
	static const char payload[] = "{\"request_id\":\"stays\"}";
	AUTO_FREE void *ping = NULL;
	size_t len;
	if (nova_frame_encode(NOVA_MSG_PING, payload, strlen(payload), &ping, &len, NULL) < 0 ||
		sys_send(fd, ping, len, MSG_DONTWAIT) != (ssize_t)len)
		return false;
	for (;;) {
		int type = read_frame(fd, deadline);
		if (type < 0 || type == NOVA_MSG_RESP)
			return type == NOVA_MSG_RESP;
	}
}

/* One attempt: the socket, or -1. */
static int attempt(const char *path, uint32_t port, bool doubtful, uint64_t deadline)
{
	char request[24], line[LINE_MOST + 1], first;
	int len = snprintf(request, sizeof(request), "CONNECT %u\n", port);
	AUTO_FD int fd = sys_connect_unix(path);
	/* In one piece: a short first read makes Firecracker drop the connection. */
	if (fd < 0 || sys_send(fd, request, (size_t)len, 0) != len ||
		!read_line(fd, deadline, line) || !is_ok(line))
		return -1;
	if (!sys_await_readable(fd, deadline) || sys_recv(fd, &first, 1, MSG_PEEK) != 1 ||
		sys_set_nonblock(fd, false) < 0)
		return -1;
	if (doubtful && !stays(fd, deadline))
		return -1;
	return STEAL_FD(fd);
}

int fc_vsock_connect(const char *path, uint32_t port, bool doubtful, const struct process *process,
	uint64_t deadline, const struct stop *stop, int *ret_fd, nova_error_t **error)
{
	uint64_t wait = FIRST_WAIT_MS;
	for (;;) {
		uint64_t begin = clock_ns(), until = deadline_in_ms(wait);
		int fd = attempt(path, port, doubtful, until < deadline ? until : deadline);
		if (fd >= 0) {
			*ret_fd = fd;
			return 0;
		}
		if (process_wait(process, deadline_in_ms(PAUSE_MS)))
			return nova_fail(
				error, NOVA_ELOST, "the guest ended before its agent was up");
		int code = stop_check(stop, "the guest's agent was up", error);
		if (code < 0)
			return code;
		if (deadline_passed(deadline))
			return nova_fail(error, NOVA_EAGENT,
				"the guest's agent did not answer on vsock port %u in time", port);
		if (clock_ns() - begin >= wait * 1000000u && wait < LAST_WAIT_MS)
			wait *= 2;
	}
}
