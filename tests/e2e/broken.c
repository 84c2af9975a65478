/* SPDX-License-Identifier: MIT */
/* A host on which something is missing, broken or full. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "hash/hash.h"
#include "platform.h"

/* Opening, registering and calling; the first failure is left in `error`. */
static int try_all(const nova_config_t *config)
{
	nova_t *nova;
	nova_result_t *r = NULL;
	int code = nova_open(config, &nova, &error);
	if (code < 0)
		return code;
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "f";
	opts.runtime = "shell";
	opts.code = "echo 1";
	opts.code_len = strlen(opts.code);
	code = nova_function_register(nova, &opts, NULL, &error);
	if (code == 0)
		code = platform_call(nova, "f", &r);
	nova_result_free(r);
	nova_close(nova);
	return code;
}

struct place {
	char *dir;
	nova_config_t *config;
};

/* --- a host without stdin, stdout or stderr --- */

static unsigned closed_fds; /* one bit each */

/* Of those that the host has closed, one that the library has open now; -1: none. SQLite fills such
 * places with /dev/null, so that it does not get them itself. */
static int taken_fd(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		char path[32], what[64] = "";
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (closed_fds & 1u << fd && readlink(path, what, sizeof(what) - 1) > 0 &&
			strcmp(what, "/dev/null") != 0)
			return fd;
	}
	return -1;
}

/* Amid the calls. */
static void look_at_fds(void *userdata, int level, const char *module, const char *text)
{
	(void)userdata, (void)level, (void)module, (void)text;
	if (taken_fd() >= 0)
		_exit(10 + taken_fd());
}

static int call_without_fds(const nova_config_t *config)
{
	nova_t *nova;
	nova_result_t *r = NULL;
	if (nova_open(config, &nova, &error) < 0)
		return 1;
	nova_host_set_log(nova_host_get(nova), look_at_fds, NULL, NOVA_LOG_DEBUG);
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "f";
	opts.runtime = "shell";
	opts.code = "echo 1";
	opts.code_len = strlen(opts.code);
	if (nova_function_register(nova, &opts, NULL, &error) < 0 ||
		platform_call(nova, "f", &r) < 0)
		return 2;
	int wrong = strcmp(nova_result_output(r, NULL), "1") ? 3 :
		    taken_fd() >= 0                          ? 20 + taken_fd() :
							       0;
	nova_result_free(r);
	nova_close(nova);
	return wrong ? wrong : taken_fd() >= 0 ? 30 + taken_fd() : 0;
}

START_TEST(closed_descriptors_0_to_2_of_the_host_stay_closed)
{
	if (!is_fake())
		return; /* the calls of the host are the same */
	for (closed_fds = 1; closed_fds < 8; closed_fds++) {
		char *dir = test_dir();
		nova_config_t *config = vmtest_config(dir);
		pid_t pid = fork();
		if (pid == 0) {
			for (int fd = 0; fd <= 2; fd++)
				if (closed_fds & 1u << fd)
					close(fd);
			_exit(call_without_fds(config));
		}
		int status;
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(status == 0, "without the descriptors 0x%x: exit %d", closed_fds,
			WEXITSTATUS(status));
		vmtest_nothing_left(dir);
		nova_config_free(config);
		test_dir_remove(dir);
	}
}
END_TEST

static struct place place_new(void)
{
	struct place place = { .dir = test_dir() };
	place.config = vmtest_config(place.dir);
	return place;
}

static void place_done(struct place *place)
{
	vmtest_nothing_left(place->dir);
	nova_config_free(place->config);
	test_dir_remove(place->dir);
}

/* --- images --- */

#define KERNEL    "kernel/vmlinux"
#define INITRAMFS "kernel/initramfs.cpio"
#define ROOTFS    "rootfs/base.ext4"

/* An image directory like the real one, in which one file is replaced by another content of `size`
 * bytes (0: it is missing). */
