/* SPDX-License-Identifier: MIT */
/* What the firecracker engine does on its host: jails, files that people want to look at, images,
 * and what the probe says. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "setting.h"
#include "hash/hash.h"
#include "vm/vm.h"

/* --- the jail --- */

static void is_owned(const struct setting *s, const char *name, bool by_root)
{
	struct stat st;
	AUTO_FREE char *path = path_join(fc_of(s->m)->place.directory, name);
	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	ck_assert_msg((st.st_uid == 0) == by_root, "%s belongs to %u", path, st.st_uid);
	ck_assert_msg(by_root || st.st_uid == fc_of(s->m)->place.uid, "%s belongs to %u", path,
		st.st_uid);
	ck_assert_msg((st.st_mode & 022) == 0, "%s has mode %o", path, st.st_mode);
}

static void start_jailed(struct setting *s, int base)
{
	ck_ok(start(s, base, 10000));
	ck_assert(fc_of(s->m)->place.jailed);
	ck_assert_uint_ne(fc_of(s->m)->place.uid, 0);
}

START_TEST(in_a_jail_files_are_linked_and_everything_goes_with_it)
{
	if (geteuid() != 0)
		return; /* only root can make one */
	struct setting s = set_up_with("", JAILER, NULL);
	AUTO_FD int state = -1, later = -1;
	struct pages pages = PAGES_NONE;
	start_jailed(&s, -1);
	agent_answers(&s);
	is_owned(&s, "kernel", true);
	was_asked(&s, "\"kernel_image_path\":\"/kernel\"");
	ck_ok(firecracker_engine.save(s.m, &state, &error));
	AUTO_FD int base = sys_dup(s.m->ram);
	struct machine *booted = s.m;
	s.m = machine_new(&firecracker_engine);
	start_jailed(&s, base);
	ck_assert_uint_ne(fc_of(s.m)->place.uid, fc_of(booted)->place.uid);
	ck_ok(firecracker_engine.load(s.m, state, &error));
	is_owned(&s, "memory", true);
	machine_free(&firecracker_engine, booted);
	agent_answers(&s);
	for (int i = 0; i < 2; i++) { /* the second time there are files of the first */
		fd_close(later);
		ck_ok(firecracker_engine.save(s.m, &later, &error));
		ck_ok(firecracker_engine.resume(s.m, &error));
	}
	ck_ok(firecracker_engine.take_pages(s.m, &pages, &error));
	ck_assert_uint_eq(pages.count, 3);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	start_jailed(&s, base); /* whose last name went with the machine before */
	ck_ok(firecracker_engine.give_pages(s.m, &pages, &error));
	ck_ok(firecracker_engine.load(s.m, later, &error));
	agent_answers(&s);
	is_owned(&s, "whole", true);
	is_owned(&s, "memory", true); /* and no VMM may write it: siblings map it */
	was_asked(&s, "\"backend_path\":\"/whole\"");
	pages_done(&pages);
	tear_down(&s);
}
END_TEST

START_TEST(a_jailer_that_fails_is_told_and_leaves_no_jail)
{
	if (geteuid() != 0)
		return;
	struct setting s = set_up_with("", "/bin/false", NULL);
	ck_fails_with(NOVA_EENGINE, "ended before its API was up", start(&s, -1, 2000));
	tear_down(&s);
	s = set_up_with("", "/no/such/jailer", NULL);
	ck_fails_with(NOVA_ENOTFOUND, "/no/such/jailer", start(&s, -1, 2000));
	tear_down(&s);
}
END_TEST

/* A process with that word on its command line. */
static pid_t bystander(const char *word)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "while :; do sleep 60; done", word, (char *)NULL);
		_exit(127);
	}
	AUTO_FREE char *path = str_format("/proc/%d/cmdline", (int)pid);
	for (bool there = false; !there;) { /* exec */
		AUTO_BUF struct buf line = BUF_INIT(1 << 20);
		there = fs_read_file(path, &line) == 0 && line.len &&
			memmem(line.data, line.len, word, strlen(word));
	}
	return pid;
}

