/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "driver.h"
#include "program.h"

static uint64_t last_number;

unsigned driver_seed(void)
{
	const char *text = getenv("NOVA_TEST_SEED");
	static unsigned seed;
	if (seed == 0) {
		seed = text && *text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)getpid();
		fprintf(stderr, "# seed %u\n", seed);
	}
	return seed;
}

static void pair(int ends[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void await_input(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	ck_assert_int_eq(poll(&p, 1, HANG_MS), 1);
}

void await_gone(int fd)
{
	struct pollfd p = { fd, 0, 0 };
	ck_assert_int_eq(poll(&p, 1, HANG_MS), 1);
	ck_assert_int_ne(p.revents & POLLHUP, 0);
}

/* --- the program --- */

static void become_program(int control, int command, const char *library, const char *trouble)
{
	AUTO_FREE char *preload = str_format("LD_PRELOAD=%s", library);
	AUTO_FREE char *variable = str_format("%s=%d", ZYGOTE_VARIABLE, PROGRAM_CONTROL);
	AUTO_FREE char *seed = str_format("%u", driver_seed());
	char *const environment[] = { preload, variable, NULL };
	char *const arguments[] = { (char *)ZYGOTE_PROGRAM, seed, (char *)trouble, NULL };
	int null = open("/dev/null", O_RDWR);
	int high[] = { fcntl(control, F_DUPFD, 100), fcntl(command, F_DUPFD, 100) };
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	dup2(high[0], PROGRAM_CONTROL);
	dup2(high[1], PROGRAM_COMMAND);
	close_range(PROGRAM_COMMAND + 1, ~0u, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execve(arguments[0], arguments, environment);
	_exit(127);
}

static void hear(const struct subject *s, const char *expected)
{
	char text[512] = "";
	await_input(s->command);
	ssize_t n = recv(s->command, text, sizeof(text) - 1, 0);
	ck_assert_msg(n > 0, "process %d has ended", (int)s->pid);
	ck_assert_str_eq(text, expected);
}

struct subject subject_start(const char *trouble)
{
	nova_error_t *error = NULL;
	AUTO_FREE char *library = NULL;
	ck_ok(zygote_find(&library, &error));
	int control[2], command[2];
	pair(control);
	pair(command);
	struct subject s = { fork(), control[0], command[0] };
	ck_assert_int_ge(s.pid, 0);
	if (s.pid == 0)
		become_program(control[1], command[1], library, trouble);
	close(control[1]);
	close(command[1]);
	struct zygote_answer hello = answer_of(&s, ZYGOTE_HELLO, 0);
	ck_assert_msg(!hello.refused, "%s", hello.reason);
	ck_assert_int_eq(hello.pid, s.pid);
	hear(&s, "up");
	return s;
}

void subject_end(struct subject *s)
{
	kill(s->pid, SIGKILL);
	ck_assert_int_eq(waitpid(s->pid, NULL, 0), s->pid);
	close(s->control);
	close(s->command);
	*s = (struct subject){ 0, -1, -1 };
}

void subject_prove(const struct subject *s)
{
	ck_assert_int_eq(send(s->command, "prove", 5, MSG_NOSIGNAL), 5);
	hear(s, "ok");
}

void subject_try(const struct subject *s)
{
	ck_assert_int_eq(send(s->command, "try", 3, MSG_NOSIGNAL), 3);
	hear(s, "ok");
}

size_t subject_count(const struct subject *s, const char *what)
{
	AUTO_FREE char *path = str_format("/proc/%d/%s", (int)s->pid, what);
	char **names;
	int count = fs_list(path, &names);
	ck_assert_int_ge(count, 0);
	strv_free(names, (size_t)count);
	return (size_t)count;
}

/* --- orders --- */

struct zygote_order order_of(enum zygote_kind kind)
{
	struct zygote_order o = {
		.version = ZYGOTE_VERSION,
		.kind = kind,
		.number = ++last_number,
	};
	if (kind == ZYGOTE_FORK || kind == ZYGOTE_CHECK) {
		o.target_count = 1;
		o.targets[0] = PROGRAM_COMMAND;
	}
	o.fd_count = kind == ZYGOTE_FORK || kind == ZYGOTE_BIRTH;
	return o;
}

void order_send(
	const struct subject *s, const void *order, size_t len, const int *fds, size_t fd_count)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * (ZYGOTE_MAX_FDS + 1))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec io = { (void *)order, len };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
	if (fd_count) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	ck_assert_int_eq(sendmsg(s->control, &message, MSG_NOSIGNAL), (ssize_t)len);
}

struct zygote_answer answer_of(const struct subject *s, enum zygote_kind kind, uint64_t number)
{
	struct zygote_answer answer = { 0 };
	await_input(s->control);
	ssize_t n = recv(s->control, &answer, sizeof(answer), MSG_TRUNC);
	const char *wrong = zygote_answer_wrong(&answer, n < 0 ? 0 : (size_t)n, kind, number);
	ck_assert_msg(!wrong, "%s", wrong);
	return answer;
}

struct zygote_answer order(const struct subject *s, enum zygote_kind kind)
{
	struct zygote_order o = order_of(kind);
	order_send(s, &o, sizeof(o), NULL, 0);
	return answer_of(s, kind, o.number);
}

/* It has not greeted yet. */
static struct subject fork_silent(
	const struct subject *s, uint32_t flags, struct zygote_answer *ret)
{
	int control[2];
	struct zygote_order o = order_of(ZYGOTE_FORK);
	o.flags = flags;
	pair(control);
	order_send(s, &o, sizeof(o), &control[1], 1);
	close(control[1]);
	*ret = answer_of(s, ZYGOTE_FORK, o.number);
	if (ret->refused) {
		close(control[0]);
		return (struct subject){ 0, -1, -1 };
	}
	return (struct subject){ ret->pid, control[0], -1 };
}

static void hear_hello(const struct subject *child)
{
	struct zygote_answer hello = answer_of(child, ZYGOTE_HELLO, 0);
	ck_assert_msg(!hello.refused, "%s", hello.reason);
	ck_assert_int_eq(hello.pid, child->pid);
}

struct subject fork_try(const struct subject *s, uint32_t flags, struct zygote_answer *ret)
{
	struct subject child = fork_silent(s, flags, ret);
	if (child.pid)
		hear_hello(&child);
	return child;
}

static struct subject fork_until_done(const struct subject *s, uint32_t flags)
{
	uint64_t deadline = deadline_in_ms(HANG_MS);
	for (;;) {
		struct zygote_answer answer;
		struct subject child = fork_silent(s, flags, &answer);
		if (child.pid)
			return child;
		ck_assert_msg(!deadline_passed(deadline), "%s", answer.reason);
	}
}

struct subject fork_unborn(const struct subject *s, uint32_t flags)
{
	struct subject child = fork_until_done(s, flags);
	hear_hello(&child);
	return child;
}

/* The number of the order. */
static uint64_t order_birth(struct subject *child, uint32_t flags, uint32_t user)
{
	int command[2];
	struct zygote_order o = order_of(ZYGOTE_BIRTH);
	o.flags = flags;
	o.uid = o.gid = user;
	pair(command);
	order_send(child, &o, sizeof(o), &command[1], 1);
	close(command[1]);
	child->command = command[0];
	return o.number;
}

struct zygote_answer bear_as(struct subject *child, uint32_t flags, uint32_t user)
{
	return answer_of(child, ZYGOTE_BIRTH, order_birth(child, flags, user));
}

void bear(struct subject *child)
{
	struct zygote_answer answer = bear_as(child, 0, 0);
	ck_assert_msg(!answer.refused, "%s", answer.reason);
}

/* As the keeper does: the order for the birth lies there before the child can listen. */
struct subject fork_born(const struct subject *s)
{
	struct subject child = fork_until_done(s, 0);
	uint64_t number = order_birth(&child, 0, 0);
	hear_hello(&child);
	struct zygote_answer answer = answer_of(&child, ZYGOTE_BIRTH, number);
	ck_assert_msg(!answer.refused, "%s", answer.reason);
	return child;
}