static char *images_with(const struct place *place, const char *broken, const void *content,
	size_t len, uint64_t size)
{
	static const char *const files[] = { "MANIFEST", KERNEL, INITRAMFS, ROOTFS };
	AUTO_FREE char *real = NULL;
	nova_host_t *host;
	ck_ok(nova_host_new(place->config, &host, &error));
	ck_assert_ptr_nonnull(real = strdup(nova_host_images(host)));
	nova_host_unref(host);
	char *dir = path_join(place->dir, "images");
	AUTO_FREE char *kernel = path_join(dir, "kernel"), *rootfs = path_join(dir, "rootfs");
	ck_assert_int_eq(fs_mkdirs(kernel, 0755) | fs_mkdirs(rootfs, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *from = path_join(real, files[i]), *to = path_join(dir, files[i]);
		if (strcmp(files[i], broken) != 0) {
			ck_assert_int_eq(symlink(from, to), 0);
		} else if (size) {
			ck_assert_int_eq(fs_write_file(to, content, len, 0644), 0);
			ck_assert_int_eq(truncate(to, (off_t)size), 0);
		}
	}
	ck_ok(nova_config_set(place->config, "images", dir, &error));
	return dir;
}

static uint64_t size_of_real(const struct place *place, const char *file)
{
	uint64_t size = 0;
	nova_host_t *host;
	ck_ok(nova_host_new(place->config, &host, &error));
	AUTO_FREE char *path = path_join(nova_host_images(host), file);
	ck_assert_int_eq(fs_stat(path, &size, NULL), 0);
	nova_host_unref(host);
	return size;
}

static const struct {
	const char *file;
	int permille; /* of its size is there */
	int code;
	const char *target;
} damages[] = {
	{ KERNEL, 1000, NOVA_ECORRUPT, "kernel" },
	{ INITRAMFS, 1000, NOVA_ECORRUPT, "initramfs" },
	{ ROOTFS, 1000, NOVA_ECORRUPT, "base" },
	{ KERNEL, 500, NOVA_ECORRUPT, "kernel" },
	{ INITRAMFS, 500, NOVA_ECORRUPT, "initramfs" },
	{ ROOTFS, 500, NOVA_ECORRUPT, "base" },
	{ KERNEL, 0, NOVA_ENOTFOUND, "kernel" },
	{ INITRAMFS, 0, NOVA_ENOTFOUND, "initramfs" },
	{ ROOTFS, 0, NOVA_ENOTFOUND, "base" },
};

START_TEST(a_damaged_image_is_named_with_the_command_that_makes_it)
{
	struct place place = place_new();
	uint64_t size =
		size_of_real(&place, damages[_i].file) * (uint64_t)damages[_i].permille / 1000;
	AUTO_FREE char *dir = images_with(&place, damages[_i].file, "rubbish", 7, size);
	AUTO_FREE char *command = str_format("tools/images --dir '%s' %s", dir, damages[_i].target);
	AUTO_FREE char *file = path_join(dir, damages[_i].file);
	int code = try_all(place.config);
	ck_assert_msg(
		strstr(nova_error_message(error), file) != NULL, "%s", nova_error_message(error));
	vmtest_failed(damages[_i].code, code, NOVA_OUTCOME_NEVER_RAN, command);
	place_done(&place);
}
END_TEST

/* The MANIFEST vouches for it: somebody's own kernel or initramfs, which is none. */
START_TEST(an_image_that_cannot_boot_is_given_up_with_its_last_words)
{
	static const char text[] = "this is neither a kernel nor an archive";
	const char *file = _i == 0 ? KERNEL : INITRAMFS;
	struct place place = place_new();
	AUTO_FREE char *dir = images_with(&place, file, text, sizeof(text), sizeof(text));
	AUTO_FREE char *manifest = path_join(dir, "MANIFEST"),
		       *real_kernel = path_join(dir, KERNEL);
	AUTO_FREE char *real_initramfs = path_join(dir, INITRAMFS),
		       *real_rootfs = path_join(dir, ROOTFS);
	const char *const files[] = { real_kernel, real_initramfs, real_rootfs };
	static const char *const names[] = { KERNEL, INITRAMFS, ROOTFS };
	AUTO_BUF struct buf lines = BUF_INIT(4096);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char hash[SHA256_HEX];
		uint64_t size;
		ck_assert_int_eq(
			sha256_file_hex(files[i], hash) | fs_stat(files[i], &size, NULL), 0);
		AUTO_FREE char *line =
			str_format("%s  %llu  %s\n", hash, (unsigned long long)size, names[i]);
		ck_assert_int_eq(buf_append_str(&lines, line), 0);
	}
	ck_assert_int_eq(fs_unlink(manifest), 0);
	ck_assert_int_eq(fs_write_file(manifest, lines.data, lines.len, 0644), 0);
	ck_ok(nova_config_set(place.config, "qemu.boot_timeout", "30s", &error));
	int code = try_all(place.config);
	if (_i == 0)
		vmtest_failed(NOVA_EENGINE, code, NOVA_OUTCOME_NEVER_RAN, "it said: ");
	else
		vmtest_failed(NOVA_ELOST, code, NOVA_OUTCOME_NEVER_RAN, "last words: ");
	place_done(&place);
}
END_TEST

