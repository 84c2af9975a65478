/* SPDX-License-Identifier: MIT */
/* Blobs in a directory: whole or not there, whatever dies, fills or changes behind their back. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blob/blob.h"
#include "settings.h"
#include "test.h"

static nova_error_t *error;
static char *home;
static struct blobs *blobs;
/* What the next call of fs_publish() does. */
static enum { PUBLISHES, DIES_BEFORE, DIES_BEHIND, FINDS_NO_ROOM } publish;

int __real_fs_publish(int fd, const char *temp, const char *path);
int __wrap_fs_publish(int fd, const char *temp, const char *path);
int __wrap_fs_publish(int fd, const char *temp, const char *path)
{
	if (publish == FINDS_NO_ROOM)
		return -ENOSPC;
	if (publish == DIES_BEFORE)
		_exit(0);
	int r = __real_fs_publish(fd, temp, path);
	if (publish == DIES_BEHIND)
		_exit(0);
	return r;
}

static void open_blobs(void)
{
	nova_config_t *config = settings_of(home);
	ck_ok(blobs_open(config, &blobs, &error));
	nova_config_free(config);
}

static void set_up(void)
{
	home = test_dir();
	publish = PUBLISHES;
	open_blobs();
}

static void tear_down(void)
{
	blobs_closep(&blobs);
	nova_error_free(error);
	error = NULL;
	test_dir_remove(home);
}

static int lock(void)
{
	int fd;
	ck_ok(blobs->ops->lock(blobs, true, &fd, &error));
	return fd;
}

/* With the lock. */
static int put(const char *content, char hash[SHA256_HEX])
{
	AUTO_FREE char *path = NULL;
	ck_assert_int_eq(sha256_hex(content, strlen(content), hash), 0);
	ck_ok(blobs->ops->begin(blobs, &path, &error));
	int r = fs_write_file(path, content, strlen(content), 0600);
	if (r == 0)
		r = blobs->ops->put(blobs, path, hash, &error);
	fs_unlink(path);
	return r;
}

static void put_well(const char *content, char hash[SHA256_HEX])
{
	AUTO_FD int held = lock();
	ck_ok(put(content, hash));
}

static char *path_of(const char *hash)
{
	char *path;
	ck_ok(blobs->ops->get(blobs, hash, &path, &error));
	return path;
}

static size_t count(void)
{
	char **hashes;
	size_t found;
	ck_ok(blobs->ops->list(blobs, &hashes, &found, &error));
	strv_free(hashes, found);
	return found;
}

static size_t count_files(void)
{
	AUTO_FREE char *path = path_join(home, "disks");
	char **names;
	int found = fs_list(path, &names);
	ck_assert_int_ge(found, 0);
	strv_free(names, (size_t)found);
	return (size_t)found - 1; /* the lock */
}

static bool none_is_needed(void *userdata, const char *hash)
{
	(void)userdata, (void)hash;
	return false;
}

static bool is_the_one(void *userdata, const char *hash)
{
	return !strcmp(userdata, hash);
}

START_TEST(what_was_put_is_found_by_its_hash_until_it_is_removed)
{
	char hash[SHA256_HEX], other[SHA256_HEX];
	AUTO_BUF struct buf content = BUF_INIT(100);
	put_well("one", hash);
	put_well("two", other);
	ck_assert_int_eq(blobs->ops->has(blobs, hash, &error), 1);
	ck_ok(blobs->ops->check(blobs, hash, &error));
	ck_assert_uint_eq(count(), 2);
	AUTO_FREE char *path = path_of(hash);
	ck_assert_int_eq(fs_read_file(path, &content), 0);
	ck_assert_mem_eq(content.data, "one", 3);
	AUTO_FD int held = lock();
	ck_ok(blobs->ops->remove(blobs, hash, &error));
	ck_ok(blobs->ops->remove(blobs, hash, &error));
	ck_assert_int_eq(blobs->ops->has(blobs, hash, &error), 0);
	ck_fails(NOVA_ENOTFOUND, blobs->ops->check(blobs, hash, &error));
	ck_assert_uint_eq(count(), 1);
}
END_TEST

START_TEST(what_is_there_whole_stays_when_it_is_put_again)
{
	char hash[SHA256_HEX];
	struct stat first, second;
	put_well("one", hash);
	AUTO_FREE char *path = path_of(hash);
	ck_assert_int_eq(stat(path, &first), 0);
	put_well("one", hash);
	ck_assert_int_eq(stat(path, &second), 0);
	ck_assert_uint_eq(first.st_ino, second.st_ino);
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(a_damaged_blob_is_found_and_putting_it_again_mends_it)
{
	static const char *const damages[] = { "One", "on", "", "one more" };
	char hash[SHA256_HEX];
	put_well("one", hash);
	AUTO_FREE char *path = path_of(hash);
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		ck_assert_int_eq(fs_write_file(path, damages[i], strlen(damages[i]), 0600), 0);
		ck_fails_with(NOVA_ECORRUPT, path, blobs->ops->check(blobs, hash, &error));
		put_well("one", hash);
		ck_ok(blobs->ops->check(blobs, hash, &error));
	}
}
END_TEST