static void leave_jail(const char *home, const char *id, pid_t pid)
{
	AUTO_FREE char *root = str_format("%s/run/1-deadbeef/jail/firecracker/%s/root", home, id),
		       *file = path_join(root, "firecracker.pid");
	AUTO_FREE char *text = str_format("%d", (int)pid),
		       *lock = str_format("%s/run/1-deadbeef/lock", home);
	ck_assert_int_eq(fs_mkdirs(root, 0700), 0);
	ck_assert_int_eq(fs_write_file(lock, "", 0, 0600), 0);
	ck_assert_int_eq(fs_write_file(file, text, strlen(text), 0600), 0);
}

START_TEST(the_next_context_ends_jailed_processes_that_outlived_their_keeper)
{
	char *home = test_dir();
	pid_t ours = bystander("nova-0123abcd-ffff"), other = bystander("nova-something-else");
	leave_jail(home, "nova-0123abcd-ffff", ours);
	/* the number has been given to another process since */
	leave_jail(home, "nova-76543210-ffff", other);
	nova_config_t *config;
	nova_host_t *host;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", home, &error));
	ck_ok(nova_host_new(config, &host, &error));
	int status;
	ck_assert_int_eq(waitpid(ours, &status, 0), ours);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(waitpid(other, &status, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, &status, 0);
	AUTO_FREE char *left = path_join(home, "run/1-deadbeef");
	ck_assert(!fs_exists(left));
	nova_host_unref(host);
	nova_config_free(config);
	test_dir_remove(home);
}
END_TEST

/* --- what people want to look at --- */

/* The file whose name ends so; NULL: none. */
static char *looked_at(const struct setting *s, const char *ending)
{
	AUTO_FREE char *directory = path_join(s->dir, "looked-at");
	char **names, *found = NULL;
	int count = fs_list(directory, &names);
	for (int i = 0; i < count; i++)
		if (str_starts(names[i], "nova-0123abcd-") && strlen(names[i]) > strlen(ending) &&
			!strcmp(names[i] + strlen(names[i]) - strlen(ending), ending) && !found)
			found = path_join(directory, names[i]);
	if (count >= 0)
		strv_free(names, (size_t)count);
	return found;
}

START_TEST(log_and_metrics_are_where_the_setting_says_as_long_as_their_vm)
{
	const char *jailer = _i ? JAILER : "off";
	if (_i && geteuid() != 0)
		return;
	struct setting s = set_up_with("", jailer, "firecracker.log_dir");
	ck_ok(start(&s, -1, 10000));
	AUTO_FREE char *log = looked_at(&s, ".log"), *metrics = looked_at(&s, ".metrics");
	ck_assert(log && metrics);
	ck_assert(fs_exists(log) == 1 && fs_exists(metrics) == 1);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	struct stat st;
	ck_assert(lstat(log, &st) < 0 && lstat(metrics, &st) < 0);
	tear_down(&s);
}
END_TEST

START_TEST(links_to_the_sockets_live_as_long_as_they)
{
	struct setting s =
		set_up_with("", "off", _i ? "firecracker.vsock_dir" : "firecracker.socket_dir");
	ck_ok(start(&s, -1, 10000));
	AUTO_FREE char *link = looked_at(&s, ".sock");
	ck_assert_ptr_nonnull(link);
	int fd = sys_connect_unix(link);
	ck_assert_int_ge(fd, 0);
	fd_close(fd);
	/* One whose process was killed together with us. */
	AUTO_FREE char *directory = path_join(s.dir, "looked-at"),
		       *stale = path_join(directory, "nova-deadbeef-0000.sock");
	ck_assert_int_eq(symlink("/no/such/socket", stale), 0);
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	ck_assert(!fs_exists(link));
	ck_ok(start(&s, -1, 10000));
	struct stat st;
	ck_assert_int_ne(lstat(stale, &st), 0);
	tear_down(&s);
}
END_TEST

START_TEST(a_machine_that_starts_beside_leaves_the_links_of_one_that_has_not_bound_its_sockets)
{
	static const char *const keys[] = { "firecracker.socket_dir", "firecracker.vsock_dir" };
	struct setting s = set_up_with(",\"deaf\":true", "off", keys[_i]);
	AUTO_FREE char *base = path_join(s.dir, "base");
	AUTO_FD int fd = sys_open(base, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_ok(start(&s, fd, 10000)); /* it comes up by itself, and here never gets that far */
	AUTO_FREE char *link = looked_at(&s, ".sock");
	struct stat st;
	ck_assert_ptr_nonnull(link);
	ck_assert_int_ne(stat(link, &st), 0);
	struct machine *first = s.m;
	s.m = machine_new(&firecracker_engine);
	ck_ok(start(&s, fd, 10000));
	ck_assert_int_eq(lstat(link, &st), 0);
	machine_free(&firecracker_engine, first);
	ck_assert_int_ne(lstat(link, &st), 0);
	tear_down(&s);
}
END_TEST

/* Whether this user can have /tmp/nova is not ours to decide. */
START_TEST(by_default_they_are_below_tmp_if_that_is_ours_and_nothing_is_left_of_a_machine)
{
	static const char *const directories[] = { "/tmp/nova/sockets", "/tmp/nova/vsock",
		"/tmp/nova/logs", "/tmp/nova/logs" };
	static const char *const endings[] = { "sock", "sock", "log", "metrics" };
	struct setting s = set_up_with("", "off", "");
	ck_ok(start(&s, -1, 10000));
	char id[24];
	snprintf(id, sizeof(id), "%s", fc_of(s.m)->place.id);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		AUTO_FREE char *path = str_format("%s/%s.%s", directories[i], id, endings[i]);
		ck_assert_msg(
			fs_exists(path) == (fs_make_private(directories[i]) == 0), "%s", path);
	}
	machine_free(&firecracker_engine, s.m);
	s.m = machine_new(&firecracker_engine);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		AUTO_FREE char *path = str_format("%s/%s.%s", directories[i], id, endings[i]);
		ck_assert_msg(!fs_exists(path), "%s", path);
	}
	tear_down(&s);
}
END_TEST

