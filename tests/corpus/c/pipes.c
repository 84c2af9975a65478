/* SPDX-License-Identifier: MIT */
/* A child counts what its parent sends through a pipe, and both write to the answer. */
#include "event.h"

#include <sys/wait.h>
#include <unistd.h>

static long count(int fd)
{
	char piece[4096];
	long total = 0;
	for (ssize_t got; (got = read(fd, piece, sizeof(piece))) > 0;)
		total += got;
	return total;
}

static void send_bytes(int fd, long bytes)
{
	static const char piece[4096];
	while (bytes > 0) {
		ssize_t sent = write(fd, piece, bytes < 4096 ? (size_t)bytes : sizeof(piece));
		if (sent < 0)
			exit(3);
		bytes -= sent;
	}
}

int main(int argc, char **argv)
{
	event_read(argc, argv);
	const char *at = event;
	long bytes = 0;
	int ends[2], status;
	if (!event_number(&at, &bytes) || pipe(ends) < 0)
		return 2;
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		printf("{\"counted\":%ld,", count(ends[0]));
		fflush(stdout);
		_exit(7);
	}
	close(ends[0]);
	send_bytes(ends[1], bytes);
	close(ends[1]);
	waitpid(child, &status, 0);
	printf("\"sent\":%ld,\"status\":%d}\n", bytes, WEXITSTATUS(status));
	return 0;
}
