/* SPDX-License-Identifier: MIT */
/* What the keeper and its host do when something is lacking, fails once, or does not answer. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "keeper.h"

#define HANG_MS 100000u

/* --- one failure on the socket, at will --- */

static int send_failure, receive_failure; /* an errno, once */

int __real_sys_send_fds_until(int socket, const void *data, size_t len, const int *fds,
	size_t fd_count, uint64_t deadline);
int __wrap_sys_send_fds_until(int socket, const void *data, size_t len, const int *fds,
	size_t fd_count, uint64_t deadline);
int __wrap_sys_send_fds_until(int socket, const void *data, size_t len, const int *fds,
	size_t fd_count, uint64_t deadline)
{
	int r = -send_failure;
	send_failure = 0;
	return r < 0 ? r : __real_sys_send_fds_until(socket, data, len, fds, fd_count, deadline);
}

ssize_t __real_sys_recv_fd(int socket, void *out, size_t len, int *ret_fd, uint64_t deadline);
ssize_t __wrap_sys_recv_fd(int socket, void *out, size_t len, int *ret_fd, uint64_t deadline);
ssize_t __wrap_sys_recv_fd(int socket, void *out, size_t len, int *ret_fd, uint64_t deadline)
{
	int r = -receive_failure;
	receive_failure = 0;
	return r < 0 ? r : __real_sys_recv_fd(socket, out, len, ret_fd, deadline);
}

/* --- a child whose life shows on a pipe --- */

static const char *const speaker[] = { "/bin/sh", "-c", "echo x >&3; exec sleep 1000", NULL };

struct watched {
	int pipe[2];
};

static struct spawn watch(struct watched *w, const char *const *argv)
{
	ck_assert_int_eq(sys_pipe(w->pipe), 0);
	return (struct spawn){ .argv = argv, .fds = &w->pipe[1], .fd_count = 1 };
}

/* That it has ended, or never began. */
static void await_nobody(struct watched *w)
{
	char text[16];
	struct pollfd p = { w->pipe[0], POLLIN, 0 };
	fd_close(w->pipe[1]);
	do
		ck_assert_msg(poll(&p, 1, HANG_MS) == 1, "the child lives");
	while (sys_read(w->pipe[0], text, sizeof(text)) > 0);
	fd_close(w->pipe[0]);
}

static size_t open_fds(void)
{
	char **names;
	int count = fs_list("/proc/self/fd", &names);
	ck_assert_int_ge(count, 0);
	strv_free(names, (size_t)count);
	return (size_t)count;
}

/* --- descriptors --- */

struct crowd {
	struct rlimit before;
	int fds[256];
	size_t count;
};

static void crowd_all_but(struct crowd *c, size_t left)
{
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &c->before), 0);
	struct rlimit low = { 128, c->before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	c->count = 0;
	for (int fd; (fd = dup(2)) >= 0;)
		c->fds[c->count++] = fd;
	while (left--)
		fd_close(c->fds[--c->count]);
}

static void disperse(struct crowd *c)
{
	while (c->count)
		fd_close(c->fds[--c->count]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &c->before), 0);
}

START_TEST(a_child_whose_descriptor_finds_no_room_is_ended_and_the_error_says_so)
{
	struct setting s = set_up();
	struct process first, second = PROCESS_NONE;
	struct spawn spawn = { .argv = sleeper };
	struct crowd crowd;
	struct watched w;
	ck_ok(keeper_spawn(s.keeper, &spawn, &first, &error));
	spawn = watch(&w, speaker);
	size_t before = open_fds();
	crowd_all_but(&crowd, 0);
	int code = keeper_spawn(s.keeper, &spawn, &second, &error);
	disperse(&crowd);
	ck_assert_int_lt(code, 0);
	ck_assert_int_eq(nova_error_code(error), code);
	ck_assert_int_eq(nova_error_os(error), EMFILE);
	ck_assert_ptr_nonnull(strstr(nova_error_message(error), "/bin/sh"));
	nova_error_free(error);
	error = NULL;
	ck_assert_uint_eq(open_fds(), before);
	await_nobody(&w);
	ck_assert(!process_wait(&first, 0)); /* nobody else suffers */
	process_done(&first, NULL);
	tear_down(&s);
}
END_TEST

