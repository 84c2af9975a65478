/* SPDX-License-Identifier: MIT */
/* Programs that the keeper forks with all they are: what tests/zygote proves of the fork itself is
 * not proved here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "keeper/cgroup.h"
#include "keeper.h"
#include "zygote/zygote.h"

#define PATIENCE_MS 5000 /* of one who must not fail */

static struct process start(struct setting *s, const int *fds, size_t count)
{
	AUTO_FREE char *zygote = NULL;
	struct process process = PROCESS_NONE;
	ck_ok(zygote_find(&zygote, &error));
	struct spawn spawn = { .argv = sleeper, .fds = fds, .fd_count = count, .zygote = zygote };
	ck_ok(keeper_spawn(s->keeper, &spawn, &process, &error));
	return process;
}

/* Right after its start it may be anywhere. The child is there, and has yet to be born. */
static struct process fork_unborn(const struct process *parent, const struct process_fork *how)
{
	struct process child = PROCESS_NONE;
	uint64_t deadline = deadline_in_ms(100000);
	int code;
	while ((code = process_fork(parent, how, &child, &error)) == NOVA_EBUSY &&
		!deadline_passed(deadline)) {
		nova_error_free(error);
		error = NULL;
	}
	ck_ok(code);
	return child;
}

static struct process fork_it(const struct process *parent, const struct process_fork *how)
{
	struct process child = fork_unborn(parent, how);
	ck_ok(process_born(&child, NULL, 0, PATIENCE_MS, &error));
	return child;
}

static const struct process_fork plain = { .patience_ms = PATIENCE_MS, .fertile = true };

/* How many children the keeper has. */
static size_t children_of(pid_t keeper)
{
	AUTO_FREE char *path = str_format("/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	AUTO_BUF struct buf text = BUF_INIT(4096);
	size_t count = 0;
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	for (size_t i = 0; i < text.len; i++)
		count += text.data[i] == ' ';
	return count;
}

START_TEST(a_child_of_a_fork_is_one_of_the_keeper_and_can_be_forked_again)
{
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0);
	struct process child = fork_it(&parent, &plain), grandchild = fork_it(&child, &plain);
	ck_assert_int_eq(parent_of(child.pid), parent_of(parent.pid));
	ck_assert_int_eq(parent_of(grandchild.pid), parent_of(parent.pid));
	int status;
	process_done(&parent, &status);
	ck_assert(WIFSIGNALED(status));
	ck_assert(!process_wait(&child, deadline_in_ms(10)));
	process_done(&child, &status);
	ck_assert(WIFSIGNALED(status));
	ck_assert(!process_wait(&grandchild, deadline_in_ms(10)));
	keeper_free(STEAL(s.keeper));
	ck_assert(process_wait(&grandchild, NEVER));
	fd_close(grandchild.pidfd);
	tear_down(&s);
}
END_TEST

START_TEST(what_was_not_started_for_it_or_is_to_have_no_children_is_not_forked)
{
	struct setting s = set_up();
	struct process process, child;
	struct spawn spawn = { .argv = sleeper };
	struct process_fork leaf = { .patience_ms = PATIENCE_MS };
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_fails_with(
		NOVA_ENOTSUP, "was not started", process_fork(&process, &plain, &child, &error));
	process_done(&process, NULL);
	ck_fails_with(NOVA_ELOST, "has ended", process_fork(&process, &plain, &child, &error));
	process = start(&s, NULL, 0);
	struct process last = fork_it(&process, &leaf);
	ck_fails_with(NOVA_EBUSY, "clone(2)", process_fork(&last, &plain, &child, &error));
	ck_fails_with(
		NOVA_EBUSY, "whole filter", process_order(&last, PROCESS_CONFINE, -1, &error));
	process_done(&last, NULL);
	process_done(&process, NULL);
	tear_down(&s);
}
END_TEST

