/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>

#include "bzimage.h"
#include "hash/hash.h"
#include "image/image.h"
#include "test.h"

static nova_error_t *error;
static char *dir, *input, *output;
static uint8_t kernel[KERNEL_SIZE], image[3 * KERNEL_SIZE];
static size_t image_len;

static void setup(void)
{
	dir = test_dir();
	input = path_join(dir, "bzImage");
	output = path_join(dir, "vmlinux");
	setenv("HOME", dir, 1);
	unsetenv("XDG_CACHE_HOME");
	error = NULL;
	bz_kernel(kernel);
}

static void teardown(void)
{
	free(input);
	free(output);
	test_dir_remove(dir);
}

static void make(enum bz_format format)
{
	image_len = bz_image(format, kernel, sizeof(kernel), image);
}

static int extract_len(size_t len)
{
	/* Not fs_write_file(), which syncs: these tests write a few hundred files. */
	AUTO_FD int fd = sys_open(input, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_write_all(fd, image, len), 0);
	return nova_image_extract_kernel(input, output, &error);
}

static int extract(void)
{
	return extract_len(image_len);
}

static void ck_nothing_written(void)
{
	char **names;
	ck_assert_int_eq(fs_list(dir, &names), 1);
	strv_free(names, 1);
}

START_TEST(a_kernel_comes_out_of_every_compression)
{
	make((enum bz_format)_i);
	ck_ok(extract());
	AUTO_BUF struct buf b = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(output, &b), 0);
	ck_assert_uint_eq(b.len, sizeof(kernel));
	ck_assert_mem_eq(b.data, kernel, b.len);
}
END_TEST

START_TEST(an_elf_file_is_checked_and_copied)
{
	memcpy(image, kernel, sizeof(kernel));
	ck_ok(extract_len(sizeof(kernel)));
	ck_fails_with(NOVA_ECORRUPT, "cut off", extract_len(sizeof(kernel) - 1));
}
END_TEST

START_TEST(every_truncation_is_refused_and_writes_nothing)
{
	make((enum bz_format)_i);
	for (size_t len = 0; len < image_len; len += len < BZIMAGE_SETUP ? 173 : 1009) {
		ck_fails(NOVA_ECORRUPT, extract_len(len));
		ck_nothing_written();
	}
	ck_fails(NOVA_ECORRUPT, extract_len(image_len - 1));
}
END_TEST

START_TEST(lengths_that_lie_are_refused)
{
	make((enum bz_format)_i);
	const uint32_t lies[] = { 0, 1, 4, 11, 0x7fffffff, 0xffffffff };
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		make((enum bz_format)_i);
		bz_put32(image + 0x24c, lies[i]);
		ck_fails(NOVA_ECORRUPT, extract());
		make((enum bz_format)_i);
		bz_put32(image + 0x248, lies[i] ? lies[i] : 0x10000000);
		ck_fails(NOVA_ECORRUPT, extract());
	}
	ck_nothing_written();
}
END_TEST

START_TEST(a_declared_size_that_is_wrong_is_refused)
{
	make((enum bz_format)_i);
	const uint32_t lies[] = { 0, KERNEL_SIZE - 1, KERNEL_SIZE + 1, 1, 0x20000001, 0xffffffff };
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		bz_put32(image + image_len - 4, lies[i]);
		ck_fails_with(NOVA_ECORRUPT, "stream inside", extract());
	}
	ck_nothing_written();
}
END_TEST

START_TEST(a_stream_with_a_damaged_byte_is_refused_or_no_kernel)
{
	make((enum bz_format)_i);
	size_t from = BZIMAGE_SETUP + BZIMAGE_OFFSET;
	for (size_t at = from; at < from + 60; at++) {
		make((enum bz_format)_i);
		image[at] ^= 0xff;
		int r = extract();
		ck_assert(r == 0 || r == NOVA_ECORRUPT || r == NOVA_ENOTSUP);
		nova_error_free(error);
		error = NULL;
	}
}
END_TEST

static void ck_bad_magic(const char *magic, size_t len, int code, const char *part)
{
	make(BZ_LZ4);
	memcpy(image + BZIMAGE_SETUP + BZIMAGE_OFFSET, magic, len);
	ck_fails_with(code, part, extract());
}

START_TEST(an_unknown_compression_is_named_when_it_has_a_name)
{
	ck_bad_magic("BZh9", 4, NOVA_ENOTSUP, "bzip2");
	ck_bad_magic("\x5d\0\0\0", 4, NOVA_ENOTSUP, "lzma");
	ck_bad_magic("\x89LZO", 4, NOVA_ENOTSUP, "lzo");
	ck_bad_magic("junk", 4, NOVA_ECORRUPT, "no way that Linux uses");
}
END_TEST

