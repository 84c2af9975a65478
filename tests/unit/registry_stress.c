/* SPDX-License-Identifier: MIT */
/* The registry under several threads and processes, killed ones, full disks and missing rights. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <nova/backup.h>

#include "registry.h"

/* --- several at once --- */

static uint32_t version_seen(const char *name)
{
	AUTO_FUNCTION nova_function_t *f = NULL;
	ck_ok(registry_lookup(&nova.registry, name, &f, &error));
	return nova_function_version(f);
}

START_TEST(a_lookup_sees_what_others_changed_and_else_shares_one_object)
{
	struct nova other;
	nova_function_t *a, *b;
	ck_ok(open_registry(&other));
	ck_ok(add(&other, "hello", "print(1)", 0));
	ck_assert_uint_eq(version_seen("hello"), 1);
	ck_ok(registry_lookup(&nova.registry, "hello", &a, &error));
	ck_ok(registry_lookup(&nova.registry, "hello", &b, &error));
	ck_assert_ptr_eq(a, b);
	ck_ok(add(&other, "hello", "print(2)", NOVA_REGISTER_REPLACE));
	ck_assert_uint_eq(version_seen("hello"), 2);
	ck_ok(add(&nova, "hello", "print(3)", NOVA_REGISTER_REPLACE));
	ck_assert_uint_eq(version_seen("hello"), 3);
	ck_ok(nova_function_delete(&other, "hello", 0, &error));
	nova_function_t *gone;
	ck_fails(NOVA_ENOTFOUND, registry_lookup(&nova.registry, "hello", &gone, &error));
	ck_assert_uint_eq(nova_function_version(a), 1); /* what is held stays as it was */
	nova_function_free(a);
	nova_function_free(b);
	close_registry(&other);
}
END_TEST

START_TEST(more_functions_than_the_cache_holds_are_all_found)
{
	for (unsigned i = 0; i < CACHE_MAX + 100; i++) {
		AUTO_FREE char *name = str_format("f%u", i);
		struct function_record record = { .name = strdup(name) };
		AUTO_FUNCTION nova_function_t *f = function_new(&record);
		const struct named_function named = { .function = f };
		nova_function_free(cache_put(&nova.registry.cache, 0, name, &named));
		ck_assert_uint_le(nova.registry.cache.functions.count, CACHE_MAX);
		AUTO_FUNCTION nova_function_t *found = cache_get(&nova.registry.cache, 0, name);
		ck_assert_ptr_nonnull(found);
	}
	AUTO_FUNCTION nova_function_t *last = cache_get(&nova.registry.cache, 0, "f1100");
	ck_assert_ptr_null(
		cache_get(&nova.registry.cache, 7, "f1100")); /* another stamp: all are forgotten */
	/* what a slow reader brings too late is not taken */
	const struct named_function late = { .function = last };
	nova_function_free(cache_put(&nova.registry.cache, 0, "f1100", &late));
	ck_assert_ptr_null(cache_get(&nova.registry.cache, 7, "f1100"));
}
END_TEST

/* Registers, replaces, reads and deletes; any failure but the ones that come of others doing the
 * same is returned. */
static int work(struct nova *n, unsigned seed, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		AUTO_FUNCTION nova_function_t *f = NULL;
		char name[16], code[32];
		snprintf(name, sizeof(name), "f%u", (seed + i) % 3);
		snprintf(code, sizeof(code), "print(%u)", (seed * 7 + i) % 4);
		nova_function_opts o = opts_of(name, code);
		o.flags = NOVA_REGISTER_REPLACE;
		int r = i % 4 == 3 ? nova_function_delete(n, name, 0, NULL) :
				     nova_function_register(n, &o, NULL, NULL);
		if (r < 0 && r != NOVA_ENOTFOUND)
			return r;
		r = nova_function_get(n, name, &f, NULL);
		if (r < 0 && r != NOVA_ENOTFOUND)
			return r;
	}
	return 0;
}

static void *work_thread(void *seed)
{
	return (void *)(intptr_t)work(&nova, (unsigned)(uintptr_t)seed, 6);
}

