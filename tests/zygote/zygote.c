/* SPDX-License-Identifier: MIT */
/* A program is forked with all its threads: see docs/hot.md, and program.c for what it has. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "driver.h"

#define THREADS 9 /* main, six workers, one that ends, and the one that takes orders */

static bool is_long(void)
{
	const char *text = getenv("NOVA_TEST_LONG");
	return text && *text;
}

/* --- forks --- */

START_TEST(each_child_of_a_program_under_load_proves_its_state)
{
	struct subject s = subject_start("none");
	subject_prove(&s);
	size_t fds = subject_count(&s, "fd");
	for (int i = 0; i < (is_long() ? 10000 : 500); i++) {
		struct subject child = fork_born(&s);
		subject_prove(&child);
		if (i % 50 == 0) {
			ck_assert_uint_eq(subject_count(&child, "fd"), fds);
			ck_assert_uint_eq(subject_count(&child, "task"), THREADS);
		}
		subject_end(&child);
		if (i % 50 == 0)
			subject_prove(&s);
	}
	subject_prove(&s);
	ck_assert_uint_eq(subject_count(&s, "fd"), fds);
	ck_assert_uint_eq(subject_count(&s, "task"), THREADS);
	subject_end(&s);
}
END_TEST

START_TEST(a_child_is_forked_again_for_25_generations)
{
	struct subject family[26] = { subject_start("none") };
	size_t fds = subject_count(&family[0], "fd");
	for (int i = 0; i < 25; i++) { /* held, so that the old ones do not crowd the host */
		family[i + 1] = fork_unborn(&family[i], ZYGOTE_HOLD);
		bear(&family[i + 1]);
		subject_prove(&family[i + 1]);
	}
	ck_assert_uint_eq(subject_count(&family[25], "fd"), fds);
	/* the first one goes first: none needs those before it */
	for (int i = 0; i < 25; i++) {
		ck_assert_int_eq(order(&family[i], ZYGOTE_RELEASE).refused, 0);
		subject_prove(&family[i]);
		subject_end(&family[i]);
	}
	subject_prove(&family[25]);
	subject_end(&family[25]);
}
END_TEST

START_TEST(threads_that_begin_and_end_meanwhile_do_no_harm)
{
	struct subject s = subject_start("churn");
	for (int i = 0; i < 40; i++) {
		struct subject child = fork_born(&s);
		subject_prove(&child);
		if (i % 10 == 0) { /* it begins and ends threads of its own */
			struct subject grandchild = fork_born(&child);
			subject_prove(&grandchild);
			subject_end(&grandchild);
		}
		subject_end(&child);
	}
	subject_prove(&s);
	subject_end(&s);
}
END_TEST

