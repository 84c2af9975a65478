/* SPDX-License-Identifier: MIT */
/*
 * The double and the real Firecracker of the same version are driven through the same life, with
 * the same mistakes, and must answer the same: spy stands before both and writes down what is asked
 * and answered. Run as `firecracker-transcript`, with the images of the guest without Linux.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <linux/kvm.h>

#include "setting.h"

#define SPY       NOVA_SOURCE_ROOT "/tests/double/spy"
#define CACHED    "nova/firecracker-1.12.1/firecracker"
#define VERSION   "1.12.1"
#define MEMORY_MB 64u

struct mistake {
	const char *method, *path, *body;
};

/* Of a VMM that waits: nothing is set. In their order, as some leave something behind. */
static const struct mistake early[] = {
	{ "GET", "/", NULL },
	{ "GET", "/version", NULL },
	{ "GET", "/machine-config", NULL },
	{ "GET", "/nothing", NULL },
	{ "GET", "/mmds", NULL },
	{ "GET", "/", "{}" },
	{ "BREW", "/", NULL },
	{ "PUT", "/nothing", "{}" },
	{ "PUT", "/machine-config", NULL },
	{ "PUT", "/machine-config", "{" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":1}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":0,\"mem_size_mib\":64}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":33,\"mem_size_mib\":64}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":300,\"mem_size_mib\":64}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":0}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":\"1\",\"mem_size_mib\":64}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":64,\"colour\":1}" },
	{ "PATCH", "/machine-config", "{}" },
	{ "PUT", "/boot-source", "{}" },
	{ "PUT", "/boot-source", "{\"kernel_image_path\":\"/none\"}" },
	{ "PUT", "/boot-source",
		"{\"kernel_image_path\":\"/dev/null\",\"initrd_path\":\"/none\"}" },
	{ "PUT", "/boot-source", "{\"kernel_image_path\":\"/dev/null\",\"colour\":1}" },
	{ "PUT", "/drives/a-b",
		"{\"drive_id\":\"a-b\",\"path_on_host\":\"/none\",\"is_root_device\":false}" },
	{ "PUT", "/drives/a",
		"{\"drive_id\":\"b\",\"path_on_host\":\"/none\",\"is_root_device\":false}" },
	{ "PUT", "/drives/a",
		"{\"drive_id\":\"a\",\"path_on_host\":\"/none\",\"is_root_device\":false}" },
	{ "PUT", "/drives/a", "{\"drive_id\":\"a\",\"is_root_device\":false}" },
	{ "PUT", "/drives/a",
		"{\"drive_id\":\"a\",\"path_on_host\":\"/"
		"none\",\"is_root_device\":false,\"io_engine\":\"Fast\"}" },
	{ "PUT", "/drives", "{\"drive_id\":\"a\",\"is_root_device\":false}" },
	{ "PUT", "/network-interfaces/a", "{\"iface_id\":\"b\",\"host_dev_name\":\"none\"}" },
	{ "PUT", "/network-interfaces/a",
		"{\"iface_id\":\"a\",\"host_dev_name\":\"a-name-that-is-too-long\"}" },
	{ "PUT", "/vsock", "{\"guest_cid\":3}" },
	{ "PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/dev/null\"}" },
	{ "PUT", "/serial", "{}" },
	{ "PUT", "/logger", "{\"log_path\":\"/none/log\"}" },
	{ "PUT", "/logger", "{\"colour\":1}" },
	{ "PUT", "/metrics", "{}" },
	{ "PUT", "/metrics", "{\"metrics_path\":\"/none/metrics\"}" },
	{ "PUT", "/actions", "{}" },
	{ "PUT", "/actions", "{\"action_type\":\"Jump\"}" },
	{ "PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}" },
	{ "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}" },
	{ "PATCH", "/vm", "{\"state\":\"Paused\"}" },
	{ "PATCH", "/drives/a", "{\"drive_id\":\"a\"}" },
	{ "PUT", "/snapshot/create", "{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\"}" },
	{ "PUT", "/snapshot/load", "{\"snapshot_path\":\"/s\"}" },
	{ "PUT", "/snapshot/load",
		"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\",\"colour\":1}" },
	{ "PUT", "/snapshot/load",
		"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/"
		"m\",\"vsock_override\":{\"uds_path\":\"/v\"}}" },
	{ "PUT", "/snapshot/load",
		"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\",\"track_dirty_pages\":true}" },
	{ "PUT", "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":64}" },
	{ "GET", "/machine-config", NULL },
	{ "PUT", "/snapshot/load", "{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\"}" },
};