START_TEST(each_descriptor_has_a_successor_or_there_is_no_fork)
{
	struct setting s = set_up();
	int first[2], second[2];
	char byte;
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, first), 0);
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, second), 0);
	struct process parent = start(&s, &first[1], 1), child;
	fd_close(first[1]);
	ck_fails_with(NOVA_EBUSY, "successor", process_fork(&parent, &plain, &child, &error));
	const int targets[] = { 1, 2, 3 }, fds[] = { second[1], second[1], second[1] };
	struct process_fork how = plain;
	how.targets = targets;
	how.fds = fds;
	how.count = 3;
	child = fork_it(&parent, &how);
	fd_close(second[1]);
	process_done(&parent, NULL);
	ck_assert_int_eq(sys_recv(first[0], &byte, 1, 0), 0);
	ck_assert_int_eq(sys_recv(second[0], &byte, 1, MSG_DONTWAIT), -EAGAIN);
	process_done(&child, NULL);
	ck_assert_int_eq(sys_recv(second[0], &byte, 1, 0), 0);
	fd_close(first[0]);
	fd_close(second[0]);
	tear_down(&s);
}
END_TEST

START_TEST(a_child_may_wait_for_its_descriptors)
{
	struct setting s = set_up();
	int first[2], second[2];
	char byte;
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, first), 0);
	ck_assert_int_eq(sys_socketpair(SOCK_STREAM, second), 0);
	struct process parent = start(&s, &first[1], 1), child, other, grandchild;
	fd_close(first[1]);
	const int targets[] = { 1, 2, 3 }, fds[] = { second[1], second[1], second[1] };
	struct process_fork how = plain;
	how.targets = targets;
	how.count = 3;
	child = fork_unborn(&parent, &how);
	other = fork_unborn(&parent, &how);
	ck_fails_with(NOVA_EENGINE, "3 descriptors were promised, and 2 came",
		process_born(&other, fds, 2, PATIENCE_MS, &error));
	process_done(&other, NULL);
	other = fork_unborn(&parent, &how);
	process_done(&parent, NULL); /* who waits needs it no more */
	ck_assert_int_eq(sys_recv(first[0], &byte, 1, 0), 0);
	ck_ok(process_born(&child, fds, 3, PATIENCE_MS, &error));
	fd_close(second[1]);
	ck_assert_int_eq(sys_recv(second[0], &byte, 1, MSG_DONTWAIT), -EAGAIN);
	const int more[] = { first[0], first[0], first[0] };
	how.fds = more;
	grandchild = fork_it(&child, &how);
	process_done(&child, NULL);
	ck_assert_int_eq(sys_recv(second[0], &byte, 1, 0), 0);
	process_done(&grandchild, NULL);
	process_done(&other, NULL);
	fd_close(first[0]);
	fd_close(second[0]);
	tear_down(&s);
}
END_TEST

/* Its order lies there when it goes on: the child that comes of it finds nobody. */
START_TEST(who_takes_too_long_is_not_waited_for_and_leaves_no_child)
{
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0), child;
	struct process_fork how = plain, held = plain;
	child = fork_it(&parent, &plain);
	process_done(&child, NULL);
	how.patience_ms = 20;
	how.more = true;
	ck_assert_int_eq(process_stop(&parent, true), 0);
	ck_fails_with(NOVA_ETIMEDOUT, "in time", process_fork(&parent, &how, &child, &error));
	ck_assert_int_eq(process_stop(&parent, false), 0);
	held.more = true;
	child = fork_it(&parent, &held);
	ck_ok(process_order(&parent, PROCESS_GO_ON, -1, &error));
	ck_fails_with(
		NOVA_EBUSY, "no thread is held", process_order(&parent, PROCESS_GO_ON, -1, &error));
	process_done(&child, NULL);
	ck_assert_uint_eq(children_of(parent_of(parent.pid)), 1);
	process_done(&parent, NULL);
	tear_down(&s);
}
END_TEST

START_TEST(a_program_that_was_confined_is_still_forked)
{
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0);
	ck_ok(process_order(&parent, PROCESS_CONFINE, -1, &error));
	struct process child = fork_it(&parent, &plain);
	AUTO_FREE char *path = str_format("/proc/%lld/status", (long long)child.pid);
	AUTO_BUF struct buf status = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file(path, &status), 0);
	AUTO_FREE char *text = buf_steal_str(&status);
	ck_assert_ptr_nonnull(strstr(text, "Seccomp:\t2"));
	process_done(&child, NULL);
	process_done(&parent, NULL);
	tear_down(&s);
}
END_TEST

/* A number of a descriptor that no process here may have. */
static const int beyond[] = { 300 };

