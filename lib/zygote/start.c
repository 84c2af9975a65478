/* SPDX-License-Identifier: MIT */
/*
 * nova-zygote.so makes a program that knows nothing of it forkable with all its threads, at an
 * order that comes over a socket (docs/hot.md). It is loaded into that program alone, by
 * LD_PRELOAD, and needs nothing but the C library. Whatever prevents that is told over the socket,
 * and the program runs as it would without.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "zygote/control.h"
#include "zygote/next.h"
#include "zygote/orders.h"
#include "zygote/proc.h"
#include "zygote/raw.h"
#include "zygote/revive.h"
#include "zygote/stop.h"
#include "zygote/threads.h"
#include "zygote/wire.h"

static bool is_zygote;

/* --- what no fork survives is not used in the first place --- */

/* Of liburing; QEMU does without where it is not to be had. */
INTERPOSED int io_uring_queue_init(unsigned entries, void *ring, unsigned flags);
INTERPOSED int io_uring_queue_init(unsigned entries, void *ring, unsigned flags)
{
	static void *_Atomic known;
	int (*next)(unsigned, void *, unsigned) = (int (*)(
		unsigned, void *, unsigned))next_function(&known, "io_uring_queue_init", NULL);
	return is_zygote || !next ? -ENOSYS : next(entries, ring, flags);
}

/* A guest's memory is what a child is for. Whoever has memory wiped in children is prepared for it,
 * and may need it to be (random numbers). */
INTERPOSED int madvise(void *at, size_t len, int advice)
{
	static void *_Atomic known;
	int (*next)(void *, size_t, int) =
		(int (*)(void *, size_t, int))next_function(&known, "madvise", NULL);
	if (is_zygote && advice == MADV_DONTFORK)
		return 0;
	return next(at, len, advice);
}

/* --- the start --- */

static int prepare(int socket, struct reason *reason)
{
	orders_begin(socket);
	if (revive_begin(reason) < 0 || stop_begin(reason) < 0)
		return -1;
	return control_begin(socket, reason);
}

__attribute__((constructor)) static void begin(void)
{
	const char *number = getenv(ZYGOTE_VARIABLE);
	if (!number || *number < '0' || *number > '9')
		return;
	int socket = (int)proc_number(number, 10);
	raw_fcntl(socket, F_SETFD, FD_CLOEXEC);
	/* programs that it starts are none */
	unsetenv(ZYGOTE_VARIABLE);
	unsetenv("LD_PRELOAD");
	is_zygote = true;
	thread_enter();
	struct reason reason = { { 0 } };
	if (prepare(socket, &reason) < 0)
		control_hello(socket, &reason);
}
