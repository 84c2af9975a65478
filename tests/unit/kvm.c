/* SPDX-License-Identifier: MIT */
/* What is told of this host's processor and KVM, from files of a host that the tests make up. */
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/cpu.h"
#include "engine/engine.h"
#include "test.h"

static nova_error_t *error;

static void put(const char *root, const char *path, const char *text)
{
	AUTO_FREE char *whole = str_format("%s%s", root, path), *parent = strdup(whole);
	*strrchr(parent, '/') = 0;
	ck_assert_int_eq(fs_mkdirs(parent, 0755), 0);
	ck_assert_int_eq(fs_write_file(whole, text, strlen(text), 0644), 0);
}

/* --- the processor --- */

#define FIRST                                                                                      \
	"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"              \
	"model name\t: Xeon\nstepping\t: 7\nmicrocode\t: 0x1\ncpu MHz\t\t: 2100.000\n"
#define SECOND "\nprocessor\t: 1\nvendor_id\t: GenuineIntel\nmodel\t\t: 85\n"

static char *identity_of(const char *root, const char *cpuinfo)
{
	char *identity = NULL;
	put(root, "/proc/cpuinfo", cpuinfo);
	ck_ok(cpu_identity(root, &identity, &error));
	return identity;
}

START_TEST(processors_of_another_model_or_with_other_features_are_told_apart)
{
	static const char *const others[] = {
		"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 6\nmodel\t\t: 85\n"
		"stepping\t: 7\nflags\t\t: fpu avx2\n",
		"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 106\n"
		"stepping\t: 7\nflags\t\t: fpu avx2\n",
		FIRST "flags\t\t: fpu\n",
		FIRST "flags\t\t: fpu avx2 avx512f\n",
	};
	char *root = test_dir();
	AUTO_FREE char *here = identity_of(root, FIRST "flags\t\t: fpu avx2\n");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		AUTO_FREE char *there = identity_of(root, others[i]);
		ck_assert_msg(strcmp(here, there), "%s", others[i]);
	}
	test_dir_remove(root);
}
END_TEST

START_TEST(what_changes_on_one_processor_does_not_count)
{
	static const char *const same[] = {
		FIRST "flags\t\t: fpu avx2\n" SECOND,
		"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
		"model name\t: Xeon Gold\nstepping\t: 7\nmicrocode\t: 0x2\ncpu MHz\t\t: 3.000\n"
		"flags\t\t: fpu avx2\nbugs\t\t: taa\n",
	};
	char *root = test_dir();
	AUTO_FREE char *here = identity_of(root, FIRST "flags\t\t: fpu avx2\n");
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		AUTO_FREE char *there = identity_of(root, same[i]);
		ck_assert_str_eq(here, there);
	}
	test_dir_remove(root);
}
END_TEST

START_TEST(a_processor_of_which_nothing_is_known_is_no_processor)
{
	char *root = test_dir(), *identity = NULL;
	ck_fails_with(NOVA_ENOTFOUND, "/proc/cpuinfo", cpu_identity(root, &identity, &error));
	put(root, "/proc/cpuinfo", "Hardware\t: none\n");
	ck_fails_with(NOVA_EIO, "/proc/cpuinfo", cpu_identity(root, &identity, &error));
	test_dir_remove(root);
}
END_TEST

/* --- what is behind /dev/kvm --- */

static const struct {
	const char *modules[4], *flags;
	bool is_pvm;
} hosts[] = {
	{ { "kvm", "kvm_pvm" }, "fpu avx2", true },
	{ { "kvm", "kvm_pvm" }, "fpu vmx avx2", true }, /* the module for VT-x is not loaded */
	{ { "kvm", "kvm_pvm", "kvm_intel" }, "fpu avx2", true }, /* it is, but of no use here */
	{ { "kvm", "kvm_pvm", "kvm_intel" }, "fpu vmx avx2", false },
	{ { "kvm", "kvm_pvm", "kvm_amd" }, "fpu avx2 svm", false },
	{ { "kvm", "kvm_intel" }, "fpu vmx", false },
	{ { "kvm" }, "fpu", false },
	{ { NULL }, "fpu", false },
};

