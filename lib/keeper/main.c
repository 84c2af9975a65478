/* SPDX-License-Identifier: MIT */
/*
 * nova-keeper: the parent of all VMM processes of one host context.
 *
 * A library must not have children of its own: the host's waitpid(-1) would steal them, and
 * PR_SET_PDEATHSIG would fire when the *thread* that forked them ends. So this program forks them.
 * It has one thread, and ends in one way: when the host has gone (the end of its socket, or what
 * its reaper says) it kills every child, removes the run directory and exits. If it is killed
 * itself, the kernel kills the children (PR_SET_PDEATHSIG), and the directory stays the host's.
 * What passes, as a lack of memory, ends nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "keeper/cgroup.h"
#include "keeper/limits.h"
#include "keeper/wire.h"
#include "keeper/zygotes.h"

#define MAX_ARGS 256
#define PAUSE_MS 10 /* before what has failed for lack of something is tried again */
#define TRIES    50
/* for children that were killed: one that waits for a disk may take for ever */
#define END_MS 1000u
/* for an order that makes no process */
#define ORDER_MS 2000u
/* in which a child may be in its parent's control group */
#define PLACE_MS 50u

struct incoming {
	union {
		struct keeper_request request;
		char bytes[KEEPER_MAX_REQUEST];
	};
	char *argv[MAX_ARGS + 1];
	char *preload; /* what makes it forkable; NULL: it is not to be */
	int fds[KEEPER_MAX_FDS];
	size_t fd_count;
};

/* Shared with the child until it executes: vfork semantics, one at a time. Volatile, as glibc
 * declares clone() a function that never comes back into this file. */
static struct incoming incoming;
static volatile struct {
	int error;
	uint32_t stage;
} child_failure;
/* Every child that has not been reaped. */
static struct child {
	pid_t pid;
	uint64_t number; /* of the request */
	bool abandoned;  /* nobody will ask for it */
	bool unborn;     /* forked, and nobody has asked how its birth went */
	bool waits;      /* it has not been given its descriptors yet */
	bool fertile;    /* it may be forked again */
	struct zygote zygote;
	pid_t parent;          /* that it was forked of; 0: none */
	uint64_t memory_limit; /* of one that is forked, which is not in its group yet; 0: none */
	uint64_t place_by;     /* when it has to be there at last; 0: never, or it is there */
	bool is_placed;
} * children;
static size_t child_count, child_cap;

/* Variables of a child that is to be forkable. */
static char preload_variable[PATH_MAX + 16], control_variable[32];

static uint8_t child_stack[64 * 1024] __attribute__((aligned(16)));

/* --- in the child, between fork and exec: async-signal-safe calls only --- */

IN_VFORK static int child_fail(uint32_t stage)
{
	child_failure.error = errno;
	child_failure.stage = stage;
	_exit(127);
}

/* The given descriptors become 3, 4, …; everything else is closed. The first of them is stderr, and
 * stdout unless that is not wanted, as well. */
IN_VFORK static void child_take_fds(void)
{
	int high[KEEPER_MAX_FDS];
	/* above the targets, so that none is overwritten */
	for (size_t i = 0; i < incoming.fd_count; i++)
		if ((high[i] = fcntl(incoming.fds[i], F_DUPFD_CLOEXEC,
			     KEEPER_FIRST_FD + KEEPER_MAX_FDS)) < 0)
			child_fail(KEEPER_STAGE_FDS);
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0)
		child_fail(KEEPER_STAGE_FDS);
	int err = incoming.request.fd_count ? high[0] : null,
	    out = incoming.request.no_stdout ? null : err;
	if (dup2(out, 1) < 0 || dup2(err, 2) < 0)
		child_fail(KEEPER_STAGE_FDS);
	for (size_t i = 0; i < incoming.fd_count; i++)
		if (dup2(high[i], KEEPER_FIRST_FD + (int)i) < 0)
			child_fail(KEEPER_STAGE_FDS);
	/* Before Linux 5.9 this is missing; all that we have open closes with exec anyway. */
	if (syscall(SYS_close_range, KEEPER_FIRST_FD + (unsigned)incoming.fd_count, ~0u, 0) < 0 &&
		errno != ENOSYS)
		child_fail(KEEPER_STAGE_FDS);
}