/* Of a guest that runs. */
static const struct mistake late[] = {
	{ "GET", "/", NULL },
	{ "GET", "/machine-config", NULL },
	{ "PUT", "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":64}" },
	{ "PATCH", "/machine-config", "{\"vcpu_count\":1}" },
	{ "PUT", "/boot-source", "{\"kernel_image_path\":\"/dev/null\"}" },
	{ "PUT", "/drives/a",
		"{\"drive_id\":\"a\",\"path_on_host\":\"/none\",\"is_root_device\":false}" },
	{ "PUT", "/entropy", "{}" },
	{ "PUT", "/vsock", "{\"guest_cid\":3,\"uds_path\":\"/none/v\"}" },
	{ "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}" },
	{ "PUT", "/snapshot/load", "{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\"}" },
	{ "PUT", "/snapshot/create", "{\"snapshot_path\":\"/s\"}" },
	{ "PUT", "/snapshot/create",
		"{\"snapshot_path\":\"/s\",\"mem_file_path\":\"/m\",\"snapshot_type\":\"Half\"}" },
	{ "PATCH", "/vm", "{\"state\":\"Asleep\"}" },
	{ "PATCH", "/vm", "{}" },
	{ "PATCH", "/drives/none", "{\"drive_id\":\"none\",\"path_on_host\":\"/none\"}" },
	{ "PATCH", "/network-interfaces/none", "{\"iface_id\":\"none\"}" },
	{ "PUT", "/actions", "{\"action_type\":\"FlushMetrics\"}" },
	{ "PATCH", "/vm", "{\"state\":\"Resumed\"}" },
};

/* Of one that stands still. */
static const struct mistake paused[] = {
	{ "GET", "/", NULL },
	{ "PATCH", "/vm", "{\"state\":\"Paused\"}" },
	{ "PUT", "/actions", "{\"action_type\":\"InstanceStart\"}" },
	{ "PUT", "/snapshot/create",
		"{\"snapshot_path\":\"/none/s\",\"mem_file_path\":\"/none/m\"}" },
};

/* Each is the end of a VMM that waits. */
static const struct mistake fatal[] = {
	{ "PUT", "/snapshot/load",
		"{\"snapshot_path\":\"/none/"
		"s\",\"mem_backend\":{\"backend_type\":\"File\",\"backend_path\":\"/none/m\"}}" },
	{ "PUT", "/snapshot/load",
		"{\"snapshot_path\":\"/proc/self/fd/"
		"8\",\"mem_backend\":{\"backend_type\":\"File\",\"backend_path\":\"/none/m\"}}" },
};

/* --- the life ---
 */

static void make(struct setting *s, const struct mistake *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fc_call(&fc_of(s->m)->api, list[i].method, list[i].path, list[i].body,
			deadline_in_ms(60000), NULL, NULL);
}

/* A boot, or (base_fd) a VMM that waits. */
static void begin(struct setting *s, int base_fd)
{
	const char *images = getenv("NOVA_IMAGES");
	ck_assert_ptr_nonnull(images);
	AUTO_FREE char *kernel = path_join(images, "kernel/vmlinux");
	AUTO_FREE char *initramfs = path_join(images, "kernel/initramfs.cpio");
	AUTO_FREE char *rootfs = path_join(images, "rootfs/base.ext4");
	struct machine_spec spec = {
		.id = "0123abcd",
		.kernel = kernel,
		.initramfs = initramfs,
		.config.rootfs = rootfs,
		.config.code_disk = rootfs,
		.config.memory_mb = MEMORY_MB,
		.config.vcpus = 1,
		.config.disk_iops = 1000,
		.config.disk_bandwidth = 10u << 20,
		.base_fd = base_fd,
		.deadline = deadline_in_ms(60000),
	};
	machine_free(&firecracker_engine, s->m);
	s->m = machine_new(&firecracker_engine);
	ck_ok(firecracker_engine.start(s->m, s->env, &spec, &error));
	ck_ok(firecracker_engine.await(s->m, &error));
}

static void save(struct setting *s, int *ret_state)
{
	ck_ok(firecracker_engine.save(s->m, ret_state, &error));
	make(s, paused, ARRAY_LEN(paused));
	ck_ok(firecracker_engine.resume(s->m, &error));
	agent_answers(s);
}

static void pause_and_resume(struct setting *s)
{
	ck_ok(firecracker_engine.pause(s->m, &error));
	ck_ok(firecracker_engine.resume(s->m, &error));
	agent_answers(s);
}