START_TEST(the_kvm_of_pvm_is_told_apart)
{
	char *root = test_dir();
	AUTO_FREE char *cpuinfo = str_format(FIRST "flags\t\t: %s\n" SECOND, hosts[_i].flags);
	put(root, "/proc/cpuinfo", cpuinfo);
	for (size_t i = 0; i < 4 && hosts[_i].modules[i]; i++) {
		AUTO_FREE char *path = str_format("/sys/module/%s/uevent", hosts[_i].modules[i]);
		put(root, path, "");
	}
	ck_assert_int_eq(kvm_is_pvm(root), hosts[_i].is_pvm);
	test_dir_remove(root);
}
END_TEST

/* As if it had been measured since this boot. */
static char *a_memory(const char *dir, const char *boot_id, unsigned long long speed)
{
	AUTO_FREE char *line = str_format("%.36s speed %llu\n", boot_id, speed);
	put(dir, "/kvm-fitness", line);
	return path_join(dir, "kvm-fitness");
}

static bool can_be_opened(void)
{
	AUTO_FD int fd = sys_open("/dev/kvm", O_RDWR, 0);
	return fd >= 0;
}

START_TEST(the_kvm_of_pvm_is_never_fit_however_fast_it_seemed)
{
	char *dir = test_dir();
	AUTO_BUF struct buf text = BUF_INIT(64);
	ck_assert_int_eq(fs_read_file("/proc/sys/kernel/random/boot_id", &text), 0);
	AUTO_FREE char *id = buf_steal_str(&text), *memory = a_memory(dir, id, 4000000000ull);
	struct kvm_fitness kvm;
	kvm_measure(memory, &kvm);
	if (!can_be_opened()) { /* what was measured gives no rights */
		ck_assert(kvm.state == KVM_ABSENT || kvm.state == KVM_DENIED);
		ck_assert_int_ne(kvm.os_error, 0);
	} else {
		ck_assert_uint_eq(kvm.instructions_per_s, 4000000000ull);
		ck_assert_int_eq(kvm.state, kvm.pvm ? KVM_UNFIT : KVM_FIT);
	}
	test_dir_remove(dir);
}
END_TEST

START_TEST(a_measurement_of_another_boot_is_not_believed)
{
	char *dir = test_dir();
	AUTO_FREE char *memory =
		a_memory(dir, "01234567-89ab-cdef-0123-456789abcdef", 4000000001ull);
	struct kvm_fitness kvm;
	kvm_measure(memory, &kvm);
	ck_assert_uint_ne(kvm.instructions_per_s, 4000000001ull);
	test_dir_remove(dir);
}
END_TEST

/* --- for whom it is --- */

static void says(bool is_vmm, unsigned gid, unsigned mode, const char *part)
{
	struct stat device = { .st_gid = gid, .st_mode = S_IFCHR | mode };
	AUTO_FREE char *sentence = kvm_closed(&device, is_vmm);
	ck_assert_msg(strstr(sentence, part) != NULL, "%s", sentence);
}

START_TEST(one_who_may_not_open_kvm_is_told_how_to)
{
	says(true, 0, 0600, "the user that QEMU runs as");
	says(true, 0, 0660, "chgrp kvm /dev/kvm && chmod g+rw /dev/kvm");
	says(false, 108, 0660, "usermod -aG $(stat -c %G /dev/kvm) USER and log in again");
	says(false, 108, 0660, "or setfacl -m u:");
	says(false, 0, 0600, "(group 0, mode 0600)");
	says(false, 108, 0640, "setfacl -m u:");
}
END_TEST

static Suite *kvm_suite(void)
{
	Suite *suite = suite_create("kvm");
	TCase *tc = tcase_create("processor");
	tcase_add_test(tc, processors_of_another_model_or_with_other_features_are_told_apart);
	tcase_add_test(tc, what_changes_on_one_processor_does_not_count);
	tcase_add_test(tc, a_processor_of_which_nothing_is_known_is_no_processor);
	suite_add_tcase(suite, tc);
	tc = tcase_create("kvm");
	tcase_add_loop_test(tc, the_kvm_of_pvm_is_told_apart, 0, ARRAY_LEN(hosts));
	tcase_add_test(tc, the_kvm_of_pvm_is_never_fit_however_fast_it_seemed);
	tcase_add_test(tc, a_measurement_of_another_boot_is_not_believed);
	tcase_add_test(tc, one_who_may_not_open_kvm_is_told_how_to);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(kvm_suite)