START_TEST(what_was_changed_behind_its_back_is_read_before_it_is_handed_out)
{
	char hash[SHA256_HEX];
	uint64_t whole, now;
	put_well("one", hash);
	AUTO_FREE char *path = path_of(hash), *given = NULL;
	ck_assert_int_eq(fs_stat(path, NULL, &whole), 0);
	ck_assert_int_eq(fs_write_file(path, "One", 3, 0600), 0);
	ck_fails_with(NOVA_ECORRUPT, path, blobs->ops->get(blobs, hash, &given, &error));
	ck_assert_int_eq(fs_write_file(path, "one", 3, 0600), 0); /* written, but the same */
	ck_ok(blobs->ops->get(blobs, hash, &given, &error));
	ck_assert_str_eq(given, path);
	ck_assert_int_eq(fs_stat(path, NULL, &now), 0);
	ck_assert_uint_eq(now, whole); /* so that it is not read at each call */
}
END_TEST

/* A process that is killed at that moment. */
static void put_and_die(const char *content, int when)
{
	pid_t pid = fork();
	if (pid == 0) {
		char hash[SHA256_HEX];
		lock();
		publish = when;
		put(content, hash);
		_exit(1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

START_TEST(a_put_that_dies_leaves_all_or_nothing_and_the_next_sweep_the_rest)
{
	char hash[SHA256_HEX], late[SHA256_HEX];
	put_well("one", hash);
	put_and_die("two", DIES_BEFORE);
	ck_assert_uint_eq(count(), 1);
	ck_assert_uint_eq(count_files(), 2);
	ck_assert_int_eq(sha256_hex("two", 3, late), 0);
	ck_assert_int_eq(blobs->ops->has(blobs, late, &error), 0);
	put_and_die("two", DIES_BEHIND);
	ck_ok(blobs->ops->check(blobs, late, &error));
	AUTO_FD int held = lock();
	blobs_sweep(blobs, is_the_one, hash);
	ck_assert_uint_eq(count_files(), 1);
	ck_ok(blobs->ops->check(blobs, hash, &error));
}
END_TEST

START_TEST(a_put_without_room_says_so_and_changes_nothing)
{
	char hash[SHA256_HEX], other[SHA256_HEX];
	put_well("one", hash);
	AUTO_FD int held = lock();
	publish = FINDS_NO_ROOM;
	ck_fails_with(NOVA_ENOSPC, home, put("two", other));
	ck_assert_uint_eq(count_files(), 1);
	ck_ok(blobs->ops->check(blobs, hash, &error));
}
END_TEST

/* In the child, whose mounts are its own. */
static int use_full_disk(void)
{
	static char content[64 << 10];
	char hash[SHA256_HEX], other[SHA256_HEX];
	if (unshare(getuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("none", home, "tmpfs", 0, "size=48k"))
		return 77;
	blobs_closep(&blobs);
	open_blobs();
	lock();
	if (put("one", hash) != 0)
		return 1;
	memset(content, 'x', sizeof(content) - 1);
	if (put(content, other) != -ENOSPC || count_files() != 1)
		return 2;
	return blobs->ops->check(blobs, hash, NULL) < 0 ||
			       blobs->ops->remove(blobs, hash, NULL) < 0 || count() != 0 ?
		       3 :
		       0;
}

START_TEST(on_a_full_disk_blobs_can_be_read_and_removed)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(use_full_disk());
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "step %d",
		WEXITSTATUS(status));
}
END_TEST

START_TEST(a_sweep_leaves_what_is_not_ours)
{
	static const char *const names[] = { "notes.txt", "abc.ext4", "README" };
	char hash[SHA256_HEX];
	put_well("one", hash);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = str_format("%s/disks/%s", home, names[i]);
		ck_assert_int_eq(fs_write_file(path, "x", 1, 0600), 0);
	}
	AUTO_FD int held = lock();
	blobs_sweep(blobs, none_is_needed, NULL);
	ck_assert_uint_eq(count(), 0);
	ck_assert_uint_eq(count_files(), ARRAY_LEN(names));
}
END_TEST

START_TEST(who_finds_the_lock_taken_is_told_so)
{
	int second;
	AUTO_FD int held = lock();
	ck_fails_with(NOVA_EBUSY, home, blobs->ops->lock(blobs, false, &second, &error));
}
END_TEST

static Suite *blob_suite(void)
{
	Suite *suite = suite_create("blob");
	TCase *tc = tcase_create("directory");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, what_was_put_is_found_by_its_hash_until_it_is_removed);
	tcase_add_test(tc, what_is_there_whole_stays_when_it_is_put_again);
	tcase_add_test(tc, a_damaged_blob_is_found_and_putting_it_again_mends_it);
	tcase_add_test(tc, what_was_changed_behind_its_back_is_read_before_it_is_handed_out);
	tcase_add_test(tc, a_put_that_dies_leaves_all_or_nothing_and_the_next_sweep_the_rest);
	tcase_add_test(tc, a_put_without_room_says_so_and_changes_nothing);
	tcase_add_test(tc, on_a_full_disk_blobs_can_be_read_and_removed);
	tcase_add_test(tc, a_sweep_leaves_what_is_not_ours);
	tcase_add_test(tc, who_finds_the_lock_taken_is_told_so);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(blob_suite)
