/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "test.h"

static nova_error_t *error;

START_TEST(an_error_carries_code_errno_and_one_line)
{
	int code = nova_fail_os(&error, -ENOSPC, "code disk '%s'", "a\nb");
	ck_assert_int_eq(code, NOVA_ENOSPC);
	ck_assert_int_eq(nova_error_code(error), NOVA_ENOSPC);
	ck_assert_int_eq(nova_error_os(error), ENOSPC);
	ck_assert_str_eq(nova_error_message(error), "code disk 'a b': No space left on device");
	nova_wrap(&error, code, "register '%s'", "f");
	ck_assert_str_eq(nova_error_message(error),
		"register 'f': code disk 'a b': No space left on device");
	nova_error_free(error);
}
END_TEST

START_TEST(failing_without_an_error_pointer_still_returns_the_code)
{
	ck_assert_int_eq(nova_fail(NULL, NOVA_EBUSY, "x"), NOVA_EBUSY);
	ck_assert_int_eq(nova_oom(NULL), NOVA_ENOMEM);
	ck_assert_int_eq(nova_wrap(NULL, NOVA_EBUSY, "x"), NOVA_EBUSY);
	nova_error_free(NULL);
}
END_TEST

struct sample_opts {
	size_t size;
	uint32_t a, b;
};

START_TEST(an_older_option_struct_is_filled_with_zeros)
{
	struct sample_opts in = { sizeof(size_t) + 4, 7, 9 }, out;
	ck_ok(opts_import(&out, sizeof(out), &in, "sample_opts", &error));
	ck_assert_uint_eq(out.a, 7);
	ck_assert_uint_eq(out.b, 0);
}
END_TEST

START_TEST(a_newer_option_struct_is_refused_only_if_it_asks_for_more)
{
	struct {
		struct sample_opts known;
		uint64_t later;
	} in = { { sizeof(in), 1, 2 }, 0 };
	struct sample_opts out;
	ck_ok(opts_import(&out, sizeof(out), &in, "sample_opts", &error));
	ck_assert_uint_eq(out.b, 2);
	in.later = 1;
	ck_fails(NOVA_EABI, opts_import(&out, sizeof(out), &in, "sample_opts", &error));
	in.known.size = 0;
	ck_fails_with(NOVA_EABI, "sample_opts.size",
		opts_import(&out, sizeof(out), &in, "sample_opts", &error));
}
END_TEST

START_TEST(a_buffer_never_passes_its_maximum)
{
	AUTO_BUF struct buf b = BUF_INIT(8);
	ck_assert_int_eq(buf_append(&b, "12345", 5), 0);
	ck_assert_int_eq(buf_append(&b, "6789", 4), -EMSGSIZE);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_int_eq(buf_append(&b, "678", 3), 0);
	buf_consume(&b, 6);
	ck_assert_mem_eq(b.data, "78", 2);
}
END_TEST

START_TEST(the_nearest_word_is_found_and_a_far_one_is_not)
{
	const char *const words[] = { "python", "go", "rust", NULL };
	ck_assert_str_eq(str_nearest("pyton", words), "python");
	ck_assert_ptr_null(str_nearest("haskell-platform", words));
}
END_TEST

START_TEST(a_file_is_replaced_whole_and_leaves_no_temporary)
{
	char *dir = test_dir();
	AUTO_FREE char *path = path_join(dir, "f");
	ck_assert_int_eq(fs_write_file(path, "one", 3, 0600), 0);
	ck_assert_int_eq(fs_write_file(path, "two", 3, 0600), 0);
	AUTO_BUF struct buf b = BUF_INIT(100);
	ck_assert_int_eq(fs_read_file(path, &b), 0);
	ck_assert_mem_eq(b.data, "two", 3);
	char **names;
	ck_assert_int_eq(fs_list(dir, &names), 1);
	strv_free(names, 1);
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_lock_excludes_a_second_holder)
{
	char *dir = test_dir();
	AUTO_FREE char *path = path_join(dir, "lock");
	int first, second;
	ck_assert_int_eq(fs_lock(path, false, &first), 0);
	ck_assert_int_eq(fs_lock(path, false, &second), -EWOULDBLOCK);
	ck_assert_int_eq(fs_lock_until(path, deadline_in_ms(20), &second), -EWOULDBLOCK);
	fd_close(first);
	ck_assert_int_eq(fs_lock(path, false, &second), 0);
	fd_close(second);
	test_dir_remove(dir);
}
END_TEST

/* How often this process has the file open. */
static int times_open(const char *path)
{
	struct stat own, there;
	int times = 0;
	ck_assert_int_eq(stat(path, &there), 0);
	for (int fd = 0; fd < 64; fd++)
		times += fstat(fd, &own) == 0 && own.st_ino == there.st_ino &&
			 own.st_dev == there.st_dev;
	return times;
}

static void *lock_patiently(void *path)
{
	int fd = -1;
	return (void *)(intptr_t)(fs_lock(path, true, &fd) == 0 ? fd : -1);
}