START_TEST(with_few_free_descriptors_a_start_succeeds_or_leaves_nothing)
{
	bool succeeded = false;
	for (size_t left = 0; !succeeded; left++) {
		ck_assert_uint_lt(left, 32);
		struct setting s = set_up();
		struct watched w;
		struct crowd crowd;
		struct spawn spawn = watch(&w, speaker);
		struct process process = PROCESS_NONE;
		size_t before = open_fds();
		crowd_all_but(&crowd, left);
		int code = keeper_spawn(s.keeper, &spawn, &process, &error);
		succeeded = code == 0 && process.pidfd >= 0;
		ck_assert_int_eq(code == 0, succeeded);
		disperse(&crowd);
		if (!succeeded)
			ck_assert_msg(nova_error_os(error) == EMFILE, "%zu left: %s", left,
				nova_error_message(error));
		nova_error_free(error);
		error = NULL;
		process_done(&process, NULL);
		await_nobody(&w);
		ck_assert(keeper_free(STEAL(s.keeper)));
		ck_assert_uint_eq(open_fds(), before - 2);
		tear_down(&s);
	}
}
END_TEST

START_TEST(a_keeper_that_has_no_room_for_descriptors_starts_nothing_without_them)
{
	struct setting s = set_up();
	struct process first, second = PROCESS_NONE;
	struct spawn spawn = { .argv = sleeper };
	struct rlimit before, low;
	struct watched w;
	int fds[12];
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){ 20, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0); /* the keeper inherits it */
	ck_ok(keeper_spawn(s.keeper, &spawn, &first, &error));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	spawn = watch(&w, speaker);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = w.pipe[1];
	spawn.fds = fds;
	spawn.fd_count = ARRAY_LEN(fds);
	int code = keeper_spawn(s.keeper, &spawn, &second, &error);
	ck_assert_int_lt(code, 0);
	ck_assert_int_eq(nova_error_os(error), EMFILE);
	nova_error_free(error);
	error = NULL;
	await_nobody(&w);
	process_done(&first, NULL);
	tear_down(&s);
}
END_TEST

/* --- what passes --- */

static void check_locked(const struct setting *s)
{
	AUTO_FREE char *lock = path_join(s->run_dir, FS_LOCK_NAME);
	AUTO_FD int fd = open(lock, O_RDWR | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "the lock has gone");
	ck_assert_int_eq(sys_flock(fd, true, false), -EWOULDBLOCK);
}

static const int passing[] = { ENOBUFS, ENOMEM, EMFILE, ETOOMANYREFS };

