/* SPDX-License-Identifier: MIT */
/* What packages of a function rest on: the Python of a root filesystem, a second directory in a
 * code disk, and what is kept of installations. */
#include <sys/file.h>

#include "deps/internal.h"
#include "disk/disk.h"
#include "test.h"

static nova_error_t *error;
static char *dir;

static void set_up(void)
{
	dir = test_dir();
}

static void tear_down(void)
{
	nova_error_free(error);
	test_dir_remove(dir);
}

static void put(const char *name, const char *content)
{
	AUTO_FREE char *path = path_join(dir, name);
	AUTO_FREE char *directory = strndup(path, (size_t)(strrchr(path, '/') - path));
	ck_assert_int_eq(fs_mkdirs(directory, 0755), 0);
	ck_assert_int_eq(fs_write_file(path, content, strlen(content), 0755), 0);
}

/* An image of a directory, with what lies below. */
static char *image_of(const char *source, const char *below)
{
	AUTO_FREE char *from = path_join(dir, source);
	AUTO_FREE char *under = below ? path_join(dir, below) : NULL;
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	char *image = path_join(dir, "image.ext4");
	opts.source = from;
	opts.below = under;
	ck_ok(nova_disk_build(image, &opts, &error));
	return image;
}

static void has(const char *image, const char *path, const char *content)
{
	AUTO_DISK_IMAGE struct disk_image open;
	AUTO_BUF struct buf found = BUF_INIT(1u << 20);
	ck_ok(disk_image_open(image, &open, &error));
	ck_ok(disk_image_read(&open, path, &found, &error));
	AUTO_FREE char *text = buf_steal_str(&found);
	ck_assert_str_eq(text, content);
}

START_TEST(what_lies_below_is_there_where_the_source_has_nothing)
{
	put("code/main.py", "ours");
	put("code/both/a", "ours");
	put("code/hides", "a file");
	put("packages/main.py", "theirs");
	put("packages/both/b", "theirs");
	put("packages/both/deep/c", "theirs");
	put("packages/hides/what", "theirs");
	put("packages/lost+found/x", "theirs");
	put("packages/other/d", "theirs");
	AUTO_FREE char *image = image_of("code", "packages");
	has(image, "/main.py", "ours");
	has(image, "/both/a", "ours");
	has(image, "/both/b", "theirs");
	has(image, "/both/deep/c", "theirs");
	has(image, "/hides", "a file");
	has(image, "/other/d", "theirs");
	/* and as a whole it is what another reader takes */
	AUTO_FREE char *out = path_join(dir, "out");
	ck_assert_int_eq(fs_mkdirs(out, 0755), 0);
	ck_ok(nova_disk_extract(image, out, &error));
	AUTO_FREE char *file = image_of("code/main.py", "packages");
	has(file, "/handler", "ours");
	has(file, "/main.py", "theirs");
	has(file, "/both/deep/c", "theirs");
}
END_TEST

START_TEST(what_lies_below_must_be_a_directory)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	AUTO_FREE char *image = path_join(dir, "image.ext4");
	put("file", "");
	AUTO_FREE char *file = path_join(dir, "file");
	opts.data = "x";
	opts.data_len = 1;
	opts.below = file;
	ck_fails_with(NOVA_ENOTFOUND, "/file", nova_disk_build(image, &opts, &error));
	ck_assert_int_eq(fs_exists(image), 0);
}
END_TEST

#define LIBC "GNU C Library (Debian GLIBC 2.31-9) stable release version 2.31.\n"

START_TEST(the_python_of_a_guest_and_its_c_library_are_told_from_its_files)
{
	struct deps_guest guest = { "", "" };
	put("root/usr/bin/python3.9", "");
	put("root/usr/lib/python3/dist-packages/x", "");
	put("root/usr/lib/python3.9/os.py", "");
	put("root/lib/x86_64-linux-gnu/libc.so.6", LIBC);
	AUTO_FREE char *link = path_join(dir, "root/usr/bin/python3");
	ck_assert_int_eq(symlink("python3.9", link), 0);
	AUTO_FREE char *image = image_of("root", NULL);
	ck_ok(deps_guest_python(image, &guest, &error));
	ck_assert_str_eq(guest.python, "3.9");
	ck_assert_str_eq(guest.platform, "manylinux_2_31");
}
END_TEST

START_TEST(a_python_of_usr_local_and_another_c_library_are_told_too)
{
	struct deps_guest guest = { "", "" };
	put("root/usr/local/bin/python3", "");
	put("root/usr/local/lib/python3.13/os.py", "");
	put("root/lib/ld-musl-x86_64.so.1", "");
	AUTO_FREE char *image = image_of("root", NULL);
	ck_ok(deps_guest_python(image, &guest, &error));
	ck_assert_str_eq(guest.python, "3.13");
	ck_assert_str_eq(guest.platform, "musllinux_1_2");
}
END_TEST

