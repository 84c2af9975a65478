/* SPDX-License-Identifier: MIT */
/* Who may reach the state directory, and what becomes of what killed processes left in it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/host.h"
#include "store/store.h"
#include "settings.h"
#include "test.h"

static nova_error_t *error;
static char *dir, *home;

static void set_up(void)
{
	dir = test_dir();
	home = path_join(dir, "home");
}

static void tear_down(void)
{
	free(home);
	test_dir_remove(dir);
}

static unsigned lines_of_host, lines_of_others;

static void count_lines(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level, (void)text;
	lines_of_host += !strcmp(module, "host");
	lines_of_others += strcmp(module, "host") != 0;
}

START_TEST(a_log_is_sent_as_the_setting_says_for_each_module)
{
	static const struct {
		const char *filter;
		unsigned of_host, of_others;
	} cases[] = { { "warn,host=debug", 1, 0 }, { "debug,host=warn", 0, 1 }, { "none", 0, 0 },
		{ "debug", 1, 1 } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		nova_config_t *config;
		nova_host_t *host = NULL;
		ck_ok(nova_config_new(&config, &error));
		ck_ok(nova_config_set(config, "home", home, &error));
		ck_ok(nova_config_set(config, "log.level", cases[i].filter, &error));
		ck_ok(nova_host_new(config, &host, &error));
		nova_host_set_log(host, count_lines, NULL, NOVA_LOG_AS_SET);
		lines_of_host = lines_of_others = 0;
		log_debug(host_log(host), "host", "one");
		log_debug(host_log(host), "pool", "one");
		ck_assert_uint_eq(lines_of_host, cases[i].of_host);
		ck_assert_uint_eq(lines_of_others, cases[i].of_others);
		nova_host_unref(host);
		nova_config_free(config);
	}
}
END_TEST

static int open_host(void)
{
	nova_config_t *config;
	nova_host_t *host = NULL;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", home, &error));
	int code = nova_host_new(config, &host, &error);
	nova_host_unref(host);
	nova_config_free(config);
	return code;
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	ck_assert_msg(stat(path, &st) == 0, "%s is not there", path);
	return st.st_mode & 07777;
}

static char *put(const char *name, mode_t mode)
{
	char *path = path_join(home, name);
	AUTO_FD int fd = sys_open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_fchmod(fd, mode), 0);
	return path;
}

/* --- rights --- */

START_TEST(a_home_that_others_may_write_is_refused_with_the_way_out)
{
	static const mode_t bad[] = { 0777, 0775, 0707, 01777 };
	ck_assert_int_eq(fs_mkdirs(home, 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(fs_chmod(home, bad[i]), 0);
		ck_fails_with(NOVA_EPERM, "chmod go-w", open_host());
		AUTO_FREE char *run = path_join(home, "run");
		ck_assert(!fs_exists(run));
	}
	ck_assert_int_eq(fs_chmod(home, 0755), 0);
	ck_ok(open_host());
}
END_TEST

START_TEST(a_new_home_in_a_shared_directory_is_for_its_owner_alone)
{
	mode_t before = umask(0);
	ck_assert_int_eq(fs_chmod(dir, 01777), 0);
	ck_ok(open_host());
	ck_assert_uint_eq(mode_of(home), 0700);
	umask(before);
}
END_TEST

START_TEST(rooms_that_others_may_read_are_closed)
{
	static const char *const rooms[] = { "run", "disks", "disk-cache", "compiled", "snapshots",
		"daemon" };
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		AUTO_FREE char *room = path_join(home, rooms[i]);
		ck_assert_int_eq(fs_mkdirs(room, 0755), 0);
		ck_assert_int_eq(fs_chmod(room, 0755), 0);
	}
	ck_ok(open_host());
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		AUTO_FREE char *room = path_join(home, rooms[i]);
		ck_assert_uint_eq(mode_of(room), 0700);
	}
}
END_TEST

