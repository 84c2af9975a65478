/* SPDX-License-Identifier: MIT */
/* Run as `vm-real ENGINE`; what ENGINE is to be found by is in the environment. */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/kvm.h>

#include "real.h"

#define FIRECRACKER "firecracker-1.12.1/firecracker"

/* --- setting --- */

struct setting set_up_seen(bool jailed)
{
	struct setting s = { .dir = test_dir() };
	s.config = vmtest_config(s.dir);
	if (!jailed)
		ck_ok(nova_config_set(s.config, "firecracker.jailer", "off", &error));
	ck_ok(nova_host_new(s.config, &s.host, &error));
	return s;
}

struct setting set_up(int jailed, ...)
{
	struct setting s = { .dir = test_dir() };
	s.config = vmtest_config(s.dir);
	static const char *const keys[] = {
		"firecracker.log_dir",
		"firecracker.socket_dir",
		"firecracker.vsock_dir",
	};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ck_ok(nova_config_set(s.config, keys[i], "off", &error));
	if (!jailed)
		ck_ok(nova_config_set(s.config, "firecracker.jailer", "off", &error));
	va_list args;
	va_start(args, jailed);
	for (const char *key; (key = va_arg(args, const char *)) != NULL;)
		ck_ok(nova_config_set(s.config, key, va_arg(args, const char *), &error));
	va_end(args);
	ck_ok(nova_host_new(s.config, &s.host, &error));
	return s;
}

void tear_down(struct setting *s)
{
	nova_host_unref(s->host);
	vmtest_nothing_left(s->dir);
	nova_config_free(s->config);
	test_dir_remove(s->dir);
}

int times(int few, int many)
{
	const char *wanted = getenv("NOVA_TEST_LONG");
	return wanted && *wanted ? many : few;
}

/* --- VMs --- */

char *code_disk(const struct setting *s)
{
	char *path = path_join(s->dir, "code.ext4");
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	opts.data = "echo 1";
	opts.data_len = strlen("echo 1");
	ck_ok(nova_disk_build(path, &opts, &error));
	return path;
}

nova_vm_t *start_with(struct setting *s, const nova_vm_opts *opts)
{
	nova_vm_t *vm = NULL;
	ck_ok(nova_vm_start(s->host, opts, &vm, &error));
	nova_vm_init_opts init = NOVA_VM_INIT_OPTS_INIT;
	init.runtime = "shell";
	ck_ok(nova_vm_init(vm, &init, &error));
	return vm;
}

nova_vm_t *start(struct setting *s, const char *disk)
{
	nova_vm_opts opts = NOVA_VM_OPTS_INIT;
	opts.memory_mb = 64;
	opts.code_disk = disk;
	return start_with(s, &opts);
}

nova_vm_t *fork_one(nova_vm_t *vm)
{
	nova_vm_t *child = NULL;
	ck_ok(nova_vm_fork(vm, 1, NULL, &child, &error));
	return child;
}

struct counters call(nova_vm_t *vm, const char *payload)
{
	struct counters c = { 0 };
	nova_result_t *result;
	nova_vm_invoke_opts opts = NOVA_VM_INVOKE_OPTS_INIT;
	opts.timeout_ms = 60000;
	ck_ok(nova_vm_invoke(vm, payload, &opts, &result, &error));
	int found = sscanf(nova_result_output(result, NULL),
		"{\"calls\":%llu,\"streams\":%llu,\"resets\":%llu,\"resumes\":%llu,\"wrong\":%llu,"
		"\"devices\":\"%63[a-z]",
		&c.calls, &c.streams, &c.resets, &c.resumes, &c.wrong, c.devices);
	ck_assert_msg(found == 6, "%s", nova_result_output(result, NULL));
	nova_result_free(result);
	ck_assert_uint_eq(c.wrong, 0);
	return c;
}

void is_call(nova_vm_t *vm, unsigned number)
{
	ck_assert_uint_eq(call(vm, "{\"pages\":40}").calls, number);
}

