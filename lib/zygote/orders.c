/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "zygote/descriptors.h"
#include "zygote/orders.h"
#include "zygote/process.h"
#include "zygote/raw.h"
#include "zygote/revive.h"
#include "zygote/rights.h"
#include "zygote/stop.h"

static enum {
	RUNS,
	HELD,   /* its threads stand, for more forks */
	UNBORN, /* a child that waits for its descriptors */
	FAILED, /* a child that cannot live */
} state;

static int control; /* the socket */
static int death_signal, parent;
static char program_name[16];
static struct {
	void *head;
	size_t len;
} robust; /* of the thread that takes orders */

static struct stop_result stopped;
static struct descriptors descriptors;
static struct zygote_order noted_for; /* what `descriptors` was noted for; kind 0: nothing */
static int32_t promised[ZYGOTE_MAX_FDS];
static uint32_t promised_count;

void orders_begin(int socket)
{
	control = socket;
	raw_prctl(PR_GET_PDEATHSIG, (long)&death_signal, 0);
	raw_prctl(PR_GET_NAME, (long)program_name, 0);
}

void orders_enter(void)
{
	raw(SYS_get_robust_list, 0, (long)&robust.head, (long)&robust.len);
}

/* --- before a fork --- */

static int check_socket(int fd, struct reason *reason)
{
	int type = 0;
	socklen_t len = sizeof(type);
	long r = raw6(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, (long)&type, (long)&len);
	if (r == 0 && type == SOCK_SEQPACKET)
		return 0;
	return refuse(reason, "the descriptor for the child's orders is no SOCK_SEQPACKET socket");
}

/* While its threads stand nobody opens or closes anything. */
static bool is_noted(const struct zygote_order *order)
{
	return state == HELD && noted_for.kind && order->target_count == noted_for.target_count &&
	       order->shared_count == noted_for.shared_count &&
	       memcmp(order->targets, noted_for.targets, sizeof(order->targets)) == 0 &&
	       memcmp(order->shared, noted_for.shared, sizeof(order->shared)) == 0;
}

static int note_descriptors(const struct zygote_order *order, int socket, struct reason *reason)
{
	struct descriptor_wish wish = {
		.targets = order->targets,
		.target_count = order->target_count,
		.shared = order->shared,
		.shared_count = order->shared_count,
		.ours = { control, socket },
	};
	if (is_noted(order))
		return 0;
	int r = descriptors_note(&descriptors, &wish, reason);
	noted_for = *order;
	noted_for.kind = r == 0 ? order->kind : 0;
	return r;
}

/* All stand, and what they have can be carried; or they go on. */
static int stop_and_look(const struct zygote_order *order, int socket, struct zygote_answer *answer,
	struct reason *reason)
{
	uint64_t began = raw_now_ns();
	if (state != HELD && stop_all(order->patience_ms, &stopped, reason) < 0)
		return -1;
	uint64_t stood = raw_now_ns();
	int r = state == HELD ? 0 : revive_check(reason);
	if (r == 0 && state != HELD)
		r = process_check(reason);
	if (r == 0)
		r = note_descriptors(order, socket, reason);
	answer->threads = stopped.threads;
	answer->attempts = stopped.attempts;
	answer->stop_ns = stood - began;
	answer->audit_ns = raw_now_ns() - stood;
	if (r < 0 && state != HELD)
		stop_release();
	return r;
}

static int check(
	const struct zygote_order *order, struct zygote_answer *answer, struct reason *reason)
{
	int r = stop_and_look(order, -1, answer, reason);
	if (r == 0 && state != HELD)
		stop_release();
	return r;
}

/* Not what threads know is changed, but they must not look meanwhile. */
static int unshare_memory(
	const struct zygote_order *order, struct zygote_answer *answer, struct reason *reason)
{
	if (state != HELD && stop_all(order->patience_ms, &stopped, reason) < 0)
		return -1;
	int r = process_unshare(order->shared[0], reason);
	answer->threads = stopped.threads;
	answer->attempts = stopped.attempts;
	if (state != HELD)
		stop_release();
	return r;
}

/* --- in a child --- */

/* It ends with its parent, which is also its parent's, and may have ended already. */
static void follow_parent(void)
{
	raw_prctl(PR_SET_PDEATHSIG, death_signal, 0);
	if (raw(SYS_getppid, 0, 0, 0) != parent)
		raw_exit(1);
}

/* What fork(2) takes away from the thread that remains. */
static void attach(void)
{
	if (robust.head)
		raw(SYS_set_robust_list, (long)robust.head, (long)robust.len, 0);
	raw_prctl(PR_SET_NAME, (long)program_name, 0);
	follow_parent();
}

