/* SPDX-License-Identifier: MIT */
/* What is told of this host's processor and KVM, from files of a host that the tests make up. */
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

/* --- the processor ---------------------------------------------------------------------------- */

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

static Suite *kvm_suite(void)
{
	Suite *suite = suite_create("kvm");
	TCase *tc = tcase_create("processor");
	tcase_add_test(tc, processors_of_another_model_or_with_other_features_are_told_apart);
	tcase_add_test(tc, what_changes_on_one_processor_does_not_count);
	tcase_add_test(tc, a_processor_of_which_nothing_is_known_is_no_processor);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(kvm_suite)
