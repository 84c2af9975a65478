/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "disk/disk.h"
#include "hash/hash.h"
#include "test.h"

static nova_error_t *error;
static char *dir, *src, *image;

static void setup(void)
{
	dir = test_dir();
	src = path_join(dir, "src");
	image = path_join(dir, "image.ext4");
	ck_assert_int_eq(fs_mkdirs(src, 0755), 0);
	error = NULL;
}

static void teardown(void)
{
	free(src);
	free(image);
	test_dir_remove(dir);
}

/* A path that lives for the next 63 calls. */
static const char *in(const char *base, const char *name)
{
	static char *paths[64];
	static int turn;
	char *path = path_join(base, name);
	turn = (turn + 1) % 64;
	free(paths[turn]);
	return paths[turn] = path;
}

static void put(const char *name, const char *text, mode_t mode)
{
	ck_assert_int_eq(fs_write_file(in(src, name), text, strlen(text), 0600), 0);
	ck_assert_int_eq(chmod(in(src, name), mode), 0);
}

static char told[8192]; /* a line for each thing that the last build() had to say */

static void note(void *userdata, int level, const char *module, const char *text)
{
	ck_assert_ptr_eq(userdata, told);
	ck_assert_int_eq(level, NOVA_LOG_WARN);
	ck_assert_str_eq(module, "function");
	strcat(strcat(told, text), "\n");
}

static int build_as(uint32_t flags)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = src;
	opts.flags = flags;
	opts.log = note;
	opts.log_userdata = told;
	told[0] = 0;
	return nova_disk_build(image, &opts, &error);
}

static int build(void)
{
	return build_as(0);
}

static void ck_sound(const char *path)
{
	AUTO_FREE char *command = str_format("/sbin/e2fsck -fn '%s' >'%s.fsck' 2>&1", path, path);
	ck_assert_msg(system(command) == 0, "e2fsck is not content with %s", path);
	AUTO_FREE char *said = str_format("%s.fsck", path);
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(said, &b), 0);
	ck_assert_int_eq(fs_unlink(said), 0);
	AUTO_FREE char *text = buf_steal_str(&b);
	ck_assert_msg(!strstr(text, "? no") && !strstr(text, "WARNING"), "e2fsck says: %s", text);
}

static void ck_same_file(const char *a, const char *b)
{
	char first[SHA256_HEX], second[SHA256_HEX];
	ck_assert_int_eq(sha256_file_hex(a, first), 0);
	ck_assert_int_eq(sha256_file_hex(b, second), 0);
	ck_assert_str_eq(first, second);
}

static const char *extracted(void)
{
	const char *out = in(dir, "out");
	ck_assert_int_eq(fs_remove_tree(out), 0);
	ck_assert_int_eq(fs_mkdirs(out, 0700), 0);
	ck_ok(nova_disk_extract(image, out, &error));
	return out;
}

static size_t entries_of(const char *path)
{
	char **names;
	int count = fs_list(path, &names);
	ck_assert_int_ge(count, 0);
	if (count)
		strv_free(names, (size_t)count);
	return (size_t)count;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	ck_assert_int_eq(lstat(path, &st), 0);
	return st.st_mode;
}

/* --- what is made --- */