START_TEST(eight_threads_at_once_leave_a_consistent_registry)
{
	pthread_t threads[8];
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work_thread, (void *)i), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *code;
		pthread_join(threads[i], &code);
		ck_assert_msg(!code, "%s", nova_code_name((int)(intptr_t)code));
	}
	ck_consistent();
}
END_TEST

static pid_t start_worker(unsigned seed, unsigned rounds)
{
	pid_t child = fork();
	if (child == 0) {
		struct nova n;
		int r = open_registry(&n);
		for (unsigned i = 0; r == 0 && i < rounds; i++)
			r = work(&n, seed + i, 4);
		if (r == 0)
			close_registry(&n);
		_exit(-r);
	}
	return child;
}

START_TEST(two_processes_at_once_leave_a_consistent_registry)
{
	pid_t children[] = { start_worker(1, 3), start_worker(2, 3) };
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		int status;
		waitpid(children[i], &status, 0);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	}
	ck_consistent();
}
END_TEST

START_TEST(a_process_killed_anywhere_leaves_nothing_that_the_next_does_not_mend)
{
	close_registry(&nova);
	uint64_t delay = 0;
	for (unsigned round = 0; round < 20; round++) {
		pid_t child = start_worker(round, 1000);
		ck_assert_int_eq(random_bytes(&delay, sizeof(delay)), 0);
		poll(NULL, 0, (int)(delay % 60)); /* a random moment, not a wait for anything */
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		ck_ok(open_registry(&nova));
		ck_consistent();
		close_registry(&nova);
	}
	ck_ok(open_registry(&nova));
}
END_TEST