/* Whoever changes a mode afterwards can be killed just before. */
static void die_at_chmod(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_chmod, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchmodat, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { ARRAY_LEN(filter), filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(9);
}

START_TEST(a_store_whose_maker_is_killed_before_it_changes_the_mode_is_private)
{
	ck_assert_int_eq(fs_mkdirs(home, 0755), 0);
	pid_t pid = fork();
	if (!pid) {
		struct store *store;
		umask(0);
		die_at_chmod();
		_exit(store_open_in(&store_sqlite, home, &store, NULL) < 0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
	AUTO_FREE char *path = path_join(home, "nova.db");
	ck_assert_uint_eq(mode_of(path), 0600);
}
END_TEST

START_TEST(a_store_that_was_left_readable_is_closed_at_the_next_opening)
{
	ck_assert_int_eq(fs_mkdirs(home, 0755), 0);
	AUTO_FREE char *path = put("nova.db", 0644), *wal = put("nova.db-wal", 0666);
	struct store *store;
	ck_ok(store_open_in(&store_sqlite, home, &store, &error));
	ck_assert_uint_eq(mode_of(path), 0600);
	ck_assert_uint_eq(mode_of(wal), 0600);
	store_sqlite.close(store);
}
END_TEST

START_TEST(a_configuration_file_that_anybody_may_write_is_refused)
{
	nova_config_t *config;
	ck_assert_int_eq(fs_mkdirs(home, 0700), 0);
	AUTO_FREE char *path = put("nova.yaml", 0666);
	ck_ok(nova_config_new(&config, &error));
	ck_fails_with(NOVA_EPERM, "chmod o-w", nova_config_load(config, path, &error));
	ck_assert_int_eq(fs_chmod(path, 0664), 0);
	ck_ok(nova_config_load(config, path, &error));
	nova_config_free(config);
}
END_TEST

/* --- what the dead leave --- */

START_TEST(what_the_dead_left_half_done_is_swept_and_that_of_the_living_stays)
{
	static const char *const dead[] = { "kvm-fitness.tmp-0123456789ab",
		"snapshots/.make-00112233aabbccdd", "snapshots/.code-later.tmp-0123456789ab",
		"snapshots/00112233aabbccdd/checked.tmp-0123456789ab" };
	static const char *const kept[] = { "notes.tmp-today", "snapshots/.make-ffffffffffffffff" };
	AUTO_FREE char *inside = path_join(home, "snapshots/00112233aabbccdd");
	ck_assert_int_eq(fs_mkdirs(inside, 0700), 0);
	free(put("snapshots/.lock", 0600));
	for (size_t i = 0; i < ARRAY_LEN(dead); i++)
		free(put(dead[i], 0600));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		free(put(kept[i], 0600));
	AUTO_FREE char *path = path_join(home, "kvm-fitness"), *temp = NULL;
	AUTO_FREE char *make = path_join(home, kept[1]);
	AUTO_FD int living = -1, maker = -1;
	ck_assert_int_eq(fs_temp_beside(path, 0600, &living, &temp), 0);
	ck_assert_int_eq(fs_lock(make, false, &maker), 0);
	ck_ok(open_host());
	for (size_t i = 0; i < ARRAY_LEN(dead); i++) {
		AUTO_FREE char *gone = path_join(home, dead[i]);
		ck_assert_msg(!fs_exists(gone), "%s is still there", gone);
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		AUTO_FREE char *there = path_join(home, kept[i]);
		ck_assert_msg(fs_exists(there), "%s has gone", there);
	}
	ck_assert(fs_exists(temp));
	ck_assert_int_eq(fs_publish(living, temp, path), 0);
}
END_TEST

static int stop;

static void *sweeper(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		fs_sweep_temps(dir, NULL);
	return NULL;
}

START_TEST(a_file_is_written_whatever_is_swept_meanwhile)
{
	pthread_t thread;
	AUTO_FREE char *path = path_join(dir, "file");
	ck_assert_int_eq(pthread_create(&thread, NULL, sweeper, NULL), 0);
	int failed = 0;
	for (int i = 0; i < 500; i++) { /* as fs_write_file() does, but for the syncing */
		AUTO_FREE char *temp = NULL;
		AUTO_FD int fd = -1;
		failed += fs_temp_beside(path, 0600, &fd, &temp) < 0 || fs_rename(temp, path) < 0;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_int_eq(failed, 0);
}
END_TEST

static int inside, collisions;

static void *locker(void *path)
{
	for (int i = 0; i < 50; i++) {
		AUTO_FD int fd = -1;
		if (fs_lock(path, true, &fd) < 0 ||
			__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) > 1)
			__atomic_add_fetch(&collisions, 1, __ATOMIC_SEQ_CST);
		sched_yield();
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		fs_unlink(path);
	}
	return NULL;
}

START_TEST(a_lock_whose_file_is_removed_by_its_holder_has_one_holder)
{
	pthread_t threads[4];
	AUTO_FREE char *path = path_join(dir, "lock");
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, locker, path), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(collisions, 0);
}
END_TEST

static Suite *home_suite(void)
{
	Suite *suite = suite_create("home");
	TCase *tc = tcase_create("home");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_log_is_sent_as_the_setting_says_for_each_module);
	tcase_add_test(tc, a_home_that_others_may_write_is_refused_with_the_way_out);
	tcase_add_test(tc, a_new_home_in_a_shared_directory_is_for_its_owner_alone);
	tcase_add_test(tc, rooms_that_others_may_read_are_closed);
	tcase_add_test(tc, a_store_whose_maker_is_killed_before_it_changes_the_mode_is_private);
	tcase_add_test(tc, a_store_that_was_left_readable_is_closed_at_the_next_opening);
	tcase_add_test(tc, a_configuration_file_that_anybody_may_write_is_refused);
	tcase_add_test(tc, what_the_dead_left_half_done_is_swept_and_that_of_the_living_stays);
	tcase_add_test(tc, a_file_is_written_whatever_is_swept_meanwhile);
	tcase_add_test(tc, a_lock_whose_file_is_removed_by_its_holder_has_one_holder);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(home_suite)