START_TEST(without_images_the_command_that_makes_them_is_told)
{
	struct place place = place_new();
	AUTO_FREE char *none = path_join(place.dir, "none");
	ck_ok(nova_config_set(place.config, "images", none, &error));
	if (is_fake())
		ck_ok(try_all(place.config));
	else
		ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "tools/images --dir",
			try_all(place.config));
	ck_ok(nova_config_set(place.config, "images", "", &error));
	ck_assert_int_eq(setenv("XDG_CACHE_HOME", none, 1), 0);
	if (is_fake())
		ck_ok(try_all(place.config));
	else if (!fs_exists("/opt/nova/MANIFEST"))
		ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "tools/images",
			try_all(place.config));
	place_done(&place);
}
END_TEST

/* --- the VMM --- */

START_TEST(without_qemu_the_package_to_install_is_told)
{
	struct place place = place_new();
	ck_assert_int_eq(setenv("PATH", place.dir, 1), 0);
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "apt-get install qemu-system-x86",
		try_all(place.config));
	place_done(&place);
}
END_TEST

static const struct {
	const char *script;
	const char *words;
	int code;
} vmms[] = {
	{ "#!/bin/sh\necho 'no machine today' >&2\nexit 1\n", "no machine today", NOVA_EENGINE },
	{ "#!/bin/sh\nexit 0\n", "QEMU has ended", NOVA_EENGINE },
	{ "#!/bin/sh\nexec sleep 1000\n", "does not answer its monitor", NOVA_EENGINE },
	{ "#!/bin/sh\nsleep 1000 & sleep 1000\n", "does not answer its monitor", NOVA_EENGINE },
	{ "#!/bin/sh\necho '{\"hello\": 1}' >&5; exec sleep 1000\n", "greets in an unknown way",
		NOVA_EENGINE },
	{ "#!/bin/sh\necho '{\"QMP\": {}}' >&5; echo '{\"return\": {}}' >&5; exec sleep 1000\n",
		"did not answer", NOVA_EAGENT },
	{ "#!/no/such/interpreter\n", "qemu-double", NOVA_ENOTFOUND },
};

START_TEST(a_program_that_is_no_qemu_is_given_up_with_its_last_words)
{
	struct place place = place_new();
	AUTO_FREE char *program = path_join(place.dir, "qemu-double");
	ck_assert_int_eq(fs_write_file(program, vmms[_i].script, strlen(vmms[_i].script), 0755), 0);
	ck_assert_int_eq(chmod(place.dir, 0755), 0); /* the VMM runs as somebody else */
	ck_ok(nova_config_set(place.config, "qemu.binary", program, &error));
	ck_ok(nova_config_set(place.config, "qemu.boot_timeout", "500ms", &error));
	ck_failed(vmms[_i].code, NOVA_OUTCOME_NEVER_RAN, vmms[_i].words, try_all(place.config));
	ck_assert_int_eq(vmtest_process(program), 0);
	place_done(&place);
}
END_TEST

START_TEST(a_qemu_that_is_not_there_or_no_program_is_named)
{
	struct place place = place_new();
	ck_ok(nova_config_set(place.config, "qemu.binary", "/no/such/qemu", &error));
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "/no/such/qemu", try_all(place.config));
	AUTO_FREE char *file = path_join(place.dir, "qemu");
	ck_assert_int_eq(fs_write_file(file, "x", 1, 0644), 0);
	ck_ok(nova_config_set(place.config, "qemu.binary", file, &error));
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, file, try_all(place.config));
	place_done(&place);
}
END_TEST

START_TEST(a_program_of_our_own_that_is_missing_is_named)
{
	const char *variable = _i == 0 ? "NOVA_KEEPER" : "NOVA_AGENT";
	struct place place = place_new();
	ck_assert_int_eq(setenv(variable, "/no/such/program", 1), 0);
	ck_failed(
		NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "/no/such/program", try_all(place.config));
	place_done(&place);
}
END_TEST

/* --- the state directory --- */

START_TEST(a_damaged_store_is_named_and_left_alone)
{
	struct place place = place_new();
	AUTO_FREE char *file = path_join(place.dir, "nova.db");
	static const char rubbish[] = "this was a database once, but it is not any more; it is "
				      "long enough to be looked at";
	ck_assert_int_eq(fs_write_file(file, rubbish, sizeof(rubbish), 0600), 0);
	ck_failed(NOVA_ECORRUPT, NOVA_OUTCOME_NEVER_RAN, file, try_all(place.config));
	AUTO_BUF struct buf now = BUF_INIT(4096);
	ck_assert_int_eq(fs_read_file(file, &now), 0);
	ck_assert_uint_eq(now.len, sizeof(rubbish));
	ck_assert_mem_eq(now.data, rubbish, sizeof(rubbish));
	place_done(&place);
}
END_TEST