START_TEST(what_is_no_bzimage_is_refused)
{
	make(BZ_LZ4);
	image[0x202] = 'X';
	ck_fails_with(NOVA_ECORRUPT, "boot header", extract());
	make(BZ_LZ4);
	image[0x206] = 7;
	ck_fails_with(NOVA_ECORRUPT, "2.08", extract());
	ck_fails_with(
		NOVA_ENOTFOUND, "absent", nova_image_extract_kernel("/absent", output, &error));
	ck_fails(NOVA_EINVAL, nova_image_extract_kernel(NULL, output, &error));
	make(BZ_LZ4);
	ck_assert_int_eq(fs_write_file(input, image, image_len, 0600), 0);
	ck_fails(NOVA_ENOTFOUND, nova_image_extract_kernel(input, "/no/such/place", &error));
}
END_TEST

static void ck_bad_kernel(size_t at, uint8_t value, const char *part)
{
	bz_kernel(kernel);
	kernel[at] = value;
	make(BZ_LZ4);
	ck_fails_with(NOVA_ECORRUPT, part, extract());
	bz_kernel(kernel);
}

START_TEST(a_payload_that_is_no_kernel_for_this_machine_is_refused)
{
	ck_bad_kernel(0, 0, "no ELF");
	ck_bad_kernel(EI_CLASS, ELFCLASS32, "64-bit");
	ck_bad_kernel(EI_DATA, ELFDATA2MSB, "64-bit");
	ck_bad_kernel(offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, "64-bit");
	ck_bad_kernel(offsetof(Elf64_Ehdr, e_type), ET_REL, "no program");
	ck_bad_kernel(offsetof(Elf64_Ehdr, e_phnum), 0, "program headers");
	ck_bad_kernel(offsetof(Elf64_Ehdr, e_phoff) + 7, 0xff, "program headers");
	ck_bad_kernel(sizeof(Elf64_Ehdr), PT_NOTE, "nothing to load");
	ck_bad_kernel(sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz) + 7, 0xff, "outside");
}
END_TEST

/* --- the directory --- */

static char *images;

static void put_image(const char *name, const char *text)
{
	AUTO_FREE char *path = path_join(images, name);
	ck_assert_int_eq(fs_write_file(path, text, strlen(text), 0600), 0);
}

static void manifest(void)
{
	const char *const names[] = { IMAGE_KERNEL, IMAGE_INITRAMFS, "rootfs/base.ext4" };
	AUTO_BUF struct buf b = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char digest[SHA256_HEX];
		ck_assert_int_eq(sha256_hex(names[i], strlen(names[i]), digest), 0);
		AUTO_FREE char *line =
			str_format("%s  %zu  %s\n", digest, strlen(names[i]), names[i]);
		buf_append_str(&b, line);
		put_image(names[i], names[i]); /* each file contains its name */
	}
	AUTO_FREE char *text = buf_steal_str(&b);
	put_image(IMAGE_MANIFEST, text);
}

static void setup_images(void)
{
	setup();
	images = path_join(dir, "images");
	AUTO_FREE char *a = path_join(images, "kernel"), *b = path_join(images, "rootfs");
	ck_assert_int_eq(fs_mkdirs(a, 0755), 0);
	ck_assert_int_eq(fs_mkdirs(b, 0755), 0);
	manifest();
}

static void teardown_images(void)
{
	free(images);
	teardown();
}

START_TEST(whole_images_pass_and_a_damaged_one_is_named_with_the_command)
{
	ck_ok(nova_image_check(images, NULL, &error));
	ck_ok(nova_image_check(images, IMAGE_KERNEL, &error));
	put_image(IMAGE_KERNEL, "kernel/vmlinuy");
	ck_fails_with(NOVA_ECORRUPT, "SHA-256", nova_image_check(images, NULL, &error));
	AUTO_FREE char *command = str_format("tools/images --dir '%s' kernel", images);
	ck_fails_with(NOVA_ECORRUPT, command, nova_image_check(images, IMAGE_KERNEL, &error));
	ck_ok(nova_image_check(images, "rootfs/base.ext4", &error));
	put_image(IMAGE_KERNEL, "short");
	ck_fails_with(NOVA_ECORRUPT, "size", nova_image_check(images, IMAGE_KERNEL, &error));
}
END_TEST

START_TEST(a_missing_image_is_named_with_the_command)
{
	AUTO_FREE char *path = path_join(images, "rootfs/base.ext4");
	ck_assert_int_eq(fs_unlink(path), 0);
	ck_fails_with(NOVA_ENOTFOUND, "base", nova_image_check(images, NULL, &error));
	ck_fails_with(
		NOVA_ENOTFOUND, "' wasm", nova_image_check(images, "rootfs/wasm.ext4", &error));
	ck_fails_with(NOVA_ENOTFOUND, "tools/images", nova_image_check(dir, NULL, &error));
	ck_fails_with(NOVA_ENOTFOUND, "tools/images", nova_image_check("/no/where", NULL, &error));
	ck_fails(NOVA_EINVAL, nova_image_check("", NULL, &error));
}
END_TEST