static void live(struct setting *s)
{
	int state, second, empty = sys_memfd("empty");
	ck_assert_int_eq(sys_truncate(empty, (uint64_t)MEMORY_MB << 20), 0);
	begin(s, empty);
	make(s, early, ARRAY_LEN(early));
	begin(s, -1);
	agent_answers(s);
	make(s, late, ARRAY_LEN(late));
	pause_and_resume(s);
	save(s, &state);
	AUTO_FD int base = sys_dup(s->m->ram);
	begin(s, base);
	ck_ok(firecracker_engine.load(s->m, state, &error));
	agent_answers(s);
	pause_and_resume(s);
	save(s, &second);
	fd_close(second);
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
		begin(s, base);
		make(s, &fatal[i], 1);
	}
	begin(s, base);
	ck_assert_int_eq(sys_pwrite_all(state, "?", 1, 20), 0);
	ck_assert_int_lt(firecracker_engine.load(s->m, state, NULL), 0);
	fd_close(state);
	fd_close(empty);
}

/* --- comparing --- */

/* What was asked and answered in a life of the program, an exchange a line. `version`: of a double;
 * NULL: it is the real one. Caller frees. */
static char *transcript_of(const char *program, const char *version)
{
	struct setting s = set_up_program(SPY, "", "off", NULL);
	AUTO_FREE char *spy = str_format("%s.spy", s.program);
	AUTO_FREE char *transcript = path_join(s.dir, "transcript");
	AUTO_FREE char *orders =
		str_format("{\"program\":\"%s\",\"transcript\":\"%s\"}", program, transcript);
	AUTO_FREE char *text = str_format("{\"guest\":\"none\",\"version\":\"%s\"}", version);
	AUTO_FREE char *control = str_format("%s.control", program);
	ck_assert_int_eq(fs_write_file(spy, orders, strlen(orders), 0600), 0);
	if (version)
		ck_assert_int_eq(fs_write_file(control, text, strlen(text), 0600), 0);
	live(&s);
	AUTO_BUF struct buf lines = BUF_INIT(1 << 20);
	ck_assert_int_eq(fs_read_file(transcript, &lines), 0);
	tear_down(&s);
	return buf_steal_str(&lines);
}

static char *double_transcript(const char *version)
{
	char *dir = test_dir();
	AUTO_FREE char *program = path_join(dir, "firecracker");
	ck_assert_int_eq(symlink(DOUBLE, program), 0);
	char *transcript = transcript_of(program, version);
	test_dir_remove(dir);
	return transcript;
}

/* Tells of each pair of lines that differ; how many there are. */
static unsigned count_differences(char *one, char *other)
{
	char *ones = NULL, *others = NULL;
	char *a = strtok_r(one, "\n", &ones), *b = strtok_r(other, "\n", &others);
	unsigned count = 0;
	while (a || b) {
		if (!a || !b || strcmp(a, b)) {
			printf("# real   %s\n# double %s\n", a ? a : "nothing", b ? b : "nothing");
			count++;
		}
		a = a ? strtok_r(NULL, "\n", &ones) : NULL;
		b = b ? strtok_r(NULL, "\n", &others) : NULL;
	}
	fflush(stdout);
	return count;
}

static const char *real_program(void)
{
	static char path[4096];
	const char *named = getenv("NOVA_FIRECRACKER"), *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	if (named)
		return named;
	bool own = cache && *cache;
	snprintf(path, sizeof(path), "%s%s/" CACHED, own ? cache : home, own ? "" : "/.cache");
	return access(path, X_OK) == 0 ? path : NULL;
}

START_TEST(the_double_asks_and_answers_as_the_real_one)
{
	AUTO_FREE char *real = transcript_of(real_program(), NULL);
	AUTO_FREE char *other = double_transcript(VERSION);
	ck_assert_uint_eq(count_differences(real, other), 0);
}
END_TEST

/* Whether there is a test to run; else it is said why not. */
static bool can_run(void)
{
	AUTO_FD int kvm = sys_open("/dev/kvm", O_RDWR, 0);
	AUTO_FD int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	const char *ci = getenv("CI");
	if (vm < 0) {
		printf("1..0 # SKIP there is no /dev/kvm that makes a VM\n");
	} else if (!real_program() && ci && *ci) {
		printf("1..1\nnot ok 1 - there is no Firecracker: tools/firecracker fetches it\n");
	} else if (!real_program()) {
		printf("1..0 # SKIP there is no Firecracker: tools/firecracker fetches it\n");
	} else {
		return true;
	}
	return false;
}

static Suite *transcript_suite(void)
{
	Suite *suite = suite_create("firecracker-transcript");
	TCase *tc = tcase_create("transcript");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, the_double_asks_and_answers_as_the_real_one);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	if (!can_run())
		return EXIT_SUCCESS; /* with TAP the plan says it all */
	SRunner *runner = srunner_create(transcript_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