IN_VFORK static void child_drop_rights(void)
{
	const struct keeper_request *r = &incoming.request;
	if (r->change_user) {
		gid_t extra = r->gid2;
		if (setgroups(r->gid2 ? 1 : 0, &extra) < 0 ||
			setresgid(r->gid, r->gid, r->gid) < 0 ||
			setresuid(r->uid, r->uid, r->uid) < 0)
			child_fail(KEEPER_STAGE_USER);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_fail(KEEPER_STAGE_USER);
}

/* As the user that it has become. */
IN_VFORK static void child_try(void)
{
	const struct keeper_request *r = &incoming.request;
	if (r->needs_kvm && open("/dev/kvm", O_RDWR | O_CLOEXEC) < 0)
		child_fail(KEEPER_STAGE_KVM);
	if (r->only_try)
		_exit(0);
}

IN_VFORK static int child_main(void *keeper_pid)
{
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL); /* what the keeper ignores would stay ignored across exec */
	setsid();
	umask(0077);
	child_take_fds();
	limits_take(&incoming.request);
	child_drop_rights();
	child_try();
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		child_fail(KEEPER_STAGE_USER);
	if (getppid() != *(pid_t *)keeper_pid)
		_exit(127);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	static char path[] = KEEPER_PATH, locale[] = KEEPER_LOCALE;
	static char one_heap[] = "MALLOC_ARENA_MAX=1";
	char *environment[6] = { path, locale };
	size_t count = 2;
	if (incoming.request.frugal)
		environment[count++] = one_heap;
	if (incoming.preload) {
		environment[count++] = preload_variable;
		environment[count++] = control_variable;
	}
	execve(incoming.argv[0], incoming.argv, environment);
	return child_fail(KEEPER_STAGE_EXEC);
}

/* --- the list of children --- */

/* Room is made before the fork, so that a child can always be remembered. */
static bool make_room_for_child(void)
{
	if (child_count < child_cap)
		return true;
	size_t cap = child_cap ? child_cap * 2 : 64;
	struct child *grown = realloc(children, cap * sizeof(*grown));
	if (!grown)
		return false;
	children = grown;
	child_cap = cap;
	return true;
}

static bool groups_are_left;

static void forget_child(pid_t pid)
{
	groups_are_left = groups_are_left && !cgroup_forget_gone();
	groups_are_left |= !cgroup_forget(pid);
	for (size_t i = 0; i < child_count; i++)
		if (children[i].pid == pid) {
			fd_close(children[i].zygote.control);
			children[i] = children[--child_count];
			return;
		}
}

static struct child *find_child(int64_t pid)
{
	for (size_t i = 0; i < child_count; i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

/* Of those that nobody will ask for; true if some are left. */
static bool collect_abandoned(void)
{
	bool left = false;
	for (size_t i = child_count; i-- > 0;) {
		if (!children[i].abandoned)
			continue;
		if (waitpid(children[i].pid, NULL, WNOHANG) == 0)
			left = true;
		else
			forget_child(children[i].pid); /* the last one takes its place, which has
							  been looked at */
	}
	return left;
}

static void pause_a_little(void)
{
	poll(NULL, 0, PAUSE_MS);
}

static size_t count_words(const char *text)
{
	size_t count = 0;
	for (text += strspn(text, " \n"); *text; text += strspn(text, " \n")) {
		text += strcspn(text, " \n");
		count++;
	}
	return count;
}

/* One look at our children; true if there were some that nobody asked us for. Mostly there are none
 * and a count says so, as those whom we know are all there until we have reaped them. */
static bool end_strays_once(const char *list, uint64_t deadline)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	if (fs_read_file(list, &text) < 0)
		return false;
	AUTO_FREE char *pids = buf_steal_str(&text);
	if (!pids || count_words(pids) == child_count)
		return false;
	bool found = false;
	for (char *at = pids, *end; at; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);
		if (end == at)
			break;
		if (find_child(pid))
			continue;
		found = true;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, WNOHANG) == 0 && !deadline_passed(deadline))
			poll(NULL, 0, 1);
	}
	return found;
}

/* What a child leaves behind at its end becomes ours (PR_SET_CHILD_SUBREAPER): functions of the
 * fake engine, whose agent has no guest that would end with it. Each of them can leave some in
 * turn. */
