/* SPDX-License-Identifier: MIT */
/* On a file system without one free byte one can still look at what is there, and delete it. */
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <nova/nova.h>

#include "test.h"

static nova_error_t *error;
static char *dir, *home;

/* Why none can be made here; NULL: `dir` is one of 8 MB now. */
static const char *mount_small(void)
{
	if (unshare(getuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", dir, "tmpfs", 0, "size=8m,mode=700") < 0)
		return "no file system can be mounted";
	return NULL;
}

/* Takes every byte that is free. */
static void fill(void)
{
	static const uint8_t block[4096];
	struct statvfs fs;
	AUTO_FREE char *path = path_join(dir, "of-somebody-else");
	AUTO_FD int fd = sys_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	ck_assert_int_ge(fd, 0);
	while (sys_write_all(fd, block, sizeof(block)) == 0)
		;
	ck_assert_int_eq(statvfs(dir, &fs), 0);
	ck_assert_uint_eq(fs.f_bfree, 0);
}

static nova_t *open_platform(void)
{
	nova_config_t *config;
	nova_t *nova = NULL;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", home, &error));
	ck_ok(nova_config_set(config, "engine", "fake", &error));
	ck_ok(nova_open(config, &nova, &error));
	nova_config_free(config);
	return nova;
}

static int add(nova_t *nova, const char *name)
{
	AUTO_FREE char *code = str_format("#!/bin/sh\necho %s\n", name);
	nova_function_opts o = NOVA_FUNCTION_OPTS_INIT;
	o.name = name;
	o.runtime = "shell";
	o.code = code;
	o.code_len = strlen(code);
	return nova_function_register(nova, &o, NULL, &error);
}

static void prepare(void)
{
	nova_t *nova = open_platform();
	ck_ok(add(nova, "one"));
	ck_ok(add(nova, "two"));
	ck_ok(add(nova, "three"));
	nova_close(nova);
	fill();
}

static size_t count_functions(nova_t *nova)
{
	nova_function_t **functions;
	size_t count;
	ck_ok(nova_function_list(nova, NULL, &functions, &count, &error));
	nova_function_list_free(functions, count);
	return count;
}

static void use_library(void)
{
	prepare();
	nova_t *nova = open_platform();
	ck_assert_uint_eq(count_functions(nova), 3);
	fill();
	nova_function_t *function;
	ck_ok(nova_function_get(nova, "two", &function, &error));
	nova_function_free(function);
	nova_close(nova);
	fill();
	nova = open_platform();
	ck_fails_with(NOVA_ENOSPC, "No space left", add(nova, "four"));
	ck_ok(nova_function_delete(nova, "one", 0, &error));
	nova_close(nova);
	fill();
	nova = open_platform();
	ck_ok(nova_function_delete(nova, "two", 0, &error));
	size_t pruned;
	ck_ok(nova_template_prune(nova_host_get(nova), 1, &pruned, &error));
	ck_assert_uint_eq(count_functions(nova), 1);
	AUTO_FREE char *other = path_join(dir, "of-somebody-else");
	ck_assert_int_eq(fs_unlink(other), 0);
	ck_ok(add(nova, "four"));
	nova_close(nova);
}

static int novactl(const char *arguments)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len > 0 ? len : 0] = 0;
	AUTO_FREE char *command =
		str_format("%s/../../tools/novactl --no-daemon --home %s --engine fake %s",
			dirname(self), home, arguments);
	return system(command);
}

static void use_novactl(void)
{
	static const char *const commands[] = { "list >/dev/null", "get two >/dev/null",
		"snapshot list >/dev/null", "snapshot prune 2>/dev/null",
		"template prune 2>/dev/null", "delete one 2>/dev/null",
		"doctor | grep -q 'ok .*store'", "delete two 2>/dev/null" };
	prepare();
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		fill();
		ck_assert_msg(novactl(commands[i]) == 0, "novactl %s", commands[i]);
	}
}

#define NO_DISK 77 /* an exit status */

static void in_small(void (*body)(void))
{
	pid_t pid = fork();
	if (!pid) {
		const char *why = mount_small();
		if (why) {
			fprintf(stderr, "# %s\n", why);
			_exit(NO_DISK);
		}
		body();
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_DISK)
		test_skip("no small file system can be mounted");
	ck_assert_int_eq(status, 0);
}

START_TEST(a_full_disk_can_be_read_and_emptied)
{
	in_small(use_library);
}
END_TEST

START_TEST(novactl_works_on_a_full_disk)
{
	in_small(use_novactl);
}
END_TEST

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

static Suite *full_disk_suite(void)
{
	Suite *suite = suite_create("full_disk");
	TCase *tc = tcase_create("full_disk");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_full_disk_can_be_read_and_emptied);
	tcase_add_test(tc, novactl_works_on_a_full_disk);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(full_disk_suite)