START_TEST(left_overs_go_at_the_next_opening_but_foreign_files_stay)
{
	static const char *const gone[] = { ".new-0123456789abcdef",
		".new-0123456789abcdef.tmp-aabbccddeeff",
		"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.ext4" };
	AUTO_FREE char *room = disks(), *mine = path_join(room, "notes.txt");
	ck_assert_int_eq(fs_write_file(mine, "x", 1, 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		AUTO_FREE char *path = path_join(room, gone[i]);
		ck_assert_int_eq(fs_write_file(path, "x", 1, 0600), 0);
	}
	close_registry(&nova);
	ck_ok(open_registry(&nova));
	ck_assert(fs_exists(mine));
	ck_assert_int_eq(fs_unlink(mine), 0);
	ck_consistent();
}
END_TEST

START_TEST(a_damaged_store_costs_no_disk)
{
	ck_ok(add(&nova, "hello", "print(1)", 0));
	AUTO_FUNCTION nova_function_t *f = NULL;
	ck_ok(nova_function_get(&nova, "hello", &f, &error));
	AUTO_FREE char *disk = disk_path(nova_function_code_hash(f));
	AUTO_FREE char *db = path_join(nova.registry.home, "nova.db");
	close_registry(&nova);
	ck_assert_int_eq(fs_write_file(db, "this is no database, as anyone can see", 38, 0600), 0);
	ck_fails_with(NOVA_ECORRUPT, "nova.db", open_registry(&nova));
	ck_assert(fs_exists(disk));
	nova.registry.store = NULL;
}
END_TEST

/* --- no room, no rights --- */

static int child_status(pid_t child)
{
	int status;
	waitpid(child, &status, 0);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(a_full_disk_is_an_error_and_leaves_nothing)
{
	close_registry(&nova);
	pid_t child = fork();
	if (child == 0) {
		size_t len = 1 << 20;
		char *code = malloc(len);
		if (unshare(getuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("none", dir, "tmpfs", 0, "size=1m") || random_bytes(code, len) < 0)
			_exit(77);
		if (open_registry(&nova) < 0 || add(&nova, "small", "print(1)", 0) < 0)
			_exit(1);
		nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
		o.name = "big";
		o.runtime = "python";
		o.code = code;
		o.code_len = len;
		if (nova_function_register(&nova, &o, NULL, &error) != NOVA_ENOSPC)
			_exit(2);
		ck_consistent();
		_exit(nova_function_get(&nova, "small", &(nova_function_t *){ NULL }, NULL) == 0 ?
				0 :
				3);
	}
	int status = child_status(child);
	ck_assert_msg(status == 0 || status == 77, "step %d", status);
	ck_ok(open_registry(&nova));
}
END_TEST

START_TEST(without_rights_nothing_is_stored_and_the_code_is_named)
{
	AUTO_FREE char *secret = write_code("secret.py", "x", 1);
	ck_assert_int_eq(chmod(secret, 0), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	pid_t child = fork();
	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(99);
		struct registry theirs = { 0 };
		if (registry_open_in(&theirs, nova.registry.home, &error) != NOVA_EPERM)
			_exit(1);
		AUTO_FREE char *home = path_join(dir, "own");
		struct nova own = { 0 };
		if (registry_open_in(&own.registry, home, NULL) != 0)
			_exit(2);
		nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
		o.name = "f";
		o.runtime = "python";
		o.code_path = secret;
		error = NULL;
		_exit(nova_function_register(&own, &o, NULL, &error) == NOVA_EPERM &&
					strstr(nova_error_message(error), "secret.py") ?
				0 :
				3);
	}
	ck_assert_int_eq(child_status(child), 0);
}
END_TEST

/* --- archives --- */

static const struct blob_ops *real_blobs;
static unsigned deletions;

/* Of the first blob that is to be written somebody has just deleted the function. */
static int delete_and_check(struct blobs *blobs, const char *hash, nova_error_t **ret_error)
{
	if (!deletions++)
		ck_ok(nova_function_delete(&nova, "a", 0, &error));
	return real_blobs->check(blobs, hash, ret_error);
}

START_TEST(an_export_is_begun_anew_if_a_function_goes_whose_code_it_needs)
{
	struct blob_ops ops = *nova.registry.blobs->ops;
	AUTO_FREE char *archive = path_join(dir, "all.tar.gz");
	real_blobs = nova.registry.blobs->ops;
	ops.check = delete_and_check;
	ck_ok(add(&nova, "a", "print(1)", 0));
	ck_ok(add(&nova, "b", "print(2)", 0));
	nova.registry.blobs->ops = &ops;
	ck_ok(nova_export(&nova, archive, &error));
	nova.registry.blobs->ops = real_blobs;
	ck_assert_uint_eq(deletions, 2);
	ck_ok(nova_function_delete(&nova, "b", 0, &error));
	ck_ok(nova_import(&nova, archive, 0, &error));
	ck_assert_uint_eq(version_seen("b"), 1);
	ck_consistent();
}
END_TEST

START_TEST(code_that_is_lost_is_no_function_that_was_deleted)
{
	AUTO_FUNCTION nova_function_t *f = NULL;
	AUTO_FREE char *archive = path_join(dir, "all.tar.gz");
	ck_ok(add(&nova, "a", "print(1)", 0));
	ck_ok(registry_lookup(&nova.registry, "a", &f, &error));
	AUTO_FREE char *disk = disk_path(nova_function_code_hash(f));
	ck_assert_int_eq(fs_unlink(disk), 0);
	ck_fails_with(NOVA_ECORRUPT, "cannot export", nova_export(&nova, archive, &error));
	ck_assert_int_eq(fs_exists(archive), 0);
}
END_TEST

static Suite *registry_stress_suite(void)
{
	Suite *suite = suite_create("registry_stress");
	TCase *tc = tcase_create("registry_stress");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_lookup_sees_what_others_changed_and_else_shares_one_object);
	tcase_add_test(tc, more_functions_than_the_cache_holds_are_all_found);
	tcase_add_test(tc, eight_threads_at_once_leave_a_consistent_registry);
	tcase_add_test(tc, two_processes_at_once_leave_a_consistent_registry);
	tcase_add_test(tc, a_process_killed_anywhere_leaves_nothing_that_the_next_does_not_mend);
	tcase_add_test(tc, left_overs_go_at_the_next_opening_but_foreign_files_stay);
	tcase_add_test(tc, a_damaged_store_costs_no_disk);
	tcase_add_test(tc, a_full_disk_is_an_error_and_leaves_nothing);
	tcase_add_test(tc, without_rights_nothing_is_stored_and_the_code_is_named);
	tcase_add_test(tc, an_export_is_begun_anew_if_a_function_goes_whose_code_it_needs);
	tcase_add_test(tc, code_that_is_lost_is_no_function_that_was_deleted);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(registry_stress_suite)