START_TEST(a_child_that_cannot_be_born_says_why_and_its_parent_goes_on)
{
	struct rlimit files = { 256, 4096 };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0);
	AUTO_FD int null = sys_open("/dev/null", O_RDWR, 0);
	struct process_fork how = plain;
	how.targets = beyond;
	how.fds = &null;
	how.count = 1;
	struct process child = fork_unborn(&parent, &how);
	ck_fails_with(NOVA_ENOTSUP, "descriptor 300 could not be made anew",
		process_born(&child, NULL, 0, PATIENCE_MS, &error));
	process_done(&child, NULL);
	ck_assert_uint_eq(children_of(parent_of(parent.pid)), 1);
	child = fork_it(&parent, &plain);
	process_done(&child, NULL);
	process_done(&parent, NULL);
	tear_down(&s);
}
END_TEST

START_TEST(children_of_one_that_is_held_are_born_in_any_order)
{
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0), children[8];
	struct process_fork held = plain;
	held.more = true;
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		children[i] = fork_unborn(&parent, &held);
	ck_ok(process_order(&parent, PROCESS_GO_ON, -1, &error));
	for (size_t i = ARRAY_LEN(children); i-- > 0;) {
		ck_ok(process_born(&children[i], NULL, 0, PATIENCE_MS, &error));
		ck_fails_with(NOVA_EENGINE, "nobody waits",
			process_born(&children[i], NULL, 0, PATIENCE_MS, &error));
	}
	struct process grandchild = fork_it(&children[3], &plain);
	process_done(&grandchild, NULL);
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		process_done(&children[i], NULL);
	process_done(&parent, NULL);
	tear_down(&s);
}
END_TEST

/* Whether it was born by then or not. */
START_TEST(a_child_whose_birth_nobody_has_asked_for_ends_like_any_other)
{
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0);
	for (int i = 0; i < 20; i++) {
		struct process child = fork_unborn(&parent, &plain);
		process_kill(&child);
		ck_assert(process_wait(&child, NEVER));
		if (i % 2)
			process_born(&child, NULL, 0, PATIENCE_MS, NULL);
		process_done(&child, NULL);
		ck_fails_with(NOVA_ELOST, "has ended", process_born(&child, NULL, 0, 0, &error));
		ck_assert_uint_eq(children_of(parent_of(parent.pid)), 1);
	}
	struct process last = fork_unborn(&parent, &plain);
	process_done(&parent, NULL);
	keeper_free(STEAL(s.keeper));
	ck_assert(process_wait(&last, NEVER));
	fd_close(last.pidfd);
	tear_down(&s);
}
END_TEST

/* True if a process is in the memory group that is called after it. */
static bool has_group_of_its_own(int64_t pid)
{
	AUTO_FREE char *path = str_format("/proc/%lld/cgroup", (long long)pid);
	AUTO_FREE char *name = str_format("-%lld\n", (long long)pid);
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *lines = buf_steal_str(&text);
	return strstr(lines, "/nova-") && strstr(lines, name);
}

/* A little after its birth: see place() of the keeper. */
START_TEST(each_child_comes_into_a_control_group_of_its_own)
{
	if (cgroup_obstacle())
		test_skip("%s", cgroup_obstacle());
	struct setting s = set_up();
	struct process parent = start(&s, NULL, 0), children[5];
	struct process_fork how = plain;
	how.memory_limit = 64u << 20;
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		children[i] = fork_it(&parent, &how);
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		for (uint64_t end = deadline_in_ms(20000); !has_group_of_its_own(children[i].pid);
			poll(NULL, 0, 5))
			ck_assert(!deadline_passed(end));
	ck_assert(!has_group_of_its_own(parent.pid));
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		process_done(&children[i], NULL);
	process_done(&parent, NULL);
	tear_down(&s);
}
END_TEST

/* The limit of the memory group that a process is in. */
static uint64_t limit_of(int64_t pid)
{
	static const char *const places[][3] = {
		{ ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
		{ "0::", "/sys/fs/cgroup", "memory.max" },
	};
	AUTO_FREE char *path = str_format("/proc/%lld/cgroup", (long long)pid);
	AUTO_BUF struct buf text = BUF_INIT(1 << 16);
	ck_assert_int_eq(fs_read_file(path, &text), 0);
	AUTO_FREE char *lines = buf_steal_str(&text);
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *line = strstr(lines, places[i][0]);
		AUTO_BUF struct buf number = BUF_INIT(64);
		if (!line)
			continue;
		line += strlen(places[i][0]);
		AUTO_FREE char *group = strndup(line, strcspn(line, "\n"));
		AUTO_FREE char *file = str_format("%s%s/%s", places[i][1], group, places[i][2]);
		if (fs_read_file(file, &number) < 0)
			continue;
		AUTO_FREE char *digits = buf_steal_str(&number);
		return strtoull(digits, NULL, 10);
	}
	ck_abort_msg("no memory group has a limit");
	return 0;
}