START_TEST(who_waits_for_a_lock_whose_file_is_removed_excludes_those_who_come_later)
{
	char *dir = test_dir();
	AUTO_FREE char *path = path_join(dir, "lock");
	int first, late;
	pthread_t thread;
	void *second;
	ck_assert_int_eq(fs_lock(path, false, &first), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, lock_patiently, path), 0);
	while (times_open(path) < 2)
		sys_poll(NULL, 0, 1);
	ck_assert_int_eq(fs_unlink(path), 0);
	fd_close(first);
	pthread_join(thread, &second);
	ck_assert_int_ge((int)(intptr_t)second, 0);
	ck_assert_int_eq(fs_lock(path, false, &late), -EWOULDBLOCK);
	fd_close((int)(intptr_t)second);
	ck_assert_int_eq(fs_lock(path, false, &late), 0);
	fd_close(late);
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_deadline_is_rounded_up_so_that_poll_does_not_spin)
{
	ck_assert_int_eq(deadline_poll_ms(NEVER), -1);
	ck_assert_int_eq(deadline_poll_ms(0), 0);
	ck_assert_int_ge(deadline_poll_ms(clock_ns() + 1), 0);
	ck_assert_int_ge(deadline_poll_ms(deadline_in_ms(1000)), 1);
	ck_assert_uint_eq(deadline_in_ms(UINT64_MAX), NEVER);
}
END_TEST