/* --- main --- */

static const char *kvm_obstacle(void)
{
	AUTO_FD int kvm = sys_open("/dev/kvm", O_RDWR, 0);
	AUTO_FD int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	if (kvm < 0)
		return "there is no /dev/kvm that this user may open";
	return vm < 0 ? "/dev/kvm makes no VM" : NULL;
}

/* Where tools/firecracker puts it, unless the environment names another. */
static bool find_firecracker(void)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (getenv("NOVA_FIRECRACKER"))
		return true;
	bool own = cache && *cache;
	AUTO_FREE char *path =
		str_format("%s%s/nova/" FIRECRACKER, own ? cache : home, own ? "" : "/.cache");
	return access(path, X_OK) == 0 && setenv("NOVA_FIRECRACKER", path, 1) == 0;
}

static bool cover(const char *dir, dev_t number, mode_t mode)
{
	AUTO_FREE char *device = path_join(dir, "kvm");
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", dir, "tmpfs", 0, "size=64k") == 0 &&
	       mknod(device, S_IFCHR | mode, number) == 0 && chmod(device, mode) == 0 &&
	       mount(device, "/dev/kvm", NULL, MS_BIND, NULL) == 0;
}

bool cover_kvm(mode_t mode)
{
	char dir[] = "/tmp/nova-kvm-XXXXXX";
	struct stat kvm;
	bool covered = stat("/dev/kvm", &kvm) == 0 && mkdtemp(dir) && cover(dir, kvm.st_rdev, mode);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return covered;
}

/* As root, libnova runs QEMU as another user, who must be let in. Where the host does not do so,
 * it is done for this program alone, in a mount namespace. */
static const char *qemu_obstacle(void)
{
	struct stat kvm;
	if (setenv("NOVA_QEMU_ACCEL", "kvm", 1) < 0 || stat("/dev/kvm", &kvm) < 0)
		return "nothing is known of /dev/kvm";
	if (geteuid() != 0 || (kvm.st_mode & 0006) == 0006)
		return NULL;
	return cover_kvm(0666) ?
		       NULL :
		       "/dev/kvm is not for QEMU's user, and no mount namespace can be made";
}

static bool is_in_ci(void)
{
	const char *ci = getenv("CI");
	return ci && *ci;
}

/* Whether there is a test to run; else it is said why not. */
static bool can_run(void)
{
	const char *why = kvm_obstacle();
	if (!why && !strcmp(engine, "firecracker") && !find_firecracker()) {
		why = "there is no Firecracker: tools/firecracker could not fetch it";
		if (is_in_ci()) {
			printf("1..1\nnot ok 1 - %s\n", why);
			return false;
		}
	}
	if (!why && !strcmp(engine, "qemu"))
		why = qemu_obstacle();
	if (why)
		printf("1..0 # SKIP %s\n", why);
	return !why;
}

static Suite *make_suite(void)
{
	int variants = !strcmp(engine, "firecracker") && geteuid() == 0 ? 2 : 1;
	Suite *suite = suite_create("real");
	TCase *tc = tcase_create("life");
	tcase_set_timeout(tc, 120);
	add_life_tests(tc, variants);
	suite_add_tcase(suite, tc);
	tc = tcase_create("host");
	tcase_set_timeout(tc, 120);
	add_host_tests(tc, variants);
	suite_add_tcase(suite, tc);
	tc = tcase_create("many");
	tcase_set_timeout(tc, 300);
	add_many_tests(tc, variants);
	suite_add_tcase(suite, tc);
	tc = tcase_create("files");
	tcase_set_timeout(tc, 300);
	add_file_tests(tc, variants);
	suite_add_tcase(suite, tc);
	tc = tcase_create("large");
	tcase_set_timeout(tc, 300);
	add_large_tests(tc);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	engine = argv[1];
	if (!can_run())
		return EXIT_SUCCESS; /* with TAP the plan says it all */
	return test_run(make_suite());
}
