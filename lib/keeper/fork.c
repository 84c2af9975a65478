/* SPDX-License-Identifier: MIT */
/* Programs that are forked with all their threads: docs/hot.md. */
#include <errno.h>

#include "keeper/ask.h"
#include "zygote/wire.h"

static int failure(const struct keeper_reply *reply, nova_error_t **error)
{
	bool child = reply->stage == KEEPER_STAGE_CHILD;
	const char *who = child ? "its child: " : "";
	switch (reply->error) {
	case ENOTSUP:
		return nova_fail(error, NOVA_ENOTSUP, "%s", reply->reason);
	case ETIMEDOUT:
		return nova_fail(error, NOVA_ETIMEDOUT, "%s%s", who, reply->reason);
	case EBUSY:
		return nova_fail(
			error, child ? NOVA_EENGINE : NOVA_EBUSY, "%s%s", who, reply->reason);
	case EPIPE:
		return nova_fail(
			error, child ? NOVA_EENGINE : NOVA_ELOST, "%s%s", who, reply->reason);
	case EPROTO:
		return nova_fail(error, NOVA_EENGINE, "%s%s", who, reply->reason);
	default:
		return nova_fail_os(error, reply->error, "fork of a VMM (%s)", reply->reason);
	}
}

static int take_reply(int r, struct keeper_reply *reply, nova_error_t **error)
{
	reply->reason[sizeof(reply->reason) - 1] = 0;
	if (r == 0)
		return reply->error ? failure(reply, error) : 0;
	if (r == -EPIPE)
		return nova_fail(error, NOVA_ELOST, "the process and its nova-keeper have ended");
	return nova_fail_os(error, r, "talking to nova-keeper");
}

static void copy_numbers(int32_t *ret, const int *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ret[i] = numbers[i];
}

int process_fork(const struct process *parent, const struct process_fork *how,
	struct process *ret_child, nova_error_t **error)
{
	struct {
		struct keeper_request request;
		struct keeper_fork fork;
	} message = {
		.request = {
			.kind = KEEPER_FORK,
			.pid = parent->pid,
			.fd_count = how->fds ? (uint32_t)how->count : 0,
			.memory_limit = how->memory_limit,
		},
		.fork = {
			.target_count = (uint32_t)how->count,
			.shared_count = (uint32_t)how->shared_count,
			.patience_ms = how->patience_ms,
			.more = how->more,
			.fertile = how->fertile,
			.waits = !how->fds && how->count,
		},
	};
	struct keeper_reply reply = { 0 };
	int pidfd = -1;
	if (!parent->pid)
		return nova_fail(error, NOVA_ELOST, "the process has ended");
	if (how->count > KEEPER_MAX_FDS || how->shared_count > KEEPER_MAX_FDS)
		return nova_fail(error, NOVA_ENOTSUP, "it has too many descriptors");
	copy_numbers(message.fork.targets, how->targets, how->count);
	copy_numbers(message.fork.shared, how->shared, how->shared_count);
	int r = keeper_ask(
		parent->keeper, &message.request, sizeof(message), how->fds, &reply, &pidfd);
	int code = take_reply(r, &reply, error);
	if (code == 0)
		*ret_child = (struct process){ parent->keeper, reply.pid, pidfd };
	else
		fd_close(pidfd);
	return code;
}

int process_order(
	const struct process *process, enum process_order order, int fd, nova_error_t **error)
{
	static const uint32_t kinds[] = {
		[PROCESS_CONFINE] = ZYGOTE_CONFINE,
		[PROCESS_GO_ON] = ZYGOTE_RELEASE,
		[PROCESS_UNSHARE] = ZYGOTE_UNSHARE,
	};
	struct keeper_request request = {
		.kind = KEEPER_ORDER, .pid = process->pid, .order = kinds[order], .file = fd
	};
	struct keeper_reply reply = { 0 };
	int pidfd = -1;
	if (!process->pid)
		return nova_fail(error, NOVA_ELOST, "the process has ended");
	int r = keeper_ask(process->keeper, &request, sizeof(request), NULL, &reply, &pidfd);
	fd_close(pidfd);
	return take_reply(r, &reply, error);
}

int process_born(const struct process *child, const int *fds, size_t count, uint32_t patience_ms,
	nova_error_t **error)
{
	struct keeper_request request = {
		.kind = KEEPER_BORN,
		.pid = child->pid,
		.fd_count = (uint32_t)count,
		.patience_ms = patience_ms,
	};
	struct keeper_reply reply = { 0 };
	int pidfd = -1;
	if (!child->pid)
		return nova_fail(error, NOVA_ELOST, "the process has ended");
	int r = keeper_ask(child->keeper, &request, sizeof(request), fds, &reply, &pidfd);
	fd_close(pidfd);
	return take_reply(r, &reply, error);
}