START_TEST(a_file_becomes_an_executable_handler_in_a_sparse_disk_of_16_mib)
{
	put("f.py", "print(1)\n", 0600);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = in(src, "f.py");
	ck_ok(nova_disk_build(image, &opts, &error));
	ck_sound(image);
	struct stat st;
	ck_assert_int_eq(stat(image, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, NOVA_DISK_DEFAULT_SIZE);
	ck_assert_int_le(st.st_blocks * 512, 256 << 10);
	const char *out = extracted();
	ck_assert_uint_eq(mode_of(in(out, "handler")) & 07777, 0755);
	ck_same_file(in(out, "handler"), in(src, "f.py"));
	ck_assert_uint_eq(entries_of(out), 1);
	ck_assert_uint_eq(entries_of(dir), 3);
}
END_TEST

START_TEST(another_reader_finds_the_same_content)
{
	AUTO_FREE char *big = malloc(300001);
	for (int i = 0; i < 300000; i++)
		big[i] = (char)('a' + i % 19);
	big[300000] = 0;
	put("big", big, 0640);
	ck_ok(build());
	AUTO_FREE char *command =
		str_format("/sbin/debugfs -R 'dump /big %s/dump' '%s' 2>/dev/null", dir, image);
	ck_assert_int_eq(system(command), 0);
	ck_same_file(in(dir, "dump"), in(src, "big"));
}
END_TEST

START_TEST(memory_and_file_of_one_content_give_the_same_bytes)
{
	put("f", "content", 0600);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = in(src, "f");
	ck_ok(nova_disk_build(image, &opts, &error));
	opts = (nova_disk_opts)NOVA_DISK_OPTS_INIT;
	opts.data = "content";
	opts.data_len = 7;
	const char *second = in(dir, "second.ext4");
	ck_ok(nova_disk_build(second, &opts, &error));
	ck_same_file(image, second);
}
END_TEST

static void make_tree(void)
{
	put("main.py", "import x\n", 0644);
	put("run", "#!/bin/sh\n", 0755);
	put("secret", "s", 0400);
	put("empty", "", 0644);
	ck_assert_int_eq(fs_mkdirs(in(src, "pkg/sub/none"), 0755), 0);
	put("pkg/sub/deep", "deep", 0600);
	ck_assert_int_eq(chmod(in(src, "pkg"), 0750), 0);
	ck_assert_int_eq(symlink("main.py", in(src, "short")), 0);
	ck_assert_int_eq(symlink("../../main.py", in(src, "pkg/sub/up")), 0);
	char target[200];
	memset(target, 'l', sizeof(target));
	target[199] = 0;
	ck_assert_int_eq(symlink(target, in(src, "long-link")), 0);
	target[60] = 0;
	ck_assert_int_eq(symlink(target, in(src, "link-60")), 0);
	target[59] = 0;
	ck_assert_int_eq(symlink(target, in(src, "link-59")), 0);
	char name[256];
	memset(name, 'n', 255);
	name[255] = 0;
	AUTO_FD int fd = sys_open(in(src, name), O_CREAT | O_WRONLY, 0644);
	ck_assert_int_ge(fd, 0);
}

START_TEST(a_tree_keeps_links_and_empty_directories_and_modes_if_asked)
{
	make_tree();
	ck_ok(build_as(NOVA_DISK_KEEP_MODES));
	ck_sound(image);
	ck_assert_str_eq(told, "");
	const char *out = extracted();
	AUTO_FREE char *command = str_format("diff -r --no-dereference '%s' '%s'", src, out);
	ck_assert_int_eq(system(command), 0);
	const char *const names[] = { "main.py", "run", "secret", "empty", "pkg", "pkg/sub/deep",
		"short", "link-60" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_uint_eq(mode_of(in(src, names[i])), mode_of(in(out, names[i])));
}
END_TEST

START_TEST(what_the_owner_may_read_or_execute_everybody_may)
{
	static const struct {
		const char *name;
		mode_t here, there;
	} files[] = { { "file", 0600, 0644 }, { "program", 0700, 0755 },
		{ "only-read", 0400, 0444 }, { "shared", 0664, 0664 }, { "of-group", 0640, 0644 },
		{ "of-others", 0604, 0644 }, { "executed", 0100, 0111 },
		{ "of-nobody", 0000, 0000 }, { "usual", 0755, 0755 } };
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		put(files[i].name, "x", files[i].here);
	ck_assert_int_eq(mkdir(in(src, "pkg"), 0700), 0);
	ck_assert_int_eq(chmod(in(src, "pkg"), 0700), 0);
	if (geteuid() != 0) {
		ck_assert_int_eq(unlink(in(src, "executed")), 0);
		ck_assert_int_eq(unlink(in(src, "of-nobody")), 0);
	}
	ck_ok(build());
	ck_sound(image);
	const char *out = extracted();
	ck_assert_uint_eq(mode_of(in(out, "pkg")), S_IFDIR | 0755);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (geteuid() == 0 || files[i].here & 0400)
			ck_assert_uint_eq(
				mode_of(in(out, files[i].name)), S_IFREG | files[i].there);
}
END_TEST

START_TEST(the_same_tree_gives_the_same_bytes_elsewhere_and_later)
{
	make_tree();
	ck_ok(build());
	AUTO_FREE char *copy = path_join(dir, "copy");
	AUTO_FREE char *command = str_format(
		"cp -r --preserve=mode '%s' '%s' && touch -d 2001-01-01 '%s/run'", src, copy, copy);
	ck_assert_int_eq(system(command), 0);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = copy;
	const char *second = in(dir, "second.ext4");
	ck_ok(nova_disk_build(second, &opts, &error));
	ck_same_file(image, second);
}
END_TEST

START_TEST(one_changed_mode_gives_other_bytes)
{
	put("f", "x", 0644);
	char first[SHA256_HEX], second[SHA256_HEX];
	ck_ok(build());
	ck_assert_int_eq(sha256_file_hex(image, first), 0);
	ck_assert_int_eq(chmod(in(src, "f"), 0755), 0);
	ck_ok(build());
	ck_assert_int_eq(sha256_file_hex(image, second), 0);
	ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(ten_thousand_files_fit_and_are_sound)
{
	for (int i = 0; i < 10000; i++) {
		AUTO_FREE char *name = str_format("%s/file-with-a-longer-name-%05d", src, i);
		AUTO_FD int fd = sys_open(name, O_CREAT | O_WRONLY, 0644);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(sys_write_all(fd, name, strlen(name)), 0);
	}
	ck_ok(build());
	ck_sound(image);
	const char *out = extracted();
	ck_assert_uint_eq(entries_of(out), 10000);
	ck_same_file(
		in(out, "file-with-a-longer-name-09999"), in(src, "file-with-a-longer-name-09999"));
}
END_TEST

START_TEST(an_empty_directory_and_an_empty_file_make_sound_disks)
{
	ck_ok(build());
	ck_sound(image);
	ck_assert_uint_eq(entries_of(extracted()), 0);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = "";
	ck_ok(nova_disk_build(image, &opts, &error));
	ck_sound(image);
	ck_assert_uint_eq(entries_of(extracted()), 1);
}
END_TEST

START_TEST(a_lost_and_found_of_the_user_is_kept)
{
	ck_assert_int_eq(fs_mkdirs(in(src, DISK_LOST), 0755), 0);
	put(DISK_LOST "/mine", "1", 0644);
	ck_ok(build());
	ck_sound(image);
	ck_assert_uint_eq(entries_of(in(extracted(), DISK_LOST)), 1);
	ck_assert_int_eq(fs_remove_tree(in(src, DISK_LOST)), 0);
	put(DISK_LOST, "a file", 0644);
	ck_fails_with(NOVA_EINVAL, "lost+found", build());
}
END_TEST

START_TEST(the_lost_and_found_of_a_file_system_is_empty_for_who_may_not_read_it)
{
	if (geteuid() != 0)
		return; /* nobody else can make one */
	ck_assert_int_eq(mkdir(in(src, DISK_LOST), 0700), 0);
	put(DISK_LOST "/of-root", "1", 0644);
	put("main.py", "1", 0644);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(seteuid(65534), 0);
	int code = build();
	ck_assert_int_eq(seteuid(0), 0);
	ck_ok(code);
	ck_sound(image);
	const char *out = extracted();
	ck_assert(fs_exists(in(out, "main.py")) && !fs_exists(in(out, DISK_LOST)));
}
END_TEST

static void put_sparse(const char *name, uint64_t size)
{
	AUTO_FD int fd = sys_open(in(src, name), O_CREAT | O_WRONLY, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_truncate(fd, size), 0);
	ck_assert_int_eq(sys_pwrite_all(fd, "end", 3, size - 3), 0);
}

START_TEST(the_disk_grows_to_what_the_content_needs_and_little_more)
{
	put_sparse("big", 20u << 20);
	ck_ok(build());
	ck_sound(image);
	struct stat st;
	ck_assert_int_eq(stat(image, &st), 0);
	ck_assert_int_ge(st.st_size, 20 << 20);
	ck_assert_int_le(st.st_size, 22 << 20);
	ck_assert_int_le(st.st_blocks * 512, 1 << 20);
	ck_same_file(in(extracted(), "big"), in(src, "big"));
}
END_TEST

START_TEST(a_file_over_many_block_groups_is_sound)
{
	put_sparse("huge", 700u << 20);
	put("small", "after it", 0644);
	ck_ok(build());
	ck_sound(image);
	const char *out = extracted();
	ck_same_file(in(out, "huge"), in(src, "huge"));
	ck_same_file(in(out, "small"), in(src, "small"));
}
END_TEST

START_TEST(every_size_around_a_limit_is_sound)
{
	const uint64_t sizes[] = { 0, 1, 65536, 1 << 20, (16 << 20) - 1, (16 << 20) + 1,
		(128 << 20) + 4096, 129 << 20 };
	put("f", "x", 0644);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
		opts.source = src;
		opts.min_size = sizes[i];
		ck_ok(nova_disk_build(image, &opts, &error));
		ck_sound(image);
		extracted();
	}
}
END_TEST

START_TEST(content_just_at_the_maximum_fits_and_more_is_refused)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = src;
	opts.max_size = 4 << 20;
	put_sparse("f", (4 << 20) - 7 * 4096);
	ck_ok(nova_disk_build(image, &opts, &error));
	ck_sound(image);
	ck_assert_int_eq(fs_unlink(image), 0);
	put_sparse("f", (4 << 20) - 4096);
	ck_fails_with(NOVA_ETOOBIG, "4 MiB", nova_disk_build(image, &opts, &error));
	ck_assert_uint_eq(entries_of(dir), 1);
}
END_TEST

/* --- what is refused --- */

static void put_socket(const char *name)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/%s", src, name);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

START_TEST(devices_sockets_and_fifos_are_left_out_with_a_line_each)
{
	put("main.py", "x", 0644);
	ck_assert_int_eq(mkdir(in(src, "run"), 0755), 0);
	ck_assert_int_eq(mkfifo(in(src, "run/pipe"), 0600), 0);
	put_socket("s");
	put_socket(DISK_LOST);
	/* only root may */
	bool device = mknod(in(src, "null"), S_IFCHR | 0666, makedev(1, 3)) == 0;
	ck_ok(build());
	ck_sound(image);
	ck_assert_msg(!strcmp(told, device ? "'lost+found' is a socket, and left out\n"
					     "'null' is a device, and left out\n"
					     "'run/pipe' is a FIFO, and left out\n"
					     "'s' is a socket, and left out\n" :
					     "'lost+found' is a socket, and left out\n"
					     "'run/pipe' is a FIFO, and left out\n"
					     "'s' is a socket, and left out\n"),
		"%s", told);
	const char *out = extracted();
	ck_assert_uint_eq(entries_of(out), 2);
	ck_assert_uint_eq(entries_of(in(out, "run")), 0);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = src;
	ck_ok(nova_disk_build(image, &opts, &error)); /* where nobody listens */
}
END_TEST

START_TEST(a_source_that_is_neither_file_nor_directory_is_refused)
{
	const char *const sources[] = { in(src, "pipe"), "/dev/null" };
	ck_assert_int_eq(mkfifo(sources[0], 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
		opts.source = sources[i];
		ck_fails_with(NOVA_EINVAL, "neither", nova_disk_build(image, &opts, &error));
	}
	ck_assert_uint_eq(entries_of(dir), 1);
}
END_TEST

static void ck_link(const char *directory, const char *target)
{
	char found[256];
	ssize_t len = readlink(in(directory, "link"), found, sizeof(found) - 1);
	ck_assert_int_gt(len, 0);
	found[len] = 0;
	ck_assert_str_eq(found, target);
}

START_TEST(a_link_is_kept_wherever_it_leads)
{
	static const struct {
		const char *target;
		bool told;
	} links[] = { { "/etc/passwd", false }, { "/usr/bin/python3", false }, { "//x", false },
		{ "nowhere", false }, { "a/../x", false }, { "d/..", false }, { "../link", false },
		{ "./a/../../link", false }, { "\xff", false }, { "../../x", true },
		{ "./../../x", true }, { "a/../../../x", true }, { "../..", true } };
	AUTO_FREE char *sub = path_join(src, "sub");
	ck_assert_int_eq(mkdir(sub, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		ck_assert_int_eq(symlink(links[i].target, in(sub, "link")), 0);
		ck_ok(build());
		ck_sound(image);
		static const char line[] = "'sub/link' is a link that leads out of the code: in "
					   "the guest there is nothing of yours\n";
		ck_assert_msg(
			!strcmp(told, links[i].told ? line : ""), "%s: %s", links[i].target, told);
		ck_link(in(extracted(), "sub"), links[i].target);
		ck_assert_int_eq(unlink(in(sub, "link")), 0);
	}
}
END_TEST

START_TEST(a_name_may_be_any_bytes_and_is_shown_readably)
{
	static const char *const names[] = { "ok-\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		"caf\xe9.txt", "caf\xe8.txt", "\xff", "new\nline" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put(names[i], names[i], 0644);
	ck_ok(build());
	ck_sound(image);
	ck_assert_str_eq(told, "");
	const char *out = extracted();
	ck_assert_uint_eq(entries_of(out), ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_same_file(in(out, names[i]), in(src, names[i]));
	ck_assert_int_eq(mkfifo(in(src, "bad-\xff"), 0600), 0);
	ck_ok(build());
	ck_assert_str_eq(told, "'bad-?' is a FIFO, and left out\n");
	ck_assert(!disk_name_ok("a/b") && !disk_name_ok("..") && !disk_name_ok(""));
}
END_TEST

START_TEST(a_tree_deeper_than_the_bound_is_refused)
{
	AUTO_BUF struct buf path = BUF_INIT(4096);
	for (unsigned i = 0; i < DISK_MAX_DEPTH; i++)
		ck_assert_int_eq(buf_append_str(&path, "/d"), 0);
	AUTO_FREE char *deep = buf_steal_str(&path);
	ck_assert_int_eq(fs_mkdirs(in(src, deep), 0755), 0);
	ck_ok(build());
	ck_sound(image);
	extracted();
	ck_assert_int_eq(fs_mkdirs(in(in(src, deep), "e"), 0755), 0);
	ck_fails_with(NOVA_EINVAL, "deep", build());
}
END_TEST

START_TEST(what_cannot_be_read_is_refused_by_name)
{
	bool root = geteuid() == 0;
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "private" : "secrets";
		if (i)
			put(name, "x", 0000);
		else
			ck_assert_int_eq(mkdir(in(src, name), 0000), 0);
		ck_assert_int_eq(chmod(dir, 0777), 0);
		if (root)
			ck_assert_int_eq(seteuid(65534), 0);
		int code = build();
		if (root)
			ck_assert_int_eq(seteuid(0), 0);
		ck_fails_with(NOVA_EPERM, i ? "'private'" : "'secrets'", code);
		ck_assert_int_eq(chmod(in(src, name), 0700), 0);
		ck_assert_int_eq(fs_remove_tree(in(src, name)), 0);
	}
	ck_assert_uint_eq(entries_of(dir), 1);
}
END_TEST

START_TEST(a_file_that_is_not_as_long_as_it_says_is_refused)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = "/proc/self/maps";
	ck_fails_with(NOVA_EBUSY, "longer", nova_disk_build(image, &opts, &error));
	opts.source = "/sys/kernel/mm/transparent_hugepage/enabled";
	if (fs_exists(opts.source))
		ck_fails_with(NOVA_EBUSY, "shorter", nova_disk_build(image, &opts, &error));
	ck_assert_uint_eq(entries_of(dir), 1);
}
END_TEST

START_TEST(an_image_inside_its_own_source_is_left_out)
{
	put("f", "x", 0644);
	const char *inside = in(src, "image.ext4");
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.source = src;
	char first[SHA256_HEX], second[SHA256_HEX];
	ck_ok(nova_disk_build(inside, &opts, &error));
	ck_assert_int_eq(sha256_file_hex(inside, first), 0);
	ck_ok(nova_disk_build(inside, &opts, &error));
	ck_assert_int_eq(sha256_file_hex(inside, second), 0);
	ck_assert_str_eq(first, second);
	opts.source = inside;
	ck_fails_with(NOVA_EINVAL, "both", nova_disk_build(inside, &opts, &error));
}
END_TEST

START_TEST(wrong_options_are_refused)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	ck_fails(NOVA_EINVAL, nova_disk_build(image, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_disk_build(image, &opts, &error));
	opts.source = in(src, "absent");
	ck_fails_with(NOVA_ENOTFOUND, "absent", nova_disk_build(image, &opts, &error));
	opts.data = "x";
	ck_fails(NOVA_EINVAL, nova_disk_build(image, &opts, &error));
	opts.source = NULL;
	ck_fails(NOVA_EINVAL, nova_disk_build("", &opts, &error));
	ck_fails(NOVA_EINVAL, nova_disk_build(src, &opts, &error));
	ck_fails(NOVA_ENOTFOUND, nova_disk_build(in(dir, "no/such/image"), &opts, &error));
	opts.label = "seventeen bytes !";
	ck_fails_with(NOVA_EINVAL, "label", nova_disk_build(image, &opts, &error));
	opts.label = NULL;
	const char *const names[] = { "", ".", "..", "a/b", "../x", DISK_LOST };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		opts.entry_name = names[i];
		ck_fails_with(NOVA_EINVAL, "entry name", nova_disk_build(image, &opts, &error));
	}
	opts.entry_name = NULL;
	opts.flags = 2;
	ck_fails_with(NOVA_EINVAL, "flags", nova_disk_build(image, &opts, &error));
	opts.flags = 0;
	opts.min_size = 2 << 20;
	opts.max_size = 1 << 20;
	ck_fails(NOVA_EINVAL, nova_disk_build(image, &opts, &error));
	ck_assert_uint_eq(entries_of(dir), 1);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing_behind)
{
	const char *small = in(dir, "small");
	ck_assert_int_eq(fs_mkdirs(small, 0755), 0);
	if (mount("none", small, "tmpfs", 0, "size=128k") < 0)
		return; /* only root may */
	AUTO_FREE char *content = malloc(1 << 20);
	memset(content, 'x', 1 << 20);
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = content;
	opts.data_len = 1 << 20;
	int code = nova_disk_build(in(small, "image"), &opts, &error);
	size_t left = entries_of(small);
	ck_assert_int_eq(umount(small), 0);
	ck_assert_int_eq(code, NOVA_ENOSPC);
	ck_assert_uint_eq(left, 0);
	nova_error_free(error);
}
END_TEST

/* --- extraction of damaged and crafted images --- */

/* Puts `with` over the first place where `what` is in the image. */
static void patch(const void *what, const void *with, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT(32 << 20);
	ck_assert_int_eq(fs_read_file(image, &b), 0);
	uint8_t *at = memmem(b.data, b.len, what, len);
	ck_assert_ptr_nonnull(at);
	memcpy(at, with, len);
	ck_assert_int_eq(fs_write_file(image, b.data, b.len, 0600), 0);
}

static void ck_extract_fails(const char *why)
{
	const char *out = in(dir, "out");
	ck_assert_int_eq(fs_remove_tree(out), 0);
	ck_assert_int_eq(fs_mkdirs(out, 0700), 0);
	ck_fails_with(NOVA_ECORRUPT, why, nova_disk_extract(image, out, &error));
	ck_assert_uint_eq(entries_of(out), 0);
}

START_TEST(names_that_climb_out_of_an_image_are_refused)
{
	put("handler", "x", 0644);
	ck_ok(build());
	patch("handler", "../evil", 7);
	ck_extract_fails("name");
	ck_ok(build());
	patch("handler", "han\0ler", 7);
	ck_extract_fails("name");
	ck_assert(!fs_exists(in(dir, "evil")));
}
END_TEST

START_TEST(an_image_is_never_written_through_its_own_links)
{
	AUTO_FREE char *outside = path_join(dir, "outside");
	ck_assert_int_eq(mkdir(outside, 0755), 0);
	ck_assert_int_eq(symlink(outside, in(src, "aaa")), 0);
	ck_assert_int_eq(mkdir(in(src, "bbb"), 0755), 0);
	put("bbb/evil", "x", 0644);
	ck_ok(build());
	patch("bbb", "aaa", 3); /* the link, and behind it a directory of the same name */
	ck_extract_fails("'aaa' is in a directory twice");
	put("bbb/evil", "x", 0644);
	ck_assert_int_eq(unlink(in(src, "aaa")), 0);
	AUTO_FREE char *target = path_join(outside, "file");
	ck_assert_int_eq(symlink(target, in(src, "aaa")), 0);
	put("ccc", "x", 0644);
	ck_ok(build());
	patch("ccc", "aaa", 3);
	ck_extract_fails("'aaa' is in a directory twice");
	ck_assert_uint_eq(entries_of(outside), 0);
}
END_TEST

START_TEST(an_inode_that_two_names_share_is_refused)
{
	ck_assert_int_eq(fs_mkdirs(in(src, "dir"), 0755), 0);
	put("aaa", "x", 0644);
	ck_ok(build());
	/* lost+found is 11, then aaa 12, dir 13: the file becomes a second name of the directory */
	patch("\x0c\0\0\0\x0c\0\x03\x01"
	      "aaa",
		"\x0d\0\0\0\x0c\0\x03\x01"
		"aaa",
		11);
	ck_extract_fails("twice");
	ck_ok(build());
	patch("\x0d\0\0\0", "\x02\0\0\0", 4);
	ck_extract_fails("twice");
}
END_TEST

START_TEST(what_is_no_image_of_ours_is_refused)
{
	put("f", "x", 0644);
	ck_ok(build());
	ck_assert_int_eq(truncate(image, 1 << 20), 0);
	ck_extract_fails("shorter");
	ck_assert_int_eq(truncate(image, 1500), 0);
	ck_extract_fails("too short");
	ck_assert_int_eq(fs_write_file(image, src, strlen(src), 0600), 0);
	ck_extract_fails("too short");
	ck_assert_int_eq(fs_unlink(image), 0);
	AUTO_FREE char *command =
		str_format("/sbin/mkfs.ext4 -q -F '%s' 8M >/dev/null 2>&1", image);
	ck_assert_int_eq(system(command), 0);
	ck_extract_fails("features");
	ck_fails(NOVA_ENOTFOUND, nova_disk_extract(in(dir, "absent"), in(dir, "out"), &error));
	ck_fails(NOVA_EEXIST, nova_disk_extract(image, src, &error));
	ck_fails(NOVA_ENOTFOUND, nova_disk_extract(image, in(dir, "absent"), &error));
	ck_fails(NOVA_ECORRUPT, nova_disk_extract("/dev/zero", in(dir, "out"), &error));
}
END_TEST

START_TEST(set_uid_bits_do_not_come_out_of_an_image)
{
	put("f", "x", 06755);
	ck_ok(build());
	ck_sound(image);
	ck_assert_uint_eq(mode_of(in(extracted(), "f")) & 07777, 0755);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("disk");
	TCase *made = tcase_create("made");
	tcase_add_checked_fixture(made, setup, teardown);
	tcase_set_timeout(made, 120);
	tcase_add_test(made, a_file_becomes_an_executable_handler_in_a_sparse_disk_of_16_mib);
	tcase_add_test(made, another_reader_finds_the_same_content);
	tcase_add_test(made, memory_and_file_of_one_content_give_the_same_bytes);
	tcase_add_test(made, a_tree_keeps_links_and_empty_directories_and_modes_if_asked);
	tcase_add_test(made, what_the_owner_may_read_or_execute_everybody_may);
	tcase_add_test(made, the_same_tree_gives_the_same_bytes_elsewhere_and_later);
	tcase_add_test(made, one_changed_mode_gives_other_bytes);
	tcase_add_test(made, ten_thousand_files_fit_and_are_sound);
	tcase_add_test(made, an_empty_directory_and_an_empty_file_make_sound_disks);
	tcase_add_test(made, a_lost_and_found_of_the_user_is_kept);
	tcase_add_test(made, the_lost_and_found_of_a_file_system_is_empty_for_who_may_not_read_it);
	tcase_add_test(made, devices_sockets_and_fifos_are_left_out_with_a_line_each);
	tcase_add_test(made, a_link_is_kept_wherever_it_leads);
	tcase_add_test(made, a_name_may_be_any_bytes_and_is_shown_readably);
	tcase_add_test(made, the_disk_grows_to_what_the_content_needs_and_little_more);
	tcase_add_test(made, a_file_over_many_block_groups_is_sound);
	tcase_add_test(made, every_size_around_a_limit_is_sound);
	tcase_add_test(made, content_just_at_the_maximum_fits_and_more_is_refused);
	suite_add_tcase(suite, made);
	TCase *refused = tcase_create("refused");
	tcase_add_checked_fixture(refused, setup, teardown);
	tcase_set_timeout(refused, 120);
	tcase_add_test(refused, a_source_that_is_neither_file_nor_directory_is_refused);
	tcase_add_test(refused, a_tree_deeper_than_the_bound_is_refused);
	tcase_add_test(refused, what_cannot_be_read_is_refused_by_name);
	tcase_add_test(refused, a_file_that_is_not_as_long_as_it_says_is_refused);
	tcase_add_test(refused, an_image_inside_its_own_source_is_left_out);
	tcase_add_test(refused, wrong_options_are_refused);
	tcase_add_test(refused, a_full_disk_leaves_nothing_behind);
	suite_add_tcase(suite, refused);
	TCase *extract = tcase_create("extract");
	tcase_add_checked_fixture(extract, setup, teardown);
	tcase_set_timeout(extract, 120);
	tcase_add_test(extract, names_that_climb_out_of_an_image_are_refused);
	tcase_add_test(extract, an_image_is_never_written_through_its_own_links);
	tcase_add_test(extract, an_inode_that_two_names_share_is_refused);
	tcase_add_test(extract, what_is_no_image_of_ours_is_refused);
	tcase_add_test(extract, set_uid_bits_do_not_come_out_of_an_image);
	suite_add_tcase(suite, extract);
	return suite;
}

TEST_MAIN(make_suite)