START_TEST(a_manifest_that_is_rubbish_is_refused)
{
	const char *const bad[] = { "x\n", "", "\n#\n", "0123  4  kernel/vmlinux\n" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put_image(IMAGE_MANIFEST, bad[i]);
		ck_fails_with(NOVA_ECORRUPT, "MANIFEST", nova_image_check(images, NULL, &error));
	}
	AUTO_FREE char *climb = str_format("%064d  4  ../x\n", 0);
	put_image(IMAGE_MANIFEST, climb);
	ck_fails_with(NOVA_ECORRUPT, "MANIFEST", nova_image_check(images, NULL, &error));
}
END_TEST

/* Changes a file's content without its size, time or inode. */
static void swap_content_unseen(const char *name)
{
	AUTO_FREE char *path = path_join(images, name);
	AUTO_FD int fd = sys_open(path, O_WRONLY, 0);
	struct stat st;
	ck_assert_int_eq(sys_fstat(fd, &st), 0);
	ck_assert_int_eq(sys_pwrite_all(fd, "X", 1, 0), 0);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	ck_assert_int_eq(futimens(fd, times), 0);
}

START_TEST(a_checked_file_is_not_read_again_until_it_changes)
{
	ck_ok(nova_image_check(images, IMAGE_KERNEL, &error));
	swap_content_unseen(IMAGE_KERNEL);
	ck_ok(nova_image_check(images, IMAGE_KERNEL, &error));
	swap_content_unseen(IMAGE_INITRAMFS);
	ck_fails(NOVA_ECORRUPT, nova_image_check(images, IMAGE_INITRAMFS, &error));
	ck_ok(nova_image_check(images, "rootfs/base.ext4", &error));
	ck_ok(nova_image_check(images, IMAGE_KERNEL, &error));
}
END_TEST

START_TEST(a_directory_of_somebody_else_is_remembered_in_the_cache)
{
	bool root = geteuid() == 0;
	ck_assert_int_eq(chmod(dir, 0777), 0);
	AUTO_FREE char *cache = path_join(dir, "cache");
	ck_assert_int_eq(fs_mkdirs(cache, 0777), 0);
	ck_assert_int_eq(chmod(cache, 0777), 0);
	AUTO_FREE char *kernel_path = path_join(images, IMAGE_KERNEL);
	ck_assert_int_eq(chmod(kernel_path, 0644), 0);
	AUTO_FREE char *list = path_join(images, IMAGE_MANIFEST);
	ck_assert_int_eq(chmod(list, 0644), 0);
	ck_assert_int_eq(chmod(images, 0555), 0);
	setenv("XDG_CACHE_HOME", cache, 1);
	if (root)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_ok(nova_image_check(images, IMAGE_KERNEL, &error));
	if (root)
		ck_assert_int_eq(seteuid(0), 0);
	swap_content_unseen(IMAGE_KERNEL);
	ck_ok(nova_image_check(images, IMAGE_KERNEL, &error));
	ck_assert_int_eq(fs_remove_tree(cache), 0);
	ck_fails(NOVA_ECORRUPT, nova_image_check(images, IMAGE_KERNEL, &error));
	ck_assert_int_eq(chmod(images, 0755), 0);
}
END_TEST

START_TEST(images_are_looked_for_where_the_header_says)
{
	AUTO_FREE char *found = NULL;
	ck_ok(image_find_directory(images, true, &found, &error));
	ck_assert_str_eq(found, images);
	char *none = NULL;
	ck_fails_with(NOVA_ENOTFOUND, "tools/images --dir",
		image_find_directory("/no/where", true, &none, &error));
	AUTO_FREE char *cache = path_join(dir, ".cache/nova"), *target = path_join(cache, "images");
	ck_assert_int_eq(fs_mkdirs(cache, 0755), 0);
	ck_assert_int_eq(symlink(images, target), 0);
	AUTO_FREE char *second = NULL;
	ck_ok(image_find_directory(NULL, true, &second, &error));
	ck_assert_str_eq(second, target);
	ck_assert_int_eq(fs_unlink(target), 0);
	if (!fs_exists(IMAGE_INSTALLED "/" IMAGE_MANIFEST))
		ck_fails_with(NOVA_ENOTFOUND, "tools/images",
			image_find_directory("", true, &none, &error));
}
END_TEST