START_TEST(a_passing_error_on_the_socket_harms_nobody)
{
	int *const failures[] = { &send_failure, &receive_failure };
	struct setting s = set_up();
	struct process first, second, third;
	struct spawn spawn = { .argv = sleeper }, watched;
	ck_ok(keeper_spawn(s.keeper, &spawn, &first, &error));
	pid_t keeper = parent_of(first.pid);
	for (size_t side = 0; side < ARRAY_LEN(failures); side++) {
		struct watched w;
		watched = watch(&w, speaker);
		*failures[side] = passing[_i];
		int code = keeper_spawn(s.keeper, &watched, &second, &error);
		ck_assert_int_lt(code, 0);
		ck_assert_int_eq(nova_error_os(error), passing[_i]);
		nova_error_free(error);
		error = NULL;
		ck_assert(!process_wait(&first, 0));
		check_locked(&s);
		await_nobody(&w); /* its late reply is not taken for the next one's */
		ck_ok(keeper_spawn(s.keeper, &spawn, &third, &error));
		ck_assert_int_eq(parent_of(third.pid), keeper);
		int status;
		process_done(&third, &status);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	process_done(&first, NULL);
	tear_down(&s);
}
END_TEST

/* Children of the keeper, zombies too. */
static bool has_children(pid_t keeper)
{
	AUTO_FREE char *path = str_format("/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	AUTO_BUF struct buf list = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(path, &list), 0);
	return list.len > 0;
}

START_TEST(a_child_whose_status_could_not_be_asked_for_is_collected_all_the_same)
{
	int *const failures[] = { &send_failure, &receive_failure };
	struct setting s = set_up();
	struct spawn spawn = { .argv = sleeper };
	for (size_t side = 0; side < ARRAY_LEN(failures); side++) {
		struct process process;
		ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
		pid_t keeper = parent_of(process.pid);
		*failures[side] = ENOBUFS;
		process_done(&process, NULL);
		for (uint64_t until = deadline_in_ms(HANG_MS); has_children(keeper);
			poll(NULL, 0, 2))
			ck_assert(!deadline_passed(until));
	}
	tear_down(&s);
}
END_TEST

/* --- who does not answer --- */

static void *hurry_later(void *keeper)
{
	keeper_hurry(keeper, true);
	return NULL;
}

START_TEST(a_keeper_that_does_not_answer_is_killed_with_its_children_and_replaced)
{
	struct setting s = set_up();
	struct process first, second = PROCESS_NONE;
	struct spawn spawn = { .argv = sleeper };
	const char *slow = getenv("NOVA_TEST_LONG");
	pthread_t thread;
	ck_ok(keeper_spawn(s.keeper, &spawn, &first, &error));
	pid_t keeper = parent_of(first.pid);
	AUTO_FREE char *name = str_format("process %d", (int)keeper);
	ck_assert_int_eq(kill(keeper, SIGSTOP), 0);
	if (!slow || !*slow) /* else the whole patience is waited for */
		ck_assert_int_eq(pthread_create(&thread, NULL, hurry_later, s.keeper), 0);
	ck_fails_with(NOVA_EENGINE, name, keeper_spawn(s.keeper, &spawn, &second, &error));
	ck_assert(process_wait(&first, 0));
	ck_assert(!pid_exists(keeper));
	if (!slow || !*slow)
		pthread_join(thread, NULL);
	process_done(&first, NULL);
	check_locked(&s);
	tear_down(&s);
}
END_TEST

START_TEST(freeing_a_keeper_that_is_stopped_does_not_wait_for_it)
{
	struct setting s = set_up();
	struct process first;
	struct spawn spawn = { .argv = sleeper };
	ck_ok(keeper_spawn(s.keeper, &spawn, &first, &error));
	ck_assert_int_eq(kill(parent_of(first.pid), SIGSTOP), 0);
	ck_assert(keeper_free(STEAL(s.keeper)));
	ck_assert(process_wait(&first, 0));
	fd_close(first.pidfd);
	tear_down(&s);
}
END_TEST

START_TEST(a_child_that_is_stopped_ends_like_any_other)
{
	struct setting s = set_up();
	struct process process;
	struct spawn spawn = { .argv = sleeper };
	int status;
	ck_ok(keeper_spawn(s.keeper, &spawn, &process, &error));
	ck_assert_int_eq(process_stop(&process, true), 0);
	process_done(&process, &status);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	tear_down(&s);
}
END_TEST

static Suite *faults_suite(void)
{
	Suite *suite = suite_create("keeper-faults");
	TCase *tc = tcase_create("faults");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_child_whose_descriptor_finds_no_room_is_ended_and_the_error_says_so);
	tcase_add_test(tc, with_few_free_descriptors_a_start_succeeds_or_leaves_nothing);
	tcase_add_test(tc, a_keeper_that_has_no_room_for_descriptors_starts_nothing_without_them);
	tcase_add_loop_test(tc, a_passing_error_on_the_socket_harms_nobody, 0, ARRAY_LEN(passing));
	tcase_add_test(tc, a_child_whose_status_could_not_be_asked_for_is_collected_all_the_same);
	tcase_add_test(tc, a_keeper_that_does_not_answer_is_killed_with_its_children_and_replaced);
	tcase_add_test(tc, freeing_a_keeper_that_is_stopped_does_not_wait_for_it);
	tcase_add_test(tc, a_child_that_is_stopped_ends_like_any_other);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(faults_suite)
