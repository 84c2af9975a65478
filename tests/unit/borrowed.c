/* SPDX-License-Identifier: MIT */
/*
 * A program with rights that its user lacks runs no program of that user's. This one is its own
 * subject: a copy of it is given a setuid or setgid bit and run as somebody else, with an
 * environment that names programs, files and places of hers.
 */
#include <fcntl.h>
#include <grp.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <nova/nova.h>

#include "host/host.h"
#include "image/image.h"
#include "test.h"

#define OWNER 54001
#define USER  54002

static nova_error_t *error;
static char *dir;

/* --- the subject --- */

static int start_vm(const char *home)
{
	nova_config_t *config = NULL;
	nova_host_t *host = NULL;
	nova_vm_t *vm = NULL;
	if (nova_config_new(&config, NULL) < 0 || nova_config_load(config, NULL, NULL) < 0 ||
		nova_config_load_env(config, NULL) < 0 ||
		nova_config_set(config, "home", home, NULL) < 0 ||
		nova_config_set(config, "engine", "fake", NULL) < 0 ||
		nova_host_new(config, &host, &error) < 0) {
		fprintf(stderr, "%s\n", nova_error_message(error));
		return 3;
	}
	bool obeyed = strcmp(nova_config_get(config, "qemu.accel"), "tcg") == 0;
	AUTO_FREE char *tool = NULL, *cache = NULL;
	path_search("nova-test-tool", true, &tool);
	image_cache_path("x", true, &cache, NULL);
	obeyed |= tool || (cache && str_starts(cache, "/evil"));
	obeyed |= str_starts(nova_config_get(config, "images"), "/evil");
	/* Whether it starts depends on what is installed here; what is run on the way is the point.
	 */
	nova_vm_start(host, NULL, &vm, NULL);
	nova_vm_free(vm);
	nova_host_unref(host);
	nova_config_free(config);
	return obeyed;
}

/* --- the test --- */

static const char *missing(void)
{
	struct statvfs fs;
	if (geteuid() != 0)
		return "not root";
	if (statvfs(dir, &fs) < 0 || fs.f_flag & ST_NOSUID)
		return "mounted nosuid";
	return NULL;
}

static void write_evil(const char *name, const char *marker)
{
	AUTO_FREE char *path = path_join(dir, name),
		       *text = str_format("#!/bin/sh\n: > %s\n", marker);
	ck_assert_int_eq(fs_write_file(path, text, strlen(text), 0755), 0);
	ck_assert_int_eq(fs_chmod(path, 0755), 0);
}

/* The kernel lets nobody look into a process with borrowed rights, so no leak check can. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static char *copy_of_this_program(void)
{
	char *path = path_join(dir, "subject");
	AUTO_FD int from = sys_open("/proc/self/exe", O_RDONLY, 0);
	AUTO_FD int to = sys_open(path, O_WRONLY | O_CREAT, 0755);
	uint8_t block[8192];
	for (ssize_t got; (got = sys_read(from, block, sizeof(block))) > 0;)
		ck_assert_int_eq(sys_write_all(to, block, (size_t)got), 0);
	return path;
}

static void become_the_user(void)
{
	AUTO_FREE char *keeper = path_join(dir, "nova-keeper");
	AUTO_FREE char *path = str_format("%s:/usr/bin:/bin", dir);
	AUTO_FREE char *config = path_join(dir, "nova.yaml");
	setenv("NOVA_KEEPER", keeper, 1);
	setenv("NOVA_AGENT", keeper, 1);
	setenv("NOVA_IMAGES", "/evil/images", 1);
	setenv("NOVA_CONFIG", config, 1);
	setenv("XDG_CACHE_HOME", "/evil", 1);
	setenv("HOME", dir, 1);
	setenv("PATH", path, 1);
	if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
		setresuid(USER, USER, USER) < 0)
		_exit(4);
}

/* What the subject returned; *ret_ran: a program of the user's was run. */
static int run_as_user(const char *subject, const char *home, bool *ret_ran)
{
	AUTO_FREE char *marker = path_join(dir, "open/evil-was-run");
	int status;
	fs_unlink(marker);
	pid_t pid = fork();
	if (!pid) {
		become_the_user();
		execl(subject, subject, "--inside", home, NULL);
		_exit(5);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	*ret_ran = fs_exists(marker);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *make_home(const char *name, uid_t uid, gid_t gid)
{
	char *home = path_join(dir, name);
	ck_assert_int_eq(fs_mkdirs(home, 0700), 0);
	ck_assert_int_eq(chown(home, uid, gid), 0);
	return home;
}

static void prepare(void)
{
	AUTO_FREE char *open = path_join(dir, "open"), *config = path_join(dir, "nova.yaml");
	AUTO_FREE char *marker = path_join(open, "evil-was-run");
	ck_assert_int_eq(fs_chmod(dir, 0755), 0);
	ck_assert_int_eq(fs_mkdirs(open, 0700), 0);
	ck_assert_int_eq(fs_chmod(open, 0777), 0);
	ck_assert_int_eq(fs_write_file(config, "qemu: {accel: tcg}\n", 19, 0644), 0);
	write_evil("nova-keeper", marker);
	write_evil("nova-test-tool", marker);
}

START_TEST(a_borrowed_user_or_group_obeys_no_environment)
{
	static const struct {
		mode_t mode;
		uid_t runs_as;
		bool obeys;
	} cases[] = { { 0755, USER, true }, { 04755, OWNER, false }, { 02755, USER, false } };
	dir = test_dir();
	const char *why = missing();
	if (why) {
		test_dir_remove(dir);
		test_skip("%s", why);
	}
	prepare();
	AUTO_FREE char *subject = copy_of_this_program();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ran;
		AUTO_FREE char *name = str_format("home-%zu", i);
		AUTO_FREE char *home = make_home(name, cases[i].runs_as, USER);
		ck_assert_int_eq(chown(subject, OWNER, OWNER), 0);
		ck_assert_int_eq(chmod(subject, cases[i].mode), 0);
		int status = run_as_user(subject, home, &ran);
		/* The first case shows that the others could fail. */
		ck_assert_msg(status == cases[i].obeys && ran == cases[i].obeys,
			"mode %o: status %d, ran %d", cases[i].mode, status, ran);
	}
	test_dir_remove(dir);
}
END_TEST

static Suite *borrowed_suite(void)
{
	Suite *suite = suite_create("borrowed");
	TCase *tc = tcase_create("borrowed");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_borrowed_user_or_group_obeys_no_environment);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--inside"))
		return start_vm(argv[2]);
	return test_run(borrowed_suite());
}