START_TEST(kernel_and_rootfs_are_found_by_name_and_by_path)
{
	AUTO_FREE char *vmlinux = NULL, *initramfs = NULL, *rootfs = NULL, *own = NULL;
	CLEANUP(image_set_done) struct image_set set = { .directory = images, .environment = true };
	image_set_init(&set);
	ck_ok(image_find_kernel(&set, &vmlinux, &initramfs, &error));
	ck_assert(str_starts(vmlinux, images) && strstr(initramfs, IMAGE_INITRAMFS));
	ck_ok(image_find_rootfs(&set, "base", &rootfs, &error));
	char *none = NULL;
	ck_fails_with(NOVA_ENOTFOUND, "python", image_find_rootfs(&set, "python", &none, &error));
	ck_fails_with(NOVA_ECORRUPT, "no ext4", image_find_rootfs(&set, rootfs, &none, &error));
	ck_fails(NOVA_ENOTFOUND, image_find_rootfs(&set, "/no/such.ext4", &none, &error));
	uint8_t block[2048] = { 0 };
	block[1080] = 0x53;
	block[1081] = 0xef;
	ck_assert_int_eq(fs_write_file(output, block, sizeof(block), 0600), 0);
	ck_ok(image_find_rootfs(&set, output, &own, &error));
	ck_assert_str_eq(own, output);
	AUTO_FREE char *kernel_path = path_join(images, IMAGE_KERNEL);
	ck_assert_int_eq(fs_unlink(kernel_path), 0);
	ck_fails(NOVA_ENOTFOUND, image_find_kernel(&set, &none, &none, &error));
	ck_assert_ptr_null(none);
}
END_TEST

/* The list that it was checked by may even be gone, until the file is another one. */
START_TEST(what_a_set_has_found_whole_is_not_looked_up_again_until_it_changes)
{
	AUTO_FREE char *first = NULL, *second = NULL, *third = NULL;
	AUTO_FREE char *list = path_join(images, IMAGE_MANIFEST);
	CLEANUP(image_set_done) struct image_set set = { .directory = images, .environment = true };
	image_set_init(&set);
	ck_ok(image_find_rootfs(&set, "base", &first, &error));
	ck_assert_int_eq(fs_unlink(list), 0);
	ck_ok(image_find_rootfs(&set, "base", &second, &error));
	ck_assert_str_eq(first, second);
	ck_assert_int_eq(fs_write_file(first, "other", 5, 0644), 0);
	ck_fails_with(
		NOVA_ENOTFOUND, "no guest images", image_find_rootfs(&set, "base", &third, &error));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("image");
	TCase *kernels = tcase_create("kernel");
	tcase_add_checked_fixture(kernels, setup, teardown);
	tcase_set_timeout(kernels, 120);
	tcase_add_loop_test(kernels, a_kernel_comes_out_of_every_compression, 0, BZ_FORMATS);
	tcase_add_test(kernels, an_elf_file_is_checked_and_copied);
	tcase_add_loop_test(kernels, every_truncation_is_refused_and_writes_nothing, 0, BZ_FORMATS);
	tcase_add_loop_test(kernels, lengths_that_lie_are_refused, 0, BZ_FORMATS);
	tcase_add_loop_test(kernels, a_declared_size_that_is_wrong_is_refused, 0, BZ_STORED);
	tcase_add_loop_test(
		kernels, a_stream_with_a_damaged_byte_is_refused_or_no_kernel, 0, BZ_STORED);
	tcase_add_test(kernels, an_unknown_compression_is_named_when_it_has_a_name);
	tcase_add_test(kernels, what_is_no_bzimage_is_refused);
	tcase_add_test(kernels, a_payload_that_is_no_kernel_for_this_machine_is_refused);
	suite_add_tcase(suite, kernels);
	TCase *directory = tcase_create("directory");
	tcase_add_checked_fixture(directory, setup_images, teardown_images);
	tcase_set_timeout(directory, 120);
	tcase_add_test(directory, whole_images_pass_and_a_damaged_one_is_named_with_the_command);
	tcase_add_test(directory, a_missing_image_is_named_with_the_command);
	tcase_add_test(directory, a_manifest_that_is_rubbish_is_refused);
	tcase_add_test(directory, a_checked_file_is_not_read_again_until_it_changes);
	tcase_add_test(directory, a_directory_of_somebody_else_is_remembered_in_the_cache);
	tcase_add_test(directory, images_are_looked_for_where_the_header_says);
	tcase_add_test(directory, kernel_and_rootfs_are_found_by_name_and_by_path);
	tcase_add_test(
		directory, what_a_set_has_found_whole_is_not_looked_up_again_until_it_changes);
	suite_add_tcase(suite, directory);
	return suite;
}

TEST_MAIN(make_suite)