START_TEST(children_live_side_by_side_and_apart)
{
	struct subject s = subject_start("none"), children[16];
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		children[i] = fork_born(&s);
	for (size_t round = 0; round < 3; round++) {
		subject_prove(&s);
		for (size_t i = 0; i < ARRAY_LEN(children); i++)
			subject_prove(&children[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		subject_end(&children[i]);
	subject_end(&s);
}
END_TEST

/* --- a child that is not born yet --- */

START_TEST(an_unborn_child_waits_and_has_nothing_of_its_parents_conversations)
{
	struct subject s = subject_start("none");
	struct subject child = fork_unborn(&s, 0);
	ck_assert_uint_eq(subject_count(&child, "task"), 1);
	kill(s.pid, SIGKILL);
	await_gone(s.command);
	await_gone(s.control);
	bear(&child);
	subject_prove(&child);
	ck_assert_uint_eq(subject_count(&child, "task"), THREADS);
	subject_end(&child);
	subject_end(&s);
}
END_TEST

START_TEST(an_unborn_child_ends_when_nobody_waits_for_it)
{
	struct subject s = subject_start("none");
	struct subject child = fork_unborn(&s, 0);
	close(child.control);
	int status = -1;
	ck_assert_int_eq(waitpid(child.pid, &status, 0), child.pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	subject_prove(&s);
	subject_end(&s);
}
END_TEST

START_TEST(an_unborn_child_knows_no_other_order_and_wants_what_was_promised)
{
	struct subject s = subject_start("none");
	struct subject child = fork_unborn(&s, 0);
	struct zygote_answer answer = order(&child, ZYGOTE_CHECK);
	ck_assert_str_eq(answer.reason, "it is not born yet");
	struct zygote_order o = order_of(ZYGOTE_BIRTH);
	o.fd_count = 0;
	order_send(&child, &o, sizeof(o), NULL, 0);
	answer = answer_of(&child, ZYGOTE_BIRTH, o.number);
	ck_assert_str_eq(answer.reason, "1 descriptors were promised, and 0 came");
	bear(&child);
	subject_prove(&child);
	o = order_of(ZYGOTE_BIRTH);
	order_send(&child, &o, sizeof(o), &s.command, 1);
	answer = answer_of(&child, ZYGOTE_BIRTH, o.number);
	ck_assert_str_eq(answer.reason, "it is born already");
	subject_prove(&child);
	subject_end(&child);
	subject_end(&s);
}
END_TEST

START_TEST(the_death_of_a_child_is_nothing_to_its_parent)
{
	struct subject s = subject_start("none");
	size_t fds = subject_count(&s, "fd");
	for (int i = 0; i < 20; i++) {
		struct subject child = fork_unborn(&s, 0);
		if (i % 2)
			bear(&child);
		subject_end(&child);
	}
	subject_prove(&s);
	ck_assert_uint_eq(subject_count(&s, "fd"), fds);
	/* they were all children of this process, and it has seen their ends */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), 0);
	subject_end(&s);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* --- threads that are kept standing --- */

START_TEST(a_program_that_is_held_is_forked_again_and_goes_on)
{
	struct subject s = subject_start("none");
	struct subject first = fork_unborn(&s, ZYGOTE_HOLD);
	struct zygote_answer answer = order(&s, ZYGOTE_CHECK);
	ck_assert_msg(!answer.refused, "%s", answer.reason);
	for (int i = 0; i < 20; i++) {
		struct subject child = fork_try(&s, ZYGOTE_HOLD, &answer);
		ck_assert_msg(child.pid, "%s", answer.reason);
		bear(&child);
		subject_prove(&child);
		subject_end(&child);
	}
	bear(&first);
	subject_prove(&first);
	answer = order(&s, ZYGOTE_RELEASE);
	ck_assert_msg(!answer.refused, "%s", answer.reason);
	subject_prove(&s);
	answer = order(&s, ZYGOTE_RELEASE);
	ck_assert_str_eq(answer.reason, "no thread is held");
	subject_end(&first);
	subject_end(&s);
}
END_TEST

/* It looks at its descriptors once for all forks that want the same, and again for one that does
 * not. */
START_TEST(a_program_that_is_held_looks_again_when_other_descriptors_are_promised)
{
	struct subject s = subject_start("none"), children[3];
	struct zygote_order o = order_of(ZYGOTE_CHECK);
	o.target_count = 0;
	o.targets[0] = 0;
	children[0] = fork_unborn(&s, ZYGOTE_HOLD);
	for (size_t i = 1; i < ARRAY_LEN(children); i++) {
		o.number = order_of(ZYGOTE_CHECK).number;
		order_send(&s, &o, sizeof(o), NULL, 0);
		struct zygote_answer answer = answer_of(&s, ZYGOTE_CHECK, o.number);
		ck_assert_msg(
			answer.refused && strstr(answer.reason, "successor"), "%s", answer.reason);
		children[i] = fork_try(&s, ZYGOTE_HOLD, &answer);
		ck_assert_msg(children[i].pid, "%s", answer.reason);
	}
	for (size_t i = ARRAY_LEN(children); i-- > 0;) {
		bear(&children[i]);
		subject_prove(&children[i]);
		subject_end(&children[i]);
	}
	ck_assert_int_eq(order(&s, ZYGOTE_RELEASE).refused, 0);
	subject_prove(&s);
	subject_end(&s);
}
END_TEST

START_TEST(a_program_goes_on_when_nobody_gives_orders_any_more)
{
	for (uint32_t flags = 0; flags <= ZYGOTE_HOLD; flags++) {
		struct subject s = subject_start("none");
		struct subject child = fork_unborn(&s, flags);
		close(s.control);
		s.control = -1;
		subject_prove(&s); /* also if it was held */
		bear(&child);
		close(child.control);
		child.control = -1;
		subject_prove(&child);
		subject_end(&child);
		subject_end(&s);
	}
}
END_TEST

/* --- what a child may do --- */

static struct subject fork_as(const struct subject *s, uint32_t flags, uint32_t user)
{
	struct subject child = fork_unborn(s, 0);
	struct zygote_answer answer = bear_as(&child, flags, user);
	ck_assert_msg(!answer.refused, "%s", answer.reason);
	return child;
}

/* Of all threads: how many of them have such a line. */
static size_t threads_with(const struct subject *s, const char *line)
{
	AUTO_FREE char *folder = str_format("/proc/%d/task", (int)s->pid);
	char **names;
	int count = fs_list(folder, &names);
	size_t found = 0;
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = str_format("%s/%s/status", folder, names[i]);
		AUTO_BUF struct buf text = BUF_INIT(1 << 16);
		ck_assert_int_eq(fs_read_file(path, &text), 0);
		found += memmem(text.data, text.len, line, strlen(line)) != NULL;
	}
	strv_free(names, (size_t)count);
	return found;
}

START_TEST(a_child_with_a_filter_reaches_nothing_and_is_not_forked)
{
	struct subject s = subject_start("none"), child = fork_as(&s, ZYGOTE_FILTER, 0);
	subject_try(&child);
	ck_assert_uint_eq(threads_with(&child, "Seccomp:\t2"), THREADS);
	struct zygote_answer answer;
	uint64_t deadline = deadline_in_ms(HANG_MS);
	do
		ck_assert_int_eq(fork_try(&child, 0, &answer).pid, 0);
	while (!strstr(answer.reason, "clone(2) failed (errno 1)") && !deadline_passed(deadline));
	ck_assert_str_eq(answer.reason, "clone(2) failed (errno 1)");
	subject_try(&child);
	subject_prove(&s);
	subject_end(&child);
	subject_end(&s);
}
END_TEST

START_TEST(a_fertile_child_reaches_nothing_either_and_has_one_filter_for_all_generations)
{
	struct subject s = subject_start("none"), children[4];
	const struct subject *parent = &s;
	for (size_t i = 0; i < 3; i++, parent = &children[i - 1]) {
		children[i] = fork_as(parent, ZYGOTE_FILTER | ZYGOTE_FERTILE, 0);
		subject_try(&children[i]);
		ck_assert_uint_eq(threads_with(&children[i], "Seccomp_filters:\t1\n"), THREADS);
	}
	children[3] = fork_as(&children[2], ZYGOTE_FILTER, 0);
	subject_try(&children[3]);
	ck_assert_uint_eq(threads_with(&children[3], "Seccomp_filters:\t2\n"), THREADS);
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		subject_end(&children[i]);
	subject_end(&s);
}
END_TEST

START_TEST(a_child_becomes_another_user_with_all_its_threads_or_is_not_born)
{
	struct subject s = subject_start("none"), child = fork_unborn(&s, 0);
	struct zygote_answer answer = bear_as(&child, ZYGOTE_USER | ZYGOTE_FERTILE, 54321);
	if (geteuid() != 0) {
		ck_assert_int_eq(answer.refused, 1);
		await_gone(child.control);
	} else {
		ck_assert_msg(!answer.refused, "%s", answer.reason);
		ck_assert_uint_eq(
			threads_with(&child, "Uid:\t54321\t54321\t54321\t54321"), THREADS);
		ck_assert_uint_eq(threads_with(&child, "CapEff:\t0000000000000000"), THREADS);
		struct subject grandchild = fork_as(&child, ZYGOTE_FILTER, 0);
		subject_try(&grandchild);
		subject_end(&grandchild);
	}
	subject_end(&child);
	subject_prove(&s);
	subject_end(&s);
}
END_TEST

/* --- what is not possible --- */

static const struct {
	const char *trouble, *reason;
} refusals[] = {
	{ "inotify", "is anon_inode:inotify, and has no successor" },
	{ "socket", "is socket:[" },
	{ "pipe", "is pipe:[" },
	{ "writable file", "is /tmp/" },
	{ "position", "zygote-program, and has no successor" },
	{ "file lock", "holds a lock on a file" },
	{ "O_ASYNC", "sends signals" },
	{ "shared memory", "memory is shared, and a child would write into it" },
	{ "shared memory for reading", "memory is shared, and a child would write into it" },
	{ "locked memory", "memory is locked" },
	{ "timer_create", "there are timers of timer_create()" },
	{ "setitimer", "a timer of setitimer() runs" },
	{ "child", "the process has children" },
	{ "signal of a thread", "a signal waits for thread" },
	{ "signal of the process", "a signal waits for the process" },
	{ "recursive", "holds a lock that knows it by its number" },
	{ "writer", "holds a lock that knows it by its number" },
	{ "lock", "waits for a lock" },
	{ "busy", "is in the middle of something" },
	{ "blocked", "does not stop" },
	{ "unknown", "is not known" },
	{ "pthread_cancel", "the program has taken signal 32" },
	{ "closed watch", "watches what was closed as" },
	{ "one-shot watch", "has a one-shot watch of" },
	{ "rights", "has other rights than the one that forks (NoNewPrivs)" },
};

/* Another reason may come first, but passes: the program works. */
static void await_refusal(const struct subject *s, const char *reason)
{
	uint64_t deadline = deadline_in_ms(HANG_MS);
	for (;;) {
		struct zygote_answer answer = order(s, ZYGOTE_CHECK);
		ck_assert_msg(answer.refused, "could be forked, although %s", reason);
		if (strstr(answer.reason, reason))
			return;
		ck_assert_msg(!deadline_passed(deadline), "'%s', not '%s'", answer.reason, reason);
	}
}

START_TEST(what_cannot_be_carried_is_refused_with_its_reason)
{
	struct subject s = subject_start(refusals[_i].trouble);
	await_refusal(&s, refusals[_i].reason);
	struct zygote_answer answer;
	ck_assert_int_eq(fork_try(&s, 0, &answer).pid, 0);
	ck_assert_int_eq(answer.refused, 1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), 0);
	if (!str_starts(refusals[_i].trouble, "signal of")) /* else the proof finds it */
		subject_prove(&s);
	subject_end(&s);
}
END_TEST

START_TEST(a_socket_that_was_not_promised_is_refused)
{
	struct subject s = subject_start("none");
	struct zygote_order o = order_of(ZYGOTE_CHECK);
	o.targets[0] = 0;
	o.target_count = 0;
	o.patience_ms = HANG_MS / 10;
	order_send(&s, &o, sizeof(o), NULL, 0);
	struct zygote_answer answer = answer_of(&s, ZYGOTE_CHECK, o.number);
	ck_assert_msg(str_starts(answer.reason, "descriptor 4 is socket:["), "%s", answer.reason);
	subject_prove(&s);
	subject_end(&s);
}
END_TEST

/* The number in "descriptor 12 is …". */
static int refused_descriptor(const struct subject *s, const struct zygote_order *o)
{
	order_send(s, o, sizeof(*o), NULL, 0);
	struct zygote_answer answer = answer_of(s, ZYGOTE_CHECK, o->number);
	int fd = -1;
	ck_assert_msg(sscanf(answer.reason, "descriptor %d is ", &fd) == 1, "%s", answer.reason);
	return fd;
}

START_TEST(a_file_is_shared_if_the_order_says_that_it_may_be_and_a_socket_is_not)
{
	static const char *const files[] = { "writable file", "position", "socket" };
	struct subject s = subject_start(files[_i]);
	struct zygote_order o = order_of(ZYGOTE_CHECK);
	o.patience_ms = HANG_MS / 10;
	o.shared[0] = refused_descriptor(&s, &o);
	o.shared_count = 1;
	order_send(&s, &o, sizeof(o), NULL, 0);
	struct zygote_answer answer = answer_of(&s, ZYGOTE_CHECK, o.number);
	ck_assert_msg(answer.refused == (_i == 2), "%s", answer.reason);
	subject_prove(&s);
	subject_end(&s);
}
END_TEST

/* --- orders that are not sound --- */

static void expect_refusal(const struct subject *s, uint32_t kind, uint64_t number, const char *why)
{
	struct zygote_answer answer = answer_of(s, kind, number);
	ck_assert_int_eq(answer.refused, 1);
	ck_assert_msg(strstr(answer.reason, why), "'%s', not '%s'", answer.reason, why);
}

START_TEST(an_order_that_is_not_sound_is_refused_and_the_next_one_heard)
{
	struct subject s = subject_start("none");
	size_t fds = subject_count(&s, "fd");
	struct zygote_order o = order_of(ZYGOTE_CHECK);
	order_send(&s, &o, sizeof(o) - 1, NULL, 0);
	expect_refusal(&s, ZYGOTE_CHECK, o.number, "another length");
	char longer[sizeof(o) + 1] = { 0 };
	memcpy(longer, &o, sizeof(o));
	order_send(&s, longer, sizeof(longer), NULL, 0);
	expect_refusal(&s, ZYGOTE_CHECK, o.number, "another length");
	ck_assert_int_eq(send(s.control, "", 0, 0), 0);
	expect_refusal(&s, 0, 0, "too short");
	o.version++;
	order_send(&s, &o, sizeof(o), NULL, 0);
	expect_refusal(&s, ZYGOTE_CHECK, o.number, "another version");
	o = order_of(ZYGOTE_FORK); /* no descriptor comes along; then too many; then no socket */
	order_send(&s, &o, sizeof(o), NULL, 0);
	expect_refusal(&s, ZYGOTE_FORK, o.number, "not as many descriptors");
	int many[ZYGOTE_MAX_FDS + 1];
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = s.control;
	order_send(&s, &o, sizeof(o), many, ARRAY_LEN(many));
	expect_refusal(&s, ZYGOTE_FORK, o.number, "another length");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	order_send(&s, &o, sizeof(o), &null, 1);
	expect_refusal(&s, ZYGOTE_FORK, o.number, "no SOCK_SEQPACKET socket");
	close(null);
	subject_prove(&s);
	ck_assert_uint_eq(subject_count(&s, "fd"), fds);
	struct subject child = fork_born(&s);
	subject_prove(&child);
	subject_end(&child);
	subject_end(&s);
}
END_TEST

/* --- the end of whoever waits for them --- */

START_TEST(a_child_ends_with_the_process_that_waits_for_it)
{
	int sockets[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	pid_t keeper = fork();
	if (keeper == 0) {
		struct subject s = subject_start("none"), child = fork_born(&s);
		int fds[] = { child.command, s.command };
		subject_prove(&child);
		sys_send_fds(sockets[1], "x", 1, fds, 2);
		pause();
	}
	close(sockets[1]);
	int commands[2];
	char x;
	ck_assert_int_eq(sys_recv_fd(sockets[0], &x, 1, &commands[0], deadline_in_ms(HANG_MS)), 1);
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
	await_gone(commands[0]);
	close(sockets[0]);
	close(commands[0]);
}
END_TEST

static Suite *make_suite(void)
{
	driver_seed(); /* one for all tests, each of which is a process of its own */
	Suite *suite = suite_create("zygote");
	TCase *forks = tcase_create("forks");
	tcase_set_timeout(forks, is_long() ? 3600 : 300);
	tcase_add_test(forks, each_child_of_a_program_under_load_proves_its_state);
	tcase_add_test(forks, a_child_is_forked_again_for_25_generations);
	tcase_add_test(forks, threads_that_begin_and_end_meanwhile_do_no_harm);
	tcase_add_test(forks, children_live_side_by_side_and_apart);
	suite_add_tcase(suite, forks);
	TCase *births = tcase_create("births");
	tcase_set_timeout(births, 300);
	tcase_add_test(births, an_unborn_child_waits_and_has_nothing_of_its_parents_conversations);
	tcase_add_test(births, an_unborn_child_ends_when_nobody_waits_for_it);
	tcase_add_test(births, an_unborn_child_knows_no_other_order_and_wants_what_was_promised);
	tcase_add_test(births, the_death_of_a_child_is_nothing_to_its_parent);
	tcase_add_test(births, a_program_that_is_held_is_forked_again_and_goes_on);
	tcase_add_test(
		births, a_program_that_is_held_looks_again_when_other_descriptors_are_promised);
	tcase_add_test(births, a_program_goes_on_when_nobody_gives_orders_any_more);
	tcase_add_test(births, a_child_ends_with_the_process_that_waits_for_it);
	suite_add_tcase(suite, births);
	TCase *rights = tcase_create("rights");
	tcase_set_timeout(rights, 300);
	tcase_add_test(rights, a_child_with_a_filter_reaches_nothing_and_is_not_forked);
	tcase_add_test(rights,
		a_fertile_child_reaches_nothing_either_and_has_one_filter_for_all_generations);
	tcase_add_test(rights, a_child_becomes_another_user_with_all_its_threads_or_is_not_born);
	suite_add_tcase(suite, rights);
	TCase *refused = tcase_create("refused");
	tcase_set_timeout(refused, 300);
	tcase_add_loop_test(refused, what_cannot_be_carried_is_refused_with_its_reason, 0,
		(int)ARRAY_LEN(refusals));
	tcase_add_test(refused, a_socket_that_was_not_promised_is_refused);
	tcase_add_loop_test(refused,
		a_file_is_shared_if_the_order_says_that_it_may_be_and_a_socket_is_not, 0, 3);
	tcase_add_test(refused, an_order_that_is_not_sound_is_refused_and_the_next_one_heard);
	suite_add_tcase(suite, refused);
	return suite;
}

TEST_MAIN(make_suite)