START_TEST(a_state_directory_that_cannot_be_written_is_named)
{
	struct place place = place_new();
	AUTO_FREE char *file = path_join(place.dir, "file"), *below = path_join(file, "home");
	ck_assert_int_eq(fs_write_file(file, "x", 1, 0600), 0);
	ck_ok(nova_config_set(place.config, "home", below, &error));
	int code = try_all(place.config);
	ck_assert_int_lt(code, 0);
	vmtest_failed(code, code, NOVA_OUTCOME_NEVER_RAN, below);
	AUTO_FREE char *locked = path_join(place.dir, "locked");
	ck_assert_int_eq(fs_mkdirs(locked, 0500), 0);
	ck_assert_int_eq(chmod(place.dir, 0755), 0);
	ck_ok(nova_config_set(place.config, "home", locked, &error));
	bool root = geteuid() == 0;
	ck_assert_int_eq(root ? seteuid(65534) : 0, 0);
	code = try_all(place.config);
	ck_assert_int_eq(root ? seteuid(0) : 0, 0);
	vmtest_failed(NOVA_EPERM, code, NOVA_OUTCOME_NEVER_RAN, locked);
	place_done(&place);
}
END_TEST

/* --- a full disk --- */

static bool fill(const char *dir, size_t leave)
{
	AUTO_FREE char *path = path_join(dir, "ballast");
	static const uint8_t block[4096] = { 1 };
	uint64_t size = 0;
	AUTO_FD int fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	while (fd >= 0 && sys_write_all(fd, block, sizeof(block)) == 0)
		size += sizeof(block);
	return fd >= 0 && size > leave && ftruncate(fd, (off_t)(size - leave)) == 0;
}

/* As much room is left as begins the work, but does not end it. */
START_TEST(a_full_disk_stores_nothing_and_leaves_nothing)
{
	struct place place = place_new();
	if (mount("none", place.dir, "tmpfs", 0, "size=2m,mode=700") < 0) {
		fprintf(stderr, "not tested: %s needs the right to mount\n", __func__);
		place_done(&place);
		return;
	}
	nova_t *nova;
	ck_ok(nova_open(place.config, &nova, &error));
	platform_add(nova, "old", "shell", "echo old");
	nova_function_opts opts = NOVA_FUNCTION_OPTS_INIT;
	opts.name = "new";
	opts.runtime = "shell";
	size_t len = 300000;
	char *code = malloc(len);
	memset(code, '\n', len);
	opts.code = code;
	opts.code_len = len;
	for (size_t leave = 0; leave <= 200000; leave += 50000) {
		ck_assert(fill(place.dir, leave));
		ck_failed(NOVA_ENOSPC, NOVA_OUTCOME_NEVER_RAN, "No space",
			nova_function_register(nova, &opts, NULL, &error));
	}
	free(code);
	AUTO_FREE char *disks = path_join(place.dir, "disks");
	char **names;
	int count = fs_list(disks, &names);
	ck_assert_int_eq(count, 2);
	strv_free(names, (size_t)count);
	AUTO_FREE char *ballast = path_join(place.dir, "ballast");
	ck_assert_int_eq(fs_unlink(ballast), 0);
	nova_result_t *r;
	ck_failed(NOVA_ENOTFOUND, NOVA_OUTCOME_NEVER_RAN, "'new'", platform_call(nova, "new", &r));
	platform_answers(nova, "old", "\"old\"");
	nova_close(nova);
	vmtest_nothing_left(place.dir);
	ck_assert_int_eq(umount(place.dir), 0);
	place_done(&place);
}
END_TEST

TCase *broken_cases(void)
{
	TCase *tc = tcase_create("broken");
	tcase_add_test(tc, closed_descriptors_0_to_2_of_the_host_stay_closed);
	tcase_add_test(tc, without_images_the_command_that_makes_them_is_told);
	tcase_add_loop_test(
		tc, a_program_of_our_own_that_is_missing_is_named, 0, is_fake() ? 2 : 1);
	tcase_add_test(tc, a_damaged_store_is_named_and_left_alone);
	tcase_add_test(tc, a_state_directory_that_cannot_be_written_is_named);
	tcase_add_test(tc, a_full_disk_stores_nothing_and_leaves_nothing);
	if (is_fake())
		return tc;
	tcase_add_loop_test(tc, a_damaged_image_is_named_with_the_command_that_makes_it, 0,
		(int)ARRAY_LEN(damages));
	tcase_add_loop_test(tc, an_image_that_cannot_boot_is_given_up_with_its_last_words, 0, 2);
	tcase_add_test(tc, without_qemu_the_package_to_install_is_told);
	tcase_add_loop_test(tc, a_program_that_is_no_qemu_is_given_up_with_its_last_words, 0,
		(int)ARRAY_LEN(vmms));
	tcase_add_test(tc, a_qemu_that_is_not_there_or_no_program_is_named);
	return tc;
}