static void end_strays(void)
{
	char list[64];
	snprintf(list, sizeof(list), "/proc/self/task/%d/children", (int)getpid());
	uint64_t deadline = deadline_in_ms(END_MS);
	while (end_strays_once(list, deadline) && !deadline_passed(deadline))
		;
}

/* --- requests --- */

static void close_incoming_fds(void)
{
	for (size_t i = 0; i < incoming.fd_count; i++)
		close(incoming.fds[i]);
	incoming.fd_count = 0;
}

static bool split_arguments(size_t len)
{
	const struct keeper_request *r = &incoming.request;
	if (r->argc < 1 || r->argc > MAX_ARGS)
		return false;
	char *at = incoming.bytes + sizeof(*r), *end = incoming.bytes + len;
	for (uint32_t i = 0; i < r->argc; i++) {
		char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		if (!nul)
			return false;
		incoming.argv[i] = at;
		at = nul + 1;
	}
	incoming.argv[r->argc] = NULL;
	incoming.preload = r->zygote ? at : NULL;
	if (r->zygote)
		at += strnlen(at, (size_t)(end - at)) + 1;
	return at == end;
}

/* False: the host does not get it. What passes is waited for, but not for ever: the host may be
 * stopped, and has its own deadline. */
static bool send_reply(const struct keeper_reply *reply, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec io = { (void *)reply, sizeof(*reply) };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
	if (fd >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	for (int i = 0; i < TRIES; i++) {
		if (sendmsg(KEEPER_SOCKET_FD, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return true;
		if (errno == EPIPE || errno == ECONNRESET)
			return false;
		pause_a_little();
	}
	return false;
}

static void abandon(struct child *child)
{
	kill(child->pid, SIGKILL);
	child->abandoned = true;
}

/* The last descriptor of a child that is to be forkable; *ret_ours: the other end. */
static int wire_zygote(int *ret_ours)
{
	int pair[2];
	size_t len = incoming.preload ? strlen(incoming.preload) : 0;
	if (!len)
		return 0;
	if (len >= PATH_MAX || incoming.fd_count == KEEPER_MAX_FDS)
		return -EINVAL;
	int r = sys_socketpair(SOCK_SEQPACKET, pair);
	if (r < 0)
		return r;
	*ret_ours = pair[0];
	snprintf(preload_variable, sizeof(preload_variable), "LD_PRELOAD=%s", incoming.preload);
	snprintf(control_variable, sizeof(control_variable), ZYGOTE_VARIABLE "=%d",
		KEEPER_FIRST_FD + (int)incoming.fd_count);
	incoming.fds[incoming.fd_count++] = pair[1];
	return 0;
}

/* The pidfd of the child, or -1 and the failure in the reply. */
static int start_child(struct keeper_reply *reply)
{
	AUTO_FD int zygote = -1;
	int r = wire_zygote(&zygote);
	if (r < 0) {
		reply->error = -r;
		reply->stage = KEEPER_STAGE_FDS;
		return -1;
	}
	child_failure.error = 0;
	pid_t self = getpid();
	int pidfd = -1;
	int pid = clone(child_main, child_stack + sizeof(child_stack),
		CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &self, &pidfd);
	if (pid < 0) {
		reply->error = errno;
		reply->stage = KEEPER_STAGE_FORK;
	} else if (child_failure.error) {
		reply->error = child_failure.error;
		reply->stage = child_failure.stage;
		waitpid(pid, NULL, 0);
		fd_close(pidfd);
		pidfd = -1;
	} else {
		children[child_count++] = (struct child){
			.pid = pid,
			.number = reply->number,
			.zygote = { .control = STEAL_FD(zygote) },
		};
		reply->pid = pid;
		reply->limited = cgroup_limit(pid, incoming.request.memory_limit);
	}
	return pidfd;
}

static void spawn(size_t len, struct keeper_reply *reply)
{
	int pidfd = -1;
	reply->stage = KEEPER_STAGE_REQUEST;
	if (!split_arguments(len))
		reply->error = EINVAL;
	else if (!make_room_for_child())
		reply->error = ENOMEM;
	else if (incoming.fd_count != incoming.request.fd_count)
		reply->error = EMFILE; /* they did not all find room in our table */
	else
		pidfd = start_child(reply);
	struct child *child = find_child(reply->pid);
	if (!send_reply(reply, pidfd) && child)
		abandon(child);
	fd_close(pidfd);
}

/* --- forks --- */

/* -1: with the reason in the reply. */
static int fork_failed(struct keeper_reply *reply, uint32_t stage, int r, const char *reason)
{
	reply->error = -r;
	reply->stage = stage;
	snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
	return -1;
}

/* What a zygote calls its child may be anybody: it has to be a child of ours, and a new one. */
static bool is_new_child(pid_t pid)
{
	siginfo_t info;
	return pid > 0 && !find_child(pid) &&
	       waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* It has not even greeted: what it is told lies there until it can listen. */
static int begin_birth(struct child *child, uint64_t deadline, struct keeper_reply *reply)
{
	struct zygote_answer answer;
	struct zygote_order birth = {
		.kind = ZYGOTE_BIRTH,
		.flags = ZYGOTE_FILTER | (child->fertile ? ZYGOTE_FERTILE : 0),
		.fd_count = (uint32_t)incoming.fd_count,
	};
	int r = zygote_tell(&child->zygote, &birth, incoming.fds, deadline, &answer);
	if (r == -EPIPE)
		r = 0; /* it has ended, and why may lie there to be heard */
	child->waits = false;
	child->unborn = r == 0;
	return r < 0 ? fork_failed(reply, KEEPER_STAGE_CHILD, r, answer.reason) : 0;
}

/* The number of the new child; -1. */
static int order_fork(struct zygote *z, const struct keeper_fork *f, int socket, uint64_t deadline,
	struct keeper_reply *reply)
{
	struct zygote_answer answer;
	struct zygote_order order = {
		.kind = ZYGOTE_FORK,
		.flags = f->more ? ZYGOTE_HOLD : 0,
		.fd_count = 1,
		.patience_ms = f->patience_ms,
		.target_count = f->target_count,
		.shared_count = f->shared_count,
	};
	memcpy(order.targets, f->targets, sizeof(f->targets));
	memcpy(order.shared, f->shared, sizeof(f->shared));
	int r = zygote_ask(z, &order, &socket, deadline, &answer);
	if (r == -ETIMEDOUT)
		zygote_let_go(z); /* a child that comes all the same finds nobody, and ends */
	if (r == 0 && !is_new_child(answer.pid)) {
		snprintf(answer.reason, sizeof(answer.reason), "its child is none of ours");
		r = -EPROTO;
	}
	return r < 0 ? fork_failed(reply, KEEPER_STAGE_ZYGOTE, r, answer.reason) : answer.pid;
}

/* The pidfd of the child, or -1 and the failure in the reply. */
static int fork_zygote(struct zygote *z, const struct keeper_fork *f, struct keeper_reply *reply)
{
	int pair[2];
	uint64_t deadline = deadline_in_ms(f->patience_ms);
	int r = sys_socketpair(SOCK_SEQPACKET, pair);
	if (r < 0)
		return fork_failed(reply, KEEPER_STAGE_FDS, r, strerror(-r));
	AUTO_FD int ours = pair[0];
	int pid = order_fork(z, f, pair[1], deadline, reply);
	fd_close(pair[1]);
	if (pid < 0)
		return -1;
	children[child_count++] = (struct child){
		.pid = pid,
		.number = reply->number,
		.zygote = { .control = STEAL_FD(ours) },
		.parent = (pid_t)incoming.request.pid,
		.memory_limit = incoming.request.memory_limit,
		.waits = f->waits,
		.fertile = f->fertile,
	};
	struct child *child = &children[child_count - 1];
	if (f->waits) /* until then there is time for it */
		child->place_by = deadline_in_ms(PLACE_MS);
	int pidfd = !f->waits && begin_birth(child, deadline, reply) < 0 ?
			    -1 :
			    (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 && !reply->error)
		fork_failed(reply, KEEPER_STAGE_FDS, -errno, strerror(errno));
	reply->pid = pidfd < 0 ? 0 : pid;
	if (pidfd < 0)
		abandon(child);
	return pidfd;
}

static bool is_sound(const struct keeper_fork *f, size_t len)
{
	return len == sizeof(incoming.request) + sizeof(*f) && f->target_count <= KEEPER_MAX_FDS &&
	       f->shared_count <= KEEPER_MAX_FDS &&
	       incoming.fd_count == (f->waits ? 0 : f->target_count) &&
	       incoming.fd_count == incoming.request.fd_count;
}

static void fork_one(size_t len, struct keeper_reply *reply)
{
	struct keeper_fork f = { 0 };
	if (len >= sizeof(incoming.request) + sizeof(f))
		memcpy(&f, incoming.bytes + sizeof(incoming.request), sizeof(f));
	int pidfd = -1;
	/* first, as it moves those that are there */
	bool room = make_room_for_child();
	struct child *parent = find_child(incoming.request.pid);
	if (!is_sound(&f, len))
		fork_failed(reply, KEEPER_STAGE_REQUEST, -EINVAL, "the request makes no sense");
	else if (!parent)
		fork_failed(reply, KEEPER_STAGE_ZYGOTE, -EPIPE, "the process has ended");
	else if (!room)
		fork_failed(reply, KEEPER_STAGE_REQUEST, -ENOMEM, strerror(ENOMEM));
	else
		pidfd = fork_zygote(&parent->zygote, &f, reply);
	struct child *child = find_child(reply->pid);
	if (!send_reply(reply, pidfd) && child)
		abandon(child);
	fd_close(pidfd);
}

static void order_one(struct keeper_reply *reply)
{
	struct zygote_answer answer = { .reason = "the process has ended" };
	struct zygote_order order = { .kind = incoming.request.order };
	if (order.kind == ZYGOTE_UNSHARE) {
		order.shared_count = 1;
		order.shared[0] = incoming.request.file;
	}
	struct child *child = find_child(incoming.request.pid);
	int r = child ? zygote_ask(
				&child->zygote, &order, NULL, deadline_in_ms(ORDER_MS), &answer) :
			-EPIPE;
	if (r < 0)
		fork_failed(reply, KEEPER_STAGE_ZYGOTE, r, answer.reason);
	send_reply(reply, -1);
}

static void await_birth(struct keeper_reply *reply)
{
	struct zygote_answer answer = { .reason = "nobody waits for its birth" };
	struct child *child = find_child(incoming.request.pid);
	uint64_t deadline = deadline_in_ms(incoming.request.patience_ms);
	int r = -EPROTO;
	if (child && child->waits && begin_birth(child, deadline, reply) < 0) {
		send_reply(reply, -1);
		return;
	}
	if (child && child->unborn)
		r = zygote_hear(&child->zygote, ZYGOTE_BIRTH, deadline, &answer);
	if (r < 0) {
		fork_failed(reply, KEEPER_STAGE_CHILD, r, answer.reason);
	} else {
		child->unborn = false;
		if (!child->is_placed)
			child->place_by = deadline_in_ms(PLACE_MS);
	}
	send_reply(reply, -1);
}

static void reap(struct keeper_reply *reply)
{
	int status = 0;
	pid_t pid = (pid_t)incoming.request.pid;
	pid_t got = pid > 0 ? waitpid(pid, &status, WNOHANG) : -1;
	reply->pid = pid;
	reply->status = status;
	reply->error = got == pid ? 0 : got == 0 ? EAGAIN : ECHILD;
	if (got == pid) {
		forget_child(pid);
		end_strays();
	}
	send_reply(reply, -1);
}

/* A child keeps its number until we reap it: nobody else is hit. */
static void signal_child(struct keeper_reply *reply)
{
	const struct child *child = find_child(incoming.request.pid);
	if (!child)
		reply->error = ESRCH;
	else if (kill(child->pid, (int)incoming.request.signal) < 0)
		reply->error = errno;
	send_reply(reply, -1);
}

static void abandon_one(void)
{
	const struct keeper_request *r = &incoming.request;
	for (size_t i = 0; i < child_count; i++)
		if (r->lost ? children[i].number == r->lost : children[i].pid == r->pid)
			abandon(&children[i]);
}

static void serve_request(size_t len)
{
	struct keeper_reply reply = {
		.kind = incoming.request.kind,
		.version = KEEPER_VERSION,
		.number = incoming.request.number,
	};
	switch (incoming.request.kind) {
	case KEEPER_SPAWN:
		spawn(len, &reply);
		break;
	case KEEPER_REAP:
		reap(&reply);
		break;
	case KEEPER_SIGNAL:
		signal_child(&reply);
		break;
	case KEEPER_ABANDON:
		abandon_one();
		break;
	case KEEPER_FORK:
		fork_one(len, &reply);
		break;
	case KEEPER_ORDER:
		order_one(&reply);
		break;
	case KEEPER_BORN:
		await_birth(&reply);
		break;
	}
}

static void take_control(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		/* bounded by the control buffer */
		memcpy(incoming.fds, CMSG_DATA(c), count * sizeof(int));
		incoming.fd_count = count;
	}
}

/* False: the host has gone. */
static bool serve_one(void)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * KEEPER_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec io = { incoming.bytes, sizeof(incoming.bytes) };
	struct msghdr message = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t len = recvmsg(KEEPER_SOCKET_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (len < 0) {
		if (errno == ECONNRESET)
			return false;
		if (errno != EAGAIN && errno != EINTR)
			pause_a_little();
		return true;
	}
	take_control(&message);
	if (len >= (ssize_t)sizeof(incoming.request))
		serve_request((size_t)len);
	close_incoming_fds();
	return len > 0;
}

/* --- life --- */

static void end_all_children(void)
{
	uint64_t deadline = deadline_in_ms(END_MS);
	for (size_t i = 0; i < child_count; i++)
		abandon(&children[i]);
	while (collect_abandoned() && !deadline_passed(deadline))
		poll(NULL, 0, 1);
	end_strays();
}

/* When the first child that is in its parent's group yet has to leave it; 0: there is none. */
static uint64_t next_place(void)
{
	uint64_t first = 0;
	for (size_t i = 0; i < child_count; i++) {
		uint64_t when = children[i].abandoned ? 0 : children[i].place_by;
		if (when && (!first || when < first))
			first = when;
	}
	return first;
}

static void place(struct child *child)
{
	cgroup_limit(child->pid, child->memory_limit);
	cgroup_limit_anew(child->parent, child->memory_limit);
	child->place_by = 0;
	child->is_placed = true;
}

/* To move a process the kernel waits for all processors, for milliseconds, but not anew for the
 * next one. So it is done for all when one has to be there at last; until then the limit of its
 * parent holds for both. Many have ended by then. */
static void place_all(void)
{
	for (size_t i = 0; i < child_count; i++)
		if (children[i].place_by && !children[i].abandoned)
			place(&children[i]);
}

/* How long to wait for a request. */
static int patience(bool abandoned, uint64_t place_by)
{
	int ms = place_by ? (int)deadline_poll_ms(place_by) : -1;
	return abandoned && (ms < 0 || ms > PAUSE_MS) ? PAUSE_MS : ms;
}

/* Until the host has gone (true), or what would tell us so has. */
static bool serve(void)
{
	struct pollfd fds[] = { { KEEPER_SOCKET_FD, POLLIN, 0 }, { KEEPER_HOST_FD, POLLIN, 0 } };
	for (;;) {
		bool left = collect_abandoned();
		uint64_t place_by = next_place();
		int r = poll(fds, ARRAY_LEN(fds), patience(left, place_by));
		if (place_by && deadline_passed(place_by))
			place_all();
		if (r < 0) {
			pause_a_little();
			continue;
		}
		if (fds[0].revents && !serve_one())
			return true;
		if (fds[1].revents)
			return (fds[1].revents & POLLIN) != 0;
	}
}

static void remove_run_directory(const char *path)
{
	char taps[PATH_MAX];
	/* of VMMs that open them by name, so that they do not end by themselves */
	snprintf(taps, sizeof(taps), "%s/taps", path);
	sys_taps_remove(taps);
	fs_remove_locked(path);
}

int main(int argc, char **argv)
{
	if (argc != 2 || fcntl(KEEPER_SOCKET_FD, F_GETFD) < 0) {
		static const char text[] =
			"nova-keeper is started by libnova; it is of no use by itself\n";
		return write(2, text, sizeof(text) - 1) < 0 ? 2 : 2;
	}
	for (int fd = KEEPER_SOCKET_FD; fd <= KEEPER_HOST_FD; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsid(); /* a Ctrl-C in the host's terminal is the host's business */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_NAME, "nova-keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (chdir("/") < 0)
		return 1;
	struct keeper_reply hello = {
		.kind = KEEPER_HELLO, .version = KEEPER_VERSION, .pid = getpid()
	};
	limits_begin();
	cgroup_sweep();
	send_reply(&hello, -1);
	bool host_has_gone = serve();
	end_all_children();
	cgroup_forget_gone();
	if (host_has_gone)
		remove_run_directory(argv[1]);
	return 0;
}