START_TEST(what_is_switched_off_is_not_made)
{
	struct setting s = { .dir = test_dir() };
	nova_config_t *config;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	ck_ok(nova_config_set(config, "firecracker.binary", DOUBLE, &error));
	ck_ok(nova_config_set(config, "firecracker.log_dir", "off", &error));
	ck_ok(nova_config_set(config, "firecracker.socket_dir", "", &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	struct fc_place place = { .directory = s.dir, .fd = -1, .id = "nova-cafecafe-0000" };
	int log = -1;
	s.env = host_engine_env(s.host);
	fc_place_logs(&place, s.env, &log);
	ck_assert(log == -1 && !place.logs);
	fc_place_links(&place, s.env, true);
	ck_assert(!fs_exists("/tmp/nova/sockets/nova-cafecafe-0000.sock") && !fs_exists("off"));
	fc_place_links(&place, s.env, false);
	nova_host_unref(s.host);
	test_dir_remove(s.dir);
}
END_TEST

static void count_line(void *count, int level, const char *module, const char *text)
{
	(void)text;
	if (level <= NOVA_LOG_WARN && !strcmp(module, "firecracker"))
		++*(int *)count;
}

START_TEST(a_link_that_could_not_be_made_is_named_once)
{
	struct setting s = { .dir = test_dir() };
	nova_config_t *config;
	int lines = 0;
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", s.dir, &error));
	ck_ok(nova_config_set(config, "firecracker.socket_dir", "/dev/null/x", &error));
	ck_ok(nova_config_set(config, "firecracker.vsock_dir", "off", &error));
	ck_ok(nova_host_new(config, &s.host, &error));
	nova_config_free(config);
	nova_host_set_log(s.host, count_line, &lines, NOVA_LOG_WARN);
	struct fc_place place = { .directory = s.dir, .fd = -1, .id = "nova-cafecafe-0001" };
	fc_place_links(&place, host_engine_env(s.host), true);
	int at_start = lines;
	fc_place_links(&place, host_engine_env(s.host), false);
	ck_assert_int_eq(lines, at_start);
	nova_host_unref(s.host);
	test_dir_remove(s.dir);
}
END_TEST

START_TEST(the_limits_of_the_code_disk_are_the_functions)
{
	struct setting s = set_up("");
	struct machine_spec spec = {
		.id = "0123abcd",
		.kernel = "/dev/null",
		.config.code_disk = (char[]){ "/dev/null" },
		.config.memory_mb = 32,
		.config.vcpus = 1,
		.base_fd = -1,
		.config.disk_iops = 250,
		.config.disk_bandwidth = 10485760,
		.deadline = deadline_in_ms(10000),
	};
	ck_ok(firecracker_engine.start(s.m, s.env, &spec, &error));
	was_asked(&s, "\"rate_limiter\":{\"bandwidth\":{\"size\":1048576,\"refill_time\":100},"
		      "\"ops\":{\"size\":250,\"refill_time\":1000}}");
	tear_down(&s);
}
END_TEST

/* --- probe --- */

static const struct {
	const char *faults, *part;
} probes[] = {
	{ "", "Firecracker 1.16.1" },
	{ ",\"version\":\"1.9.0\"", "too old" },
	{ ",\"version_line\":\"hello\"", "is no Firecracker" },
	{ ",\"version_status\":153", "does not work" },
};

START_TEST(the_probe_says_what_is_there)
{
	struct setting s = set_up(probes[_i].faults);
	struct engine_report report = { .usable = false };
	ck_ok(firecracker_engine.probe(s.env, &report, &error));
	ck_assert_msg(strstr(report.reason, probes[_i].part) != NULL, "%s", report.reason);
	ck_assert(!report.usable || s.env->kvm.state == KVM_FIT);
	engine_report_done(&report);
	tear_down(&s);
}
END_TEST

/* --- images --- */

/* A file that looks enough like a root filesystem, and its line of a MANIFEST. */
static void put_image(const char *directory, const char *path, struct buf *manifest)
{
	static const uint8_t magic[] = { 0x53, 0xef };
	uint8_t content[2048] = { 0 };
	char sum[SHA256_HEX];
	memcpy(content + 1080, magic, sizeof(magic));
	AUTO_FREE char *whole = path_join(directory, path), *parent = strdup(whole);
	*strrchr(parent, '/') = 0;
	ck_assert_int_eq(fs_mkdirs(parent, 0700), 0);
	ck_assert_int_eq(fs_write_file(whole, content, sizeof(content), 0600), 0);
	ck_assert_int_eq(sha256_hex(content, sizeof(content), sum), 0);
	AUTO_FREE char *line = str_format("%s  %zu  %s\n", sum, sizeof(content), path);
	ck_assert_int_eq(manifest ? buf_append_str(manifest, line) : 0, 0);
}

static void finds(nova_config_t *config, const char *kernel, const char *rootfs)
{
	nova_host_t *host;
	AUTO_FREE char *found_kernel = NULL, *initramfs = NULL, *found_rootfs = NULL;
	ck_ok(nova_host_new(config, &host, &error));
	ck_ok(vm_find_images(host, &firecracker_engine, "base", &found_kernel, &initramfs,
		&found_rootfs, &error));
	const char *const ends[][2] = { { found_kernel, kernel }, { found_rootfs, rootfs },
		{ initramfs, "/images/kernel/initramfs.cpio" } };
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		ck_assert_msg(strlen(ends[i][0]) > strlen(ends[i][1]) &&
				      !strcmp(ends[i][0] + strlen(ends[i][0]) - strlen(ends[i][1]),
					      ends[i][1]),
			"%s is not %s", ends[i][0], ends[i][1]);
	nova_host_unref(host);
}

START_TEST(settings_name_images_of_the_users_own)
{
	char *dir = test_dir();
	nova_config_t *config;
	AUTO_BUF struct buf manifest = BUF_INIT(4096);
	AUTO_FREE char *images = path_join(dir, "images"), *list = path_join(images, "MANIFEST"),
		       *own = path_join(dir, "own");
	AUTO_FREE char *kernel = path_join(own, "vmlinux"), *rootfs = path_join(own, "all.ext4");
	put_image(images, "kernel/vmlinux", &manifest);
	put_image(images, "kernel/initramfs.cpio", &manifest);
	put_image(images, "rootfs/base.ext4", &manifest);
	put_image(own, "vmlinux", NULL);
	put_image(own, "base.ext4", NULL);
	put_image(own, "all.ext4", NULL);
	ck_assert_int_eq(fs_write_file(list, manifest.data, manifest.len, 0600), 0);
	ck_ok(nova_config_new(&config, &error));
	ck_ok(nova_config_set(config, "home", dir, &error));
	ck_ok(nova_config_set(config, "images", images, &error));
	finds(config, "/images/kernel/vmlinux", "/images/rootfs/base.ext4");
	ck_ok(nova_config_set(config, "firecracker.kernel", kernel, &error));
	ck_ok(nova_config_set(config, "firecracker.rootfs_dir", own, &error));
	finds(config, "/own/vmlinux", "/own/base.ext4");
	ck_ok(nova_config_set(config, "firecracker.rootfs", rootfs, &error));
	finds(config, "/own/vmlinux", "/own/all.ext4");
	ck_ok(nova_config_set(config, "firecracker.kernel", "/no/such/kernel", &error));
	nova_host_t *host;
	AUTO_FREE char *k = NULL, *i = NULL, *r = NULL;
	ck_ok(nova_host_new(config, &host, &error));
	ck_fails_with(NOVA_ENOTFOUND, "firecracker.kernel names '/no/such/kernel'",
		vm_find_images(host, &firecracker_engine, "base", &k, &i, &r, &error));
	nova_host_unref(host);
	nova_config_free(config);
	test_dir_remove(dir);
}
END_TEST

START_TEST(auto_takes_it_only_with_a_program_and_kvm_that_is_fit)
{
	struct setting s = set_up("");
	struct engine_env env = *s.env;
	static const enum kvm_state states[] = { KVM_ABSENT, KVM_DENIED, KVM_UNFIT, KVM_FIT };
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		env.kvm.state = states[i];
		ck_assert_int_eq(firecracker_engine.is_preferred(&env), states[i] == KVM_FIT);
	}
	fs_unlink(s.program);
	ck_assert(!firecracker_engine.is_preferred(&env));
	tear_down(&s);
}
END_TEST

void add_host_tests(TCase *tc)
{
	tcase_add_test(tc, in_a_jail_files_are_linked_and_everything_goes_with_it);
	tcase_add_test(tc, a_jailer_that_fails_is_told_and_leaves_no_jail);
	tcase_add_test(tc, the_next_context_ends_jailed_processes_that_outlived_their_keeper);
	tcase_add_loop_test(
		tc, log_and_metrics_are_where_the_setting_says_as_long_as_their_vm, 0, 2);
	tcase_add_loop_test(tc, links_to_the_sockets_live_as_long_as_they, 0, 2);
	tcase_add_loop_test(tc,
		a_machine_that_starts_beside_leaves_the_links_of_one_that_has_not_bound_its_sockets,
		0, 2);
	tcase_add_test(
		tc, by_default_they_are_below_tmp_if_that_is_ours_and_nothing_is_left_of_a_machine);
	tcase_add_test(tc, what_is_switched_off_is_not_made);
	tcase_add_test(tc, a_link_that_could_not_be_made_is_named_once);
	tcase_add_test(tc, the_limits_of_the_code_disk_are_the_functions);
	tcase_add_loop_test(tc, the_probe_says_what_is_there, 0, ARRAY_LEN(probes));
	tcase_add_test(tc, settings_name_images_of_the_users_own);
	tcase_add_test(tc, auto_takes_it_only_with_a_program_and_kvm_that_is_fit);
}
