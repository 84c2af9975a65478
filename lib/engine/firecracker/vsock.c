/* SPDX-License-Identifier: MIT */
/*
 * The stream to the guest's agent: Firecracker's vsock device shows as a Unix socket, on which the first line names the guest's
 * port. Before the guest's driver is up nothing answers, before the agent listens the stream ends, and after a snapshot one that was made too
 * early is reset: so an attempt counts when the agent's first byte has come, and until then there is another.
 */
#include <errno.h>
#include <sys/socket.h>

#include "engine/firecracker/firecracker.h"

#define LINE_MOST     32
#define FIRST_WAIT_MS 100u  /* for the answer to the first attempt; doubled with each that stays silent */
#define LAST_WAIT_MS  2000u
#define PAUSE_MS      5u    /* between attempts */

/* 1: there is something to read, or the end; 0: not within the time. */
static int await_bytes(int fd, uint64_t deadline)
{
	struct pollfd p = { fd, POLLIN, 0 };
	for (;;) {
		int n = sys_poll(&p, 1, deadline_poll_ms(deadline));
		if (n != 0 || deadline_passed(deadline))
			return n;
	}
}

/* Byte by byte, as what follows the newline is the agent's. */
static bool read_line(int fd, uint64_t deadline, char line[LINE_MOST + 1])
{
	for (size_t len = 0; len < LINE_MOST; len++) {
		if (await_bytes(fd, deadline) <= 0 || sys_recv(fd, &line[len], 1, 0) != 1)
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

/* One attempt: the socket, or -1. */
static int attempt(const char *path, uint32_t port, uint64_t deadline)
{
	char request[24], line[LINE_MOST + 1], first;
	int len = snprintf(request, sizeof(request), "CONNECT %u\n", port);
	AUTO_FD int fd = sys_connect_unix(path);
	/* In one piece: a short first read makes Firecracker drop the connection. */
	if (fd < 0 || sys_send(fd, request, (size_t)len, 0) != len || !read_line(fd, deadline, line) || !is_ok(line))
		return -1;
	if (await_bytes(fd, deadline) <= 0 || sys_recv(fd, &first, 1, MSG_PEEK) != 1 || sys_set_nonblock(fd, false) < 0)
		return -1;
	return STEAL_FD(fd);
}

int fc_vsock_connect(const char *path, uint32_t port, const struct process *process, uint64_t deadline, const struct stop *stop, int *ret_fd,
	nova_error_t **error)
{
	uint64_t wait = FIRST_WAIT_MS;
	for (;;) {
		uint64_t begin = clock_ns(), until = deadline_in_ms(wait);
		int fd = attempt(path, port, until < deadline ? until : deadline);
		if (fd >= 0) {
			*ret_fd = fd;
			return 0;
		}
		if (process_wait(process, deadline_in_ms(PAUSE_MS)))
			return nova_fail(error, NOVA_ELOST, "the guest ended before its agent was up");
		int code = stop_check(stop, "the guest's agent was up", error);
		if (code < 0)
			return code;
		if (deadline_passed(deadline))
			return nova_fail(error, NOVA_EAGENT, "the guest's agent did not answer on vsock port %u in time", port);
		if (clock_ns() - begin >= wait * 1000000u && wait < LAST_WAIT_MS)
			wait *= 2;
	}
}
