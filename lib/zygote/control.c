/* SPDX-License-Identifier: MIT */
/*
 * It uses nothing of the C library that takes a lock, blocks all signals, and never ends: in a
 * child it is the first thread, by which the process is known.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "zygote/control.h"
#include "zygote/orders.h"
#include "zygote/raw.h"
#include "zygote/threads.h"
#include "zygote/wire.h"

#define NAP_NS (10 * 1000000ull) /* when the kernel lacks memory for a message */

static int control;

struct incoming {
	struct zygote_order order;
	size_t len;
	int fds[ZYGOTE_MAX_FDS];
	size_t fd_count;
};

static void say(const struct zygote_answer *answer)
{
	while (raw6(SYS_sendto, control, (long)answer, sizeof(*answer), MSG_NOSIGNAL, 0) == -EINTR)
		;
}

void control_hello(int socket, const struct reason *reason)
{
	struct zygote_answer hello = {
		.version = ZYGOTE_VERSION,
		.kind = ZYGOTE_HELLO,
		.pid = (int32_t)raw(SYS_getpid, 0, 0, 0),
		.refused = reason != NULL,
	};
	if (reason)
		memcpy(hello.reason, reason->text, sizeof(hello.reason));
	control = socket;
	say(&hello);
	if (reason)
		raw_close(socket);
}

static void take_descriptors(struct incoming *in, struct msghdr *message)
{
	in->fd_count = 0;
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	in->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(in->fds, CMSG_DATA(c), in->fd_count * sizeof(int));
}

/* 0: nobody is there any more, or the message is empty. Else its length, or a negative errno. */
static long receive(struct incoming *in)
{
	union {
		char space[CMSG_SPACE(sizeof(in->fds))];
		struct cmsghdr align;
	} ancillary;
	memset(&in->order, 0, sizeof(in->order));
	struct iovec io = { &in->order, sizeof(in->order) };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = ancillary.space,
		.msg_controllen = sizeof(ancillary.space),
	};
	long n = raw(SYS_recvmsg, control, (long)&message, MSG_CMSG_CLOEXEC | MSG_TRUNC);
	if (n >= 0)
		take_descriptors(in, &message);
	in->len = n > 0 ? (size_t)n : 0;
	/* of more than there is room for, the kernel has closed some */
	if (n > 0 && message.msg_flags & MSG_CTRUNC)
		in->len = SIZE_MAX;
	return n;
}

static bool peer_is_gone(void)
{
	struct pollfd p = { control, 0, 0 };
	struct timespec now = { 0 };
	return raw6(SYS_ppoll, (long)&p, 1, (long)&now, 0, 0) > 0;
}

static void close_all(const struct incoming *in)
{
	for (size_t i = 0; i < in->fd_count; i++)
		raw_close(in->fds[i]);
}

static void serve(struct incoming *in)
{
	struct zygote_answer answer = {
		.version = ZYGOTE_VERSION,
		.kind = in->order.kind,
		.number = in->order.number,
	};
	const char *wrong = zygote_order_wrong(&in->order, in->len, in->fd_count);
	if (!wrong) {
		orders_perform(&in->order, in->fds, &answer);
	} else {
		close_all(in);
		answer.refused = 1;
		text_put(answer.reason, sizeof(answer.reason), "%s", wrong);
	}
	say(&answer);
	if (orders_failed())
		raw_exit(1);
}

static void *take_orders(void *unused)
{
	(void)unused;
	/* The C library has let the signal for stopping through. A thread that is revived has this
	 * mask until it goes on, and must not be stopped on the stack for that. */
	thread_block_signals();
	raw_prctl(PR_SET_NAME, (long)"nova-zygote", 0);
	orders_enter();
	control_hello(control, NULL);
	for (bool gone = false; !gone;) {
		struct incoming in;
		long n = receive(&in);
		if (n > 0 || (n == 0 && !(gone = peer_is_gone())))
			serve(&in);
		else if (n == -ECONNRESET || n == -EBADF || n == -ENOTSOCK)
			gone = true;
		else if (n < 0 && n != -EINTR)
			raw_sleep_ns(NAP_NS);
	}
	orders_end();
	for (;;)
		raw(SYS_pause, 0, 0, 0);
	return NULL;
}

int control_begin(int socket, struct reason *reason)
{
	control = socket;
	int r = thread_create_hidden(take_orders, NULL, true, NULL);
	return r == 0 ? 0 : refuse(reason, "no thread can be started (errno %d)", r);
}