static int begin_child(const struct zygote_order *order, int *socket, struct zygote_answer *answer,
	struct reason *reason)
{
	attach();
	if (raw(SYS_dup3, *socket, control, O_CLOEXEC) < 0)
		raw_exit(1);
	raw_close(*socket);
	*socket = -1;
	*answer = (struct zygote_answer){
		.version = ZYGOTE_VERSION,
		.kind = ZYGOTE_HELLO,
		.pid = (int32_t)raw(SYS_getpid, 0, 0, 0),
	};
	memcpy(promised, order->targets, sizeof(promised));
	promised_count = order->target_count;
	state = descriptors_renew(&descriptors, reason) == 0 ? UNBORN : FAILED;
	return state == UNBORN ? 0 : -1;
}

/* The order matters: what takes rights away comes before the threads, which inherit it, and after
 * all that needs them. */
static int be_born(const struct zygote_order *order, int *fds, struct zygote_answer *answer,
	struct reason *reason)
{
	if (order->fd_count != promised_count)
		return refuse(reason, "%d descriptors were promised, and %d came", promised_count,
			order->fd_count);
	int r = order->flags & ZYGOTE_USER ? revive_check_niceness(reason) : 0;
	if (r == 0)
		r = descriptors_succeed(&descriptors, promised, fds, promised_count, reason);
	if (r == 0)
		r = rights_take(order, reason);
	follow_parent(); /* a change of the user has ended that */
	if (r == 0)
		r = revive_all(reason);
	state = r == 0 ? RUNS : FAILED;
	answer->pid = (int32_t)raw(SYS_getpid, 0, 0, 0);
	answer->threads = stopped.threads;
	return r;
}

/* --- the fork --- */

/* The kernel's own: the C library's would take the other threads' stacks for its own. The child is
 * one of our parent, which waits for it. */
static long clone_process(void)
{
	return raw6(SYS_clone, FORK_FLAGS, 0, 0, (long)revive_number((void *)pthread_self()), 0);
}

static int fork_all(const struct zygote_order *order, int *socket, struct zygote_answer *answer,
	struct reason *reason)
{
	if (check_socket(*socket, reason) < 0 || stop_and_look(order, *socket, answer, reason) < 0)
		return -1;
	parent = (int)raw(SYS_getppid, 0, 0, 0);
	uint64_t began = raw_now_ns();
	long pid = clone_process();
	if (pid == 0) {
		stop_release(); /* nobody waits here: it opens the gate for later forks */
		return begin_child(order, socket, answer, reason);
	}
	answer->fork_ns = raw_now_ns() - began;
	answer->pid = (int32_t)pid;
	bool holds = pid > 0 ? order->flags & ZYGOTE_HOLD : state == HELD;
	state = holds ? HELD : RUNS;
	if (!holds)
		stop_release();
	return pid > 0 ? 0 : refuse(reason, "clone(2) failed (errno %d)", (int)-pid);
}

static int release(struct reason *reason)
{
	if (state != HELD)
		return refuse(reason, "no thread is held");
	state = RUNS;
	stop_release();
	return 0;
}

static int perform(const struct zygote_order *order, int *fds, struct zygote_answer *answer,
	struct reason *reason)
{
	if ((state == UNBORN) != (order->kind == ZYGOTE_BIRTH))
		return refuse(
			reason, state == UNBORN ? "it is not born yet" : "it is born already");
	switch (order->kind) {
	case ZYGOTE_CHECK:
		return check(order, answer, reason);
	case ZYGOTE_FORK:
		return fork_all(order, fds, answer, reason);
	case ZYGOTE_RELEASE:
		return release(reason);
	case ZYGOTE_CONFINE:
		return rights_confine(reason);
	case ZYGOTE_UNSHARE:
		return unshare_memory(order, answer, reason);
	default:
		return be_born(order, fds, answer, reason);
	}
}

void orders_perform(const struct zygote_order *order, int *fds, struct zygote_answer *answer)
{
	struct reason reason = { { 0 } };
	answer->refused = perform(order, fds, answer, &reason) < 0;
	if (answer->refused)
		memcpy(answer->reason, reason.text, sizeof(answer->reason));
	for (uint32_t i = 0; i < order->fd_count; i++)
		raw_close(fds[i]);
}

bool orders_failed(void)
{
	return state == FAILED;
}

void orders_end(void)
{
	if (state == UNBORN)
		raw_exit(0);
	struct reason unused;
	release(&unused);
}