START_TEST(a_parent_does_not_pay_for_what_its_children_took_at_first)
{
	const uint64_t limit = 64u << 20;
	if (cgroup_obstacle())
		test_skip("%s", cgroup_obstacle());
	struct setting s = set_up();
	AUTO_FREE char *zygote = NULL;
	struct process parent, child;
	struct process_fork how = plain;
	ck_ok(zygote_find(&zygote, &error));
	struct spawn spawn = { .argv = sleeper, .zygote = zygote, .memory_limit = limit };
	ck_ok(keeper_spawn(s.keeper, &spawn, &parent, &error));
	ck_assert_uint_eq(limit_of(parent.pid), limit);
	how.memory_limit = limit;
	child = fork_it(&parent, &how);
	for (uint64_t end = deadline_in_ms(20000); limit_of(parent.pid) == limit; poll(NULL, 0, 5))
		ck_assert(!deadline_passed(end));
	ck_assert_uint_gt(limit_of(parent.pid), limit);
	ck_assert_uint_lt(limit_of(parent.pid), 2 * limit);
	ck_assert_uint_eq(limit_of(child.pid), limit);
	process_done(&child, NULL);
	process_done(&parent, NULL);
	tear_down(&s);
}
END_TEST

/* Each has a parent of its own; births of one thread go on while another one's parent is forked. */
static void *fork_often(void *parent)
{
	struct process children[3];
	struct process_fork held = plain;
	held.more = true;
	for (int i = 0; i < 10; i++) {
		for (size_t c = 0; c < ARRAY_LEN(children); c++)
			while (process_fork(parent, &held, &children[c], NULL) < 0)
				poll(NULL, 0, 1);
		if (process_order(parent, PROCESS_GO_ON, -1, NULL) < 0)
			return parent;
		for (size_t c = 0; c < ARRAY_LEN(children); c++)
			if (process_born(&children[c], NULL, 0, PATIENCE_MS, NULL) < 0)
				return parent;
		for (size_t c = 0; c < ARRAY_LEN(children); c++)
			process_done(&children[c], NULL);
	}
	return NULL;
}

START_TEST(threads_fork_side_by_side)
{
	struct setting s = set_up();
	struct process parents[4];
	pthread_t threads[ARRAY_LEN(parents)];
	void *failed;
	for (size_t i = 0; i < ARRAY_LEN(parents); i++)
		parents[i] = start(&s, NULL, 0);
	for (size_t i = 0; i < ARRAY_LEN(parents); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fork_often, &parents[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(parents); i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_uint_eq(children_of(parent_of(parents[0].pid)), ARRAY_LEN(parents));
	for (size_t i = 0; i < ARRAY_LEN(parents); i++)
		process_done(&parents[i], NULL);
	tear_down(&s);
}
END_TEST

static Suite *keeper_fork_suite(void)
{
	Suite *suite = suite_create("keeper_fork");
	TCase *tc = tcase_create("keeper_fork");
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, a_child_of_a_fork_is_one_of_the_keeper_and_can_be_forked_again);
	tcase_add_test(tc, what_was_not_started_for_it_or_is_to_have_no_children_is_not_forked);
	tcase_add_test(tc, each_descriptor_has_a_successor_or_there_is_no_fork);
	tcase_add_test(tc, a_child_may_wait_for_its_descriptors);
	tcase_add_test(tc, who_takes_too_long_is_not_waited_for_and_leaves_no_child);
	tcase_add_test(tc, a_program_that_was_confined_is_still_forked);
	tcase_add_test(tc, a_child_that_cannot_be_born_says_why_and_its_parent_goes_on);
	tcase_add_test(tc, children_of_one_that_is_held_are_born_in_any_order);
	tcase_add_test(tc, a_child_whose_birth_nobody_has_asked_for_ends_like_any_other);
	tcase_add_test(tc, threads_fork_side_by_side);
	tcase_add_test(tc, each_child_comes_into_a_control_group_of_its_own);
	tcase_add_test(tc, a_parent_does_not_pay_for_what_its_children_took_at_first);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(keeper_fork_suite)