START_TEST(a_root_filesystem_without_python_or_of_another_kind_is_named)
{
	struct deps_guest guest;
	put("root/bin/sh", "");
	AUTO_FREE char *image = image_of("root", NULL);
	ck_fails_with(NOVA_ENOTSUP, "has no python3", deps_guest_python(image, &guest, &error));
	put("plain", "this is no file system");
	AUTO_FREE char *plain = path_join(dir, "plain"), *none = path_join(dir, "none");
	ck_fails_with(NOVA_ECORRUPT, "is no ext4 image", deps_guest_python(plain, &guest, &error));
	ck_fails_with(NOVA_ENOTFOUND, "/none", deps_guest_python(none, &guest, &error));
}
END_TEST

/* --- what is kept --- */

#define MOST 16

/* Another process in a moment in which the first has given its lock up, if there is one. */
static struct {
	nova_host_t *host;
	int lock; /* of the first, as soon as it has it; -1: not yet */
	bool is_at_work;
} other;

int __real_sys_flock(int fd, bool exclusive, bool wait);
int __wrap_sys_flock(int fd, bool exclusive, bool wait);

static void keep_one(nova_host_t *host, const char *key)
{
	AUTO_FREE char *path = str_format("%s/deps/%s", nova_host_home(host), key);
	AUTO_FREE char *mark = str_format("%s.used", path);
	ck_assert_int_eq(fs_mkdirs(path, 0700), 0);
	ck_assert_int_eq(fs_write_file(mark, "", 0, 0600), 0);
}

/* The file is to be freed. */
static struct deps_want want_of(const char *name)
{
	char *file = path_join(dir, name);
	put(name, name);
	return (struct deps_want){
		.client = "pip", .image = "python", .file = file, .limit = 1 << 20
	};
}

static void keep_wanted(nova_host_t *host, const struct deps_want *want)
{
	struct deps_guest guest = { "", "" };
	char key[SHA256_HEX];
	ck_ok(deps_key(want, &guest, key, &error));
	keep_one(host, key);
}

/* So many others are used now that there is no room for any that was used before. */
static void use_others(nova_host_t *host)
{
	AUTO_DEPS struct deps deps = DEPS_NONE;
	for (unsigned i = 0; i < 2 * MOST; i++) {
		char key[SHA256_HEX];
		snprintf(key, sizeof(key), "%064x", i);
		keep_one(host, key);
	}
	struct deps_want want = want_of("more.txt");
	AUTO_FREE char *file = (char *)want.file;
	keep_wanted(host, &want);
	ck_ok(deps_install(host, &want, NULL, &deps, &error));
}

int __wrap_sys_flock(int fd, bool exclusive, bool wait)
{
	bool is_first = other.host && !other.is_at_work;
	if (is_first && fd == other.lock) {
		flock(fd, LOCK_UN); /* as a change of the lock does, for a moment */
		other.is_at_work = true;
		use_others(other.host);
		other.is_at_work = false;
	}
	int r = __real_sys_flock(fd, exclusive, wait);
	if (is_first && r == 0 && !exclusive)
		other.lock = fd;
	return r;
}

START_TEST(what_was_found_is_not_taken_away_before_it_is_packed)
{
	AUTO_DEPS struct deps deps = DEPS_NONE;
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", dir, &error));
	ck_ok(nova_config_set(config, "engine", "fake", &error));
	ck_ok(nova_host_new(config, &other.host, &error));
	other.lock = -1;
	struct deps_want want = want_of("requirements.txt");
	AUTO_FREE char *file = (char *)want.file;
	keep_wanted(other.host, &want);
	ck_ok(deps_install(other.host, &want, NULL, &deps, &error));
	ck_assert_int_ge(other.lock, 0);
	ck_assert_int_eq(fs_is_directory(deps.directory), 1);
	use_others(other.host); /* and while it is packed */
	ck_assert_int_eq(fs_is_directory(deps.directory), 1);
	nova_host_unref(STEAL(other.host));
	nova_config_free(config);
}
END_TEST

static Suite *deps_suite(void)
{
	Suite *suite = suite_create("deps");
	TCase *t = tcase_create("deps");
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, what_lies_below_is_there_where_the_source_has_nothing);
	tcase_add_test(t, what_lies_below_must_be_a_directory);
	tcase_add_test(t, the_python_of_a_guest_and_its_c_library_are_told_from_its_files);
	tcase_add_test(t, a_python_of_usr_local_and_another_c_library_are_told_too);
	tcase_add_test(t, a_root_filesystem_without_python_or_of_another_kind_is_named);
	tcase_add_test(t, what_was_found_is_not_taken_away_before_it_is_packed);
	suite_add_tcase(suite, t);
	return suite;
}
TEST_MAIN(deps_suite)