START_TEST(a_private_directory_is_ours_all_the_way_or_refused)
{
	char *dir = test_dir();
	struct stat st;
	AUTO_FREE char *parent = path_join(dir, "nova"), *logs = path_join(parent, "logs"),
		       *real = path_join(dir, "real");
	ck_assert_int_eq(fs_make_private(logs), 0);
	ck_assert_int_eq(fs_make_private(logs), 0);
	ck_assert_int_eq(stat(parent, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(fs_chmod(logs, 0770), 0);
	ck_assert_int_eq(fs_make_private(logs), -EPERM);
	ck_assert_int_eq(fs_chmod(logs, 0755), 0);
	ck_assert_int_eq(fs_make_private(logs), 0);
	ck_assert_int_eq(fs_chmod(parent, 0777), 0);
	ck_assert_int_eq(fs_make_private(logs), -EPERM);
	ck_assert_int_eq(fs_remove_tree(parent), 0);
	ck_assert_int_eq(fs_mkdirs(real, 0700), 0);
	ck_assert_int_eq(symlink(real, parent), 0);
	ck_assert_int_eq(fs_make_private(logs), -EPERM);
	ck_assert_int_eq(fs_unlink(parent), 0);
	ck_assert_int_eq(fs_write_file(parent, "", 0, 0600), 0);
	ck_assert_int_eq(fs_make_private(logs), -EPERM);
	if (geteuid() == 0) {
		ck_assert_int_eq(fs_unlink(parent), 0);
		ck_assert_int_eq(fs_mkdirs(parent, 0700), 0);
		ck_assert_int_eq(chown(parent, 65534, 65534), 0);
		ck_assert_int_eq(fs_make_private(logs), -EPERM);
	}
	test_dir_remove(dir);
}
END_TEST

START_TEST(directories_are_made_and_removed_with_what_is_in_them)
{
	char *dir = test_dir();
	AUTO_FREE char *deep = path_join(dir, "a/b/c");
	ck_assert_int_eq(fs_mkdirs(deep, 0700), 0);
	ck_assert_int_eq(fs_mkdirs(deep, 0700), 0);
	AUTO_FREE char *file = path_join(deep, "f");
	ck_assert_int_eq(fs_write_file(file, "", 0, 0600), 0);
	ck_assert_int_eq(fs_mkdirs(file, 0700), -ENOTDIR);
	test_dir_remove(dir);
	ck_assert(!fs_exists(deep));
}
END_TEST

/* Every call that gives a descriptor, each in a process of its own that has closed 0 to 2. */
static int new_event(void)
{
	return sys_event();
}

static int new_file(void)
{
	return sys_open("/dev/null", O_RDWR, 0);
}

static int new_in_directory(void)
{
	return sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
}

static int new_memory(void)
{
	return sys_memfd("test");
}

static int new_copy(void)
{
	int fd = sys_event(), copy = sys_dup(fd);
	fd_close(fd);
	return copy;
}

static int new_process(void)
{
	return sys_pidfd_open(getpid());
}

static int lower_of(int r, const int fds[2])
{
	return r < 0 ? r : fds[0] < fds[1] ? fds[0] : fds[1];
}

static int new_pipe(void)
{
	int fds[2], r = sys_pipe(fds);
	return lower_of(r, fds);
}

static int new_pair(void)
{
	int fds[2], r = sys_socketpair(SOCK_STREAM, fds);
	return lower_of(r, fds);
}

static int new_received(void)
{
	int fds[2], got = -1;
	char byte;
	if (sys_socketpair(SOCK_STREAM, fds) < 0 || sys_send_fds(fds[0], "x", 1, fds, 1) < 0 ||
		sys_recv_fd(fds[1], &byte, 1, &got, deadline_in_ms(1000)) != 1)
		return -EIO;
	return got;
}

static int new_connection(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), high = fcntl(listener, F_DUPFD, 10);
	close(listener);
	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/nova-test-%d", (int)getpid());
	if (bind(high, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(high, 1) < 0)
		return -errno;
	int fd = sys_connect_unix(name.sun_path);
	unlink(name.sun_path);
	return fd;
}

static int descriptor_of(int (*make)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 0; fd <= 2; fd++)
			close(fd);
		int fd = make();
		for (int low = 0; low <= 2; low++)
			if (fcntl(low, F_GETFD) != -1)
				_exit(100 + low);
		_exit(fd < 0 ? 99 : fcntl(fd, F_GETFD) == FD_CLOEXEC ? fd : 98);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(no_descriptor_takes_the_place_of_a_closed_stdin_stdout_or_stderr)
{
	int (*const calls[])(void) = { new_file, new_in_directory, new_memory, new_event,
		sys_timer_open, new_copy, new_process, new_pipe, new_pair, new_received,
		new_connection, sys_netlink_open };
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		int fd = descriptor_of(calls[i]);
		ck_assert_msg(fd >= 3 && fd < 98, "call %zu gave %d", i, fd);
	}
}
END_TEST

START_TEST(every_code_has_a_name)
{
	for (int code = NOVA_ESTALE; code <= 0; code++)
		ck_assert_str_ne(nova_code_name(code), "NOVA_E?");
	ck_assert_str_eq(nova_code_name(NOVA_ESTALE - 1), "NOVA_E?");
}
END_TEST

START_TEST(a_filter_of_the_log_has_levels_by_module)
{
	static const struct {
		const char *filter, *module;
		int level;
	} cases[] = { { "warn", "pool", NOVA_LOG_WARN }, { "Debug", "pool", NOVA_LOG_DEBUG },
		{ "off", NULL, NOVA_LOG_NONE }, { "trace", "vm", NOVA_LOG_DEBUG },
		{ "warn,pool=debug", "pool", NOVA_LOG_DEBUG },
		{ "warn,pool=debug", "vm", NOVA_LOG_WARN },
		{ "warn,pool=debug", "poo", NOVA_LOG_WARN },
		{ "warn,pool=debug", "pools", NOVA_LOG_WARN },
		{ "warn,pool=debug", NULL, NOVA_LOG_DEBUG },
		{ "pool=none, warn", "pool", NOVA_LOG_NONE },
		{ "pool=none, warn", NULL, NOVA_LOG_WARN },
		{ "pool=debug,pool=error", "pool", NOVA_LOG_ERROR },
		{ "debug,error", "vm", NOVA_LOG_ERROR },
		{ "pool=debug", "vm", NOVA_LOG_INFO }, /* what holds otherwise */
		{ "", "vm", NOVA_LOG_INFO }, { " , ", NULL, NOVA_LOG_INFO },
		{ "loud", NULL, NOVA_EINVAL }, { "=debug", NULL, NOVA_EINVAL },
		{ "pool=", NULL, NOVA_EINVAL }, { "pool", NULL, NOVA_EINVAL },
		{ "pool=debug=x", NULL, NOVA_EINVAL }, { "warn;debug", NULL, NOVA_EINVAL },
		{ NULL, NULL, NOVA_EINVAL } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_msg(nova_log_filter_level(cases[i].filter, cases[i].module,
				      NOVA_LOG_INFO) == cases[i].level,
			"'%s' of %s", cases[i].filter, cases[i].module);
}
END_TEST

static Suite *base_suite(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("base");
	tcase_add_test(tc, an_error_carries_code_errno_and_one_line);
	tcase_add_test(tc, failing_without_an_error_pointer_still_returns_the_code);
	tcase_add_test(tc, an_older_option_struct_is_filled_with_zeros);
	tcase_add_test(tc, a_newer_option_struct_is_refused_only_if_it_asks_for_more);
	tcase_add_test(tc, a_buffer_never_passes_its_maximum);
	tcase_add_test(tc, the_nearest_word_is_found_and_a_far_one_is_not);
	tcase_add_test(tc, a_file_is_replaced_whole_and_leaves_no_temporary);
	tcase_add_test(tc, a_lock_excludes_a_second_holder);
	tcase_add_test(
		tc, who_waits_for_a_lock_whose_file_is_removed_excludes_those_who_come_later);
	tcase_add_test(tc, a_deadline_is_rounded_up_so_that_poll_does_not_spin);
	tcase_add_test(tc, directories_are_made_and_removed_with_what_is_in_them);
	tcase_add_test(tc, a_private_directory_is_ours_all_the_way_or_refused);
	tcase_add_test(tc, no_descriptor_takes_the_place_of_a_closed_stdin_stdout_or_stderr);
	tcase_add_test(tc, every_code_has_a_name);
	tcase_add_test(tc, a_filter_of_the_log_has_levels_by_module);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(base_suite)
