/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/socket.h>

#include "base/base.h"
#include "keeper/zygotes.h"

static int say_why(struct zygote_answer *answer, int r, const char *why)
{
	snprintf(answer->reason, sizeof(answer->reason), "%s", why);
	return r;
}

static int lost(struct zygote_answer *answer, int r)
{
	if (r == 0 || r == -ECONNRESET || r == -EPIPE)
		return say_why(answer, -EPIPE, "the process has ended");
	return say_why(answer, r, r == -ETIMEDOUT ? "it does not answer in time" : strerror(-r));
}

/* Answers to orders that were given up are passed over. */
static int hear(struct zygote *z, uint32_t kind, uint64_t number, uint64_t deadline,
	struct zygote_answer *answer)
{
	for (;;) {
		if (!sys_await_readable(z->control, deadline))
			return lost(answer, -ETIMEDOUT);
		ssize_t n = sys_recv(z->control, answer, sizeof(*answer), MSG_TRUNC | MSG_DONTWAIT);
		/* the second, said once of one that has ended without reading all: what it has said
		 * is there yet */
		if (n == -EAGAIN || n == -ECONNRESET)
			continue;
		if (n <= 0)
			return lost(answer, (int)n);
		bool late = n == sizeof(*answer) && number && answer->number < number;
		const char *wrong =
			late ? NULL : zygote_answer_wrong(answer, (size_t)n, kind, number);
		if (wrong)
			return say_why(answer, -EPROTO, wrong);
		if (!late)
			return 0;
		if (deadline_passed(deadline)) /* however much of that there is */
			return lost(answer, -ETIMEDOUT);
	}
}

static int greet(struct zygote *z, uint64_t deadline, struct zygote_answer *answer)
{
	if (z->control < 0)
		return say_why(answer, -ENOTSUP, "it was not started so that it can be forked");
	int r = z->greeted ? 0 : hear(z, ZYGOTE_HELLO, 0, deadline, answer);
	if (r == 0 && !z->greeted && answer->refused) {
		fd_close(z->control);
		z->control = -1;
		r = -ENOTSUP;
	}
	z->greeted = r == 0;
	return r;
}

int zygote_tell(struct zygote *z, struct zygote_order *order, const int *fds, uint64_t deadline,
	struct zygote_answer *answer)
{
	order->version = ZYGOTE_VERSION;
	order->number = ++z->last;
	int r = sys_send_fds_until(
		z->control, order, sizeof(*order), fds, order->fd_count, deadline);
	return r < 0 ? lost(answer, r) : 0;
}

int zygote_hear(struct zygote *z, uint32_t kind, uint64_t deadline, struct zygote_answer *answer)
{
	int r = greet(z, deadline, answer);
	if (r == 0)
		r = hear(z, kind, z->last, deadline, answer);
	return r == 0 && answer->refused ? -EBUSY : r;
}

int zygote_ask(struct zygote *z, struct zygote_order *order, const int *fds, uint64_t deadline,
	struct zygote_answer *answer)
{
	int r = greet(z, deadline, answer);
	if (r == 0)
		r = zygote_tell(z, order, fds, deadline, answer);
	return r == 0 ? zygote_hear(z, order->kind, deadline, answer) : r;
}

void zygote_let_go(struct zygote *z)
{
	const struct zygote_order order = {
		.version = ZYGOTE_VERSION, .kind = ZYGOTE_RELEASE, .number = ++z->last
	};
	if (z->control >= 0)
		sys_send_fds_until(z->control, &order, sizeof(order), NULL, 0, 0);
}
