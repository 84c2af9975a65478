/* SPDX-License-Identifier: MIT */
/*
 * Threads that work, and whatever a process can have that a fork could break. It knows nothing of
 * being forked. Arguments: a seed, and the name of a trouble (or "none"). Over its socket it is
 * told "prove", and answers "ok", or what is wrong.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define HANG_S 100

void fault(const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	send(PROGRAM_COMMAND, text, strlen(text), MSG_NOSIGNAL);
	_exit(3);
}

void await(pthread_cond_t *cond, pthread_mutex_t *mutex, bool (*truth)(void))
{
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += HANG_S;
	while (!truth())
		if (pthread_cond_timedwait(cond, mutex, &end) == ETIMEDOUT)
			fault("nothing happens any more");
}

static void prove(void)
{
	static pid_t owner;
	static unsigned proofs;
	/* Nobody else writes into this memory: a child has it from its parent, once. */
	require(owner == getpid() || owner == 0 || proofs > 0);
	proofs = owner == getpid() ? proofs + 1 : 1;
	owner = getpid();
	workers_prove();
	things_prove();
	require(owner == getpid());
}

/* False: nobody asks any more. */
static bool serve_one(void)
{
	char text[64];
	struct pollfd p = { PROGRAM_COMMAND, POLLIN, 0 };
	if (poll(&p, 1, -1) < 0) {
		require(errno == EINTR); /* by whoever stopped us */
		return true;
	}
	ssize_t n = recv(PROGRAM_COMMAND, text, sizeof(text), MSG_DONTWAIT);
	if (n == 3)
		attempts_fail();
	else if (n > 0)
		prove();
	if (n > 0)
		send(PROGRAM_COMMAND, "ok", 2, MSG_NOSIGNAL);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	prctl(PR_SET_NAME, "prog-main");
	things_start();
	workers_start((unsigned)strtoul(argv[1], NULL, 10));
	if (!trouble_start(argv[2]))
		return 2;
	send(PROGRAM_COMMAND, "up", 2, MSG_NOSIGNAL);
	while (serve_one())
		;
	return 0;
}
